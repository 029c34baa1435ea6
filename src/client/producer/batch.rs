//! One batch of records on its way, with the callbacks of its records.

use super::record::{Delivered, Record, RecordMetadata, SendError};
use crate::base::{LeaderEpoch, Offset, ProducerId, TopicPartition};
use crate::log::batch::{BatchBuilder, BatchView, Header, Stamp, increment_sequence};
use bytes::Bytes;

/// What a record's sender is told.
pub(super) type Callback = Box<dyn FnOnce(Delivered) + Send>;

/// How far apart the ordinals of new batches are, so that the halves of a split batch find room between them.
pub(super) const ORDINAL_SPAN: u64 = 1 << 20;

/// The producer id and epoch that a batch is written under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub id: ProducerId,
    pub epoch: i16,
}

/// What became of a batch.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// Acknowledged at this base offset; with `log_append_time` (milliseconds) if the broker set the timestamps.
    Acked { base_offset: Offset, log_append_time: Option<i64> },
    /// Given up.
    Failed(SendError),
}

struct Thunk {
    callback: Callback,
    timestamp: i64,
}

enum Body {
    Open(BatchBuilder),
    Sealed(Bytes),
}

/// A batch of one partition. Batches of a partition are ordered by `ordinal`, for ever.
pub(super) struct ProducerBatch {
    pub ordinal: u64,
    span: u64,
    body: Body,
    thunks: Vec<Thunk>,
    pub created_ns: u64,
    /// What the batch took of the producer's buffer, in bytes.
    pub charged: usize,
    /// Identity and base sequence, from the first time that it was sent (idempotent producers only).
    sequence: Option<(Identity, i32)>,
    pub attempts: u32,
    pub first_sent_ns: Option<u64>,
    /// Not to be sent again before this time, unless the leader changed.
    pub retry_at_ns: u64,
    /// The epoch of the leader that it was last sent to.
    pub sent_to: LeaderEpoch,
    /// Some attempt may have been appended: for ever.
    pub maybe_written: bool,
    /// Some attempt may have been appended, and no leader has since said that its log lacks the batch.
    pub unsettled: bool,
    /// Some attempt was never answered, and may still be appended.
    pub astray: bool,
}

impl ProducerBatch {
    pub fn new(ordinal: u64, created_ns: u64, capacity: usize) -> Self {
        Self::with_body(ordinal, ORDINAL_SPAN, created_ns, Body::Open(BatchBuilder::with_capacity(capacity)))
    }
    fn with_body(ordinal: u64, span: u64, created_ns: u64, body: Body) -> Self {
        Self {
            ordinal,
            span,
            body,
            thunks: Vec::new(),
            created_ns,
            charged: 0,
            sequence: None,
            attempts: 0,
            first_sent_ns: None,
            retry_at_ns: 0,
            sent_to: LeaderEpoch::NONE,
            maybe_written: false,
            unsettled: false,
            astray: false,
        }
    }

    /// Appends a record, unless the batch is sealed or would exceed `limit` bytes; an empty batch takes any record.
    /// Takes `callback` only if it returns true.
    pub fn try_append(
        &mut self,
        record: &Record,
        timestamp: i64,
        callback: &mut Option<Callback>,
        limit: usize,
    ) -> bool {
        let Body::Open(builder) = &mut self.body else { return false };
        let headers: Vec<Header<'_>> =
            record.headers.iter().map(|(key, value)| Header { key, value: value.as_deref() }).collect();
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        if !builder.is_empty() && builder.size_with(timestamp, key, value, &headers) > limit {
            return false;
        }
        builder.append(timestamp, key, value, &headers);
        self.thunks.push(Thunk { callback: callback.take().expect("a record has its callback"), timestamp });
        true
    }
    pub fn size(&self) -> usize {
        match &self.body {
            Body::Open(builder) => builder.size(),
            Body::Sealed(bytes) => bytes.len(),
        }
    }
    pub fn count(&self) -> i32 {
        i32::try_from(self.thunks.len()).expect("a batch has fewer than 2^31 records")
    }
    pub fn sequence(&self) -> Option<(Identity, i32)> {
        self.sequence
    }
    /// The sequence after its last record.
    pub fn next_sequence(&self) -> Option<i32> {
        self.sequence.map(|(_, base)| increment_sequence(base, self.count()))
    }

