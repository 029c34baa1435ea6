//! The cluster's metadata as replayed from the metadata log: the controller's memory and every broker's metadata cache.
//!
//! An [`Image`] is a value. Its tables hang behind `Arc`s, so a clone costs a few counters and shares everything that
//! does not change; a reader keeps the clone that it took. Nothing here decides anything: it repeats what records say.

mod broker;
mod changes;
mod configs;
mod replay;
mod snapshot;
mod topic;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use broker::{Broker, Endpoint};
pub use changes::{BrokerEvent, Changes};
pub use configs::{
    ConfigResource, FOLLOWER_THROTTLED_RATE, FOLLOWER_THROTTLED_REPLICAS, LEADER_THROTTLED_RATE,
    LEADER_THROTTLED_REPLICAS, MIN_INSYNC_REPLICAS, UNCLEAN_LEADER_ELECTION,
};
pub use replay::ReplayError;
pub use topic::{Partition, RecoveryState, Topic};

use crate::base::{BrokerId, Offset, ProducerId, TopicId, TopicPartition};
use crate::wire::records::RegisterControllerRecord;

/// The entries of one config resource: key to value.
pub type Entries = BTreeMap<String, String>;

/// The cluster's metadata up to one offset of the metadata log.
///
/// Invariants: `names` and `topics` name the same topics; a topic's partitions are numbered from 0 without gaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    next: Offset,
    topics: Arc<BTreeMap<TopicId, Arc<Topic>>>,
    names: Arc<BTreeMap<Arc<str>, TopicId>>,
    brokers: Arc<BTreeMap<BrokerId, Arc<Broker>>>,
    controllers: Arc<BTreeMap<BrokerId, Arc<RegisterControllerRecord>>>,
    configs: Arc<BTreeMap<ConfigResource, Entries>>,
    features: Arc<BTreeMap<String, i16>>,
    next_producer_id: ProducerId,
}

impl Default for Image {
    /// The image of an empty metadata log.
    fn default() -> Self {
        Self {
            next: Offset::ZERO,
            topics: Arc::default(),
            names: Arc::default(),
            brokers: Arc::default(),
            controllers: Arc::default(),
            configs: Arc::default(),
            features: Arc::default(),
            next_producer_id: ProducerId(0),
        }
    }
}

impl Image {
    /// The offset after the last one that was applied.
    #[must_use]
    pub fn next(&self) -> Offset {
        self.next
    }
    /// Notes that everything below `next` was seen: control batches of the quorum hold no metadata records.
    pub fn advance(&mut self, next: Offset) {
        self.next = self.next.max(next);
    }
    /// A topic by its name.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<&Arc<Topic>> {
        self.topics.get(self.names.get(name)?)
    }
    /// A topic by its id.
    #[must_use]
    pub fn topic_by_id(&self, id: TopicId) -> Option<&Arc<Topic>> {
        self.topics.get(&id)
    }
    /// A topic's id by its name.
    #[must_use]
    pub fn topic_id(&self, name: &str) -> Option<TopicId> {
        self.names.get(name).copied()
    }
    /// All topics, in the order of their names.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.names.values().map(|id| self.topics.get(id).expect("every name has its topic"))
    }
    /// One partition by its topic's name.
    #[must_use]
    pub fn partition(&self, tp: &TopicPartition) -> Option<&Arc<Partition>> {
        self.topic(&tp.topic)?.partition(tp.partition)
    }
    /// One partition by its topic's id.
    #[must_use]
    pub fn partition_by_id(&self, id: TopicId, partition: i32) -> Option<&Arc<Partition>> {
        self.topic_by_id(id)?.partition(partition)
    }
    /// A registered broker.
    #[must_use]
    pub fn broker(&self, id: BrokerId) -> Option<&Arc<Broker>> {
        self.brokers.get(&id)
    }
    /// All registered brokers, in the order of their ids.
    pub fn brokers(&self) -> impl Iterator<Item = &Arc<Broker>> {
        self.brokers.values()
    }
    /// A registered controller (KIP-919): whatever its latest registration says.
    #[must_use]
    pub fn controller(&self, id: BrokerId) -> Option<&Arc<RegisterControllerRecord>> {
        self.controllers.get(&id)
    }
    /// All registered controllers, in the order of their ids.
    pub fn controllers(&self) -> impl Iterator<Item = &Arc<RegisterControllerRecord>> {
        self.controllers.values()
    }
    /// True if `id` may lead and be in sync: registered, not fenced, not shutting down.
    #[must_use]
    pub fn is_active(&self, id: BrokerId) -> bool {
        self.broker(id).is_some_and(|b| b.is_active())
    }
    /// The level of a cluster feature, such as `metadata.version`.
    #[must_use]
    pub fn feature(&self, name: &str) -> Option<i16> {
        self.features.get(name).copied()
    }
    /// All cluster features and their levels.
    pub fn features(&self) -> impl Iterator<Item = (&str, i16)> {
        self.features.iter().map(|(name, level)| (name.as_str(), *level))
    }
    /// The first producer id that was not yet handed out.
    #[must_use]
    pub fn next_producer_id(&self) -> ProducerId {
        self.next_producer_id
    }
}
