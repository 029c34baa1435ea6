//! Where a consumer stands in one partition, and what it has fetched but not yet given out (Kafka's `SubscriptionState`).
//!
//! Pure.

use super::{ConsumedRecord, ConsumerError};
use crate::base::{LeaderEpoch, Offset, TopicPartition};
use crate::log::batch::{BatchError, BatchView, batches};
use bytes::{Buf, Bytes};
use std::sync::Arc;

/// ListOffsets' word for the start of the log.
pub(super) const EARLIEST: i64 = -2;
/// ListOffsets' word for its end, which for a consumer is the high watermark.
pub(super) const LATEST: i64 = -1;

/// A question to a leader about an offset.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lookup {
    /// [`EARLIEST`] or [`LATEST`].
    pub which: i64,
    pub asked: bool,
    pub not_before_ns: u64,
    pub failures: u32,
}

impl Lookup {
    pub fn new(which: i64) -> Self {
        Self { which, asked: false, not_before_ns: 0, failures: 0 }
    }
}

/// Where the next record comes from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Position {
    /// The group must say how far it has come.
    Committed,
    /// This offset.
    At(Offset),
    /// A leader must say.
    Lookup(Lookup),
    /// Nobody knows, and `auto.offset.reset` is `none`; the offset was there once.
    Missing(Offset),
}

pub(super) struct Assigned {
    pub position: Position,
    /// The epoch of the last batch that was read.
    pub epoch: LeaderEpoch,
    /// Fetched and not given out: whole batches, perhaps a partial one at the end.
    buffered: Bytes,
    /// The first batch of `buffered` has passed its checksum.
    verified: bool,
    /// Not to be fetched before this time, unless the leader is newer than `asked`.
    pub not_before_ns: u64,
    pub failures: u32,
    /// The epoch of the leader that was last asked.
    pub asked: LeaderEpoch,
    /// The caller wants no records of it for now.
    pub paused: bool,
    /// The high watermark that the leader last told.
    pub high_watermark: Option<Offset>,
}

impl Assigned {
    pub fn new(position: Position) -> Self {
        Self {
            position,
            epoch: LeaderEpoch::NONE,
            buffered: Bytes::new(),
            verified: false,
            not_before_ns: 0,
            failures: 0,
            asked: LeaderEpoch::NONE,
            paused: false,
            high_watermark: None,
        }
    }
    pub fn seek(&mut self, offset: Offset) {
        self.go(Position::At(offset));
    }
    pub fn reset(&mut self, which: i64) {
        self.go(Position::Lookup(Lookup::new(which)));
    }
    /// Goes on elsewhere; what was fetched for the old position is dropped.
    pub fn go(&mut self, position: Position) {
        *self = Self { paused: self.paused, high_watermark: self.high_watermark, ..Self::new(position) };
    }
    /// Keeps what came back from a fetch that was sent at `fetch_offset`; drops it if the position has moved since.
    pub fn fetched(&mut self, fetch_offset: Offset, records: Bytes) {
        let current = matches!(self.position, Position::At(at) if at == fetch_offset);
        if current && self.buffered.is_empty() {
            (self.buffered, self.verified) = (records, false);
        }
    }
    pub fn has_buffered(&self) -> bool {
        !self.buffered.is_empty()
    }

    /// Moves records to `out` until it holds `max`, and the position behind them. Control batches are passed over.
    pub fn take(
        &mut self,
        tp: &TopicPartition,
        max: usize,
        out: &mut Vec<ConsumedRecord>,
    ) -> Result<(), ConsumerError> {
        while out.len() < max && self.has_buffered() {
            let Position::At(from) = self.position else {
                self.buffered = Bytes::new();
                return Ok(());
            };
            let corrupt =
                |e: BatchError| ConsumerError::CorruptBatch { tp: tp.clone(), offset: from, reason: e.to_string() };
            match batches(&self.buffered).next() {
                // What is left is the start of a batch that did not fit into the fetch.
                None => self.buffered = Bytes::new(),
                Some(batch) => {
                    let taken = batch.and_then(|batch| self.take_batch(tp, &batch, from, max, out));
                    if let Err(error) = taken {
                        self.buffered = Bytes::new();
                        return Err(corrupt(error));
                    }
                }
            }
        }
        Ok(())
    }
    fn take_batch(
        &mut self,
        tp: &TopicPartition,
        batch: &BatchView,
        from: Offset,
        max: usize,
        out: &mut Vec<ConsumedRecord>,
    ) -> Result<(), BatchError> {
        if !self.verified {
            batch.verify_crc()?;
            self.verified = true;
        }
        if batch.next_offset() > from && !batch.is_control() {
            for record in batch.records()? {
                let record = record?;
                let at = match self.position {
                    Position::At(at) => at,
                    _ => from,
                };
                if record.offset < at {
                    continue;
                }
                if out.len() == max {
                    return Ok(());
                }
                let part = |bytes: Option<&[u8]>| bytes.map(|b| batch.share(b));
                out.push(ConsumedRecord {
                    tp: tp.clone(),
                    offset: record.offset,
                    leader_epoch: batch.leader_epoch(),
                    timestamp: record.timestamp,
                    key: part(record.key),
                    value: part(record.value),
                    headers: record.headers().map(|(name, value)| (Arc::from(name), part(value))).collect(),
                });
                self.position = Position::At(record.offset.next());
            }
        }
        self.position = Position::At(batch.next_offset().max(from));
        self.epoch = batch.leader_epoch();
        self.buffered.advance(batch.size());
        self.verified = false;
        Ok(())
    }
}
