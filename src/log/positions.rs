//! What is known in memory of one segment's content: its size, its index, and exactly where its latest batches
//! stand, so that a read at the tail costs one `read_at` and no parsing.

use std::collections::VecDeque;

use super::config::LogConfig;
use super::index::{Index, Mark, MaxTimestamp};
use super::info::BatchInfo;
use crate::base::Offset;

/// How many batches at the tail are known exactly.
const TAIL: usize = 64;

/// Where one batch stands.
#[derive(Clone, Copy, Debug)]
struct Place {
    base: Offset,
    next: Offset,
    start: u64,
    end: u64,
}

/// What a reader wants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    /// The offset to start at, or the batch that holds it.
    pub from: Offset,
    /// No batch that reaches beyond is given.
    pub bound: Offset,
    /// At most so many bytes.
    pub max_bytes: usize,
    /// Give the first batch even if it is larger.
    pub min_one: bool,
}

impl Wanted {
    /// True if a batch that ends `len` bytes after the first begins may be given as well.
    pub fn takes(&self, next: Offset, len: u64, first: bool) -> bool {
        next <= self.bound && (len <= self.max_bytes as u64 || (first && self.min_one))
    }
}

/// Where to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spot {
    /// Exactly these bytes.
    Exact { start: u64, len: usize },
    /// Walk from here.
    Walk { from: u64, size: u64 },
    /// There is nothing to give.
    Nothing,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Positions {
    base: Offset,
    size: u64,
    next: Offset,
    index: Index,
    since_mark: u64,
    max: Option<MaxTimestamp>,
    first_timestamp: Option<i64>,
    tail: VecDeque<Place>,
}

impl Positions {
    pub fn new(base: Offset) -> Self {
        Self {
            base,
            size: 0,
            next: base,
            index: Index::default(),
            since_mark: 0,
            max: None,
            first_timestamp: None,
            tail: VecDeque::new(),
        }
    }
    pub fn size(&self) -> u64 {
        self.size
    }
    /// The offset after the last batch.
    pub fn next(&self) -> Offset {
        self.next
    }
    pub fn index(&self) -> &Index {
        &self.index
    }
    /// Of the first batch.
    pub fn first_timestamp(&self) -> Option<i64> {
        self.first_timestamp
    }
    pub fn max_timestamp(&self) -> Option<MaxTimestamp> {
        self.max
    }

    /// A batch stands at the end of the file.
    pub fn push(&mut self, batch: &BatchInfo, config: &LogConfig) {
        let (start, end) = (self.size, self.size + batch.size as u64);
        let last = batch.next - 1;
        if self.max.is_none_or(|m| batch.max_timestamp > m.timestamp) {
            self.max = Some(MaxTimestamp { timestamp: batch.max_timestamp, last });
        }
        self.first_timestamp.get_or_insert(batch.max_timestamp);
        if self.since_mark > u64::from(config.index_interval_bytes)
            && let Some(max) = self.max
        {
            self.index.push(Mark { last, position: start, max });
            self.since_mark = 0;
        }
        self.since_mark += batch.size as u64;
        if self.tail.len() == TAIL {
            self.tail.pop_front();
        }
        self.tail.push_back(Place { base: batch.base, next: batch.next, start, end });
        (self.size, self.next) = (end, batch.next);
    }

    /// True if `batch` must open a new segment (`LogSegment.shouldRoll`).
    pub fn must_roll(&self, batch: &BatchInfo, config: &LogConfig) -> bool {
        if self.size == 0 {
            return false;
        }
        let full = self.size + batch.size as u64 > u64::from(config.segment_bytes);
        let age = batch.max_timestamp.saturating_sub(self.first_timestamp.unwrap_or(batch.max_timestamp));
        let old = u64::try_from(age).is_ok_and(|age| age > config.segment_ms);
        let marks = config.segment_index_bytes as usize / super::index::TIME_ENTRY_LEN;
        let far = (batch.next - 1) - self.base > i64::from(i32::MAX);
        full || old || far || self.index.len() >= marks.max(1)
    }

    /// The exact places of the tail are needed only in the active segment.
    pub fn seal(&mut self) {
        self.tail = VecDeque::new();
    }

    pub fn locate(&self, wanted: &Wanted) -> Spot {
        if wanted.from >= self.next || wanted.bound <= wanted.from {
            return Spot::Nothing;
        }
        if self.tail.front().is_none_or(|first| wanted.from < first.base) {
            return Spot::Walk { from: self.index.floor_of_offset(wanted.from), size: self.size };
        }
        let first = self.tail.partition_point(|p| p.next <= wanted.from);
        let start = self.tail[first].start;
        if !wanted.takes(self.tail[first].next, self.tail[first].end - start, true) {
            return Spot::Nothing;
        }
        // The common reader is at the very end and takes everything.
        let mut after = self.tail.len();
        if !wanted.takes(self.tail[after - 1].next, self.tail[after - 1].end - start, false) {
            after = self.tail.partition_point(|p| p.start <= start || wanted.takes(p.next, p.end - start, false));
        }
        Spot::Exact { start, len: (self.tail[after - 1].end - start) as usize }
    }

    /// Forgets what lies behind the last mark below `to`, and returns where to walk from to find it again.
    pub fn rewind(&mut self, to: Offset) -> u64 {
        self.index.truncate(to);
        let fresh = Self::new(self.base);
        let index = std::mem::take(&mut self.index);
        let first_timestamp = self.first_timestamp;
        *self = match index.last() {
            // The marked batch itself is walked again; its mark stays, and a new one is not due.
            Some(mark) => Self { size: mark.position, first_timestamp, max: Some(mark.max), ..fresh },
            None => fresh,
        };
        self.index = index;
        self.size
    }
}
