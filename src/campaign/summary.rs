//! What a campaign came to: how many seeds passed, which failed alike, and which states were reached. The same results
//! give the same summary, whoever ran them and in whatever order; only what is measured by the clock differs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ledger::Found;
use crate::base::marks::Mark;
use crate::report::verdict::{Outcome, SCHEMA_VERSION};

/// Milliseconds in an hour.
const HOUR_MS: f64 = 3_600_000.0;

/// The sum of a campaign's results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Version of these names.
    pub schema_version: u32,
    /// How many seeds were run.
    pub seeds: u64,
    /// How many of them passed.
    pub passed: u64,
    /// Failures that look alike, the most frequent first.
    pub failures: Vec<Group>,
    /// How many seeds a minute of real time took; 0 if that was not measured in one piece.
    pub seeds_per_minute: f64,
    /// Length of all chaos phases.
    pub simulated_hours: f64,
    /// Messages that the network of the middle seed carried.
    pub messages_per_seed_median: u64,
    /// The largest memory of any worker.
    pub peak_rss_bytes: u64,
    /// Acknowledged records that are gone as the contract permits.
    pub permitted_losses: u64,
    /// How the drawn scenarios compare: the middle seed's.
    pub median: Median,
    /// Coverage marks that were reached.
    pub marks: Vec<Reached>,
    /// Coverage marks that were not.
    pub never_reached: Vec<String>,
}

/// Failures with one signature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// The property and the shape of its evidence.
    pub signature: String,
    /// The property.
    pub property: String,
    /// The outcome.
    pub outcome: Outcome,
    /// The evidence of the seed that failed first in its simulated time.
    pub evidence: String,
    /// All seeds that failed so.
    pub seeds: Vec<u64>,
    /// The capsule of the seed that failed first in its simulated time.
    pub capsule: String,
    /// The command that runs that seed again.
    pub reproduce: String,
}

/// The middle seed in each respect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Median {
    /// Brokers.
    pub brokers: u64,
    /// Partitions.
    pub partitions: u64,
    /// Faults.
    pub faults: u64,
    /// Acknowledged records for each second of the chaos phase.
    pub acked_per_second: u64,
}

/// A coverage mark that was reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    /// Its name.
    pub name: String,
    /// How often.
    pub hits: u64,
    /// In how many seeds.
    pub seeds: u64,
}

/// Sums up results, in the order of their seeds.
#[must_use]
pub fn sum(found: &[Found]) -> Summary {
    let records: Vec<_> = found.iter().map(|f| &f.record).collect();
    let of = |get: fn(&super::job::Record) -> u64| median(records.iter().map(|r| get(r)).collect());
    let marks = marks(found);
    let reached = |mark: &Mark| marks.iter().any(|m| m.name == mark.name());
    Summary {
        schema_version: SCHEMA_VERSION,
        seeds: records.len() as u64,
        passed: records.iter().filter(|r| r.outcome == Outcome::Pass).count() as u64,
        failures: groups(found),
        seeds_per_minute: 0.0,
        simulated_hours: records.iter().map(|r| r.simulated_ms).sum::<u64>() as f64 / HOUR_MS,
        messages_per_seed_median: of(|r| r.messages),
        peak_rss_bytes: records.iter().map(|r| r.rss_bytes).max().unwrap_or(0),
        permitted_losses: records.iter().map(|r| r.permitted_loss).sum(),
        median: Median {
            brokers: of(|r| r.size.brokers.into()),
            partitions: of(|r| r.size.partitions.into()),
            faults: of(|r| r.size.faults.into()),
            acked_per_second: of(|r| r.acked * 1_000 / r.simulated_ms.max(1)),
        },
        never_reached: Mark::ALL.iter().filter(|m| !reached(m)).map(|m| m.name().to_owned()).collect(),
        marks,
    }
}

impl Summary {
    /// The gravest outcome, by the exit code of the campaign.
    #[must_use]
    pub fn gravest(&self) -> Outcome {
        self.failures.iter().map(|f| f.outcome).max().unwrap_or(Outcome::Pass)
    }
}

