//! What becomes of each batch (`Cleaner.cleanInto`, `shouldRetainRecord`).

use std::collections::BTreeMap;

use bytes::Bytes;

use super::keys::KeyMap;
use crate::base::{Offset, ProducerId};
use crate::log::batch::{BatchView, Record, Retained, emptied, retain};

/// What becomes of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It stays as it is.
    Stays,
    /// This takes its place.
    Becomes(Bytes),
    /// It goes.
    Goes,
}

/// The rules of one cleaning.
#[derive(Debug)]
pub struct Filter<'a> {
    /// The latest offset of each key.
    pub keys: &'a KeyMap,
    /// The last offset of the latest batch of each producer: it must survive, or its next sequence would look wrong.
    pub producers: &'a BTreeMap<ProducerId, Offset>,
    /// Milliseconds since 1970.
    pub now_wall_ms: i64,
    /// `delete.retention.ms`
    pub delete_retention_ms: i64,
}

impl Filter<'_> {
    /// Judges a batch. `last` says that no batch of its segment follows: it stays at least as an empty one, so that the next
    /// segment begins where this one ends.
    #[must_use]
    pub fn judge(&self, batch: &BatchView<&[u8]>, last: bool) -> Fate {
        // Beyond what the map knows an expired tombstone could go before the record that it deletes.
        if batch.is_control() || batch.next_offset() > self.keys.end() {
            return Fate::Stays;
        }
        let expired = batch.delete_horizon().is_some_and(|horizon| horizon <= self.now_wall_ms);
        let mut tombstones = false;
        let mut keep = |record: &Record<'_>| {
            let kept = self.keeps(record, expired);
            tombstones |= kept && record.value.is_none();
            kept
        };
        let left = match retain(batch, None, &mut keep) {
            Ok(left) => left,
            Err(_) => return Fate::Stays,
        };
        if tombstones && batch.delete_horizon().is_none() {
            let horizon = self.now_wall_ms.saturating_add(self.delete_retention_ms);
            return match retain(batch, Some(horizon), |record| self.keeps(record, expired)) {
                Ok(Retained::Some(bytes)) => Fate::Becomes(bytes),
                _ => Fate::Stays,
            };
        }
        match left {
            Retained::All => Fate::Stays,
            Retained::Some(bytes) => Fate::Becomes(bytes),
            Retained::None if batch.record_count() == 0 && (last || self.is_needed(batch)) => Fate::Stays,
            Retained::None if last || self.is_needed(batch) => Fate::Becomes(emptied(batch)),
            Retained::None => Fate::Goes,
        }
    }
    fn keeps(&self, record: &Record<'_>, expired: bool) -> bool {
        let Some(key) = record.key else { return false };
        !self.keys.supersedes(key, record.offset) && (record.value.is_some() || !expired)
    }
    fn is_needed(&self, batch: &BatchView<&[u8]>) -> bool {
        batch.has_producer_id() && self.producers.get(&batch.producer_id()) == Some(&batch.last_offset())
    }
}
