//! The consumer, in a group or with manual assignment: whoever polls it drives its fetches.
//!
//! A consumer with a `group.id` has one task, which keeps its membership alive between polls; see [`group`].
//!
//! One fetch is outstanding per leader, and partitions whose records wait to be polled are left out of it (Kafka's `Fetcher`). What was
//! polled is never polled again and nothing is skipped, unless the caller seeks or `auto.offset.reset` says so. A lost leader means
//! silence until a new one is known; it is never an error.

mod fetcher;
pub mod group;
mod lookups;
mod membership;
mod positions;
mod standing;
#[cfg(all(test, madsim))]
mod tests;
mod validation;

use super::config::{ConfigError, ConsumerConfig};
use crate::base::{LeaderEpoch, Now, Offset, TopicPartition};
use crate::io::{clock, time};
use bytes::Bytes;
use fetcher::Fetcher;
use group::Member;
use kafka_protocol::ResponseError;
use positions::{EARLIEST, LATEST};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
pub use validation::Truncation;

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
    /// The log was truncated below the position, and `auto.offset.reset` is `none` (KIP-320, `LogTruncationException`).
    #[error("{tp}: the log was truncated below the position {offset}, and auto.offset.reset is none")]
    LogTruncation {
        /// The partition.
        tp: TopicPartition,
        /// The position.
        offset: Offset,
        /// The first offset that may hold other records now; none if the leader knows nothing of the position's epoch.
        divergent: Option<Offset>,
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
    /// What the coordinator of the group answered for good. Polling on joins anew, except if another consumer has this
    /// `group.instance.id` ([`ResponseError::FencedInstanceId`]).
    #[error("the coordinator of the group refuses: {0:?}")]
    Group(ResponseError),
}

/// A consumer. Without a `group.id` nothing happens between polls: there is no task behind it.
pub struct Consumer {
    parts: Parts,
    timer: time::Sleep,
    api_timeout: Duration,
}

/// What a call drives.
struct Parts {
    fetcher: Fetcher,
    /// None without a `group.id`.
    member: Option<Member>,
    /// The call is a poll, so that the group may take and give partitions.
    polling: bool,
}

impl Consumer {
    /// A consumer of nothing yet; it connects when it is polled.
    ///
    /// # Errors
    /// Settings that contradict each other.
    pub fn new(cfg: ConsumerConfig) -> Result<Self, ConfigError> {
        cfg.validate()?;
        let api_timeout = Duration::from_millis(cfg.default_api_timeout_ms);
        let member = Member::start(&cfg);
        let parts = Parts { fetcher: Fetcher::new(cfg), member, polling: false };
        Ok(Self { parts, timer: time::sleep_until(u64::MAX), api_timeout })
    }

    /// Consumes exactly these partitions from now on. Those that were assigned before keep their position; the others start where
    /// the group has come to, if there is a `group.id`, otherwise where `auto.offset.reset` says, unless the caller seeks first.
    ///
    /// # Panics
    /// If the consumer has subscribed to topics: then its group assigns.
    pub fn assign(&mut self, partitions: impl IntoIterator<Item = TopicPartition>) {
        let subscribed = self.parts.member.as_ref().is_some_and(Member::is_subscribed);
        assert!(!subscribed, "a consumer either subscribes or is assigned by hand");
        self.parts.fetcher.assign(partitions.into_iter().collect());
    }
    /// What is assigned.
    pub fn assignment(&self) -> impl Iterator<Item = &TopicPartition> {
        self.parts.fetcher.assignment()
    }
    /// Goes on at `offset`.
    ///
    /// # Errors
    /// The partition is not assigned.
    pub fn seek(&mut self, tp: &TopicPartition, offset: Offset) -> Result<(), ConsumerError> {
        self.parts.fetcher.assigned(tp)?.seek(offset);
        Ok(())
    }
    /// Goes on at the start of the log, as it will be when asked.
    ///
    /// # Errors
    /// The partition is not assigned.
    pub fn seek_to_beginning(&mut self, tp: &TopicPartition) -> Result<(), ConsumerError> {
        self.parts.fetcher.assigned(tp)?.reset(EARLIEST);
        Ok(())
    }
    /// Goes on at the high watermark, as it will be when asked.
    ///
    /// # Errors
    /// The partition is not assigned.
    pub fn seek_to_end(&mut self, tp: &TopicPartition) -> Result<(), ConsumerError> {
        self.parts.fetcher.assigned(tp)?.reset(LATEST);
        Ok(())
    }
    /// Returns no records of these partitions until they are resumed; others are not assigned and passed over.
    pub fn pause(&mut self, partitions: &[TopicPartition]) {
        self.parts.fetcher.pause(partitions, true);
    }
    /// Ends [`Self::pause`].
    pub fn resume(&mut self, partitions: &[TopicPartition]) {
        self.parts.fetcher.pause(partitions, false);
    }
    /// The offset of the next record that a poll would return, once known.
    #[must_use]
    pub fn position(&self, tp: &TopicPartition) -> Option<Offset> {
        self.parts.fetcher.position(tp)
    }
    /// The truncations of logs that were found out since this was last asked: records that this consumer was given, or had
    /// committed, and that an unclean election gave up (KIP-320).
    pub fn take_truncations(&mut self) -> Vec<Truncation> {
        std::mem::take(&mut self.parts.fetcher.truncations)
    }
    /// How many offsets lie between the position and the high watermark that the leader told with the last fetch.
    #[must_use]
    pub fn lag(&self, tp: &TopicPartition) -> Option<i64> {
        self.parts.fetcher.lag(tp)
    }

