//! ACK: every value acknowledged with `acks=all` is in the log at its acknowledged offset after healing, unless the
//! contract permits its loss. Cheap form: an acknowledgement never runs ahead of the high watermark of whoever gave it.
//!
//! No stricter, and each permitted loss names which of these it was:
//! - `acks=0` promises nothing, `acks=1` that the leader had it: whoever leads next may not.
//! - An election that gives up what was committed, as Kafka's rules allow (`ground::restart`), also gives up what leaders
//!   of older epochs have acknowledged above, and may acknowledge until they hear of it.
//! - Kafka does not fsync on acknowledgement: a record is gone when at least `min.insync.replicas` holders lost it to
//!   storage faults and none of them got it back.
//!
//! What the log start has passed is gone for good and no loss; of what a cleaner has rewritten only the latest record of
//! each key is promised, which this property does not know. Two leaderships may acknowledge two values at one offset
//! if an election between them gave the first one up, or if the first one had promised it alone.

use std::collections::BTreeMap;

use super::ground::{Ground, Partition, lost_in_words};
use super::verdict::{Audit, Findings, PermittedLoss, Reason};
use crate::base::{LeaderEpoch, Offset, TopicPartition};
use crate::world::history::{Op, Promise, Value};

/// What one leadership acknowledged at one offset.
type Acks = BTreeMap<(Offset, LeaderEpoch), (Value, Promise)>;

#[derive(Default)]
pub(super) struct AckedDurable {
    acked: BTreeMap<TopicPartition, Acks>,
    /// Values of `acks=0`, which learn no offset.
    sent: BTreeMap<TopicPartition, Vec<Value>>,
}

impl AckedDurable {
    pub(super) fn client(&mut self, op: &Op, ground: &Ground, out: &mut Findings) {
        let Op::Acked { value, tp, offset, promise, sent_to } = op else { return };
        if *promise == Promise::Nothing {
            return self.sent.entry(tp.clone()).or_default().push(*value);
        }
        let partition = ground.partition(tp);
        let all = *promise == Promise::All;
        let epoch = partition.and_then(|p| p.acknowledged_in(*offset, *sent_to, all));
        if all && epoch.is_none() {
            out.report(
                "ACK",
                Some("lost-write"),
                format!(
                    "{tp}: {value} was acknowledged with acks=all at {offset}, but the high watermark of whoever leads or led \
                     in epoch {sent_to} never passed it"
                ),
            );
        }
        let epoch = epoch.unwrap_or(*sent_to);
        let acks = self.acked.entry(tp.clone()).or_default();
        if let Some(other) = contradicted(acks, *offset, epoch, (*value, *promise), partition) {
            out.report(
                "ACK",
                Some("inconsistent-offsets"),
                format!("{tp}: offset {offset} was acknowledged to both {other} and {value}"),
            );
        }
        acks.insert((*offset, epoch), (*value, *promise));
    }

    pub(super) fn audit(&mut self, audit: &Audit, ground: &Ground, out: &mut Findings) {
        let partition = ground.partition(&audit.tp);
        let told = partition.map_or(Offset::ZERO, |p| p.log_start);
        if audit.start > told {
            out.report(
                "ACK",
                Some("lost-write"),
                format!(
                    "{}: the log starts at {}, but no replica has moved its start beyond {told}",
                    audit.tp, audit.start
                ),
            );
        }
        let read: BTreeMap<Offset, Option<Value>> = audit.records.iter().copied().collect();
        // Below it records may be gone; the start that was told last counts, because it may move while the audit reads.
        let told = partition.map_or(told, |p| told.max(p.compacted));
        let acks = self.acked.get(&audit.tp).into_iter().flat_map(|acks| acks.range((told, LeaderEpoch(i32::MIN))..));
        for (&(offset, epoch), &(value, promise)) in acks {
            if read.get(&offset) == Some(&Some(value)) {
                continue;
            }
            out.lost += 1;
            let min_isr = ground.promises().rules(&audit.tp.topic).min_isr;
            match permission(promise, offset, epoch, partition, min_isr) {
                Some((reason, detail)) => {
                    out.permitted.push(PermittedLoss { value, tp: audit.tp.clone(), offset, reason, detail });
                }
                None => out.report("ACK", Some("lost-write"), evidence(audit, &read, offset, value, partition)),
            }
        }
        self.unplaced(audit, told, out);
    }

