//! Sticky: as even as subscriptions permit, and nobody loses a partition without need (Kafka's `AbstractStickyAssignor`).
//!
//! Members keep what they claim, as far as the claim is good; what is left goes to whoever has least; then partitions move as long as
//! a single move makes the loads of two members more equal. Each such move lowers the sum of squared loads, so it ends.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Assignment, Members, Topics, all_partitions, nothing, ordered};
use crate::base::TopicPartition;
use crate::base::bugs::{Bug, planted};
use crate::base::marks::{Mark, mark};

pub(super) fn assign(topics: &Topics, members: &Members) -> Assignment {
    let order: Vec<_> = ordered(members).into_iter().map(|(id, _)| id.clone()).collect();
    let all = all_partitions(topics, members);
    let mut sharing = Sharing { members, order, assignment: nothing(members) };
    let owners = good_claims(members);
    let mut open = Vec::new();
    if planted(Bug::StaleOwnedPartitions) {
        for (id, member) in members {
            member.claims.iter().filter(|tp| all.contains(tp)).for_each(|tp| sharing.give(id, tp.clone()));
        }
    }
    for tp in all {
        match owners.get(&tp) {
            Some(owner) if members[owner].topics.contains(&tp.topic) => sharing.give(owner, tp),
            _ => open.push(tp),
        }
    }
    // Partitions that few may have come first: those that everybody may have even the loads out afterwards.
    open.sort_by_key(|tp| (sharing.subscribed(tp).count(), tp.clone()));
    for tp in open {
        if let Some(id) = sharing.least_loaded(&tp) {
            sharing.give(&id, tp);
        }
    }
    sharing.balance();
    sharing.assignment
}

/// Who may keep what: of several who claim a partition, the one of the newest generation (KAFKA-12984: others have missed that it
/// was given away). Two of one generation cannot both be right, so neither is believed.
fn good_claims(members: &Members) -> BTreeMap<TopicPartition, Arc<str>> {
    let mut best: BTreeMap<&TopicPartition, (i32, Option<&Arc<str>>)> = BTreeMap::new();
    for (id, member) in members {
        let generation = member.generation.unwrap_or(-1);
        for tp in &member.claims {
            let known = best.entry(tp).or_insert((i32::MIN, None));
            if generation > known.0 {
                *known = (generation, Some(id));
            } else if generation == known.0 {
                known.1 = None;
            }
        }
    }
    best.into_iter().filter_map(|(tp, (_, id))| Some((tp.clone(), id?.clone()))).collect()
}

struct Sharing<'a> {
    members: &'a Members,
    /// The order in which equals are served.
    order: Vec<Arc<str>>,
    assignment: Assignment,
}

impl Sharing<'_> {
    fn give(&mut self, id: &Arc<str>, tp: TopicPartition) {
        self.assignment.entry(id.clone()).or_default().insert(tp);
    }
    fn load(&self, id: &Arc<str>) -> usize {
        self.assignment[id].len()
    }
    fn subscribed<'a>(&'a self, tp: &'a TopicPartition) -> impl Iterator<Item = &'a Arc<str>> {
        self.order.iter().filter(|id| self.members[*id].topics.contains(&tp.topic))
    }
    fn least_loaded(&self, tp: &TopicPartition) -> Option<Arc<str>> {
        self.subscribed(tp).min_by_key(|id| self.load(id)).cloned()
    }
    fn balance(&mut self) {
        while let Some((from, to, tp)) = self.improvement() {
            if let Some(partitions) = self.assignment.get_mut(&from) {
                partitions.remove(&tp);
            }
            self.give(&to, tp);
        }
    }
    /// A move from the most loaded member that has one, to the least loaded that may have the partition. A partition that its owner
    /// did not have before goes rather than one that it did.
    fn improvement(&self) -> Option<(Arc<str>, Arc<str>, TopicPartition)> {
        let mut givers: Vec<_> = self.order.iter().collect();
        givers.sort_by_key(|id| std::cmp::Reverse(self.load(id)));
        givers.into_iter().find_map(|from| {
            let claims = &self.members[from].claims;
            let candidate = |tp: &TopicPartition| {
                let to = self.least_loaded(tp)?;
                (self.load(&to) + 1 < self.load(from)).then(|| (claims.contains(tp), self.load(&to), to))
            };
            let moves = self.assignment[from].iter().filter_map(|tp| Some((candidate(tp)?, tp)));
            let best = moves.min_by_key(|((claimed, load, _), _)| (*claimed, *load));
            best.map(|((_, _, to), tp)| (from.clone(), to, tp.clone()))
        })
    }
}

/// Takes out what somebody else still owns: it is given away in the next rebalance, when its owner has given it up (KIP-429).
pub(super) fn without_transfers(mut assignment: Assignment, members: &Members) -> Assignment {
    for (id, partitions) in &mut assignment {
        let others = members.iter().filter(|(other, _)| *other != id);
        let owned: BTreeSet<_> = others.flat_map(|(_, m)| &m.owned).collect();
        let wanted = partitions.len();
        partitions.retain(|tp| members[id].owned.contains(tp) || !owned.contains(tp));
        if partitions.len() < wanted {
            mark(Mark::CooperativeRevocation);
        }
    }
    assignment
}
