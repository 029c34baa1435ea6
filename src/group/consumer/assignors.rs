//! How the coordinator shares partitions out: `uniform`, even and sticky, and `range`, neighbours by topic (Kafka's `UniformAssignor`
//! and `RangeAssignor`).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Partitions, TopicInfo};
use crate::base::TopicId;

/// An assignor of the coordinator's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assignor {
    /// `uniform`.
    Uniform,
    /// `range`.
    Range,
}

impl Assignor {
    /// Its name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Range => "range",
        }
    }
    fn read(name: &str) -> Option<Self> {
        match name.strip_prefix("org.apache.kafka.coordinator.group.assignor.").unwrap_or(name) {
            "uniform" | "UniformAssignor" => Some(Self::Uniform),
            "range" | "RangeAssignor" => Some(Self::Range),
            _ => None,
        }
    }
}

/// `group.consumer.assignors`: those that members may ask for; the first is for those who do not ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assignors {
    first: Assignor,
    second: Option<Assignor>,
}

impl Default for Assignors {
    fn default() -> Self {
        Self { first: Assignor::Uniform, second: Some(Assignor::Range) }
    }
}

impl Assignors {
    /// Names, or those of Kafka's classes, separated by commas; none twice.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let all: Vec<Assignor> = text.split(',').map(|name| Assignor::read(name.trim())).collect::<Option<_>>()?;
        match all[..] {
            [first] => Some(Self { first, second: None }),
            [first, second] if first != second => Some(Self { first, second: Some(second) }),
            _ => None,
        }
    }
    /// As it is written.
    #[must_use]
    pub fn text(self) -> String {
        let names = std::iter::once(self.first).chain(self.second).map(Assignor::name);
        names.collect::<Vec<_>>().join(",")
    }
    /// The one for those who do not ask.
    #[must_use]
    pub fn preferred(self) -> Assignor {
        self.first
    }
    /// One of them by its name on the wire.
    #[must_use]
    pub fn find(self, name: &str) -> Option<Assignor> {
        std::iter::once(self.first).chain(self.second).find(|a| a.name() == name)
    }
}

/// A member as assignors see it.
#[derive(Clone, Debug)]
pub(super) struct Subscriber {
    pub instance: Option<Arc<str>>,
    /// What it subscribes to and what exists.
    pub topics: Vec<TopicInfo>,
    /// Its target until now.
    pub before: Partitions,
}

type Subscribers = BTreeMap<Arc<str>, Subscriber>;
type Shares = BTreeMap<Arc<str>, Partitions>;

/// Every partition that somebody subscribes to, to exactly one of its subscribers; each member has a share, perhaps an empty one.
pub(super) fn assign(assignor: Assignor, members: &Subscribers) -> Shares {
    match assignor {
        Assignor::Uniform => uniform(members),
        Assignor::Range => range(members),
    }
}

/// Topic by topic, members in the order of their instance ids, then of their member ids.
fn range(members: &Subscribers) -> Shares {
    let mut order: Vec<_> = members.iter().collect();
    order.sort_by_key(|(id, m)| (m.instance.is_none(), m.instance.clone(), (*id).clone()));
    let mut shares: Shares = members.keys().map(|id| (id.clone(), Partitions::new())).collect();
    for (topic, partitions) in topics(members) {
        let subscribers: Vec<_> =
            order.iter().filter(|(_, m)| m.topics.iter().any(|t| t.id == topic)).map(|(id, _)| *id).collect();
        let count = subscribers.len() as i32;
        let mut next = 0;
        for (i, id) in (0..).zip(subscribers) {
            let quota = partitions / count + i32::from(i < partitions % count);
            let share = shares.get_mut(id).expect("every member has a share");
            share.extend((next..next + quota).map(|p| (topic, p)));
            next += quota;
        }
    }
    shares
}

fn topics(members: &Subscribers) -> BTreeMap<TopicId, i32> {
    members.values().flat_map(|m| &m.topics).map(|t| (t.id, t.partitions)).collect()
}

