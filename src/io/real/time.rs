//! Sleeps, over tokio's timers.

use super::clock::{mono_ns, zero};
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// The furthest that tokio's timers look ahead from here: thirty years.
const FAR_NS: u64 = 30 * 365 * 24 * 3600 * 1_000_000_000;

/// Waits for `duration` by this node's monotonic clock.
#[must_use]
pub fn sleep(duration: Duration) -> Sleep {
    let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    sleep_until(mono_ns().saturating_add(nanos))
}

/// Waits until this node's monotonic clock shows `mono_ns`.
#[must_use]
pub fn sleep_until(mono_ns: u64) -> Sleep {
    Sleep { inner: Box::pin(tokio::time::sleep_until(instant(mono_ns))), deadline: mono_ns }
}

fn instant(mono_ns: u64) -> Instant {
    Instant::from_std(zero() + Duration::from_nanos(mono_ns.min(FAR_NS)))
}

/// A wait for a moment of the node's own monotonic clock. Once it is over it stays over until it is reset.
pub struct Sleep {
    inner: Pin<Box<tokio::time::Sleep>>,
    deadline: u64,
}

impl Sleep {
    /// The moment waited for, in nanoseconds of the node's monotonic clock.
    #[must_use]
    pub fn deadline(&self) -> u64 {
        self.deadline
    }
    /// Waits for another moment instead. Cheap when it is later than the last one.
    pub fn reset(&mut self, mono_ns: u64) {
        self.deadline = mono_ns;
        self.inner.as_mut().reset(instant(mono_ns));
    }
}

impl Future for Sleep {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.inner.as_mut().poll(cx)
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}
