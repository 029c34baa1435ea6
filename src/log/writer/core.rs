//! The queue between those who submit and the one who works, and the rule who works: whoever submits into an idle
//! log does the step at once, as far as the disk does not make it wait; everything else is the writer task's.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::op::{Completion, Op};
use crate::base::bugs::{Bug, planted};
use crate::log::store::LogStore;

/// Appends are joined up to so many bytes.
const COALESCE_BYTES: usize = 1024 * 1024;

/// A step under way; it owns the store until it is done.
type Running = Pin<Box<dyn Future<Output = Done> + Send>>;
type Done = (Box<LogStore>, io::Result<Option<Completion>>);

/// Who holds the store.
enum Place {
    /// Nobody.
    Idle(Box<LogStore>),
    /// A step that was begun on a submitter's stack and has to wait for the disk: the task takes it over.
    Begun(Running),
    /// The task.
    Busy,
    /// Nobody any more: the log has failed or the task has ended.
    Gone,
}

struct State {
    queue: VecDeque<Op>,
    place: Place,
    /// No handle is left: the task ends when the queue is empty.
    closing: bool,
}

/// See the module.
pub(super) struct Core {
    state: Mutex<State>,
    wake: Notify,
    on_completion: Box<dyn Fn(Completion) + Send + Sync>,
}

impl Core {
    pub fn new(store: LogStore, on_completion: Box<dyn Fn(Completion) + Send + Sync>) -> Self {
        let state = State { queue: VecDeque::new(), place: Place::Idle(Box::new(store)), closing: false };
        Self { state: Mutex::new(state), wake: Notify::new(), on_completion }
    }

    /// See [`super::LogHandle::submit`].
    pub fn submit(&self, op: Op) -> Option<Completion> {
        let mut state = self.state.lock();
        if !state.queue.is_empty() || !matches!(state.place, Place::Idle(_)) {
            if !matches!(state.place, Place::Gone) {
                state.queue.push_back(op);
                self.wake.notify_one();
            }
            return None;
        }
        let Place::Idle(store) = std::mem::replace(&mut state.place, Place::Busy) else { return None };
        let mut running = begin(store, op);
        match running.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(done) => state.finish(done),
            Poll::Pending => {
                state.place = Place::Begun(running);
                self.wake.notify_one();
                None
            }
        }
    }

    /// The task ends once everything submitted is done.
    pub fn close(&self) {
        self.state.lock().closing = true;
        self.wake.notify_one();
    }

    /// The writer task.
    pub async fn work(self: Arc<Self>) {
        loop {
            let work = self.state.lock().take_work();
            match work {
                Work::Run(running) => self.run(running).await,
                Work::Wait => self.wake.notified().await,
                Work::End => return,
            }
        }
    }

    async fn run(&self, running: Running) {
        let (store, result) = running.await;
        // Told before the log is idle again, so that no later step can be told first.
        match result {
            Ok(completion) => {
                completion.into_iter().for_each(&self.on_completion);
                self.state.lock().place = Place::Idle(store);
            }
            Err(_) if overlooked(&store) => self.state.lock().place = Place::Idle(store),
            Err(e) => {
                let failed = self.state.lock().fail(e);
                (self.on_completion)(failed);
            }
        }
    }
}

/// What the task does next.
enum Work {
    Run(Running),
    Wait,
    End,
}

impl State {
    fn finish(&mut self, (store, result): Done) -> Option<Completion> {
        match result {
            Err(_) if overlooked(&store) => {
                self.place = Place::Idle(store);
                None
            }
            Ok(completion) => {
                self.place = Place::Idle(store);
                completion
            }
            Err(e) => Some(self.fail(e)),
        }
    }

    fn fail(&mut self, error: io::Error) -> Completion {
        self.queue.clear();
        self.place = Place::Gone;
        Completion::Failed { error: Arc::new(error) }
    }

