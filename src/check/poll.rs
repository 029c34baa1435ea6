//! POLL: polls never skip and never go back (Jepsen's poll-skip and nonmonotonic-poll).
//!
//! No stricter: a reader that was positioned anew starts wherever it was told to, and so does a member of a group with
//! every partition that it is assigned; what lies below a log start that some replica has told may be gone (retention,
//! DeleteRecords: `auto.offset.reset` then sends a reader to the log start), and so may what lies below a cleaner's mark
//! (`LogCleaner`); control records take offsets that no reader
//! sees, so gaps are only judged where no transaction ever wrote, which is everywhere as yet. For each election that gave up
//! what was committed (`ground::restart`) a reader may step back once: to what was given up, when it validates its position
//! (KIP-320), or to the log start, where `auto.offset.reset` sends it if it stands beyond the new end. Retention runs on each replica by
//! itself: whom one leader's log start has overtaken is sent to the log start of the next leader, which may lie further back
//! than the reader had come.

use std::collections::BTreeMap;

use super::ground::{Ground, Partition};
use super::verdict::Findings;
use crate::base::{Offset, TopicPartition};
use crate::world::history::Op;
use crate::world::member::{MemberOp, Step};

#[derive(Default)]
pub(super) struct Poll {
    next: BTreeMap<(u32, TopicPartition), Place>,
}

/// Where a reader stands.
struct Place {
    next: Offset,
    /// How many elections it has stepped back for.
    steps_back: usize,
}

impl Poll {
    pub(super) fn client(&mut self, op: &Op, ground: &Ground, out: &mut Findings) {
        match op {
            Op::Positioned { reader, tp, offset } => {
                self.next.insert((*reader, tp.clone()), Place { next: *offset, steps_back: 0 });
            }
            Op::Member { member, what: MemberOp::Rebalance { step, partitions, .. } } if *step != Step::Preparing => {
                self.next.retain(|(reader, tp), _| reader != member || !partitions.contains(tp));
            }
            Op::Read { reader, tp, offset, .. } => self.read(*reader, tp, *offset, ground, out),
            _ => {}
        }
    }
    fn read(&mut self, reader: u32, tp: &TopicPartition, offset: Offset, ground: &Ground, out: &mut Findings) {
        let place = self.next.entry((reader, tp.clone())).or_insert(Place { next: offset, steps_back: 0 });
        let next = place.next;
        if offset < next && place.may_step_back(tp, offset, ground) {
            place.steps_back += 1;
        } else if offset < next && was_overtaken(tp, next, offset, ground) {
            // It starts over, and is held to what follows.
        } else if offset != next && !ground.is_gone(tp, next..offset) {
            let jepsen = if offset < next { "nonmonotonic-poll" } else { "poll-skip" };
            out.report(
                "POLL",
                Some(jepsen),
                format!("{tp}: reader {reader} was given offset {offset} where {next} had to come"),
            );
        }
        let start = ground.partition(tp).map_or(Offset::ZERO, |p| p.log_start);
        out.skipped += (start.min(offset).0 - next.0).max(0).cast_unsigned();
        place.next = offset.next();
    }
}

/// A reader stood below some replica's log start and goes on where another's began (Kafka answers OFFSET_OUT_OF_RANGE to the one
/// and ListOffsets with the other); what a cleaner has taken may be missing there.
fn was_overtaken(tp: &TopicPartition, stood: Offset, to: Offset, ground: &Ground) -> bool {
    let begins = |p: &Partition| p.log_starts.contains(&to) || to <= p.compacted;
    ground.partition(tp).is_some_and(|p| stood < p.log_start && begins(p))
}

impl Place {
    fn may_step_back(&self, tp: &TopicPartition, to: Offset, ground: &Ground) -> bool {
        let Some(p) = ground.partition(tp) else { return false };
        let restarts = if to <= p.log_start { p.restarts.len() } else { p.restarts_at(to) };
        restarts > self.steps_back
    }
}
