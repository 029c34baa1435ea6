//! One partition's log: record batches, the pure [`state::LogState`] and [`producers::ProducerStates`], segments
//! with indexes, recovery, and the writer that puts it all on a disk.
//!
//! Bytes below, rules above: nothing in here knows of leaders, replicas or requests.
//!
//! [`recovery::open`] gives a [`store::LogStore`] and what was found; [`writer::LogHandle`] takes the store and is
//! what shells hold.

pub mod batch;
pub mod checkpoint;
pub mod cleaner;
pub mod compaction;
mod config;
pub mod epochs;
pub mod files;
mod index;
mod info;
mod positions;
pub mod producers;
mod reader;
pub mod recovery;
pub mod retention;
mod segment;
mod snapshots;
pub mod state;
pub mod store;
#[cfg(all(test, madsim))]
mod tests;
mod walk;
pub mod writer;

pub use config::{LogConfig, Ratio};
pub use info::BatchInfo;
pub use reader::{LogReader, SegmentInfo};
pub use segment::TimestampAndOffset;
