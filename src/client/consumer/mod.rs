//! The consumer, with manual assignment (groups come later): whoever polls it drives its fetches.

use crate::base::{LeaderEpoch, Offset, TopicPartition};
use bytes::Bytes;
use kafka_protocol::ResponseError;
use std::sync::Arc;

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
    /// The position lies outside the log and `auto.offset.reset` is `none`.
    #[error("{tp}: no record at offset {offset}, and auto.offset.reset is none")]
    OffsetOutOfRange {
        /// The partition.
        tp: TopicPartition,
        /// The position that does not exist; [`Offset::NONE`] if there was none at all.
        offset: Offset,
    },
    /// A batch that cannot be read: it failed its checksum or contradicts itself.
    #[error("{tp}: the batch at offset {offset} is corrupt: {reason}")]
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
    /// The call did not finish within its timeout.
    #[error("no answer within the timeout")]
    Timeout,
    /// The partition is not assigned to this consumer.
    #[error("{0} is not assigned to this consumer")]
    NotAssigned(TopicPartition),
}
