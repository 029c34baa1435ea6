//! How far the consumer has come: what a group asks of the fetcher, and what the caller may look at.

use super::fetcher::{Fetcher, start_over};
use super::group::OffsetAndMetadata;
use super::positions::Position;
use crate::base::{LeaderEpoch, Offset, TopicPartition};
use std::collections::BTreeMap;

impl Fetcher {
    /// Whether anything is given out.
    pub fn hold(&mut self, held: bool) {
        self.held = held;
    }
    pub fn pause(&mut self, partitions: &[TopicPartition], paused: bool) {
        for tp in partitions {
            if let Some(assigned) = self.assigned.get_mut(tp) {
                assigned.paused = paused;
            }
        }
    }
    /// Every position that is known (`SubscriptionState.allConsumed`).
    pub fn consumed(&self) -> BTreeMap<TopicPartition, OffsetAndMetadata> {
        let at = |(tp, a): (&TopicPartition, &super::positions::Assigned)| match a.position {
            Position::At(offset) => {
                let leader_epoch = Some(a.epoch).filter(|epoch| *epoch != LeaderEpoch::NONE);
                Some((tp.clone(), OffsetAndMetadata { leader_epoch, ..OffsetAndMetadata::new(offset) }))
            }
            _ => None,
        };
        self.assigned.iter().filter_map(at).collect()
    }
    /// What waits to hear how far the group has come.
    pub fn without_position(&self) -> Vec<TopicPartition> {
        let waits = self.assigned.iter().filter(|(_, a)| matches!(a.position, Position::Committed));
        waits.map(|(tp, _)| tp.clone()).collect()
    }
    /// The group has come to these offsets, and nowhere in the rest.
    pub fn committed(&mut self, committed: &BTreeMap<TopicPartition, OffsetAndMetadata>) {
        for (tp, assigned) in &mut self.assigned {
            if !matches!(assigned.position, Position::Committed) {
                continue;
            }
            match committed.get(tp) {
                Some(at) => {
                    assigned.seek(at.offset);
                    assigned.epoch = at.leader_epoch.unwrap_or(LeaderEpoch::NONE);
                    self.metadata.saw_epoch(tp, assigned.epoch);
                }
                None => assigned.go(start_over(self.cfg.auto_offset_reset, Offset::NONE)),
            }
        }
    }
    /// How many offsets lie between the position and the high watermark that the leader last told.
    pub fn lag(&self, tp: &TopicPartition) -> Option<i64> {
        let end = self.assigned.get(tp)?.high_watermark?;
        Some((end - self.position(tp)?).max(0))
    }
}
