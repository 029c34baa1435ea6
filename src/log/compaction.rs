//! A cleaning of one log: the keys of its dirty part are collected, then segments are rewritten group by group beside the log,
//! which goes on being read and written. [`LogStore::swap`](super::store::LogStore::swap) puts each new file in place.

use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::batch::BatchView;
use super::cleaner::{Dirty, Fate, Filter, KeyMap, groups};
use super::config::LogConfig;
use super::info::BatchInfo;
use super::reader::LogReader;
use super::segment::{Segment, stem};
use super::walk::walk;
use crate::base::{Offset, ProducerId};
use crate::io::disk::{Disk, File};

/// A rewritten run of segments that waits to take their place.
#[derive(Clone, Debug)]
pub struct Swap {
    /// Where each of the segments that it replaces begins.
    pub(super) bases: Vec<Offset>,
    /// The offset after the last of them.
    pub(super) next: Offset,
    /// How often the log had been cut when the rewriting began.
    pub(super) cuts: u64,
    /// The new file's path.
    pub(super) path: String,
    /// What the new file holds.
    pub(super) batches: Vec<BatchInfo>,
}

impl Swap {
    /// The offset after the last segment that it replaces.
    #[must_use]
    pub fn next(&self) -> Offset {
        self.next
    }
}

/// What stands in place of the segments that were rewritten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swapped {
    /// Where the new segment begins.
    pub base: Offset,
    /// The offset after it.
    pub next: Offset,
    /// Its batches.
    pub batches: Vec<BatchInfo>,
}

/// What a cleaning works with.
#[derive(Debug)]
pub struct Cleaning<'a> {
    /// The disk of the log.
    pub disk: &'a Disk,
    /// The log's directory.
    pub dir: &'a str,
    /// The log's settings.
    pub config: LogConfig,
    /// `log.cleaner.dedupe.buffer.size`
    pub buffer_bytes: u64,
    /// The last offset of each producer's latest batch.
    pub producers: BTreeMap<ProducerId, Offset>,
    /// Milliseconds since 1970.
    pub now_wall_ms: i64,
}

/// A cleaning that is under way.
#[derive(Debug)]
pub struct Plan {
    keys: KeyMap,
    cuts: u64,
    groups: Vec<Vec<Arc<Segment>>>,
}

impl Plan {
    /// Everything below will be clean.
    #[must_use]
    pub fn end(&self) -> Offset {
        self.keys.end()
    }
    /// How many swaps there will be.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.groups.len()
    }
}

impl Cleaning<'_> {
    /// Collects the keys of `dirty` and says which segments are rewritten together.
    ///
    /// # Errors
    /// Those of the disk.
    pub async fn plan(&self, reader: &LogReader, dirty: &Dirty) -> io::Result<Plan> {
        let (cuts, table, infos) = (reader.cuts(), reader.table(), reader.segments());
        let mut keys = KeyMap::new(dirty.start, self.buffer_bytes);
        let mut full = false;
        for segment in table.iter().filter(|s| s.base < dirty.end) {
            if full || segment.with(|p| p.next()) <= dirty.start {
                continue;
            }
            let size = segment.with(|p| p.size());
            walk(&segment.file, 0, size, |batch, _| {
                full = batch.next_offset() > keys.end() && !keys.take(&batch);
                if full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
            .await?;
        }
        let of = |group: std::ops::Range<usize>| table.get(group).map_or_else(Vec::new, <[_]>::to_vec);
        let groups = groups(&infos, &self.config, keys.end()).into_iter().map(of).collect();
        Ok(Plan { keys, cuts, groups })
    }

    /// Rewrites the n-th group of the plan into a file of its own, durably. None if nothing of it changes.
    ///
    /// # Errors
    /// Those of the disk.
    pub async fn rewrite(&self, plan: &Plan, n: usize) -> io::Result<Option<Swap>> {
        let Some(group) = plan.groups.get(n) else { return Ok(None) };
        let (Some(first), Some(last)) = (group.first(), group.last()) else { return Ok(None) };
        let path = format!("{}/{}.log.cleaned", self.dir, stem(first.base));
        let mut out = Output { file: None, path: &path, buffer: BytesMut::new(), batches: Vec::new() };
        let mut changed = group.len() > 1;
        for segment in group {
            changed |= self.copy(plan, segment, &mut out).await?;
        }
        let batches = std::mem::take(&mut out.batches);
        out.finish(self.disk).await?;
        if !changed {
            self.disk.remove(&path).await?;
            return Ok(None);
        }
        let (bases, next) = (group.iter().map(|s| s.base).collect(), last.with(|p| p.next()));
        Ok(Some(Swap { bases, next, cuts: plan.cuts, path, batches }))
    }

    /// Copies what stays of a segment; returns whether anything is different.
    async fn copy(&self, plan: &Plan, segment: &Segment, out: &mut Output<'_>) -> io::Result<bool> {
        let filter = Filter {
            keys: &plan.keys,
            producers: &self.producers,
            now_wall_ms: self.now_wall_ms,
            delete_retention_ms: self.config.delete_retention_ms,
        };
        let (size, next) = segment.with(|p| (p.size(), p.next()));
        let (mut at, mut changed) = (0, false);
        while at < size {
            let mut kept: Vec<(BatchInfo, Bytes)> = Vec::new();
            let (mut bytes, mut seen) = (0, at);
            walk(&segment.file, at, size, |batch, position| {
                seen = position + batch.size() as u64;
                let left = match filter.judge(&batch, batch.next_offset() == next) {
                    Fate::Stays => Bytes::copy_from_slice(batch.bytes()),
                    Fate::Becomes(left) => left,
                    Fate::Goes => Bytes::new(),
                };
                changed |= left[..] != **batch.bytes();
                if let Ok(view) = BatchView::borrow(&left) {
                    kept.push((BatchInfo::of(&view), left.clone()));
                    bytes += left.len();
                }
                if bytes < WRITE { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })
            .await?;
            if seen == at {
                let reason = format!("{}: no batch at {at} of segment {}", self.dir, segment.base);
                return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
            }
            at = seen;
            for (info, bytes) in kept {
                out.put(self.disk, info, &bytes).await?;
            }
        }
        Ok(changed)
    }
}

/// Bytes per write.
const WRITE: usize = 1024 * 1024;

/// The new file, written in large pieces.
struct Output<'a> {
    file: Option<File>,
    path: &'a str,
    buffer: BytesMut,
    batches: Vec<BatchInfo>,
}

impl Output<'_> {
    async fn put(&mut self, disk: &Disk, info: BatchInfo, bytes: &[u8]) -> io::Result<()> {
        self.batches.push(info);
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= WRITE { self.flush(disk).await } else { Ok(()) }
    }
    async fn flush(&mut self, disk: &Disk) -> io::Result<()> {
        let file = match &self.file {
            Some(file) => file,
            None => {
                let file = disk.open(self.path, true).await?;
                file.truncate(0).await?;
                self.file.insert(file)
            }
        };
        file.append(&self.buffer).await?;
        self.buffer.clear();
        Ok(())
    }
    async fn finish(mut self, disk: &Disk) -> io::Result<()> {
        self.flush(disk).await?;
        match &self.file {
            Some(file) => file.sync().await,
            None => Ok(()),
        }
    }
}
