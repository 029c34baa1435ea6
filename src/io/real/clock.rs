//! The operating system's clocks.

use crate::base::Now;
use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The moment that monotonic time is counted from: its first reading in this process.
pub(super) fn zero() -> Instant {
    static ZERO: OnceLock<Instant> = OnceLock::new();
    *ZERO.get_or_init(Instant::now)
}

/// Monotonic time in nanoseconds.
pub(super) fn mono_ns() -> u64 {
    u64::try_from(zero().elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// What the clocks of the current node say.
#[must_use]
pub fn now() -> Now {
    let wall_ms = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_millis() as i64,
        Err(before) => -(before.duration().as_millis() as i64),
    };
    Now { mono_ns: mono_ns(), wall_ms }
}
