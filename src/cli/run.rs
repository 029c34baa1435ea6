//! `ktrial run`: runs scenarios under one or many seeds and prints what came of it.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use super::args::RunArgs;
use super::inputs::Input;
use super::output::quoted;
use super::pool::{self, Job};
use super::summary::Summary;
use super::{Streams, inputs, output};
use crate::report::table;
use crate::report::text::{Style, render};
use crate::report::verdict::SCHEMA_VERSION;
use crate::report::{Outcome, Verdict};
use crate::scenario::config;
use crate::trial::{RunOptions, Runner};

/// Of many seeds, how many failures of one scenario are told in full.
const TOLD_FAILURES: u64 = 3;
/// Random seeds stay below this, so that they are easily typed.
const RANDOM_SEEDS: u64 = 1_000_000;

pub(super) fn run(args: &RunArgs, runner: Runner, streams: &mut Streams<'_>) -> io::Result<u8> {
    let mut inputs = match inputs::load(&args.scenarios) {
        Ok(inputs) => inputs,
        Err(complaint) => return output::refuse(streams, &complaint),
    };
    for (key, value) in &args.config {
        if let Err(complaint) = config::BROKER.verify(key, value) {
            return output::refuse(streams, &format!("ktrial: --config {key}={value}: {complaint}"));
        }
        override_config(&mut inputs, key, value);
    }
    let seeds = seeds(args);
    let jobs = jobs(args, &inputs, &seeds);
    let mut teller = Teller::new(args, &inputs, seeds.end - seeds.start, &jobs);
    let width = args.jobs.map_or_else(processors, usize::from);
    pool::run(&jobs, width, runner, |i, verdict| teller.tell(i, verdict, streams))?;
    teller.finish(streams)
}

/// Sets an entry for every broker of every scenario, also where a single broker's own entry would win.
fn override_config(inputs: &mut [Input], key: &str, value: &str) {
    for cluster in inputs.iter_mut().map(|input| &mut input.scenario.cluster) {
        cluster.config.insert(key.to_owned(), value.to_owned());
        for own in cluster.broker_config.values_mut() {
            own.remove(key);
        }
    }
}

fn seeds(args: &RunArgs) -> Range<u64> {
    let one = |seed: u64| seed..seed.saturating_add(1);
    match (&args.seeds, args.seed) {
        (Some(range), _) => range.clone(),
        (None, Some(seed)) => one(seed),
        (None, None) => one(RandomState::new().build_hasher().finish() % RANDOM_SEEDS),
    }
}

pub(super) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// One job for each scenario and seed, the seeds of a scenario together.
fn jobs<'a>(args: &RunArgs, inputs: &'a [Input], seeds: &Range<u64>) -> Vec<Job<'a>> {
    let many_seeds = seeds.end - seeds.start > 1;
    let single = inputs.len() == 1 && !many_seeds;
    let mut jobs = Vec::new();
    for input in inputs {
        for seed in seeds.clone() {
            let options = RunOptions {
                plant: args.plant.clone(),
                check_determinism: args.check_determinism,
                out: Some(folder(args.out.as_deref(), single, &input.scenario.name, seed)),
                out_on_failure_only: many_seeds && args.out.is_none(),
                step_limit: None,
                verbose: args.verbose,
                reproduce: reproduce(args, &input.path, seed),
            };
            jobs.push(Job { scenario: &input.scenario, seed, options });
        }
    }
    jobs
}

fn folder(out: Option<&Path>, single: bool, scenario: &str, seed: u64) -> PathBuf {
    match out {
        Some(out) if single => out.to_owned(),
        _ => out.unwrap_or(Path::new("reports")).join(format!("{scenario}-{seed}")),
    }
}

/// The command that runs one job again, as a shell takes it.
fn reproduce(args: &RunArgs, path: &Path, seed: u64) -> String {
    let mut words = vec!["ktrial run".to_owned(), quoted(&path.display().to_string()), format!("--seed {seed}")];
    words.extend(args.config.iter().map(|(key, value)| format!("--config {}", quoted(&format!("{key}={value}")))));
    words.extend(args.plant.iter().map(|bug| format!("--plant {}", bug.name())));
    if args.check_determinism {
        words.push("--check-determinism".into());
    }
    words.join(" ")
}

/// Prints verdicts as they come in and sums them up.
struct Teller<'a> {
    args: &'a RunArgs,
    jobs: &'a [Job<'a>],
    seeds: u64,
    gravest: Outcome,
    kept: Vec<Verdict>,
    summaries: Vec<(&'a str, Summary)>,
    told_failures: u64,
    bar: ProgressBar,
}

impl<'a> Teller<'a> {
    fn new(args: &'a RunArgs, inputs: &'a [Input], seeds: u64, jobs: &'a [Job<'a>]) -> Self {
        let bar = ProgressBar::with_draw_target(Some(jobs.len() as u64), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} runs, {msg} {elapsed} (eta {eta})");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        let summaries = inputs.iter().map(|input| (input.scenario.name.as_str(), Summary::default())).collect();
        let gravest = Outcome::Pass;
        Self { args, jobs, seeds, gravest, kept: Vec::new(), summaries, told_failures: 0, bar }
    }

    fn tell(&mut self, i: usize, mut verdict: Verdict, streams: &mut Streams<'_>) -> io::Result<()> {
        let job = &self.jobs[i];
        verdict.reproduce.clone_from(&job.options.reproduce);
        self.gravest = self.gravest.max(verdict.outcome);
        self.bar.inc(1);
        self.bar.set_message(if self.gravest == Outcome::Pass { "all as expected," } else { "with failures," });
        if let Some((_, summary)) = self.summaries.get_mut(i / self.seeds as usize) {
            summary.add(&verdict);
        }
        if self.args.json {
            self.kept.push(verdict);
            return Ok(());
        }
        if self.seeds == 1 && self.jobs.len() > 1 {
            // What the table at the end does not show need not stay in memory.
            self.kept.push(Verdict { events: Vec::new(), violations: Vec::new(), ..verdict.clone() });
        }
        let failed = verdict.outcome != Outcome::Pass;
        if (i as u64).is_multiple_of(self.seeds) {
            self.told_failures = 0;
        }
        self.told_failures += u64::from(failed);
        if self.seeds == 1 || self.args.verbose || (failed && self.told_failures <= TOLD_FAILURES) {
            let left = failed || !job.options.out_on_failure_only;
            let files =
                job.options.out.as_ref().filter(|out| left && out.exists()).map(|out| out.display().to_string());
            let style = Style { colour: streams.colour, verbose: self.args.verbose, files };
            let text = render(&verdict, &style);
            self.bar.suspend(|| streams.out.write_all(text.as_bytes()))?;
        }
        Ok(())
    }

    fn finish(self, streams: &mut Streams<'_>) -> io::Result<u8> {
        self.bar.finish_and_clear();
        if self.args.json {
            output::document(streams, &json!({ "schema_version": SCHEMA_VERSION, "runs": self.kept }))?;
        } else if self.seeds > 1 {
            for (name, summary) in &self.summaries {
                streams.out.write_all(summary.render(name).as_bytes())?;
            }
        } else if self.jobs.len() > 1 {
            streams.out.write_all(table::render(&self.kept).as_bytes())?;
            let passed = self.summaries.iter().filter(|(_, summary)| summary.all_passed()).count();
            writeln!(streams.out, "{passed} of {} scenarios passed", self.jobs.len())?;
        }
        Ok(self.gravest.exit_code())
    }
}
