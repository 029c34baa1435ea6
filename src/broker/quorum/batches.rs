//! The tail of the metadata log in memory, beside the log on the disk: all that follows the latest snapshot.

use std::io;

use bytes::{Bytes, BytesMut};

use crate::base::Offset;
use crate::broker::probe::BatchMark;
use crate::log::LogReader;
use crate::log::batch::{BatchView, batches_strict};

/// How much is read at once while loading.
const LOAD_BYTES: usize = 8 * 1024 * 1024;

/// The batches from some offset on, by rising offset.
#[derive(Debug)]
pub(super) struct Batches {
    start: Offset,
    all: Vec<BatchView>,
}

impl Batches {
    /// Reads the log from `start` to `end`.
    pub(super) async fn load(reader: &LogReader, start: Offset, end: Offset) -> io::Result<Self> {
        let invalid = |reason: String| io::Error::new(io::ErrorKind::InvalidData, reason);
        let mut loaded = Self { start, all: Vec::new() };
        let mut next = start;
        while next < end {
            let bytes = reader.read(next, LOAD_BYTES, end, true).await?;
            for batch in batches_strict(&bytes) {
                let batch = batch.map_err(|e| invalid(format!("metadata log at {next}: {e}")))?;
                next = batch.next_offset();
                loaded.all.push(batch);
            }
            if bytes.is_empty() {
                return Err(invalid(format!("the metadata log ends at {next}, not at {end}")));
            }
        }
        Ok(loaded)
    }
    /// Adds a batch that was checked, or built here.
    pub(super) fn push(&mut self, bytes: Bytes) {
        let batch = BatchView::parse(&bytes).expect("only whole batches are appended");
        self.all.push(batch);
    }
    pub(super) fn truncate(&mut self, end: Offset) {
        let keep = self.all.partition_point(|b| b.next_offset() <= end);
        self.all.truncate(keep);
    }
    /// What lies below is on the disk only.
    pub(super) fn start(&self) -> Offset {
        self.start
    }
    /// Forgets what lies below `start`, which is a batch's end and committed.
    pub(super) fn forget_below(&mut self, start: Offset) {
        let gone = self.all.partition_point(|b| b.next_offset() <= start);
        self.all.drain(..gone);
        self.start = self.start.max(start);
    }
    /// The log starts anew.
    pub(super) fn start_anew(&mut self, start: Offset) {
        *self = Self { start, all: Vec::new() };
    }
    /// The batch that starts at `base` or next after it.
    pub(super) fn at(&self, base: Offset) -> Option<&BatchView> {
        self.all.get(self.index_of(base))
    }
    /// Whole batches between `from` and `to`: at most `max_bytes`, but one at least. A single one is not copied.
    pub(super) fn read(&self, from: Offset, to: Offset, max_bytes: usize) -> Bytes {
        let after = &self.all[self.index_of(from)..];
        let mut size = 0;
        let wanted = |b: &&BatchView| {
            let first = size == 0;
            size += b.size();
            b.next_offset() <= to && (first || size <= max_bytes)
        };
        let chosen: Vec<_> = after.iter().take_while(wanted).collect();
        match chosen[..] {
            [] => Bytes::new(),
            [one] => one.bytes().clone(),
            _ => {
                let mut joined = BytesMut::with_capacity(chosen.iter().map(|b| b.size()).sum());
                chosen.iter().for_each(|b| joined.extend_from_slice(b.bytes()));
                joined.freeze()
            }
        }
    }
    /// The identities of the batches between `from` and `to`.
    pub(super) fn marks(&self, from: Offset, to: Offset) -> Vec<BatchMark> {
        let mark = |b: &BatchView| BatchMark {
            base: b.base_offset(),
            next: b.next_offset(),
            epoch: b.leader_epoch(),
            crc: b.crc(),
        };
        self.all[self.index_of(from)..].iter().take_while(|b| b.next_offset() <= to).map(mark).collect()
    }
    fn index_of(&self, base: Offset) -> usize {
        self.all.partition_point(|b| b.base_offset() < base)
    }
}
