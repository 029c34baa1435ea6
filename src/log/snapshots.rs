//! The `<offset>.snapshot` files of a log: what is known of its producers below that offset (`ProducerStateManager`).
//!
//! A file is written when a segment begins, named after the offset where it begins, and at a clean shutdown, named
//! after the log's end. It goes with its segment, and with every truncation below its offset, before records of other
//! content can come to stand there. It is a help and no truth: one that is torn or damaged is removed, and what the
//! log itself holds is enough.

use std::collections::BTreeSet;
use std::io;

use super::producers::ProducerStates;
use super::segment::stem;
use crate::base::Offset;
use crate::io::disk::Disk;

/// The suffix of the files.
pub(super) const SUFFIX: &str = "snapshot";

fn path(dir: &str, at: Offset) -> String {
    format!("{dir}/{}.{SUFFIX}", stem(at))
}

/// Writes a snapshot, not yet durably.
pub(super) async fn write(disk: &Disk, dir: &str, at: Offset, content: &[u8]) -> io::Result<()> {
    let file = disk.open(&path(dir, at), true).await?;
    if file.len().await? > 0 {
        file.truncate(0).await?;
    }
    file.append(content).await?;
    Ok(())
}

/// Makes a snapshot's content durable.
pub(super) async fn sync(disk: &Disk, dir: &str, at: Offset) -> io::Result<()> {
    disk.open(&path(dir, at), false).await?.sync().await
}

/// Removes a snapshot that is there.
pub(super) async fn remove(disk: &Disk, dir: &str, at: Offset) -> io::Result<()> {
    disk.remove(&path(dir, at)).await
}

/// The snapshots that no log with these segments, start and end could have, or would still want
/// (`removeStraySnapshots`, `truncateAndReload`): outside of the log, or at no segment's beginning. Of the latter the one
/// beyond all segments stays, which a clean shutdown has left.
pub(super) fn strays(found: &BTreeSet<Offset>, bases: &BTreeSet<Offset>, start: Offset, end: Offset) -> Vec<Offset> {
    let of_shutdown = found.iter().rev().find(|at| **at <= end).filter(|at| Some(*at) > bases.last());
    let wanted = |at: &Offset| *at > start && *at <= end && (bases.contains(at) || Some(at) == of_shutdown);
    found.iter().copied().filter(|at| !wanted(at)).collect()
}

/// Reads the newest snapshot that is whole; removes newer ones that are not. Those that were removed leave `found`.
pub(super) async fn load(disk: &Disk, dir: &str, found: &mut BTreeSet<Offset>) -> io::Result<Option<ProducerStates>> {
    while let Some(&at) = found.last() {
        let file = disk.open(&path(dir, at), false).await?;
        let content = file.read_at(0, file.len().await? as usize).await?;
        match ProducerStates::from_snapshot(&content, at) {
            Ok(states) => return Ok(Some(states)),
            Err(error) => {
                tracing::warn!(dir, offset = at.0, %error, "removed a snapshot");
                remove(disk, dir, at).await?;
                found.remove(&at);
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_stays_where_a_segment_begins_and_where_the_log_was_closed() {
        let set = |offsets: &[i64]| offsets.iter().copied().map(Offset).collect::<BTreeSet<_>>();
        let strays = |found: &[i64], bases: &[i64], start, end| {
            strays(&set(found), &set(bases), Offset(start), Offset(end)).into_iter().map(|o| o.0).collect::<Vec<_>>()
        };
        assert_eq!(strays(&[10, 20, 25], &[0, 10, 20], 0, 25), [0; 0]);
        assert_eq!(strays(&[10, 15, 20, 25, 30], &[0, 10, 20], 0, 28), [15, 30], "beyond the end, and in between");
        assert_eq!(strays(&[10, 22, 25], &[0, 10, 20], 0, 28), [22], "an older shutdown's");
        assert_eq!(strays(&[10, 20], &[10, 20], 10, 28), [10], "nothing lies below it");
        assert_eq!(strays(&[15], &[0, 10, 20], 0, 28), [15]);
    }
}
