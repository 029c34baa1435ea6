//! What a log remembers of its idempotent producers (KIP-98, `ProducerStateManager`): epochs, sequence numbers and
//! the last five batches of each, so that a retry is answered instead of appended twice.
//!
//! Pure. The states are a function of the log's batches: recovery rebuilds them by recording every batch again, and
//! a truncation takes the recent ones back from an undo journal. A snapshot carries what the log itself has forgotten.
//! Transactions are not kept here.

mod entry;
mod snapshot;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use kafka_protocol::ResponseError;

use self::entry::{Entry, Undo};
pub use self::snapshot::CorruptSnapshot;
use super::batch::{BatchBytes, BatchView};
use crate::base::{Offset, ProducerId};

/// How many batches a producer may retry (`ProducerStateEntry.NUM_BATCHES_TO_RETAIN`).
pub const BATCHES_TO_RETAIN: usize = 5;
/// How many appends a truncation can take back without reading the log again.
const UNDO_LIMIT: usize = 1024;

/// What the producer states need to know of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerBatch {
    /// Who wrote it; [`ProducerId::NONE`] is never refused and never remembered.
    pub producer: ProducerId,
    /// The producer's epoch.
    pub epoch: i16,
    /// Sequence number of the first record.
    pub first_sequence: i32,
    /// Sequence number of the last record.
    pub last_sequence: i32,
    /// Last offset minus base offset.
    pub last_offset_delta: i32,
    /// Largest timestamp, milliseconds since 1970.
    pub timestamp: i64,
    /// A transaction marker: has an epoch but no sequence.
    pub control: bool,
}

impl ProducerBatch {
    /// Offset of the last record, if the first has `base`.
    fn last_offset(&self, base: Offset) -> Offset {
        Offset(base.0.saturating_add(i64::from(self.last_offset_delta)))
    }
    /// Reads the header of `batch`.
    #[must_use]
    pub fn of<B: BatchBytes>(batch: &BatchView<B>) -> Self {
        Self {
            producer: batch.producer_id(),
            epoch: batch.producer_epoch(),
            first_sequence: batch.base_sequence(),
            last_sequence: batch.last_sequence(),
            last_offset_delta: batch.last_offset_delta(),
            timestamp: batch.max_timestamp(),
            control: batch.is_control(),
        }
    }
}

/// What is to be done with a producer's batch that is not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Append it.
    New,
    /// It is in the log already: answer with these.
    Duplicate {
        /// Base offset of the batch in the log.
        base: Offset,
        /// Its last offset.
        last: Offset,
        /// Its largest timestamp.
        timestamp: i64,
    },
}

/// The producers that a log knows.
#[derive(Clone, Debug, Default)]
pub struct ProducerStates {
    entries: BTreeMap<ProducerId, Entry>,
    /// How to take back the latest appends, oldest first.
    undo: VecDeque<Undo>,
    /// The journal holds every append at or above this offset.
    undo_floor: Offset,
}

impl PartialEq for ProducerStates {
    /// Equal knowledge; how far it could be undone does not count.
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

impl ProducerStates {
    /// Nothing known, for a log that starts at offset 0.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
    /// How many producers are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }
    /// True if no producer is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
    /// Epoch and last sequence number of a producer; the sequence is -1 right after an epoch change by a marker.
    #[must_use]
    pub fn last(&self, producer: ProducerId) -> Option<(i16, i32)> {
        self.entries.get(&producer).map(|e| (e.epoch(), e.last_sequence()))
    }
    /// The last offset of each producer's latest batch that is remembered.
    pub fn last_offsets(&self) -> impl Iterator<Item = (ProducerId, Offset)> + '_ {
        self.entries.iter().filter_map(|(id, entry)| Some((*id, entry.last_offset()?)))
    }
    /// Judges a client's batch before the leader appends it (`ProducerAppendInfo`). A producer without state may
    /// start anywhere.
    ///
    /// # Errors
    /// `INVALID_PRODUCER_EPOCH` for an older epoch; `OUT_OF_ORDER_SEQUENCE_NUMBER` for a gap, for a batch older than
    /// the last five, and for a new epoch that does not start at 0.
    pub fn check(&self, batch: &ProducerBatch) -> Result<Verdict, ResponseError> {
        match self.entries.get(&batch.producer) {
            Some(entry) => entry.check(batch),
            None => Ok(Verdict::New),
        }
    }
    /// Takes in a batch that is appended at `base`: on the leader after [`ProducerStates::check`], on followers and
    /// in recovery without, because the leader has judged it.
    pub fn record(&mut self, batch: &ProducerBatch, base: Offset) {
        if batch.producer == ProducerId::NONE {
            return;
        }
        let undo = match self.entries.get_mut(&batch.producer) {
            Some(entry) => entry.record(batch, base),
            None => {
                self.entries.insert(batch.producer, Entry::first(batch, base));
                Undo::created(batch, base)
            }
        };
        if self.undo.len() == UNDO_LIMIT
            && let Some(oldest) = self.undo.pop_front()
        {
            self.undo_floor = oldest.next();
        }
        self.undo.push_back(undo);
    }
    /// Forgets batches that reach to `to` or above. Returns false if the cut lies deeper than the journal reaches:
    /// then the states are only approximate until they are rebuilt from the log
    /// (`LogHandle::rebuild_producers`), and a producer whose batches are all cut is unknown.
    #[must_use]
    pub fn truncate(&mut self, to: Offset) -> bool {
        while self.undo.back().is_some_and(|u| u.next() > to) {
            if let Some(undo) = self.undo.pop_back() {
                undo.apply(&mut self.entries);
            }
        }
        if to >= self.undo_floor {
            return true;
        }
        self.entries.retain(|_, e| e.cut(to));
        self.undo_floor = to;
        false
    }
    /// Forgets everything: the log starts anew at `start`.
    pub fn clear(&mut self, start: Offset) {
        *self = Self { undo_floor: start, ..Self::default() };
    }
    /// Forgets producers whose last batch is `expiration_ms` old (`producer.id.expiration.ms`). Returns how many.
    pub fn expire(&mut self, now_wall_ms: i64, expiration_ms: i64) -> usize {
        let before = self.entries.len();
        self.entries.retain(|_, e| now_wall_ms.saturating_sub(e.last_timestamp()) < expiration_ms);
        before - self.entries.len()
    }
}
