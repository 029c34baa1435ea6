//! The history: what clients asked for and what they were told, in the order in which it happened.
//!
//! Values name their writer and their place in its order of sending, so that an oracle can tell from the bytes of a
//! record who sent it and when.

use std::sync::Arc;

use serde::Serialize;

use crate::base::{Offset, TopicPartition};

/// One value that a workload writes: the `seq`-th one of writer number `writer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value {
    /// Index of the writing process among all writers of the run.
    pub writer: u32,
    /// Its place in the order in which that writer sent, from 0.
    pub seq: u64,
}

impl Value {
    /// The bytes of a record that carries this value: readable text, padded to `size` bytes if shorter.
    #[must_use]
    pub fn encode(self, size: usize) -> Vec<u8> {
        let mut bytes = format!("w{}:{};", self.writer, self.seq).into_bytes();
        if bytes.len() < size {
            bytes.resize(size, b'.');
        }
        bytes
    }
    /// Reads a value back; None if the bytes were not written by [`Value::encode`].
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let text = bytes.strip_prefix(b"w")?;
        let colon = text.iter().position(|b| *b == b':')?;
        let end = text.iter().position(|b| *b == b';')?;
        let number = |b: &[u8]| std::str::from_utf8(b).ok()?.parse::<u64>().ok();
        Some(Self { writer: u32::try_from(number(&text[..colon])?).ok()?, seq: number(text.get(colon + 1..end)?)? })
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "w{}:{}", self.writer, self.seq)
    }
}

impl Serialize for Value {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// How much a writer was promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// `acks=all`: it survives while `min.insync.replicas - 1` holders may fail.
    All,
    /// `acks=1`: the leader had it.
    Leader,
    /// `acks=0`: nothing.
    Nothing,
}

/// One client event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// A writer handed a value to its producer.
    Sent { value: Value, tp: TopicPartition },
    /// The producer was told that the value is at this offset.
    Acked { value: Value, tp: TopicPartition, offset: Offset, promise: Promise },
    /// The producer gave up. `definite`: no attempt can have been appended; otherwise the outcome is unknown.
    Failed { value: Value, tp: TopicPartition, definite: bool, error: Arc<str> },
    /// A reader received the record at this offset; `value` is None if its bytes are nobody's value.
    Read { reader: u32, tp: TopicPartition, offset: Offset, value: Option<Value> },
    /// A reader begins to read a partition at this offset (assignment, reset or seek).
    Positioned { reader: u32, tp: TopicPartition, offset: Offset },
}

/// A client event and when it happened, in simulated nanoseconds since the scenario began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub at_ns: u64,
    /// What.
    pub op: Op,
}

/// The entry as one line of `history.jsonl`.
impl Serialize for Entry {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let line = |op, tp| Line { at_ms: self.at_ns / 1_000_000, op, ..Line::new(tp) };
        match &self.op {
            Op::Sent { value, tp } => Line { value: Some(*value), ..line("sent", tp) },
            Op::Acked { value, tp, offset, .. } => {
                Line { value: Some(*value), offset: Some(*offset), ..line("acked", tp) }
            }
            Op::Failed { value, tp, definite, error } => {
                let op = if *definite { "failed" } else { "unknown" };
                Line { value: Some(*value), error: Some(error), ..line(op, tp) }
            }
            Op::Read { reader, tp, offset, value } => {
                Line { reader: Some(*reader), offset: Some(*offset), value: *value, ..line("read", tp) }
            }
            Op::Positioned { reader, tp, offset } => {
                Line { reader: Some(*reader), offset: Some(*offset), ..line("positioned", tp) }
            }
        }
        .serialize(s)
    }
}

#[derive(Serialize)]
struct Line<'a> {
    at_ms: u64,
    op: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reader: Option<u32>,
    #[serde(serialize_with = "as_text")]
    partition: &'a TopicPartition,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<Offset>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

impl<'a> Line<'a> {
    fn new(partition: &'a TopicPartition) -> Self {
        Self { at_ms: 0, op: "", reader: None, partition, offset: None, value: None, error: None }
    }
}

fn as_text<S: serde::Serializer>(tp: &&TopicPartition, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(tp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_one_line_without_what_it_does_not_say() {
        let tp = TopicPartition::new("t", 2);
        let value = Value { writer: 3, seq: 9 };
        let sent = Entry { at_ns: 5_999_999, op: Op::Sent { value, tp: tp.clone() } };
        assert_eq!(
            serde_json::to_string(&sent).unwrap(),
            r#"{"at_ms":5,"op":"sent","partition":"t-2","value":"w3:9"}"#
        );
        let read = Entry { at_ns: 0, op: Op::Read { reader: 1, tp, offset: Offset(7), value: None } };
        let line = r#"{"at_ms":0,"op":"read","reader":1,"partition":"t-2","offset":7}"#;
        assert_eq!(serde_json::to_string(&read).unwrap(), line);
    }

    #[test]
    fn a_value_survives_its_bytes_and_others_are_told_apart() {
        let v = Value { writer: 3, seq: 12_345 };
        assert_eq!(v.encode(100).len(), 100);
        assert_eq!(Value::decode(&v.encode(100)), Some(v));
        assert_eq!(Value::decode(&v.encode(0)), Some(v));
        for junk in [&b""[..], b"w", b"w1", b"w1:", b"w;1:2", b"x1:2;", b"w1:b;"] {
            assert_eq!(Value::decode(junk), None);
        }
    }
}
