//! POLL: polls never skip and never go back (Jepsen's poll-skip and nonmonotonic-poll).
//!
//! No stricter: a reader that was positioned anew starts wherever it was told to, and so does a member of a group with
//! every partition that it is assigned; what lies below a log start that some replica has told may be gone (retention,
//! DeleteRecords: `auto.offset.reset` then sends a reader to the log start); control records take offsets that no reader
//! sees, so gaps are only judged where no transaction ever wrote, which is everywhere as yet.

use std::collections::BTreeMap;

use super::ground::Ground;
use super::verdict::Findings;
use crate::base::{Offset, TopicPartition};
use crate::world::history::Op;
use crate::world::member::{MemberOp, Step};

#[derive(Default)]
pub(super) struct Poll {
    next: BTreeMap<(u32, TopicPartition), Offset>,
}

impl Poll {
    pub(super) fn client(&mut self, op: &Op, ground: &Ground, out: &mut Findings) {
        match op {
            Op::Positioned { reader, tp, offset } => {
                self.next.insert((*reader, tp.clone()), *offset);
            }
            Op::Member { member, what: MemberOp::Rebalance { step, partitions, .. } } if *step != Step::Preparing => {
                self.next.retain(|(reader, tp), _| reader != member || !partitions.contains(tp));
            }
            Op::Read { reader, tp, offset, .. } => {
                let next = self.next.entry((*reader, tp.clone())).or_insert(*offset);
                if offset != next && !ground.is_gone(tp, *next..*offset) {
                    let jepsen = if offset < next { "nonmonotonic-poll" } else { "poll-skip" };
                    out.report(
                        "POLL",
                        Some(jepsen),
                        format!("{tp}: reader {reader} was given offset {offset} where {next} had to come"),
                    );
                }
                *next = offset.next();
            }
            _ => {}
        }
    }
}
