//! The consumer, with manual assignment (groups come later): whoever polls it drives its fetches.
//!
//! One fetch is outstanding per leader, and partitions whose records wait to be polled are left out of it (Kafka's `Fetcher`). What was
//! polled is never polled again and nothing is skipped, unless the caller seeks or `auto.offset.reset` says so. A lost leader means
//! silence until a new one is known; it is never an error.

mod fetcher;
mod lookups;
mod positions;
#[cfg(all(test, madsim))]
mod tests;

use super::config::{ConfigError, ConsumerConfig};
use crate::base::{LeaderEpoch, Offset, TopicPartition};
use crate::io::{clock, time};
use bytes::Bytes;
use fetcher::Fetcher;
use kafka_protocol::ResponseError;
use positions::{EARLIEST, LATEST};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// Kafka's `ConsumerRecord`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumedRecord {
    /// The partition.
    pub tp: TopicPartition,
    /// The record's offset.
    pub offset: Offset,
    /// The epoch of the leader that appended the record's batch.
    pub leader_epoch: LeaderEpoch,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// The key.
    pub key: Option<Bytes>,
    /// The value.
    pub value: Option<Bytes>,
    /// The headers, in order.
    pub headers: Vec<(Arc<str>, Option<Bytes>)>,
}

/// What a consumer's caller must deal with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConsumerError {
    /// The position lies outside the log, or there is none, and `auto.offset.reset` is `none`.
    #[error("{tp}: no valid position (was {offset}), and auto.offset.reset is none")]
    OffsetOutOfRange {
        /// The partition.
        tp: TopicPartition,
        /// The position that does not exist; [`Offset::NONE`] if there was none at all.
        offset: Offset,
    },
    /// A batch that cannot be read: it failed its checksum or contradicts itself.
    #[error("{tp}: the batch at offset {offset} cannot be read: {reason}")]
    CorruptBatch {
        /// The partition.
        tp: TopicPartition,
        /// The position at which it was met.
        offset: Offset,
        /// What is wrong with it.
        reason: String,
    },
    /// An error that trying again does not cure.
    #[error("{tp}: {error:?}")]
    Broker {
        /// The partition.
        tp: TopicPartition,
        /// What the broker answered.
        error: ResponseError,
    },
    /// The call did not finish within `default.api.timeout.ms`.
    #[error("no answer within default.api.timeout.ms")]
    Timeout,
    /// The partition is not assigned to this consumer.
    #[error("{0} is not assigned to this consumer")]
    NotAssigned(TopicPartition),
}

/// A consumer. Nothing happens between polls: there is no task behind it.
pub struct Consumer {
    fetcher: Fetcher,
    timer: time::Sleep,
    api_timeout: Duration,
}

impl Consumer {
    /// A consumer of nothing yet; it connects when it is polled.
    ///
    /// # Errors
    /// `bootstrap.servers` is empty.
    pub fn new(cfg: ConsumerConfig) -> Result<Self, ConfigError> {
        if cfg.common.bootstrap_servers.is_empty() {
            return Err(ConfigError::Contradiction("bootstrap.servers names nobody"));
        }
        let api_timeout = Duration::from_millis(cfg.default_api_timeout_ms);
        Ok(Self { fetcher: Fetcher::new(cfg), timer: time::sleep_until(u64::MAX), api_timeout })
    }

