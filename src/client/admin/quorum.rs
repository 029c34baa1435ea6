//! The metadata quorum: who leads it and how far each replica of its log is (DescribeQuorum).

use super::call::whole;
use super::{Admin, AdminError};
use crate::base::{BrokerId, LeaderEpoch, Offset};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_quorum_request::{PartitionData, TopicData};
use kafka_protocol::messages::describe_quorum_response::ReplicaState;
use kafka_protocol::messages::{DescribeQuorumRequest, DescribeQuorumResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeMap;

/// The quorum, as its leader describes it (`QuorumInfo`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumInfo {
    /// The leader: the active controller.
    pub leader: BrokerId,
    /// Its epoch.
    pub epoch: LeaderEpoch,
    /// Everything below is committed; none until the leader knows.
    pub high_watermark: Option<Offset>,
    /// All voters, by id.
    pub voters: BTreeMap<BrokerId, QuorumReplica>,
    /// Whoever else fetched in the last five minutes, by id.
    pub observers: BTreeMap<BrokerId, QuorumReplica>,
    /// Host and port of each voter's controller listener.
    pub nodes: BTreeMap<BrokerId, (String, u16)>,
}

/// One replica of the metadata log. What the leader does not know yet is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuorumReplica {
    /// The end of its log at its last fetch.
    pub log_end: Option<Offset>,
    /// When it fetched last, in milliseconds since 1970 by the leader's clock.
    pub last_fetch_ms: Option<i64>,
    /// When it last had everything that the leader had (KIP-836).
    pub last_caught_up_ms: Option<i64>,
}

impl Admin {
    /// Describes the metadata quorum; any broker passes the question on to its leader.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn describe_quorum(&mut self) -> Result<QuorumInfo, AdminError> {
        let topic = TopicData::default()
            .with_topic_name(TopicName(StrBytes::from_static_str("__cluster_metadata")))
            .with_partitions(vec![PartitionData::default().with_partition_index(0)]);
        let request = DescribeQuorumRequest::default().with_topics(vec![topic]);
        self.call(&request, |response: DescribeQuorumResponse| {
            whole(response.error_code)?;
            let partition = response.topics.into_iter().next().and_then(|t| t.partitions.into_iter().next());
            let partition = partition.ok_or(ResponseError::UnknownServerError)?;
            whole(partition.error_code)?;
            let nodes = response.nodes.iter().filter_map(|n| {
                let listener = n.listeners.first()?;
                Some((BrokerId(n.node_id.0), (listener.host.to_string(), listener.port)))
            });
            Ok(QuorumInfo {
                leader: BrokerId(partition.leader_id.0),
                epoch: LeaderEpoch(partition.leader_epoch),
                high_watermark: known(partition.high_watermark).map(Offset),
                voters: partition.current_voters.iter().map(replica).collect(),
                observers: partition.observers.iter().map(replica).collect(),
                nodes: nodes.collect(),
            })
        })
        .await
    }
}

fn replica(state: &ReplicaState) -> (BrokerId, QuorumReplica) {
    let replica = QuorumReplica {
        log_end: known(state.log_end_offset).map(Offset),
        last_fetch_ms: known(state.last_fetch_timestamp),
        last_caught_up_ms: known(state.last_caught_up_timestamp),
    };
    (BrokerId(state.replica_id.0), replica)
}

/// -1 stands for what is not known.
fn known(number: i64) -> Option<i64> {
    Some(number).filter(|n| *n >= 0)
}
