//! The rules of log compaction (`LogCleaner`, `LogCleanerManager`): which part of a log is to be cleaned, which segments are
//! rewritten together, and which records stay.
//!
//! Pure. For every key the latest record stays, and a tombstone for `delete.retention.ms` after the cleaning that first met it
//! (KIP-534). Offsets never change and the order never changes. The active segment, and what is not committed, is not touched.
//! Compressed batches, whose records cannot be read here, and markers of transactions stay whole.

mod dirty;
mod filter;
mod keys;
#[cfg(test)]
mod tests;

pub use dirty::{Dirty, Progress, groups};
pub use filter::{Fate, Filter};
pub use keys::KeyMap;
