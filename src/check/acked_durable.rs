//! ACK: every value acknowledged with `acks=all` is in the log at its acknowledged offset after healing, unless the
//! contract permits its loss. Cheap form: an acknowledgement never runs ahead of the high watermark.
//!
//! No stricter: Kafka does not fsync on acknowledgement, so a loss is permitted when at least `min.insync.replicas`
//! holders of that very record lost it to storage faults, or after an unclean election that the configuration allows,
//! or with acks below all, or when the log start has passed it.

use std::collections::BTreeMap;

use super::Promises;
use super::ground::{Ground, Partition};
use super::verdict::{Audit, Findings, PermittedLoss};
use crate::base::{Offset, TopicPartition};
use crate::world::history::{Op, Promise, Value};

#[derive(Default)]
pub(super) struct AckedDurable {
    acked: BTreeMap<TopicPartition, BTreeMap<Offset, (Value, Promise)>>,
}

impl AckedDurable {
    pub(super) fn client(&mut self, op: &Op, ground: &Ground, out: &mut Findings) {
        let Op::Acked { value, tp, offset, promise } = op else { return };
        if *promise == Promise::Nothing {
            return; // acks=0 learns no offset
        }
        if *promise == Promise::All {
            let exposed = ground.partition(tp).map_or(Offset::ZERO, |p| p.exposed_hw);
            if *offset >= exposed {
                out.report(
                    "ACK",
                    Some("lost-write"),
                    format!(
                        "{tp}: {value} was acknowledged with acks=all at {offset} while no leader had a high watermark above \
                         {exposed}"
                    ),
                );
            }
        }
        if let Some((other, _)) = self.acked.entry(tp.clone()).or_default().insert(*offset, (*value, *promise))
            && other != *value
        {
            out.report(
                "ACK",
                Some("inconsistent-offsets"),
                format!("{tp}: offset {offset} was acknowledged to both {other} and {value}"),
            );
        }
    }

    pub(super) fn audit(&mut self, audit: &Audit, ground: &Ground, promises: &Promises, out: &mut Findings) {
        let Some(acked) = self.acked.get(&audit.tp) else { return };
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
        for (offset, (value, promise)) in acked.range(told..) {
            if read.get(offset) == Some(&Some(*value)) {
                continue;
            }
            out.lost += 1;
            let found = match read.get(offset) {
                Some(Some(other)) => format!("{other} stands there"),
                Some(None) => "bytes that nobody wrote stand there".to_owned(),
                None => format!("the log ends at {}", audit.end),
            };
            match permission(*promise, *offset, partition, promises) {
                Some(reason) => {
                    out.permitted.push(PermittedLoss { value: *value, tp: audit.tp.clone(), offset: *offset, reason })
                }
                None => out.report(
                    "ACK",
                    Some("lost-write"),
                    format!(
                        "{}: {value} was acknowledged at {offset} and is gone: {found}; {}",
                        audit.tp,
                        holders(*offset, partition)
                    ),
                ),
            }
        }
    }
}

fn permission(promise: Promise, offset: Offset, p: Option<&Partition>, promises: &Promises) -> Option<String> {
    if promise != Promise::All {
        return Some("written with acks below all".to_owned());
    }
    let p = p?;
    if p.unclean_elections > 0 {
        return Some("an unclean election discarded it".to_owned());
    }
    let losers: Vec<_> =
        p.replicas.iter().filter(|(_, r)| r.lost.iter().any(|l| l.contains(&offset.0))).map(|(n, _)| n.0).collect();
    let needed = promises.min_isr.min(p.latest().map_or(usize::MAX, |f| f.replicas.len()));
    (losers.len() >= needed).then(|| format!("brokers {losers:?} lost it to storage faults before it was synced"))
}

fn holders(offset: Offset, p: Option<&Partition>) -> String {
    let Some(p) = p else { return "no replica was ever seen".to_owned() };
    let parts: Vec<_> = p
        .replicas
        .iter()
        .map(|(node, r)| {
            let lost = if r.lost.iter().any(|l| l.contains(&offset.0)) { ", lost to a storage fault" } else { "" };
            format!("broker {node} holds {}..{}{lost}", r.start, r.end())
        })
        .collect();
    parts.join("; ")
}
