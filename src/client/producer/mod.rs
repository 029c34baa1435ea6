//! The producer: records go into per-partition batches, one sender task carries them to the partitions' leaders.
//!
//! `send` appends under one lock and returns; it wakes the sender only if the sender would otherwise look too late. The sender calls
//! each record's callback exactly once, without the lock. Order and uniqueness per partition live in [`queue`].

mod accumulator;
mod batch;
mod partitioner;
mod queue;
#[cfg(all(test, madsim))]
mod queue_tests;
mod record;
mod sender;
#[cfg(all(test, madsim))]
mod tests;
mod verdict;

pub use partitioner::{murmur2, partition_for_key};
pub use record::{Delivered, Delivery, Header, Record, RecordMetadata, SendError};

use super::config::{ConfigError, ProducerConfig};
use super::network::NetworkClient;
use crate::base::LeaderEpoch;
use crate::base::time::NANOS_PER_MS;
use crate::io::{self, clock, time};
use accumulator::{Accumulator, Blocked};
use batch::Callback;
use kafka_protocol::ResponseError;
use parking_lot::Mutex;
use sender::Sender;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;
use tokio::sync::{Notify, oneshot};

/// A producer; clones share everything.
#[derive(Clone)]
pub struct Producer {
    shared: Arc<Shared>,
    max_block_ns: u64,
}

struct Shared {
    state: Mutex<State>,
    /// Metadata came, room was made, batches were completed, or the sender ended.
    changed: Notify,
}

struct State {
    accumulator: Accumulator,
    waker: Option<Waker>,
    /// When the sender will look by itself, in monotonic nanoseconds.
    wake_ns: u64,
    force_closed: bool,
    dead: bool,
}

impl State {
    fn register(&mut self, waker: &Waker) {
        if self.waker.as_ref().is_none_or(|known| !known.will_wake(waker)) {
            self.waker = Some(waker.clone());
        }
    }
    fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }
    /// True if the sender has nothing left to do.
    fn over(&self) -> bool {
        let done = self.accumulator.complete_before(self.accumulator.next_ordinal());
        self.force_closed || self.accumulator.closing && done
    }
}

