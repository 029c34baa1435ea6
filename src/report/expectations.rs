//! Holds a run against what its scenario expects: every expectation with what was measured for it.

use std::collections::BTreeMap;

use super::verdict::{Expectation, OutageRecord, Outcome, Spread, Verdict};
use super::{group_expectations, move_expectations};
use crate::base::{BrokerId, TopicPartition};
use crate::scenario::Scenario;
use crate::scenario::model::{Expect, ExpectedOutage, ExpectedState};
use crate::scenario::units::{Between, Millis};

/// What committed metadata said in the course of the chaos phase. Each list is in the order of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Course {
    /// Every state of every partition, the first ones included.
    pub partitions: Vec<PartitionState>,
    /// Who became the active controller, or that nobody is; in simulated milliseconds.
    pub controllers: Vec<(u64, Option<BrokerId>)>,
    /// Who was fenced when, in simulated milliseconds.
    pub fenced: Vec<(u64, BrokerId)>,
    /// How far each consumer group was behind, in simulated milliseconds and records.
    pub lags: BTreeMap<String, Vec<(u64, u64)>>,
}

/// A partition's committed state from a moment on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionState {
    /// From when, in simulated milliseconds.
    pub at_ms: u64,
    /// Where.
    pub tp: TopicPartition,
    /// The leader, or [`BrokerId::NONE`].
    pub leader: BrokerId,
    /// The in-sync replicas.
    pub isr: Vec<BrokerId>,
}

/// Fills in a verdict's expectations and raises its outcome if one is not met or a violation was not expected.
///
/// Violations, outages, availability and counts must be in the verdict already.
pub fn conclude(scenario: &Scenario, course: &Course, verdict: &mut Verdict) {
    verdict.expectations = Judge { expect: &scenario.expect, course, verdict }.all();
    let unmet = verdict.expectations.iter().any(|e| !e.met);
    let unexpected = verdict.violations.iter().any(|v| !scenario.expect.violations.contains(&v.property));
    if unmet || unexpected {
        verdict.outcome = verdict.outcome.max(Outcome::Violated);
    }
}

struct Judge<'a> {
    expect: &'a Expect,
    course: &'a Course,
    verdict: &'a Verdict,
}

pub(super) fn expectation(text: String, met: bool, measured: impl Into<String>) -> Expectation {
    Expectation { text, met, measured: measured.into() }
}

fn time(ms: u64) -> String {
    Millis(ms).to_string()
}

/// Whether a time that may be missing lies inside a bound, and how it is told.
pub(super) fn timed(text: String, between: &Between<Millis>, measured: Option<u64>) -> Expectation {
    let met = measured.is_some_and(|ms| between.holds(&Millis(ms)));
    expectation(format!("{text} {between}"), met, measured.map_or("never".into(), time))
}

fn brokers(ids: &[BrokerId]) -> String {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
    format!("{{{}}}", ids.join(","))
}

