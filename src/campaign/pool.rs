//! The parent of the workers: hands jobs out over pipes, watches the clock, replaces who dies and who has served long.
//!
//! Whatever happens to one run, the others go on: a panic is answered by its worker; a run that takes too long is killed
//! with its worker and recorded as hung; a worker that dies under a run leaves that run to a fresh worker, once.

use std::io::{self, BufRead, BufReader, Write};
use std::ops::ControlFlow;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::job::{Job, Record};

/// How a pool works.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Workers at a time.
    pub width: usize,
    /// Real time that one run may take.
    pub patience: Duration,
    /// Runs after which a worker is replaced, so that what leaks, leaks only so far.
    pub recycle_after: u32,
    /// Resident bytes above which a worker is replaced before its next run.
    pub memory: u64,
}

impl Limits {
    /// So many workers, with two minutes' patience. Most seeds take 40 to 50 MiB; after a large one the heap stays large.
    #[must_use]
    pub fn new(width: usize) -> Self {
        Self { width: width.max(1), patience: Duration::from_secs(120), recycle_after: 500, memory: 56 << 20 }
    }
}

/// How a worker is started: program and arguments.
#[derive(Clone, Debug)]
pub struct Launch(pub Vec<String>);

/// Workers, ready to play.
pub struct Pool {
    slots: Vec<Slot>,
}

impl Pool {
    /// A pool whose workers start when they are needed.
    #[must_use]
    pub fn new(launch: &Launch, limits: &Limits) -> Self {
        let slot = || Slot { launch: launch.clone(), limits: limits.clone(), worker: None };
        Self { slots: (0..limits.width).map(|_| slot()).collect() }
    }
    /// Plays `jobs` and hands each record to `done` as it comes in. After `done` breaks, no job is begun; what is under
    /// way is finished and handed over.
    ///
    /// # Errors
    /// The first error of `done`; no job is begun after it.
    pub fn run<E>(
        &mut self,
        jobs: impl Iterator<Item = Job> + Send,
        mut done: impl FnMut(&Job, Record) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        let (jobs, stop) = (Mutex::new(jobs.fuse()), AtomicBool::new(false));
        let (send, receive) = mpsc::channel();
        thread::scope(|scope| {
            for slot in &mut self.slots {
                let (jobs, stop, send) = (&jobs, &stop, send.clone());
                scope.spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        let Some(job) = jobs.lock().next() else { break };
                        let record = slot.play(&job);
                        if send.send((job, record)).is_err() {
                            break;
                        }
                    }
                });
            }
            drop(send);
            while let Ok((job, record)) = receive.recv() {
                let went = done(&job, record);
                if !matches!(went, Ok(ControlFlow::Continue(()))) {
                    stop.store(true, Ordering::Relaxed);
                }
                let _ = went?;
            }
            Ok(())
        })
    }
}

/// The place of one worker.
struct Slot {
    launch: Launch,
    limits: Limits,
    worker: Option<Worker>,
}

impl Slot {
    fn play(&mut self, job: &Job) -> Record {
        let mut line = serde_json::to_string(job).expect("a job is plain data");
        line.push('\n');
        let mut how = String::new();
        for _ in 0..2 {
            match self.attempt(job, &line) {
                Ok(record) => return record,
                Err(error) => how = error,
            }
        }
        Record::died(job.seed, &how)
    }

    /// One attempt; fails with how the worker died.
    fn attempt(&mut self, job: &Job, line: &str) -> Result<Record, String> {
        let started = Instant::now();
        let mut worker = match self.worker.take() {
            Some(worker) => worker,
            None => Worker::start(&self.launch).map_err(|error| format!("it cannot be started: {error}"))?,
        };
        // Should the write fail, the worker is dead and its answers have ended.
        let _ = worker.input.write_all(line.as_bytes());
        match worker.answers.recv_timeout(self.limits.patience) {
            Ok(answer) => {
                let record: Record =
                    serde_json::from_str(&answer).map_err(|e| format!("it answered {answer:?}: {e}"))?;
                worker.played += 1;
                let fresh = worker.played < self.limits.recycle_after && record.rss_bytes <= self.limits.memory;
                self.worker = fresh.then_some(worker);
                Ok(record)
            }
            Err(RecvTimeoutError::Timeout) => Ok(Record::hung(job.seed, started.elapsed().as_millis() as u64)),
            Err(RecvTimeoutError::Disconnected) => {
                Err(worker.child.wait().map_or_else(|e| e.to_string(), |status| status.to_string()))
            }
        }
    }
}

/// A process that plays.
struct Worker {
    child: Child,
    input: ChildStdin,
    answers: mpsc::Receiver<String>,
    played: u32,
}

impl Worker {
    fn start(launch: &Launch) -> io::Result<Self> {
        let (program, arguments) = launch.0.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        // What a run panics with is in its record; what it logs is for whoever asked for it.
        let noise = if std::env::var_os("KTRIAL_LOG").is_some() { Stdio::inherit() } else { Stdio::null() };
        let mut child = Command::new(program)
            .args(arguments)
            // A worker plays seed after seed: pages that go back to the kernel in between are faulted in again at once.
            .env("MIMALLOC_PURGE_DELAY", "-1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(noise)
            .spawn()?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (input, output) = input.zip(output).ok_or(io::ErrorKind::BrokenPipe)?;
        let (send, answers) = mpsc::channel();
        let reader = thread::Builder::new().name("answers".to_owned());
        reader.spawn(move || {
            for line in BufReader::new(output).lines() {
                if !line.is_ok_and(|line| send.send(line).is_ok()) {
                    break;
                }
            }
        })?;
        Ok(Self { child, input, answers, played: 0 })
    }
}

impl Drop for Worker {
    /// Its answers are in, or nobody waits for them any more.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::job::What;
    use crate::report::verdict::Outcome;
    use std::convert::Infallible;

