//! One run of a world: from a seed to a digest, on a thread of its own, and nothing left behind.
//!
//! A fresh thread for each run because std seeds the order of its hash maps once per thread. Tasks that are still
//! waiting when a madsim runtime is dropped leak; so every process is killed and given a moment before the end,
//! also when the run panicked.

use super::digest::Digest;
use super::record::Recording;
use super::state::WorldConfig;
use super::world::World;
use madsim::runtime::Runtime;
use parking_lot::Mutex;
use std::any::Any;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

/// Enough for the tasks of the dead to be dropped; simulated, so it costs nothing.
const LAST_MOMENT: Duration = Duration::from_millis(10);

/// A task panicked, which ended the run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("task {task} on {host} panicked: {message}")]
pub struct Panic {
    /// The host that it ran on; `madsim` if the executor itself gave up (a deadlock).
    pub host: String,
    /// The task's name.
    pub task: String,
    /// What it said.
    pub message: String,
    /// True nanoseconds since the run began.
    pub time_ns: u64,
}

/// What a run can be measured and compared by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunStats {
    /// Equal digests mean equal runs.
    pub digest: Digest,
    /// Events that happened.
    pub events: u64,
    /// Chunks of bytes that reached a socket.
    pub messages: u64,
    /// Simulated time.
    pub sim_time: Duration,
    /// Handles of the world (open files, connections, timers) that outlived every process: memory that never comes back.
    pub left_behind: usize,
    /// Draws from each stream of the world, and how often each stream of a node was opened.
    pub draws: BTreeMap<String, u64>,
}

/// A run that is over.
#[derive(Debug)]
pub struct Run<T> {
    /// What the trial returned, or the panic that ended it.
    pub outcome: Result<T, Panic>,
    /// How it went.
    pub stats: RunStats,
    /// Everything that happened, if [`WorldConfig::record`] asked for it.
    pub recording: Option<Recording>,
}

/// Runs `trial` in a fresh world. The trial's tasks live on host 0, called `trial`.
///
/// # Panics
/// If the operating system gives no thread. Panics inside the world are the run's outcome.
pub fn run<T, F, Fut>(seed: u64, config: WorldConfig, trial: F) -> Run<T>
where
    T: Send + 'static,
    F: FnOnce(World) -> Fut + Send + 'static,
    Fut: Future<Output = T> + Send + 'static,
{
    let thread = std::thread::Builder::new().name(format!("world-{seed}"));
    let thread = thread.spawn(move || run_here(seed, config, trial)).expect("a thread for the world");
    thread.join().unwrap_or_else(|payload| std::panic::resume_unwind(payload))
}

fn run_here<T, F, Fut>(seed: u64, config: WorldConfig, trial: F) -> Run<T>
where
    T: Send + 'static,
    F: FnOnce(World) -> Fut + Send + 'static,
    Fut: Future<Output = T> + Send + 'static,
{
    let runtime = Runtime::with_seed_and_config(seed, madsim::Config::default());
    let world = runtime.block_on(async { World::enter(seed, config) });
    let attempt = catch_unwind(AssertUnwindSafe(|| runtime.block_on(supervise(world.clone(), trial))));
    let outcome = attempt.unwrap_or_else(|payload| {
        let message = panic_message(&*payload);
        Err(Panic { host: "madsim".into(), task: "executor".into(), message, time_ns: world.now_ns() })
    });
    let (mut stats, recording) = world.results();
    runtime.block_on(async {
        world.kill_all();
        world.lock().close();
        madsim::time::sleep(LAST_MOMENT).await;
        world.lock().clear();
    });
    World::leave();
    drop(runtime);
    stats.left_behind = world.handles() - 1;
    Run { outcome, stats, recording }
}

/// Runs the trial on its host until it returns or some task panics.
async fn supervise<T, F, Fut>(world: World, trial: F) -> Result<T, Panic>
where
    T: Send + 'static,
    F: FnOnce(World) -> Fut + Send + 'static,
    Fut: Future<Output = T> + Send + 'static,
{
    drop(madsim::task::spawn(world.clone().arm_when_asked()));
    let result = Arc::new(Mutex::new(None));
    let (inside, slot) = (world.clone(), result.clone());
    let host = world.host("trial").expect("the trial is a host of every world");
    world.spawn_on(host, "trial", async move {
        let value = trial(inside.clone()).await;
        *slot.lock() = Some(value);
        inside.wake_supervisor();
    });
    poll_fn(|cx| {
        let mut state = world.lock();
        if let Some(panic) = state.panic.take() {
            return Poll::Ready(Err(panic));
        }
        if let Some(value) = result.lock().take() {
            return Poll::Ready(Ok(value));
        }
        state.supervisor = Some(cx.waker().clone());
        Poll::Pending
    })
    .await
}

impl World {
    fn wake_supervisor(&self) {
        if let Some(supervisor) = self.lock().supervisor.take() {
            supervisor.wake();
        }
    }
    fn results(&self) -> (RunStats, Option<Recording>) {
        let sim_time = Duration::from_nanos(self.now_ns());
        let mut state = self.state().lock();
        let origin_ns = state.origin;
        let mut draws = std::mem::take(&mut state.opened);
        draws.insert("network".into(), state.net.draws());
        draws.insert("disk".into(), state.disk_ops.draws());
        let stats = RunStats {
            digest: state.digest,
            events: state.events,
            messages: state.messages,
            sim_time,
            left_behind: 0,
            draws,
        };
        let hosts = state.hosts.iter().map(|h| h.name.to_string()).collect();
        let recording = state.recorded.take().map(|events| Recording { hosts, events, origin_ns });
        (stats, recording)
    }
}

/// What a panic said.
pub(super) fn panic_message(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic without a message".to_owned()
    }
}
