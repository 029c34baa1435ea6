//! Kafka record batches, magic 2 (KIP-98, `DefaultRecordBatch`): viewed, checked, iterated, built and stamped.
//!
//! Pure bytes: no offsets are assigned here and nothing knows of files or sockets. Bytes may come from anyone: no
//! length in them is believed before it has been compared with what is there, and nothing is allocated on a claim.
//! Compressed batches are stored and forwarded verbatim; their records cannot be read here.

mod builder;
mod error;
mod iter;
mod produce;
mod record;
mod retain;
#[cfg(test)]
mod tests;
mod varint;
mod view;

pub use builder::{BatchBuilder, Header, Stamp};
pub use error::BatchError;
pub use iter::{Batches, batches, batches_in, batches_strict};
pub use produce::{validate_for_log, validate_produce};
pub use record::{Headers, Record, Records};
pub use retain::{Retained, emptied, retain};
pub use view::{BatchBytes, BatchView, Compression, TimestampType, stamp_in_place};

/// The only magic that is stored.
pub const MAGIC: i8 = 2;
/// Bytes before the first record.
pub const HEADER_LEN: usize = 61;
/// Base offset and length: what stands before the part that the length counts.
pub const LOG_OVERHEAD: usize = 12;
/// No timestamp (`RecordBatch.NO_TIMESTAMP`).
pub const NO_TIMESTAMP: i64 = -1;
/// No producer epoch.
pub const NO_PRODUCER_EPOCH: i16 = -1;
/// No sequence number.
pub const NO_SEQUENCE: i32 = -1;

/// Where each header field stands.
mod at {
    pub const BASE_OFFSET: usize = 0;
    pub const LENGTH: usize = 8;
    pub const LEADER_EPOCH: usize = 12;
    pub const MAGIC: usize = 16;
    pub const CRC: usize = 17;
    /// The checksum covers everything from here on.
    pub const ATTRIBUTES: usize = 21;
    pub const LAST_OFFSET_DELTA: usize = 23;
    pub const BASE_TIMESTAMP: usize = 27;
    pub const MAX_TIMESTAMP: usize = 35;
    pub const PRODUCER_ID: usize = 43;
    pub const PRODUCER_EPOCH: usize = 51;
    pub const BASE_SEQUENCE: usize = 53;
    pub const RECORD_COUNT: usize = 57;
}

/// Bits of the attributes field.
mod attribute {
    pub const COMPRESSION: i16 = 0x07;
    pub const LOG_APPEND_TIME: i16 = 0x08;
    pub const TRANSACTIONAL: i16 = 0x10;
    pub const CONTROL: i16 = 0x20;
    pub const DELETE_HORIZON: i16 = 0x40;
}

/// The sequence number `increment` after `sequence`; the largest is followed by 0
/// (`DefaultRecordBatch.incrementSequence`). Neither argument may be negative.
#[must_use]
pub fn increment_sequence(sequence: i32, increment: i32) -> i32 {
    ((i64::from(sequence) + i64::from(increment)) & i64::from(i32::MAX)) as i32
}

/// The opposite of [`increment_sequence`] (`DefaultRecordBatch.decrementSequence`).
#[must_use]
pub fn decrement_sequence(sequence: i32, decrement: i32) -> i32 {
    ((i64::from(sequence) - i64::from(decrement)) & i64::from(i32::MAX)) as i32
}
