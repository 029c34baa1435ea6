//! What handlers ask of the partitions on this broker, and what they get.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{AlterPartitionRequest, AlterPartitionResponse};

use crate::base::{BrokerEpoch, BrokerId, LeaderEpoch, Offset, TopicId, TopicPartition};
use crate::replica::EpochEnd;

/// A boxed future, for the one dynamic call in this room.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The way to the active controller. An error means "no answer": the caller asks again after a backoff.
pub trait ControllerRpc: Send + Sync + 'static {
    /// Sends one AlterPartition; a top-level NOT_CONTROLLER or STALE_BROKER_EPOCH comes back inside the response.
    fn alter_partition(&self, request: AlterPartitionRequest) -> BoxFuture<std::io::Result<AlterPartitionResponse>>;
}

/// How a request names a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicRef {
    /// By name (Produce, ListOffsets, OffsetForLeaderEpoch, old Fetch versions).
    Name(Arc<str>),
    /// By id (Fetch from version 13 on).
    Id(TopicId),
}

/// One partition's part of a Produce request.
#[derive(Clone, Debug)]
pub struct ProducePartition {
    /// The topic.
    pub topic: TopicRef,
    /// The partition's index.
    pub partition: i32,
    /// Exactly one record batch, as it came off the wire.
    pub records: Bytes,
}

/// One partition's part of a Produce response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProduceOutcome {
    /// What went wrong, if anything.
    pub error: Option<ResponseError>,
    /// The first offset of the batch, or -1.
    pub base_offset: Offset,
    /// The log start, or -1.
    pub log_start: Offset,
    /// The broker's append time where the topic uses it, else -1.
    pub log_append_time_ms: i64,
    /// On NOT_LEADER_OR_FOLLOWER: who leads, as far as this broker knows (KIP-951).
    pub current_leader: Option<(BrokerId, LeaderEpoch)>,
}

/// One partition's part of a DeleteRecords request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteRecordsPartition {
    /// The topic.
    pub topic: TopicRef,
    /// The partition's index.
    pub partition: i32,
    /// Everything below goes; -1 for everything below the high watermark.
    pub offset: Offset,
}

/// One partition's part of a DeleteRecords response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeleteRecordsOutcome {
    /// What went wrong, if anything.
    pub error: Option<ResponseError>,
    /// The lowest log start among the live replicas, or -1.
    pub low: Offset,
}

/// Who fetches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetcher {
    /// A consumer: reads up to the high watermark.
    Consumer,
    /// A follower: reads up to the log end, and its fetch is an acknowledgement.
    Replica {
        /// Its id.
        id: BrokerId,
        /// Its registration, or [`BrokerEpoch::NONE`].
        epoch: BrokerEpoch,
    },
}

/// One partition's part of a Fetch request.
#[derive(Clone, Debug)]
pub struct FetchPartition {
    /// The topic.
    pub topic: TopicRef,
    /// The partition's index.
    pub partition: i32,
    /// The first offset wanted.
    pub offset: Offset,
    /// The leader epoch that the fetcher believes in; NONE: not checked.
    pub current_leader_epoch: LeaderEpoch,
    /// The epoch of the last record that the fetcher has; NONE: not checked for divergence.
    pub last_fetched_epoch: LeaderEpoch,
    /// The fetching replica's log start, -1 for consumers.
    pub log_start: Offset,
    /// At most so many bytes, except that one whole batch is always returned.
    pub max_bytes: i32,
}

/// A Fetch request.
#[derive(Clone, Debug)]
pub struct FetchSpec {
    /// Who fetches.
    pub fetcher: Fetcher,
    /// How long to wait for `min_bytes`.
    pub max_wait_ms: u64,
    /// Below this the fetch waits.
    pub min_bytes: usize,
    /// For the whole response.
    pub max_bytes: usize,
    /// The partitions, in the order in which they are to be filled.
    pub partitions: Vec<FetchPartition>,
}

/// One partition's part of a Fetch response, at the same index as in the request.
#[derive(Clone, Debug)]
pub struct FetchResult {
    /// What went wrong, if anything.
    pub error: Option<ResponseError>,
    /// The high watermark, or -1.
    pub high_watermark: Offset,
    /// The last stable offset, or -1.
    pub last_stable_offset: Offset,
    /// The log start, or -1.
    pub log_start: Offset,
    /// Where the follower's log leaves the leader's; then there are no records.
    pub diverging: Option<EpochEnd>,
    /// On NOT_LEADER_OR_FOLLOWER and FENCED_LEADER_EPOCH: who leads (KIP-951).
    pub current_leader: Option<(BrokerId, LeaderEpoch)>,
    /// Whole batches as they are stored.
    pub records: Bytes,
}

/// What ListOffsets asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetQuery {
    /// -1
    Latest,
    /// -2
    Earliest,
    /// -3: the record with the largest timestamp (KIP-734).
    MaxTimestamp,
    /// The first record at or after this time.
    Timestamp(i64),
}

/// What ListOffsets answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetAnswer {
    /// The offset, -1 if there is none.
    pub offset: Offset,
    /// Its record's timestamp where one was looked at, else -1.
    pub timestamp: i64,
    /// The leader epoch of that offset.
    pub leader_epoch: LeaderEpoch,
}

/// The role of a local replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Knows of no leadership yet, or its log has failed.
    Offline,
    /// Leads.
    Leader,
    /// Follows.
    Follower,
}

/// A plain snapshot of one local replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionView {
    /// Which partition.
    pub tp: TopicPartition,
    /// The topic's id.
    pub topic_id: TopicId,
    /// What this replica does.
    pub role: Role,
    /// The leader that it knows.
    pub leader: BrokerId,
    /// The leader epoch that it knows.
    pub leader_epoch: LeaderEpoch,
    /// The first offset.
    pub log_start: Offset,
    /// The visible log end.
    pub log_end: Offset,
    /// Everything below is on the device.
    pub durable_end: Offset,
    /// Everything below is committed, as far as this replica knows.
    pub high_watermark: Offset,
    /// A leader's committed ISR; empty on followers.
    pub isr: Vec<BrokerId>,
}
