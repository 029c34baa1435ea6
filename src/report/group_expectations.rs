//! Holds consumer groups against what their scenario expects of them.

use std::fmt::Display;

use super::expectations::expectation;
use super::groups::THROUGHPUT_MS;
use super::verdict::{Expectation, GroupRecord, LetterRecord, SpanRecord};
use crate::scenario::model::{ExpectedGroup, ExpectedOwners, PartitionOffsets};
use crate::scenario::units::{Between, Millis};

/// Every expectation of every group.
pub(super) fn judge(wanted: &[ExpectedGroup], found: &[GroupRecord]) -> Vec<Expectation> {
    let one = |wanted: &ExpectedGroup| match found.iter().find(|group| group.id == wanted.id) {
        Some(found) => Judge { wanted, found }.all(),
        None => vec![expectation(format!("there is a group {}", wanted.id), false, "there is none")],
    };
    wanted.iter().flat_map(one).collect()
}

struct Judge<'a> {
    wanted: &'a ExpectedGroup,
    found: &'a GroupRecord,
}

impl Judge<'_> {
    fn all(&self) -> Vec<Expectation> {
        let mut out = self.offsets();
        out.extend(self.counts());
        out.extend(self.over_time());
        out.extend(self.wanted.owners.iter().map(|owners| self.owners(owners)));
        for wanted in &self.wanted.committed {
            let name = wanted.partition.to_string();
            // Where nothing is committed the group starts at the beginning.
            let committed = self.found.committed.get(&name).copied().unwrap_or(0);
            let met = wanted.between.holds(&committed.into());
            out.push(self.says(format!("committed of {name}: {}", wanted.between), met, committed.to_string()));
        }
        out
    }
    fn says(&self, text: impl Display, met: bool, measured: impl Into<String>) -> Expectation {
        expectation(format!("group {}: {text}", self.found.id), met, measured)
    }
    fn offsets(&self) -> Vec<Expectation> {
        let letters: Vec<SpanRecord> = self.found.dead_letters.iter().filter_map(original).collect();
        let lists = [
            ("skipped", &self.wanted.skipped, &self.found.skipped),
            ("repeated", &self.wanted.repeated, &self.found.repeated),
            ("passed over", &self.wanted.passed_over, &self.found.passed_over),
            ("dead letters", &self.wanted.dead_letters, &letters),
        ];
        let mut out = Vec::new();
        for (name, wanted, found) in lists {
            let Some(wanted) = wanted else { continue };
            let wanted: Vec<SpanRecord> = wanted.iter().map(span).collect();
            let met = single(&wanted) == single(found);
            out.push(self.says(format!("{name}: {}", listed(&wanted)), met, listed(found)));
        }
        out
    }
    fn counts(&self) -> Vec<Expectation> {
        let (wanted, found) = (self.wanted, self.found);
        let stopped = found.rebalances.iter().flat_map(|r| r.stopped_ms.values()).max().copied();
        let counts = [
            ("skipped", &wanted.skipped_count, count(&found.skipped)),
            ("repeated", &wanted.repeated_count, count(&found.repeated)),
            ("processed", &wanted.processed, found.processed),
            ("crashes", &wanted.crashes, found.crashes),
            ("expelled", &wanted.expelled, found.expelled),
            ("rebalances", &wanted.rebalances, found.rebalances.len() as u64),
            ("effects", &wanted.effects, found.effects),
            ("suppressed", &wanted.suppressed, found.suppressed),
        ];
        let mut out = Vec::new();
        for (name, bound, n) in counts {
            if let Some(bound) = bound {
                out.push(self.says(format!("{name}: {bound}"), bound.holds(&n), n.to_string()));
            }
        }
        if let Some(bound) = &wanted.stop_the_world {
            let met = stopped.is_some_and(|ms| bound.holds(&Millis(ms)));
            let measured = stopped.map_or("no rebalance".to_owned(), |ms| Millis(ms).to_string());
            out.push(self.says(format!("a member stops in a rebalance for {bound} at most"), met, measured));
        }
        out
    }
    fn over_time(&self) -> Vec<Expectation> {
        let mut out = Vec::new();
        for wanted in &self.wanted.throughput {
            let (from, to) = (wanted.from.0 / THROUGHPUT_MS, wanted.to.0 / THROUGHPUT_MS);
            let bins = self.found.throughput.iter().skip(from as usize).take((to - from) as usize);
            let mean = bins.sum::<u64>() / (to - from).max(1);
            let text = format!("records in 10 s from {} to {}: {}", wanted.from, wanted.to, wanted.between);
            out.push(self.says(text, wanted.between.holds(&mean), mean.to_string()));
        }
        for wanted in &self.wanted.lag {
            let lag = self.found.lag.iter().rfind(|(at, _)| *at <= wanted.at.0).map_or(0, |(_, lag)| *lag);
            let text = format!("behind at {}: {}", wanted.at, wanted.between);
            out.push(self.says(text, wanted.between.holds(&lag), lag.to_string()));
        }
        out
    }
    fn owners(&self, wanted: &ExpectedOwners) -> Expectation {
        let now = self.found.owners.iter().rfind(|o| o.at_ms <= wanted.at.0);
        let (busy, idle, partitions) = now.map_or((0, 0, 0), |o| (o.busy, o.idle, o.partitions));
        let parts =
            [("busy", wanted.busy, busy), ("idle", wanted.idle, idle), ("owned", wanted.partitions, partitions)];
        let asked = parts.iter().filter_map(|(name, wanted, found)| Some((name, (*wanted)?, *found)));
        let asked: Vec<_> = asked.collect();
        let text: Vec<_> = asked.iter().map(|(name, wanted, _)| format!("{wanted} {name}")).collect();
        let measured: Vec<_> = asked.iter().map(|(name, _, found)| format!("{found} {name}")).collect();
        let met = asked.iter().all(|(_, wanted, found)| wanted == found);
        self.says(format!("at {}: {}", wanted.at, text.join(", ")), met, measured.join(", "))
    }
}

fn span(wanted: &PartitionOffsets) -> SpanRecord {
    let Between(first, last) = wanted.offsets;
    SpanRecord { partition: wanted.partition.to_string(), first: first.0, last: last.0 }
}

/// Where a dead letter comes from, if it says why it is one.
fn original(letter: &LetterRecord) -> Option<SpanRecord> {
    let offset = letter.original_offset;
    (!letter.error.is_empty()).then(|| SpanRecord { partition: letter.from.clone(), first: offset, last: offset })
}

/// How many offsets there are.
#[must_use]
pub fn count(spans: &[SpanRecord]) -> u64 {
    spans.iter().map(|s| u64::try_from(s.last - s.first + 1).unwrap_or(0)).sum()
}

/// Each offset on its own, in order.
fn single(spans: &[SpanRecord]) -> std::collections::BTreeSet<(&str, i64)> {
    spans.iter().flat_map(|s| (s.first..=s.last).map(|offset| (s.partition.as_str(), offset))).collect()
}

/// Spans in words.
#[must_use]
pub fn listed(spans: &[SpanRecord]) -> String {
    let one = |s: &SpanRecord| match s.first == s.last {
        true => format!("{} {}", s.partition, s.first),
        false => format!("{} {}-{}", s.partition, s.first, s.last),
    };
    match spans {
        [] => "none".to_owned(),
        some => some.iter().map(one).collect::<Vec<_>>().join(", "),
    }
}
