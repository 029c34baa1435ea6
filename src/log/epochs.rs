//! The leader-epoch cache: at which offset each leadership began (KIP-101, Kafka's `LeaderEpochFileCache`).
//!
//! Pure. Epochs and start offsets both rise strictly from entry to entry.

use crate::base::{LeaderEpoch, Offset};

/// One leadership: its epoch and the offset of the first record that it may append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEntry {
    /// The leadership's epoch.
    pub epoch: LeaderEpoch,
    /// Where it begins.
    pub start: Offset,
}

/// The start offsets of all leaderships that the log still knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EpochCache {
    entries: Vec<EpochEntry>,
}

impl EpochCache {
    /// A cache over entries read from a checkpoint; entries that do not rise are dropped, later ones win.
    #[must_use]
    pub fn from_entries(entries: impl IntoIterator<Item = EpochEntry>) -> Self {
        let mut cache = Self::default();
        for e in entries {
            cache.assign(e.epoch, e.start);
        }
        cache
    }
    /// All entries, oldest first.
    #[must_use]
    pub fn entries(&self) -> &[EpochEntry] {
        &self.entries
    }
    /// The latest epoch, if any record or leadership has been seen.
    #[must_use]
    pub fn latest(&self) -> Option<LeaderEpoch> {
        self.entries.last().map(|e| e.epoch)
    }
    /// Records that `epoch` starts at `start`. Entries that the new one contradicts (same or later start, same or
    /// later epoch) go; an epoch that is the latest already keeps its start. Returns true if the cache changed.
    pub fn assign(&mut self, epoch: LeaderEpoch, start: Offset) -> bool {
        if self.latest() == Some(epoch) {
            return false;
        }
        self.entries.retain(|e| e.epoch < epoch && e.start < start);
        self.entries.push(EpochEntry { epoch, start });
        true
    }
    /// The largest known epoch that is at most `epoch`, and where it ends: at the start of the next one, or at
    /// `log_end` for the latest. None if every known epoch is larger, or none is known
    /// (`LeaderEpochFileCache.endOffsetFor`).
    #[must_use]
    pub fn end_offset_for(&self, epoch: LeaderEpoch, log_end: Offset) -> Option<(LeaderEpoch, Offset)> {
        let after = self.entries.partition_point(|e| e.epoch <= epoch);
        let found = self.entries[..after].last()?;
        let end = self.entries.get(after).map_or(log_end, |next| next.start);
        Some((found.epoch, end))
    }
    /// The epoch to which the record at `offset` belongs.
    #[must_use]
    pub fn epoch_at(&self, offset: Offset) -> Option<LeaderEpoch> {
        let after = self.entries.partition_point(|e| e.start <= offset);
        self.entries[..after].last().map(|e| e.epoch)
    }
    /// Forgets every leadership that starts at or after `end`. Returns true if the cache changed.
    pub fn truncate_from_end(&mut self, end: Offset) -> bool {
        let before = self.entries.len();
        self.entries.retain(|e| e.start < end);
        before != self.entries.len()
    }
    /// Forgets what lies below `start`; the leadership that `start` falls into now begins there.
    pub fn truncate_from_start(&mut self, start: Offset) {
        let keep = self.entries.partition_point(|e| e.start <= start).saturating_sub(1);
        self.entries.drain(..keep);
        if let Some(first) = self.entries.first_mut() {
            first.start = first.start.max(start);
        }
    }
    /// Forgets everything.
    pub fn clear(&mut self) {
        self.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(entries: &[(i32, i64)]) -> EpochCache {
        EpochCache::from_entries(entries.iter().map(|&(e, s)| EpochEntry { epoch: LeaderEpoch(e), start: Offset(s) }))
    }

    #[test]
    fn an_epoch_ends_where_the_next_one_starts() {
        let c = cache(&[(1, 0), (3, 10), (5, 20)]);
        let end = |e| c.end_offset_for(LeaderEpoch(e), Offset(30)).map(|(e, o)| (e.0, o.0));
        assert_eq!(end(0), None);
        assert_eq!(end(1), Some((1, 10)));
        assert_eq!(end(2), Some((1, 10)));
        assert_eq!(end(3), Some((3, 20)));
        assert_eq!(end(9), Some((5, 30)));
    }

    #[test]
    fn a_new_leadership_without_records_replaces_the_one_at_the_same_start() {
        let mut c = cache(&[(1, 0), (3, 10)]);
        assert!(c.assign(LeaderEpoch(4), Offset(10)));
        assert_eq!(c, cache(&[(1, 0), (4, 10)]));
        assert!(!c.assign(LeaderEpoch(4), Offset(15)));
    }

    #[test]
    fn truncation_forgets_what_is_cut() {
        let mut c = cache(&[(1, 0), (3, 10), (5, 20)]);
        assert!(c.truncate_from_end(Offset(20)));
        assert_eq!(c.latest(), Some(LeaderEpoch(3)));
        c.truncate_from_start(Offset(12));
        assert_eq!(c, cache(&[(3, 12)]));
        assert_eq!(c.epoch_at(Offset(11)), None);
        assert_eq!(c.epoch_at(Offset(12)), Some(LeaderEpoch(3)));
    }
}
