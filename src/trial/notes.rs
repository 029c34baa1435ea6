//! What a story's own clients tell the court: which records they sent, what became of them, and what they read.
//!
//! A record is known by a fingerprint of its value, so that clients may write whatever they like. Two records of equal value
//! are one to the court: it can miss that one of them is lost, but accuses nobody wrongly.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::witness::Witness;
use crate::base::random::fnv1a;
use crate::base::{LeaderEpoch, Offset, TopicPartition};
use crate::check::WriterTraits;
use crate::world::Watch;
use crate::world::history::{Op, Promise, Value};

/// The number of all the story's writers together; a story has no others.
const WRITER: u32 = 0;

/// Tells the court what a client did or was told; clones tell the same court.
#[derive(Clone)]
pub struct Notes {
    witness: Arc<Witness>,
    /// Records whose fate nobody has noted, and how often they were sent.
    open: Arc<Mutex<BTreeMap<(TopicPartition, Value), u32>>>,
}

impl std::fmt::Debug for Notes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notes").finish_non_exhaustive()
    }
}

/// What the court knows a record of a story by.
pub(super) fn fingerprint(value: Option<&[u8]>) -> Option<Value> {
    Some(Value { writer: WRITER, seq: fnv1a(value.unwrap_or_default()) })
}

impl Notes {
    pub(super) fn new(witness: &Arc<Witness>) -> Self {
        // Nothing is known of how its clients are set up, so nothing is promised of retries and their order.
        let number = witness.writer_begins("the story", WriterTraits { idempotent: false, ordered: false });
        assert_eq!(number, WRITER, "a story is the only writer of its run");
        Self { witness: witness.clone(), open: Arc::default() }
    }
    /// A record is about to be sent to this partition. To be noted before it is.
    pub fn sent(&self, topic: &str, partition: i32, value: &[u8]) {
        let (tp, value) = named(topic, partition, value);
        let count = {
            let mut open = self.open.lock();
            let count = open.entry((tp.clone(), value)).or_default();
            *count += 1;
            *count
        };
        if count == 1 {
            self.witness.record(Op::Sent { value, tp });
        }
    }
    /// A record that was noted as sent is acknowledged with `acks=all`, at this offset: from now on its loss breaks ACK.
    pub fn acked(&self, topic: &str, partition: i32, value: &[u8], offset: i64) {
        let (tp, value) = named(topic, partition, value);
        self.settle(&tp, value, |tp| Op::Acked {
            value,
            tp,
            offset: Offset(offset),
            promise: Promise::All,
            // Whom the client asked is not known: any leader may have acknowledged it.
            sent_to: LeaderEpoch::NONE,
        });
    }
    /// Nobody knows whether a record that was noted as sent was written. This is noted by itself of all that are open when
    /// the story ends.
    pub fn unknown(&self, topic: &str, partition: i32, value: &[u8], error: &str) {
        let (tp, value) = named(topic, partition, value);
        self.settle(&tp, value, |tp| Op::Failed { value, tp, definite: false, error: error.into() });
    }
    /// A client has read a record. Readers are told apart by their number: each must read a partition from where it
    /// began, without gaps and in order.
    pub fn read(&self, reader: u32, topic: &str, partition: i32, offset: i64, value: Option<&[u8]>) {
        let tp = TopicPartition::new(topic, partition);
        self.witness.record(Op::Read { reader, tp, offset: Offset(offset), value: fingerprint(value) });
    }

    fn settle(&self, tp: &TopicPartition, value: Value, op: impl FnOnce(TopicPartition) -> Op) {
        if self.open.lock().remove(&(tp.clone(), value)).is_some() {
            self.witness.record(op(tp.clone()));
        }
    }
    /// The story is over.
    pub(super) fn close(&self) {
        let open = std::mem::take(&mut *self.open.lock());
        for (tp, value) in open.into_keys() {
            self.witness.record(Op::Failed { value, tp, definite: false, error: "the story ended".into() });
        }
    }
}

fn named(topic: &str, partition: i32, value: &[u8]) -> (TopicPartition, Value) {
    let value = Value { writer: WRITER, seq: fnv1a(value) };
    (TopicPartition::new(topic, partition), value)
}