    fn take_work(&mut self) -> Work {
        match std::mem::replace(&mut self.place, Place::Busy) {
            Place::Begun(running) => Work::Run(running),
            Place::Idle(store) => {
                if let Some(op) = self.next_op() {
                    return Work::Run(begin(store, op));
                }
                self.place = if self.closing { Place::Gone } else { Place::Idle(store) };
                if self.closing { Work::End } else { Work::Wait }
            }
            Place::Busy => unreachable!("only the task makes a log busy beyond a lock"),
            Place::Gone => {
                self.place = Place::Gone;
                Work::End
            }
        }
    }

    /// The next step; adjacent appends of one generation are one.
    fn next_op(&mut self) -> Option<Op> {
        let mut op = self.queue.pop_front()?;
        if let Op::Append { bytes, generation } = &mut op {
            let mut joined: Option<BytesMut> = None;
            let mut len = bytes.len();
            while let Some(more) = self.next_append(*generation, COALESCE_BYTES.saturating_sub(len)) {
                joined.get_or_insert_with(|| BytesMut::from(&bytes[..])).extend_from_slice(&more);
                len += more.len();
            }
            if let Some(joined) = joined {
                *bytes = joined.freeze();
            }
        }
        Some(op)
    }

    fn next_append(&mut self, wanted: u64, room: usize) -> Option<Bytes> {
        match self.queue.front() {
            Some(Op::Append { bytes, generation }) if *generation == wanted && bytes.len() <= room => {}
            _ => return None,
        }
        match self.queue.pop_front() {
            Some(Op::Append { bytes, .. }) => Some(bytes),
            _ => None,
        }
    }
}

/// [`Bug::AppendAfterIoError`] sat in the logs of partitions; a quorum whose log forgot a batch would ask for it without end.
fn overlooked(store: &LogStore) -> bool {
    planted(Bug::AppendAfterIoError) && !store.dir().contains("__cluster_metadata")
}

fn begin(store: Box<LogStore>, op: Op) -> Running {
    match op {
        // Apart from the rest, because its future is small and it is the one that must be quick.
        Op::Append { bytes, generation } => Box::pin(append(store, bytes, generation)),
        op => Box::pin(other(store, op)),
    }
}

async fn append(mut store: Box<LogStore>, bytes: Bytes, generation: u64) -> Done {
    let result = store.append(&bytes).await;
    let (flushed, rolled) = (store.flushed(), store.take_rolled());
    (store, result.map(|end| Some(Completion::Appended { generation, end, flushed, rolled })))
}

async fn other(mut store: Box<LogStore>, op: Op) -> Done {
    let result = step(&mut store, op).await;
    (store, result)
}

async fn step(store: &mut LogStore, op: Op) -> io::Result<Option<Completion>> {
    match op {
        Op::Append { bytes, generation } => {
            let end = store.append(&bytes).await?;
            let (flushed, rolled) = (store.flushed(), store.take_rolled());
            return Ok(Some(Completion::Appended { generation, end, flushed, rolled }));
        }
        Op::Sync { generation } => {
            let end = store.sync().await?;
            return Ok(Some(Completion::Synced { generation, end }));
        }
        Op::Close => {
            store.close().await?;
            return Ok(Some(Completion::Closed { end: store.end() }));
        }
        Op::Swap(swap) => return Ok(Some(Completion::Swapped { done: store.swap(swap).await? })),
        Op::Truncate { to, generation: _ } => store.truncate(to).await?,
        Op::TruncateFully { start, generation } => {
            store.truncate_fully(start).await?;
            return Ok(Some(Completion::StartedAnew { generation }));
        }
        Op::Roll => {
            store.roll().await?;
            // Who asks for a roll knows where.
            store.take_rolled();
        }
        Op::WriteProducers { at, content } => store.write_producers(at, &content).await?,
        Op::WriteEpochs { entries } => store.write_epochs(&entries).await?,
        Op::DeleteBelow { start } => {
            store.delete_segments_below(start).await?;
        }
        Op::RemoveDoomed => store.remove_doomed().await?,
        Op::Configure(config) => store.configure(config),
    }
    Ok(None)
}
