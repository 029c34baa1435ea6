//! The sparse index of one segment: where a batch stands, by offset and by time.
//!
//! One list of marks in memory serves both lookups; Kafka's two files (`OffsetIndex`, `TimeIndex`) are written from
//! it and are never trusted: recovery, which reads every batch anyway, makes the marks anew.

use bytes::{BufMut, Bytes, BytesMut};

use crate::base::Offset;

/// Bytes of one entry of an `.index` file: relative offset and position.
pub const OFFSET_ENTRY_LEN: usize = 8;
/// Bytes of one entry of a `.timeindex` file: timestamp and relative offset.
pub const TIME_ENTRY_LEN: usize = 12;

/// The largest timestamp up to a place, and the last offset of the first batch that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxTimestamp {
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// Last offset of the batch.
    pub last: Offset,
}

/// One indexed batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Last offset of the batch.
    pub last: Offset,
    /// Where the batch starts in the file.
    pub position: u64,
    /// The largest timestamp up to the end of this batch.
    pub max: MaxTimestamp,
}

/// The marks of one segment; offsets and positions rise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    marks: Vec<Mark>,
}

impl Index {
    /// Adds a mark behind all others.
    pub fn push(&mut self, mark: Mark) {
        self.marks.push(mark);
    }
    /// How many marks there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.marks.len()
    }
    /// The last mark.
    #[must_use]
    pub fn last(&self) -> Option<&Mark> {
        self.marks.last()
    }
    /// A position at or before the batch that holds `offset`, from which batches can be walked.
    #[must_use]
    pub fn floor_of_offset(&self, offset: Offset) -> u64 {
        let after = self.marks.partition_point(|m| m.last <= offset);
        self.marks[..after].last().map_or(0, |m| m.position)
    }
    /// A position at or before the first batch whose largest timestamp reaches `timestamp`.
    #[must_use]
    pub fn floor_of_time(&self, timestamp: i64) -> u64 {
        let after = self.marks.partition_point(|m| m.max.timestamp < timestamp);
        self.marks[..after].last().map_or(0, |m| m.position)
    }
    /// Forgets marks of batches that reach to `to` or above.
    pub fn truncate(&mut self, to: Offset) {
        let keep = self.marks.partition_point(|m| m.last < to);
        self.marks.truncate(keep);
    }
    /// The content of the segment's `.index` file.
    #[must_use]
    pub fn offset_file(&self, base: Offset) -> Bytes {
        let mut out = BytesMut::with_capacity(self.marks.len() * OFFSET_ENTRY_LEN);
        for mark in &self.marks {
            out.put_i32((mark.last - base) as i32);
            out.put_i32(mark.position as i32);
        }
        out.freeze()
    }
    /// The content of the segment's `.timeindex` file; `max` is that of the whole segment
    /// (`LogSegment.onBecomeInactiveSegment` adds it).
    #[must_use]
    pub fn time_file(&self, base: Offset, max: Option<MaxTimestamp>) -> Bytes {
        let mut out = BytesMut::with_capacity(self.marks.len() * TIME_ENTRY_LEN);
        let mut latest = None;
        for entry in self.marks.iter().map(|m| m.max).chain(max) {
            if latest.is_none_or(|t| entry.timestamp > t) {
                latest = Some(entry.timestamp);
                out.put_i64(entry.timestamp);
                out.put_i32((entry.last - base) as i32);
            }
        }
        out.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> Index {
        let mut index = Index::default();
        for (last, position, timestamp) in [(109, 0, 50), (119, 500, 50), (129, 900, 70)] {
            let last = Offset(last);
            index.push(Mark { last, position, max: MaxTimestamp { timestamp, last } });
        }
        index
    }

    #[test]
    fn lookups_never_start_behind_what_is_sought() {
        let index = index();
        assert_eq!(index.floor_of_offset(Offset(105)), 0);
        assert_eq!(index.floor_of_offset(Offset(119)), 500);
        assert_eq!(index.floor_of_offset(Offset(125)), 500);
        assert_eq!(index.floor_of_offset(Offset(500)), 900);
        assert_eq!(index.floor_of_time(50), 0);
        assert_eq!(index.floor_of_time(51), 500);
        assert_eq!(index.floor_of_time(71), 900);
    }

    #[test]
    fn files_have_kafkas_entries() {
        let index = index();
        let offsets = index.offset_file(Offset(100));
        assert_eq!(&offsets[8..16], [0, 0, 0, 19, 0, 0, 1, 0xf4]);
        let times = index.time_file(Offset(100), Some(MaxTimestamp { timestamp: 80, last: Offset(131) }));
        assert_eq!(times.len(), 3 * TIME_ENTRY_LEN, "an entry only where the largest timestamp rises");
        assert_eq!(&times[24..], [0, 0, 0, 0, 0, 0, 0, 80, 0, 0, 0, 31]);
    }
}