    /// Consumes exactly these partitions from now on. Those that were assigned before keep their position; the others start where
    /// `auto.offset.reset` says, unless the caller seeks first.
    pub fn assign(&mut self, partitions: impl IntoIterator<Item = TopicPartition>) {
        self.fetcher.assign(partitions.into_iter().collect());
    }
    /// What is assigned.
    pub fn assignment(&self) -> impl Iterator<Item = &TopicPartition> {
        self.fetcher.assignment()
    }
    /// Goes on at `offset`.
    ///
    /// # Errors
    /// The partition is not assigned.
    pub fn seek(&mut self, tp: &TopicPartition, offset: Offset) -> Result<(), ConsumerError> {
        self.fetcher.assigned(tp)?.seek(offset);
        Ok(())
    }
    /// Goes on at the start of the log, as it will be when asked.
    ///
    /// # Errors
    /// The partition is not assigned.
    pub fn seek_to_beginning(&mut self, tp: &TopicPartition) -> Result<(), ConsumerError> {
        self.fetcher.assigned(tp)?.reset(EARLIEST);
        Ok(())
    }
    /// Goes on at the high watermark, as it will be when asked.
    ///
    /// # Errors
    /// The partition is not assigned.
    pub fn seek_to_end(&mut self, tp: &TopicPartition) -> Result<(), ConsumerError> {
        self.fetcher.assigned(tp)?.reset(LATEST);
        Ok(())
    }
    /// The offset of the next record that a poll would return, once known.
    #[must_use]
    pub fn position(&self, tp: &TopicPartition) -> Option<Offset> {
        self.fetcher.position(tp)
    }

    /// The next records, at most max.poll.records of them, per partition in order; none if none came within `timeout`. Dropping the
    /// future loses nothing.
    ///
    /// # Errors
    /// Only what the caller must decide about; polling on is always allowed.
    pub async fn poll(&mut self, timeout: Duration) -> Result<Vec<ConsumedRecord>, ConsumerError> {
        let records = self.drive(timeout, |fetcher| fetcher.take_records().transpose()).await;
        if records.is_some() {
            self.prefetch().await;
        }
        records.unwrap_or_else(|| Ok(Vec::new()))
    }
    /// Asks for what comes next while the caller deals with what it has.
    async fn prefetch(&mut self) {
        poll_fn(|cx| {
            self.fetcher.turn(cx, clock::now());
            Poll::Ready(())
        })
        .await;
    }

    /// The first offset of each partition's log.
    ///
    /// # Errors
    /// [`ConsumerError::Timeout`] after default.api.timeout.ms, or what a broker answered for good.
    pub async fn beginning_offsets(&mut self, partitions: &[TopicPartition]) -> Result<Vec<Offset>, ConsumerError> {
        self.offsets(partitions, EARLIEST).await
    }
    /// The high watermark of each partition.
    ///
    /// # Errors
    /// As [`Self::beginning_offsets`].
    pub async fn end_offsets(&mut self, partitions: &[TopicPartition]) -> Result<Vec<Offset>, ConsumerError> {
        self.offsets(partitions, LATEST).await
    }
    async fn offsets(&mut self, partitions: &[TopicPartition], which: i64) -> Result<Vec<Offset>, ConsumerError> {
        self.fetcher.ask(partitions, which);
        let told = self.drive(self.api_timeout, |fetcher| fetcher.told(partitions)).await;
        self.fetcher.ask(&[], which);
        told.unwrap_or(Err(ConsumerError::Timeout))
    }

    /// Turns until `done` has something, or [`None`] when `timeout` is over.
    fn drive<'a, R>(
        &'a mut self,
        timeout: Duration,
        mut done: impl FnMut(&mut Fetcher) -> Option<R> + 'a,
    ) -> impl Future<Output = Option<R>> + 'a {
        let timeout_ns = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        let deadline_ns = clock::now().mono_ns.saturating_add(timeout_ns);
        poll_fn(move |cx| self.turn(cx, deadline_ns, &mut done))
    }
    fn turn<R>(
        &mut self,
        cx: &mut Context<'_>,
        deadline_ns: u64,
        done: &mut impl FnMut(&mut Fetcher) -> Option<R>,
    ) -> Poll<Option<R>> {
        loop {
            let now = clock::now();
            let next_ns = self.fetcher.turn(cx, now);
            if let Some(result) = done(&mut self.fetcher) {
                return Poll::Ready(Some(result));
            }
            if now.mono_ns >= deadline_ns {
                return Poll::Ready(None);
            }
            self.timer.reset(next_ns.min(deadline_ns));
            if Pin::new(&mut self.timer).poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}
