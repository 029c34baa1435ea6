//! The control API for trial code: who exists, who lives, who can reach whom.
//!
//! Deaths are ordered so that nothing of a dead process acts again: first its incarnation ends and its kernel
//! or its silence speaks for it, then madsim drops its tasks, whose destructors find themselves stale.

use super::alarm::Alarm;
use super::disk::Device;
use super::host::Host;
use super::record::EventKind;
use super::run::Panic;
use super::state::{Guard, State, WorldConfig};
use super::task::watched;
use madsim::runtime::Handle;
use madsim::time::TimeHandle;
use parking_lot::Mutex;
use std::cell::RefCell;
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Weak};
use std::task::{Poll, Wake, Waker};
use std::time::Duration;

thread_local! {
    static CURRENT: RefCell<Option<World>> = const { RefCell::new(None) };
}

/// A host of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(pub(super) u32);

/// A simulated world; clones are the same world.
#[derive(Clone)]
pub struct World(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    time: TimeHandle,
    handle: Handle,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").finish_non_exhaustive()
    }
}

/// The waker of madsim's timers: the event loop itself.
struct EventLoop(Weak<Shared>);

impl Wake for EventLoop {
    fn wake(self: Arc<Self>) {
        if let Some(world) = self.0.upgrade() {
            Guard::in_callback(&world.state);
        }
    }
}

