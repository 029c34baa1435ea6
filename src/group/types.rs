//! What goes into a coordinator and what comes out.

use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::messages::{
    ConsumerGroupHeartbeatResponse, HeartbeatResponse, JoinGroupResponse, LeaveGroupResponse, OffsetCommitResponse,
    OffsetDeleteResponse, SyncGroupResponse,
};
use kafka_protocol::protocol::StrBytes;

use crate::base::TopicPartition;

/// Names a request until it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// Names records on their way into the log; a later append has a greater one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct AppendId(pub u64);

/// Who sent a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// `client.id`.
    pub client_id: Arc<str>,
    /// Its address.
    pub host: Arc<str>,
    /// The version of its request.
    pub version: i16,
}

/// A record for the log; no value is a tombstone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// The key's bytes.
    pub key: Bytes,
    /// The value's bytes.
    pub value: Option<Bytes>,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// To JoinGroup.
    Join(JoinGroupResponse),
    /// To SyncGroup.
    Sync(SyncGroupResponse),
    /// To Heartbeat.
    Heartbeat(HeartbeatResponse),
    /// To LeaveGroup.
    Leave(LeaveGroupResponse),
    /// To ConsumerGroupHeartbeat.
    ConsumerHeartbeat(ConsumerGroupHeartbeatResponse),
    /// To OffsetCommit.
    Commit(OffsetCommitResponse),
    /// To OffsetDelete.
    OffsetDelete(OffsetDeleteResponse),
    /// To one group's part of DeleteGroups: an error code.
    DeleteGroup(i16),
}

/// What a coordinator wants done, in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Answer a request.
    Reply(Ticket, Reply),
    /// Append the records as one batch, in the order of appends, with acks=all.
    Append(AppendId, Vec<LogRecord>),
    /// The time of these offsets of a group is over (KIP-211), and what is appended next forgets them. Nothing is to be done: this is
    /// for whoever watches.
    Expired { group: Arc<str>, offsets: Vec<TopicPartition> },
}

pub(super) fn text(s: &StrBytes) -> Arc<str> {
    s.as_str().into()
}

pub(super) fn wire(s: &str) -> StrBytes {
    StrBytes::from_string(s.to_owned())
}
