//! What goes into a producer and what comes out of it.

use crate::base::{LeaderEpoch, Offset, TopicPartition};
use bytes::Bytes;
use kafka_protocol::ResponseError;
use std::sync::Arc;

/// A record's header: a name and an optional value.
pub type Header = (Arc<str>, Option<Bytes>);

/// Kafka's `ProducerRecord`.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// The topic to write to.
    pub topic: Arc<str>,
    /// The partition; without one the partitioner chooses (by key, else sticky).
    pub partition: Option<i32>,
    /// The key.
    pub key: Option<Bytes>,
    /// The value; without one the record is a tombstone.
    pub value: Option<Bytes>,
    /// The headers, in order.
    pub headers: Vec<Header>,
    /// Wall time in milliseconds since 1970; without it the time of `send`.
    pub timestamp: Option<i64>,
}

/// Kafka's `RecordMetadata`: where an acknowledged record went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordMetadata {
    /// The partition.
    pub tp: TopicPartition,
    /// The record's offset; [`Offset::NONE`] with `acks=0`, and when a duplicate was so old that the broker forgot its offset.
    pub offset: Offset,
    /// The record's timestamp in milliseconds since 1970 (the broker's if the topic uses `LogAppendTime`).
    pub timestamp: i64,
}

/// Why a record was not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error:?}{}", if *definite { "" } else { " (the record may have been written)" })]
pub struct SendError {
    /// The last error: the broker's own, or the client's (`NetworkException` for a lost connection,
    /// `RequestTimedOut` when delivery.timeout.ms or max.block.ms ran out).
    pub error: ResponseError,
    /// True if every attempt failed before any append could have happened, so that the record can never be read.
    pub definite: bool,
}

/// What happened to a record.
pub type Delivery = Result<RecordMetadata, SendError>;

/// A [`Delivery`] with its circumstances; times are this node's monotonic clock in nanoseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// What happened.
    pub result: Delivery,
    /// How often the record's batch was sent; 0 if it never left.
    pub attempts: u32,
    /// When it was first sent, if it was.
    pub first_sent_ns: Option<u64>,
    /// The leader epoch to which the batch was sent last, as this client knew it then.
    pub sent_to: LeaderEpoch,
    /// When the outcome was known.
    pub done_ns: u64,
}
