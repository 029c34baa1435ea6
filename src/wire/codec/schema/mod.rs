//! Where the lengths stand in the messages of the APIs that we serve, after Kafka's message schemas.
//!
//! The schemas hold for the versions that `kafka-protocol` reads. `codec/fuzz.rs` holds them against it: whatever a schema
//! describes, in any version, the codec must read to the last byte.

pub mod admin;
pub mod client;
pub mod consumer_groups;
pub mod controller;
pub mod data;
pub mod groups;
pub mod quorum;

use super::CodecError;
use super::guard::Schema;
use kafka_protocol::messages::ApiKey;

/// What the tables are written with.
mod kinds {
    pub use crate::wire::codec::guard::Kind::{self, Blob, Str, Struct, Structs, Values};
    pub use crate::wire::codec::guard::{Field, Schema};

    pub const I8: Kind = Kind::Fixed(1);
    pub const I16: Kind = Kind::Fixed(2);
    pub const I32: Kind = Kind::Fixed(4);
    pub const I64: Kind = Kind::Fixed(8);
    pub const UUID: Kind = Kind::Fixed(16);

    pub const fn field(name: &'static str, kind: Kind) -> Field {
        Field::new(name, kind)
    }
}

/// The schema of a request.
///
/// # Errors
/// [`CodecError::UnknownApi`] if we have none.
pub fn request(key: i16) -> Result<&'static Schema, CodecError> {
    pair(key).map(|(request, _)| request)
}

/// The schema of a response.
///
/// # Errors
/// [`CodecError::UnknownApi`] if we have none.
pub fn response(key: i16) -> Result<&'static Schema, CodecError> {
    pair(key).map(|(_, response)| response)
}

