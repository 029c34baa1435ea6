//! The history: what clients asked for and what they were told, in the order in which it happened.
//!
//! Values name their writer and their place in its order of sending, so that an oracle can tell from the bytes of a
//! record who sent it and when.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::member::MemberOp;
use crate::base::{LeaderEpoch, Offset, TopicPartition};

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
        // The longest text is one of 33 bytes.
        let mut bytes = Vec::with_capacity(size.max(33));
        bytes.push(b'w');
        put_decimal(&mut bytes, self.writer.into());
        bytes.push(b':');
        put_decimal(&mut bytes, self.seq);
        bytes.push(b';');
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

fn put_decimal(bytes: &mut Vec<u8>, mut n: u64) {
    let start = bytes.len();
    loop {
        bytes.push(b'0' + (n % 10) as u8);
        n /= 10;
        if n == 0 {
            break;
        }
    }
    bytes[start..].reverse();
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

/// The partition of a record whose producer chooses it, until it is known.
pub const SOMEWHERE: i32 = -1;

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
    /// A writer handed a value to its producer, for this partition or [`SOMEWHERE`] in the topic.
    Sent { value: Value, tp: TopicPartition },
    /// The producer was told that the value is at this offset, by the leader of the epoch `sent_to` as it knew it.
    Acked { value: Value, tp: TopicPartition, offset: Offset, promise: Promise, sent_to: LeaderEpoch },
    /// The producer gave up. `definite`: no attempt can have been appended; otherwise the outcome is unknown.
    Failed { value: Value, tp: TopicPartition, definite: bool, error: Arc<str> },
    /// A reader received the record at this offset; `value` is None if its bytes are nobody's value.
    Read { reader: u32, tp: TopicPartition, offset: Offset, value: Option<Value> },
    /// A reader begins to read a partition at this offset (assignment, reset or seek).
    Positioned { reader: u32, tp: TopicPartition, offset: Offset },
    /// A reader found that what it had read of a partition below `from` is not all there any more: from `divergent` on the
    /// log may hold other records (KIP-320); [`Offset::NONE`] if the leader could not say.
    Truncated { reader: u32, tp: TopicPartition, from: Offset, divergent: Offset },
    /// A member of a consumer group did or was told something; members and readers are numbered together.
    Member { member: u32, what: MemberOp },
}

/// A client event and when it happened, in simulated nanoseconds since the scenario began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub at_ns: u64,
    /// What.
    pub op: Op,
}

/// How many entries a piece of the history holds: what grows by pieces is never moved.
const PIECE: usize = 4_096;

/// Every client event of a run, in order. It is the largest thing that a run keeps, so entries are stored packed.
#[derive(Clone, Debug, Default)]
pub struct History {
    pieces: Vec<Vec<Packed>>,
    partitions: Vec<TopicPartition>,
    numbers: BTreeMap<TopicPartition, u32>,
    errors: Vec<Arc<str>>,
    /// What members did; it says too different things to be packed.
    members: Vec<MemberOp>,
}

/// An entry; what each field means depends on the kind.
#[derive(Clone, Copy, Debug)]
struct Packed {
    at_ns: u64,
    seq: u64,
    offset: i64,
    writer: u32,
    /// The reader, the member, the number of the error, or the bits of the leader epoch.
    other: u32,
    /// The partition's number and, in the lowest bits, the kind.
    partition: u32,
}

const KIND_BITS: u32 = 4;
const SENT: u32 = 0;
const ACKED_ALL: u32 = 1;
const ACKED_LEADER: u32 = 2;
const ACKED_NOTHING: u32 = 3;
const FAILED: u32 = 4;
const UNKNOWN: u32 = 5;
const READ: u32 = 6;
const READ_JUNK: u32 = 7;
const POSITIONED: u32 = 8;
const MEMBER: u32 = 9;
const TRUNCATED: u32 = 10;

