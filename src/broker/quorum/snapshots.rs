//! Snapshots on the disk: `<offset>-<epoch>.checkpoint` beside the metadata log (Kafka's `Snapshots`,
//! `RecordsSnapshotWriter`). One task writes: what this node's metadata is, or piece by piece what the leader sends.
//! A snapshot gets its name only once it is whole and synced, and counts only once the name is.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{Quorum, encode};
use crate::base::{LeaderEpoch, Offset};
use crate::io::clock;
use crate::io::disk::Disk;
use crate::raft::{Input, SnapshotId};
use crate::wire::records::MetadataRecord;

/// How much of a snapshot is read or written at once.
const PIECE_BYTES: usize = 8 * 1024 * 1024;

/// What a snapshot holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Content {
    /// When the last record that it covers was written, in milliseconds since 1970.
    pub(super) append_time_ms: i64,
    pub(super) records: Vec<MetadataRecord>,
}

/// The snapshots in the directory of the metadata log.
#[derive(Clone, Debug)]
pub(super) struct SnapshotDir {
    disk: Disk,
    dir: String,
}

impl SnapshotDir {
    pub(super) fn new(disk: Disk, dir: &str) -> Self {
        Self { disk, dir: dir.to_owned() }
    }
    fn path(&self, id: SnapshotId) -> String {
        format!("{}/{:020}-{:010}.checkpoint", self.dir, id.offset.0, id.epoch.0)
    }
    fn unfinished(&self, id: SnapshotId) -> String {
        format!("{}.part", self.path(id))
    }
    /// All snapshots by rising offset, with their sizes in bytes. What an interrupted write left is removed.
    pub(super) async fn list(&self) -> io::Result<Vec<(SnapshotId, u64)>> {
        let mut found = Vec::new();
        if !self.disk.exists(&self.dir).await? {
            return Ok(found);
        }
        for name in self.disk.list(&self.dir).await? {
            if name.ends_with(".checkpoint.part") || name.ends_with(".checkpoint.deleted") {
                self.disk.remove(&format!("{}/{name}", self.dir)).await?;
            } else if let Some(id) = parse_name(&name) {
                found.push((id, self.disk.open(&self.path(id), false).await?.len().await?));
            }
        }
        found.sort_unstable();
        Ok(found)
    }
    /// Reads a whole snapshot; `InvalidData` if it is not one.
    pub(super) async fn read(&self, id: SnapshotId) -> io::Result<Content> {
        self.parse(&self.path(id)).await
    }
    async fn parse(&self, path: &str) -> io::Result<Content> {
        let file = self.disk.open(path, false).await?;
        let size = file.len().await?;
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < size {
            let piece = file.read_at(bytes.len() as u64, PIECE_BYTES).await?;
            if piece.is_empty() {
                break;
            }
            bytes.extend_from_slice(&piece);
        }
        let broken = |reason| io::Error::new(io::ErrorKind::InvalidData, format!("{path}: {reason}"));
        encode::read_snapshot(&bytes.into()).map_err(broken)
    }
    /// A piece of a snapshot; none if it is not there any more.
    pub(super) async fn piece(&self, id: SnapshotId, position: u64, max_bytes: usize) -> io::Result<Option<Bytes>> {
        let path = self.path(id);
        if !self.disk.exists(&path).await? {
            return Ok(None);
        }
        self.disk.open(&path, false).await?.read_at(position, max_bytes).await.map(Some)
    }
    pub(super) async fn delete(&self, id: SnapshotId) -> io::Result<()> {
        let path = self.path(id);
        if self.disk.exists(&path).await? {
            self.disk.remove(&path).await?;
        }
        Ok(())
    }
    async fn write(&self, id: SnapshotId, content: &Content) -> io::Result<u64> {
        let file = self.disk.open(&self.unfinished(id), true).await?;
        file.truncate(0).await?;
        let mut size = 0;
        for batch in encode::snapshot(id, content, clock::now().wall_ms, PIECE_BYTES) {
            size += batch.len() as u64;
            file.append(&batch).await?;
        }
        file.sync().await?;
        self.name(id).await?;
        Ok(size)
    }
    async fn append(&self, id: SnapshotId, position: u64, bytes: &[u8]) -> io::Result<()> {
        let file = self.disk.open(&self.unfinished(id), true).await?;
        file.truncate(position).await?;
        file.append(bytes).await?;
        Ok(())
    }
    /// Gives a download its name, if it is a whole snapshot; when its last record was written.
    async fn finish(&self, id: SnapshotId, size: u64) -> io::Result<Option<i64>> {
        let path = self.unfinished(id);
        let file = self.disk.open(&path, true).await?;
        let whole = file.len().await? == size;
        let content = match self.parse(&path).await {
            Ok(content) if whole => content,
            Err(error) if error.kind() != io::ErrorKind::InvalidData => return Err(error),
            broken => {
                tracing::warn!(snapshot = %id, error = ?broken.err(), "a downloaded snapshot is not whole");
                self.disk.remove(&path).await?;
                return Ok(None);
            }
        };
        file.sync().await?;
        self.name(id).await?;
        Ok(Some(content.append_time_ms))
    }
    async fn name(&self, id: SnapshotId) -> io::Result<()> {
        self.disk.rename(&self.unfinished(id), &self.path(id)).await?;
        self.disk.sync_dir(&self.dir).await
    }
}

