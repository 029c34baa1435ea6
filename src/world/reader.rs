//! A client process that reads partitions which it was given by hand, until it is asked to stop.

use std::time::Duration;

use super::Watcher;
use super::history::{Op, Value};
use crate::base::{Offset, TopicPartition};
use crate::client::config::ConsumerConfig;
use crate::client::consumer::{ConsumedRecord, Consumer};
use crate::io::task::shutdown_requested;

/// How long one poll waits for records.
const POLL_TIMEOUT: Duration = Duration::from_secs(1);

/// What one reading process does.
#[derive(Clone, Debug)]
pub struct ReaderPlan {
    /// Its number among all readers of the run.
    pub reader: u32,
    /// What it reads.
    pub partitions: Vec<TopicPartition>,
    /// The consumer's settings.
    pub config: ConsumerConfig,
}

/// Runs a reader until the process is asked to shut down.
pub async fn run(plan: ReaderPlan, watcher: Watcher) {
    let mut consumer = match Consumer::new(plan.config.clone()) {
        Ok(consumer) => consumer,
        Err(error) => {
            tracing::error!(%error, "the consumer's settings were refused");
            return;
        }
    };
    consumer.assign(plan.partitions.clone());
    let stop = shutdown_requested();
    tokio::pin!(stop);
    loop {
        let polled = tokio::select! {
            biased;
            () = &mut stop => return,
            polled = consumer.poll(POLL_TIMEOUT) => polled,
        };
        truncations(plan.reader, &mut consumer).for_each(|op| watcher.record(op));
        match polled {
            Ok(records) => records.into_iter().for_each(|r| watcher.record(read(plan.reader, r))),
            Err(error) => tracing::warn!(reader = plan.reader, %error, "poll failed"),
        }
    }
}

/// A consumed record as an entry of the history.
#[must_use]
pub fn read(reader: u32, record: ConsumedRecord) -> Op {
    let value = record.value.as_deref().and_then(Value::decode);
    Op::Read { reader, tp: record.tp, offset: record.offset, value }
}

/// What a consumer has found to be gone, as entries of the history.
pub fn truncations(reader: u32, consumer: &mut Consumer) -> impl Iterator<Item = Op> {
    consumer.take_truncations().into_iter().map(move |t| {
        let divergent = t.divergent.unwrap_or(Offset::NONE);
        Op::Truncated { reader, tp: t.tp, from: t.from, divergent }
    })
}
