//! Offsets that nobody needs any more (KIP-211).

use std::collections::BTreeSet;
use std::sync::Arc;

use super::classic::{CommittedOffset, Group, State};
use super::config::GroupConfig;
use super::turn::{Then, Turn};
use super::types::Output;
use crate::base::TopicPartition;
use crate::base::marks::{Mark, mark};

impl Group {
    /// Forgets offsets whose time is over. A group without members, offsets and anything on its way into the log goes with them.
    pub fn expire(&mut self, turn: &mut Turn) {
        if self.is(State::Dead) {
            return;
        }
        let pending: BTreeSet<TopicPartition> = turn.appends.pending_offsets(&self.id).cloned().collect();
        let expired: Vec<_> = self.expired(turn.cfg, turn.now.wall_ms, &pending);
        let last = expired.len() == self.offsets.len() && pending.is_empty();
        if !expired.is_empty() {
            mark(Mark::OffsetsExpired);
            turn.out.push(Output::Expired { group: self.id.clone(), offsets: expired.clone() });
        }
        let mut records: Vec<_> = expired.iter().map(|tp| self.offset_tombstone(tp)).collect();
        let members = self.consumer.as_ref().is_some_and(|c| !c.members.is_empty());
        if last && !members && self.is(State::Empty) && self.promised.is_empty() && self.is_idle(turn) {
            self.enter(State::Dead, turn.now);
            records.extend(self.tombstones());
            turn.append(&self.id, records, Then::Delete { ticket: None });
        } else if !expired.is_empty() {
            turn.append(&self.id, records, Then::Forget { reply: None, offsets: expired });
        }
    }
    /// Nothing of this group is on its way into the log.
    fn is_idle(&self, turn: &Turn) -> bool {
        !turn.appends.waiting.values().any(|w| *w.group == *self.id)
    }
    fn expired(&self, cfg: &GroupConfig, wall_ms: i64, pending: &BTreeSet<TopicPartition>) -> Vec<TopicPartition> {
        // Whoever still reads a topic keeps its offsets, however old they are.
        let (since, subscribed): (Option<i64>, BTreeSet<Arc<str>>) = match (self.state, self.subscribed()) {
            (State::Empty, _) if self.protocol_type.is_some() && self.since_ms >= 0 => {
                (Some(self.since_ms), BTreeSet::new())
            }
            (State::Empty, _) => (None, BTreeSet::new()),
            (_, Some(topics)) => (None, topics),
            (_, None) => return Vec::new(),
        };
        let of_members = self.consumer.as_ref().map(|c| c.subscribed());
        let (since, subscribed) = of_members.map_or((since, subscribed), |topics| (None, topics));
        let over = |o: &CommittedOffset| match o.value.expire_timestamp {
            -1 => wall_ms.saturating_sub(since.unwrap_or(o.value.commit_timestamp)) >= cfg.offsets_retention_ms,
            at => wall_ms >= at,
        };
        let gone = |(tp, o): &(&TopicPartition, &CommittedOffset)| {
            !subscribed.contains(&tp.topic) && !pending.contains(tp) && over(o)
        };
        self.offsets.iter().filter(gone).map(|(tp, _)| tp.clone()).collect()
    }
}
