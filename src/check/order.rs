//! ORDER: per producer and partition, values appear in the order in which they were sent (KIP-98; Jepsen's
//! nonmonotonic-send).
//!
//! No stricter: values that failed leave gaps; only the order of what is there counts. Without idempotence and with more
//! than one request in flight a retry may be overtaken (Kafka's `max.in.flight.requests.per.connection`). What was taken out of
//! the log before it was acknowledged may come again behind what followed it ([`super::rewritten`]). Dead letters are copies in
//! the order in which they were met.

use std::collections::BTreeMap;

use super::Writers;
use super::rewritten::Again;
use super::verdict::{Audit, Findings};
use crate::base::Offset;

pub(super) struct Order;

impl Order {
    pub(super) fn audit(&mut self, audit: &Audit, writers: &Writers, again: &Again, out: &mut Findings) {
        let mut last: BTreeMap<u32, (u64, Offset)> = BTreeMap::new();
        for (offset, value) in &audit.records {
            let Some(value) = value.as_ref().filter(|_| !audit.is_letter(*offset)) else { continue };
            if writers.get(&value.writer).is_some_and(|traits| !traits.ordered) {
                continue;
            }
            if let Some((seq, at)) = last.insert(value.writer, (value.seq, *offset))
                && value.seq < seq
                && again.get(&value.writer) != Some(offset)
            {
                out.report(
                    "ORDER",
                    Some("nonmonotonic-send"),
                    format!("{}: {value} stands at {offset}, behind w{}:{seq} at {at}", audit.tp, value.writer),
                );
            }
        }
    }
}
