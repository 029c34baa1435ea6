//! Dynamic configuration of topics and brokers, as the metadata log holds it.

use std::sync::Arc;

use super::{Entries, Image};
use crate::base::BrokerId;

/// Topic config: the smallest ISR that `acks=all` accepts.
pub const MIN_INSYNC_REPLICAS: &str = "min.insync.replicas";
/// Topic config: elect from outside the ISR when nothing else is left.
pub const UNCLEAN_LEADER_ELECTION: &str = "unclean.leader.election.enable";

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
        self.configs.get(&ConfigResource::Topic(Arc::clone(topic)))?.get(key).map(String::as_str)
    }
    /// A topic's `min.insync.replicas`, or `default`; never above its replication factor (KIP-966).
    #[must_use]
    pub fn min_insync_replicas(&self, topic: &Arc<str>, replication_factor: usize, default: usize) -> usize {
        let own = self.topic_config(topic, MIN_INSYNC_REPLICAS).and_then(|text| text.trim().parse().ok());
        own.unwrap_or(default).min(replication_factor)
    }
    /// A topic's `unclean.leader.election.enable`, or `default`.
    #[must_use]
    pub fn unclean_leader_election(&self, topic: &Arc<str>, default: bool) -> bool {
        self.topic_config(topic, UNCLEAN_LEADER_ELECTION).map_or(default, |text| text.trim() == "true")
    }
}