fn uniform(members: &Subscribers) -> Shares {
    let mut subscriptions = members.values().map(|m| m.topics.iter().map(|t| t.id).collect::<BTreeSet<_>>());
    let first = subscriptions.next().unwrap_or_default();
    if subscriptions.all(|other| other == first) { uniform_alike(members) } else { uniform_mixed(members) }
}

fn everything(members: &Subscribers) -> Partitions {
    topics(members).into_iter().flat_map(|(topic, n)| (0..n).map(move |p| (topic, p))).collect()
}

/// All subscribe to the same: each keeps what it has up to its quota, and the rest fills the others up
/// (`UniformHomogeneousAssignmentBuilder`).
fn uniform_alike(members: &Subscribers) -> Shares {
    let mut unassigned = everything(members);
    let count = members.len().max(1);
    let (quota, extra) = (unassigned.len() / count, unassigned.len() % count);
    let mut shares = Shares::new();
    let mut room = Vec::new();
    for (i, (id, member)) in members.iter().enumerate() {
        let quota = quota + usize::from(i < extra);
        let kept: Partitions =
            member.before.iter().filter(|tp| unassigned.contains(*tp)).take(quota).copied().collect();
        unassigned.retain(|tp| !kept.contains(tp));
        room.push((id, quota - kept.len()));
        shares.insert(id.clone(), kept);
    }
    let mut unassigned = unassigned.into_iter();
    for (id, room) in room {
        shares.get_mut(id).expect("every member has a share").extend(unassigned.by_ref().take(room));
    }
    shares
}

/// Members subscribe to different topics: each keeps what it has, the rest goes to whoever has least, and then partitions move
/// from those with more to those with less as long as that makes it more even (`UniformHeterogeneousAssignmentBuilder`).
fn uniform_mixed(members: &Subscribers) -> Shares {
    let mut unassigned = everything(members);
    let subscribes = |id: &Arc<str>, topic: TopicId| members[id].topics.iter().any(|t| t.id == topic);
    let mut shares = Shares::new();
    for (id, member) in members {
        let kept: Partitions =
            member.before.iter().filter(|tp| subscribes(id, tp.0) && unassigned.contains(*tp)).copied().collect();
        unassigned.retain(|tp| !kept.contains(tp));
        shares.insert(id.clone(), kept);
    }
    let least = |shares: &Shares, topic: TopicId| {
        let subscribers = shares.iter().filter(|(id, _)| subscribes(id, topic));
        subscribers.min_by_key(|(id, share)| (share.len(), (*id).clone())).map(|(id, _)| id.clone())
    };
    // Topics with few subscribers first: theirs are the fewest choices.
    let mut rest: Vec<_> = unassigned.into_iter().collect();
    rest.sort_by_key(|tp| (members.keys().filter(|id| subscribes(id, tp.0)).count(), *tp));
    for tp in rest {
        if let Some(id) = least(&shares, tp.0) {
            shares.get_mut(&id).expect("every member has a share").insert(tp);
        }
    }
    while let Some((from, tp, to)) = unbalanced(&shares, least) {
        shares.get_mut(&from).expect("every member has a share").remove(&tp);
        shares.get_mut(&to).expect("every member has a share").insert(tp);
    }
    shares
}

/// From whom, what, and to whom.
type Move = (Arc<str>, (TopicId, i32), Arc<str>);

/// A partition whose owner has at least two more than another of its subscribers. To move it makes the sum of the squares of all
/// shares smaller, so that moving ends.
fn unbalanced(shares: &Shares, least: impl Fn(&Shares, TopicId) -> Option<Arc<str>>) -> Option<Move> {
    let mut owners: Vec<_> = shares.iter().collect();
    owners.sort_by_key(|(id, share)| (Reverse(share.len()), (*id).clone()));
    owners.into_iter().find_map(|(from, share)| {
        share.iter().rev().find_map(|tp| {
            let to = least(shares, tp.0)?;
            (share.len() >= shares[&to].len() + 2).then(|| (from.clone(), *tp, to))
        })
    })
}
