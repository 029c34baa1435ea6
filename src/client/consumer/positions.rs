//! Where a consumer stands in one partition, and what it has fetched but not yet given out (Kafka's `SubscriptionState`).
//!
//! Pure.

use super::{ConsumedRecord, ConsumerError};
use crate::base::{LeaderEpoch, Offset, TopicPartition};
use crate::client::config::OffsetReset;
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

/// A position that the present leader has not confirmed yet.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Validation {
    pub asked: bool,
    pub not_before_ns: u64,
    pub failures: u32,
}

/// Where the largest epoch up to one that was asked for ends in a leader's log; -1 and -1 if the leader knows of none.
#[derive(Clone, Copy, Debug)]
pub(super) struct EpochEnd {
    pub epoch: LeaderEpoch,
    pub end: Offset,
}

pub(super) struct Assigned {
    pub position: Position,
    /// The epoch of the last batch that was read, or that the group has committed.
    pub epoch: LeaderEpoch,
    /// The leadership under which the position was confirmed, or is to be.
    leader: LeaderEpoch,
    /// The position is to be confirmed before anything is fetched.
    pub validation: Option<Validation>,
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
            leader: LeaderEpoch::NONE,
            validation: None,
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
    /// The offset of the next record, if it is known.
    pub fn offset(&self) -> Option<Offset> {
        match self.position {
            Position::At(offset) => Some(offset),
            _ => None,
        }
    }
    /// The leadership under which the position was confirmed, or is to be.
    pub fn leader(&self) -> LeaderEpoch {
        self.leader
    }
    /// The partition is led in the epoch `leader`, as far as is known. Returns whether the position has to be confirmed
    /// first; what was fetched under another leadership and not given out is dropped then
    /// (`SubscriptionState.maybeValidatePositionForCurrentLeader`).
    pub fn meet(&mut self, leader: LeaderEpoch) -> bool {
        if leader != self.leader {
            self.leader = leader;
            let doubtful = self.epoch != LeaderEpoch::NONE && leader != LeaderEpoch::NONE;
            self.validation = doubtful.then(Validation::default);
            if doubtful {
                self.buffered = Bytes::new();
            }
        }
        self.validation.is_some()
    }
    /// The leader is being asked.
    pub fn asks_validation(&mut self) {
        if let Some(validation) = &mut self.validation {
            validation.asked = true;
        }
    }
    /// The leader is to be asked again, from `not_before_ns` on.
    pub fn validate_again(&mut self, not_before_ns: u64) {
        let failures = self.validation.map_or(0, |v| v.failures).saturating_add(1);
        self.validation = Some(Validation { asked: false, not_before_ns, failures });
    }
    /// The leader has told where the position's epoch ends. If that is before the position, the log was truncated: returns
    /// the first offset that may differ, if it is known. Where `auto.offset.reset` permits, the position goes back to there,
    /// or starts over; otherwise it stays, and is to be confirmed again from `again_ns` on
    /// (`SubscriptionState.maybeCompleteValidation`).
    pub fn validated(&mut self, found: EpochEnd, policy: OffsetReset, again_ns: u64) -> Option<Option<Offset>> {
        let from = self.offset()?;
        let divergent = (found.epoch != LeaderEpoch::NONE && found.end != Offset::NONE).then_some(found.end);
        if divergent.is_some_and(|end| end >= from) {
            self.validation = None;
            return None;
        }
        match (divergent, policy.resets()) {
            (_, false) => self.validate_again(again_ns),
            (None, true) => self.go(super::fetcher::start_over(policy, from)),
            (Some(end), true) => {
                let leader = self.leader;
                self.seek(end);
                (self.epoch, self.leader) = (found.epoch, leader);
            }
        }
        Some(divergent)
    }
    /// Keeps what came back from a fetch that was sent at `fetch_offset`; drops it if the position has moved since, or is
    /// in doubt.
    pub fn fetched(&mut self, fetch_offset: Offset, records: Bytes) {
        let current = self.offset() == Some(fetch_offset) && self.validation.is_none();
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
        self.epoch = batch.leader_epoch();
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
        self.buffered.advance(batch.size());
        self.verified = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// At offset 10, after a record of epoch 3, and confirmed under the leadership of epoch 3.
    fn position() -> Assigned {
        let mut assigned = Assigned::new(Position::At(Offset(10)));
        assert!(!assigned.meet(LeaderEpoch(3)), "nothing was read: there is nothing to confirm");
        assigned.epoch = LeaderEpoch(3);
        assert!(!assigned.meet(LeaderEpoch(3)), "the leader has not changed");
        assigned
    }
    fn end(epoch: i32, end: i64) -> EpochEnd {
        EpochEnd { epoch: LeaderEpoch(epoch), end: Offset(end) }
    }

    #[test]
    fn nothing_is_fetched_from_a_new_leader_until_it_confirms_the_position() {
        let mut assigned = position();
        assigned.fetched(Offset(10), Bytes::from_static(b"records"));
        assert!(assigned.meet(LeaderEpoch(4)));
        assert!(!assigned.has_buffered(), "what the old leader gave is in doubt as well");
        assigned.fetched(Offset(10), Bytes::from_static(b"late"));
        assert!(!assigned.has_buffered());
        assert_eq!(assigned.validated(end(3, 10), OffsetReset::Earliest, 0), None);
        assert!(!assigned.meet(LeaderEpoch(4)));
        assert!(assigned.meet(LeaderEpoch(5)), "the next leader is asked again");
    }

    #[test]
    fn the_policy_decides_what_becomes_of_a_position_that_was_cut_off() {
        for policy in [OffsetReset::Earliest, OffsetReset::Latest] {
            let mut assigned = position();
            assigned.meet(LeaderEpoch(4));
            assert_eq!(assigned.validated(end(2, 7), policy, 0), Some(Some(Offset(7))));
            assert_eq!(
                (assigned.offset(), assigned.epoch),
                (Some(Offset(7)), LeaderEpoch(2)),
                "back to where logs differ"
            );
            assert!(!assigned.meet(LeaderEpoch(4)));

            let mut assigned = position();
            assigned.meet(LeaderEpoch(4));
            assert_eq!(assigned.validated(end(-1, -1), policy, 0), Some(None));
            assert!(matches!(assigned.position, Position::Lookup(_)), "the leader knows nothing: it starts over");
        }
        let mut assigned = position();
        assigned.meet(LeaderEpoch(4));
        assert_eq!(assigned.validated(end(3, 9), OffsetReset::None, 77), Some(Some(Offset(9))));
        assert_eq!(assigned.offset(), Some(Offset(10)), "only the caller may move it");
        assert_eq!(assigned.validation.map(|v| (v.asked, v.not_before_ns)), Some((false, 77)));
    }

    #[test]
    fn a_seek_needs_no_confirmation() {
        let mut assigned = position();
        assigned.meet(LeaderEpoch(4));
        assigned.seek(Offset(2));
        assert!(!assigned.meet(LeaderEpoch(4)) && !assigned.meet(LeaderEpoch(5)));
    }
}
