//! Range: the partitions of each topic in pieces of neighbours, the first members get one more (Kafka's `RangeAssignor`).

use super::{Assignment, Members, Topics, nothing, ordered};
use crate::base::TopicPartition;

pub(super) fn assign(topics: &Topics, members: &Members) -> Assignment {
    let mut assignment = nothing(members);
    let ordered = ordered(members);
    for (topic, count) in topics {
        let subscribed: Vec<_> = ordered.iter().filter(|(_, m)| m.topics.contains(topic)).collect();
        let mut next = 0;
        for (i, (id, _)) in subscribed.iter().enumerate() {
            let (share, rest) = (count / subscribed.len() as i32, count % subscribed.len() as i32);
            let until = next + share + i32::from((i as i32) < rest);
            let piece = (next..until).map(|p| TopicPartition::new(topic.clone(), p));
            assignment.entry((*id).clone()).or_default().extend(piece);
            next = until;
        }
    }
    assignment
}
