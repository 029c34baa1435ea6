//! The bytes of a `<offset>.snapshot` file: what is known of every producer below that offset, in Kafka's format
//! (`ProducerStateManager.writeSnapshot`, `ProducerSnapshot.json`).
//!
//! Big-endian: version (int16, 1), CRC-32C of what follows it (uint32), count (int32), and for each producer its id
//! (int64), epoch (int16), last sequence (int32), last offset (int64), last offset minus base offset (int32), timestamp
//! (int64), coordinator epoch (int32, -1) and first offset of an open transaction (int64, -1). Only the latest batch
//! of a producer is in it.

use std::collections::BTreeMap;

use super::ProducerStates;
use super::entry::Entry;
use crate::base::{Offset, ProducerId};

const VERSION: i16 = 1;
/// Version and CRC.
const HEADER_LEN: usize = 6;
const ENTRY_LEN: usize = 46;

/// A snapshot that is torn, damaged, or of another version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a corrupt snapshot of producers: {0}")]
pub struct CorruptSnapshot(&'static str);

/// One producer's line; -1 stands for "none" as in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub epoch: i16,
    pub last_sequence: i32,
    pub last_offset: i64,
    pub offset_delta: i32,
    /// Milliseconds since 1970.
    pub timestamp: i64,
}

impl ProducerStates {
    /// The file's content.
    #[must_use]
    pub fn to_snapshot(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(4 + self.entries.len() * ENTRY_LEN);
        let count = i32::try_from(self.entries.len()).expect("fewer producers than a file has room for");
        body.extend(count.to_be_bytes());
        for (id, entry) in &self.entries {
            let line = entry.line();
            body.extend(id.0.to_be_bytes());
            body.extend(line.epoch.to_be_bytes());
            body.extend(line.last_sequence.to_be_bytes());
            body.extend(line.last_offset.to_be_bytes());
            body.extend(line.offset_delta.to_be_bytes());
            body.extend(line.timestamp.to_be_bytes());
            body.extend((-1_i32).to_be_bytes());
            body.extend((-1_i64).to_be_bytes());
        }
        let mut file = Vec::with_capacity(HEADER_LEN + body.len());
        file.extend(VERSION.to_be_bytes());
        file.extend(crc32c::crc32c(&body).to_be_bytes());
        file.extend(body);
        file
    }

    /// Reads what [`ProducerStates::to_snapshot`], or Kafka, wrote of the log below `end`. What it says of open
    /// transactions is ignored.
    ///
    /// # Errors
    /// [`CorruptSnapshot`], also if it speaks of batches at or above `end`.
    pub fn from_snapshot(file: &[u8], end: Offset) -> Result<Self, CorruptSnapshot> {
        let mut fields = Fields(file);
        let short = CorruptSnapshot("it ends in its header");
        if i16::from_be_bytes(fields.take().ok_or(short.clone())?) != VERSION {
            return Err(CorruptSnapshot("its version is not 1"));
        }
        let crc = u32::from_be_bytes(fields.take().ok_or(short.clone())?);
        if crc32c::crc32c(fields.0) != crc {
            return Err(CorruptSnapshot("its checksum is wrong"));
        }
        let count = i32::from_be_bytes(fields.take().ok_or(short)?);
        if usize::try_from(count).ok().and_then(|n| n.checked_mul(ENTRY_LEN)) != Some(fields.0.len()) {
            return Err(CorruptSnapshot("its length does not agree with its count"));
        }
        let mut entries = BTreeMap::new();
        while let Some((id, line)) = fields.line() {
            let entry = Entry::from_line(&line, end).ok_or(CorruptSnapshot("a producer's values are impossible"))?;
            entries.insert(id, entry);
        }
        Ok(Self { entries, undo_floor: end, ..Self::default() })
    }

    /// Learns from `older`, which speaks of a beginning of the same log, what this one, made from the batches that are
    /// still there, cannot know: producers whose batches retention has deleted.
    pub fn adopt(&mut self, older: &Self) {
        for (id, old) in &older.entries {
            match self.entries.get_mut(id) {
                Some(entry) => entry.adopt(old),
                None => drop(self.entries.insert(*id, old.clone())),
            }
        }
    }

    /// The states as they were when the log ended at `to`; none if that lies deeper than the journal reaches.
    #[must_use]
    pub fn as_of(&self, to: Offset) -> Option<Self> {
        let mut states = self.clone();
        states.truncate(to).then_some(states)
    }
}

/// What is left to read.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }
    fn line(&mut self) -> Option<(ProducerId, Line)> {
        let id = ProducerId(i64::from_be_bytes(self.take()?));
        let line = Line {
            epoch: i16::from_be_bytes(self.take()?),
            last_sequence: i32::from_be_bytes(self.take()?),
            last_offset: i64::from_be_bytes(self.take()?),
            offset_delta: i32::from_be_bytes(self.take()?),
            timestamp: i64::from_be_bytes(self.take()?),
        };
        let _transaction: [u8; 12] = self.take()?;
        Some((id, line))
    }
}
