//! Sleeps: entries of the event heap, cancelled and moved lazily.
//!
//! A slot names the one heap entry that counts for it; any other entry of that slot is cancelled. Moving a
//! deadline later only changes the slot: the entry surfaces early and is pushed again.

use super::heap::{Entry, Event};
use super::record::EventKind;
use super::state::State;
use super::world::World;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Waits for `duration` by this node's monotonic clock.
#[must_use]
pub fn sleep(duration: Duration) -> Sleep {
    let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    Sleep::new(|now| now.saturating_add(nanos))
}

/// Waits until this node's monotonic clock shows `mono_ns`.
#[must_use]
pub fn sleep_until(mono_ns: u64) -> Sleep {
    Sleep::new(|_| mono_ns)
}

/// A wait for a moment of the node's own monotonic clock. Once it is over it stays over until it is [`reset`].
///
/// [`reset`]: Sleep::reset
pub struct Sleep {
    world: World,
    host: u32,
    incarnation: u32,
    deadline: u64,
    /// The slot in the timer table, from the first poll that had to wait.
    slot: Option<u32>,
}

impl Sleep {
    fn new(deadline: impl FnOnce(u64) -> u64) -> Self {
        World::with_current(|world| {
            let now = world.now_ns();
            let state = world.state().lock();
            let host = state.current();
            let of = state.host(host);
            let deadline = deadline(of.clock.local(now));
            Self { world: world.clone(), host, incarnation: of.incarnation, deadline, slot: None }
        })
    }
    /// The moment waited for, in nanoseconds of the node's monotonic clock.
    #[must_use]
    pub fn deadline(&self) -> u64 {
        self.deadline
    }
    /// Waits for another moment instead. Cheap when it is later than the last one.
    pub fn reset(&mut self, mono_ns: u64) {
        self.deadline = mono_ns;
        if let Some(slot) = self.slot {
            self.world.lock().move_timer(slot, mono_ns);
        }
    }
}

impl Future for Sleep {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let mut state = this.world.lock();
        if state.host(this.host).clock.local(state.now) >= this.deadline {
            if let Some(slot) = this.slot.take() {
                state.free_timer(slot);
            }
            return Poll::Ready(());
        }
        match this.slot {
            Some(slot) => state.watch_timer(slot, cx.waker()),
            None => this.slot = Some(state.new_timer(this.host, this.incarnation, this.deadline, cx.waker())),
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(slot) = self.slot {
            self.world.lock_in_drop().free_timer(slot);
        }
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Timer {
    host: u32,
    incarnation: u32,
    /// By the host's own clock.
    deadline: u64,
    /// The heap entry that counts, and its true time; 0 once it has surfaced.
    entry: u64,
    entry_time: u64,
    waker: Waker,
}

/// The sleeps that are being waited for.
#[derive(Debug, Default)]
pub(super) struct Timers {
    slots: Vec<Option<Timer>>,
    free: Vec<u32>,
}

impl Timers {
    fn get(&mut self, slot: u32) -> Option<&mut Timer> {
        self.slots.get_mut(slot as usize)?.as_mut()
    }
    fn is_live(&self, entry: &Entry) -> bool {
        let Event::Timer(slot) = entry.event else { return true };
        self.slots.get(slot as usize).and_then(Option::as_ref).is_some_and(|t| t.entry == entry.seq)
    }
}

impl State {
    fn new_timer(&mut self, host: u32, incarnation: u32, deadline: u64, waker: &Waker) -> u32 {
        let timer = Timer { host, incarnation, deadline, entry: 0, entry_time: 0, waker: waker.clone() };
        let slot = match self.timers.free.pop() {
            Some(slot) => {
                self.timers.slots[slot as usize] = Some(timer);
                slot
            }
            None => {
                self.timers.slots.push(Some(timer));
                self.timers.slots.len() as u32 - 1
            }
        };
        self.schedule_timer(slot);
        slot
    }
    /// Pushes the entry that counts for a slot.
    fn schedule_timer(&mut self, slot: u32) {
        let Some(timer) = self.timers.get(slot) else { return };
        let (host, deadline) = (timer.host, timer.deadline);
        let time = self.host(host).clock.true_at(deadline).max(self.now);
        let seq = self.heap.push(time, Event::Timer(slot));
        let timer = self.timers.get(slot).expect("just seen");
        (timer.entry, timer.entry_time) = (seq, time);
    }
    fn watch_timer(&mut self, slot: u32, waker: &Waker) {
        let Some(timer) = self.timers.get(slot) else { return };
        timer.waker.clone_from(waker);
        if timer.entry == 0 {
            self.schedule_timer(slot);
        }
    }
    fn move_timer(&mut self, slot: u32, deadline: u64) {
        let Some(timer) = self.timers.get(slot) else { return };
        timer.deadline = deadline;
        let (host, entry, entry_time) = (timer.host, timer.entry, timer.entry_time);
        if entry != 0 && self.host(host).clock.true_at(deadline) < entry_time {
            self.schedule_timer(slot);
            self.cancelled_one();
        }
    }
    fn free_timer(&mut self, slot: u32) {
        // After the world was closed there is nothing left to free.
        let Some(timer) = self.timers.slots.get_mut(slot as usize).and_then(Option::take) else { return };
        self.timers.free.push(slot);
        if timer.entry != 0 {
            self.cancelled_one();
        }
    }
    fn cancelled_one(&mut self) {
        let timers = &self.timers;
        self.heap.cancel(|entry| timers.is_live(entry));
    }
    /// A timer's entry surfaced: wakes its task, or waits on if the deadline has moved meanwhile.
    pub fn timer_due(&mut self, entry: Entry, slot: u32) {
        let Some(timer) = self.timers.get(slot).filter(|t| t.entry == entry.seq) else {
            self.heap.surfaced();
            return;
        };
        timer.entry = 0;
        let (host, deadline, incarnation) = (timer.host, timer.deadline, timer.incarnation);
        if self.host(host).clock.local(entry.time) < deadline {
            self.schedule_timer(slot);
            return;
        }
        if self.host(host).is_current(incarnation) {
            self.happened(entry.time, entry.seq, EventKind::Timer, host, deadline);
            self.timers.get(slot).expect("just seen").waker.wake_by_ref();
        }
    }
    /// Finds new true times for all sleeps of a host whose clock has changed its rate.
    pub fn reschedule_timers(&mut self, host: u32) {
        for slot in 0..self.timers.slots.len() as u32 {
            if self.timers.get(slot).is_some_and(|t| t.host == host && t.entry != 0) {
                self.schedule_timer(slot);
                self.cancelled_one();
            }
        }
    }
}