impl History {
    /// Adds what happened last.
    pub fn push(&mut self, entry: Entry) {
        let packed = self.pack(entry);
        if self.pieces.last().is_none_or(|piece| piece.len() == PIECE) {
            self.pieces.push(Vec::with_capacity(PIECE));
        }
        self.pieces.last_mut().expect("there is one now").push(packed);
    }
    /// Everything in order.
    pub fn iter(&self) -> impl Iterator<Item = Entry> {
        self.pieces.iter().flatten().map(|packed| self.unpack(packed))
    }

    fn pack(&mut self, entry: Entry) -> Packed {
        let none = Value { writer: 0, seq: 0 };
        let (kind, tp, value, offset, other) = match entry.op {
            Op::Sent { value, tp } => (SENT, tp, value, Offset::NONE, 0),
            Op::Acked { value, tp, offset, promise, sent_to } => {
                let kind = match promise {
                    Promise::All => ACKED_ALL,
                    Promise::Leader => ACKED_LEADER,
                    Promise::Nothing => ACKED_NOTHING,
                };
                (kind, tp, value, offset, sent_to.0.cast_unsigned())
            }
            Op::Failed { value, tp, definite, error } => {
                let kind = if definite { FAILED } else { UNKNOWN };
                (kind, tp, value, Offset::NONE, self.number_of_error(error))
            }
            Op::Read { reader, tp, offset, value: Some(value) } => (READ, tp, value, offset, reader),
            Op::Read { reader, tp, offset, value: None } => (READ_JUNK, tp, none, offset, reader),
            Op::Positioned { reader, tp, offset } => (POSITIONED, tp, none, offset, reader),
            Op::Truncated { reader, tp, from, divergent } => {
                (TRUNCATED, tp, Value { seq: divergent.0.cast_unsigned(), ..none }, from, reader)
            }
            Op::Member { member, what } => {
                self.members.push(what);
                let seq = self.members.len() as u64 - 1;
                return Packed { at_ns: entry.at_ns, seq, offset: 0, writer: 0, other: member, partition: MEMBER };
            }
        };
        let partition = self.number_of(tp) << KIND_BITS | kind;
        Packed { at_ns: entry.at_ns, seq: value.seq, offset: offset.0, writer: value.writer, other, partition }
    }
    fn unpack(&self, packed: &Packed) -> Entry {
        let Packed { at_ns, seq, offset, writer, other, partition } = *packed;
        if partition == MEMBER {
            let what = self.members[seq as usize].clone();
            return Entry { at_ns, op: Op::Member { member: other, what } };
        }
        let tp = self.partitions[(partition >> KIND_BITS) as usize].clone();
        let (value, offset) = (Value { writer, seq }, Offset(offset));
        let sent_to = LeaderEpoch(other.cast_signed());
        let op = match partition & ((1 << KIND_BITS) - 1) {
            SENT => Op::Sent { value, tp },
            ACKED_ALL => Op::Acked { value, tp, offset, promise: Promise::All, sent_to },
            ACKED_LEADER => Op::Acked { value, tp, offset, promise: Promise::Leader, sent_to },
            ACKED_NOTHING => Op::Acked { value, tp, offset, promise: Promise::Nothing, sent_to },
            kind @ (FAILED | UNKNOWN) => {
                Op::Failed { value, tp, definite: kind == FAILED, error: self.errors[other as usize].clone() }
            }
            READ => Op::Read { reader: other, tp, offset, value: Some(value) },
            READ_JUNK => Op::Read { reader: other, tp, offset, value: None },
            TRUNCATED => Op::Truncated { reader: other, tp, from: offset, divergent: Offset(seq.cast_signed()) },
            _ => Op::Positioned { reader: other, tp, offset },
        };
        Entry { at_ns, op }
    }
    fn number_of(&mut self, tp: TopicPartition) -> u32 {
        if let Some(number) = self.numbers.get(&tp) {
            return *number;
        }
        let number = u32::try_from(self.partitions.len()).expect("fewer partitions than four thousand million");
        assert!(number < 1 << (u32::BITS - KIND_BITS), "a history of more than 268 million partitions");
        self.partitions.push(tp.clone());
        self.numbers.insert(tp, number);
        number
    }
    /// There are few different errors, and equal ones tend to come together.
    fn number_of_error(&mut self, error: Arc<str>) -> u32 {
        let known = self.errors.iter().rposition(|e| *e == error).unwrap_or_else(|| {
            self.errors.push(error);
            self.errors.len() - 1
        });
        u32::try_from(known).expect("fewer errors than four thousand million")
    }
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
            Op::Truncated { reader, tp, from, divergent } => {
                let divergent = Some(*divergent).filter(|d| *d != Offset::NONE);
                Line { reader: Some(*reader), offset: Some(*from), divergent, ..line("truncated", tp) }
            }
            Op::Member { member, what } => {
                return MemberLine { at_ms: self.at_ns / 1_000_000, member: *member, what }.serialize(s);
            }
        }
        .serialize(s)
    }
}

