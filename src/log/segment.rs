//! One segment: a file of batches and what is known of its content. The writer pushes, readers look; the lock on
//! the positions is held for a lookup, never while the disk works.

use std::io;
use std::ops::ControlFlow;

use bytes::Bytes;
use parking_lot::Mutex;

use super::batch::{BatchView, HEADER_LEN, batches_in};
use super::config::LogConfig;
use super::index::MaxTimestamp;
use super::info::BatchInfo;
use super::positions::{Positions, Spot, Wanted};
use super::walk::{claimed_len, walk};
use crate::base::{LeaderEpoch, Offset};
use crate::io::disk::{Disk, File};

/// Kafka's file name for a segment that starts at `base`, without the suffix.
pub(super) fn stem(base: Offset) -> String {
    format!("{:020}", base.0)
}

/// Removes the files of the segment at `base`; the log file goes last, because it is what makes a segment.
///
/// # Errors
/// Those of the disk.
pub(super) async fn remove_files(disk: &Disk, dir: &str, base: Offset) -> io::Result<()> {
    for suffix in ["index", "timeindex", "log"] {
        let path = format!("{dir}/{}.{suffix}", stem(base));
        if disk.exists(&path).await? {
            disk.remove(&path).await?;
        }
    }
    Ok(())
}

/// A record's place in time (`FileRecords.TimestampAndOffset`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampAndOffset {
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// Offset of the record.
    pub offset: Offset,
    /// Epoch of the leader that appended it.
    pub epoch: LeaderEpoch,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Segment {
    pub base: Offset,
    pub file: File,
    positions: Mutex<Positions>,
}

/// What to do after a look at bytes that may begin before the wanted batch.
enum Look {
    Found { start: usize, end: usize },
    More { skip: u64, need: u64 },
    Nothing,
}

impl Segment {
    pub fn new(file: File, positions: Positions, base: Offset) -> Self {
        Self { base, file, positions: Mutex::new(positions) }
    }
    /// Creates the empty file of a segment.
    pub async fn create(disk: &Disk, dir: &str, base: Offset) -> io::Result<Self> {
        let file = disk.open(&format!("{dir}/{}.log", stem(base)), true).await?;
        if file.len().await? > 0 {
            file.truncate(0).await?;
        }
        Ok(Self::new(file, Positions::new(base), base))
    }
    /// A look at, or a change of, what is known of the content.
    pub fn with<R>(&self, f: impl FnOnce(&mut Positions) -> R) -> R {
        f(&mut self.positions.lock())
    }

    /// Whole batches; empty if there is nothing to give.
    pub async fn read(&self, wanted: &Wanted) -> io::Result<Bytes> {
        match self.with(|p| p.locate(wanted)) {
            Spot::Exact { start, len } => self.file.read_at(start, len).await,
            Spot::Walk { from, size } => self.read_walking(wanted, from, size).await,
            Spot::Nothing => Ok(Bytes::new()),
        }
    }

    async fn read_walking(&self, wanted: &Wanted, mut at: u64, size: u64) -> io::Result<Bytes> {
        // One index interval may lie between the floor and the wanted batch.
        let mut want = (wanted.max_bytes as u64).saturating_add(8192);
        while at < size {
            let buf = self.file.read_at(at, want.min(size - at) as usize).await?;
            match look(&buf, wanted)? {
                Look::Found { start, end } => return Ok(buf.slice(start..end)),
                Look::Nothing => break,
                Look::More { skip, need } => {
                    // Fewer bytes than there should be: the file was cut meanwhile; the caller looks again.
                    if skip == 0 && need <= buf.len() as u64 || need > size - at - skip {
                        break;
                    }
                    at += skip;
                    want = want.max(need);
                }
            }
        }
        Ok(Bytes::new())
    }

    /// The first record whose timestamp is at least `timestamp`. A compressed batch is answered with its first
    /// offset, because its records cannot be read here.
    pub async fn find_time(&self, timestamp: i64) -> io::Result<Option<TimestampAndOffset>> {
        let (from, size) = self.with(|p| (p.index().floor_of_time(timestamp), p.size()));
        let mut found = None;
        walk(&self.file, from, size, |batch, _| {
            if batch.max_timestamp() < timestamp {
                return ControlFlow::Continue(());
            }
            found = first_at(&batch, timestamp);
            if found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .await?;
        Ok(found)
    }

    /// The first record with the largest timestamp of the segment.
    pub async fn find_max(&self, max: MaxTimestamp) -> io::Result<Option<TimestampAndOffset>> {
        self.find_time(max.timestamp).await
    }

    /// Cuts the file in front of the batch that holds `to`; what is kept is known as if it had just been appended.
    pub async fn truncate(&self, to: Offset, config: &LogConfig) -> io::Result<()> {
        let (mut kept, size, from) = self.with(|p| {
            let size = p.size();
            let mut kept = p.clone();
            let from = kept.rewind(to);
            (kept, size, from)
        });
        walk(&self.file, from, size, |batch, _| {
            if batch.next_offset() > to {
                return ControlFlow::Break(());
            }
            kept.push(&BatchInfo::of(&batch), config);
            ControlFlow::Continue(())
        })
        .await?;
        let end = kept.size();
        // Readers must not be sent to bytes that are about to go.
        self.with(|p| *p = kept);
        self.file.truncate(end).await
    }

    /// Writes both index files; what they held before is replaced.
    pub async fn write_indexes(&self, disk: &Disk, dir: &str) -> io::Result<()> {
        let (offsets, times) =
            self.with(|p| (p.index().offset_file(self.base), p.index().time_file(self.base, p.max_timestamp())));
        for (suffix, content) in [("index", offsets), ("timeindex", times)] {
            let file = disk.open(&format!("{dir}/{}.{suffix}", stem(self.base)), true).await?;
            let len = file.len().await?;
            if len == content.len() as u64 && file.read_at(0, content.len()).await? == content {
                continue;
            }
            file.truncate(0).await?;
            file.append(&content).await?;
        }
        Ok(())
    }
}

fn first_at(batch: &BatchView<&[u8]>, timestamp: i64) -> Option<TimestampAndOffset> {
    let epoch = batch.leader_epoch();
    let Ok(records) = batch.records() else {
        return Some(TimestampAndOffset { timestamp: batch.max_timestamp(), offset: batch.base_offset(), epoch });
    };
    let record = records.flatten().find(|r| r.timestamp >= timestamp)?;
    Some(TimestampAndOffset { timestamp: record.timestamp, offset: record.offset, epoch })
}

fn look(buf: &[u8], wanted: &Wanted) -> io::Result<Look> {
    let (mut at, mut start) = (0, None);
    for batch in batches_in(buf) {
        let batch = batch.map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
        let end = at + batch.size();
        if batch.next_offset() > wanted.from {
            let first = start.unwrap_or(at);
            if !wanted.takes(batch.next_offset(), (end - first) as u64, start.is_none()) {
                return Ok(start.map_or(Look::Nothing, |start| Look::Found { start, end: at }));
            }
            start = Some(first);
        }
        at = end;
    }
    Ok(match start {
        Some(start) => Look::Found { start, end: at },
        None => Look::More { skip: at as u64, need: claimed_len(&buf[at..]).unwrap_or(HEADER_LEN as u64) },
    })
}
