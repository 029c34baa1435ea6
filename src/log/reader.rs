//! Reading a log beside its writer.
//!
//! Readers share the list of segments as an immutable snapshot, which the writer replaces when it rolls, truncates
//! or deletes. A truncation may move bytes under a reader; it is told by a counter and reads again.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::RwLock;

use super::info::BatchInfo;
use super::positions::Wanted;
use super::producers::{ProducerBatch, ProducerStates};
use super::segment::{Segment, TimestampAndOffset};
use super::walk::walk;
use crate::base::Offset;

/// All segments, oldest first, never empty.
pub(super) type Table = Arc<[Arc<Segment>]>;

/// What writer and readers share.
#[derive(Debug)]
pub(super) struct Shared {
    table: RwLock<Table>,
    /// Odd while a truncation runs.
    cuts: AtomicU64,
}

impl Shared {
    pub fn new(segments: Vec<Arc<Segment>>) -> Self {
        Self { table: RwLock::new(segments.into()), cuts: AtomicU64::new(0) }
    }
    pub fn table(&self) -> Table {
        self.table.read().clone()
    }
    pub fn replace(&self, segments: Vec<Arc<Segment>>) {
        *self.table.write() = segments.into();
    }
    /// Before the first and after the last change of a truncation.
    pub fn mark_cut(&self) {
        self.cuts.fetch_add(1, Ordering::AcqRel);
    }
    pub fn cuts(&self) -> u64 {
        self.cuts.load(Ordering::Acquire)
    }
}

/// Reads one log; cheap to clone.
#[derive(Clone, Debug)]
pub struct LogReader {
    shared: Arc<Shared>,
}

impl LogReader {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Whole batches from the one that holds `from`, of one segment at most: none that reaches beyond `max_offset`
    /// (high watermark or visible end), and at most `max_bytes` bytes, except that `min_one` gives a first batch
    /// that alone is larger. Empty if there is nothing to give. The first batch may begin below `from`.
    ///
    /// # Errors
    /// Those of the disk; `InvalidInput` if `from` lies below the first segment, `InvalidData` if the disk holds
    /// something that is no batch.
    pub async fn read(&self, from: Offset, max_bytes: usize, max_offset: Offset, min_one: bool) -> io::Result<Bytes> {
        let wanted = Wanted { from, bound: max_offset, max_bytes, min_one };
        loop {
            let cuts = self.shared.cuts();
            let read = self.read_once(&wanted).await;
            // A truncation in between may have put other bytes there. While one runs, nothing can be trusted, and
            // nothing is promised to be there either.
            match self.shared.cuts() {
                now if now == cuts && now % 2 == 0 => return read,
                now if now == cuts => return Ok(Bytes::new()),
                _ => {}
            }
        }
    }

    async fn read_once(&self, wanted: &Wanted) -> io::Result<Bytes> {
        let table = self.shared.table();
        let after = table.partition_point(|s| s.base <= wanted.from);
        let Some(first) = after.checked_sub(1) else {
            let reason = format!("offset {} lies below the first segment", wanted.from);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
        };
        for segment in &table[first..] {
            let bytes = segment.read(wanted).await?;
            // Only if the segment has nothing at or above `from` can the next one have what is wanted.
            if !bytes.is_empty() || segment.with(|p| p.next()) > wanted.from {
                return Ok(bytes);
            }
        }
        Ok(Bytes::new())
    }

    /// The first record at or after `timestamp` (milliseconds since 1970), for ListOffsets. The caller compares the
    /// offset with what its client may see.
    ///
    /// # Errors
    /// Those of the disk.
    pub async fn offset_for_timestamp(&self, timestamp: i64) -> io::Result<Option<TimestampAndOffset>> {
        for segment in self.shared.table().iter() {
            if segment.with(|p| p.max_timestamp()).is_none_or(|max| max.timestamp < timestamp) {
                continue;
            }
            if let Some(found) = segment.find_time(timestamp).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The first record with the largest timestamp of the log (KIP-734).
    ///
    /// # Errors
    /// Those of the disk.
    pub async fn offset_of_max_timestamp(&self) -> io::Result<Option<TimestampAndOffset>> {
        let table = self.shared.table();
        let maxima = table.iter().filter_map(|s| Some((s.with(|p| p.max_timestamp())?, s)));
        // The earliest of equals: `max_by` would give the latest.
        let latest = maxima.reduce(|a, b| if b.0.timestamp > a.0.timestamp { b } else { a });
        match latest {
            Some((max, segment)) => segment.find_max(max).await,
            None => Ok(None),
        }
    }

    pub(super) fn table(&self) -> Table {
        self.shared.table()
    }
    /// Changes with every truncation; odd while one runs.
    #[must_use]
    pub fn cuts(&self) -> u64 {
        self.shared.cuts()
    }

    /// Base offset and size in bytes of every segment, oldest first, for retention.
    #[must_use]
    pub fn segments(&self) -> Vec<SegmentInfo> {
        let table = self.shared.table();
        let info = |s: &Arc<Segment>| {
            s.with(|p| SegmentInfo {
                base: s.base,
                next: p.next(),
                size: p.size(),
                first_timestamp: p.first_timestamp(),
                max_timestamp: p.max_timestamp().map(|m| m.timestamp),
            })
        };
        table.iter().map(info).collect()
    }

    /// The identities of all batches below `end`.
    ///
    /// # Errors
    /// Those of the disk.
    pub async fn batches(&self, end: Offset) -> io::Result<Vec<BatchInfo>> {
        let mut found = Vec::new();
        self.each_batch_below(end, |info, _| found.push(info)).await?;
        Ok(found)
    }

    /// The producer states of the log below `end`, made anew from its batches: needed after
    /// [`ProducerStates::truncate`] returned false.
    ///
    /// # Errors
    /// Those of the disk.
    pub async fn rebuild_producers(&self, end: Offset) -> io::Result<ProducerStates> {
        let mut states = ProducerStates::new();
        self.each_batch_below(end, |info, batch| states.record(&batch, info.base)).await?;
        Ok(states)
    }

    async fn each_batch_below(
        &self,
        end: Offset,
        mut each: impl FnMut(BatchInfo, ProducerBatch) + Send,
    ) -> io::Result<()> {
        for segment in self.shared.table().iter() {
            let size = segment.with(|p| p.size());
            walk(&segment.file, 0, size, |batch, _| {
                if batch.next_offset() > end {
                    return ControlFlow::Break(());
                }
                each(BatchInfo::of(&batch), ProducerBatch::of(&batch));
                ControlFlow::Continue(())
            })
            .await?;
        }
        Ok(())
    }
}

/// What retention needs to know of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Offset at which it begins.
    pub base: Offset,
    /// The offset after its last batch.
    pub next: Offset,
    /// Bytes.
    pub size: u64,
    /// Timestamp of the first batch, milliseconds since 1970; none if empty.
    pub first_timestamp: Option<i64>,
    /// Largest timestamp, milliseconds since 1970; none if empty.
    pub max_timestamp: Option<i64>,
}
