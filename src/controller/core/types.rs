//! The core's vocabulary: what it is told and what it wants done. Data only.

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

use crate::base::{BrokerId, LeaderEpoch, Offset};
use crate::controller::image::Image;
use crate::wire::records::MetadataRecord;

/// The controller's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControllerConfig {
    /// This node.
    pub me: BrokerId,
    /// Brokers of another cluster are refused.
    pub cluster_id: String,
    /// `broker.session.timeout.ms`: a broker that is silent for longer is fenced.
    pub session_timeout_ms: u64,
    /// `metadata.max.idle.interval.ms`: a no-op record is written this often, in ms; 0 never.
    pub max_idle_interval_ms: u64,
    /// `min.insync.replicas` of topics that set none.
    pub min_insync_replicas: usize,
    /// `unclean.leader.election.enable` of topics that set none.
    pub unclean_leader_election: bool,
    /// `leader.imbalance.check.interval.seconds`, in ms: how long a partition may be led by another than its preferred
    /// replica before it is moved back; 0 if `auto.leader.rebalance.enable` is false.
    pub leader_imbalance_check_interval_ms: u64,
    /// `unclean.leader.election.interval.ms`: how long a partition is without a leader before an unclean election that
    /// its topic allows is tried.
    pub unclean_election_interval_ms: u64,
    /// Whether a new cluster starts with eligible leader replicas (KIP-966).
    pub eligible_leader_replicas: bool,
    /// `num.partitions`: of topics that are created with -1.
    pub num_partitions: i32,
    /// `default.replication.factor`: of topics that are created with -1.
    pub default_replication_factor: i16,
}

/// Names one request; drawn by the shell, opaque to the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Token(pub u64);

/// What the active controller is asked to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// A broker introduces itself.
    RegisterBroker(BrokerRegistrationRequest),
    /// A controller introduces itself (KIP-919).
    RegisterController(ControllerRegistrationRequest),
    /// A broker lives, and may want to be fenced, unfenced or shut down.
    Heartbeat(BrokerHeartbeatRequest),
    /// A partition's leader proposes another ISR.
    AlterPartition(AlterPartitionRequest),
    /// New topics.
    CreateTopics(CreateTopicsRequest),
    /// Topics to remove, by name or id.
    DeleteTopics(DeleteTopicsRequest),
    /// More partitions for topics.
    CreatePartitions(CreatePartitionsRequest),
    /// Leader elections that somebody wishes for.
    ElectLeaders(ElectLeadersRequest),
    /// Configurations to replace.
    AlterConfigs(AlterConfigsRequest),
    /// Configurations to change.
    IncrementalAlterConfigs(IncrementalAlterConfigsRequest),
    /// Partitions to move to other brokers.
    AlterPartitionReassignments(AlterPartitionReassignmentsRequest),
    /// Which partitions are being moved.
    ListPartitionReassignments(ListPartitionReassignmentsRequest),
    /// A broker to forget.
    UnregisterBroker(UnregisterBrokerRequest),
    /// A block of producer ids for one broker.
    AllocateProducerIds(AllocateProducerIdsRequest),
}

/// The answer to a [`Request`], of the same kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Response {
    /// To [`Request::RegisterBroker`].
    RegisterBroker(BrokerRegistrationResponse),
    /// To [`Request::RegisterController`].
    RegisterController(ControllerRegistrationResponse),
    /// To [`Request::Heartbeat`].
    Heartbeat(BrokerHeartbeatResponse),
    /// To [`Request::AlterPartition`].
    AlterPartition(AlterPartitionResponse),
    /// To [`Request::CreateTopics`].
    CreateTopics(CreateTopicsResponse),
    /// To [`Request::DeleteTopics`].
    DeleteTopics(DeleteTopicsResponse),
    /// To [`Request::CreatePartitions`].
    CreatePartitions(CreatePartitionsResponse),
    /// To [`Request::ElectLeaders`].
    ElectLeaders(ElectLeadersResponse),
    /// To [`Request::AlterConfigs`].
    AlterConfigs(AlterConfigsResponse),
    /// To [`Request::IncrementalAlterConfigs`].
    IncrementalAlterConfigs(IncrementalAlterConfigsResponse),
    /// To [`Request::AlterPartitionReassignments`].
    AlterPartitionReassignments(AlterPartitionReassignmentsResponse),
    /// To [`Request::ListPartitionReassignments`].
    ListPartitionReassignments(ListPartitionReassignmentsResponse),
    /// To [`Request::UnregisterBroker`].
    UnregisterBroker(UnregisterBrokerResponse),
    /// To [`Request::AllocateProducerIds`].
    AllocateProducerIds(AllocateProducerIdsResponse),
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// This node leads the metadata quorum. `image` holds everything before the leadership, and its
    /// [`next`](Image::next) is the offset that the next proposal gets.
    BecameActive {
        /// The quorum's epoch; proposals carry it.
        epoch: LeaderEpoch,
        /// The metadata to start from.
        image: Image,
    },
    /// This node no longer leads, or a proposal failed.
    Resigned,
    /// A request arrived.
    Request {
        /// Its name.
        token: Token,
        /// What is asked.
        request: Request,
    },
    /// Everything below `upto` is committed.
    Committed {
        /// The offset after the last committed one.
        upto: Offset,
    },
    /// Time may have reached [`next_deadline`](super::ControllerCore::next_deadline).
    Tick,
}

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Append these records to the metadata log as one atomic batch. If the quorum refuses, or puts them anywhere but
    /// at `base`, say [`Input::Resigned`].
    Propose {
        /// The quorum epoch in which they hold.
        epoch: LeaderEpoch,
        /// The offset that the first of them must get.
        base: Offset,
        /// Never empty.
        records: Vec<MetadataRecord>,
    },
    /// Answer a request. Whatever the answer rests on is committed.
    Reply {
        /// The request's name.
        token: Token,
        /// The answer.
        response: Response,
    },
}
