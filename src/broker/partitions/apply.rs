//! Committed metadata: which partitions are here, who leads them, who may be in sync. Never waits for a disk.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Partitions;
use super::partition::Partition;
use super::throttle::Side;
use crate::base::{BrokerId, TopicId};
use crate::controller::image::{
    self, Changes, ConfigResource, FOLLOWER_THROTTLED_RATE, FOLLOWER_THROTTLED_REPLICAS, Image, LEADER_THROTTLED_RATE,
    LEADER_THROTTLED_REPLICAS, Topic,
};
use crate::controller::throttled;
use crate::log::LogConfig;
use crate::replica::{BrokerLiveness, PartitionState, ReplicaConfig};

impl Partitions {
    /// Takes in `image`, of which `changes` differ from the one before. The first call looks at the whole image and
    /// removes logs that no longer belong here.
    ///
    /// A broker that starts must not apply metadata from before its own registration: it might take itself for the
    /// leader that it was in an earlier life.
    pub fn apply(&self, image: &Image, changes: &Changes) {
        *self.shared.image.write() = image.clone();
        if self.applied.swap(true, Ordering::Relaxed) {
            self.apply_brokers(image, changes.brokers.iter().copied());
            changes.removed_topics.keys().for_each(|id| self.remove_topic(*id));
            self.apply_configs(image, changes);
            for (id, index) in &changes.partitions {
                if let Some(topic) = image.topic_by_id(*id) {
                    self.apply_partition(image, topic, *index);
                }
            }
        } else {
            self.apply_brokers(image, image.brokers().map(|b| b.id));
            self.apply_rates(image);
            self.remove_strays(image);
            for topic in image.topics() {
                (0..).zip(&topic.partitions).for_each(|(index, _)| self.apply_partition(image, topic, index));
            }
        }
    }
    fn apply_brokers(&self, image: &Image, ids: impl Iterator<Item = BrokerId>) {
        let mut table = self.shared.brokers.write();
        for id in ids {
            match image.broker(id) {
                None => table.remove(id),
                Some(b) => {
                    let shutting_down = b.in_controlled_shutdown;
                    table.insert(id, BrokerLiveness { epoch: b.epoch, fenced: b.fenced, shutting_down });
                }
            }
        }
    }
    fn apply_configs(&self, image: &Image, changes: &Changes) {
        let me = self.shared.config.id;
        let everywhere = [ConfigResource::Broker(me), ConfigResource::ClusterDefault];
        if everywhere.iter().any(|resource| changes.configs.contains(resource)) {
            self.apply_rates(image);
            let local: Vec<_> = self.directory.read().iter().cloned().collect();
            for p in &local {
                if let Some(topic) = image.topic_by_id(p.topic_id) {
                    self.configure(image, topic, p);
                }
            }
            return;
        }
        for resource in &changes.configs {
            let ConfigResource::Topic(name) = resource else { continue };
            let Some(topic) = image.topic(name) else { continue };
            let local: Vec<_> = self.directory.read().of_topic(topic.id).cloned().collect();
            local.iter().for_each(|p| self.configure(image, topic, p));
        }
    }
    /// How fast throttled replicas may be copied from and to this broker.
    fn apply_rates(&self, image: &Image) {
        for (side, key) in [(Side::Leader, LEADER_THROTTLED_RATE), (Side::Follower, FOLLOWER_THROTTLED_RATE)] {
            let rate = image.broker_config(self.shared.config.id, key).and_then(|rate| rate.trim().parse().ok());
            self.shared.throttles.set_rate(side, rate.unwrap_or(u64::MAX));
        }
    }
    fn apply_partition(&self, image: &Image, topic: &Arc<Topic>, index: i32) {
        let Some(state) = topic.partition(index) else { return };
        if !state.replicas.contains(&self.shared.config.id) {
            self.remove(topic.id, index);
            return;
        }
        let local = self.directory.read().get(topic.id, index).cloned();
        let partition = local.unwrap_or_else(|| self.create(image, topic, index));
        partition.set_state(partition_state(state));
    }
    fn create(&self, image: &Image, topic: &Arc<Topic>, index: i32) -> Arc<Partition> {
        let (config, log) = (self.replica_config(image, topic), self.log_config(image, topic));
        let partition = Arc::new(Partition::new(self.shared.clone(), topic.name_of(index), topic.id, config, log));
        self.throttle(image, topic, &partition);
        self.directory.write().insert(partition.clone());
        self.logs.create(partition.clone());
        partition
    }
    /// Tells a partition what its topic's settings are by now.
    fn configure(&self, image: &Image, topic: &Topic, partition: &Arc<Partition>) {
        partition.reconfigure(self.replica_config(image, topic), self.log_config(image, topic));
        self.throttle(image, topic, partition);
    }
    /// Tells a partition whether its topic throttles the replica that is here.
    fn throttle(&self, image: &Image, topic: &Topic, partition: &Partition) {
        let (index, me) = (partition.tp.partition, self.shared.config.id);
        let named = |key| image.topic_config(&topic.name, key).is_some_and(|list| throttled::names(list, index, me));
        partition.throttled.set(named(LEADER_THROTTLED_REPLICAS), named(FOLLOWER_THROTTLED_REPLICAS));
    }
    fn replica_config(&self, image: &Image, topic: &Topic) -> ReplicaConfig {
        let config = &self.shared.config;
        ReplicaConfig {
            lag_time_max_ms: config.replica_lag_time_max_ms,
            min_insync_replicas: image.min_insync_replicas(
                &topic.name,
                config.id,
                usize::MAX,
                config.min_insync_replicas,
            ),
        }
    }
    fn log_config(&self, image: &Image, topic: &Topic) -> LogConfig {
        let mut config = self.shared.config.log;
        let me = self.shared.config.id;
        if let Some(max) = image.effective_config(&topic.name, me, "max.message.bytes", "message.max.bytes") {
            config.set("max.message.bytes", max);
        }
        let entries = image.config(&ConfigResource::Topic(topic.name.clone()));
        entries.into_iter().flatten().for_each(|(key, value)| config.set(key, value));
        config
    }
    fn remove_topic(&self, id: TopicId) {
        let local: Vec<_> = self.directory.read().of_topic(id).map(|p| p.tp.partition).collect();
        local.into_iter().for_each(|index| self.remove(id, index));
    }
    fn remove_strays(&self, image: &Image) {
        let mine = |p: &&Arc<Partition>| {
            let state = image.partition_by_id(p.topic_id, p.tp.partition);
            state.is_some_and(|s| s.replicas.contains(&self.shared.config.id))
        };
        let local: Vec<_> = self.directory.read().iter().cloned().collect();
        for p in &local {
            match image.topic_by_id(p.topic_id).filter(|_| mine(&p)) {
                Some(topic) => self.configure(image, topic, p),
                None => self.remove(p.topic_id, p.tp.partition),
            }
        }
    }
    fn remove(&self, id: TopicId, index: i32) {
        let removed = self.directory.write().remove(id, index);
        if let Some(partition) = removed {
            self.logs.remove(partition);
        }
    }
}

fn partition_state(p: &image::Partition) -> PartitionState {
    PartitionState {
        leader: p.leader,
        leader_epoch: p.leader_epoch,
        partition_epoch: p.partition_epoch,
        replicas: p.replicas.clone(),
        isr: p.isr.clone(),
    }
}
