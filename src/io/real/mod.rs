//! The real world: tokio on the operating system's network, disk and clocks.
//!
//! Cached reads and writes of files are done in place, since they rarely wait; syncs go to the blocking pool.

pub mod clock;
pub mod disk;
pub mod net;
pub mod task;
pub mod time;

use crate::base::random::Stream;

/// A stream that the operating system seeds.
///
/// # Panics
/// If the operating system has no randomness to give.
#[must_use]
pub fn rng(name: &str) -> Stream {
    Stream::new(getrandom::u64().expect("randomness from the operating system"), name)
}
