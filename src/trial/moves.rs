//! What reassignments copied: a move begins when committed metadata adds replicas to a partition and is over when nothing is
//! added or taken away any more; what the added replicas tell of their logs meanwhile is counted.

use std::collections::BTreeMap;

use crate::base::{BrokerId, TopicPartition};
use crate::broker::probe::PartitionFacts;
use crate::report::verdict::MoveRecord;

/// The moves of a run.
#[derive(Clone, Debug, Default)]
pub struct Moves {
    all: Vec<MoveRecord>,
    /// Where the moves that go on stand among them.
    open: BTreeMap<TopicPartition, usize>,
}

impl Moves {
    /// Forgets what was moved.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
    /// Committed metadata changed a partition.
    pub fn changed(&mut self, at_ms: u64, tp: &TopicPartition, facts: &PartitionFacts) {
        let added = || facts.adding.iter().map(|id| (id.0, 0));
        match self.open.get(tp).copied() {
            None if facts.adding.is_empty() => {}
            None => {
                self.open.insert(tp.clone(), self.all.len());
                let partition = tp.to_string();
                let copied = added().collect();
                self.all.push(MoveRecord { partition, from_ms: at_ms, to_ms: None, cancelled: false, copied });
            }
            Some(at) if facts.adding.is_empty() && facts.removing.is_empty() => {
                self.open.remove(tp);
                let moved = &mut self.all[at];
                moved.to_ms = Some(at_ms);
                moved.cancelled = moved.copied.keys().all(|id| !facts.replicas.contains(&BrokerId(*id)));
            }
            // Another reassignment in the midst of one: whoever was added once has copied something.
            Some(at) => added().for_each(|(id, none)| {
                self.all[at].copied.entry(id).or_insert(none);
            }),
        }
    }
    /// A replica copied so many bytes of its leader's log.
    pub fn copied(&mut self, by: BrokerId, tp: &TopicPartition, bytes: u64) {
        if self.open.is_empty() {
            return;
        }
        let moved = self.open.get(tp).and_then(|at| self.all[*at].copied.get_mut(&by.0));
        if let Some(copied) = moved {
            *copied += bytes;
        }
    }
    /// All moves, in the order in which they began.
    #[must_use]
    pub fn records(&self) -> Vec<MoveRecord> {
        self.all.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{LeaderEpoch, PartitionEpoch};

    fn ids(ids: &[i32]) -> Vec<BrokerId> {
        ids.iter().copied().map(BrokerId).collect()
    }

    fn facts(replicas: &[i32], adding: &[i32], removing: &[i32]) -> PartitionFacts {
        PartitionFacts {
            leader: BrokerId(1),
            leader_epoch: LeaderEpoch(0),
            partition_epoch: PartitionEpoch(0),
            replicas: ids(replicas),
            isr: ids(&[1]),
            elr: Vec::new(),
            adding: ids(adding),
            removing: ids(removing),
            recovering: false,
        }
    }

    #[test]
    fn only_what_added_replicas_copy_while_a_move_lasts_is_counted() {
        let (tp, other) = (TopicPartition::new("t", 0), TopicPartition::new("t", 1));
        let mut moves = Moves::default();
        moves.copied(BrokerId(4), &tp, 7);
        moves.changed(1_000, &tp, &facts(&[1, 2, 4, 5], &[4, 5], &[2]));
        moves.copied(BrokerId(4), &tp, 100);
        moves.copied(BrokerId(2), &tp, 30);
        moves.copied(BrokerId(4), &other, 50);
        moves.copied(BrokerId(5), &tp, 40);
        moves.changed(2_000, &tp, &facts(&[1, 2, 4, 5], &[4, 5], &[2]));
        moves.copied(BrokerId(4), &tp, 11);
        moves.changed(3_500, &tp, &facts(&[1, 4, 5], &[], &[]));
        moves.copied(BrokerId(4), &tp, 999);
        let all = moves.records();
        assert_eq!(all.len(), 1);
        assert_eq!((all[0].from_ms, all[0].to_ms, all[0].cancelled), (1_000, Some(3_500), false));
        assert_eq!(all[0].copied, BTreeMap::from([(4, 111), (5, 40)]));
        assert_eq!((all[0].bytes(), all[0].took_ms(), all[0].rate()), (151, Some(2_500), Some(60)));
    }

    #[test]
    fn a_move_that_was_called_off_took_no_time_and_one_that_goes_on_has_no_end() {
        let tp = TopicPartition::new("t", 0);
        let mut moves = Moves::default();
        moves.changed(1_000, &tp, &facts(&[1, 2, 4], &[4], &[]));
        moves.copied(BrokerId(4), &tp, 10);
        moves.changed(1_500, &tp, &facts(&[1, 2, 4, 5], &[5], &[4]));
        moves.copied(BrokerId(5), &tp, 20);
        moves.changed(2_000, &tp, &facts(&[1, 2], &[], &[]));
        moves.changed(3_000, &tp, &facts(&[1, 2, 5], &[5], &[]));
        let all = moves.records();
        assert_eq!((all[0].cancelled, all[0].bytes(), all[0].to_ms, all[0].took_ms()), (true, 30, Some(2_000), None));
        assert_eq!((all[1].cancelled, all[1].to_ms, all[1].took_ms(), all[1].rate()), (false, None, None, None));
    }

    #[test]
    fn replicas_that_only_leave_or_change_places_are_no_move() {
        let tp = TopicPartition::new("t", 0);
        let mut moves = Moves::default();
        moves.changed(1_000, &tp, &facts(&[2, 1, 3], &[], &[]));
        moves.changed(2_000, &tp, &facts(&[2, 1, 3], &[], &[3]));
        moves.changed(3_000, &tp, &facts(&[2, 1], &[], &[]));
        assert!(moves.records().is_empty());
    }
}
