//! A batch's header, read where it lies.

use bytes::{Bytes, BytesMut};

use super::error::BatchError;
use super::record::Records;
use super::{HEADER_LEN, LOG_OVERHEAD, MAGIC, NO_PRODUCER_EPOCH, NO_SEQUENCE, at, attribute, increment_sequence};
use crate::base::{LeaderEpoch, Offset, ProducerId};

/// How the records of a batch are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip
    Gzip,
    /// Snappy
    Snappy,
    /// LZ4
    Lz4,
    /// Zstandard
    Zstd,
}

/// Who set the timestamps of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer.
    CreateTime,
    /// The leader: all records have the batch's max timestamp.
    LogAppendTime,
}

/// What a view may lie over: shared bytes or a borrowed slice.
pub trait BatchBytes: AsRef<[u8]> + Clone {
    /// The bytes `from..to` without copying them.
    #[must_use]
    fn part(&self, from: usize, to: usize) -> Self;
}

impl BatchBytes for Bytes {
    fn part(&self, from: usize, to: usize) -> Self {
        self.slice(from..to)
    }
}

impl BatchBytes for &[u8] {
    fn part(&self, from: usize, to: usize) -> Self {
        &self[from..to]
    }
}

/// Exactly one whole batch of magic 2. The checksum is verified only on demand ([`BatchView::verify_crc`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchView<B = Bytes> {
    bytes: B,
}

/// The length of the batch at the start of `buf`, header included; `None` if `buf` ends inside it.
pub(super) fn frame(buf: &[u8]) -> Result<Option<usize>, BatchError> {
    if buf.len() < LOG_OVERHEAD {
        return Ok(None);
    }
    let length = i32::from_be_bytes(array(buf, at::LENGTH));
    // The magic of the oldest formats is told from a short length only by looking at it, so magic comes first.
    if let Some(&magic) = buf.get(at::MAGIC) {
        match magic as i8 {
            MAGIC => {}
            old @ 0..MAGIC => return Err(BatchError::OldMagic(old)),
            other => return Err(BatchError::BadMagic(other)),
        }
    }
    match usize::try_from(length) {
        Ok(n) if n + LOG_OVERHEAD >= HEADER_LEN => Ok(Some(n + LOG_OVERHEAD).filter(|&n| n <= buf.len())),
        _ => Err(BatchError::BadLength(length)),
    }
}

impl BatchView<Bytes> {
    /// The batch at the start of `buf`.
    ///
    /// # Errors
    /// Truncated, bad length or bad magic.
    pub fn parse(buf: &Bytes) -> Result<Self, BatchError> {
        Self::first_of(buf)
    }
    /// Keeps `part`, a slice that was borrowed from this batch, alive without copying it.
    ///
    /// # Panics
    /// If `part` is not a slice of this batch.
    #[must_use]
    pub fn share(&self, part: &[u8]) -> Bytes {
        self.bytes.slice_ref(part)
    }
    /// The batch with base offset and leader epoch set; copies only if the bytes are shared.
    #[must_use]
    pub fn stamped(self, base: Offset, epoch: LeaderEpoch) -> Bytes {
        let mut bytes = self.bytes.try_into_mut().unwrap_or_else(|shared| BytesMut::from(shared.as_ref()));
        stamp_in_place(&mut bytes, base, epoch);
        bytes.freeze()
    }
}

impl<'a> BatchView<&'a [u8]> {
    /// The batch at the start of `buf`, borrowed.
    ///
    /// # Errors
    /// Truncated, bad length or bad magic.
    pub fn borrow(buf: &'a [u8]) -> Result<Self, BatchError> {
        Self::first_of(&buf)
    }
}