impl Producer {
    /// Starts a producer, whose sender runs in `tasks` until [`Self::close`].
    ///
    /// # Errors
    /// Settings that contradict each other.
    pub fn start(cfg: ProducerConfig, tasks: &mut io::task::TaskSet) -> Result<Self, ConfigError> {
        cfg.validate()?;
        let max_block_ns = cfg.max_block_ms.saturating_mul(NANOS_PER_MS);
        let network = NetworkClient::new(
            cfg.common.clone(),
            cfg.max_in_flight as usize,
            io::rng(&format!("client {}", cfg.common.client_id)),
        );
        let rng = io::rng(&format!("producer {}", cfg.common.client_id));
        let state = State {
            accumulator: Accumulator::new(cfg, rng),
            waker: None,
            wake_ns: u64::MAX,
            force_closed: false,
            dead: false,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Notify::new() });
        tasks.spawn("producer-sender", Sender::new(shared.clone(), network));
        Ok(Self { shared, max_block_ns })
    }

    /// Hands a record over; `callback` is called once, when its fate is known, and must not block. Returns at once, unless metadata or
    /// room in the buffer is missing: then it waits for up to max.block.ms, after which the record fails (definitely).
    pub async fn send(&self, record: Record, callback: impl FnOnce(Delivered) + Send + 'static) {
        let mut callback: Option<Callback> = Some(Box::new(callback));
        let mut deadline = None;
        loop {
            let changed = self.shared.changed.notified();
            let now = clock::now();
            let Err(blocked) = self.try_append(&record, &mut callback) else { return };
            let deadline = *deadline.get_or_insert(now.mono_ns.saturating_add(self.max_block_ns));
            let error = match blocked {
                Blocked::Over(error) => error,
                Blocked::TooLarge => ResponseError::MessageTooLarge,
                _ if now.mono_ns >= deadline => ResponseError::RequestTimedOut,
                Blocked::Metadata | Blocked::Buffer => {
                    let _waiting = (blocked == Blocked::Buffer).then(|| Starved::new(&self.shared));
                    let left = Duration::from_nanos(deadline - now.mono_ns);
                    let _ = time::timeout(left, changed).await;
                    continue;
                }
            };
            let Some(callback) = callback.take() else { return };
            let result = Err(SendError { error, definite: true });
            let (sent_to, done_ns) = (LeaderEpoch::NONE, now.mono_ns);
            return callback(Delivered { result, attempts: 0, first_sent_ns: None, sent_to, done_ns });
        }
    }
    fn try_append(&self, record: &Record, callback: &mut Option<Callback>) -> Result<(), Blocked> {
        let now = clock::now();
        let mut state = self.shared.state.lock();
        if state.dead {
            return Err(Blocked::Over(ResponseError::NetworkException));
        }
        let appended = state.accumulator.append(record, callback, now);
        let look_by = match &appended {
            Ok(look_by) => *look_by,
            Err(Blocked::Metadata | Blocked::Buffer) => Some(0),
            Err(_) => None,
        };
        if look_by.is_some_and(|by| by < state.wake_ns) {
            // The sender says anew when it will look; until then once is enough.
            state.wake_ns = 0;
            state.wake();
        }
        appended.map(drop)
    }

    /// Hands a record over and waits for its fate.
    ///
    /// # Errors
    /// As in [`Delivery`]; if the producer's task was stopped meanwhile, the fate is unknown.
    pub async fn send_wait(&self, record: Record) -> Delivery {
        let (tell, told) = oneshot::channel();
        // Whoever waited may be gone; then nobody wants to know.
        self.send(record, move |delivered| drop(tell.send(delivered.result))).await;
        let stopped = Err(SendError { error: ResponseError::NetworkException, definite: false });
        told.await.unwrap_or(stopped)
    }

    /// Sends what lingers and waits until every record that was handed over before has been called back.
    pub async fn flush(&self) {
        let until = {
            let mut state = self.shared.state.lock();
            state.accumulator.flushing += 1;
            state.wake();
            state.accumulator.next_ordinal()
        };
        let _flushing = Flushing(&self.shared);
        loop {
            let changed = self.shared.changed.notified();
            {
                let state = self.shared.state.lock();
                if state.dead || state.accumulator.complete_before(until) {
                    return;
                }
            }
            changed.await;
        }
    }

    /// Takes no more records, sends what is there, and stops the sender; what is not done after `patience` fails with
    /// `NetworkException`.
    pub async fn close(&self, patience: Duration) {
        {
            let mut state = self.shared.state.lock();
            state.accumulator.closing = true;
            state.wake();
        }
        if time::timeout(patience, self.stopped()).await.is_err() {
            {
                let mut state = self.shared.state.lock();
                state.force_closed = true;
                state.wake();
            }
            self.stopped().await;
        }
    }
    async fn stopped(&self) {
        loop {
            let changed = self.shared.changed.notified();
            if self.shared.state.lock().dead {
                return;
            }
            changed.await;
        }
    }
}

/// While it lives, somebody waits for room, and batches do not linger.
struct Starved<'a>(&'a Shared);

impl<'a> Starved<'a> {
    fn new(shared: &'a Shared) -> Self {
        let mut state = shared.state.lock();
        state.accumulator.starved += 1;
        state.wake();
        Self(shared)
    }
}

impl Drop for Starved<'_> {
    fn drop(&mut self) {
        self.0.state.lock().accumulator.starved -= 1;
    }
}

/// While it lives, batches do not linger.
struct Flushing<'a>(&'a Shared);

impl Drop for Flushing<'_> {
    fn drop(&mut self) {
        self.0.state.lock().accumulator.flushing -= 1;
    }
}
