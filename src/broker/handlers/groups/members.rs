//! JoinGroup, SyncGroup, Heartbeat, LeaveGroup.

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{
    HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse,
    SyncGroupRequest, SyncGroupResponse,
};
use kafka_protocol::protocol::StrBytes;

use crate::broker::node::Node;
use crate::broker::server::Request;
use crate::group::{Caller, Reply};

impl Node {
    pub(super) async fn join_group(self: &Arc<Self>, r: JoinGroupRequest, request: &Request) -> JoinGroupResponse {
        let caller = Caller {
            client_id: request.client_id.as_str().into(),
            host: request.peer.clone(),
            version: request.version,
        };
        let refused = |error: ResponseError| {
            JoinGroupResponse::default()
                .with_error_code(error.code())
                .with_generation_id(-1)
                .with_protocol_name(Some(StrBytes::new()))
                .with_member_id(r.member_id.clone())
        };
        if let Err(error) = super::named(&r.group_id) {
            return refused(error);
        }
        let answer = self.groups.call(&r.group_id, |core, now, ticket, out| core.join(now, ticket, &caller, &r, out));
        match answer.await {
            Ok(Reply::Join(mut response)) => {
                // Before version 7 no name of a protocol is an empty one.
                response.protocol_name.get_or_insert_default();
                response
            }
            Ok(other) => unexpected(&other, refused),
            Err(error) => refused(error),
        }
    }
    pub(super) async fn sync_group(self: &Arc<Self>, r: SyncGroupRequest) -> SyncGroupResponse {
        let refused = |error: ResponseError| SyncGroupResponse::default().with_error_code(error.code());
        match self.groups.call(&r.group_id, |core, now, ticket, out| core.sync(now, ticket, &r, out)).await {
            Ok(Reply::Sync(response)) => response,
            Ok(other) => unexpected(&other, refused),
            // The member joins anew when the coordinator has loaded (`GroupCoordinatorService.syncGroup`).
            Err(ResponseError::CoordinatorLoadInProgress) => refused(ResponseError::RebalanceInProgress),
            Err(error) => refused(error),
        }
    }
    pub(super) async fn heartbeat(self: &Arc<Self>, r: HeartbeatRequest) -> HeartbeatResponse {
        match self.groups.ask(&r.group_id, |core, now, _| core.heartbeat(now, &r)) {
            Ok(response) => response,
            // A member is not to lose its place because the coordinator loads (`GroupCoordinatorService.heartbeat`).
            Err(ResponseError::CoordinatorLoadInProgress) => HeartbeatResponse::default(),
            Err(error) => HeartbeatResponse::default().with_error_code(error.code()),
        }
    }
    pub(super) async fn leave_group(self: &Arc<Self>, r: LeaveGroupRequest, version: i16) -> LeaveGroupResponse {
        let left = self.groups.ask(&r.group_id, |core, now, out| core.leave(now, &r, version, out));
        left.unwrap_or_else(|error| LeaveGroupResponse::default().with_error_code(error.code()))
    }
}

/// The coordinator answers each request with its own kind of answer.
pub(super) fn unexpected<R>(reply: &Reply, refused: impl FnOnce(ResponseError) -> R) -> R {
    tracing::error!(?reply, "an answer to another request");
    refused(ResponseError::UnknownServerError)
}
