//! All state of the world behind its one lock, and what happens when an event leaves the heap.

use super::alarm::Alarm;
use super::digest::Digest;
use super::disk::{DiskConfig, DiskOps};
use super::heap::{Entry, Event, Heap};
use super::host::Host;
use super::net::{Net, NetConfig};
use super::record::{EventKind, EventRecord};
use super::run::Panic;
use super::time::Timers;
use crate::base::random::Stream;
use madsim::rand::{GlobalRng, RngCore};
use madsim::task::NodeId;
use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::task::Waker;

/// madsim's own generator is drawn into the digest once in this many events.
const DRAW_EVERY: u64 = 8;

/// The task that a run is ended by when it does more than [`WorldConfig::step_limit`] allows.
pub const WATCHDOG: &str = "step watchdog";

/// The knobs of a world.
#[derive(Clone, Debug, Default)]
pub struct WorldConfig {
    /// The links between hosts.
    pub net: NetConfig,
    /// The disk of each host.
    pub disk: DiskConfig,
    /// Keep every event, so that two runs can be compared.
    pub record: bool,
    /// Events after which the run is given up as one that will not end; none if it may go on for ever.
    pub step_limit: Option<u64>,
}

/// A random stream of the world that counts its draws.
#[derive(Clone, Debug)]
pub(super) struct Draws {
    stream: Stream,
    pub count: u64,
}

impl Draws {
    pub fn new(seed: u64, name: &str) -> Self {
        Self { stream: Stream::new(seed, name), count: 0 }
    }
    #[inline]
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        self.count += 1;
        self.stream.between(low, high)
    }
    pub fn chance(&mut self, numerator: u64, denominator: u64) -> bool {
        self.count += 1;
        self.stream.chance(numerator, denominator)
    }
}

pub(super) struct State {
    pub seed: u64,
    pub config: WorldConfig,
    /// True time of what is being done now: of the event being handled, else of the lock's taking.
    pub now: u64,
    pub heap: Heap,
    pub alarm: Alarm,
    /// False where no madsim timer may be armed: in its callbacks and in destructors.
    may_arm: bool,
    /// The task that arms where that could not be done on the spot.
    pub armer: Option<Waker>,
    pub hosts: Vec<Host>,
    /// madsim's names of the hosts, in the same order: close together, because they are searched very often.
    pub node_ids: Vec<NodeId>,
    pub names: BTreeMap<String, u32>,
    pub timers: Timers,
    pub net: Net,
    pub disk_ops: DiskOps,
    pub digest: Digest,
    pub events: u64,
    pub messages: u64,
    pub recorded: Option<Vec<EventRecord>>,
    rng: GlobalRng,
    /// How often each named stream of a node was opened.
    pub opened: BTreeMap<String, u64>,
    pub panic: Option<Panic>,
    /// The supervisor of the run, who waits for the trial's end or a panic.
    pub supervisor: Option<Waker>,
    pub closing: bool,
    /// The moment from which a trace counts its times.
    pub origin: u64,
}

impl State {
    pub fn new(seed: u64, config: WorldConfig, alarm: Alarm) -> Self {
        Self {
            seed,
            now: 0,
            heap: Heap::default(),
            alarm,
            may_arm: true,
            armer: None,
            hosts: Vec::new(),
            node_ids: Vec::new(),
            names: BTreeMap::new(),
            timers: Timers::default(),
            net: Net::new(seed),
            disk_ops: DiskOps::new(seed),
            digest: Digest::new(seed),
            events: 0,
            messages: 0,
            recorded: config.record.then(Vec::new),
            rng: madsim::rand::thread_rng(),
            opened: BTreeMap::new(),
            panic: None,
            supervisor: None,
            closing: false,
            origin: 0,
            config,
        }
    }

    /// The host of the task that runs now.
    pub fn current(&self) -> u32 {
        let id = madsim::plugin::node();
        let index = self.node_ids.iter().position(|node| *node == id);
        index.expect("the facade is used by tasks of the world's hosts") as u32
    }
    pub fn current_host(&self) -> &Host {
        &self.hosts[self.current() as usize]
    }
    pub fn host(&self, host: u32) -> &Host {
        &self.hosts[host as usize]
    }
    pub fn host_mut(&mut self, host: u32) -> &mut Host {
        &mut self.hosts[host as usize]
    }

    /// Puts an event in the heap that will surely happen and wake somebody, with a madsim timer of its own: that
    /// is cheaper than having the armer arm it later.
    #[inline]
    pub fn push(&mut self, time: u64, event: Event) -> u64 {
        if self.may_arm {
            self.alarm.arm(time);
        }
        self.heap.push(time, event)
    }

