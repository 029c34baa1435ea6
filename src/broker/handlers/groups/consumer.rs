//! ConsumerGroupHeartbeat, ConsumerGroupDescribe.

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::consumer_group_describe_response::DescribedGroup;
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse, GroupId,
};

use super::members::unexpected;
use crate::broker::node::Node;
use crate::broker::server::Request;
use crate::group::{Caller, Reply};

impl Node {
    pub(super) async fn consumer_group_heartbeat(
        self: &Arc<Self>,
        r: ConsumerGroupHeartbeatRequest,
        request: &Request,
    ) -> ConsumerGroupHeartbeatResponse {
        let caller = Caller {
            client_id: request.client_id.as_str().into(),
            host: request.peer.clone(),
            version: request.version,
        };
        let refused = |error: ResponseError| ConsumerGroupHeartbeatResponse::default().with_error_code(error.code());
        let asked = self.groups.call(&r.group_id, |core, now, ticket, out| {
            core.consumer_heartbeat(now, ticket, &caller, &r, out);
        });
        match asked.await {
            Ok(Reply::ConsumerHeartbeat(response)) => response,
            Ok(other) => unexpected(&other, refused),
            Err(error) => refused(error),
        }
    }

    pub(super) async fn consumer_group_describe(
        self: &Arc<Self>,
        r: ConsumerGroupDescribeRequest,
    ) -> ConsumerGroupDescribeResponse {
        let describe = |id: &GroupId| {
            let described =
                super::named(id).and_then(|()| self.groups.ask(id, |core, _, _| core.describe_consumer(id)));
            described.unwrap_or_else(|error| {
                DescribedGroup::default().with_group_id(id.clone()).with_error_code(error.code())
            })
        };
        ConsumerGroupDescribeResponse::default().with_groups(r.group_ids.iter().map(describe).collect())
    }
}
