//! Following leaders: one task per leader broker (`num.replica.fetchers` = 1) that fetches all partitions it leads for us
//! (`ReplicaFetcherManager`).

mod answer;
mod task;

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::partition::Partition;
use super::shared::Shared;
use crate::base::{BrokerId, LeaderEpoch, TopicId};
use crate::io::task::{TaskHandle, spawn};

/// A partition that follows, and under which leadership.
#[derive(Clone, Debug)]
pub(super) struct FollowedPartition {
    pub partition: Arc<Partition>,
    pub epoch: LeaderEpoch,
}

/// All fetchers of a broker.
#[derive(Debug, Default)]
pub(super) struct Fetchers {
    running: Mutex<BTreeMap<BrokerId, Running>>,
}

#[derive(Debug)]
struct Running {
    slots: Arc<Slots>,
    task: TaskHandle,
}

/// What one fetcher fetches.
#[derive(Debug, Default)]
struct Slots {
    slots: Mutex<BTreeMap<(TopicId, i32), Slot>>,
    /// Rung when there may be more to fetch than before.
    ring: Notify,
}

#[derive(Debug)]
struct Slot {
    /// A partition knows its fetchers, by what all partitions share: held both ways, neither would ever be freed.
    partition: Weak<Partition>,
    epoch: LeaderEpoch,
    /// Not before this time, in monotonic nanoseconds.
    ready_at: u64,
}

impl Fetchers {
    /// Fetches a partition from `leader` from now on.
    pub fn follow(&self, shared: &Arc<Shared>, leader: BrokerId, followed: FollowedPartition) {
        let mut running = self.running.lock();
        let fetcher = running.entry(leader).or_insert_with(|| {
            let slots = Arc::<Slots>::default();
            let task = spawn("replica-fetcher", task::run(shared.clone(), leader, slots.clone()));
            Running { slots, task }
        });
        let key = (followed.partition.topic_id, followed.partition.tp.partition);
        fetcher
            .slots
            .slots
            .lock()
            .insert(key, Slot { partition: Arc::downgrade(&followed.partition), epoch: followed.epoch, ready_at: 0 });
        fetcher.slots.ring.notify_one();
    }
    /// Fetches a partition from `leader` no longer; a fetcher without partitions ends.
    pub fn unfollow(&self, leader: BrokerId, topic: TopicId, partition: i32) {
        let mut running = self.running.lock();
        let Some(fetcher) = running.get(&leader) else { return };
        let idle = {
            let mut slots = fetcher.slots.slots.lock();
            slots.remove(&(topic, partition));
            slots.is_empty()
        };
        if idle && let Some(fetcher) = running.remove(&leader) {
            fetcher.task.abort();
        }
    }
    /// A partition that follows `leader` may be ready to be fetched again.
    pub fn ring(&self, leader: BrokerId) {
        if let Some(fetcher) = self.running.lock().get(&leader) {
            fetcher.slots.ring.notify_one();
        }
    }
    /// Ends all fetchers.
    pub fn stop(&self) {
        for fetcher in std::mem::take(&mut *self.running.lock()).into_values() {
            fetcher.task.abort();
        }
    }
}

impl Slots {
    /// The partitions whose time has come, and when the next one's will.
    fn ready(&self, now: u64, into: &mut Vec<FollowedPartition>) -> u64 {
        let slots = self.slots.lock();
        let mut next = u64::MAX;
        for slot in slots.values() {
            if slot.ready_at <= now {
                let followed = |partition| FollowedPartition { partition, epoch: slot.epoch };
                into.extend(slot.partition.upgrade().map(followed));
            } else {
                next = next.min(slot.ready_at);
            }
        }
        next
    }
    /// Leaves a partition alone until `ready_at`, unless a newer leadership has come meanwhile.
    fn delay(&self, followed: &FollowedPartition, ready_at: u64) {
        let key = (followed.partition.topic_id, followed.partition.tp.partition);
        if let Some(slot) = self.slots.lock().get_mut(&key)
            && slot.epoch == followed.epoch
        {
            slot.ready_at = ready_at;
        }
    }
}
