//! What goes over the pipes between a campaign and its workers: a job in, a record out, one line of JSON each. A record
//! is also one line of a campaign's results.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::base::bugs::Bug;
use crate::report::Verdict;
use crate::report::verdict::Outcome;
use crate::scenario::Scenario;
use crate::scenario::random::{self, Overrides};
use crate::trial::RunOptions;
use crate::trial::capsule::{Capsule, Drawn, End, Seeds};
use crate::trial::failure::{Failure, LIVENESS, PANIC};

/// Events that a run may have for each simulated second; a hundred times what a busy cluster has.
const STEPS_PER_SECOND: u64 = 1_000_000;
/// Simulated seconds that a run may last beyond its chaos phase: forming, converging and being audited.
const BEYOND_CHAOS: u64 = 600;

/// One run to play.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Seed of the world, and of the drawing if the scenario is drawn.
    pub seed: u64,
    /// Names of the bugs to plant.
    pub plant: Vec<String>,
    /// What to play.
    pub what: What,
}

/// What to play.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// A scenario that is drawn from the job's seed.
    Draw {
        /// The profile's name.
        profile: String,
        /// Configuration that wins over the drawn one.
        config: Overrides,
    },
    /// This scenario.
    Play(Box<Scenario>),
}

impl Job {
    /// The scenario of the job.
    ///
    /// # Errors
    /// A profile that does not exist.
    pub fn scenario(&self) -> Result<Scenario, String> {
        match &self.what {
            What::Draw { profile, config } => Ok(random::draw(random::profile(profile)?, self.seed, config)),
            What::Play(scenario) => Ok((**scenario).clone()),
        }
    }
    /// How to run it.
    ///
    /// # Errors
    /// A bug that does not exist.
    pub fn options(&self, scenario: &Scenario) -> Result<RunOptions, String> {
        let plant = self.plant.iter().map(|name| name.parse()).collect::<Result<Vec<Bug>, _>>()?;
        let seconds = scenario.duration.0 / 1_000 + BEYOND_CHAOS;
        Ok(RunOptions { plant, step_limit: Some(seconds * STEPS_PER_SECOND), ..RunOptions::default() })
    }
    /// What the scenario was drawn from, if it was.
    #[must_use]
    pub fn drawn(&self) -> Option<Drawn> {
        match &self.what {
            What::Draw { profile, .. } => Some(Drawn { profile: profile.clone(), seed: self.seed }),
            What::Play(_) => None,
        }
    }
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The job's seed.
    pub seed: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it failed; `None` if it passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// All properties that were violated, in the order in which they broke.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub violated: Vec<String>,
    /// Digest of the run; empty if it came to no end.
    pub digest: String,
    /// Length of the chaos phase in simulated milliseconds.
    pub simulated_ms: u64,
    /// Real milliseconds.
    pub wall_ms: u64,
    /// Milliseconds of processor time.
    pub cpu_ms: u64,
    /// The largest resident memory of the worker so far, in bytes; 0 if the system does not tell.
    pub rss_bytes: u64,
    /// Messages that the network carried.
    pub messages: u64,
    /// Records that were acknowledged.
    pub acked: u64,
    /// Acknowledged records that are gone as the contract permits.
    pub permitted_loss: u64,
    /// How large the scenario was.
    pub size: Size,
    /// How often each coverage mark was reached.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub marks: BTreeMap<String, u64>,
}

/// How large a scenario is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Brokers.
    pub brokers: u32,
    /// Partitions of all topics.
    pub partitions: u32,
    /// Entries of the fault list that do harm.
    pub faults: u32,
}

impl Size {
    /// The size of a scenario.
    #[must_use]
    pub fn of(scenario: &Scenario) -> Self {
        Self {
            brokers: scenario.cluster.brokers,
            partitions: scenario.topics.iter().map(|t| t.partitions).sum(),
            faults: random::harmful(scenario) as u32,
        }
    }
}

impl Record {
    /// The record of a verdict.
    #[must_use]
    pub fn of(verdict: &Verdict, scenario: &Scenario, cpu_ms: u64, rss_bytes: u64) -> Self {
        let mut violated: Vec<String> = Vec::new();
        for violation in &verdict.violations {
            if !violated.contains(&violation.property) {
                violated.push(violation.property.clone());
            }
        }
        Self {
            seed: verdict.seed,
            outcome: verdict.outcome,
            failure: Failure::of(verdict, scenario),
            violated,
            digest: verdict.digest.clone(),
            simulated_ms: verdict.simulated_ms,
            wall_ms: verdict.wall_ms,
            cpu_ms,
            rss_bytes,
            messages: verdict.messages,
            acked: verdict.acked,
            permitted_loss: verdict.permitted_loss,
            size: Size::of(scenario),
            marks: verdict.marks.clone(),
        }
    }
    /// The record of a run that never came to an end: its worker was given up after `wall_ms`.
    #[must_use]
    pub fn hung(seed: u64, wall_ms: u64) -> Self {
        let reason = format!("hung: no verdict within {} s of real time", wall_ms / 1_000);
        Self { wall_ms, cpu_ms: wall_ms, ..Self::broken(seed, Outcome::NotLive, LIVENESS, reason) }
    }
    /// The record of a run whose worker died under it.
    #[must_use]
    pub fn died(seed: u64, how: &str) -> Self {
        Self::broken(seed, Outcome::Panicked, PANIC, format!("the worker died: {how}"))
    }
    fn broken(seed: u64, outcome: Outcome, property: &str, evidence: String) -> Self {
        Self {
            seed,
            outcome,
            failure: Some(Failure { property: property.to_owned(), evidence, at_ms: 0 }),
            violated: Vec::new(),
            digest: String::new(),
            simulated_ms: 0,
            wall_ms: 0,
            cpu_ms: 0,
            rss_bytes: 0,
            messages: 0,
            acked: 0,
            permitted_loss: 0,
            size: Size::default(),
            marks: BTreeMap::new(),
        }
    }
    /// The capsule of the job that came to this record; `None` if it passed.
    ///
    /// # Errors
    /// A job that names what does not exist.
    pub fn capsule(&self, job: &Job) -> Result<Option<Capsule>, String> {
        let Some(failure) = &self.failure else { return Ok(None) };
        let scenario = job.scenario()?;
        let options = job.options(&scenario)?;
        let end = End { failure, outcome: self.outcome, digest: &self.digest };
        let seeds = Seeds { world: job.seed, drawn: job.drawn() };
        Ok(Some(Capsule::from_end(&end, scenario, seeds, &options)))
    }
}
