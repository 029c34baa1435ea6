//! Which partitions are on this broker: found by topic id or by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::api::TopicRef;
use super::partition::Partition;
use crate::base::{TopicId, TopicPartition};

/// The local partitions. Two topics of one name may be here for a moment, while the old one is being deleted; the name
/// then means the newer.
#[derive(Debug, Default)]
pub(super) struct Directory {
    topics: BTreeMap<TopicId, Vec<Option<Arc<Partition>>>>,
    names: BTreeMap<Arc<str>, TopicId>,
}

impl Directory {
    /// The local partition that a request means.
    pub fn find(&self, topic: &TopicRef, partition: i32) -> Option<&Arc<Partition>> {
        match topic {
            TopicRef::Id(id) => self.get(*id, partition),
            TopicRef::Name(name) => self.get(*self.names.get(name)?, partition),
        }
    }
    /// A local partition by its topic's id.
    pub fn get(&self, id: TopicId, partition: i32) -> Option<&Arc<Partition>> {
        let index = usize::try_from(partition).ok()?;
        self.topics.get(&id)?.get(index)?.as_ref()
    }
    /// Takes a partition in.
    pub fn insert(&mut self, partition: Arc<Partition>) {
        let TopicPartition { topic, partition: index } = &partition.tp;
        let index = usize::try_from(*index).expect("partitions are numbered from 0");
        self.names.insert(topic.clone(), partition.topic_id);
        let slots = self.topics.entry(partition.topic_id).or_default();
        if slots.len() <= index {
            slots.resize(index + 1, None);
        }
        slots[index] = Some(partition);
    }
    /// Takes a partition out.
    pub fn remove(&mut self, id: TopicId, partition: i32) -> Option<Arc<Partition>> {
        let index = usize::try_from(partition).ok()?;
        let slots = self.topics.get_mut(&id)?;
        let removed = slots.get_mut(index)?.take()?;
        if slots.iter().all(Option::is_none) {
            self.topics.remove(&id);
            if self.names.get(&removed.tp.topic) == Some(&id) {
                self.names.remove(&removed.tp.topic);
            }
        }
        Some(removed)
    }
    /// All local partitions, by topic id and index.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Partition>> {
        self.topics.values().flatten().flatten()
    }
    /// The local partitions of one topic.
    pub fn of_topic(&self, id: TopicId) -> impl Iterator<Item = &Arc<Partition>> {
        self.topics.get(&id).into_iter().flatten().flatten()
    }
}