impl<B: BatchBytes> BatchView<B> {
    pub(super) fn first_of(buf: &B) -> Result<Self, BatchError> {
        let len = frame(buf.as_ref())?.ok_or(BatchError::Truncated)?;
        Ok(Self { bytes: buf.part(0, len) })
    }
    /// All bytes of the batch.
    #[must_use]
    pub fn bytes(&self) -> &B {
        &self.bytes
    }
    /// Gives the bytes back.
    #[must_use]
    pub fn into_bytes(self) -> B {
        self.bytes
    }
    fn raw(&self) -> &[u8] {
        self.bytes.as_ref()
    }
    fn long(&self, at: usize) -> i64 {
        i64::from_be_bytes(array(self.raw(), at))
    }
    fn int(&self, at: usize) -> i32 {
        i32::from_be_bytes(array(self.raw(), at))
    }
    /// Bytes of the batch with its header.
    #[must_use]
    pub fn size(&self) -> usize {
        self.raw().len()
    }
    /// Offset of the first record that the batch was written with.
    #[must_use]
    pub fn base_offset(&self) -> Offset {
        Offset(self.long(at::BASE_OFFSET))
    }
    /// Offset of the last record. Saturates, because hostile headers may say anything.
    #[must_use]
    pub fn last_offset(&self) -> Offset {
        Offset(self.base_offset().0.saturating_add(i64::from(self.last_offset_delta())))
    }
    /// The offset after the last record.
    #[must_use]
    pub fn next_offset(&self) -> Offset {
        Offset(self.last_offset().0.saturating_add(1))
    }
    /// Last offset minus base offset.
    #[must_use]
    pub fn last_offset_delta(&self) -> i32 {
        self.int(at::LAST_OFFSET_DELTA)
    }
    /// Epoch of the leader that appended the batch; not covered by the checksum.
    #[must_use]
    pub fn leader_epoch(&self) -> LeaderEpoch {
        LeaderEpoch(self.int(at::LEADER_EPOCH))
    }
    /// The checksum as it stands in the header.
    #[must_use]
    pub fn crc(&self) -> u32 {
        u32::from_be_bytes(array(self.raw(), at::CRC))
    }
    /// Compares the checksum with the bytes.
    ///
    /// # Errors
    /// [`BatchError::BadCrc`].
    pub fn verify_crc(&self) -> Result<(), BatchError> {
        let (stored, computed) = (self.crc(), crc32c::crc32c(&self.raw()[at::ATTRIBUTES..]));
        if stored == computed { Ok(()) } else { Err(BatchError::BadCrc { stored, computed }) }
    }
    /// All attribute bits.
    #[must_use]
    pub fn attributes(&self) -> i16 {
        i16::from_be_bytes(array(self.raw(), at::ATTRIBUTES))
    }
    fn has(&self, bit: i16) -> bool {
        self.attributes() & bit != 0
    }
    /// How the records are compressed; `None` for an id that no codec has.
    #[must_use]
    pub fn compression(&self) -> Option<Compression> {
        match self.attributes() & attribute::COMPRESSION {
            0 => Some(Compression::None),
            1 => Some(Compression::Gzip),
            2 => Some(Compression::Snappy),
            3 => Some(Compression::Lz4),
            4 => Some(Compression::Zstd),
            _ => None,
        }
    }
    /// Who set the timestamps.
    #[must_use]
    pub fn timestamp_type(&self) -> TimestampType {
        if self.has(attribute::LOG_APPEND_TIME) { TimestampType::LogAppendTime } else { TimestampType::CreateTime }
    }
    /// Part of a transaction.
    #[must_use]
    pub fn is_transactional(&self) -> bool {
        self.has(attribute::TRANSACTIONAL)
    }
    /// Holds control records, which consumers skip.
    #[must_use]
    pub fn is_control(&self) -> bool {
        self.has(attribute::CONTROL)
    }
    /// When the tombstones of the batch may go, in milliseconds since 1970 (KIP-534).
    #[must_use]
    pub fn delete_horizon(&self) -> Option<i64> {
        self.has(attribute::DELETE_HORIZON).then(|| self.long(at::BASE_TIMESTAMP))
    }
    /// What record timestamps are relative to, in milliseconds since 1970.
    #[must_use]
    pub fn base_timestamp(&self) -> i64 {
        self.long(at::BASE_TIMESTAMP)
    }
    /// Largest timestamp of the batch.
    #[must_use]
    pub fn max_timestamp(&self) -> i64 {
        self.long(at::MAX_TIMESTAMP)
    }
    /// The idempotent producer, or [`ProducerId::NONE`].
    #[must_use]
    pub fn producer_id(&self) -> ProducerId {
        ProducerId(self.long(at::PRODUCER_ID))
    }
    /// True if an idempotent producer wrote it.
    #[must_use]
    pub fn has_producer_id(&self) -> bool {
        self.producer_id().0 > ProducerId::NONE.0
    }
    /// Epoch of the producer, or -1.
    #[must_use]
    pub fn producer_epoch(&self) -> i16 {
        if self.has_producer_id() {
            i16::from_be_bytes(array(self.raw(), at::PRODUCER_EPOCH))
        } else {
            NO_PRODUCER_EPOCH
        }
    }
    /// Sequence number of the first record, or -1.
    #[must_use]
    pub fn base_sequence(&self) -> i32 {
        self.int(at::BASE_SEQUENCE)
    }
    /// Sequence number of the last record, or -1.
    #[must_use]
    pub fn last_sequence(&self) -> i32 {
        match (self.base_sequence(), self.last_offset_delta()) {
            (base, delta) if base >= 0 && delta >= 0 => increment_sequence(base, delta),
            _ => NO_SEQUENCE,
        }
    }
    /// How many records the header claims.
    #[must_use]
    pub fn record_count(&self) -> i32 {
        self.int(at::RECORD_COUNT)
    }
    /// The records, one after the other.
    ///
    /// # Errors
    /// [`BatchError::Unsupported`] if the batch is compressed; a negative count is invalid.
    pub fn records(&self) -> Result<Records<'_>, BatchError> {
        if self.compression() != Some(Compression::None) {
            return Err(BatchError::Unsupported);
        }
        let log_append_time = (self.timestamp_type() == TimestampType::LogAppendTime).then(|| self.max_timestamp());
        Records::new(
            &self.raw()[HEADER_LEN..],
            self.record_count(),
            self.base_offset(),
            self.base_timestamp(),
            log_append_time,
        )
    }
}

/// Sets base offset and leader epoch of the batch at the start of `batch`; the checksum covers neither.
///
/// # Panics
/// If `batch` is shorter than a batch header.
pub fn stamp_in_place(batch: &mut [u8], base: Offset, epoch: LeaderEpoch) {
    assert!(batch.len() >= HEADER_LEN, "{} bytes hold no batch header", batch.len());
    batch[at::BASE_OFFSET..][..8].copy_from_slice(&base.0.to_be_bytes());
    batch[at::LEADER_EPOCH..][..4].copy_from_slice(&epoch.0.to_be_bytes());
}

/// `N` bytes at `at`; the caller has checked that they are there.
fn array<const N: usize>(raw: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&raw[at..at + N]);
    out
}
