//! One partition's log: record batches, the pure [`state::LogState`], segments with indexes, recovery.

pub mod batch;
pub mod epochs;
pub mod state;
