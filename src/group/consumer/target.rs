//! The target assignment (Kafka's `TargetAssignmentBuilder`).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::assignors::{self, Assignor, Subscriber};
use super::{ConsumerGroup, Topics, records};
use crate::group::config::GroupConfig;
use crate::wire::records::consumer_groups::ConsumerGroupRecord as Record;

impl ConsumerGroup {
    /// The subscribed topics that exist.
    pub fn known(&self, all: &Topics) -> Topics {
        let subscribed = self.subscribed();
        subscribed.into_iter().filter_map(|name| Some((name.clone(), *all.get(&name)?))).collect()
    }
    /// Computes the target for the present group epoch; the records of what has changed are taken in and returned.
    pub fn retarget(&mut self, id: &Arc<str>, cfg: &GroupConfig) -> Vec<Record> {
        let subscribers = self.members.iter().map(|(id, member)| {
            let topics = member.topics.iter().filter_map(|name| self.topics.get(name)).copied().collect();
            let before = self.targets.get(id).cloned().unwrap_or_default();
            (id.clone(), Subscriber { instance: member.instance.clone(), topics, before })
        });
        let subscribers: BTreeMap<_, _> = subscribers.collect();
        let shares = assignors::assign(self.assignor(cfg), &subscribers);
        let changed = shares.iter().filter(|(member, share)| self.targets.get(*member) != Some(share));
        let mut records: Vec<_> = changed.map(|(member, share)| records::target(id, member, share)).collect();
        records.push(records::target_epoch(id, self.epoch));
        records.iter().for_each(|record| self.apply(record));
        records
    }
    /// What most members ask for, otherwise the first that is configured (`computePreferredServerAssignor`).
    pub fn assignor(&self, cfg: &GroupConfig) -> Assignor {
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        self.members
            .values()
            .filter_map(|m| m.assignor.as_deref())
            .for_each(|name| *votes.entry(name).or_default() += 1);
        let most = votes.values().max().copied();
        let wanted = votes.into_iter().find(|(_, n)| Some(*n) == most).and_then(|(name, _)| cfg.assignors.find(name));
        wanted.unwrap_or(cfg.assignors.preferred())
    }
}
