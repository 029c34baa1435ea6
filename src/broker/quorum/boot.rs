//! What a node finds on its disk when it starts: the newest whole snapshot and the log after it.

use std::collections::BTreeMap;
use std::io;

use super::QuorumConfig;
use super::batches::Batches;
use super::snapshots::SnapshotDir;
use crate::base::Offset;
use crate::broker::probe::BatchMark;
use crate::io::disk::Disk;
use crate::log::recovery::{self, OpenOptions};
use crate::log::state::LogState;
use crate::log::store::LogStore;
use crate::raft::{SnapshotId, start_from};

pub(super) struct Boot {
    pub(super) store: LogStore,
    pub(super) log: LogState,
    pub(super) batches: Batches,
    /// All batches of the log, for the probe.
    pub(super) marks: Vec<BatchMark>,
    /// Sizes in bytes.
    pub(super) snapshots: BTreeMap<SnapshotId, u64>,
    /// When the last record of each was written, in milliseconds since 1970.
    pub(super) times: BTreeMap<SnapshotId, i64>,
}

/// Recovers the log and the snapshots in `dir`, and decides from where to go on.
///
/// # Errors
/// Those of the disk; `InvalidData` if metadata is missing that no whole snapshot covers.
pub(super) async fn boot(disk: &Disk, dir: &str, config: &QuorumConfig, files: &SnapshotDir) -> io::Result<Boot> {
    let (mut snapshots, mut times) = (BTreeMap::new(), BTreeMap::new());
    for (id, size) in files.list().await? {
        match files.read(id).await {
            Ok(content) => {
                snapshots.insert(id, size);
                times.insert(id, content.append_time_ms);
            }
            // An older one and the log may do as well; if not, that is said below.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                tracing::error!(%error, "a snapshot is broken and will not be used");
                files.delete(id).await?;
            }
            Err(error) => return Err(error),
        }
    }
    let (mut store, recovered) = recovery::open(disk, dir, config.log, OpenOptions::default()).await?;
    let ids: Vec<_> = snapshots.keys().copied().collect();
    let start =
        start_from(&recovered.state, &ids).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    if let Some(snapshot) = start.anew {
        tracing::info!(%snapshot, "the log does not continue the newest snapshot and starts anew");
        store.truncate_fully(snapshot.offset).await?;
    }
    for id in start.unwanted {
        files.delete(id).await?;
        snapshots.remove(&id);
        times.remove(&id);
    }
    let log = start.log;
    let from = snapshots.last_key_value().map_or(log.log_start(), |(id, _)| id.offset);
    let batches = Batches::load(&store.reader(), from, log.log_end()).await?;
    let kept = |b: &&crate::log::BatchInfo| start.anew.is_none() && b.next > log.log_start();
    let mark = |b: &crate::log::BatchInfo| BatchMark { base: b.base, next: b.next, epoch: b.epoch, crc: b.crc };
    let marks = recovered.batches.iter().filter(kept).map(mark).collect();
    Ok(Boot { store, log, batches, marks, snapshots, times })
}

/// The segments of a log as retention weighs them: where each ends, and its size in bytes.
pub(super) fn weigh(segments: &[crate::log::SegmentInfo]) -> Vec<(Offset, u64)> {
    segments.iter().map(|s| (s.next, s.size)).collect()
}
