//! The ground truth of every partition, rebuilt from probes alone: each replica's log batch by batch, the committed
//! log as the leaders exposed it, and the controller's latest word.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::base::{BrokerEpoch, BrokerId, LeaderEpoch, Offset, TopicPartition};
use crate::broker::probe::{BatchMark, Event, PartitionFacts};

/// One replica as its own node tells it.
#[derive(Clone, Debug, Default)]
pub struct Replica {
    /// The process runs and has loaded this log.
    pub up: bool,
    /// What the log holds.
    pub batches: Vec<BatchMark>,
    /// First offset that is still there.
    pub start: Offset,
    /// The high watermark as this replica knows it.
    pub high_watermark: Offset,
    /// The epoch in which it presumes to lead.
    pub leading: Option<LeaderEpoch>,
    /// Below this offset it is known to agree with the committed log.
    pub agreed: Offset,
    /// A storage fault hit the node and its new incarnation has not registered yet.
    pub excused: bool,
    /// The last process end was a storage fault, so the next load may find less.
    pub storage_fault: bool,
    /// Offsets that storage faults took from this replica.
    pub lost: Vec<Range<i64>>,
}

impl Replica {
    /// The next offset after what the log holds.
    #[must_use]
    pub fn end(&self) -> Offset {
        self.batches.last().map_or(self.start, |b| b.next)
    }
    /// Moves the known agreement with the committed log forward as far as it goes. Below `compacted` each replica cleans at its
    /// own time, and only the latest record of a key is promised.
    fn advance_agreement(&mut self, committed: &[BatchMark], compacted: Offset) {
        self.agreed = self.agreed.max(self.start).max(compacted.min(self.end()));
        // A log start may cut through a batch: what is left of it counts with the whole batch.
        while let (Some(theirs), Some(ours)) =
            (batch_over(committed, self.agreed), batch_over(&self.batches, self.agreed))
        {
            if ours != theirs {
                break;
            }
            self.agreed = ours.next;
        }
    }
    fn truncate(&mut self, to: Offset, start: Offset) {
        let keep = self.batches.partition_point(|b| b.next <= to);
        self.batches.truncate(keep);
        self.start = start;
        self.batches.retain(|b| b.next > start);
        self.agreed = self.agreed.min(to).max(start);
    }
    fn compact(&mut self, base: Offset, next: Offset, batches: &[BatchMark]) {
        let from = self.batches.partition_point(|b| b.next <= base);
        let to = self.batches.partition_point(|b| b.base < next);
        self.batches.splice(from..to, batches.iter().copied());
    }
    fn start_at(&mut self, start: Offset) {
        self.start = start;
        self.batches.retain(|b| b.next > start);
        self.agreed = self.agreed.max(start);
    }
    fn load(&mut self, start: Offset, high_watermark: Offset, batches: &[BatchMark]) {
        let before = self.end();
        let after = batches.last().map_or(start, |b| b.next);
        if self.storage_fault && after < before {
            self.lost.push(after.0..before.0);
        }
        *self = Self {
            up: true,
            batches: batches.to_vec(),
            start,
            high_watermark,
            leading: None,
            agreed: start,
            excused: self.excused,
            storage_fault: false,
            lost: std::mem::take(&mut self.lost),
        };
    }
}

/// One partition.
#[derive(Clone, Debug, Default)]
pub struct Partition {
    /// The controller's latest committed word, and the metadata offset that it stands at.
    pub facts: Option<(Offset, PartitionFacts)>,
    /// What legitimate leaders have exposed: everything below `true_hw`.
    pub committed: Vec<BatchMark>,
    /// The largest high watermark that a legitimate leader has exposed.
    pub true_hw: Offset,
    /// The largest high watermark that anyone who led has exposed.
    pub exposed_hw: Offset,
    /// The largest log start that any replica has told: below it records may be gone, by retention or DeleteRecords.
    pub log_start: Offset,
    /// Below this offset some replica's log is compacted.
    pub compacted: Offset,
    /// Unclean elections so far; each one restarts the loss-related properties from the new leader's log.
    pub unclean_elections: usize,
    /// All replicas that were ever seen.
    pub replicas: BTreeMap<BrokerId, Replica>,
}

impl Partition {
    /// The latest facts without their offset.
    #[must_use]
    pub fn latest(&self) -> Option<&PartitionFacts> {
        self.facts.as_ref().map(|(_, f)| f)
    }
    /// True if `replica` holds everything that was committed and is still retained by it.
    #[must_use]
    pub fn is_complete(&self, replica: &Replica) -> bool {
        replica.agreed >= self.true_hw
    }
    fn expose(&mut self, node: BrokerId, epoch: LeaderEpoch, high_watermark: Offset) {
        self.exposed_hw = self.exposed_hw.max(high_watermark);
        let current = self.latest().is_none_or(|f| epoch >= f.leader_epoch);
        if !current || high_watermark <= self.true_hw {
            return;
        }
        let Some(leader) = self.replicas.get(&node) else { return };
        if leader.agreed < self.true_hw {
            return; // leader completeness reports this one; its log is not the committed one
        }
        let from = leader.batches.partition_point(|b| b.base < self.true_hw);
        let new: Vec<_> = leader.batches[from..].iter().take_while(|b| b.next <= high_watermark).copied().collect();
        self.committed.extend(new);
        self.true_hw = self.committed.last().map_or(self.true_hw, |b| b.next);
        for replica in self.replicas.values_mut() {
            replica.advance_agreement(&self.committed, self.compacted);
        }
    }
    fn decide(&mut self, offset: Offset, facts: &PartitionFacts) {
        if self.facts.as_ref().is_some_and(|(at, _)| *at >= offset) {
            return;
        }
        let unclean = facts.recovering && facts.leader != BrokerId::NONE;
        let newly = self.latest().is_none_or(|old| old.leader_epoch != facts.leader_epoch);
        if unclean && newly {
            self.unclean_elections += 1;
            let kept = self.replicas.get(&facts.leader).map_or(Offset::ZERO, |r| r.agreed);
            self.committed.retain(|b| b.next <= kept);
            self.true_hw = self.true_hw.min(kept);
        }
        self.facts = Some((offset, facts.clone()));
    }
}

