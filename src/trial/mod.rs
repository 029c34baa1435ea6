//! One run of one scenario under one seed: chaos, healing, liveness, audit, verdict; and the proof that a seed means the
//! same run for ever.
//!
//! Here the rooms below come together. Nothing here prints, and nothing here decides what is right: that is the court's.

mod applications;
mod audit;
mod budget;
pub mod capsule;
pub mod determinism;
pub mod failure;
mod faults;
mod judge;
mod library;
mod liveness;
mod members;
mod moves;
mod notes;
mod plan;
mod run;
mod schedule;
mod spread;
mod timeline;
mod triggers;
mod witness;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use crate::base::bugs::Bug;
use crate::io::sim::{self, Recording, Run, WorldConfig};
use crate::report::verdict::Outcome;
use crate::report::{Verdict, files};
use crate::scenario::Scenario;
pub use capsule::Capsule;
pub use determinism::{Compared, Divergence, diverge};
pub use judge::Papers;
pub use library::{Client, Trial, TrialCluster, trial};
pub use notes::Notes;

/// How to run, beside scenario and seed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunOptions {
    /// Bugs to plant in the broker.
    pub plant: Vec<Bug>,
    /// Events after which a run counts as one that will not end; `None` lets it go on.
    pub step_limit: Option<u64>,
    /// Run twice and compare the digests.
    pub check_determinism: bool,
    /// The folder into which this run's files go; `None` writes nothing.
    pub out: Option<PathBuf>,
    /// Write the files only if the run does not pass.
    pub out_on_failure_only: bool,
    /// Tell every event, not only the important ones.
    pub verbose: bool,
    /// The command that runs this again: the verdict repeats it.
    pub reproduce: String,
}

/// Runs a scenario to its verdict. It is called on a fresh OS thread of its own, and blocks it; a panic that leaves it
/// counts as the broker's.
pub type Runner = fn(&Scenario, u64, &RunOptions) -> Verdict;

/// Runs a scenario once, or twice with `check_determinism`, to its verdict.
#[must_use]
pub fn run_one(scenario: &Scenario, seed: u64, options: &RunOptions) -> Verdict {
    let started = Instant::now();
    let (mut verdict, papers) = once(scenario, seed, options);
    if options.check_determinism {
        let (second, _) = once(scenario, seed, options);
        if second.digest != verdict.digest {
            verdict.outcome = Outcome::Nondeterministic;
            verdict.reason = format!("two runs of seed {seed} have digests {} and {}", verdict.digest, second.digest);
        }
    }
    verdict.wall_ms = started.elapsed().as_millis() as u64;
    verdict.reproduce.clone_from(&options.reproduce);
    leave_files(&mut verdict, scenario, &papers, options);
    verdict
}

/// Writes what the options ask for. A run whose files cannot be written is not passed over in silence.
fn leave_files(verdict: &mut Verdict, scenario: &Scenario, papers: &Papers, options: &RunOptions) {
    let Some(dir) = &options.out else { return };
    if options.out_on_failure_only && verdict.outcome == Outcome::Pass {
        return;
    }
    let capsule = Capsule::of(verdict, scenario, options, None).map(|capsule| capsule.to_json());
    let written = files::write_run(dir, verdict, &verdict.events, papers.history.iter()).and_then(|()| match capsule {
        Some(text) => files::write_text(&dir.join("capsule.json"), &text),
        None => Ok(()),
    });
    if let Err(error) = written {
        tracing::error!(%error, dir = %dir.display(), "the files of the run could not be written");
        verdict.reason = format!("the files of the run could not be written to {}: {error}", dir.display());
    }
}

fn once(scenario: &Scenario, seed: u64, options: &RunOptions) -> (Verdict, Papers) {
    let config = WorldConfig { step_limit: options.step_limit, ..WorldConfig::default() };
    judge::judge(scenario, seed, play(scenario, seed, config, &options.plant))
}

fn play(scenario: &Scenario, seed: u64, config: WorldConfig, planted: &[Bug]) -> Run<run::Testimony> {
    let shared = Arc::new(scenario.clone());
    let planted = planted.to_vec();
    sim::run(seed, config, move |world| run::run(world, shared, planted, None))
}

/// Runs a scenario once and keeps everything that happens, which costs memory: some hundred bytes for each message.
#[must_use]
pub fn trace(scenario: &Scenario, seed: u64, options: &RunOptions) -> (Verdict, Recording) {
    let started = Instant::now();
    let config = WorldConfig { step_limit: options.step_limit, record: true, ..WorldConfig::default() };
    let mut run = play(scenario, seed, config, &options.plant);
    let recording = run.recording.take().unwrap_or_default();
    let (mut verdict, _) = judge::judge(scenario, seed, run);
    verdict.wall_ms = started.elapsed().as_millis() as u64;
    verdict.reproduce.clone_from(&options.reproduce);
    (verdict, recording)
}