    /// Counts what `acks=0` lost; where the log start has moved nobody can tell it from what retention took.
    fn unplaced(&self, audit: &Audit, log_start: Offset, out: &mut Findings) {
        let Some(sent) = self.sent.get(&audit.tp).filter(|_| log_start == Offset::ZERO) else { return };
        let mut there: Vec<_> = audit.records.iter().filter_map(|(_, value)| *value).collect();
        there.sort_unstable();
        for value in sent.iter().filter(|value| there.binary_search(value).is_err()) {
            out.lost += 1;
            let detail = "written with acks=0, which promises nothing".to_owned();
            let (tp, offset, reason) = (audit.tp.clone(), Offset::NONE, Reason::AcksZero);
            out.permitted.push(PermittedLoss { value: *value, tp, offset, reason, detail });
        }
    }
}

/// Another value that holds the same offset by a promise which nothing has ended.
fn contradicted(
    acks: &Acks,
    offset: Offset,
    epoch: LeaderEpoch,
    (value, promise): (Value, Promise),
    partition: Option<&Partition>,
) -> Option<Value> {
    let at_offset = acks.range((offset, LeaderEpoch(i32::MIN))..=(offset, LeaderEpoch(i32::MAX)));
    let lasting = |other: LeaderEpoch, others: Promise| {
        let (older, newer) = (epoch.min(other), epoch.max(other));
        let both_committed = promise == Promise::All && others == Promise::All;
        let ended = partition.and_then(|p| p.given_up(offset, older)).is_some_and(|r| r.epoch <= newer);
        older == newer || (both_committed && !ended)
    };
    at_offset.map(|((_, e), (v, p))| (*e, *v, *p)).find(|(e, v, p)| *v != value && lasting(*e, *p)).map(|(_, v, _)| v)
}

fn permission(
    promise: Promise,
    offset: Offset,
    epoch: LeaderEpoch,
    p: Option<&Partition>,
    min_isr: usize,
) -> Option<(Reason, String)> {
    if promise != Promise::All {
        return Some((Reason::AcksOne, "written with acks=1, which only the leader had promised".to_owned()));
    }
    let p = p?;
    if let Some(restart) = p.given_up(offset, epoch) {
        return Some((restart.reason, restart.detail.clone()));
    }
    let losers: Vec<_> = p.losers(offset, epoch).iter().map(|id| id.0).collect();
    let needed = min_isr.min(p.latest().map_or(usize::MAX, |f| f.replicas.len()));
    (losers.len() >= needed).then(|| (Reason::StorageFaults, lost_in_words(&losers)))
}

fn evidence(
    audit: &Audit,
    read: &BTreeMap<Offset, Option<Value>>,
    offset: Offset,
    value: Value,
    partition: Option<&Partition>,
) -> String {
    let found = match read.get(&offset) {
        Some(Some(other)) => format!("{other} stands there"),
        Some(None) => "bytes that nobody wrote stand there".to_owned(),
        None => format!("the log ends at {}", audit.end),
    };
    format!("{}: {value} was acknowledged at {offset} and is gone: {found}; {}", audit.tp, holders(offset, partition))
}

fn holders(offset: Offset, p: Option<&Partition>) -> String {
    let Some(p) = p else { return "no replica was ever seen".to_owned() };
    let losers = p.losers(offset, LeaderEpoch(i32::MAX));
    let parts: Vec<_> = p
        .replicas
        .iter()
        .map(|(node, r)| {
            let lost = if losers.contains(node) { ", lost to a storage fault" } else { "" };
            format!("broker {node} holds {}..{}{lost}", r.start, r.end())
        })
        .collect();
    parts.join("; ")
}