/// The batch that holds `offset`; it is nearly always the last one or not there yet.
fn batch_over(batches: &[BatchMark], offset: Offset) -> Option<&BatchMark> {
    let holds = |b: &&BatchMark| b.base <= offset && offset < b.next;
    match batches.last() {
        Some(last) if last.base > offset => batches.get(batches.partition_point(|b| b.next <= offset)).filter(holds),
        last => last.filter(holds),
    }
}

/// Everything that probes have shown of partitions and brokers.
#[derive(Clone, Debug, Default)]
pub struct Ground {
    partitions: BTreeMap<TopicPartition, Partition>,
    registrations: BTreeMap<BrokerId, BrokerEpoch>,
    down: BTreeSet<BrokerId>,
}

impl Ground {
    /// All partitions.
    pub fn partitions(&self) -> impl Iterator<Item = (&TopicPartition, &Partition)> {
        self.partitions.iter()
    }
    /// One partition.
    #[must_use]
    pub fn partition(&self, tp: &TopicPartition) -> Option<&Partition> {
        self.partitions.get(tp)
    }
    /// True if records may be missing from all of `skipped`: it lies below a log start that some replica has told.
    #[must_use]
    pub fn is_gone(&self, tp: &TopicPartition, skipped: std::ops::Range<Offset>) -> bool {
        skipped.start < skipped.end && self.partition(tp).is_some_and(|p| skipped.end <= p.log_start)
    }
    /// Nodes whose process does not run.
    #[must_use]
    pub fn is_down(&self, node: BrokerId) -> bool {
        self.down.contains(&node)
    }
    /// A process ended.
    pub fn node_down(&mut self, node: BrokerId, storage_fault: bool) {
        self.down.insert(node);
        for replica in self.partitions.values_mut().filter_map(|p| p.replicas.get_mut(&node)) {
            replica.up = false;
            replica.leading = None;
            replica.excused |= storage_fault;
            replica.storage_fault |= storage_fault;
        }
    }
    /// A node's disk has lost or spoiled something; the node may well run on and not know.
    pub fn disk_harmed(&mut self, node: BrokerId) {
        for replica in self.partitions.values_mut().filter_map(|p| p.replicas.get_mut(&node)) {
            replica.excused = true;
            replica.storage_fault = true;
        }
    }
    /// Takes in a fact; names the partition that it changed, if any.
    pub fn observe(&mut self, node: BrokerId, event: &Event) -> Option<TopicPartition> {
        match event {
            Event::Started => {
                self.down.remove(&node);
                None
            }
            Event::BrokerRegistered { broker, epoch } => {
                let known = self.registrations.entry(*broker).or_insert(BrokerEpoch::NONE);
                if *epoch > *known {
                    *known = *epoch;
                    for r in self.partitions.values_mut().filter_map(|p| p.replicas.get_mut(broker)) {
                        r.excused = false;
                    }
                }
                None
            }
            Event::PartitionChanged { tp, facts, offset } => {
                self.partitions.entry(tp.clone()).or_default().decide(*offset, facts);
                Some(tp.clone())
            }
            Event::PartitionRemoved { tp, .. } => {
                self.partitions.remove(tp);
                None
            }
            Event::LogRemoved { tp } => {
                if let Some(p) = self.partitions.get_mut(tp) {
                    p.replicas.remove(&node);
                }
                None
            }
            _ => self.observe_replica(node, event),
        }
    }
    fn observe_replica(&mut self, node: BrokerId, event: &Event) -> Option<TopicPartition> {
        let tp = match event {
            Event::LogLoaded { tp, .. }
            | Event::LogAppended { tp, .. }
            | Event::LogTruncated { tp, .. }
            | Event::LogStart { tp, .. }
            | Event::LogCompacted { tp, .. }
            | Event::LeaderStarted { tp, .. }
            | Event::FollowerStarted { tp, .. }
            | Event::HighWatermark { tp, .. } => tp,
            _ => return None,
        };
        let partition = self.partitions.entry(tp.clone()).or_default();
        let replica = partition.replicas.entry(node).or_default();
        match event {
            Event::LogLoaded { start, high_watermark, batches, .. } => replica.load(*start, *high_watermark, batches),
            Event::LogAppended { batches, .. } => replica.batches.extend_from_slice(batches),
            Event::LogTruncated { to, start, .. } => replica.truncate(*to, *start),
            Event::LogStart { start, .. } => replica.start_at(*start),
            Event::LogCompacted { base, next, batches, .. } => {
                replica.compact(*base, *next, batches);
                partition.compacted = partition.compacted.max(*next);
            }
            Event::LeaderStarted { epoch, high_watermark, .. } => {
                replica.leading = Some(*epoch);
                replica.high_watermark = *high_watermark;
            }
            Event::FollowerStarted { .. } => replica.leading = None,
            Event::HighWatermark { high_watermark, .. } => replica.high_watermark = *high_watermark,
            _ => {}
        }
        partition.log_start = partition.log_start.max(replica.start);
        replica.advance_agreement(&partition.committed, partition.compacted);
        if let Event::HighWatermark { leading: true, epoch, high_watermark, .. } = event {
            partition.expose(node, *epoch, *high_watermark);
        }
        Some(tp.clone())
    }
}
