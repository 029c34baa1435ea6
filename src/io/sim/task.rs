//! Tasks of a host's process.

use super::record::EventKind;
use super::run::panic_message;
use super::world::World;
use crate::base::random::{Stream, fnv1a};
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

/// The task was aborted, or its process died.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the task was aborted")]
pub struct Aborted;

/// A spawned task. Dropping the handle lets the task go on; awaiting it waits for its result.
#[derive(Debug)]
pub struct TaskHandle<T = ()>(madsim::task::JoinHandle<T>);

impl<T> TaskHandle<T> {
    /// Stops the task where it waits.
    pub fn abort(&self) {
        self.0.abort();
    }
}

impl<T> Future for TaskHandle<T> {
    type Output = Result<T, Aborted>;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|result| result.map_err(|_| Aborted))
    }
}

/// Spawns a task on this node. `name` is what the report of a panic calls it.
pub fn spawn<F>(name: &'static str, future: F) -> TaskHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let world = World::current();
    TaskHandle(madsim::task::spawn(watched(world, name, future)))
}

/// Runs `future`; a panic in it ends the run and is its outcome.
pub(super) async fn watched<F: Future>(world: World, name: &'static str, future: F) -> F::Output {
    let mut future = Box::pin(future);
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(poll) => poll,
        Err(payload) => {
            world.report_panic(name, panic_message(&*payload));
            Poll::Pending
        }
    })
    .await
}

/// Tasks that end with their owner: dropping the set aborts them all.
#[derive(Debug, Default)]
pub struct TaskSet {
    tasks: Vec<madsim::task::AbortHandle>,
    sweep_at: usize,
}

impl TaskSet {
    /// An empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
    /// Spawns a task that belongs to this set.
    pub fn spawn<F>(&mut self, name: &'static str, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        if self.tasks.len() >= self.sweep_at {
            self.tasks.retain(|task| !task.is_finished());
            self.sweep_at = (2 * self.tasks.len()).max(16);
        }
        self.tasks.push(spawn(name, future).0.abort_handle());
    }
}

impl Drop for TaskSet {
    fn drop(&mut self) {
        self.tasks.iter().for_each(madsim::task::AbortHandle::abort);
    }
}

/// Waits until this node is asked to shut down in an orderly way.
pub async fn shutdown_requested() {
    let world = World::current();
    let host = world.state().lock().current();
    poll_fn(|cx| {
        let mut state = world.lock();
        let host = state.host_mut(host);
        if host.shutdown {
            return Poll::Ready(());
        }
        if !host.shutdown_waiters.iter().any(|w| w.will_wake(cx.waker())) {
            host.shutdown_waiters.push(cx.waker().clone());
        }
        Poll::Pending
    })
    .await;
}

/// The stream called `name` of this node's present life: equal seed, node, incarnation and name, equal numbers.
#[must_use]
pub fn rng(name: &str) -> Stream {
    World::with_current(|world| {
        let mut state = world.lock();
        let host = state.current();
        let (seed, of) = (state.seed, state.host(host));
        let full = format!("{}/{}/{name}", of.name, of.incarnation);
        state.happens(EventKind::Stream, host, fnv1a(full.as_bytes()));
        let stream = Stream::new(seed, &full);
        *state.opened.entry(full).or_default() += 1;
        stream
    })
}
