//! Liveness: after healing everything converges, and whatever does not says why (TigerBeetle's `pending`).

use super::witness::Witness;
use crate::base::{BrokerId, Offset, TopicPartition};
use crate::check::groups::Groups;
use crate::world::cluster::Cluster;

/// What still keeps the cluster from being whole: the first reason in the order in which they depend on each other.
pub(super) fn cluster_pending(cluster: &Cluster, witness: &Witness) -> Option<String> {
    if let Some(down) = cluster.nodes().find(|id| !cluster.is_running(*id)) {
        return Some(format!("node {down} does not run"));
    }
    if let Some(stopping) = cluster.nodes().find(|id| cluster.is_stopping(*id)) {
        return Some(format!("node {stopping} has not ended since it was asked to stop"));
    }
    if witness.quorum_leader().is_none() {
        return Some("the metadata quorum has no leader".to_owned());
    }
    if witness.controller().is_none() {
        return Some("no node is the active controller".to_owned());
    }
    if let Some(fenced) = cluster.brokers().find(|id| !witness.is_unfenced(*id)) {
        return Some(format!("broker {fenced} is fenced"));
    }
    None
}

/// What still keeps a partition from being whole.
pub(super) fn partition_pending(witness: &Witness, tp: &TopicPartition) -> Option<String> {
    let Some(facts) = witness.partition(tp) else { return Some(format!("{tp} does not exist yet")) };
    if facts.leader == BrokerId::NONE {
        return Some(format!("{tp} has no leader"));
    }
    if facts.isr.len() < facts.replicas.len() {
        let isr: Vec<_> = facts.isr.iter().map(|b| b.0).collect();
        return Some(format!("{tp} has ISR {isr:?}, not all its replicas"));
    }
    let replicas = witness.replicas(tp);
    if let Some(missing) = facts.replicas.iter().find(|id| !replicas.iter().any(|(r, _, _)| r == *id)) {
        return Some(format!("the log of {tp} is not loaded on broker {missing}"));
    }
    let end = replicas.iter().map(|(_, end, _)| *end).max().unwrap_or(Offset::ZERO);
    let behind = replicas.iter().find(|(_, log_end, hw)| *log_end != end || *hw != end);
    behind.map(|(id, log_end, hw)| {
        format!("{tp} ends at {end}, but broker {id} has log end {log_end} and high watermark {hw}")
    })
}

/// What still keeps the clients from being done.
pub(super) fn clients_pending(witness: &Witness, readers: &[(String, Vec<TopicPartition>)]) -> Option<String> {
    match witness.pending_writes() {
        0 => {}
        n => return Some(format!("{n} writes have no answer")),
    }
    let read = witness.read_up_to();
    let all = readers.iter().flat_map(|(name, partitions)| partitions.iter().map(move |tp| (name, tp)));
    for (name, tp) in all {
        let Some(reader) = witness.reader(name) else { continue };
        let end = end_of(witness, tp);
        // What retention took before the reader came to it cannot be read any more.
        let at = read.get(&(reader, tp.clone())).copied().unwrap_or(Offset::ZERO).max(witness.log_start(tp));
        if at < end {
            return Some(format!("reader {name} has read {tp} up to {at}, not {end}"));
        }
    }
    None
}

/// What still keeps consumer groups from being stable with all partitions assigned, and from having read everything;
/// those that are not `lively` may stay as they are.
pub(super) fn groups_pending(witness: &Witness, lively: impl Fn(&str) -> bool) -> Option<String> {
    let reads = witness.reads().iter().filter(|(group, _)| lively(group));
    for (group, partitions) in reads {
        // What retention took before the group came to it cannot be read any more.
        let is_left = |(tp, end): &(&TopicPartition, Offset)| witness.log_start(tp) < *end;
        let ends: Vec<_> = partitions.iter().map(|tp| (tp, end_of(witness, tp))).filter(is_left).collect();
        let pending = witness
            .look_at_groups(|groups| unstable(groups, group, partitions).or_else(|| behind(groups, group, &ends)));
        if pending.is_some() {
            return pending;
        }
    }
    None
}

fn end_of(witness: &Witness, tp: &TopicPartition) -> Offset {
    witness.replicas(tp).iter().map(|(_, end, _)| *end).max().unwrap_or(Offset::ZERO)
}

fn unstable(groups: &Groups, group: &str, partitions: &[TopicPartition]) -> Option<String> {
    let members: Vec<_> = groups.alive(group).collect();
    let Some(first) = members.first() else { return Some(format!("group {group} has no member")) };
    if let Some(moving) = members.iter().find(|m| !m.settled) {
        return Some(format!("group {group}: {} takes part in a rebalance", moving.process));
    }
    if let Some(other) = members.iter().find(|m| m.generation != first.generation) {
        let (a, b) = (first.generation, other.generation);
        return Some(format!("group {group}: {} is in generation {a}, {} in {b}", first.process, other.process));
    }
    let owners = |tp: &&TopicPartition| members.iter().filter(|m| m.owned.contains(tp)).count();
    let stray = partitions.iter().find(|tp| owners(tp) != 1)?;
    Some(format!("group {group}: {stray} has {} owners", owners(&stray)))
}

fn behind(groups: &Groups, group: &str, ends: &[(&TopicPartition, Offset)]) -> Option<String> {
    let account = groups.account(group)?;
    let (tp, end) = ends.iter().find(|(tp, end)| account.may_have_reached(tp) < *end)?;
    Some(format!("group {group} has dealt with {tp} up to {}, not {end}", account.next(tp)))
}

/// What still keeps the nodes from knowing the same metadata.
pub(super) fn metadata_pending(witness: &Witness) -> Option<String> {
    let applied = witness.applied();
    let (low, high) = (applied.values().min()?, applied.values().max()?);
    // The quorum writes a no-op record every half second: nodes are never all at the same offset for long.
    const IN_FLIGHT: i64 = 16;
    (*high - *low > IN_FLIGHT).then(|| format!("metadata is applied up to {low} on one node and {high} on another"))
}
