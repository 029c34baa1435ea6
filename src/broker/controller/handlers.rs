//! The controller's APIs: decoded requests in, responses out.

use kafka_protocol::messages::{
    AllocateProducerIdsRequest, AllocateProducerIdsResponse, AlterConfigsRequest, AlterConfigsResponse,
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, AlterPartitionRequest,
    AlterPartitionResponse, BrokerHeartbeatRequest, BrokerHeartbeatResponse, BrokerRegistrationRequest,
    BrokerRegistrationResponse, ControllerRegistrationRequest, ControllerRegistrationResponse, CreatePartitionsRequest,
    CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest, DeleteTopicsResponse,
    ElectLeadersRequest, ElectLeadersResponse, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse, UnregisterBrokerRequest,
    UnregisterBrokerResponse,
};

use super::ControllerNode;
use crate::controller::{Request, Response};

macro_rules! handlers {
    ($($(#[$doc:meta])* $name:ident($request:ident) -> $response:ident = $variant:ident;)*) => {
        impl ControllerNode {$(
            $(#[$doc])*
            pub async fn $name(&self, request: $request) -> $response {
                match self.ask(Request::$variant(request)).await {
                    Response::$variant(response) => response,
                    other => unreachable!("the core answers in kind, not with {other:?}"),
                }
            }
        )*}
    };
}

handlers! {
    /// BrokerRegistration. Errors: NOT_CONTROLLER, INCONSISTENT_CLUSTER_ID, DUPLICATE_BROKER_REGISTRATION,
    /// UNSUPPORTED_VERSION, INVALID_REQUEST.
    broker_registration(BrokerRegistrationRequest) -> BrokerRegistrationResponse = RegisterBroker;
    /// BrokerHeartbeat. Errors: NOT_CONTROLLER, STALE_BROKER_EPOCH.
    broker_heartbeat(BrokerHeartbeatRequest) -> BrokerHeartbeatResponse = Heartbeat;
    /// ControllerRegistration. Errors: NOT_CONTROLLER, UNSUPPORTED_VERSION.
    controller_registration(ControllerRegistrationRequest) -> ControllerRegistrationResponse = RegisterController;
    /// AlterPartition, versions 2 and 3. Errors for all partitions: NOT_CONTROLLER, STALE_BROKER_EPOCH.
    alter_partition(AlterPartitionRequest) -> AlterPartitionResponse = AlterPartition;
    /// AllocateProducerIds. Errors: NOT_CONTROLLER, STALE_BROKER_EPOCH.
    allocate_producer_ids(AllocateProducerIdsRequest) -> AllocateProducerIdsResponse = AllocateProducerIds;
    /// CreateTopics; every error stands at its topic.
    create_topics(CreateTopicsRequest) -> CreateTopicsResponse = CreateTopics;
    /// DeleteTopics; every error stands at its topic.
    delete_topics(DeleteTopicsRequest) -> DeleteTopicsResponse = DeleteTopics;
    /// CreatePartitions; every error stands at its topic.
    create_partitions(CreatePartitionsRequest) -> CreatePartitionsResponse = CreatePartitions;
    /// ElectLeaders; errors of its own: NOT_CONTROLLER, INVALID_REQUEST.
    elect_leaders(ElectLeadersRequest) -> ElectLeadersResponse = ElectLeaders;
    /// AlterConfigs; every error stands at its resource.
    alter_configs(AlterConfigsRequest) -> AlterConfigsResponse = AlterConfigs;
    /// IncrementalAlterConfigs; every error stands at its resource.
    incremental_alter_configs(IncrementalAlterConfigsRequest) -> IncrementalAlterConfigsResponse = IncrementalAlterConfigs;
    /// AlterPartitionReassignments; errors of its own: NOT_CONTROLLER.
    alter_partition_reassignments(AlterPartitionReassignmentsRequest) -> AlterPartitionReassignmentsResponse = AlterPartitionReassignments;
    /// ListPartitionReassignments; errors: NOT_CONTROLLER.
    list_partition_reassignments(ListPartitionReassignmentsRequest) -> ListPartitionReassignmentsResponse = ListPartitionReassignments;
    /// UnregisterBroker; errors: NOT_CONTROLLER, BROKER_ID_NOT_REGISTERED.
    unregister_broker(UnregisterBrokerRequest) -> UnregisterBrokerResponse = UnregisterBroker;
}
