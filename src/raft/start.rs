//! What a node starts from: its newest snapshot and the tail of its log, whatever a crash left of the two
//! (`KafkaMetadataLog.recoverSnapshots`, `truncateToLatestSnapshot`).

use super::message::SnapshotId;
use crate::base::Offset;
use crate::log::epochs::EpochCache;
use crate::log::state::LogState;

/// What to start from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// The log to start with.
    pub log: LogState,
    /// The log on the disk does not continue the newest snapshot, because its download was followed by a crash: it has
    /// to be thrown away and to start anew at the end of this snapshot.
    pub anew: Option<SnapshotId>,
    /// Snapshots that nobody wants any more.
    pub unwanted: Vec<SnapshotId>,
}

/// The log begins after 0 and there is no snapshot of what came before: that metadata is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the metadata log starts at {start} and no whole snapshot covers what came before")]
pub struct NoSnapshot {
    /// Where the log starts.
    pub start: Offset,
}

/// Decides what to start from, given what recovery found of the log (which begins where its first segment does) and
/// the whole snapshots on the disk, in rising order.
///
/// # Errors
/// [`NoSnapshot`].
pub fn start_from(log: &LogState, snapshots: &[SnapshotId]) -> Result<Start, NoSnapshot> {
    let begin = log.log_start();
    let Some(&latest) = snapshots.last() else {
        return match begin {
            Offset::ZERO => Ok(Start { log: log.clone(), anew: None, unwanted: Vec::new() }),
            start => Err(NoSnapshot { start }),
        };
    };
    let continues = |id: &SnapshotId| {
        let last_matches = || log.epochs().epoch_at(id.offset - 1) == Some(id.epoch);
        id.offset >= begin && id.offset <= log.log_end() && (id.offset == begin || last_matches())
    };
    if !continues(&latest) {
        let fresh = LogState::recovered(latest.offset, latest.offset, EpochCache::default());
        let unwanted = snapshots.iter().copied().filter(|id| *id != latest).collect();
        return Ok(Start { log: fresh, anew: Some(latest), unwanted });
    }
    let mut log = log.clone();
    if begin > Offset::ZERO {
        let base = snapshots.iter().find(|id| continues(id)).unwrap_or(&latest);
        log.advance_log_start(base.offset);
    }
    let unwanted = snapshots.iter().copied().filter(|id| !continues(id)).collect();
    Ok(Start { log, anew: None, unwanted })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::LeaderEpoch;

    fn id(offset: i64, epoch: i32) -> SnapshotId {
        SnapshotId { offset: Offset(offset), epoch: LeaderEpoch(epoch) }
    }
    /// A log with records of epoch 2 below 50 and of epoch 4 up to 80.
    fn log(begin: i64) -> LogState {
        let mut log = LogState::recovered(Offset(begin), Offset(begin), EpochCache::default());
        log.append(LeaderEpoch(2), Offset(begin), Offset(50));
        log.append(LeaderEpoch(4), Offset(50), Offset(80));
        LogState::recovered(Offset(begin), Offset(80), log.epochs().clone())
    }

    #[test]
    fn a_log_that_holds_its_snapshots_keeps_them() {
        let start = start_from(&log(0), &[id(40, 2), id(60, 4)]).unwrap();
        assert_eq!((start.log.log_start(), start.anew, start.unwanted), (Offset(0), None, vec![]));
    }

    #[test]
    fn a_log_whose_beginning_is_gone_starts_at_the_oldest_snapshot_that_it_continues() {
        let start = start_from(&log(30), &[id(20, 2), id(40, 2), id(60, 4)]).unwrap();
        assert_eq!((start.log.log_start(), start.anew, start.unwanted), (Offset(40), None, vec![id(20, 2)]));
        assert_eq!(start_from(&log(30), &[]), Err(NoSnapshot { start: Offset(30) }));
    }

    #[test]
    fn a_log_that_ends_before_its_snapshot_or_differs_from_it_starts_anew() {
        for newest in [id(100, 4), id(70, 3), id(20, 9)] {
            let snapshots = if newest.offset < Offset(40) { vec![newest] } else { vec![id(40, 2), newest] };
            let start = start_from(&log(30), &snapshots).unwrap();
            assert_eq!((start.log.log_start(), start.log.log_end()), (newest.offset, newest.offset));
            assert_eq!((start.anew, start.unwanted.len()), (Some(newest), snapshots.len() - 1));
        }
    }
}
