//! The APIs of the controller listener: those of the metadata quorum, and those of the active controller.

use std::sync::Arc;

use kafka_protocol::messages::ApiKey;

use super::super::controller::ControllerServer;
use super::super::server::{Handler, Reply, Request};
use super::{answer, unserved};

impl Handler for ControllerServer {
    async fn handle(self: &Arc<Self>, request: Request) -> Reply {
        let (quorum, controller) = (self.quorum(), self.controller());
        match request.api {
            // The metadata quorum's own log and nothing else.
            ApiKey::Fetch => answer(&request, |r| quorum.handle_fetch(r)).await,
            ApiKey::Vote => answer(&request, |r| quorum.handle_vote(r)).await,
            ApiKey::BeginQuorumEpoch => answer(&request, |r| quorum.handle_begin(r)).await,
            ApiKey::EndQuorumEpoch => answer(&request, |r| quorum.handle_end(r)).await,
            ApiKey::FetchSnapshot => answer(&request, |r| quorum.handle_fetch_snapshot(r)).await,
            ApiKey::BrokerRegistration => answer(&request, |r| controller.broker_registration(r)).await,
            ApiKey::BrokerHeartbeat => answer(&request, |r| controller.broker_heartbeat(r)).await,
            ApiKey::ControllerRegistration => answer(&request, |r| controller.controller_registration(r)).await,
            ApiKey::AlterPartition => answer(&request, |r| controller.alter_partition(r)).await,
            ApiKey::AllocateProducerIds => answer(&request, |r| controller.allocate_producer_ids(r)).await,
            ApiKey::CreateTopics => answer(&request, |r| controller.create_topics(r)).await,
            ApiKey::DeleteTopics => answer(&request, |r| controller.delete_topics(r)).await,
            ApiKey::CreatePartitions => answer(&request, |r| controller.create_partitions(r)).await,
            ApiKey::ElectLeaders => answer(&request, |r| controller.elect_leaders(r)).await,
            ApiKey::AlterConfigs => answer(&request, |r| controller.alter_configs(r)).await,
            ApiKey::IncrementalAlterConfigs => answer(&request, |r| controller.incremental_alter_configs(r)).await,
            ApiKey::AlterPartitionReassignments => {
                answer(&request, |r| controller.alter_partition_reassignments(r)).await
            }
            ApiKey::ListPartitionReassignments => {
                answer(&request, |r| controller.list_partition_reassignments(r)).await
            }
            ApiKey::DescribeQuorum => answer(&request, |r| async move { quorum.describe(request.version, &r) }).await,
            ApiKey::DescribeCluster => answer(&request, |r| async move { self.describe_controllers(&r) }).await,
            ApiKey::UnregisterBroker => answer(&request, |r| controller.unregister_broker(r)).await,
            ApiKey::Envelope => answer(&request, |r| controller.envelope(r)).await,
            other => unserved(other),
        }
    }
}
