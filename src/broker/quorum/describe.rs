//! DescribeQuorum (KIP-595, KIP-836): how far each replica of the metadata log is, by the leader's word.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_quorum_response::{Listener, Node, PartitionData, ReplicaState, TopicData};
use kafka_protocol::messages::{DescribeQuorumRequest, DescribeQuorumResponse};
use kafka_protocol::protocol::StrBytes;

use super::messages::{id, topic_name};
use super::{METADATA_TOPIC, Quorum};
use crate::base::Offset;
use crate::io::clock;
use crate::raft::{QuorumDescription, ReplicaDescription};

impl Quorum {
    /// Answers in the words of `version`. Errors of partitions: UNKNOWN_TOPIC_OR_PARTITION for anything but the metadata
    /// log, NOT_LEADER_OR_FOLLOWER if this node does not lead the quorum.
    #[must_use]
    pub fn describe(&self, version: i16, request: &DescribeQuorumRequest) -> DescribeQuorumResponse {
        let asked = || request.topics.iter().flat_map(|t| t.partitions.iter().map(move |p| (t, p.partition_index)));
        let only = match (asked().next(), asked().nth(1)) {
            (Some((topic, 0)), None) => &**topic.topic_name == METADATA_TOPIC,
            _ => false,
        };
        if !only {
            let refuse = |index| refused(index, ResponseError::UnknownTopicOrPartition);
            let topics = request.topics.iter().map(|t| {
                let partitions = t.partitions.iter().map(|p| refuse(p.partition_index)).collect();
                TopicData::default().with_topic_name(t.topic_name.clone()).with_partitions(partitions)
            });
            return DescribeQuorumResponse::default().with_topics(topics.collect());
        }
        let now = clock::now();
        let description = {
            let shell = self.shell.lock();
            shell.core.describe(now).filter(|_| shell.failure.borrow().is_none())
        };
        let partition = match &description {
            Some(description) => described(version, description),
            None => refused(0, ResponseError::NotLeaderOrFollower),
        };
        let topic = TopicData::default().with_topic_name(topic_name()).with_partitions(vec![partition]);
        let response = DescribeQuorumResponse::default().with_topics(vec![topic]);
        match description {
            Some(_) if version >= 2 => response.with_nodes(self.nodes()),
            _ => response,
        }
    }

    /// Where the voters' controllers listen.
    fn nodes(&self) -> Vec<Node> {
        let node = |(voter, (host, port)): (&crate::base::BrokerId, &(String, u16))| {
            let listener = Listener::default()
                .with_name(StrBytes::from_static_str("CONTROLLER"))
                .with_host(StrBytes::from_string(host.clone()))
                .with_port(*port);
            Node::default().with_node_id(id(*voter)).with_listeners(vec![listener])
        };
        self.config.voters.iter().map(node).collect()
    }
}

fn described(version: i16, description: &QuorumDescription) -> PartitionData {
    let replica = |r: &ReplicaDescription| {
        let state =
            ReplicaState::default().with_replica_id(id(r.id)).with_log_end_offset(r.end.unwrap_or(Offset::NONE).0);
        if version == 0 {
            return state;
        }
        state
            .with_last_fetch_timestamp(r.last_fetch_ms.unwrap_or(-1))
            .with_last_caught_up_timestamp(r.last_caught_up_ms.unwrap_or(-1))
    };
    PartitionData::default()
        .with_partition_index(0)
        .with_leader_id(id(description.leader))
        .with_leader_epoch(description.epoch.0)
        .with_high_watermark(description.high_watermark.unwrap_or(Offset::NONE).0)
        .with_current_voters(description.voters.iter().map(replica).collect())
        .with_observers(description.observers.iter().map(replica).collect())
}

fn refused(index: i32, error: ResponseError) -> PartitionData {
    PartitionData::default().with_partition_index(index).with_error_code(error.code())
}
