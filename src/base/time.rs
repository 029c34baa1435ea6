//! The two readings of a node's clock, handed to pure cores as data.

use serde::{Deserialize, Serialize};

/// Nanoseconds in a millisecond.
pub const NANOS_PER_MS: u64 = 1_000_000;

/// What a node's clocks say at one moment. Cores receive it with each input and never read a clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Now {
    /// Monotonic time of this node in nanoseconds: timeouts read this one.
    pub mono_ns: u64,
    /// Wall time of this node in milliseconds since 1970: record timestamps and retention read this one.
    pub wall_ms: i64,
}

impl Now {
    /// Monotonic time in whole milliseconds.
    #[must_use]
    pub fn mono_ms(self) -> u64 {
        self.mono_ns / NANOS_PER_MS
    }
    /// The monotonic deadline `ms` milliseconds from now, in nanoseconds.
    #[must_use]
    pub fn after_ms(self, ms: u64) -> u64 {
        self.mono_ns.saturating_add(ms.saturating_mul(NANOS_PER_MS))
    }
}