#[derive(Serialize)]
struct MemberLine<'a> {
    at_ms: u64,
    member: u32,
    #[serde(flatten)]
    what: &'a MemberOp,
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
    divergent: Option<Offset>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

impl<'a> Line<'a> {
    fn new(partition: &'a TopicPartition) -> Self {
        Self { at_ms: 0, op: "", reader: None, partition, offset: None, divergent: None, value: None, error: None }
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
        let offsets = vec![(TopicPartition::new("t", 2), Offset(7))];
        let told = Entry { at_ns: 0, op: Op::Member { member: 1, what: MemberOp::ToldOffsets { ask: 2, offsets } } };
        let line = r#"{"at_ms":0,"member":1,"op":"told-offsets","ask":2,"offsets":{"t-2":7}}"#;
        assert_eq!(serde_json::to_string(&told).unwrap(), line);
    }

    #[test]
    fn what_is_packed_comes_out_as_it_went_in() {
        let (tp, other) = (TopicPartition::new("t", 2), TopicPartition::new("u", 0));
        let value = Value { writer: u32::MAX, seq: u64::MAX };
        let error: Arc<str> = "timed out".into();
        let failed = |definite| Op::Failed { value, tp: tp.clone(), definite, error: error.clone() };
        let acked = |promise| {
            let sent_to = LeaderEpoch(i32::MAX);
            Op::Acked { value, tp: tp.clone(), offset: Offset(i64::MAX), promise, sent_to }
        };
        let read = |value| Op::Read { reader: 7, tp: other.clone(), offset: Offset(5), value };
        let ops = [
            Op::Sent { value, tp: tp.clone() },
            acked(Promise::All),
            acked(Promise::Leader),
            acked(Promise::Nothing),
            failed(true),
            Op::Failed { value, tp: other.clone(), definite: false, error: "lost".into() },
            failed(false),
            read(Some(value)),
            read(None),
            Op::Member { member: 4, what: MemberOp::Ended },
            Op::Positioned { reader: 9, tp, offset: Offset::NONE },
            Op::Truncated { reader: 9, tp: other.clone(), from: Offset(8), divergent: Offset::NONE },
            Op::Truncated { reader: 8, tp: other.clone(), from: Offset(8), divergent: Offset(3) },
            Op::Member { member: 5, what: MemberOp::AskingOffsets { ask: 3 } },
        ];
        let entries = || (0..2 * PIECE).map(|i| Entry { at_ns: i as u64, op: ops[i % ops.len()].clone() });
        let mut history = History::default();
        entries().for_each(|entry| history.push(entry));
        assert!(history.iter().eq(entries()));
        assert_eq!(history.errors.len(), 2);
    }

    #[test]
    fn a_value_survives_its_bytes_and_others_are_told_apart() {
        let v = Value { writer: 3, seq: 12_345 };
        assert_eq!(v.encode(100).len(), 100);
        assert_eq!(v.encode(0), b"w3:12345;");
        assert_eq!(Value { writer: 0, seq: u64::MAX }.encode(30), b"w0:18446744073709551615;......");
        assert_eq!(Value::decode(&v.encode(100)), Some(v));
        assert_eq!(Value::decode(&v.encode(0)), Some(v));
        for junk in [&b""[..], b"w", b"w1", b"w1:", b"w;1:2", b"x1:2;", b"w1:b;"] {
            assert_eq!(Value::decode(junk), None);
        }
    }
}