fn parse_name(name: &str) -> Option<SnapshotId> {
    let (offset, epoch) = name.strip_suffix(".checkpoint")?.split_once('-')?;
    let digits = |text: &str, len| text.len() == len && text.bytes().all(|b| b.is_ascii_digit());
    let well_formed = digits(offset, 20) && digits(epoch, 10);
    let id = SnapshotId { offset: Offset(offset.parse().ok()?), epoch: LeaderEpoch(epoch.parse().ok()?) };
    (well_formed && id.offset > Offset::ZERO).then_some(id)
}

/// A step of the task.
#[derive(Debug)]
pub(super) enum Op {
    Write { id: SnapshotId, content: Content },
    Append { id: SnapshotId, position: u64, bytes: Bytes },
    Finish { id: SnapshotId, size: u64 },
    Delete { id: SnapshotId },
}

/// What the task is to do, in order.
#[derive(Debug, Default)]
pub(super) struct OpQueue {
    ops: Mutex<VecDeque<Op>>,
    wake: Notify,
}

impl OpQueue {
    pub(super) fn put(&self, op: Op) {
        self.ops.lock().push_back(op);
        self.wake.notify_one();
    }
    async fn take(&self) -> Op {
        loop {
            if let Some(op) = self.ops.lock().pop_front() {
                return op;
            }
            self.wake.notified().await;
        }
    }
}

/// The task that writes and deletes snapshots.
pub(super) async fn run(quorum: Arc<Quorum>, dir: SnapshotDir, ops: Arc<OpQueue>) {
    loop {
        let op = ops.take().await;
        if let Err(error) = perform(&quorum, &dir, op).await {
            return quorum.shell.lock().fail(&format!("a snapshot of the metadata failed: {error}"));
        }
    }
}

async fn perform(quorum: &Quorum, dir: &SnapshotDir, op: Op) -> io::Result<()> {
    match op {
        Op::Write { id, content } => {
            let size = dir.write(id, &content).await?;
            tracing::info!(snapshot = %id, size, "snapshot written");
            quorum.snapshot_stored(id, size, content.append_time_ms);
        }
        Op::Append { id, position, bytes } => dir.append(id, position, &bytes).await?,
        Op::Finish { id, size } => match dir.finish(id, size).await? {
            Some(append_time_ms) => quorum.snapshot_stored(id, size, append_time_ms),
            None => quorum.feed(Input::SnapshotRefused { snapshot: id }),
        },
        Op::Delete { id } => dir.delete(id).await?,
    }
    Ok(())
}
