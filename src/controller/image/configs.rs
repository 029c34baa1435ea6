//! Dynamic configuration of topics and brokers, as the metadata log holds it.
//!
//! A topic's own entry comes first, then the entry of the broker that asks, then that of all brokers (Kafka's
//! `KafkaConfigSchema`); whoever asks knows what stands in its file.

use std::sync::Arc;

use super::{Entries, Image};
use crate::base::BrokerId;

/// Topic config: the smallest ISR that `acks=all` accepts.
pub const MIN_INSYNC_REPLICAS: &str = "min.insync.replicas";
/// Topic config: elect from outside the ISR when nothing else is left.
pub const UNCLEAN_LEADER_ELECTION: &str = "unclean.leader.election.enable";

/// Topic config: which leaders count and hold back what they send to replicas that are not in sync (KIP-73).
pub const LEADER_THROTTLED_REPLICAS: &str = "leader.replication.throttled.replicas";
/// Topic config: which followers count and hold back what they take while they are not in sync.
pub const FOLLOWER_THROTTLED_REPLICAS: &str = "follower.replication.throttled.replicas";
/// Broker config: how fast a broker may send to throttled replicas, in bytes a second.
pub const LEADER_THROTTLED_RATE: &str = "leader.replication.throttled.rate";
/// Broker config: how fast a broker's throttled replicas may take, in bytes a second.
pub const FOLLOWER_THROTTLED_RATE: &str = "follower.replication.throttled.rate";

/// What a configuration belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConfigResource {
    /// One topic.
    Topic(Arc<str>),
    /// One broker.
    Broker(BrokerId),
    /// All brokers that have no entry of their own.
    ClusterDefault,
}

impl Image {
    /// All dynamic entries of a resource.
    #[must_use]
    pub fn config(&self, resource: &ConfigResource) -> Option<&Entries> {
        self.configs.get(resource)
    }
    /// A topic's own entry for `key`; the caller knows the default.
    #[must_use]
    pub fn topic_config(&self, topic: &Arc<str>, key: &str) -> Option<&str> {
        if self.configs.is_empty() {
            return None;
        }
        self.entry(&ConfigResource::Topic(Arc::clone(topic)), key)
    }
    /// What holds for a broker: its own entry, else that of all brokers.
    #[must_use]
    pub fn broker_config(&self, broker: BrokerId, key: &str) -> Option<&str> {
        self.entry(&ConfigResource::Broker(broker), key).or_else(|| self.entry(&ConfigResource::ClusterDefault, key))
    }
    /// What holds for a topic on `broker`: the topic's entry for `key`, else what holds there for `broker_key`.
    #[must_use]
    pub fn effective_config(&self, topic: &Arc<str>, broker: BrokerId, key: &str, broker_key: &str) -> Option<&str> {
        self.topic_config(topic, key).or_else(|| self.broker_config(broker, broker_key))
    }
    /// A topic's `min.insync.replicas` as `broker` sees it, or `default`; never above the number of replicas (KIP-966).
    #[must_use]
    pub fn min_insync_replicas(&self, topic: &Arc<str>, broker: BrokerId, replicas: usize, default: usize) -> usize {
        let text = self.effective_config(topic, broker, MIN_INSYNC_REPLICAS, MIN_INSYNC_REPLICAS);
        text.and_then(|text| text.trim().parse().ok()).unwrap_or(default).min(replicas)
    }
    /// A topic's `unclean.leader.election.enable` as `broker` sees it, or `default`.
    #[must_use]
    pub fn unclean_leader_election(&self, topic: &Arc<str>, broker: BrokerId, default: bool) -> bool {
        let text = self.effective_config(topic, broker, UNCLEAN_LEADER_ELECTION, UNCLEAN_LEADER_ELECTION);
        text.map_or(default, |text| text.trim() == "true")
    }

    fn entry(&self, resource: &ConfigResource, key: &str) -> Option<&str> {
        self.configs.get(resource)?.get(key).map(String::as_str)
    }
}
