//! The group coordinators of this broker: one for each partition of `__consumer_offsets` that it leads.
//!
//! Rules live in [`crate::group`]; this room finds the coordinator of a group, appends its records, tells it what is committed and
//! when time is up, loads it when this broker becomes leader and lets go of it when it no longer is.
//!
//! A coordinator serves once it has replayed everything that the log held when the leadership began *and* all of that is
//! committed: until then its clients are told COORDINATOR_LOAD_IN_PROGRESS, so that nobody ever hears of an offset that may yet be
//! lost.

mod loading;
mod serving;
mod shard;

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::ResponseError;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use self::shard::Shard;
use super::partitions::Partitions;
use super::probe::Probe;
use crate::base::{BrokerId, LeaderEpoch, Now, TopicPartition};
use crate::controller::image::Image;
use crate::group::{Coordinator, GroupConfig, Output, Reply, Ticket, TopicInfo, Topics};
use crate::io::{clock, task};

/// Where groups are kept.
pub const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// See the module.
pub struct Groups {
    me: BrokerId,
    config: GroupConfig,
    partitions: Partitions,
    probe: Probe,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    /// Partitions of the offsets topic, 0 while there is none.
    count: i32,
    /// The topics of the cluster, as the coordinators know them.
    topics: Topics,
    shards: BTreeMap<i32, Shard>,
    stopped: bool,
}

impl Groups {
    /// No coordinators yet.
    #[must_use]
    pub fn new(me: BrokerId, config: GroupConfig, partitions: Partitions, probe: Probe) -> Arc<Self> {
        Arc::new(Self { me, config, partitions, probe, table: Mutex::default() })
    }

    /// Takes committed metadata in, after the partitions have.
    pub fn apply(self: &Arc<Self>, image: &Image) {
        let mut table = self.table.lock();
        let topic = image.topic(OFFSETS_TOPIC);
        let partitions = topic.iter().flat_map(|t| t.indexed());
        let led: BTreeMap<i32, LeaderEpoch> =
            partitions.filter(|(_, p)| p.leader == self.me).map(|(i, p)| (i, p.leader_epoch)).collect();
        table.count = topic.map_or(0, |t| t.partitions.len() as i32);
        let lost = table.shards.iter().filter(|(i, shard)| led.get(i) != Some(&shard.epoch)).map(|(i, _)| *i);
        for index in lost.collect::<Vec<_>>() {
            table.resign(index);
        }
        table.set_topics(image);
        if table.stopped {
            return;
        }
        for (index, epoch) in led {
            table.shards.entry(index).or_insert_with(|| {
                let (shard, inbox) = Shard::loading(epoch);
                drop(task::spawn("group-coordinator", self.clone().run(index, epoch, inbox)));
                shard
            });
        }
    }
    /// This broker coordinates no more.
    pub fn stop(&self) {
        let mut table = self.table.lock();
        table.stopped = true;
        while let Some(index) = table.shards.keys().next().copied() {
            table.resign(index);
        }
    }

    /// Which partition of `count` a group is kept in (`GroupCoordinator.partitionFor`).
    #[must_use]
    pub fn partition_of(group: &str, count: i32) -> i32 {
        // Java's String.hashCode, over UTF-16.
        let hash = group.encode_utf16().fold(0i32, |h, unit| h.wrapping_mul(31).wrapping_add(i32::from(unit)));
        (hash & i32::MAX) % count.max(1)
    }

    /// Asks the coordinator of `group` and waits for its answer.
    ///
    /// # Errors
    /// INVALID_GROUP_ID, NOT_COORDINATOR or COORDINATOR_LOAD_IN_PROGRESS.
    pub async fn call(
        &self,
        group: &str,
        act: impl FnOnce(&mut Coordinator, Now, Ticket, &mut Vec<Output>),
    ) -> Result<Reply, ResponseError> {
        let (sender, answer) = oneshot::channel();
        self.with(group, |shard, now, out| {
            let ticket = shard.ticket(sender);
            act(&mut shard.core, now, ticket, out);
        })?;
        answer.await.map_err(|_| ResponseError::NotCoordinator)
    }
    /// Asks the coordinator of `group` what it can answer at once.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn ask<R>(
        &self,
        group: &str,
        act: impl FnOnce(&mut Coordinator, Now, &mut Vec<Output>) -> R,
    ) -> Result<R, ResponseError> {
        self.with(group, |shard, now, out| act(&mut shard.core, now, out))
    }
    /// Looks at every coordinator that is loaded; true if all are.
    pub fn look(&self, mut see: impl FnMut(&Coordinator)) -> bool {
        let table = self.table.lock();
        table.shards.values().filter_map(|s| s.active.as_ref()).for_each(|active| see(&active.core));
        table.shards.values().all(|s| s.active.is_some())
    }

    fn with<R>(
        &self,
        group: &str,
        act: impl FnOnce(&mut shard::Active, Now, &mut Vec<Output>) -> R,
    ) -> Result<R, ResponseError> {
        let mut table = self.table.lock();
        let index = Self::partition_of(group, table.count);
        let shard = table.shards.get_mut(&index).ok_or(ResponseError::NotCoordinator)?;
        let (epoch, rung) = (shard.epoch, shard.rung.clone());
        let active = shard.active.as_mut().ok_or(ResponseError::CoordinatorLoadInProgress)?;
        let (now, mut out) = (clock::now(), Vec::new());
        let result = act(active, now, &mut out);
        self.carry_out(active, index, epoch, now, out);
        if active.core.next_deadline() < active.armed {
            rung.notify_one();
        }
        Ok(result)
    }
    fn tp(index: i32) -> TopicPartition {
        TopicPartition::new(OFFSETS_TOPIC, index)
    }
}

impl Table {
    /// What groups of the consumer protocol share out.
    fn set_topics(&mut self, image: &Image) {
        let info = |t: &crate::controller::image::Topic| TopicInfo { id: t.id, partitions: t.partitions.len() as i32 };
        let topics: Topics = image.topics().map(|t| (t.name.clone(), info(t))).collect();
        if topics != self.topics {
            let active = self.shards.values_mut().filter_map(|s| s.active.as_mut());
            active.for_each(|active| active.core.set_topics(topics.clone()));
            self.topics = topics;
        }
    }
    fn resign(&mut self, index: i32) {
        if let Some(shard) = self.shards.remove(&index) {
            shard.resign();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Groups;

    #[test]
    fn a_group_is_kept_where_kafka_would_keep_it() {
        // "abc".hashCode() is 96354; "polygenelubricants" has the one hash that has no absolute value.
        assert_eq!(Groups::partition_of("abc", 50), 96_354 % 50);
        assert_eq!(Groups::partition_of("polygenelubricants", 50), 0);
        assert_eq!(Groups::partition_of("", 50), 0);
    }
}
