//! What identifies a stored batch.

use super::batch::{BatchBytes, BatchView};
use crate::base::{LeaderEpoch, Offset};

/// One batch of a log, as recovery or a read found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchInfo {
    /// First offset.
    pub base: Offset,
    /// The offset after its last.
    pub next: Offset,
    /// The partition leader epoch that stands in it.
    pub epoch: LeaderEpoch,
    /// Its CRC-32C.
    pub crc: u32,
    /// Bytes with the header.
    pub size: usize,
    /// Largest timestamp, milliseconds since 1970.
    pub max_timestamp: i64,
}

impl BatchInfo {
    /// Reads the header of `batch`.
    #[must_use]
    pub fn of<B: BatchBytes>(batch: &BatchView<B>) -> Self {
        Self {
            base: batch.base_offset(),
            next: batch.next_offset(),
            epoch: batch.leader_epoch(),
            crc: batch.crc(),
            size: batch.size(),
            max_timestamp: batch.max_timestamp(),
        }
    }
}
