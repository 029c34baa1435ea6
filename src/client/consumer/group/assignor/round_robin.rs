//! Round-robin: all partitions of all topics in turn to the members (Kafka's `RoundRobinAssignor`).

use super::{Assignment, Members, Topics, all_partitions, nothing, ordered};

pub(super) fn assign(topics: &Topics, members: &Members) -> Assignment {
    let mut assignment = nothing(members);
    let mut turns = ordered(members).into_iter().cycle();
    for tp in all_partitions(topics, members) {
        // Somebody subscribes to it, so the search ends.
        if let Some((id, _)) = turns.find(|(_, m)| m.topics.contains(&tp.topic)) {
            assignment.entry(id.clone()).or_default().insert(tp);
        }
    }
    assignment
}
