//! Which part of a log is dirty, how urgent that is, and which segments are rewritten together.

use std::ops::Range;

use crate::base::Offset;
use crate::log::config::{LogConfig, Ratio};
use crate::log::reader::SegmentInfo;

/// Where a log stands when its dirt is measured.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Everything below has been cleaned (`cleaner-offset-checkpoint`).
    pub cleaned: Offset,
    /// Where the log starts.
    pub log_start: Offset,
    /// What is not committed is not cleaned.
    pub high_watermark: Offset,
    /// Milliseconds since 1970.
    pub now_wall_ms: i64,
}

/// The dirty part of a log (`LogToClean`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dirty {
    /// The first offset that was never cleaned.
    pub start: Offset,
    /// The first offset that may not be cleaned yet: the base of a segment.
    pub end: Offset,
    /// Bytes below `start`.
    pub clean_bytes: u64,
    /// Bytes of `start..end`.
    pub dirty_bytes: u64,
    /// A dirty record is older than `max.compaction.lag.ms`.
    pub overdue: bool,
}

impl Dirty {
    /// Measures a log; `segments` are all of it, oldest first, the active one last
    /// (`LogCleanerManager.cleanableOffsets`).
    #[must_use]
    pub fn of(segments: &[SegmentInfo], config: &LogConfig, progress: &Progress) -> Self {
        let Progress { cleaned, log_start, high_watermark, now_wall_ms } = *progress;
        let log_end = segments.last().map_or(log_start, |s| s.next);
        // A checkpoint outside the log is no checkpoint of this log: it was deleted from, or made anew.
        let start = if cleaned < log_start || cleaned > log_end { log_start } else { cleaned };
        let sealed = &segments[..segments.len().saturating_sub(1)];
        let young = |s: &SegmentInfo| {
            config.min_compaction_lag_ms > 0
                && s.max_timestamp.is_some_and(|t| t > now_wall_ms.saturating_sub(config.min_compaction_lag_ms))
        };
        let barred = |s: &&SegmentInfo| s.next > high_watermark || (s.next > start && young(s));
        let cleanable = sealed.iter().position(|s| barred(&s)).unwrap_or(sealed.len());
        let sealed = &sealed[..cleanable];
        // A segment that was cleaned in part counts on both sides, as in Kafka.
        let (clean, dirty) = (
            &sealed[..sealed.partition_point(|s| s.base < start)],
            &sealed[sealed.partition_point(|s| s.next <= start)..],
        );
        let bytes = |list: &[SegmentInfo]| list.iter().map(|s| s.size).sum();
        let old = |s: &SegmentInfo| {
            s.first_timestamp.is_some_and(|t| t >= 0 && now_wall_ms.saturating_sub(t) > config.max_compaction_lag_ms)
        };
        Self {
            start,
            end: dirty.last().map_or(start, |s| s.next),
            clean_bytes: bytes(clean),
            dirty_bytes: bytes(dirty),
            overdue: dirty.iter().any(old),
        }
    }
    /// True if there is enough to do: the dirty share has reached `min.cleanable.dirty.ratio`, or something is overdue.
    #[must_use]
    pub fn is_due(&self, ratio: Ratio) -> bool {
        self.dirty_bytes > 0
            && (self.overdue || ratio.is_reached_by(self.dirty_bytes, self.clean_bytes + self.dirty_bytes))
    }
    /// True if this log is filthier than another: the larger dirty share.
    #[must_use]
    pub fn is_filthier_than(&self, other: &Self) -> bool {
        let share = |a: &Self, b: &Self| u128::from(a.dirty_bytes) * u128::from(b.clean_bytes + b.dirty_bytes);
        (self.overdue, share(self, other)) > (other.overdue, share(other, self))
    }
}

/// The segments that begin below `end`, by their places in `segments`, that become one each: neighbours that fit into one segment together
/// (`Cleaner.groupSegmentsBySize`).
#[must_use]
pub fn groups(segments: &[SegmentInfo], config: &LogConfig, end: Offset) -> Vec<Range<usize>> {
    let count = segments.iter().take_while(|s| s.base < end).count();
    let mut groups: Vec<Range<usize>> = Vec::new();
    let mut size = 0;
    for (i, segment) in segments[..count].iter().enumerate() {
        match groups.last_mut() {
            Some(group)
                if size + segment.size <= u64::from(config.segment_bytes)
                    && (segment.next - 1) - segments[group.start].base <= i64::from(i32::MAX) =>
            {
                group.end = i + 1;
                size += segment.size;
            }
            _ => {
                groups.push(i..i + 1);
                size = segment.size;
            }
        }
    }
    groups
}
