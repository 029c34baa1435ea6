//! The pure half of a log: offsets and epochs, no bytes and no I/O. Protocol cores own or borrow one, so that
//! truncation and vote rules never leak into shells.
//!
//! Three ends, always `durable_end <= visible_end <= log_end`:
//! * `log_end`: the next offset to assign; what lies below it may still be on its way to the page cache;
//! * `visible_end`: appended to the page cache (`Appended`), so readers and followers may have it;
//! * `durable_end`: synced to the device (`Synced`).

use super::epochs::EpochCache;
use crate::base::{LeaderEpoch, Offset};

/// Offsets and epochs of one log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogState {
    log_start: Offset,
    log_end: Offset,
    visible_end: Offset,
    durable_end: Offset,
    epochs: EpochCache,
    /// Raised by each truncation; completions that carry an older generation are stale and must be ignored.
    generation: u64,
}

impl Default for LogState {
    fn default() -> Self {
        Self::recovered(Offset::ZERO, Offset::ZERO, EpochCache::default())
    }
}

impl LogState {
    /// The state of a log whose recovery found these bounds: all of it is visible, and durable because recovery
    /// syncs what it keeps.
    #[must_use]
    pub fn recovered(log_start: Offset, log_end: Offset, epochs: EpochCache) -> Self {
        assert!(log_start <= log_end, "log start {log_start} lies beyond log end {log_end}");
        Self { log_start, log_end, visible_end: log_end, durable_end: log_end, epochs, generation: 0 }
    }
    /// The first offset that is still there.
    #[must_use]
    pub fn log_start(&self) -> Offset {
        self.log_start
    }
    /// The next offset to assign (LEO).
    #[must_use]
    pub fn log_end(&self) -> Offset {
        self.log_end
    }
    /// Everything below is in the page cache.
    #[must_use]
    pub fn visible_end(&self) -> Offset {
        self.visible_end
    }
    /// Everything below is on the device.
    #[must_use]
    pub fn durable_end(&self) -> Offset {
        self.durable_end
    }
    /// The leaderships that this log knows.
    #[must_use]
    pub fn epochs(&self) -> &EpochCache {
        &self.epochs
    }
    /// Which truncation this log has seen last.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }
    /// The epoch of the last record or leadership, or none for an empty log.
    #[must_use]
    pub fn last_epoch(&self) -> LeaderEpoch {
        self.epochs.latest().unwrap_or(LeaderEpoch::NONE)
    }
    /// See [`EpochCache::end_offset_for`].
    #[must_use]
    pub fn end_offset_for(&self, epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        self.epochs.end_offset_for(epoch, self.log_end)
    }
    /// A leadership begins here, before any append (KAFKA-7415). Returns true if the epoch was new.
    pub fn begin_epoch(&mut self, epoch: LeaderEpoch) -> bool {
        self.epochs.assign(epoch, self.log_end)
    }
    /// Takes in a batch of `epoch` that covers `base..next`. `base` is at or after the log end: a follower may meet
    /// a gap after compaction, a leader never does.
    pub fn append(&mut self, epoch: LeaderEpoch, base: Offset, next: Offset) {
        assert!(base >= self.log_end, "append at {base} below the log end {}", self.log_end);
        assert!(next > base, "an empty batch at {base}");
        self.epochs.assign(epoch, base);
        self.log_end = next;
    }
    /// The page cache holds everything below `end`. A stale `generation` changes nothing; returns true if the
    /// visible end moved.
    pub fn appended(&mut self, generation: u64, end: Offset) -> bool {
        if generation != self.generation || end <= self.visible_end {
            return false;
        }
        assert!(end <= self.log_end, "appended to {end}, beyond the log end {}", self.log_end);
        self.visible_end = end;
        true
    }
    /// The device holds everything below `end`. A stale `generation` changes nothing; returns true if the durable
    /// end moved.
    pub fn synced(&mut self, generation: u64, end: Offset) -> bool {
        if generation != self.generation || end <= self.durable_end {
            return false;
        }
        assert!(end <= self.visible_end, "synced to {end}, beyond what was appended ({})", self.visible_end);
        self.durable_end = end;
        true
    }
    /// Cuts off everything at and above `end`. Returns false if there is no record to cut; leaderships that began at
    /// the log end and never got a record are forgotten even then, because no other log need know them.
    pub fn truncate_to(&mut self, end: Offset) -> bool {
        let end = end.max(self.log_start);
        if end >= self.log_end {
            self.epochs.truncate_from_end(self.log_end);
            return false;
        }
        self.epochs.truncate_from_end(end);
        self.set_end(end);
        true
    }
    /// Throws everything away and starts anew at `start` (a follower that fell below its leader's log start).
    pub fn truncate_fully_to(&mut self, start: Offset) {
        self.epochs.clear();
        self.log_start = start;
        self.set_end(start);
        self.visible_end = start;
        self.durable_end = start;
    }
    /// Records below `start` are gone (retention, DeleteRecords). Never falls, never passes the log end.
    pub fn advance_log_start(&mut self, start: Offset) -> bool {
        let start = start.min(self.log_end);
        if start <= self.log_start {
            return false;
        }
        self.log_start = start;
        self.epochs.truncate_from_start(start);
        true
    }
    fn set_end(&mut self, end: Offset) {
        self.log_end = end;
        self.visible_end = self.visible_end.min(end);
        self.durable_end = self.durable_end.min(end);
        self.generation += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_completion_from_before_a_truncation_is_ignored() {
        let mut log = LogState::default();
        log.append(LeaderEpoch(1), Offset(0), Offset(10));
        let generation = log.generation();
        assert!(log.truncate_to(Offset(4)));
        assert!(!log.appended(generation, Offset(10)));
        assert_eq!((log.log_end(), log.visible_end()), (Offset(4), Offset(0)));
        assert!(log.appended(log.generation(), Offset(4)));
        assert!(log.synced(log.generation(), Offset(4)));
    }

    #[test]
    fn a_leadership_without_records_is_forgotten_by_a_cut_at_the_log_end() {
        let mut log = LogState::default();
        log.append(LeaderEpoch(1), Offset(0), Offset(10));
        log.begin_epoch(LeaderEpoch(5));
        assert!(!log.truncate_to(Offset(10)));
        assert_eq!((log.log_end(), log.last_epoch()), (Offset(10), LeaderEpoch(1)));
    }

    #[test]
    fn full_truncation_restarts_at_the_given_offset() {
        let mut log = LogState::default();
        log.append(LeaderEpoch(1), Offset(0), Offset(10));
        log.truncate_fully_to(Offset(100));
        assert_eq!((log.log_start(), log.log_end(), log.last_epoch()), (Offset(100), Offset(100), LeaderEpoch::NONE));
    }
}
