//! Retention of the metadata log: strictly behind its snapshots, never by the log alone (KAFKA-14238;
//! `KafkaMetadataLog.maybeClean`).

use super::message::SnapshotId;
use crate::base::bugs::{Bug, planted};
use crate::base::{LeaderEpoch, Offset};

/// How much may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `metadata.max.retention.bytes`: log and snapshots together; below 0 there is no limit.
    pub max_bytes: i64,
    /// `metadata.max.retention.ms`: the age of the last record that a snapshot covers; below 0 there is no limit.
    pub max_ms: i64,
}

/// A snapshot that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Which one.
    pub id: SnapshotId,
    /// Its size in bytes.
    pub size: u64,
    /// When the last record that it covers was written, in milliseconds since 1970.
    pub timestamp_ms: i64,
}

/// The oldest snapshot that is still wanted, if older ones may go. `snapshots` and `segments` are in rising order; a
/// segment is its end and its size in bytes. The latest snapshot always stays, and so does the log after it.
#[must_use]
pub fn oldest_wanted(
    snapshots: &[Kept],
    segments: &[(Offset, u64)],
    wall_ms: i64,
    limits: Limits,
) -> Option<SnapshotId> {
    if planted(Bug::MetadataRetentionPastSnapshot) {
        return ordinary(segments, limits);
    }
    let behind = |index: usize| {
        let start = snapshots[index].id.offset;
        let log: u64 = match segments {
            [] => 0,
            [ended @ .., active] => ended.iter().filter(|(end, _)| *end > start).map(|s| s.1).sum::<u64>() + active.1,
        };
        log + snapshots[index..].iter().map(|s| s.size).sum::<u64>()
    };
    let all: u64 = segments.iter().map(|s| s.1).chain(snapshots.iter().map(|s| s.size)).sum();
    let too_much = |index: usize| {
        let size = if index == 0 { all } else { behind(index) };
        u64::try_from(limits.max_bytes).is_ok_and(|max| size > max)
    };
    let too_old =
        |index: usize| limits.max_ms >= 0 && wall_ms.saturating_sub(snapshots[index].timestamp_ms) > limits.max_ms;
    let last = snapshots.len().checked_sub(1)?;
    let wanted = (0..last).find(|&i| !too_much(i) && !too_old(i)).unwrap_or(last);
    (wanted > 0).then(|| snapshots[wanted].id)
}

/// As for any other log: the oldest segments go as soon as they are too much, whatever a snapshot covers.
fn ordinary(segments: &[(Offset, u64)], limits: Limits) -> Option<SnapshotId> {
    let max = u64::try_from(limits.max_bytes).ok()?;
    let mut left: u64 = segments.iter().map(|s| s.1).sum();
    let ended = &segments[..segments.len().saturating_sub(1)];
    let goes = |s: &&(Offset, u64)| {
        left -= s.1;
        left + s.1 > max
    };
    let last = ended.iter().take_while(goes).last()?;
    Some(SnapshotId { offset: last.0, epoch: LeaderEpoch::NONE })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(offset: i64, size: u64, timestamp_ms: i64) -> Kept {
        Kept { id: SnapshotId { offset: Offset(offset), epoch: LeaderEpoch(1) }, size, timestamp_ms }
    }

    const NONE: Limits = Limits { max_bytes: -1, max_ms: -1 };

    #[test]
    fn without_limits_everything_stays() {
        let snapshots = [kept(10, 1 << 40, 0), kept(20, 1 << 40, 0)];
        assert_eq!(oldest_wanted(&snapshots, &[(Offset(30), 1 << 40)], i64::MAX, NONE), None);
    }

    #[test]
    fn the_only_snapshot_and_the_log_stay_whatever_their_size_and_age() {
        let limits = Limits { max_bytes: 0, max_ms: 0 };
        assert_eq!(oldest_wanted(&[], &[(Offset(30), 100)], 1 << 40, limits), None);
        assert_eq!(oldest_wanted(&[kept(10, 100, 0)], &[(Offset(10), 9), (Offset(30), 9)], 1 << 40, limits), None);
    }

    #[test]
    fn old_snapshots_go_until_the_rest_is_small_enough() {
        let snapshots = [kept(10, 5, 0), kept(20, 5, 0), kept(30, 5, 0)];
        let segments = [(Offset(10), 100), (Offset(20), 100), (Offset(30), 100), (Offset(35), 100)];
        let wanted =
            |max_bytes| oldest_wanted(&snapshots, &segments, 0, Limits { max_bytes, ..NONE }).map(|id| id.offset.0);
        assert_eq!(wanted(415), None);
        assert_eq!(wanted(414), Some(20));
        assert_eq!(wanted(210), Some(20));
        assert_eq!(wanted(209), Some(30));
        assert_eq!(wanted(0), Some(30));
    }

    #[test]
    fn snapshots_of_old_records_go() {
        let snapshots = [kept(10, 5, 100), kept(20, 5, 200), kept(30, 5, 300)];
        let wanted = |now| oldest_wanted(&snapshots, &[], now, Limits { max_ms: 50, ..NONE }).map(|id| id.offset.0);
        assert_eq!((wanted(150), wanted(151), wanted(251), wanted(1000)), (None, Some(20), Some(30), Some(30)));
    }
}