    /// Gives the batch its place among the producer's sequences and closes it for records.
    pub fn seal(&mut self, sequence: Option<(Identity, i32)>) {
        self.sequence = sequence;
        let body = std::mem::replace(&mut self.body, Body::Sealed(Bytes::new()));
        self.body = Body::Sealed(match body {
            Body::Open(builder) => builder.build(stamp(sequence)),
            Body::Sealed(bytes) => rebuild(&bytes, 0..usize::MAX, sequence),
        });
    }
    /// The encoded batch; only once sealed.
    pub fn bytes(&self) -> Bytes {
        match &self.body {
            Body::Sealed(bytes) => bytes.clone(),
            Body::Open(_) => unreachable!("only sealed batches are sent"),
        }
    }

    /// True if there are two records to part, and ordinals for both halves.
    pub fn can_split(&self) -> bool {
        self.thunks.len() > 1 && self.span > 1
    }
    /// Cuts a batch that its broker found too large into two, with the same sequences.
    pub fn split(mut self) -> (Self, Self) {
        assert!(self.can_split(), "one record cannot be split");
        let (middle, half) = (self.thunks.len() / 2, self.span / 2);
        let bytes = self.bytes();
        let thunks = self.thunks.split_off(middle);
        let second_sequence = self.sequence.map(|(id, base)| (id, increment_sequence(base, middle as i32)));
        let body = Body::Sealed(rebuild(&bytes, middle..usize::MAX, second_sequence));
        let mut second = Self::with_body(self.ordinal + half, half, self.created_ns, body);
        (second.thunks, second.sequence, second.sent_to) = (thunks, second_sequence, self.sent_to);
        (second.attempts, second.first_sent_ns) = (self.attempts, self.first_sent_ns);
        second.maybe_written = self.maybe_written;
        self.span = half;
        self.body = Body::Sealed(rebuild(&bytes, 0..middle, self.sequence));
        (self, second)
    }

    /// Tells every record's sender; callbacks run here, so no lock may be held.
    pub fn complete(self, tp: &TopicPartition, outcome: &Outcome, done_ns: u64) {
        let (attempts, first_sent_ns, sent_to) = (self.attempts, self.first_sent_ns, self.sent_to);
        for (i, thunk) in (0i64..).zip(self.thunks) {
            let result = match outcome {
                Outcome::Failed(error) => Err(error.clone()),
                Outcome::Acked { base_offset, log_append_time } => Ok(RecordMetadata {
                    tp: tp.clone(),
                    offset: if *base_offset == Offset::NONE { Offset::NONE } else { *base_offset + i },
                    timestamp: log_append_time.unwrap_or(thunk.timestamp),
                }),
            };
            (thunk.callback)(Delivered { result, attempts, first_sent_ns, sent_to, done_ns });
        }
    }
}

fn stamp(sequence: Option<(Identity, i32)>) -> Stamp {
    match sequence {
        None => Stamp::default(),
        Some((identity, base_sequence)) => {
            Stamp { producer_id: identity.id, producer_epoch: identity.epoch, base_sequence, ..Stamp::default() }
        }
    }
}

/// The same records, or some of them, under other sequences.
fn rebuild(bytes: &Bytes, which: std::ops::Range<usize>, sequence: Option<(Identity, i32)>) -> Bytes {
    const OURS: &str = "we built this batch ourselves";
    let view = BatchView::parse(bytes).expect(OURS);
    let mut builder = BatchBuilder::with_capacity(bytes.len());
    for record in view.records().expect(OURS).skip(which.start).take(which.len()) {
        let record = record.expect(OURS);
        let headers: Vec<Header<'_>> = record.headers().map(|(key, value)| Header { key, value }).collect();
        builder.append(record.timestamp, record.key, record.value, &headers);
    }
    builder.build(stamp(sequence))
}
