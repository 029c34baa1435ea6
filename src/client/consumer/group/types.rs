//! What an application hears of its group, and what it commits.

use std::sync::Arc;

use kafka_protocol::ResponseError;

use crate::base::{LeaderEpoch, Offset, TopicPartition};

/// What happened to a member's partitions: Kafka's `ConsumerRebalanceListener`, as data. A poll during which partitions
/// are revoked, lost or assigned returns at once and without records, so that its caller can act before anything else happens: what
/// was revoked can be committed until the next poll.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rebalance {
    /// The member begins to take part in a rebalance; what follows up to the next `Assigned` belongs to it.
    JoinPrepared(Stamp),
    /// Partitions that the member owned until now and gives up in good order.
    Revoked(Vec<TopicPartition>, Stamp),
    /// Partitions that the member may no longer have owned for a while: it was expelled, or has left after `max.poll.interval.ms`.
    Lost(Vec<TopicPartition>, Stamp),
    /// Partitions that the member owns from now on and did not own before, perhaps none: the rebalance is over.
    Assigned(Vec<TopicPartition>, Stamp),
}

impl Rebalance {
    /// As whom, and when.
    #[must_use]
    pub fn stamp(&self) -> &Stamp {
        match self {
            Self::JoinPrepared(at) | Self::Revoked(_, at) | Self::Lost(_, at) | Self::Assigned(_, at) => at,
        }
    }
}

/// As whom something happened to a member, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The id that the coordinator gave to the member; empty before it has one. Of what was lost: the id that was lost with it.
    pub member_id: Arc<str>,
    /// The generation, likewise; -1 before there is one.
    pub generation: i32,
    /// The assignor of that generation, as it is called on the wire.
    pub protocol: Option<Arc<str>>,
    /// Monotonic time of the member's host, in nanoseconds.
    pub mono_ns: u64,
}

/// Kafka's `ConsumerGroupMetadata`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMetadata {
    /// `group.id`.
    pub group_id: Arc<str>,
    /// -1 while the consumer is no member.
    pub generation: i32,
    /// Empty while the consumer is no member.
    pub member_id: Arc<str>,
    /// `group.instance.id`.
    pub group_instance_id: Option<Arc<str>>,
}

/// A position that is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetAndMetadata {
    /// The next record to be read.
    pub offset: Offset,
    /// The epoch of the leader that the record before it came from.
    pub leader_epoch: Option<LeaderEpoch>,
    /// Whatever the application wants to remember, up to the broker's `offset.metadata.max.bytes`.
    pub metadata: String,
}

impl OffsetAndMetadata {
    /// An offset and nothing else.
    #[must_use]
    pub fn new(offset: Offset) -> Self {
        Self { offset, leader_epoch: None, metadata: String::new() }
    }
}

/// Why offsets were not committed, or could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// The consumer is not, or no longer, a member: its partitions may belong to others (`CommitFailedException`).
    #[error("this consumer is not a member of the group: its partitions may belong to others")]
    NotAMember,
    /// A rebalance is on: polling completes it, then the commit may be tried again for what is still owned
    /// (`RebalanceInProgressException`).
    #[error("the group is rebalancing")]
    RebalanceInProgress,
    /// Another consumer runs under this `group.instance.id` (`FencedInstanceIdException`).
    #[error("another consumer has this group.instance.id")]
    FencedInstanceId,
    /// The coordinator could not do it now, and nobody tries again (`RetriableCommitFailedException`).
    #[error("not committed, trying again may help: {0:?}")]
    Retriable(ResponseError),
    /// An error that trying again does not cure.
    #[error("{0:?}")]
    Broker(ResponseError),
    /// No definite answer within `default.api.timeout.ms`.
    #[error("no answer within default.api.timeout.ms")]
    Timeout,
    /// The consumer has no `group.id`.
    #[error("a consumer without group.id has no committed offsets")]
    NoGroup,
}