impl Judge<'_> {
    fn all(&self) -> Vec<Expectation> {
        let mut out = self.violations();
        out.extend(self.outages());
        out.extend(self.expect.states.iter().map(|state| self.state(state)));
        out.extend(self.controllers());
        out.extend(self.counts());
        out.extend(self.brokers());
        out.extend(group_expectations::judge(&self.expect.groups, &self.verdict.groups));
        out.extend(self.loads());
        out.extend(move_expectations::judge(&self.expect.moves, &self.verdict.moves));
        out.extend(self.spreads());
        out
    }

    fn violations(&self) -> Vec<Expectation> {
        let found = |code: &String| self.verdict.violations.iter().find(|v| v.property == *code);
        let codes = self.expect.violations.iter();
        codes
            .map(|code| {
                let at = found(code).map_or("it holds".into(), |v| format!("violated at {}", time(v.at_ms)));
                expectation(format!("{code} is violated"), found(code).is_some(), at)
            })
            .collect()
    }

    fn of(&self, partition: &str) -> Vec<&OutageRecord> {
        self.verdict.outages.iter().filter(|o| o.partition == partition).collect()
    }

    fn outages(&self) -> Vec<Expectation> {
        let mut out = Vec::new();
        let mut named: Vec<String> = self.expect.outages.iter().map(|o| o.partition.to_string()).collect();
        named.dedup();
        for name in &named {
            let wanted: Vec<_> = self.expect.outages.iter().filter(|o| o.partition.to_string() == *name).collect();
            let measured = self.of(name);
            let (n, m) = (wanted.len(), measured.len());
            if n != m {
                out.push(expectation(format!("{name} has {n} {}", plural(n)), false, format!("{m} {}", plural(m))));
            }
            for (i, wanted) in wanted.iter().enumerate() {
                out.extend(phases(name, wanted, measured.get(i).copied()));
            }
        }
        if self.expect.no_outage {
            let others = self.verdict.outages.iter().filter(|o| !named.contains(&o.partition)).count();
            let text = if named.is_empty() { "no partition has an outage" } else { "no other partition has an outage" };
            out.push(expectation(text.into(), others == 0, format!("{others} {}", plural(others))));
        }
        out
    }

    fn state(&self, wanted: &ExpectedState) -> Expectation {
        let mut said = vec![];
        if let Some(leader) = wanted.leader {
            said.push(format!("leader {leader}"));
        }
        if let Some(isr) = &wanted.isr {
            said.push(format!("ISR {}", brokers(isr)));
        }
        let text = format!("{} at {}: {}", wanted.partition, wanted.at, said.join(", "));
        let state = self.course.partitions.iter().rfind(|s| s.tp == wanted.partition && s.at_ms <= wanted.at.0);
        let Some(state) = state else { return expectation(text, false, "no such partition yet") };
        let leader = wanted.leader.is_none_or(|leader| leader == state.leader);
        let isr = wanted.isr.as_ref().is_none_or(|isr| brokers(isr) == brokers(&state.isr));
        expectation(text, leader && isr, format!("leader {}, ISR {}", state.leader, brokers(&state.isr)))
    }

    fn controllers(&self) -> Vec<Expectation> {
        let judge = |wanted: &crate::scenario::model::ExpectedController| {
            let now = self.course.controllers.iter().rfind(|(at, _)| *at <= wanted.at.0).and_then(|(_, id)| *id);
            let (text, met) = match (wanted.is, wanted.not) {
                (Some(id), _) => (format!("broker {id} is the active controller"), now == Some(id)),
                (None, Some(id)) => {
                    (format!("a broker other than {id} is the active controller"), now.is_some_and(|n| n != id))
                }
                (None, None) => ("some broker is the active controller".into(), now.is_some()),
            };
            let measured = now.map_or("nobody is".into(), |id| format!("broker {id} is"));
            expectation(format!("{text} at {}", wanted.at), met, measured)
        };
        self.expect.controller.iter().map(judge).collect()
    }

    fn counts(&self) -> Vec<Expectation> {
        let mut out = Vec::new();
        for wanted in &self.expect.availability {
            let name = wanted.partition.to_string();
            let percent = self.verdict.availability.get(&name).copied();
            let met = percent.is_some_and(|p| wanted.between.holds(&p));
            let measured = percent.map_or("nobody wrote".into(), |p| format!("{p:.2} %"));
            out.push(expectation(format!("{name} is available {} %", wanted.between), met, measured));
        }
        let lost = self.verdict.lost + self.verdict.permitted_loss;
        let counts =
            [("lost", &self.expect.lost, lost), ("duplicated", &self.expect.duplicated, self.verdict.duplicated)];
        for (name, bound, count) in counts {
            if let Some(bound) = bound {
                out.push(expectation(format!("{name}: {bound}"), bound.holds(&count), count.to_string()));
            }
        }
        if let Some(bound) = &self.expect.skipped {
            let count = self.verdict.skipped;
            out.push(expectation(format!("missed by readers: {bound}"), bound.holds(&count), count.to_string()));
        }
        out.extend(self.permitted());
        out.extend(self.errors());
        out.extend(self.expect.log_starts.iter().map(|wanted| {
            let name = wanted.partition.to_string();
            let start = self.verdict.log_starts.get(&name).copied().unwrap_or(0);
            let text = format!("the log of {name} starts at {}", wanted.between);
            expectation(text, wanted.between.holds(&start), start.to_string())
        }));
        out
    }

    fn errors(&self) -> Vec<Expectation> {
        let Some(wanted) = &self.expect.errors else { return Vec::new() };
        let mut out: Vec<_> = wanted
            .iter()
            .map(|(name, bound)| {
                let count = self.verdict.errors.get(name).copied().unwrap_or(0);
                expectation(format!("{name} for {bound} records"), bound.holds(&count), count.to_string())
            })
            .collect();
        let others: Vec<_> = self.verdict.errors.iter().filter(|(name, _)| !wanted.contains_key(*name)).collect();
        let said: Vec<_> = others.iter().map(|(name, count)| format!("{name} for {count}")).collect();
        let measured = if said.is_empty() { "none".to_owned() } else { said.join(", ") };
        out.push(expectation("no record has another error".into(), others.is_empty(), measured));
        out
    }

    fn spreads(&self) -> Vec<Expectation> {
        let mut out = Vec::new();
        for wanted in &self.expect.spreads {
            let client = &wanted.client;
            let spread = self.verdict.spreads.iter().find(|spread| spread.client == *client);
            let shares = spread.and_then(Spread::shares);
            let sides = [("least", &wanted.least, shares.map(|s| s.0)), ("most", &wanted.most, shares.map(|s| s.1))];
            for (side, bound, share) in sides {
                let Some(bound) = bound else { continue };
                let measured = share.map_or("no record".to_owned(), |share| format!("{share:.1} %"));
                let text = format!("the partition with {side} of {client} has {bound} %");
                out.push(expectation(text, share.is_some_and(|share| bound.holds(&share)), measured));
            }
            if let Some(bound) = &wanted.split_keys {
                let split = spread.map(|spread| spread.split_keys);
                let text = format!("keys of {client} in more than one partition: {bound}");
                let measured = split.map_or("no record".to_owned(), |split| split.to_string());
                out.push(expectation(text, split.is_some_and(|split| bound.holds(&split)), measured));
            }
        }
        out
    }

    fn loads(&self) -> Vec<Expectation> {
        let mut out = Vec::new();
        for wanted in &self.expect.metadata_loads {
            let id = wanted.broker;
            let load = self.verdict.metadata_loads.iter().rfind(|load| load.broker == id.0);
            let mut counted = |what: &str, bound: &Between<u64>, count: Option<u64>| {
                let met = count.is_some_and(|n| bound.holds(&n));
                let measured = count.map_or("it did not start".to_owned(), |n| n.to_string());
                out.push(expectation(format!("broker {id} {what}: {bound}"), met, measured));
            };
            if let Some(bound) = &wanted.snapshot {
                counted("begins with a snapshot of records", bound, load.map(|l| l.snapshot));
            }
            counted("replays records", &wanted.replayed, load.map(|l| l.replayed));
            if let Some(bound) = &wanted.took {
                let took = load.map(|l| l.took_us.div_ceil(1_000));
                out.push(timed(format!("broker {id} knows the metadata after"), bound, took));
            }
        }
        out
    }

    fn permitted(&self) -> Vec<Expectation> {
        let Some(wanted) = &self.expect.permitted_loss else { return Vec::new() };
        let of = |code: &str| {
            let losses = self.verdict.permitted_losses.iter().filter(|loss| loss.reason == code);
            losses.map(|loss| loss.records).sum::<u64>()
        };
        let mut out: Vec<_> = wanted
            .iter()
            .map(|(code, bound)| {
                let count = of(code);
                expectation(format!("permitted loss by {code}: {bound}"), bound.holds(&count), count.to_string())
            })
            .collect();
        let others = self.verdict.permitted_losses.iter().filter(|loss| !wanted.contains_key(&loss.reason));
        let others: u64 = others.map(|loss| loss.records).sum();
        out.push(expectation("no permitted loss by another reason".into(), others == 0, others.to_string()));
        out
    }

    fn brokers(&self) -> Vec<Expectation> {
        let mut out = Vec::new();
        for wanted in &self.expect.fenced {
            let times: Vec<u64> =
                self.course.fenced.iter().filter(|(_, id)| *id == wanted.broker).map(|(at, _)| *at).collect();
            let hit = times.iter().copied().find(|at| wanted.between.holds(&Millis(*at)));
            out.push(timed(
                format!("broker {} is fenced at", wanted.broker),
                &wanted.between,
                hit.or(times.first().copied()),
            ));
        }
        for wanted in &self.expect.rejoined {
            let text = format!("broker {} is back in every ISR at", wanted.broker);
            out.push(timed(text, &wanted.between, self.rejoined(wanted.broker)));
        }
        out
    }

    /// When a broker that had left ISRs was back in the last of them; `None` if it never left or is missing at the end.
    fn rejoined(&self, broker: BrokerId) -> Option<u64> {
        let mut partitions: Vec<&TopicPartition> = self.course.partitions.iter().map(|s| &s.tp).collect();
        partitions.sort_unstable();
        partitions.dedup();
        let mut back = None;
        for tp in partitions {
            let states: Vec<&PartitionState> = self.course.partitions.iter().filter(|s| s.tp == *tp).collect();
            if !states.iter().any(|s| s.isr.contains(&broker)) {
                continue;
            }
            let last_without = states.iter().rposition(|s| !s.isr.contains(&broker));
            let Some(last_without) = last_without else { continue };
            let returned = states.get(last_without + 1)?;
            back = back.max(Some(returned.at_ms));
        }
        back
    }
}

