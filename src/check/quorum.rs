//! The ground truth of the metadata quorum: each voter's log as its own probes tell it, durable or not, and the one
//! committed log that all of them must share.

use std::collections::BTreeMap;

use super::verdict::Findings;
use crate::base::{BrokerId, Offset};
use crate::broker::probe::{BatchMark, Event};

/// One node's metadata log.
#[derive(Clone, Debug, Default)]
pub(super) struct MetadataLog {
    /// What it holds.
    pub(super) batches: Vec<BatchMark>,
    /// Everything below is on its device.
    pub(super) durable: Offset,
    /// Its high watermark.
    pub(super) high_watermark: Offset,
}

impl MetadataLog {
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
            mark.is_none_or(|m| log.durable >= m.next && log.batches.binary_search_by_key(&m.base, |b| b.base).is_ok())
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
            Event::RaftLoaded { batches, .. } => {
                let end = batches.last().map_or(Offset::ZERO, |b| b.next);
                *log = MetadataLog { batches: batches.clone(), durable: end, high_watermark: Offset::ZERO };
            }
            Event::RaftAppended { batches } => log.batches.extend_from_slice(batches),
            Event::RaftSynced { end } => log.durable = log.durable.max(*end),
            Event::RaftTruncated { to } => log.truncate(*to),
            Event::RaftCommitted { high_watermark } => return self.commit(node, *high_watermark, out),
            _ => {}
        }
        None
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
