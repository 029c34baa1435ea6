//! A client process that writes numbered values at a fixed rate, each partition in turn, until it is asked to stop.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::Watcher;
use super::history::{Op, Promise, SOMEWHERE, Value};
use crate::base::TopicPartition;
use crate::base::time::NANOS_PER_MS;
use crate::client::config::ProducerConfig;
use crate::client::producer::{Delivered, Producer, Record};
use crate::io::task::{TaskSet, shutdown_requested};
use crate::io::time;

/// How long a stopping writer waits for its last answers: longer than any `delivery.timeout.ms` in use.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(600);

/// Which partition each record goes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// The writer names the partitions, each in turn.
    #[default]
    EachInTurn,
    /// Records bear no key; the producer chooses.
    Sticky,
    /// Records bear one of `keys` keys, `hot_percent` of a hundred the first one on top.
    Keyed { keys: u32, hot_percent: u32 },
}

impl Strategy {
    /// The key of the `seq`-th record.
    #[must_use]
    pub fn key_of(self, seq: u64) -> Option<u64> {
        match self {
            Self::Keyed { keys, hot_percent } => {
                let hot = seq % 100 < u64::from(hot_percent);
                Some(if hot { 0 } else { seq % u64::from(keys.max(1)) })
            }
            _ => None,
        }
    }
}

/// What one writing process does.
#[derive(Clone, Debug)]
pub struct WriterPlan {
    /// Its number among all writers of the run.
    pub writer: u32,
    /// Where to.
    pub topic: Arc<str>,
    /// Which partition each record goes to.
    pub strategy: Strategy,
    /// How many partitions the topic has.
    pub partitions: i32,
    /// Records per second.
    pub rate: u32,
    /// Bytes of each value.
    pub value_size: usize,
    /// What the producer's `acks` promises.
    pub promise: Promise,
    /// The producer's settings.
    pub config: ProducerConfig,
}

/// Runs a writer until the process is asked to shut down; then waits for what is still under way.
pub async fn run(plan: WriterPlan, watcher: Watcher) {
    let mut tasks = TaskSet::new();
    let producer = match Producer::start(plan.config.clone(), &mut tasks) {
        Ok(producer) => producer,
        Err(error) => {
            tracing::error!(%error, "the producer's settings were refused");
            return;
        }
    };
    let stop = shutdown_requested();
    tokio::pin!(stop);
    let period_ns = 1_000_000_000 / u64::from(plan.rate.max(1));
    // Writers start at different moments, or all of them would send in step for ever.
    let phase = crate::io::rng("writer-phase").below(period_ns.max(1));
    let mut next_ns = crate::io::clock::now().mono_ns + phase;
    for seq in 0.. {
        tokio::select! {
            biased;
            () = &mut stop => break,
            () = time::sleep_until(next_ns) => {}
        }
        // A send may have been held up: the rate is an upper bound, missed beats are not made up for.
        next_ns = (next_ns + period_ns).max(crate::io::clock::now().mono_ns);
        send(&plan, &producer, seq, &watcher).await;
    }
    producer.close(CLOSE_TIMEOUT).await;
}

async fn send(plan: &WriterPlan, producer: &Producer, seq: u64, watcher: &Watcher) {
    let value = Value { writer: plan.writer, seq };
    let partition = (plan.strategy == Strategy::EachInTurn).then(|| (seq % plan.partitions.max(1) as u64) as i32);
    let tp = TopicPartition { topic: plan.topic.clone(), partition: partition.unwrap_or(SOMEWHERE) };
    let record = Record {
        topic: plan.topic.clone(),
        partition,
        key: plan.strategy.key_of(seq).map(|key| Bytes::from(format!("key-{key}"))),
        value: Some(Bytes::from(value.encode(plan.value_size))),
        ..Record::default()
    };
    watcher.record(Op::Sent { value, tp: tp.clone() });
    let (watcher, promise) = (watcher.clone(), plan.promise);
    let timeout_ns = plan.config.common.request_timeout_ms * NANOS_PER_MS;
    let done = move |delivered: Delivered| {
        let tp = delivered.result.as_ref().map_or(tp, |metadata| metadata.tp.clone());
        if let Some(ago) = gave_up_ago(&delivered, timeout_ns) {
            watcher.gave_up(&tp, ago, "request.timeout.ms");
        }
        watcher.record(outcome(value, tp, promise, delivered));
    };
    producer.send(record, done).await;
}

/// How long ago the first attempt ran into the request timeout, if it did: it was sent again, and not before that.
fn gave_up_ago(delivered: &Delivered, timeout_ns: u64) -> Option<u64> {
    let first = delivered.first_sent_ns.filter(|_| delivered.attempts > 1)?;
    delivered.done_ns.checked_sub(first + timeout_ns)
}

fn outcome(value: Value, tp: TopicPartition, promise: Promise, delivered: Delivered) -> Op {
    match delivered.result {
        Ok(metadata) => Op::Acked { value, tp, offset: metadata.offset, promise, sent_to: delivered.sent_to },
        Err(error) => Op::Failed { value, tp, definite: error.definite, error: format!("{:?}", error.error).into() },
    }
}
