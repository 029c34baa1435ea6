//! What both builds make of a sleep and a clock: timeouts and intervals.

use super::clock;
use super::time::{Sleep, sleep};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

/// A [`timeout`] ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the time limit ran out")]
pub struct Elapsed;

impl From<Elapsed> for std::io::Error {
    fn from(elapsed: Elapsed) -> Self {
        Self::new(std::io::ErrorKind::TimedOut, elapsed)
    }
}

/// Runs `future` for at most `limit`.
///
/// # Errors
/// [`Elapsed`] if the limit came first; the future is then dropped.
pub async fn timeout<F: Future>(limit: Duration, future: F) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    let mut limit = sleep(limit);
    poll_fn(|cx| {
        if let Poll::Ready(value) = future.as_mut().poll(cx) {
            return Poll::Ready(Ok(value));
        }
        Pin::new(&mut limit).poll(cx).map(|()| Err(Elapsed))
    })
    .await
}

/// Ticks every `period`, the first time at once. A tick that comes late moves all later ones: after a pause
/// there is one tick, not a burst.
#[must_use]
pub fn interval(period: Duration) -> Interval {
    assert!(!period.is_zero(), "an interval needs a period");
    Interval { sleep: sleep(Duration::ZERO), period }
}

/// See [`interval`].
#[derive(Debug)]
pub struct Interval {
    sleep: Sleep,
    period: Duration,
}

impl Interval {
    /// Waits for the next tick. Cancelling the wait loses nothing.
    pub async fn tick(&mut self) {
        (&mut self.sleep).await;
        self.reset();
    }
    /// Puts the next tick one period from now.
    pub fn reset(&mut self) {
        let next = clock::now().mono_ns.saturating_add(self.period.as_nanos() as u64);
        self.sleep.reset(next);
    }
}
