//! Where each key stands last in the dirty part of a log (`SkimpyOffsetMap`).

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::base::Offset;
use crate::log::batch::BatchView;

/// What Kafka's map needs for one key: a digest and an offset.
const BYTES_PER_KEY: u64 = 24;

/// See the module. It holds so many keys as Kafka's would in `log.cleaner.dedupe.buffer.size` bytes, nine tenths full.
#[derive(Clone, Debug)]
pub struct KeyMap {
    last: BTreeMap<Bytes, Offset>,
    capacity: usize,
    end: Offset,
}

impl KeyMap {
    /// An empty map over nothing, from `start` on.
    #[must_use]
    pub fn new(start: Offset, buffer_bytes: u64) -> Self {
        let capacity = usize::try_from(buffer_bytes / BYTES_PER_KEY * 9 / 10).unwrap_or(usize::MAX);
        Self { last: BTreeMap::new(), capacity: capacity.max(1), end: start }
    }
    /// The offset after the last batch that the map knows.
    #[must_use]
    pub fn end(&self) -> Offset {
        self.end
    }
    /// Takes in a batch that reaches above the map's end. Returns false if the map is too full for it: then the cleaning ends
    /// before it.
    pub fn take(&mut self, batch: &BatchView<&[u8]>) -> bool {
        let count = usize::try_from(batch.record_count()).unwrap_or(0);
        if !self.last.is_empty() && self.last.len().saturating_add(count) > self.capacity {
            return false;
        }
        // What cannot be read stays whole, and so do older records of its keys.
        if !batch.is_control()
            && let Ok(records) = batch.records()
        {
            let known = self.end;
            for record in records.flatten().filter(|r| r.offset >= known) {
                if let Some(key) = record.key {
                    self.put(key, record.offset);
                }
            }
        }
        self.end = batch.next_offset();
        true
    }
    fn put(&mut self, key: &[u8], offset: Offset) {
        match self.last.get_mut(key) {
            Some(last) => *last = offset,
            None => drop(self.last.insert(Bytes::copy_from_slice(key), offset)),
        }
    }
    /// True if the map knows a later record of the key than the one at `offset`.
    #[must_use]
    pub fn supersedes(&self, key: &[u8], offset: Offset) -> bool {
        self.last.get(key).is_some_and(|last| offset < *last)
    }
}
