//! The process that plays jobs: lines of JSON in, lines of JSON out, each run on a fresh thread.
//!
//! When its parent goes away, however that happens, the worker ends at once, in the middle of a run if need be.

use std::io::{self, BufRead, Write};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use super::job::{Job, Record};
use crate::report::Verdict;
use crate::report::verdict::Outcome;
use crate::scenario::Scenario;
use crate::trial::{RunOptions, Runner};

/// Bytes of stack for a run.
const STACK: usize = 16 << 20;
/// Milliseconds in a tick of the kernel's accounts: Linux tells processor time in hundredths of a second.
const TICK_MS: u64 = 10;

/// Plays jobs from the standard input until it ends; the process then ends with it.
///
/// # Errors
/// If the parent no longer takes answers.
pub fn serve(runner: Runner) -> io::Result<()> {
    let (send, jobs) = mpsc::channel();
    thread::Builder::new().name("jobs".to_owned()).spawn(move || {
        for line in io::stdin().lock().lines() {
            if line.map(|line| send.send(line)).is_err() {
                break;
            }
        }
        std::process::exit(0);
    })?;
    let mut out = io::stdout().lock();
    for line in jobs {
        writeln!(out, "{}", answer(&line, runner))?;
        out.flush()?;
    }
    Ok(())
}

/// Plays one job from its line to the line of its record.
fn answer(line: &str, runner: Runner) -> String {
    let record = match serde_json::from_str::<Job>(line) {
        Ok(job) => play(&job, runner).unwrap_or_else(|error| Record::died(job.seed, &error)),
        Err(error) => Record::died(0, &format!("not a job: {error}")),
    };
    serde_json::to_string(&record).expect("a record is plain data")
}

fn play(job: &Job, runner: Runner) -> Result<Record, String> {
    let scenario = job.scenario()?;
    let options = job.options(&scenario)?;
    let (started, before) = (Instant::now(), cpu_ms());
    let verdict = alone(&scenario, job.seed, &options, runner);
    let wall_ms = started.elapsed().as_millis() as u64;
    let cpu_ms = cpu_ms().zip(before).map_or(wall_ms, |(after, before)| after.saturating_sub(before));
    Ok(Record { wall_ms, ..Record::of(&verdict, &scenario, cpu_ms, peak_rss().unwrap_or(0)) })
}

/// Runs on a thread of its own; a panic that leaves the trial is a verdict too.
#[must_use]
pub fn alone(scenario: &Scenario, seed: u64, options: &RunOptions, runner: Runner) -> Verdict {
    let outcome = thread::scope(|scope| {
        let thread = thread::Builder::new().name(format!("{}-{seed}", scenario.name)).stack_size(STACK);
        match thread.spawn_scoped(scope, || runner(scenario, seed, options)) {
            Ok(handle) => handle.join().map_err(|panic| words(panic.as_ref())),
            Err(error) => Err(format!("no thread for the trial: {error}")),
        }
    });
    outcome.unwrap_or_else(|reason| {
        let mut verdict = Verdict::new(&scenario.name, seed);
        verdict.outcome = Outcome::Panicked;
        verdict.reason = reason;
        verdict.reproduce.clone_from(&options.reproduce);
        verdict
    })
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without words").to_owned()
}

/// Processor time of this process so far, its dead threads included.
fn cpu_ms() -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The program's name stands in brackets and may hold blanks; user and system time are fields 14 and 15.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((user + system) * TICK_MS)
}

/// The most memory that this process ever had, in bytes: workers that grow are replaced by it.
fn peak_rss() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::job::What;
    use crate::trial::failure::PANIC;

    fn job(seed: u64, name: &str) -> String {
        let scenario = crate::scenario::parse("s.json", &format!("{{\"name\": \"{name}\"}}")).expect("a scenario");
        let job = Job { seed, plant: Vec::new(), what: What::Play(Box::new(scenario)) };
        serde_json::to_string(&job).expect("a job")
    }

    fn pretend(scenario: &Scenario, seed: u64, options: &RunOptions) -> Verdict {
        assert_ne!(seed, 13, "the broker fell over");
        assert!(options.step_limit.is_some_and(|limit| limit > 0));
        let mut verdict = Verdict::new(&scenario.name, seed);
        verdict.acked = 7;
        verdict
    }

    fn played(line: &str) -> Record {
        serde_json::from_str(&answer(line, pretend)).expect("a record")
    }

    #[test]
    fn a_job_becomes_a_record() {
        let record = played(&job(3, "quiet"));
        assert_eq!((record.seed, record.outcome, record.acked, record.failure), (3, Outcome::Pass, 7, None));
        assert!(record.rss_bytes > 0);
    }

    #[test]
    fn a_panic_is_a_record_and_the_next_job_is_played() {
        let failure = played(&job(13, "loud")).failure.expect("it failed");
        assert_eq!(failure.property, PANIC);
        assert!(failure.evidence.contains("the broker fell over"), "{}", failure.evidence);
        assert_eq!(played(&job(14, "quiet")).outcome, Outcome::Pass);
    }

    #[test]
    fn what_is_no_job_is_answered_too() {
        assert_eq!(played("{}").outcome, Outcome::Panicked);
        let wrong = job(1, "x").replace("\"plant\":[]", "\"plant\":[\"no-such-bug\"]");
        assert!(played(&wrong).failure.is_some_and(|f| f.evidence.contains("no bug is called")));
    }
}
