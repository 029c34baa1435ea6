//! DENSE: offsets of a partition are dense and strictly increasing, and no value of an idempotent producer stands at
//! two offsets (KIP-98; Jepsen's duplicate).
//!
//! No stricter: a reader that was positioned anew starts wherever it was told to; what lies below a log start that some
//! replica has told may be gone (retention, DeleteRecords: `auto.offset.reset` then sends a reader to the log start), and
//! so may what lies below a cleaner's mark (`LogCleaner`); control records take offsets that no reader sees, so gaps are
//! only judged where no transaction ever wrote, which is everywhere as yet. For each election that gave up what was committed (`ground::restart`) a reader may step back once: to what was given up, when it validates
//! its position (KIP-320), or to the log start, where `auto.offset.reset` sends it if it stands beyond the new end. Only an
//! idempotent producer promises that a retry is not appended twice.

use std::collections::BTreeMap;
use std::ops::Range;

use super::Writers;
use super::ground::Ground;
use super::verdict::{Audit, Findings};
use crate::base::{Offset, TopicPartition};
use crate::world::history::{Op, Value};

#[derive(Default)]
pub(super) struct Dense {
    next: BTreeMap<(u32, TopicPartition), Place>,
}

/// Where a reader stands.
struct Place {
    next: Offset,
    /// How many elections it has stepped back for.
    steps_back: usize,
}

impl Dense {
    pub(super) fn client(&mut self, op: &Op, ground: &Ground, out: &mut Findings) {
        match op {
            Op::Positioned { reader, tp, offset } => {
                let place = Place { next: *offset, steps_back: 0 };
                self.next.insert((*reader, tp.clone()), place);
            }
            Op::Read { reader, tp, offset, .. } => {
                let fresh = Place { next: *offset, steps_back: 0 };
                let place = self.next.entry((*reader, tp.clone())).or_insert(fresh);
                let next = place.next;
                if *offset < next && place.may_step_back(tp, *offset, ground) {
                    place.steps_back += 1;
                } else if *offset != next && !gone(tp, next..*offset, ground) {
                    let jepsen = if *offset < next { "nonmonotonic-poll" } else { "poll-skip" };
                    out.report(
                        "DENSE",
                        Some(jepsen),
                        format!("{tp}: reader {reader} was given offset {offset} where {next} had to come"),
                    );
                }
                let start = ground.partition(tp).map_or(Offset::ZERO, |p| p.log_start);
                out.skipped += (start.min(*offset).0 - next.0).max(0).cast_unsigned();
                place.next = offset.next();
            }
            _ => {}
        }
    }
    pub(super) fn audit(&mut self, audit: &Audit, ground: &Ground, writers: &Writers, out: &mut Findings) {
        let mut expected = audit.start;
        let mut first: BTreeMap<Value, Offset> = BTreeMap::new();
        for (offset, value) in &audit.records {
            if *offset != expected && !gone(&audit.tp, expected..*offset, ground) {
                out.report(
                    "DENSE",
                    None,
                    format!("{}: offset {offset} follows where {expected} had to come", audit.tp),
                );
            }
            expected = offset.next();
            let Some(value) = value else { continue };
            if let Some(before) = first.insert(*value, *offset) {
                out.duplicated += 1;
                if writers.get(&value.writer).is_some_and(|traits| !traits.idempotent) {
                    continue;
                }
                out.report(
                    "DENSE",
                    Some("duplicate"),
                    format!("{}: {value} stands at both {before} and {offset}", audit.tp),
                );
            }
        }
        if expected < audit.end && !audit.records.is_empty() {
            out.report(
                "DENSE",
                None,
                format!("{}: the last record ends at {expected}, the log at {}", audit.tp, audit.end),
            );
        }
    }
}

impl Place {
    fn may_step_back(&self, tp: &TopicPartition, to: Offset, ground: &Ground) -> bool {
        let Some(p) = ground.partition(tp) else { return false };
        let restarts = if to <= p.log_start { p.restarts.len() } else { p.restarts_at(to) };
        restarts > self.steps_back
    }
}

/// True if records may be missing from all of `skipped`.
fn gone(tp: &TopicPartition, skipped: Range<Offset>, ground: &Ground) -> bool {
    skipped.start < skipped.end && ground.partition(tp).is_some_and(|p| skipped.end <= p.log_start.max(p.compacted))
}
