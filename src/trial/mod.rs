//! One run of one scenario under one seed.

use std::path::PathBuf;

use crate::base::bugs::Bug;
use crate::report::Verdict;
use crate::scenario::Scenario;

/// How to run, beside scenario and seed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunOptions {
    /// Bugs to plant in the broker.
    pub plant: Vec<Bug>,
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
