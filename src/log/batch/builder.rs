//! Builds uncompressed batches, byte for byte as Kafka's `MemoryRecordsBuilder` does.

use bytes::{BufMut, Bytes, BytesMut};

use super::{HEADER_LEN, LOG_OVERHEAD, MAGIC, NO_PRODUCER_EPOCH, NO_SEQUENCE, NO_TIMESTAMP, at, attribute, varint};
use crate::base::{LeaderEpoch, Offset, ProducerId};

/// A record header to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// Its name.
    pub key: &'a str,
    /// Its value, if any.
    pub value: Option<&'a [u8]>,
}

/// What a batch header says beyond its records. The default is that of a producer without idempotence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Offset of the first record; producers write 0.
    pub base_offset: Offset,
    /// Epoch of the leader; producers write none.
    pub leader_epoch: LeaderEpoch,
    /// The idempotent producer, if any.
    pub producer_id: ProducerId,
    /// The producer's epoch, or -1.
    pub producer_epoch: i16,
    /// Sequence number of the first record, or -1.
    pub base_sequence: i32,
    /// Part of a transaction.
    pub transactional: bool,
    /// Holds control records.
    pub control: bool,
}

impl Default for Stamp {
    fn default() -> Self {
        Self {
            base_offset: Offset::ZERO,
            leader_epoch: LeaderEpoch::NONE,
            producer_id: ProducerId::NONE,
            producer_epoch: NO_PRODUCER_EPOCH,
            base_sequence: NO_SEQUENCE,
            transactional: false,
            control: false,
        }
    }
}

/// Collects records of one batch.
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    buf: BytesMut,
    base_timestamp: i64,
    max_timestamp: i64,
    count: i32,
}

impl Default for BatchBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl BatchBuilder {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(512)
    }
    /// An empty batch with room for `bytes` bytes, header included.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        let mut buf = BytesMut::with_capacity(bytes.max(HEADER_LEN));
        buf.put_bytes(0, HEADER_LEN);
        Self { buf, base_timestamp: NO_TIMESTAMP, max_timestamp: NO_TIMESTAMP, count: 0 }
    }
    /// Records so far.
    #[must_use]
    pub fn count(&self) -> i32 {
        self.count
    }
    /// True if no record has been appended.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
    /// Bytes that [`BatchBuilder::build`] would give now.
    #[must_use]
    pub fn size(&self) -> usize {
        self.buf.len()
    }
    /// Bytes that the batch would have with this record, exactly.
    #[must_use]
    pub fn size_with(&self, timestamp: i64, key: Option<&[u8]>, value: Option<&[u8]>, headers: &[Header<'_>]) -> usize {
        let body = self.body_size(timestamp, key, value, headers);
        self.size() + varint::size(body as i64) + body
    }
    fn timestamp_delta(&self, timestamp: i64) -> i64 {
        if self.is_empty() { 0 } else { timestamp - self.base_timestamp }
    }
    fn body_size(&self, timestamp: i64, key: Option<&[u8]>, value: Option<&[u8]>, headers: &[Header<'_>]) -> usize {
        let field = |bytes: Option<&[u8]>| match bytes {
            Some(b) => varint::size(b.len() as i64) + b.len(),
            None => varint::size(-1),
        };
        let headers_size: usize = headers.iter().map(|h| field(Some(h.key.as_bytes())) + field(h.value)).sum();
        1 + varint::size(self.timestamp_delta(timestamp))
            + varint::size(i64::from(self.count))
            + field(key)
            + field(value)
            + varint::size(headers.len() as i64)
            + headers_size
    }
    /// Adds a record; `timestamp` is in milliseconds since 1970.
    pub fn append(&mut self, timestamp: i64, key: Option<&[u8]>, value: Option<&[u8]>, headers: &[Header<'_>]) {
        let body = self.body_size(timestamp, key, value, headers);
        let delta = self.timestamp_delta(timestamp);
        if self.is_empty() {
            self.base_timestamp = timestamp;
        }
        self.max_timestamp = self.max_timestamp.max(timestamp);
        let buf = &mut self.buf;
        buf.reserve(body + 5);
        varint::put(buf, body as i64);
        buf.put_u8(0);
        varint::put(buf, delta);
        varint::put(buf, i64::from(self.count));
        put_field(buf, key);
        put_field(buf, value);
        varint::put(buf, headers.len() as i64);
        for header in headers {
            put_field(buf, Some(header.key.as_bytes()));
            put_field(buf, header.value);
        }
        self.count += 1;
    }
    /// Finishes the batch: writes the header and its checksum.
    ///
    /// # Panics
    /// If there is no record, or more than 2 GiB of them.
    #[must_use]
    pub fn build(self, stamp: Stamp) -> Bytes {
        assert!(!self.is_empty(), "a batch without records");
        let length = i32::try_from(self.buf.len() - LOG_OVERHEAD).expect("a batch is below 2 GiB");
        let mut attributes = 0;
        if stamp.transactional {
            attributes |= attribute::TRANSACTIONAL;
        }
        if stamp.control {
            attributes |= attribute::CONTROL;
        }
        let mut buf = self.buf;
        let mut put = |at: usize, bytes: &[u8]| buf[at..at + bytes.len()].copy_from_slice(bytes);
        put(at::BASE_OFFSET, &stamp.base_offset.0.to_be_bytes());
        put(at::LENGTH, &length.to_be_bytes());
        put(at::LEADER_EPOCH, &stamp.leader_epoch.0.to_be_bytes());
        put(at::MAGIC, &MAGIC.to_be_bytes());
        put(at::ATTRIBUTES, &attributes.to_be_bytes());
        put(at::LAST_OFFSET_DELTA, &(self.count - 1).to_be_bytes());
        put(at::BASE_TIMESTAMP, &self.base_timestamp.to_be_bytes());
        put(at::MAX_TIMESTAMP, &self.max_timestamp.to_be_bytes());
        put(at::PRODUCER_ID, &stamp.producer_id.0.to_be_bytes());
        put(at::PRODUCER_EPOCH, &stamp.producer_epoch.to_be_bytes());
        put(at::BASE_SEQUENCE, &stamp.base_sequence.to_be_bytes());
        put(at::RECORD_COUNT, &self.count.to_be_bytes());
        let crc = crc32c::crc32c(&buf[at::ATTRIBUTES..]);
        buf[at::CRC..at::CRC + 4].copy_from_slice(&crc.to_be_bytes());
        buf.freeze()
    }
}

fn put_field(buf: &mut BytesMut, field: Option<&[u8]>) {
    match field {
        Some(bytes) => {
            varint::put(buf, bytes.len() as i64);
            buf.put_slice(bytes);
        }
        None => varint::put(buf, -1),
    }
}