fn pair(key: i16) -> Result<(&'static Schema, &'static Schema), CodecError> {
    let unknown = CodecError::UnknownApi(key);
    Ok(match ApiKey::try_from(key).map_err(|()| unknown.clone())? {
        ApiKey::Produce => (&data::PRODUCE_REQUEST, &data::PRODUCE_RESPONSE),
        ApiKey::Fetch => (&data::FETCH_REQUEST, &data::FETCH_RESPONSE),
        ApiKey::ListOffsets => (&data::LIST_OFFSETS_REQUEST, &data::LIST_OFFSETS_RESPONSE),
        ApiKey::Metadata => (&client::METADATA_REQUEST, &client::METADATA_RESPONSE),
        ApiKey::ApiVersions => (&client::API_VERSIONS_REQUEST, &client::API_VERSIONS_RESPONSE),
        ApiKey::CreateTopics => (&client::CREATE_TOPICS_REQUEST, &client::CREATE_TOPICS_RESPONSE),
        ApiKey::DeleteTopics => (&client::DELETE_TOPICS_REQUEST, &client::DELETE_TOPICS_RESPONSE),
        ApiKey::DeleteRecords => (&data::DELETE_RECORDS_REQUEST, &data::DELETE_RECORDS_RESPONSE),
        ApiKey::OffsetForLeaderEpoch => {
            (&data::OFFSET_FOR_LEADER_EPOCH_REQUEST, &data::OFFSET_FOR_LEADER_EPOCH_RESPONSE)
        }
        ApiKey::InitProducerId => (&client::INIT_PRODUCER_ID_REQUEST, &client::INIT_PRODUCER_ID_RESPONSE),
        ApiKey::FindCoordinator => (&groups::FIND_COORDINATOR_REQUEST, &groups::FIND_COORDINATOR_RESPONSE),
        ApiKey::JoinGroup => (&groups::JOIN_GROUP_REQUEST, &groups::JOIN_GROUP_RESPONSE),
        ApiKey::SyncGroup => (&groups::SYNC_GROUP_REQUEST, &groups::SYNC_GROUP_RESPONSE),
        ApiKey::Heartbeat => (&groups::HEARTBEAT_REQUEST, &groups::HEARTBEAT_RESPONSE),
        ApiKey::LeaveGroup => (&groups::LEAVE_GROUP_REQUEST, &groups::LEAVE_GROUP_RESPONSE),
        ApiKey::OffsetCommit => (&groups::OFFSET_COMMIT_REQUEST, &groups::OFFSET_COMMIT_RESPONSE),
        ApiKey::OffsetFetch => (&groups::OFFSET_FETCH_REQUEST, &groups::OFFSET_FETCH_RESPONSE),
        ApiKey::DescribeGroups => (&groups::DESCRIBE_GROUPS_REQUEST, &groups::DESCRIBE_GROUPS_RESPONSE),
        ApiKey::ListGroups => (&groups::LIST_GROUPS_REQUEST, &groups::LIST_GROUPS_RESPONSE),
        ApiKey::DeleteGroups => (&groups::DELETE_GROUPS_REQUEST, &groups::DELETE_GROUPS_RESPONSE),
        ApiKey::OffsetDelete => (&groups::OFFSET_DELETE_REQUEST, &groups::OFFSET_DELETE_RESPONSE),
        ApiKey::ConsumerGroupHeartbeat => {
            (&consumer_groups::CONSUMER_GROUP_HEARTBEAT_REQUEST, &consumer_groups::CONSUMER_GROUP_HEARTBEAT_RESPONSE)
        }
        ApiKey::ConsumerGroupDescribe => {
            (&consumer_groups::CONSUMER_GROUP_DESCRIBE_REQUEST, &consumer_groups::CONSUMER_GROUP_DESCRIBE_RESPONSE)
        }
        ApiKey::FetchSnapshot => (&quorum::FETCH_SNAPSHOT_REQUEST, &quorum::FETCH_SNAPSHOT_RESPONSE),
        ApiKey::Vote => (&quorum::VOTE_REQUEST, &quorum::VOTE_RESPONSE),
        ApiKey::BeginQuorumEpoch => (&quorum::BEGIN_QUORUM_EPOCH_REQUEST, &quorum::BEGIN_QUORUM_EPOCH_RESPONSE),
        ApiKey::EndQuorumEpoch => (&quorum::END_QUORUM_EPOCH_REQUEST, &quorum::END_QUORUM_EPOCH_RESPONSE),
        ApiKey::DescribeQuorum => (&quorum::DESCRIBE_QUORUM_REQUEST, &quorum::DESCRIBE_QUORUM_RESPONSE),
        ApiKey::AlterPartition => (&controller::ALTER_PARTITION_REQUEST, &controller::ALTER_PARTITION_RESPONSE),
        ApiKey::Envelope => (&controller::ENVELOPE_REQUEST, &controller::ENVELOPE_RESPONSE),
        ApiKey::BrokerRegistration => {
            (&controller::BROKER_REGISTRATION_REQUEST, &controller::BROKER_REGISTRATION_RESPONSE)
        }
        ApiKey::ControllerRegistration => {
            (&controller::CONTROLLER_REGISTRATION_REQUEST, &controller::CONTROLLER_REGISTRATION_RESPONSE)
        }
        ApiKey::BrokerHeartbeat => (&controller::BROKER_HEARTBEAT_REQUEST, &controller::BROKER_HEARTBEAT_RESPONSE),
        ApiKey::AllocateProducerIds => {
            (&controller::ALLOCATE_PRODUCER_IDS_REQUEST, &controller::ALLOCATE_PRODUCER_IDS_RESPONSE)
        }
        ApiKey::DescribeConfigs => (&admin::DESCRIBE_CONFIGS_REQUEST, &admin::DESCRIBE_CONFIGS_RESPONSE),
        ApiKey::AlterConfigs => (&admin::ALTER_CONFIGS_REQUEST, &admin::ALTER_CONFIGS_RESPONSE),
        ApiKey::IncrementalAlterConfigs => {
            (&admin::INCREMENTAL_ALTER_CONFIGS_REQUEST, &admin::INCREMENTAL_ALTER_CONFIGS_RESPONSE)
        }
        ApiKey::CreatePartitions => (&admin::CREATE_PARTITIONS_REQUEST, &admin::CREATE_PARTITIONS_RESPONSE),
        ApiKey::ElectLeaders => (&admin::ELECT_LEADERS_REQUEST, &admin::ELECT_LEADERS_RESPONSE),
        ApiKey::AlterPartitionReassignments => {
            (&admin::ALTER_PARTITION_REASSIGNMENTS_REQUEST, &admin::ALTER_PARTITION_REASSIGNMENTS_RESPONSE)
        }
        ApiKey::ListPartitionReassignments => {
            (&admin::LIST_PARTITION_REASSIGNMENTS_REQUEST, &admin::LIST_PARTITION_REASSIGNMENTS_RESPONSE)
        }
        ApiKey::DescribeLogDirs => (&admin::DESCRIBE_LOG_DIRS_REQUEST, &admin::DESCRIBE_LOG_DIRS_RESPONSE),
        ApiKey::DescribeCluster => (&admin::DESCRIBE_CLUSTER_REQUEST, &admin::DESCRIBE_CLUSTER_RESPONSE),
        ApiKey::UnregisterBroker => (&admin::UNREGISTER_BROKER_REQUEST, &admin::UNREGISTER_BROKER_RESPONSE),
        ApiKey::DescribeTopicPartitions => {
            (&admin::DESCRIBE_TOPIC_PARTITIONS_REQUEST, &admin::DESCRIBE_TOPIC_PARTITIONS_RESPONSE)
        }
        _ => return Err(unknown),
    })
}
