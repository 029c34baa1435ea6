//! The ground truth of the metadata quorum: each voter's log as its own probes tell it, durable or not, and the one
//! committed log that all of them must share.

use std::collections::{BTreeMap, BTreeSet};

use super::verdict::Findings;
use crate::base::{BrokerId, Offset};
use crate::broker::probe::{BatchMark, Event, SnapshotId};

/// One node's metadata log.
#[derive(Clone, Debug, Default)]
pub(super) struct MetadataLog {
    /// What it holds.
    pub(super) batches: Vec<BatchMark>,
    /// Everything below is on its device.
    pub(super) durable: Offset,
    /// The snapshots on its device: each stands for everything below its end.
    snapshots: BTreeSet<SnapshotId>,
    /// Its high watermark.
    pub(super) high_watermark: Offset,
}

impl MetadataLog {
    /// The end of the latest snapshot.
    pub(super) fn snapshot_end(&self) -> Offset {
        self.snapshots.last().map_or(Offset::ZERO, |id| id.offset)
    }
    fn truncate(&mut self, to: Offset) {
        let keep = self.batches.partition_point(|b| b.next <= to);
        self.batches.truncate(keep);
        self.durable = self.durable.min(to);
    }
}

/// All metadata logs and the committed one.
#[derive(Debug, Default)]
pub(super) struct Quorum {
    voters: Vec<BrokerId>,
    pub(super) logs: BTreeMap<BrokerId, MetadataLog>,
    pub(super) committed: Vec<BatchMark>,
}

impl Quorum {
    pub(super) fn new(voters: &[BrokerId]) -> Self {
        Self { voters: voters.to_vec(), ..Self::default() }
    }
    /// The end of what any node has called committed.
    pub(super) fn committed_end(&self) -> Offset {
        self.committed.last().map_or(Offset::ZERO, |b| b.next)
    }
    /// Voters whose device holds the committed log below `end`.
    pub(super) fn durable_on(&self, end: Offset) -> Vec<BrokerId> {
        let mark = self.committed[..self.committed.partition_point(|b| b.next <= end)].last();
        let holds = |log: &MetadataLog| {
            mark.is_none_or(|m| {
                let in_log = || log.batches.binary_search_by_key(&m.base, |b| b.base).is_ok();
                log.snapshot_end() >= m.next || (log.durable >= m.next && in_log())
            })
        };
        self.voters.iter().copied().filter(|v| self.logs.get(v).is_some_and(holds)).collect()
    }
    /// How many voters make a majority.
    pub(super) fn majority(&self) -> usize {
        self.voters.len() / 2 + 1
    }
    pub(super) fn is_voter(&self, node: BrokerId) -> bool {
        self.voters.contains(&node)
    }
    /// A process ended; its log will be told anew by `RaftLoaded`.
    pub(super) fn node_down(&mut self, node: BrokerId) {
        if let Some(log) = self.logs.get_mut(&node) {
            log.high_watermark = Offset::ZERO;
        }
    }
    /// Takes in a fact; returns the end of the committed log if the event made it grow.
    pub(super) fn observe(&mut self, node: BrokerId, event: &Event, out: &mut Findings) -> Option<Offset> {
        let log = self.logs.entry(node).or_default();
        match event {
            Event::RaftLoaded { start, batches, snapshots } => {
                let durable = batches.last().map_or(*start, |b| b.next);
                let (batches, snapshots) = (batches.clone(), snapshots.iter().copied().collect());
                *log = MetadataLog { batches, durable, snapshots, high_watermark: Offset::ZERO };
                log.snapshots.clone().into_iter().for_each(|id| self.check_snapshot(node, id, out));
            }
            Event::SnapshotStored { snapshot } => {
                log.snapshots.insert(*snapshot);
                self.check_snapshot(node, *snapshot, out);
            }
            Event::SnapshotDeleted { snapshot } => {
                log.snapshots.remove(snapshot);
            }
            Event::RaftStartedAnew { snapshot } => {
                log.batches.clear();
                log.durable = snapshot.offset;
            }
            Event::RaftAppended { batches } => log.batches.extend_from_slice(batches),
            Event::RaftSynced { end } => log.durable = log.durable.max(*end),
            Event::RaftTruncated { to } => log.truncate(*to),
            Event::RaftCommitted { high_watermark } => return self.commit(node, *high_watermark, out),
            _ => {}
        }
        None
    }
    /// A snapshot covers what is committed, whole batches of it, and is named after the epoch of the last.
    fn check_snapshot(&self, node: BrokerId, id: SnapshotId, out: &mut Findings) {
        let last = self.committed.binary_search_by_key(&id.offset, |b| b.next).ok().map(|i| self.committed[i]);
        if last.is_none_or(|b| b.epoch != id.epoch) {
            out.report(
                "RAFT-COMMIT",
                None,
                format!("node {node}'s snapshot {id} does not end with a committed batch of its epoch ({last:?})"),
            );
        }
    }
    fn commit(&mut self, node: BrokerId, high_watermark: Offset, out: &mut Findings) -> Option<Offset> {
        let end = self.committed_end();
        let log = self.logs.get_mut(&node)?;
        if high_watermark < log.high_watermark {
            out.report(
                "RAFT-COMMIT",
                None,
                format!("node {node}'s metadata high watermark fell from {} to {high_watermark}", log.high_watermark),
            );
        }
        let from = log.high_watermark;
        log.high_watermark = high_watermark;
        let first = log.batches.partition_point(|b| b.base < from);
        let newly: Vec<_> = log.batches[first..].iter().take_while(|b| b.next <= high_watermark).copied().collect();
        let mut grown = false;
        for batch in &newly {
            match self.committed.binary_search_by_key(&batch.base, |b| b.base) {
                Ok(i) if self.committed[i] == *batch => {}
                Err(i) if i == self.committed.len() && batch.base == self.committed_end() => {
                    self.committed.push(*batch);
                    grown = true;
                }
                at => {
                    let known = at.ok().map(|i| self.committed[i]);
                    out.report(
                        "RAFT-COMMIT",
                        None,
                        format!("node {node} committed {batch:?} where {known:?} stands (committed end {end})"),
                    );
                    break;
                }
            }
        }
        grown.then(|| self.committed_end())
    }
}