fn median(mut numbers: Vec<u64>) -> u64 {
    numbers.sort_unstable();
    numbers.get(numbers.len() / 2).copied().unwrap_or(0)
}

/// True if a failure came earlier in its simulated time than another; of two at one time, the smaller seed.
#[must_use]
pub fn faster(a: (u64, u64), b: (u64, u64)) -> bool {
    a < b
}

fn groups(found: &[Found]) -> Vec<Group> {
    let mut groups: BTreeMap<String, (Group, (u64, u64))> = BTreeMap::new();
    for one in found {
        let (Some(failure), Some(capsule)) = (&one.record.failure, &one.capsule) else { continue };
        let rank = (failure.at_ms, one.record.seed);
        let capsule = capsule.display().to_string();
        let fresh = Group {
            signature: failure.signature(),
            property: failure.property.clone(),
            outcome: one.record.outcome,
            evidence: failure.evidence.clone(),
            seeds: Vec::new(),
            reproduce: format!("ktrial replay {capsule}"),
            capsule,
        };
        let (group, fastest) = groups.entry(fresh.signature.clone()).or_insert_with(|| (fresh.clone(), rank));
        group.seeds.push(one.record.seed);
        if faster(rank, *fastest) {
            let (seeds, outcome) = (std::mem::take(&mut group.seeds), group.outcome.max(fresh.outcome));
            *group = Group { seeds, outcome, ..fresh };
            *fastest = rank;
        }
    }
    let mut groups: Vec<_> = groups.into_values().map(|(group, _)| group).collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.seeds.len()));
    groups
}

fn marks(found: &[Found]) -> Vec<Reached> {
    let mut sums: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for (name, hits) in found.iter().flat_map(|f| &f.record.marks) {
        let sum = sums.entry(name).or_default();
        *sum = (sum.0 + hits, sum.1 + 1);
    }
    sums.into_iter().map(|(name, (hits, seeds))| Reached { name: name.to_owned(), hits, seeds }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::job::Record;
    use crate::campaign::shard::Shard;
    use crate::trial::failure::Failure;
    use std::path::Path;

    fn record(seed: u64, failure: Option<(&str, &str, u64)>) -> Found {
        let mut record = Record::died(seed, "");
        record.simulated_ms = 60_000;
        record.acked = seed * 60;
        record.failure = failure.map(|(property, evidence, at_ms)| Failure {
            property: property.into(),
            evidence: evidence.into(),
            at_ms,
        });
        record.outcome = if failure.is_some() { Outcome::Violated } else { Outcome::Pass };
        record.marks = BTreeMap::from([("segment-rolled".to_owned(), seed + 1)]);
        Found::new(record, Path::new("out"), Shard::ALL)
    }

    #[test]
    fn failures_that_look_alike_are_one_and_the_fastest_stands_for_them() {
        let found = [
            record(0, None),
            record(1, Some(("ACK", "t-1 at 10", 900))),
            record(2, Some(("LC", "t-1 at 10", 100))),
            record(3, Some(("ACK", "t-2 at 7", 300))),
        ];
        let summary = sum(&found);
        assert_eq!((summary.seeds, summary.passed, summary.failures.len()), (4, 1, 2));
        let first = &summary.failures[0];
        assert_eq!((first.property.as_str(), first.seeds.as_slice()), ("ACK", [1, 3].as_slice()));
        assert_eq!(first.evidence, "t-2 at 7");
        assert_eq!(summary.gravest(), Outcome::Violated);
        assert_eq!(summary.median.acked_per_second, 2);
    }

    #[test]
    fn marks_are_counted_and_what_was_never_reached_is_named() {
        let summary = sum(&[record(0, None), record(4, None)]);
        assert_eq!(summary.marks, [Reached { name: "segment-rolled".into(), hits: 6, seeds: 2 }]);
        assert_eq!(summary.never_reached.len(), Mark::ALL.len() - 1);
    }
}
