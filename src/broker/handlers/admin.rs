//! Administrators' requests that only the controller can answer: a broker wraps them in an Envelope (KIP-590).

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{
    AlterConfigsRequest, AlterConfigsResponse, AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse,
    CreatePartitionsRequest, CreatePartitionsResponse, DescribeQuorumRequest, DescribeQuorumResponse,
    ElectLeadersRequest, ElectLeadersResponse, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse, UnregisterBrokerRequest,
    UnregisterBrokerResponse,
};

use super::super::node::Node;
use super::topics::timeout;
use crate::controller::{Request, Response};

macro_rules! forwarded {
    ($($name:ident($request:ident) -> $response:ident = $variant:ident, within $timeout:expr;)*) => {
        impl Node {$(
            pub(super) async fn $name(self: &Arc<Self>, request: $request, version: i16) -> $response {
                let limit: fn(&Node, &$request) -> i32 = $timeout;
                let limit = timeout(limit(self, &request));
                if let Some(response) = self.forward(version, &request, limit).await {
                    return response;
                }
                match Request::$variant(request).refuse(ResponseError::RequestTimedOut) {
                    Response::$variant(response) => response,
                    other => unreachable!("a refusal is of the kind that was asked, not {other:?}"),
                }
            }
        )*}
    };
}

forwarded! {
    forward_create_partitions(CreatePartitionsRequest) -> CreatePartitionsResponse = CreatePartitions, within |_, r| r.timeout_ms;
    forward_alter_configs(AlterConfigsRequest) -> AlterConfigsResponse = AlterConfigs, within |node, _| node.patience_ms();
    forward_incremental_alter_configs(IncrementalAlterConfigsRequest) -> IncrementalAlterConfigsResponse = IncrementalAlterConfigs, within |node, _| node.patience_ms();
    forward_alter_partition_reassignments(AlterPartitionReassignmentsRequest) -> AlterPartitionReassignmentsResponse = AlterPartitionReassignments, within |_, r| r.timeout_ms;
    forward_list_partition_reassignments(ListPartitionReassignmentsRequest) -> ListPartitionReassignmentsResponse = ListPartitionReassignments, within |_, r| r.timeout_ms;
    forward_unregister_broker(UnregisterBrokerRequest) -> UnregisterBrokerResponse = UnregisterBroker, within |node, _| node.patience_ms();
    ask_elect_leaders(ElectLeadersRequest) -> ElectLeadersResponse = ElectLeaders, within |_, r| r.timeout_ms;
}

impl Node {
    /// How long the controller may take for a request that sets no limit, in ms.
    fn patience_ms(&self) -> i32 {
        self.options.config.controller_socket_timeout_ms as i32
    }

    /// DescribeQuorum: only the leader of the metadata quorum can answer.
    pub(super) async fn forward_describe_quorum(
        self: &Arc<Self>,
        request: DescribeQuorumRequest,
        version: i16,
    ) -> DescribeQuorumResponse {
        let response = self.forward(version, &request, timeout(self.patience_ms())).await;
        let late = ResponseError::RequestTimedOut.code();
        response.unwrap_or_else(|| DescribeQuorumResponse::default().with_error_code(late))
    }

    pub(super) async fn forward_elect_leaders(
        self: &Arc<Self>,
        request: ElectLeadersRequest,
        version: i16,
    ) -> ElectLeadersResponse {
        let response = self.ask_elect_leaders(request, version).await;
        // Version 0 has errors of partitions only.
        if version == 0 { response.with_error_code(0) } else { response }
    }
}
