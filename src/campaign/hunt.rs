//! How long it takes to find a planted bug: the unmodified `everything` profile, from several starting seeds.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use super::job::{Job, Record, What};
use super::pool::Pool;
use crate::base::bugs::Bug;
use crate::trial::Capsule;

/// The profile that is hunted with.
pub const PROFILE: &str = "everything";
/// Where the hunts for one bug start; far enough from each other to share no seed.
pub const STARTS: [u64; 3] = [0, 1_000_000, 2_000_000];

/// One hunt that found its bug.
#[derive(Clone, Debug, PartialEq)]
pub struct Catch {
    /// The property that broke.
    pub property: String,
    /// Seeds from the start up to the one that failed, that one included.
    pub seeds: u64,
    /// Processor time of those seeds in milliseconds.
    pub cpu_ms: u64,
    /// The run that failed.
    pub capsule: Capsule,
}

/// All hunts for one bug.
#[derive(Clone, Debug, PartialEq)]
pub struct Quarry {
    /// The bug.
    pub bug: Bug,
    /// What each starting seed came to; `None` where time was up first.
    pub catches: Vec<Option<Catch>>,
}

impl Quarry {
    /// True if the middle hunt found the bug.
    #[must_use]
    pub fn found(&self) -> bool {
        self.median(|c| c.seeds).is_some()
    }
    /// The middle one of a measure over all starting seeds; what was not found counts as endless.
    #[must_use]
    pub fn median(&self, of: impl Fn(&Catch) -> u64) -> Option<u64> {
        let mut measures: Vec<_> = self.catches.iter().map(|c| c.as_ref().map_or(u64::MAX, &of)).collect();
        measures.sort_unstable();
        measures.get(measures.len() / 2).copied().filter(|n| *n < u64::MAX)
    }
    /// The catch that took least.
    #[must_use]
    pub fn quickest(&self) -> Option<&Catch> {
        self.catches.iter().flatten().min_by_key(|c| c.seeds)
    }
}

/// Hunts for a bug, so long from each starting seed.
///
/// # Errors
/// If the capsule of a catch cannot be made.
pub fn hunt(pool: &mut Pool, bug: Bug, patience: Duration) -> Result<Quarry, String> {
    let catches = STARTS.iter().map(|start| from(pool, bug, *start, patience)).collect::<Result<_, _>>()?;
    Ok(Quarry { bug, catches })
}

fn from(pool: &mut Pool, bug: Bug, start: u64, patience: Duration) -> Result<Option<Catch>, String> {
    let began = Instant::now();
    let job = |seed| Job {
        seed,
        plant: vec![bug.name().to_owned()],
        what: What::Draw { profile: PROFILE.to_owned(), config: Vec::new() },
    };
    let mut played: BTreeMap<u64, Record> = BTreeMap::new();
    let jobs = (start..).map(job).take_while(|_| began.elapsed() < patience);
    let run = pool.run::<Infallible>(jobs, |_, record| {
        let failed = record.failure.is_some();
        played.insert(record.seed, record);
        Ok(if failed { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    });
    match run {
        Ok(()) => {}
        Err(never) => match never {},
    }
    // Jobs begin in the order of their seeds, so that all below the first failure have been played.
    let Some(first) = played.values().find(|r| r.failure.is_some()) else { return Ok(None) };
    let upto = || played.range(..=first.seed);
    let capsule = first.capsule(&job(first.seed))?.ok_or("a failing run without a capsule")?;
    Ok(Some(Catch {
        property: capsule.property.clone(),
        seeds: first.seed - start + 1,
        cpu_ms: upto().map(|(_, r)| r.cpu_ms).sum(),
        capsule,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::capsule::Drawn;

    fn catch(seeds: u64) -> Option<Catch> {
        let job = Job { seed: seeds, plant: vec![], what: What::Draw { profile: "calm".into(), config: Vec::new() } };
        let capsule = Record::died(seeds, "x").capsule(&job).expect("a job").expect("a failure");
        assert_eq!(capsule.seeds.drawn, Some(Drawn { profile: "calm".into(), seed: seeds }));
        Some(Catch { property: "ACK".into(), seeds, cpu_ms: seeds * 10, capsule })
    }

    #[test]
    fn the_median_counts_what_was_not_found_as_endless() {
        let quarry = |catches| Quarry { bug: Bug::AckBeforeIsr, catches };
        let all = quarry(vec![catch(9), catch(1), catch(4)]);
        assert_eq!((all.median(|c| c.seeds), all.median(|c| c.cpu_ms)), (Some(4), Some(40)));
        assert_eq!(all.quickest().map(|c| c.seeds), Some(1));
        let most = quarry(vec![None, catch(1), catch(4)]);
        assert_eq!((most.median(|c| c.seeds), most.found()), (Some(4), true));
        let few = quarry(vec![None, catch(1), None]);
        assert_eq!((few.median(|c| c.seeds), few.found()), (None, false));
    }
}
