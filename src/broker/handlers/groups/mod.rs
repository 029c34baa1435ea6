//! The group APIs: find the coordinator, ask it, encode what it says.

mod admin;
mod consumer;
mod find;
mod members;
mod offsets;

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::ApiKey;

use super::super::node::Node;
use super::super::server::{Reply, Request};
use super::{answer, unserved};

impl Node {
    pub(super) async fn handle_groups(self: &Arc<Self>, request: Request) -> Reply {
        let version = request.version;
        match request.api {
            ApiKey::FindCoordinator => answer(&request, |r| self.find_coordinator(r, version)).await,
            ApiKey::JoinGroup => answer(&request, |r| self.join_group(r, &request)).await,
            ApiKey::SyncGroup => answer(&request, |r| self.sync_group(r)).await,
            ApiKey::Heartbeat => answer(&request, |r| self.heartbeat(r)).await,
            ApiKey::LeaveGroup => answer(&request, |r| self.leave_group(r, version)).await,
            ApiKey::ConsumerGroupHeartbeat => answer(&request, |r| self.consumer_group_heartbeat(r, &request)).await,
            ApiKey::ConsumerGroupDescribe => answer(&request, |r| self.consumer_group_describe(r)).await,
            ApiKey::OffsetCommit => answer(&request, |r| self.offset_commit(r, version)).await,
            ApiKey::OffsetFetch => answer(&request, |r| self.offset_fetch(r, version)).await,
            ApiKey::OffsetDelete => answer(&request, |r| self.offset_delete(r)).await,
            ApiKey::DescribeGroups => answer(&request, |r| self.describe_groups(r, version)).await,
            ApiKey::ListGroups => answer(&request, |r| self.list_groups(r)).await,
            ApiKey::DeleteGroups => answer(&request, |r| self.delete_groups(r)).await,
            other => unserved(other),
        }
    }
}

/// A group of no name is nobody's.
fn named(group: &str) -> Result<(), ResponseError> {
    if group.is_empty() { Err(ResponseError::InvalidGroupId) } else { Ok(()) }
}
