//! From what a run has left to its verdict: counts, outages, violations, expectations.

use std::collections::{BTreeMap, BTreeSet};

use super::applications;
use super::run::Testimony;
use super::spread;
use crate::base::TopicPartition;
use crate::check;
use crate::io::sim::{Panic, Run, WATCHDOG};
use crate::report::availability::{self, WriteEnd, WriteSample};
use crate::report::expectations;
use crate::report::groups;
use crate::report::verdict::{Event, Outcome, PermittedLoss, Verdict, Violation};
use crate::scenario::Scenario;
use crate::wire::errors::error_name;
use crate::world::history::{History, Op, SOMEWHERE, Value};

/// Nanoseconds in a millisecond.
const MS: u64 = 1_000_000;

/// What a run has left besides its verdict: what its files are made of.
pub struct Papers {
    /// The history of the clients.
    pub history: History,
}

/// Judges a run.
///
/// # Panics
/// If the run ended and something of it lives on: a long campaign would run out of memory.
pub(super) fn judge(scenario: &Scenario, seed: u64, run: Run<Testimony>) -> (Verdict, Papers) {
    let mut verdict = Verdict::new(&scenario.name, seed);
    verdict.simulated_ms = scenario.duration.0;
    verdict.messages = run.stats.messages;
    verdict.digest = run.stats.digest.to_string();
    match run.outcome {
        Ok(testimony) => {
            assert_eq!(run.stats.left_behind, 0, "files, connections or timers outlived the run");
            let history = weigh(scenario, testimony, &mut verdict);
            (verdict, Papers { history })
        }
        Err(panic) => {
            panicked(&panic, &mut verdict);
            (verdict, Papers { history: History::default() })
        }
    }
}

fn panicked(panic: &Panic, verdict: &mut Verdict) {
    let hung = panic.task == WATCHDOG;
    verdict.outcome = if hung { Outcome::NotLive } else { Outcome::Panicked };
    verdict.reason = format!("{panic} (at {} ms of the run)", panic.time_ns / MS);
}

fn weigh(scenario: &Scenario, testimony: Testimony, verdict: &mut Verdict) -> History {
    let Testimony { findings, timeline, history, writers, not_live, marks, lasted: _ } = testimony;
    verdict.marks = marks.into_iter().map(|(mark, hits)| (mark.name().to_owned(), hits)).collect();
    count(&history, verdict);
    verdict.permitted_loss = findings.permitted.len() as u64;
    verdict.lost = findings.lost as u64 - verdict.permitted_loss;
    verdict.duplicated = findings.duplicated as u64;
    verdict.skipped = findings.skipped;
    let starts = findings.log_starts.iter().filter(|(_, start)| start.0 > 0);
    verdict.log_starts = starts.map(|(tp, start)| (tp.to_string(), start.0.cast_unsigned())).collect();
    verdict.metadata_loads.clone_from(&timeline.loads);
    verdict.moves = timeline.moves.records();
    verdict.violations = findings
        .violations
        .iter()
        .map(|v| Violation {
            property: v.property.to_owned(),
            jepsen: v.jepsen.map(str::to_owned),
            evidence: v.evidence.clone(),
            at_ms: v.at_ns / MS,
        })
        .collect();
    verdict.events = timeline
        .lines
        .iter()
        .map(|l| Event { at_ms: l.at_ms, kind: l.kind.to_owned(), text: l.text.clone() })
        .collect();
    verdict.permitted_losses = permitted(&findings.permitted);
    for (tp, samples) in writes(&history, scenario.duration.0) {
        let seen = availability::measure(&tp, &samples, &timeline.milestones, scenario.duration.0);
        let Some(seen) = seen else { continue };
        verdict.availability.insert(tp.to_string(), seen.percent);
        verdict.outages.extend(seen.outages);
    }
    let run = groups::Run {
        groups: applications::all(scenario).map(|(client, group)| group.id(&client.name).to_owned()).collect(),
        duration_ms: scenario.duration.0,
        findings: &findings,
        lags: &timeline.course.lags,
    };
    if !run.groups.is_empty() {
        verdict.groups = groups::measure(&run, history.iter());
    }
    verdict.spreads = spread::measure(scenario, &history, &writers);
    expectations::conclude(scenario, &timeline.course, verdict);
    if let Some(reason) = not_live {
        verdict.reason = reason;
        verdict.outcome = verdict.outcome.max(Outcome::NotLive);
    }
    history
}

/// Losses of one partition for one reason are told together.
fn permitted(losses: &[check::PermittedLoss]) -> Vec<PermittedLoss> {
    let mut groups: BTreeMap<(String, check::Reason, &str), Vec<i64>> = BTreeMap::new();
    for loss in losses {
        groups.entry((loss.tp.to_string(), loss.reason, &loss.detail)).or_default().push(loss.offset.0);
    }
    let told = groups.into_iter().map(|((partition, reason, detail), offsets)| {
        let known = |offset: Option<&i64>| offset.copied().filter(|offset| *offset >= 0);
        PermittedLoss {
            partition,
            reason: reason.code().to_owned(),
            detail: detail.to_owned(),
            records: offsets.len() as u64,
            from_offset: known(offsets.iter().min()),
            to_offset: known(offsets.iter().max()),
        }
    });
    told.collect()
}

fn count(history: &History, verdict: &mut Verdict) {
    for entry in history.iter() {
        match &entry.op {
            Op::Acked { .. } => verdict.acked += 1,
            Op::Failed { definite, error, .. } => {
                *(if *definite { &mut verdict.failed } else { &mut verdict.unknown }) += 1;
                let known = error.chars().all(|c| c.is_ascii_alphanumeric());
                let name = if known { error_name(error) } else { error.to_string() };
                *verdict.errors.entry(name).or_default() += 1;
            }
            _ => {}
        }
    }
}

/// All writes of the chaos phase, by partition, in the order in which they were sent.
fn writes(history: &History, duration_ms: u64) -> BTreeMap<TopicPartition, Vec<WriteSample>> {
    let mut ends: BTreeMap<Value, WriteEnd> = BTreeMap::new();
    // Of records whose partition their producer chose.
    let mut chosen: BTreeMap<Value, TopicPartition> = BTreeMap::new();
    let mut placed: BTreeSet<Value> = BTreeSet::new();
    for entry in history.iter() {
        match entry.op {
            Op::Sent { value, tp } if tp.partition == SOMEWHERE => {
                placed.insert(value);
            }
            Op::Acked { value, tp, .. } => {
                ends.insert(value, WriteEnd::Acked(entry.at_ns / MS));
                if placed.contains(&value) {
                    chosen.insert(value, tp);
                }
            }
            Op::Failed { value, .. } => {
                ends.insert(value, WriteEnd::Failed(entry.at_ns / MS));
            }
            _ => {}
        }
    }
    let mut out: BTreeMap<TopicPartition, Vec<WriteSample>> = BTreeMap::new();
    for entry in history.iter() {
        let Op::Sent { value, tp } = entry.op else { continue };
        let sent_ms = entry.at_ns / MS;
        // A record that was never placed anywhere says nothing about a partition.
        let tp = if tp.partition == SOMEWHERE { chosen.get(&value).cloned() } else { Some(tp) };
        let Some(tp) = tp else { continue };
        if sent_ms < duration_ms {
            let end = ends.get(&value).copied().unwrap_or(WriteEnd::Open);
            out.entry(tp).or_default().push(WriteSample { sent_ms, end });
        }
    }
    out
}
