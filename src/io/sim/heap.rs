//! The one heap of everything that will happen, ordered by (time, sequence).

use super::net::NetEvent;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What happens when an entry leaves the heap.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    /// A sleep of the facade is due: the slot in the timer table.
    Timer(u32),
    /// Something reaches a host, or its kernel's patience ends.
    Net(NetEvent),
    /// The device finished: the slot in the table of disk operations.
    Disk(u32),
}

/// An event with its place in the total order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// True nanoseconds since the run began.
    pub time: u64,
    /// Unique and rising: ties in time are broken by who pushed first.
    pub seq: u64,
    pub event: Event,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.seq == other.seq
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.time, self.seq).cmp(&(other.time, other.seq))
    }
}

/// Entries to come. Cancelled timers stay in it until they surface or too many of them have piled up.
#[derive(Debug, Default)]
pub(super) struct Heap {
    entries: BinaryHeap<Reverse<Entry>>,
    last_seq: u64,
    cancelled: usize,
}

impl Heap {
    /// The next sequence number, for something that happens at once.
    #[inline]
    pub fn next_seq(&mut self) -> u64 {
        self.last_seq += 1;
        self.last_seq
    }
    #[inline]
    pub fn push(&mut self, time: u64, event: Event) -> u64 {
        let seq = self.next_seq();
        self.entries.push(Reverse(Entry { time, seq, event }));
        seq
    }
    #[inline]
    pub fn next_time(&self) -> Option<u64> {
        self.entries.peek().map(|e| e.0.time)
    }
    #[inline]
    pub fn pop_due(&mut self, now: u64) -> Option<Entry> {
        if self.next_time()? > now {
            return None;
        }
        self.entries.pop().map(|e| e.0)
    }
    /// Counts a cancelled entry; `live` tells which entries still matter, in case it is time to sweep.
    pub fn cancel(&mut self, live: impl Fn(&Entry) -> bool) {
        self.cancelled += 1;
        if self.cancelled > 1024 && self.cancelled > self.entries.len() / 2 {
            self.entries.retain(|e| live(&e.0));
            self.cancelled = 0;
        }
    }
    /// A cancelled entry surfaced by itself.
    pub fn surfaced(&mut self) {
        self.cancelled = self.cancelled.saturating_sub(1);
    }
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.entries.len()
    }
    pub fn clear(&mut self) {
        *self = Self { last_seq: self.last_seq, ..Self::default() };
    }
}
