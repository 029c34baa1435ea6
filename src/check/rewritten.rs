//! Where a producer wrote a part of its log once more, because what came before it was taken out of the log.
//!
//! A batch may wait so long for its acknowledgement that retention, DeleteRecords or the cleaner takes it. A leader that builds up
//! its producers' state from what is left knows its producer from the next batch on only, and refuses the batch with
//! OUT_OF_ORDER_SEQUENCE_NUMBER when it is sent again. The producer concludes that the log lacks it and everything behind it, and
//! sends all of that anew under the next epoch (KIP-360; Kafka's `TransactionManager.canRetry` and `startSequencesAtBeginning`).
//!
//! No laxer: where the value that comes again must have stood first, between its neighbours of the same writer, the log must lack an
//! offset. Otherwise a broker has accepted a gap between the two.

use std::collections::BTreeMap;

use super::verdict::Audit;
use crate::base::Offset;
use crate::world::history::Value;

/// By writer: the offset from which on its values may come once more, where it has one.
pub(super) type Again = BTreeMap<u32, Offset>;

/// Which writers wrote a part of this log once more.
pub(super) fn rewritten(audit: &Audit) -> Again {
    let mut again = BTreeMap::new();
    let is_complete = audit.start == Offset::ZERO && audit.records.len() as i64 == audit.end.0;
    if is_complete {
        return again;
    }
    let mut latest: BTreeMap<u32, u64> = BTreeMap::new();
    for (at, (offset, value)) in audit.records.iter().enumerate() {
        let Some(value) = value.filter(|_| !audit.is_letter(*offset)) else { continue };
        let latest = latest.entry(value.writer).or_insert(value.seq);
        if value.seq < *latest && !again.contains_key(&value.writer) && may_have_stood_before(audit, at, value) {
            again.insert(value.writer, *offset);
        }
        *latest = value.seq;
    }
    again
}

/// True if the log lacks an offset at which `value`, whose copy is the record number `at`, may have stood first.
fn may_have_stood_before(audit: &Audit, at: usize, value: Value) -> bool {
    let of_writer = |(_, found): &&(Offset, Option<Value>)| found.is_some_and(|found| found.writer == value.writer);
    let earlier = || audit.records[..at].iter().filter(of_writer);
    let seq = |(_, found): &(Offset, Option<Value>)| found.map_or(0, |found| found.seq);
    if earlier().any(|record| seq(record) == value.seq) {
        return false;
    }
    let after = earlier().filter(|record| seq(record) < value.seq).map(|(offset, _)| offset.next()).max();
    let Some(before) = earlier().filter(|record| seq(record) > value.seq).map(|(offset, _)| *offset).min() else {
        return false;
    };
    let after = after.unwrap_or(Offset::ZERO);
    let there = audit.records[..at].iter().filter(|(offset, _)| (after..before).contains(offset)).count();
    (there as i64) < before - after
}
