//! One producer: its epoch and its last five batches, and how to take an append back.

use std::collections::BTreeMap;

use kafka_protocol::ResponseError;

use super::snapshot::Line;
use super::{BATCHES_TO_RETAIN, ProducerBatch, Verdict};
use crate::base::bugs::{Bug, planted};
use crate::base::marks::{Mark, mark};
use crate::base::{Offset, ProducerId};
use crate::log::batch::{NO_SEQUENCE, decrement_sequence, increment_sequence};

/// A batch that may be retried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Kept {
    first_sequence: i32,
    last_sequence: i32,
    base: Offset,
    last: Offset,
    timestamp: i64,
}

/// What is known of one producer; the oldest batch stands first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    epoch: i16,
    last_timestamp: i64,
    batches: Window,
}

/// At most five batches without an allocation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Window {
    kept: [Kept; BATCHES_TO_RETAIN],
    len: usize,
}

impl Window {
    fn as_slice(&self) -> &[Kept] {
        &self.kept[..self.len]
    }
    /// Adds the latest; returns the oldest if it had to go.
    fn push(&mut self, batch: Kept) -> Option<Kept> {
        let mut gone = None;
        if self.len == BATCHES_TO_RETAIN {
            gone = Some(self.kept[0]);
            self.kept.rotate_left(1);
            self.len -= 1;
        }
        self.kept[self.len] = batch;
        self.len += 1;
        gone
    }
    /// The opposite of `push`.
    fn pop(&mut self, gone: Option<Kept>) {
        self.truncate(self.len - 1);
        if let Some(oldest) = gone {
            self.kept.rotate_right(1);
            self.kept[0] = oldest;
            self.len += 1;
        }
    }
    /// Unused places hold the default, so that equal windows are equal.
    fn truncate(&mut self, len: usize) {
        self.kept[len..].fill(Kept::default());
        self.len = len;
    }
}

impl Entry {
    pub fn first(batch: &ProducerBatch, base: Offset) -> Self {
        let mut entry = Self { epoch: batch.epoch, last_timestamp: batch.timestamp, batches: Window::default() };
        if !batch.control {
            entry.keep(batch, base);
        }
        entry
    }
    /// What a snapshot says of this producer.
    pub fn line(&self) -> Line {
        let last = self.batches.as_slice().last();
        Line {
            epoch: self.epoch,
            last_sequence: self.last_sequence(),
            last_offset: last.map_or(-1, |b| b.last.0),
            offset_delta: last.map_or(0, |b| (b.last - b.base) as i32),
            timestamp: self.last_timestamp,
        }
    }
    /// Whom a snapshot of the log below `end` speaks of; none if that cannot be.
    pub fn from_line(line: &Line, end: Offset) -> Option<Self> {
        let &Line { epoch, last_sequence, last_offset, offset_delta, timestamp } = line;
        let mut entry = Self { epoch, last_timestamp: timestamp, batches: Window::default() };
        if last_offset < 0 {
            return Some(entry);
        }
        let possible = last_sequence >= 0 && offset_delta >= 0 && last_offset < end.0;
        possible.then(|| {
            let first_sequence = decrement_sequence(last_sequence, offset_delta);
            let (base, last) = (Offset(last_offset - i64::from(offset_delta)), Offset(last_offset));
            entry.batches.push(Kept { first_sequence, last_sequence, base, last, timestamp });
            entry
        })
    }
    /// Remembers the batches of `older`, if it has seen none of that epoch itself but a marker.
    pub fn adopt(&mut self, older: &Self) {
        if older.epoch == self.epoch && self.batches.as_slice().is_empty() {
            self.batches = older.batches.clone();
        }
    }
    pub fn epoch(&self) -> i16 {
        self.epoch
    }
    pub fn last_timestamp(&self) -> i64 {
        self.last_timestamp
    }
    pub fn last_sequence(&self) -> i32 {
        self.batches.as_slice().last().map_or(NO_SEQUENCE, |b| b.last_sequence)
    }

