//! Tasks, on tokio's threads.

use std::pin::Pin;
use std::task::{Context, Poll};

/// The task was aborted, or it panicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the task was aborted")]
pub struct Aborted;

/// A spawned task. Dropping the handle lets the task go on; awaiting it waits for its result.
#[derive(Debug)]
pub struct TaskHandle<T = ()>(tokio::task::JoinHandle<T>);

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

/// Spawns a task on this node; a panic in it is logged under `name`.
pub fn spawn<F>(name: &'static str, future: F) -> TaskHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    TaskHandle(tokio::spawn(async move {
        let _watch = Watch(name);
        future.await
    }))
}

/// Logs the name of a task that panics.
struct Watch(&'static str);

impl Drop for Watch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(task = self.0, "a task panicked");
        }
    }
}

/// Tasks that end with their owner: dropping the set aborts them all.
#[derive(Debug, Default)]
pub struct TaskSet(tokio::task::JoinSet<()>);

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
        while self.0.try_join_next().is_some() {}
        self.0.spawn(async move {
            let _watch = Watch(name);
            future.await;
        });
    }
}

/// Waits until this process is asked to shut down: ctrl-c or SIGTERM.
pub async fn shutdown_requested() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                biased;
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        }
        Err(error) => {
            tracing::warn!(%error, "SIGTERM cannot be heard, only ctrl-c");
            // An error here leaves no way to be asked: wait for ever rather than stop.
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}
