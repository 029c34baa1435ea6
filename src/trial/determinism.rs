//! Two runs of one seed, compared event by event.

use std::sync::Arc;

use super::run;
use crate::base::bugs::Bug;
use crate::io::sim::{self, Recording, Run, World, WorldConfig};
use crate::scenario::Scenario;

/// Where two runs of one seed part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// How many events both runs have in common.
    pub common: usize,
    /// The first event of the one run that the other does not have there, in words.
    pub first: String,
    /// What the other run has in its place.
    pub second: String,
    /// The last events before it, in words, oldest first.
    pub before: Vec<String>,
}

/// Two runs of a scenario, compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// How many events the first run had.
    pub events: usize,
    /// Where the runs part, if they do.
    pub divergence: Option<Divergence>,
}

/// How many events before the divergence are told.
const CONTEXT: usize = 5;

/// Two recordings compared; None if they are the same.
#[must_use]
pub fn compare(first: &Recording, second: &Recording) -> Option<Divergence> {
    let at = first.diverges_at(second)?;
    Some(Divergence {
        common: at,
        first: first.describe(at),
        second: second.describe(at),
        before: (at.saturating_sub(CONTEXT)..at).map(|i| first.describe(i)).collect(),
    })
}

/// Runs `trial` twice under one seed and compares the runs. `trial` makes the same future each time.
///
/// # Errors
/// If a run panicked in a way that left no recording.
pub fn twice<T, F, Fut>(seed: u64, trial: F) -> Result<Compared, String>
where
    T: Send + 'static,
    F: Fn() -> Fut,
    Fut: FnOnce(World) -> std::pin::Pin<Box<dyn Future<Output = T> + Send>> + Send + 'static,
{
    let record = |run: Run<T>| run.recording.ok_or_else(|| "the run left no recording".to_owned());
    let config = || WorldConfig { record: true, ..WorldConfig::default() };
    let first = record(sim::run(seed, config(), trial()))?;
    let second = record(sim::run(seed, config(), trial()))?;
    Ok(Compared { events: first.events.len(), divergence: compare(&first, &second) })
}

/// Runs a scenario twice under one seed and names the first event that differs, if any.
///
/// # Errors
/// If a run left nothing to compare.
pub fn diverge(scenario: &Scenario, seed: u64, planted: &[Bug]) -> Result<Compared, String> {
    let scenario = Arc::new(scenario.clone());
    let planted = planted.to_vec();
    twice(seed, || {
        let (scenario, planted) = (scenario.clone(), planted.clone());
        move |world| Box::pin(run::run(world, scenario, planted, None)) as _
    })
}
