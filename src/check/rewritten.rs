//! Where a producer wrote a part of its log once more, because retention had taken what came before it.
//!
//! A batch may wait so long for its acknowledgement that retention (or DeleteRecords) takes it. A leader whose copy of the log
//! begins behind it knows its producer from the next batch on only, and refuses the batch with OUT_OF_ORDER_SEQUENCE_NUMBER
//! when it is sent again. The producer concludes that the log lacks it and everything behind it, and sends all of that
//! anew under the next epoch (KIP-360; Kafka's `TransactionManager.canRetry` and `startSequencesAtBeginning`).
//!
//! No laxer: the log must have lost its beginning, and all that it still has of the writer must stand behind the value
//! that comes again: had the writer an earlier value there, a broker would have accepted a gap between the two.

use std::collections::BTreeMap;

use super::verdict::Audit;
use crate::base::Offset;
use crate::world::history::Value;

/// The offset from which on each writer's values may come once more, for the writers that have one.
pub(super) fn rewritten(audit: &Audit) -> BTreeMap<u32, Offset> {
    let mut first: BTreeMap<u32, u64> = BTreeMap::new();
    let mut again = BTreeMap::new();
    if audit.start == Offset(0) {
        return again;
    }
    for (offset, value) in &audit.records {
        let Some(Value { writer, seq }) = value.filter(|_| !audit.is_letter(*offset)) else { continue };
        if seq < *first.entry(writer).or_insert(seq) {
            again.entry(writer).or_insert(*offset);
        }
    }
    again
}
