//! The madsim timers that wake the world.
//!
//! A madsim timer's callback wakes a waker, and the alarm's waker *is* the event loop: it runs due events
//! right inside the callback, so a message costs one timer and one poll, that of its receiver. The callback
//! holds madsim's timer lock: nothing in it may arm a timer or read madsim's clock (which still shows the time
//! before). It wakes tasks and, when an event to come is left without a timer, the task that arms.
//!
//! Invariant: timers fire in the order of their deadlines, so each call of the waker belongs to the least
//! deadline in `armed`.

use madsim::time::{Instant, Sleep, TimeHandle};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

pub(super) struct Alarm {
    time: TimeHandle,
    zero: Instant,
    sleep: Sleep,
    waker: Waker,
    armed: BinaryHeap<Reverse<u64>>,
}

impl Alarm {
    pub fn new(time: TimeHandle, waker: Waker) -> Self {
        let zero = time.now_instant() - time.elapsed();
        let sleep = time.sleep_until(zero);
        Self { time, zero, sleep, waker, armed: BinaryHeap::new() }
    }
    /// True if a timer fires at or before `time`.
    #[inline]
    pub fn covers(&self, time: u64) -> bool {
        self.armed.peek().is_some_and(|armed| armed.0 <= time)
    }
    /// Arms a timer for `time`, or for the next nanosecond if that has passed. Never from a timer callback.
    #[inline]
    pub fn arm(&mut self, time: u64) {
        let mut at = time;
        loop {
            let deadline = self.zero + std::time::Duration::from_nanos(at);
            Pin::new(&mut self.sleep).reset(deadline);
            // madsim's sleep adds a timer at each poll that finds it pending: exactly what arming is.
            match Pin::new(&mut self.sleep).poll(&mut Context::from_waker(&self.waker)) {
                Poll::Pending => break,
                Poll::Ready(()) => at = self.time.elapsed().as_nanos() as u64 + 1,
            }
        }
        self.armed.push(Reverse(at));
    }
    /// The deadline of the timer that is firing.
    #[inline]
    pub fn fired(&mut self) -> u64 {
        self.armed.pop().expect("a timer fires once for each time that it was armed").0
    }
}
