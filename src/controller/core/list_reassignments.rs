//! ListPartitionReassignments: what is being moved (KIP-455).

use kafka_protocol::messages::list_partition_reassignments_response::{
    OngoingPartitionReassignment, OngoingTopicReassignment,
};
use kafka_protocol::messages::{
    BrokerId as WireId, ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;

use crate::base::BrokerId;
use crate::controller::image::{Image, Partition, Topic};

/// The reassignments under way, of the partitions asked for or of all; what does not exist is passed over.
pub(super) fn list(image: &Image, request: &ListPartitionReassignmentsRequest) -> ListPartitionReassignmentsResponse {
    let topics: Vec<OngoingTopicReassignment> = match &request.topics {
        None => image.topics().filter_map(|t| ongoing(t, |_| true)).collect(),
        Some(asked) => asked
            .iter()
            .filter_map(|a| ongoing(image.topic(&a.name)?, |index| a.partition_indexes.contains(&index)))
            .collect(),
    };
    ListPartitionReassignmentsResponse::default().with_topics(topics)
}

fn ongoing(topic: &Topic, asked: impl Fn(i32) -> bool) -> Option<OngoingTopicReassignment> {
    let moving = |p: &Partition| !p.adding_replicas.is_empty() || !p.removing_replicas.is_empty();
    let ids = |ids: &[BrokerId]| -> Vec<WireId> { ids.iter().map(|id| WireId(id.0)).collect() };
    let partitions: Vec<_> = topic
        .indexed()
        .filter(|(index, p)| asked(*index) && moving(p))
        .map(|(index, p)| {
            OngoingPartitionReassignment::default()
                .with_partition_index(index)
                .with_replicas(ids(&p.replicas))
                .with_adding_replicas(ids(&p.adding_replicas))
                .with_removing_replicas(ids(&p.removing_replicas))
        })
        .collect();
    let name = TopicName(StrBytes::from_string(topic.name.to_string()));
    (!partitions.is_empty()).then(|| OngoingTopicReassignment::default().with_name(name).with_partitions(partitions))
}
