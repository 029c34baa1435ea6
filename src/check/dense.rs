//! DENSE: offsets of a partition are dense and strictly increasing, and no value of an idempotent producer stands at
//! two offsets (KIP-98; Jepsen's duplicate). How readers poll is POLL's affair.
//!
//! No stricter: what lies below a log start that some replica has told may be gone (retention, DeleteRecords), and so may
//! what lies below a cleaner's mark (`LogCleaner`); control records take offsets that no reader sees, so gaps are only
//! judged where no transaction ever wrote, which is everywhere as yet; a dead letter is a copy that an application may write
//! twice. Only an idempotent producer promises that a retry is not appended twice, and it only as long as the log keeps what
//! waits for its acknowledgement ([`super::rewritten`]).

use std::collections::BTreeMap;

use super::Writers;
use super::ground::Ground;
use super::rewritten::Again;
use super::verdict::{Audit, Findings};
use crate::base::Offset;
use crate::world::history::Value;

pub(super) struct Dense;

impl Dense {
    pub(super) fn audit(
        &mut self,
        audit: &Audit,
        ground: &Ground,
        writers: &Writers,
        again: &Again,
        out: &mut Findings,
    ) {
        let mut expected = audit.start;
        let mut last: BTreeMap<Value, Offset> = BTreeMap::new();
        for (offset, value) in &audit.records {
            if *offset != expected && !ground.is_gone(&audit.tp, expected..*offset) {
                out.report(
                    "DENSE",
                    None,
                    format!("{}: offset {offset} follows where {expected} had to come", audit.tp),
                );
            }
            expected = offset.next();
            let Some(value) = value.as_ref().filter(|_| !audit.is_letter(*offset)) else { continue };
            if let Some(before) = last.insert(*value, *offset) {
                out.duplicated += 1;
                let excused = again.get(&value.writer).is_some_and(|from| before < *from && *from < *offset);
                if excused || writers.get(&value.writer).is_some_and(|traits| !traits.idempotent) {
                    continue;
                }
                out.report(
                    "DENSE",
                    Some("duplicate"),
                    format!("{}: {value} stands at both {before} and {offset}", audit.tp),
                );
            }
        }
        // Retention goes on while the audit reads: what it was about to read may be gone.
        if expected < audit.end && !audit.records.is_empty() && !ground.is_gone(&audit.tp, expected..audit.end) {
            out.report(
                "DENSE",
                None,
                format!("{}: the last record ends at {expected}, the log at {}", audit.tp, audit.end),
            );
        }
    }
}