/// Inside the room.
impl World {
    /// Makes a world in the madsim runtime of this thread and enters it. The trial is its host 0.
    pub(super) fn enter(seed: u64, config: WorldConfig) -> Self {
        let time = TimeHandle::current();
        let world = Self(Arc::new_cyclic(|shared| {
            let waker = Waker::from(Arc::new(EventLoop(shared.clone())));
            let state = State::new(seed, config, Alarm::new(time.clone(), waker));
            Shared { state: Mutex::new(state), time, handle: Handle::current() }
        }));
        CURRENT.set(Some(world.clone()));
        let trial = world.create_host("trial", "10.255.255.254", 0);
        world.lock().host_mut(trial.0).begin();
        world
    }
    /// Leaves the world: this thread is in none.
    pub(super) fn leave() {
        CURRENT.set(None);
    }
    /// How many handles of this world there are, this one included.
    pub(super) fn handles(&self) -> usize {
        Arc::strong_count(&self.0)
    }
    pub(super) fn current() -> Self {
        Self::with_current(Clone::clone)
    }
    pub(super) fn with_current<T>(f: impl FnOnce(&Self) -> T) -> T {
        CURRENT.with_borrow(|world| f(world.as_ref().expect("the simulated io is used inside a run of a world")))
    }
    /// The state, to look at.
    #[inline]
    pub(super) fn state(&self) -> &Mutex<State> {
        &self.0.state
    }
    /// Takes the lock, from a task.
    #[inline]
    pub(super) fn lock(&self) -> Guard<'_> {
        Guard::in_task(&self.0.state, self.now_ns())
    }
    /// Takes the lock, from a destructor.
    pub(super) fn lock_in_drop(&self) -> Guard<'_> {
        Guard::in_drop(&self.0.state, self.now_ns())
    }
    /// Arms the timers that could not be armed where they were needed, until the world closes.
    pub(super) async fn arm_when_asked(self) {
        poll_fn(|cx| {
            let mut state = self.lock();
            if state.closing {
                return Poll::Ready(());
            }
            state.armer = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
    pub(super) fn report_panic(&self, task: &str, message: String) {
        let mut state = self.lock();
        let host = state.current_host().name.to_string();
        let time_ns = state.now;
        state.panic.get_or_insert(Panic { host, task: task.to_owned(), message, time_ns });
        if let Some(supervisor) = state.supervisor.take() {
            supervisor.wake();
        }
    }
    /// Spawns on a host from outside it.
    pub(super) fn spawn_on<F>(&self, host: HostId, name: &'static str, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let id = self.state().lock().host(host.0).id;
        let node = self.0.handle.get_node(id).expect("hosts are never removed");
        drop(node.spawn(watched(self.clone(), name, future)));
    }
    /// Kills every process, the trial's too, so that no task outlives the runtime.
    pub(super) fn kill_all(&self) {
        let hosts: Vec<_> = self.state().lock().hosts.iter().map(|h| h.id).collect();
        for host in hosts {
            self.0.handle.resume(host);
            self.0.handle.kill(host);
        }
    }
    /// Ends a process in the way that `farewell` says, then drops its tasks.
    fn end_process(&self, host: HostId, kind: EventKind, farewell: impl FnOnce(&mut State)) {
        let (id, paused) = {
            let mut state = self.lock();
            let (id, paused) = (state.host(host.0).id, state.host(host.0).paused);
            state.happens(kind, host.0, 0);
            state.set_frozen(host.0, false);
            farewell(&mut state);
            state.host_mut(host.0).end();
            (id, paused)
        };
        if paused {
            self.0.handle.resume(id);
        }
        self.0.handle.kill(id);
    }
}

/// Hosts and their lives.
impl World {
    /// True nanoseconds since the run began; no host's clock needs to agree.
    #[inline]
    #[must_use]
    pub fn now_ns(&self) -> u64 {
        let elapsed = self.0.time.elapsed();
        elapsed.as_secs() * 1_000_000_000 + u64::from(elapsed.subsec_nanos())
    }
    /// Times of a trace count from now on.
    pub fn set_origin(&self) {
        let now = self.now_ns();
        self.state().lock().origin = now;
    }
    /// The seed of this run.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.state().lock().seed
    }
    /// Creates a host, switched off, with an empty disk. Others reach it by its name or its address.
    pub fn create_host(&self, name: &str, address: &str, region: u32) -> HostId {
        let id = self.0.handle.create_node().name(name).build().id();
        let mut state = self.lock();
        let host = state.hosts.len() as u32;
        for key in [name, address] {
            assert!(state.names.insert(key.to_owned(), host).is_none(), "two hosts are called {key}");
        }
        let disk = Device::new(&state.config.disk);
        state.hosts.push(Host::new(id, name, address, region, disk));
        state.node_ids.push(id);
        state.add_links();
        HostId(host)
    }
    /// The host with this name or address.
    #[must_use]
    pub fn host(&self, name: &str) -> Option<HostId> {
        self.state().lock().names.get(name).copied().map(HostId)
    }
    /// The name of a host.
    #[must_use]
    pub fn name(&self, host: HostId) -> String {
        self.state().lock().host(host.0).name.to_string()
    }
    /// Says what the host runs, at each start anew. The process ends when the future does.
    pub fn set_program<F, Fut>(&self, host: HostId, program: F)
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.state().lock().host_mut(host.0).program = Some(Arc::new(move || Box::pin(program())));
    }
    /// Switches the host on if need be and starts its program; kills the process that may still run.
    pub async fn start(&self, host: HostId) {
        self.crash(host);
        // The tasks of the last life are dropped when they would next have run: give them that turn.
        super::time::sleep(Duration::from_millis(1)).await;
        let (id, program) = {
            let state = self.state().lock();
            let program = state.host(host.0).program.clone().expect("a host needs a program before it starts");
            (state.host(host.0).id, program)
        };
        self.0.handle.restart(id);
        {
            let mut state = self.lock();
            state.host_mut(host.0).begin();
            state.happens(EventKind::Start, host.0, 0);
        }
        let world = self.clone();
        self.spawn_on(host, "program", async move {
            program().await;
            world.end_process(host, EventKind::Exit, |state| state.close_sockets(host.0));
        });
    }
    /// The process dies at once. The kernel lives on: it resets the connections and keeps the page cache.
    pub fn crash(&self, host: HostId) {
        if self.is_running(host) {
            self.end_process(host, EventKind::Crash, |state| state.reset_sockets(host.0));
        }
    }
    /// The host loses its power: peers hear nothing, and of what was not yet durable the seed decides page by
    /// page what is found again. It stays off until it is started.
    pub fn power_cut(&self, host: HostId) {
        self.end_process(host, EventKind::PowerCut, |state| {
            state.silence_sockets(host.0);
            state.lose_unsynced(host.0);
            state.host_mut(host.0).powered = false;
        });
    }
    /// True while the process runs or stands still.
    #[must_use]
    pub fn is_running(&self, host: HostId) -> bool {
        self.state().lock().host(host.0).running
    }
    /// Asks the program to end in an orderly way; it hears of it by `io::task::shutdown_requested`.
    pub fn request_shutdown(&self, host: HostId) {
        let mut state = self.lock();
        let host = state.host_mut(host.0);
        host.shutdown = true;
        host.shutdown_waiters.drain(..).for_each(Waker::wake);
    }
    /// Waits until the process has ended, in whatever way.
    pub async fn exited(&self, host: HostId) {
        poll_fn(|cx| {
            let mut state = self.lock();
            let host = state.host_mut(host.0);
            if !host.running {
                return Poll::Ready(());
            }
            host.exit_waiters.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
    /// The process stands still, as in a long garbage collection; its kernel acknowledges and queues.
    pub fn pause(&self, host: HostId) {
        self.set_paused(host, true);
    }
    /// A paused process, or a frozen machine, goes on: everything that fell due fires now.
    pub fn resume(&self, host: HostId) {
        self.lock().set_frozen(host.0, false);
        self.set_paused(host, false);
    }
    fn set_paused(&self, host: HostId, paused: bool) {
        let id = {
            let mut state = self.lock();
            if !state.host(host.0).running || state.host(host.0).paused == paused {
                return;
            }
            state.host_mut(host.0).paused = paused;
            state.happens(EventKind::Pause, host.0, u64::from(paused));
            state.host(host.0).id
        };
        if paused { self.0.handle.pause(id) } else { self.0.handle.resume(id) }
    }
}

/// Links and clocks.
impl World {
    /// Nothing that `from` sends reaches `to` any more; the other way stays open. Cuts are counted: each is taken back
    /// by its own [`World::uncut`], or all by [`World::heal`].
    pub fn cut(&self, from: HostId, to: HostId) {
        self.lock().set_cut(from.0, to.0, true);
    }
    /// Opens the way from `from` to `to` again.
    pub fn heal(&self, from: HostId, to: HostId) {
        self.lock().set_cut(from.0, to.0, false);
    }
    /// Cuts both ways between `host` and everybody else.
    pub fn isolate(&self, host: HostId) {
        let mut state = self.lock();
        for other in (0..state.hosts.len() as u32).filter(|other| *other != host.0) {
            state.set_cut(host.0, other, true);
            state.set_cut(other, host.0, true);
        }
    }
    /// Opens every link and ends what is wrong with it. A frozen host stays frozen.
    pub fn heal_all(&self) {
        let mut state = self.lock();
        let hosts = state.hosts.len() as u32;
        for (from, to) in (0..hosts).flat_map(|from| (0..hosts).map(move |to| (from, to))) {
            state.set_cut(from, to, false);
            state.cure_link(from, to);
        }
    }
    /// Sets the latency from one host to another: at least `base_us`, and up to `jitter_us` microseconds more.
    pub fn set_latency(&self, from: HostId, to: HostId, base_us: u64, jitter_us: u64) {
        self.lock().set_latency(from.0, to.0, base_us, jitter_us);
    }
    /// Sets how far the host's wall clock is off, in milliseconds: a step, forward or backward.
    pub fn set_wall_offset_ms(&self, host: HostId, offset_ms: i64) {
        let mut state = self.lock();
        state.host_mut(host.0).clock.offset_ms = offset_ms;
        state.happens(EventKind::Clock, host.0, offset_ms as u64);
    }
    /// Sets how many parts per million the host's clocks run too fast (or too slow, if negative) from now on.
    pub fn set_drift_ppm(&self, host: HostId, ppm: i32) {
        let mut state = self.lock();
        let now = state.now;
        state.host_mut(host.0).clock.set_drift(now, ppm);
        state.reschedule_timers(host.0);
        state.happens(EventKind::Clock, host.0, ppm as u64);
    }
}
