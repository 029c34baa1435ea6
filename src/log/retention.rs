//! Retention: which of the oldest segments may go (`UnifiedLog.deleteOldSegments`).
//!
//! Pure. Only whole segments go, only from the front, and never one that reaches beyond the high watermark: what is
//! not committed may still be cut off, and a follower may not lose what it has yet to confirm (KAFKA-5634).

use super::config::LogConfig;
use super::reader::SegmentInfo;
use crate::base::Offset;
use crate::base::bugs::{Bug, planted};

/// What to do about a log that holds too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The new log start: everything below goes.
    pub start: Offset,
    /// Even the active segment goes; a new one has to be begun first.
    pub roll: bool,
}

/// Where the log should start, or none if nothing is to go. `segments` are all of the log's, oldest first;
/// `now_wall_ms` is milliseconds since 1970.
///
/// Segments whose records carry no timestamp are never too old: Kafka would ask for the file's time of change, which
/// a copy or a recovery makes new.
#[must_use]
pub fn plan(
    segments: &[SegmentInfo],
    config: &LogConfig,
    log_start: Offset,
    high_watermark: Offset,
    now_wall_ms: i64,
) -> Option<Plan> {
    let any = planted(Bug::RetentionPastHighWatermark);
    let committed = segments.iter().take_while(|s| s.size > 0 && (any || s.next <= high_watermark)).count();
    // What DeleteRecords left behind goes under every policy; the active segment stays for it.
    let mut gone =
        segments[..committed.min(segments.len().saturating_sub(1))].iter().take_while(|s| s.next <= log_start).count();
    if config.delete {
        gone += too_much(&segments[gone..committed], segments[gone..].iter().map(|s| s.size).sum(), config);
        gone += too_old(&segments[gone..committed], config, now_wall_ms);
    }
    let last = segments[..gone].last()?;
    Some(Plan { start: last.next.max(log_start), roll: gone == segments.len() })
}

/// How many of the oldest may go while `retention.bytes` remain.
fn too_much(committed: &[SegmentInfo], total: u64, config: &LogConfig) -> usize {
    let Ok(keep) = u64::try_from(config.retention_bytes) else { return 0 };
    let mut excess = total.saturating_sub(keep);
    let fits = |s: &&SegmentInfo| {
        let goes = s.size <= excess;
        excess = excess.saturating_sub(s.size);
        goes
    };
    committed.iter().take_while(fits).count()
}

/// How many of the oldest hold only records older than `retention.ms`.
fn too_old(committed: &[SegmentInfo], config: &LogConfig, now_wall_ms: i64) -> usize {
    if config.retention_ms < 0 {
        return 0;
    }
    let old = |s: &&SegmentInfo| {
        s.max_timestamp.is_some_and(|t| t >= 0 && now_wall_ms.saturating_sub(t) > config.retention_ms)
    };
    committed.iter().take_while(old).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Segments of ten records and 100 bytes each, the n-th with timestamps up to 1000 n.
    fn segments(count: i64) -> Vec<SegmentInfo> {
        let one = |n| SegmentInfo {
            base: Offset(n * 10),
            next: Offset(n * 10 + 10),
            size: 100,
            first_timestamp: Some(n * 1_000 - 900),
            max_timestamp: Some(n * 1_000),
        };
        (0..count).map(one).collect()
    }
    fn start(config: LogConfig, log_start: i64, high_watermark: i64, now: i64) -> Option<(i64, bool)> {
        plan(&segments(5), &config, Offset(log_start), Offset(high_watermark), now).map(|p| (p.start.0, p.roll))
    }
    fn keep() -> LogConfig {
        LogConfig { retention_ms: -1, ..LogConfig::default() }
    }

    #[test]
    fn old_segments_go_but_nothing_beyond_the_high_watermark() {
        let config = LogConfig { retention_ms: 500, ..keep() };
        assert_eq!(start(config, 0, 50, 1_501), Some((20, false)));
        assert_eq!(start(config, 0, 19, 99_000), Some((10, false)));
        assert_eq!(start(config, 0, 9, 99_000), None);
        assert_eq!(start(config, 0, 50, 99_000), Some((50, true)), "even the active one");
        assert_eq!(start(keep(), 0, 50, i64::MAX), None);
    }

    #[test]
    fn a_log_shrinks_to_its_size_but_not_below() {
        let config = |bytes| LogConfig { retention_bytes: bytes, ..keep() };
        assert_eq!(start(config(250), 0, 50, 0), Some((20, false)));
        assert_eq!(start(config(300), 0, 50, 0), Some((20, false)));
        assert_eq!(start(config(500), 0, 50, 0), None);
        assert_eq!(start(config(0), 0, 50, 0), Some((50, true)));
    }

    #[test]
    fn what_delete_records_left_behind_goes_under_every_policy() {
        let compacted = LogConfig { delete: false, compact: true, retention_ms: 0, retention_bytes: 0, ..keep() };
        assert_eq!(start(compacted, 25, 50, 99_000), Some((25, false)));
        assert_eq!(start(compacted, 50, 50, 99_000), Some((50, false)));
        assert_eq!(start(compacted, 0, 50, 99_000), None);
    }

    proptest! {
        /// Whatever is asked: whole segments go, all of them committed, and none without a reason.
        #[test]
        fn retention_stays_within_the_high_watermark(
            count in 1_i64..6, bytes in -1_i64..700, ms in -1_i64..6_000,
            log_start in 0_i64..60, high_watermark in 0_i64..70, now in 0_i64..9_000,
        ) {
            let (all, log_start) = (segments(count), log_start.min(count * 10));
            let high_watermark = high_watermark.clamp(log_start, count * 10);
            let config = LogConfig { retention_bytes: bytes, retention_ms: ms, ..keep() };
            let Some(p) = plan(&all, &config, Offset(log_start), Offset(high_watermark), now) else { return Ok(()) };
            prop_assert!(p.start.0 <= high_watermark && p.start.0 >= log_start);
            let gone: Vec<_> = all.iter().filter(|s| s.next <= p.start).collect();
            prop_assert!(!gone.is_empty());
            prop_assert!(!p.roll || gone.len() == all.len());
            let left = (all.len() - gone.len()) as i64 * 100;
            for s in gone {
                let old = ms >= 0 && now - s.max_timestamp.unwrap() > ms;
                prop_assert!(s.next.0 <= log_start || old || (bytes >= 0 && left >= bytes), "{s:?} went for nothing");
            }
        }
    }
}