    /// A worker that is a line of shell.
    fn shell(script: &str) -> Launch {
        Launch(vec!["/bin/sh".into(), "-c".into(), script.into()])
    }

    /// A shell that answers each job with a record of its seed, and does `odd` first.
    fn player(odd: &str) -> Launch {
        let record = serde_json::to_string(&Record::died(0, "x")).expect("a record");
        let record = record.replace("\"seed\":0", "\"seed\":%s");
        shell(&format!(
            "while read -r line; do seed=${{line#*:}}; seed=${{seed%%,*}}; {odd}; printf '{record}\\n' $seed; done"
        ))
    }

    fn job(seed: u64) -> Job {
        let what = What::Draw { profile: "calm".into(), config: Vec::new() };
        Job { seed, plant: Vec::new(), what }
    }

    fn play(launch: &Launch, limits: &Limits, seeds: u64) -> Vec<Record> {
        let mut records = Vec::new();
        let played = Pool::new(launch, limits).run::<Infallible>((0..seeds).map(job), |_, record| {
            records.push(record);
            Ok(ControlFlow::Continue(()))
        });
        played.expect("nothing fails");
        records.sort_by_key(|r| r.seed);
        records
    }

    fn seeds(records: &[Record]) -> Vec<u64> {
        records.iter().map(|r| r.seed).collect()
    }

    #[test]
    fn every_job_is_answered_once() {
        let records = play(&player(":"), &Limits::new(3), 20);
        assert_eq!(seeds(&records), (0..20).collect::<Vec<_>>());
    }

    #[test]
    fn a_worker_that_dies_loses_no_job_and_a_job_that_kills_twice_is_recorded() {
        let records = play(&player("[ $seed = 5 ] && kill -9 $$"), &Limits::new(2), 10);
        assert_eq!(seeds(&records), (0..10).collect::<Vec<_>>());
        let dead = &records[5];
        assert_eq!(dead.outcome, Outcome::Panicked);
        assert!(dead.failure.as_ref().is_some_and(|f| f.evidence.contains("signal: 9")), "{dead:?}");
        let once = std::env::temp_dir().join(format!("ktrial-pool-{}", std::process::id()));
        let odd = format!("[ $seed = 5 ] && mkdir {} 2>/dev/null && kill -9 $$", once.display());
        let records = play(&player(&odd), &Limits::new(2), 10);
        std::fs::remove_dir(&once).expect("the worker died once");
        assert!(records.iter().all(|r| r.failure.as_ref().is_some_and(|f| f.evidence == "the worker died: x")));
    }

    #[test]
    fn a_run_that_hangs_is_given_up_and_the_others_go_on() {
        let limits = Limits { patience: Duration::from_millis(500), ..Limits::new(2) };
        let records = play(&player("[ $seed = 5 ] && exec sleep 100"), &limits, 10);
        assert_eq!(seeds(&records), (0..10).collect::<Vec<_>>());
        assert_eq!(records[5].outcome, Outcome::NotLive);
        assert!(records.iter().enumerate().all(|(i, r)| i == 5 || r.outcome == Outcome::Panicked));
    }

    #[test]
    fn workers_are_recycled() {
        let file = std::env::temp_dir().join(format!("ktrial-pids-{}", std::process::id()));
        let limits = Limits { recycle_after: 3, ..Limits::new(1) };
        play(&player(&format!("echo $$ >> {}", file.display())), &limits, 9);
        let text = std::fs::read_to_string(&file).expect("the workers' ids");
        std::fs::remove_file(&file).expect("its removal");
        let mut pids: Vec<_> = text.lines().collect();
        assert_eq!(pids.len(), 9);
        pids.dedup();
        assert_eq!(pids.len(), 3);
    }

    #[test]
    fn a_worker_that_has_grown_too_large_is_replaced() {
        let file = std::env::temp_dir().join(format!("ktrial-large-{}", std::process::id()));
        let grown =
            player(&format!("echo $$ >> {}", file.display())).0[2].replace("\"rss_bytes\":0", "\"rss_bytes\":9");
        play(&shell(&grown), &Limits { memory: 8, ..Limits::new(1) }, 4);
        let text = std::fs::read_to_string(&file).expect("the workers' ids");
        std::fs::remove_file(&file).expect("its removal");
        let mut pids: Vec<_> = text.lines().collect();
        pids.dedup();
        assert_eq!(pids.len(), 4);
    }

    #[test]
    fn a_worker_that_cannot_start_is_a_record_too() {
        let records = play(&Launch(vec!["/no/such/program".into()]), &Limits::new(1), 1);
        assert!(records[0].failure.as_ref().is_some_and(|f| f.evidence.contains("cannot be started")));
    }

    #[test]
    fn after_a_break_no_job_is_begun() {
        let mut count = 0;
        let played = Pool::new(&player(":"), &Limits::new(2)).run::<Infallible>((0..1_000_000).map(job), |_, _| {
            count += 1;
            Ok(ControlFlow::Break(()))
        });
        played.expect("nothing fails");
        assert!((1..1_000).contains(&count), "{count} jobs of a million were played");
    }
}
