//! How the leader of a group shares partitions out among its members (Kafka's `ConsumerPartitionAssignor`).
//!
//! Pure functions from topics and members to partitions of each member: equal input, equal output, whoever leads.

mod range;
mod round_robin;
mod sticky;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::protocol::{self, Subscription};
use crate::base::TopicPartition;
use crate::client::config::AssignorName;

/// Topics and how many partitions each has.
pub(super) type Topics = BTreeMap<Arc<str>, i32>;
/// Members by their ids.
pub(super) type Members = BTreeMap<Arc<str>, Member>;
/// What each member is to own.
pub(super) type Assignment = BTreeMap<Arc<str>, BTreeSet<TopicPartition>>;

/// What assignors look at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Member {
    /// `group.instance.id`.
    pub instance: Option<Arc<str>>,
    pub topics: BTreeSet<Arc<str>>,
    /// What it owns while it joins. In an eager rebalance that is nothing.
    pub owned: BTreeSet<TopicPartition>,
    /// What it owns or owned last, and in which generation.
    pub claims: BTreeSet<TopicPartition>,
    pub generation: Option<i32>,
}

impl Member {
    /// A member as it described itself to `assignor`.
    pub fn new(assignor: AssignorName, instance: Option<Arc<str>>, said: Subscription) -> Self {
        let remembered = said.user_data.as_deref().and_then(protocol::decode_sticky);
        let (claims, generation) = match (assignor, remembered) {
            // It owns nothing when it joins, and remembers what it had (`StickyAssignor.memberData`).
            (AssignorName::Sticky, remembered) => remembered.unwrap_or_default(),
            _ => (said.owned.clone(), said.generation),
        };
        Self { instance, topics: said.topics, owned: said.owned, claims, generation }
    }
}

/// Shares `topics` out. Topics that are not there are passed over.
pub(super) fn assign(assignor: AssignorName, topics: &Topics, members: &Members) -> Assignment {
    match assignor {
        AssignorName::Range => range::assign(topics, members),
        AssignorName::RoundRobin => round_robin::assign(topics, members),
        AssignorName::Sticky => sticky::assign(topics, members),
        AssignorName::CooperativeSticky => sticky::without_transfers(sticky::assign(topics, members), members),
    }
}

/// Members in the order in which assignors serve them: static ones by their instance ids, then the others by member id
/// (`MemberInfo.compareTo`). So the order survives a restart of static members.
fn ordered(members: &Members) -> Vec<(&Arc<str>, &Member)> {
    let mut all: Vec<_> = members.iter().collect();
    all.sort_by_key(|(id, m)| (m.instance.is_none(), m.instance.clone(), (*id).clone()));
    all
}

/// Everybody owns nothing yet.
fn nothing(members: &Members) -> Assignment {
    members.keys().map(|id| (id.clone(), BTreeSet::new())).collect()
}

/// Every partition of the topics that somebody subscribes to.
fn all_partitions(topics: &Topics, members: &Members) -> Vec<TopicPartition> {
    let wanted = |topic: &Arc<str>| members.values().any(|m| m.topics.contains(topic));
    let of = |(topic, count): (&Arc<str>, &i32)| {
        let topic = topic.clone();
        (0..*count).map(move |p| TopicPartition::new(topic.clone(), p)).collect::<Vec<_>>()
    };
    topics.iter().filter(|(topic, _)| wanted(topic)).flat_map(of).collect()
}
