//! What many seeds of one scenario came to: how many passed, which failed, and how long outages and their phases took.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::report::text::{count, seconds, word};
use crate::report::{Outcome, Verdict};

/// How many failing seeds are listed one by one.
const LISTED: usize = 10;
/// With more partitions than this the outages are told by topic.
const PARTITIONS: usize = 4;

/// Lengths in milliseconds: whole outages and the three phases.
type Lengths = [Vec<u64>; 4];

/// The sum of one scenario's verdicts.
#[derive(Default)]
pub(super) struct Summary {
    runs: u64,
    passed: u64,
    acked: u64,
    lost: u64,
    permitted: u64,
    failures: Vec<(u64, Outcome, String)>,
    /// By partition.
    outages: BTreeMap<String, Lengths>,
}

impl Summary {
    pub(super) fn add(&mut self, verdict: &Verdict) {
        self.runs += 1;
        self.acked += verdict.acked;
        self.lost += verdict.lost;
        self.permitted += verdict.permitted_loss;
        if verdict.outcome == Outcome::Pass {
            self.passed += 1;
        } else {
            self.failures.push((verdict.seed, verdict.outcome, verdict.reproduce.clone()));
        }
        for outage in &verdict.outages {
            let lengths = self.outages.entry(outage.partition.clone()).or_default();
            let whole = outage.to_ms.map(|to| to - outage.from_ms);
            for (all, one) in lengths.iter_mut().zip([whole, outage.detect_ms, outage.elect_ms, outage.recover_ms]) {
                all.extend(one);
            }
        }
    }

    pub(super) fn all_passed(&self) -> bool {
        self.failures.is_empty()
    }

    /// The summary as text that ends with a newline.
    pub(super) fn render(&self, scenario: &str) -> String {
        let mut out = String::new();
        let (acked, lost) = (count(self.acked), count(self.lost));
        let permitted = match self.permitted {
            0 => String::new(),
            n => format!(", {} permitted loss", count(n)),
        };
        let passed = format!("{} of {} seeds passed", self.passed, self.runs);
        let _ = writeln!(out, "{scenario}  {passed}   {acked} acked, {lost} lost{permitted}");
        for (place, lengths) in self.outages_by_place() {
            let _ = writeln!(out, "  {place}: {} outages, min / median / max", lengths[0].len());
            for (name, lengths) in ["outage", "undetected", "election", "clients"].iter().zip(&lengths) {
                if let Some(spread) = spread(lengths) {
                    let _ = writeln!(out, "    {name:<11} {spread}");
                }
            }
        }
        for (seed, outcome, reproduce) in self.failures.iter().take(LISTED) {
            let _ = writeln!(out, "  seed {seed} {}: {reproduce}", word(*outcome));
        }
        if self.failures.len() > LISTED {
            let seeds: Vec<_> = self.failures[LISTED..].iter().take(LISTED).map(|f| f.0.to_string()).collect();
            let _ = writeln!(out, "  and {} more, like {}", self.failures.len() - LISTED, seeds.join(", "));
        }
        out
    }

    /// The outages of each partition, or of each topic if there are too many.
    fn outages_by_place(&self) -> Vec<(String, Lengths)> {
        if self.outages.len() <= PARTITIONS {
            return self.outages.clone().into_iter().collect();
        }
        let mut topics: BTreeMap<&str, (usize, Lengths)> = BTreeMap::new();
        for (partition, lengths) in &self.outages {
            let topic = partition.rsplit_once('-').map_or(partition.as_str(), |(topic, _)| topic);
            let (partitions, all) = topics.entry(topic).or_default();
            *partitions += 1;
            all.iter_mut().zip(lengths).for_each(|(all, one)| all.extend(one));
        }
        topics.into_iter().map(|(topic, (n, lengths))| (format!("{topic}, {n} partitions"), lengths)).collect()
    }
}

/// Least, middle and most.
fn spread(lengths: &[u64]) -> Option<String> {
    let mut sorted = lengths.to_vec();
    sorted.sort_unstable();
    let (min, max) = (sorted.first()?, sorted.last()?);
    Some(format!("{} / {} / {}", seconds(*min), seconds(sorted[sorted.len() / 2]), seconds(*max)))
}