    /// Chains something that happened.
    #[inline]
    pub fn happened(&mut self, time_ns: u64, seq: u64, kind: EventKind, host: u32, hash: u64) {
        self.events += 1;
        self.digest.absorb(time_ns);
        self.digest.absorb(seq << 8 | kind as u64);
        self.digest.absorb(hash ^ u64::from(host).rotate_left(32));
        self.keep(EventRecord { time_ns, seq, kind, host, hash });
        if self.config.step_limit == Some(self.events) {
            self.give_up(host);
        }
        if self.events.is_multiple_of(DRAW_EVERY) {
            let draw = self.rng.next_u64();
            self.digest.absorb(draw);
            self.keep(EventRecord { time_ns, seq, kind: EventKind::Draw, host, hash: draw });
        }
    }
    /// Chains something that happens now, not out of the heap.
    pub fn happens(&mut self, kind: EventKind, host: u32, hash: u64) {
        let seq = self.heap.next_seq();
        self.happened(self.now, seq, kind, host, hash);
    }
    /// The step watchdog: ends a run that goes on and on, as a panic of nobody's.
    #[cold]
    fn give_up(&mut self, host: u32) {
        let message = format!("{} events and no end", self.events);
        let host = self.host(host).name.to_string();
        self.panic.get_or_insert(Panic { host, task: WATCHDOG.to_owned(), message, time_ns: self.now });
        if let Some(supervisor) = self.supervisor.take() {
            supervisor.wake();
        }
    }
    #[inline]
    fn keep(&mut self, record: EventRecord) {
        if let Some(recorded) = &mut self.recorded {
            recorded.push(record);
        }
    }

    /// Lets everything happen that is due at `now`.
    #[inline]
    fn run_due(&mut self, now: u64) {
        while let Some(entry) = self.heap.pop_due(now) {
            self.now = entry.time;
            self.handle(entry);
        }
    }
    #[inline]
    fn handle(&mut self, entry: Entry) {
        match entry.event {
            Event::Timer(slot) => self.timer_due(entry, slot),
            Event::Net(event) => self.net_event(entry, event),
            Event::Disk(op) => self.disk_done(entry, op),
        }
    }

    /// Keeps the invariant that the earliest event to come has a timer at or before it.
    #[inline]
    fn settle(&mut self) {
        let Some(next) = self.heap.next_time() else { return };
        if self.alarm.covers(next) {
            return;
        }
        if self.may_arm {
            self.alarm.arm(next);
        } else if let Some(armer) = &self.armer {
            armer.wake_by_ref();
        }
    }

    /// Lets the task that arms end.
    pub fn close(&mut self) {
        self.closing = true;
        if let Some(armer) = &self.armer {
            armer.wake_by_ref();
        }
    }
    /// Forgets everything that could keep a task alive.
    pub fn clear(&mut self) {
        self.heap.clear();
        self.timers = Timers::default();
        self.net.clear();
        self.disk_ops.clear();
        self.armer = None;
        self.supervisor = None;
        for host in &mut self.hosts {
            host.shutdown_waiters.clear();
            host.exit_waiters.clear();
            host.program = None;
        }
    }
}

/// The lock, held. Letting go of it settles the alarm.
pub(super) struct Guard<'a>(parking_lot::MutexGuard<'a, State>);

impl<'a> Guard<'a> {
    /// Takes the lock in a task.
    #[inline]
    pub fn in_task(state: &'a parking_lot::Mutex<State>, now: u64) -> Self {
        let mut state = state.lock();
        state.now = now;
        state.may_arm = true;
        Self(state)
    }
    /// Takes the lock in a destructor.
    pub fn in_drop(state: &'a parking_lot::Mutex<State>, now: u64) -> Self {
        let mut guard = Self::in_task(state, now);
        guard.may_arm = false;
        guard
    }
    /// Takes the lock in a timer's callback and runs what that timer was armed for.
    #[inline]
    pub fn in_callback(state: &'a parking_lot::Mutex<State>) {
        let mut guard = Self(state.lock());
        guard.may_arm = false;
        let now = guard.alarm.fired();
        guard.run_due(now);
    }
}

impl Deref for Guard<'_> {
    type Target = State;
    #[inline]
    fn deref(&self) -> &State {
        &self.0
    }
}
impl DerefMut for Guard<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut State {
        &mut self.0
    }
}
impl Drop for Guard<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.settle();
    }
}
