//! The ground truth of every partition, rebuilt from probes alone: each replica's log batch by batch, the committed
//! log as the leaders exposed it, and the controller's latest word.

mod partition;
mod replica;
mod restart;

use std::collections::{BTreeMap, BTreeSet};

use super::Promises;
use crate::base::{BrokerEpoch, BrokerId, Offset, TopicPartition};
use crate::broker::probe::Event;
pub(super) use partition::lost_in_words;
pub use partition::{Partition, Rules};
pub use replica::Replica;
pub use restart::Restart;

/// Everything that probes have shown of partitions and brokers.
#[derive(Clone, Debug, Default)]
pub struct Ground {
    promises: Promises,
    partitions: BTreeMap<TopicPartition, Partition>,
    registrations: BTreeMap<BrokerId, BrokerEpoch>,
    down: BTreeSet<BrokerId>,
    restarts: Vec<(TopicPartition, Restart)>,
}

impl Ground {
    /// Nothing was shown yet of a cluster that promises so much.
    #[must_use]
    pub fn new(promises: Promises) -> Self {
        Self { promises, ..Self::default() }
    }
    /// What the configuration promises.
    #[must_use]
    pub fn promises(&self) -> &Promises {
        &self.promises
    }
    pub(super) fn promises_mut(&mut self) -> &mut Promises {
        &mut self.promises
    }
    /// Elections since this was asked last that gave up what was committed.
    pub(super) fn take_restarts(&mut self) -> Vec<(TopicPartition, Restart)> {
        std::mem::take(&mut self.restarts)
    }
    /// All partitions.
    pub fn partitions(&self) -> impl Iterator<Item = (&TopicPartition, &Partition)> {
        self.partitions.iter()
    }
    /// One partition.
    #[must_use]
    pub fn partition(&self, tp: &TopicPartition) -> Option<&Partition> {
        self.partitions.get(tp)
    }
    /// True if records may be missing from all of `skipped`: it lies below a log start that some replica has told, or below
    /// a cleaner's mark.
    #[must_use]
    pub fn is_gone(&self, tp: &TopicPartition, skipped: std::ops::Range<Offset>) -> bool {
        skipped.start < skipped.end && self.partition(tp).is_some_and(|p| skipped.end <= p.log_start.max(p.compacted))
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
            replica.went_down(storage_fault);
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
                let rules = self.promises.rules(&tp.topic);
                let partition = self.partitions.entry(tp.clone()).or_default();
                if !facts.replicas.contains(&node) && partition.replicas.contains_key(&node) {
                    partition.dismissed.insert(node);
                }
                if let Some(restart) = partition.decide(*offset, facts, &rules) {
                    self.restarts.push((tp.clone(), restart.clone()));
                }
                Some(tp.clone())
            }
            Event::PartitionRemoved { tp, .. } => {
                self.partitions.remove(tp);
                None
            }
            Event::LogRemoved { tp } => {
                if let Some(p) = self.partitions.get_mut(tp) {
                    p.replicas.remove(&node);
                    p.dismissed.remove(&node);
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
            | Event::LogSwapping { tp, .. }
            | Event::LogCompacted { tp, .. }
            | Event::LeaderStarted { tp, .. }
            | Event::FollowerStarted { tp, .. }
            | Event::HighWatermark { tp, .. } => tp,
            _ => return None,
        };
        self.partitions.entry(tp.clone()).or_default().observe(node, event);
        Some(tp.clone())
    }
}