    /// The next records, at most max.poll.records of them, per partition in order; none if none came within `timeout`, or if the
    /// group has given or taken partitions ([`Self::take_rebalances`]). Dropping the future loses nothing.
    ///
    /// # Errors
    /// Only what the caller must decide about; polling on is always allowed.
    pub async fn poll(&mut self, timeout: Duration) -> Result<Vec<ConsumedRecord>, ConsumerError> {
        let _polling = self.parts.member.as_ref().map(|member| member.poll(clock::now()));
        self.take_part().await;
        let records = self.drive_as(true, timeout, Parts::records).await;
        if records.as_ref().is_some_and(|got| got.as_ref().is_ok_and(|records| !records.is_empty()) || got.is_err()) {
            self.prefetch().await;
        }
        records.unwrap_or_else(|| self.parts.member.as_ref().map_or(Ok(()), Member::nothing).map(|()| Vec::new()))
    }
    /// Does for the group what polling is needed for, whether or not there are records to return.
    async fn take_part(&mut self) {
        let (mut began, mut since) = (false, None);
        poll_fn(|cx| {
            let now = clock::now();
            if !std::mem::replace(&mut began, true) {
                self.parts.polling = true;
                self.parts.turn(cx, now);
            }
            match &self.parts.member {
                Some(member) if member.awaits_task(cx, now, &mut since) => Poll::Pending,
                _ => Poll::Ready(()),
            }
        })
        .await;
    }
    /// Asks for what comes next while the caller deals with what it has.
    async fn prefetch(&mut self) {
        poll_fn(|cx| {
            self.parts.fetcher.turn(cx, clock::now());
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
        self.parts.fetcher.ask(partitions, which);
        let told = self.drive(self.api_timeout, |parts| parts.fetcher.told(partitions)).await;
        self.parts.fetcher.ask(&[], which);
        told.unwrap_or(Err(ConsumerError::Timeout))
    }

    /// Turns until `done` has something, or [`None`] when `timeout` is over.
    fn drive<'a, R>(
        &'a mut self,
        timeout: Duration,
        done: impl FnMut(&mut Parts) -> Option<R> + 'a,
    ) -> impl Future<Output = Option<R>> + 'a {
        self.drive_as(false, timeout, done)
    }
    /// The same, as a poll or not.
    fn drive_as<'a, R>(
        &'a mut self,
        polling: bool,
        timeout: Duration,
        mut done: impl FnMut(&mut Parts) -> Option<R> + 'a,
    ) -> impl Future<Output = Option<R>> + 'a {
        self.parts.polling = polling;
        let timeout_ns = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        let deadline_ns = clock::now().mono_ns.saturating_add(timeout_ns);
        poll_fn(move |cx| self.turn(cx, deadline_ns, &mut done))
    }
    fn turn<R>(
        &mut self,
        cx: &mut Context<'_>,
        deadline_ns: u64,
        done: &mut impl FnMut(&mut Parts) -> Option<R>,
    ) -> Poll<Option<R>> {
        loop {
            let now = clock::now();
            let next_ns = self.parts.turn(cx, now);
            if let Some(result) = done(&mut self.parts) {
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

impl Parts {
    /// The group first: what it takes away is not to be fetched, what it gives is to be fetched at once.
    fn turn(&mut self, cx: &mut Context<'_>, now: Now) -> u64 {
        let group_ns = match &mut self.member {
            None => u64::MAX,
            Some(member) => {
                member.listen(cx);
                if self.polling { member.turn(now, &mut self.fetcher) } else { u64::MAX }
            }
        };
        self.fetcher.turn(cx, now).min(group_ns)
    }
    /// What a poll returns, if there is anything.
    fn records(&mut self) -> Option<Result<Vec<ConsumedRecord>, ConsumerError>> {
        if let Some(interrupt) = self.member.as_mut().and_then(Member::take_interrupt) {
            return Some(interrupt.map(|()| Vec::new()));
        }
        self.fetcher.take_records().transpose()
    }
}
