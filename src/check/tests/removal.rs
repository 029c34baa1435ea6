//! Who removes a log: one that is no replica any more, and nobody else.

use super::*;

/// Broker 3 holds a log of the partition that all three are replicas of.
fn healthy() -> Story {
    let mut s = Story::healthy();
    s.assign(30, &[1, 2, 3]);
    s
}

impl Story {
    /// Broker 3 hears that the partition has these replicas.
    fn assign(&mut self, offset: i64, replicas: &[i32]) -> &mut Self {
        let isr = [1, 2];
        let replicas = replicas.iter().map(|id| BrokerId(*id)).collect();
        let facts = PartitionFacts { replicas, ..facts(1, 1, &isr) };
        self.tell(3, Event::PartitionChanged { tp: tp(), facts, offset: Offset(offset) })
    }
    fn remove(&mut self) -> &mut Self {
        self.tell(3, Event::LogRemoved { tp: tp() })
    }
}

#[test]
fn a_replica_that_removes_its_log_is_named() {
    healthy().remove().violates("LCC");
}

#[test]
fn who_is_no_replica_any_more_removes_its_log_even_if_it_is_one_again_meanwhile() {
    healthy().assign(31, &[1, 2]).remove().accepts();
    healthy().assign(31, &[1, 2]).assign(32, &[1, 2, 3]).remove().accepts();
}

#[test]
fn that_it_was_once_no_replica_excuses_no_removal_of_a_later_log() {
    let mut again = healthy();
    again.assign(31, &[1, 2]).assign(32, &[1, 2, 3]).remove().accepts();
    again.load(3, &[]).remove().violates("LCC");
    let mut late = Story::new();
    late.assign(30, &[1, 2]).assign(31, &[1, 2, 3]).load(3, &[]).remove().violates("LCC");
}
