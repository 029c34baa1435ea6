//! The JSON that a person writes: its keys, its meaning, and why a file is refused.
//!
//! [`keys`] holds one table for each object of a file; the reader, the nearest-key hints and the JSON Schema all come
//! from these tables. [`model`] is the explicit scenario that a run takes and a capsule keeps. Nothing here runs
//! anything or knows a simulated world.

pub mod model;
mod topic;
pub mod units;

pub use model::Scenario;
pub use units::{Between, Millis};