    pub fn check(&self, batch: &ProducerBatch) -> Result<Verdict, ResponseError> {
        let retried =
            |kept: &&Kept| (kept.first_sequence, kept.last_sequence) == (batch.first_sequence, batch.last_sequence);
        if batch.epoch < self.epoch {
            return Err(ResponseError::InvalidProducerEpoch);
        }
        if batch.epoch > self.epoch {
            return if batch.first_sequence == 0 {
                Ok(Verdict::New)
            } else {
                Err(ResponseError::OutOfOrderSequenceNumber)
            };
        }
        if let Some(kept) = self.batches.as_slice().iter().find(retried) {
            if planted(Bug::NoDedupWindow) {
                return Ok(Verdict::New);
            }
            mark(Mark::DuplicateAnswered);
            return Ok(Verdict::Duplicate { base: kept.base, last: kept.last, timestamp: kept.timestamp });
        }
        match self.last_sequence() {
            NO_SEQUENCE if batch.first_sequence == 0 => Ok(Verdict::New),
            last if last != NO_SEQUENCE && batch.first_sequence == increment_sequence(last, 1) => Ok(Verdict::New),
            _ => Err(ResponseError::OutOfOrderSequenceNumber),
        }
    }

    /// The last offset of the latest batch, if one is remembered.
    pub fn last_offset(&self) -> Option<Offset> {
        self.batches.as_slice().last().map(|b| b.last)
    }

    /// Takes the batch in, and says how to take it back.
    pub fn record(&mut self, batch: &ProducerBatch, base: Offset) -> Undo {
        let before = if batch.epoch == self.epoch {
            let last_timestamp = std::mem::replace(&mut self.last_timestamp, batch.timestamp);
            if batch.control {
                Before::Marker { last_timestamp }
            } else {
                Before::Same { gone: self.keep(batch, base), last_timestamp }
            }
        } else {
            Before::Other(Box::new(std::mem::replace(self, Self::first(batch, base))))
        };
        Undo { producer: batch.producer, next: batch.last_offset(base).next(), before }
    }

    /// Remembers a batch with a sequence; returns the one that fell out of the window.
    fn keep(&mut self, batch: &ProducerBatch, base: Offset) -> Option<Kept> {
        self.batches.push(Kept {
            first_sequence: batch.first_sequence,
            last_sequence: batch.last_sequence,
            base,
            last: batch.last_offset(base),
            timestamp: batch.timestamp,
        })
    }

    /// Forgets batches that reach to `to` or above; returns false if none is left.
    pub fn cut(&mut self, to: Offset) -> bool {
        let len = self.batches.as_slice().partition_point(|b| b.last < to);
        self.batches.truncate(len);
        if let Some(last) = self.batches.as_slice().last() {
            self.last_timestamp = last.timestamp;
        }
        len > 0
    }
}

/// How to take one append back.
#[derive(Clone, Debug)]
pub(super) struct Undo {
    producer: ProducerId,
    /// The offset after the batch.
    next: Offset,
    before: Before,
}

#[derive(Clone, Debug)]
enum Before {
    /// The producer was unknown.
    Unknown,
    /// It had another epoch.
    Other(Box<Entry>),
    /// Same epoch; `gone` fell out of the window.
    Same { gone: Option<Kept>, last_timestamp: i64 },
    /// Same epoch; the batch was a marker, which has no sequence.
    Marker { last_timestamp: i64 },
}

impl Undo {
    pub fn created(batch: &ProducerBatch, base: Offset) -> Self {
        Self { producer: batch.producer, next: batch.last_offset(base).next(), before: Before::Unknown }
    }
    /// The offset after the batch that would be taken back.
    pub fn next(&self) -> Offset {
        self.next
    }
    pub fn apply(self, entries: &mut BTreeMap<ProducerId, Entry>) {
        let entry = entries.get_mut(&self.producer);
        match (self.before, entry) {
            (Before::Unknown, _) => {
                entries.remove(&self.producer);
            }
            (Before::Other(before), _) => {
                entries.insert(self.producer, *before);
            }
            (Before::Same { gone, last_timestamp }, Some(entry)) => {
                entry.batches.pop(gone);
                entry.last_timestamp = last_timestamp;
            }
            (Before::Marker { last_timestamp }, Some(entry)) => entry.last_timestamp = last_timestamp,
            // The producer expired since: what is not remembered needs no undoing.
            (Before::Same { .. } | Before::Marker { .. }, None) => {}
        }
    }
}