fn plural(n: usize) -> &'static str {
    if n == 1 { "outage" } else { "outages" }
}

/// An outage's length and those of its phases that are bounded.
fn phases(name: &str, wanted: &ExpectedOutage, found: Option<&OutageRecord>) -> Vec<Expectation> {
    let length = found.and_then(|o| Some(o.to_ms? - o.from_ms));
    let mut out = vec![timed(format!("{name} is out for"), &wanted.between, length)];
    let phases = [
        ("undetected", &wanted.undetected, found.and_then(|o| o.detect_ms)),
        ("in election", &wanted.election, found.and_then(|o| o.elect_ms)),
        ("waiting for clients", &wanted.clients, found.and_then(|o| o.recover_ms)),
    ];
    for (phase, bound, measured) in phases {
        if let Some(bound) = bound {
            out.push(timed(format!("{name} is {phase} for"), bound, measured));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::verdict::{MetadataLoad, PermittedLoss, Violation};

    const SCENARIO: &str = r#"{ "name": "t",
        "topics": [{ "name": "T", "assignment": [[1, 2, 3]] }],
        "expect": {
            "violations": ["ACK"],
            "outages": [{ "partition": "T-0", "between": ["6s", "11s"], "undetected": ["6s", "10s"] }],
            "no-outage": true,
            "states": [{ "at": "30s", "partition": "T-0", "leader": 3, "isr": [3, 1] }],
            "controller": [{ "at": "30s", "not": 1 }],
            "availability": [{ "partition": "T-0", "between": [80, 95] }],
            "lost": [1, 2],
            "permitted-loss": { "acks-1": [1, 2] },
            "skipped": [5, 6],
            "errors": { "MESSAGE_TOO_LARGE": [1, 1] },
            "log-starts": [{ "partition": "T-0", "between": [10, 20] }],
            "metadata-loads": [{ "broker": 3, "snapshot": [1, 9], "replayed": [0, 5], "took": ["0s", "1s"] }],
            "fenced": [{ "broker": 2, "between": ["16s", "20s"] }],
            "rejoined": [{ "broker": 2, "between": ["40s", "50s"] }] } }"#;

    fn state(at_ms: u64, leader: i32, isr: &[i32]) -> PartitionState {
        let isr = isr.iter().map(|id| BrokerId(*id)).collect();
        PartitionState { at_ms, tp: TopicPartition::new("T", 0), leader: BrokerId(leader), isr }
    }

    fn loss(reason: &str) -> PermittedLoss {
        let (partition, reason, detail) = ("T-0".into(), reason.into(), String::new());
        PermittedLoss { partition, reason, detail, records: 2, from_offset: Some(3), to_offset: Some(4) }
    }

    fn as_expected() -> (Scenario, Course, Verdict) {
        let scenario = crate::scenario::parse("t.json", SCENARIO).unwrap_or_else(|e| panic!("{e}"));
        let course = Course {
            partitions: vec![state(0, 2, &[1, 2, 3]), state(18_300, 3, &[1, 3]), state(45_000, 3, &[1, 2, 3])],
            controllers: vec![(0, Some(BrokerId(1))), (12_000, None), (13_000, Some(BrokerId(3)))],
            fenced: vec![(18_300, BrokerId(2))],
            lags: BTreeMap::new(),
        };
        let mut verdict = Verdict::new("t", 1);
        verdict.permitted_loss = 2;
        verdict.permitted_losses.push(loss("acks-1"));
        verdict.skipped = 5;
        verdict.errors.insert("MESSAGE_TOO_LARGE".into(), 1);
        verdict.log_starts.insert("T-0".into(), 15);
        let load = MetadataLoad { at_ms: 9, broker: 3, snapshot: 4, replayed: 2, took_us: 700 };
        verdict.metadata_loads = vec![load];
        verdict.availability.insert("T-0".into(), 85.8);
        verdict.violations.push(Violation { property: "ACK".into(), jepsen: None, evidence: String::new(), at_ms: 1 });
        verdict.outages.push(OutageRecord {
            partition: "T-0".into(),
            from_ms: 10_000,
            to_ms: Some(18_500),
            cause: String::new(),
            detect_ms: Some(8_300),
            elect_ms: Some(0),
            recover_ms: Some(200),
            waited_for: None,
        });
        (scenario, course, verdict)
    }

    fn unmet(spoil: impl FnOnce(&mut Course, &mut Verdict)) -> Vec<String> {
        let (scenario, mut course, mut verdict) = as_expected();
        spoil(&mut course, &mut verdict);
        conclude(&scenario, &course, &mut verdict);
        let unmet: Vec<_> = verdict.expectations.iter().filter(|e| !e.met).collect();
        assert_eq!(verdict.outcome == Outcome::Pass, unmet.is_empty());
        unmet.iter().map(|e| format!("{}: {}", e.text, e.measured)).collect()
    }

    #[test]
    fn a_run_as_expected_passes() {
        assert_eq!(unmet(|_, _| {}), [""; 0]);
    }

    #[test]
    fn each_expectation_that_is_not_met_says_what_was_measured() {
        assert_eq!(unmet(|_, v| v.violations.clear()), ["ACK is violated: it holds"]);
        assert_eq!(unmet(|_, v| v.permitted_loss = 3), ["lost: 1 to 2: 3"]);
        assert_eq!(unmet(|_, v| v.permitted_losses.clear()), ["permitted loss by acks-1: 1 to 2: 0"]);
        assert_eq!(unmet(|_, v| v.skipped = 7), ["missed by readers: 5 to 6: 7"]);
        assert_eq!(unmet(|_, v| v.log_starts.clear()), ["the log of T-0 starts at 10 to 20: 0"]);
        let other = unmet(|_, v| {
            v.errors.insert("NOT_ENOUGH_REPLICAS".into(), 4);
        });
        assert_eq!(other, ["no record has another error: NOT_ENOUGH_REPLICAS for 4"]);
        let replayed = unmet(|_, v| v.metadata_loads[0].replayed = 6);
        assert_eq!(replayed, ["broker 3 replays records: 0 to 5: 6"]);
        let another = unmet(|_, v| v.permitted_losses.push(loss("storage-faults")));
        assert_eq!(another, ["no permitted loss by another reason: 2"]);
        assert_eq!(unmet(|_, v| v.outages[0].to_ms = Some(30_000)), ["T-0 is out for 6s to 11s: 20s"]);
        assert_eq!(unmet(|_, v| v.outages[0].detect_ms = None), ["T-0 is undetected for 6s to 10s: never"]);
        let another = unmet(|_, v| v.outages.push(v.outages[0].clone()));
        assert_eq!(another, ["T-0 has 1 outage: 2 outages"]);
        let elsewhere = unmet(|_, v| v.outages.push(OutageRecord { partition: "U-0".into(), ..v.outages[0].clone() }));
        assert_eq!(elsewhere, ["no other partition has an outage: 1 outage"]);
        assert_eq!(unmet(|_, v| v.availability.clear()), ["T-0 is available 80 to 95 %: nobody wrote"]);
        let led_by_one = unmet(|c, _| c.partitions[1].leader = BrokerId(1));
        assert_eq!(led_by_one, ["T-0 at 30s: leader 3, ISR {1,3}: leader 1, ISR {1,3}"]);
        let none = unmet(|c, _| c.controllers.truncate(2));
        assert_eq!(none, ["a broker other than 1 is the active controller at 30s: nobody is"]);
        assert_eq!(unmet(|c, _| c.fenced.clear()), ["broker 2 is fenced at 16s to 20s: never"]);
        let stays_out = unmet(|c, _| c.partitions.truncate(2));
        assert_eq!(stays_out, ["broker 2 is back in every ISR at 40s to 50s: never"]);
    }

    #[test]
    fn a_violation_that_nobody_expected_fails_the_run() {
        let (scenario, course, mut verdict) = as_expected();
        let other = Violation { property: "LC".into(), ..verdict.violations[0].clone() };
        verdict.violations.push(other);
        conclude(&scenario, &course, &mut verdict);
        assert_eq!(verdict.outcome, Outcome::Violated);
    }
}
