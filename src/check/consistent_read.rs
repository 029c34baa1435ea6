//! CR: what one consumer read at an offset, everybody reads there, for ever, and it is what was acknowledged there
//! (KIP-966; Jepsen's inconsistent-offsets).
//!
//! No stricter: offsets that retention, DeleteRecords or compaction removed are not read again at all; each election that
//! gave up what stood at an offset (`ground::restart`) allows one more value there, or none.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::ground::Ground;
use super::verdict::{Audit, Findings};
use crate::base::{Offset, TopicPartition};
use crate::world::history::{Op, Value};

#[derive(Default)]
pub(super) struct ConsistentRead {
    read: BTreeMap<TopicPartition, BTreeMap<Offset, Option<Value>>>,
    /// What was read there besides, by leave of elections.
    others: BTreeMap<(TopicPartition, Offset), Vec<Option<Value>>>,
}

fn show(value: Option<Value>) -> String {
    value.map_or_else(|| "bytes that nobody wrote".to_owned(), |v| v.to_string())
}

impl ConsistentRead {
    pub(super) fn client(&mut self, op: &Op, ground: &Ground, out: &mut Findings) {
        if let Op::Read { reader, tp, offset, value } = op {
            self.take(&format!("reader {reader}"), tp, *offset, *value, ground, out);
        }
    }
    pub(super) fn audit(&mut self, audit: &Audit, ground: &Ground, out: &mut Findings) {
        for (offset, value) in &audit.records {
            self.take("the audit after healing", &audit.tp, *offset, *value, ground, out);
        }
        let seen = self.read.get(&audit.tp).into_iter().flatten();
        let given_up = |offset: Offset| ground.partition(&audit.tp).is_some_and(|p| p.restarts_at(offset) > 0);
        let mut gone = seen.filter(|(offset, _)| **offset >= audit.end && !given_up(**offset));
        let gone = gone.next().map(|(o, v)| (*o, *v));
        if let Some((offset, value)) = gone {
            out.report(
                "CR",
                Some("inconsistent-offsets"),
                format!("{}: {} was read at {offset}, but the log ends at {} now", audit.tp, show(value), audit.end),
            );
        }
    }
    fn take(
        &mut self,
        who: &str,
        tp: &TopicPartition,
        offset: Offset,
        value: Option<Value>,
        ground: &Ground,
        out: &mut Findings,
    ) {
        if !self.read.contains_key(tp) {
            self.read.insert(tp.clone(), BTreeMap::new());
        }
        let Some(seen) = self.read.get_mut(tp) else { return };
        let first = match seen.entry(offset) {
            Entry::Vacant(e) => {
                e.insert(value);
                return;
            }
            Entry::Occupied(e) => *e.get(),
        };
        if first == value {
            return;
        }
        let others = self.others.entry((tp.clone(), offset)).or_default();
        if others.contains(&value) {
            return;
        }
        if others.len() < ground.partition(tp).map_or(0, |p| p.restarts_at(offset)) {
            return others.push(value);
        }
        out.report(
            "CR",
            Some("inconsistent-offsets"),
            format!("{tp}: {who} read {} at {offset} where {} was read before", show(value), show(first)),
        );
    }
}
