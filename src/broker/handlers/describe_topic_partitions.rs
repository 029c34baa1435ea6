//! DescribeTopicPartitions (KIP-966): partitions with their eligible leader replicas, page by page
//! (Kafka's `DescribeTopicPartitionsRequestHandler`).

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use kafka_protocol::messages::{BrokerId as WireId, TopicName};
use kafka_protocol::messages::{DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse};
use kafka_protocol::protocol::StrBytes;

use super::super::node::Node;
use crate::base::BrokerId;
use crate::controller::image::{Image, Partition, Topic};

/// `max.request.partition.size.limit`
const MAX_PARTITIONS: i32 = 2_000;

impl Node {
    pub(super) fn describe_topic_partitions(
        &self,
        request: &DescribeTopicPartitionsRequest,
    ) -> DescribeTopicPartitionsResponse {
        page(&self.metadata.image(), request)
    }
}

fn page(image: &Image, request: &DescribeTopicPartitionsRequest) -> DescribeTopicPartitionsResponse {
    let from = request.cursor.as_ref().map_or(("", 0), |c| (c.topic_name.as_str(), c.partition_index));
    if from.1 < 0 {
        let topics = request.topics.iter().map(|t| refused(&t.name, ResponseError::InvalidRequest));
        return DescribeTopicPartitionsResponse::default().with_topics(topics.collect());
    }
    let mut topics: BTreeMap<&str, Option<&Arc<Topic>>> =
        request.topics.iter().map(|t| (t.name.as_str(), image.topic(&t.name))).collect();
    if topics.is_empty() {
        topics = image.topics().map(|t| (&*t.name, Some(t))).collect();
    }
    let mut left = request.response_partition_limit.clamp(1, MAX_PARTITIONS) as usize;
    let mut response = DescribeTopicPartitionsResponse::default();
    for (name, topic) in topics.into_iter().filter(|(name, _)| *name >= from.0) {
        let Some(topic) = topic else {
            response.topics.push(refused(&wire_name(name), ResponseError::UnknownTopicOrPartition));
            continue;
        };
        let first = if name == from.0 { from.1 } else { 0 };
        if left == 0 {
            return response.with_next_cursor(Some(cursor(name, first)));
        }
        let rest = topic.indexed().filter(|(index, _)| *index >= first);
        let partitions: Vec<_> = rest.take(left).map(|(index, p)| described(image, index, p)).collect();
        left -= partitions.len();
        let next = first as usize + partitions.len();
        response.topics.push(
            DescribeTopicPartitionsResponseTopic::default()
                .with_name(Some(wire_name(name)))
                .with_topic_id(topic.id)
                .with_is_internal(name.starts_with("__"))
                .with_partitions(partitions),
        );
        if next < topic.partitions.len() {
            return response.with_next_cursor(Some(cursor(name, next as i32)));
        }
    }
    response
}

fn cursor(topic: &str, partition: i32) -> Cursor {
    Cursor::default().with_topic_name(wire_name(topic)).with_partition_index(partition)
}

fn refused(name: &TopicName, error: ResponseError) -> DescribeTopicPartitionsResponseTopic {
    DescribeTopicPartitionsResponseTopic::default().with_name(Some(name.clone())).with_error_code(error.code())
}

fn described(image: &Image, index: i32, p: &Partition) -> DescribeTopicPartitionsResponsePartition {
    let alive = |id: &BrokerId| image.broker(*id).is_some_and(|b| !b.fenced);
    let ids = |ids: &[BrokerId]| -> Vec<WireId> { ids.iter().map(|id| WireId(id.0)).collect() };
    let offline: Vec<BrokerId> = p.replicas.iter().copied().filter(|id| !alive(id)).collect();
    let leader = if alive(&p.leader) { p.leader } else { BrokerId::NONE };
    DescribeTopicPartitionsResponsePartition::default()
        .with_partition_index(index)
        .with_leader_id(leader.0.into())
        .with_leader_epoch(p.leader_epoch.0)
        .with_replica_nodes(ids(&p.replicas))
        .with_isr_nodes(ids(&p.isr))
        .with_eligible_leader_replicas(Some(ids(&p.elr)))
        .with_last_known_elr(Some(ids(&p.last_known_elr)))
        .with_offline_replicas(ids(&offline))
}

fn wire_name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{LeaderEpoch, PartitionEpoch, TopicId};
    use crate::controller::image::Changes;
    use crate::wire::records::{PartitionRecord, TopicRecord};
    use kafka_protocol::messages::describe_topic_partitions_request::{Cursor as Asked, TopicRequest};

    fn image(topics: &[(&str, i32)]) -> Image {
        let mut image = Image::default();
        for (n, (name, partitions)) in (1..).zip(topics) {
            let topic_id = TopicId::from_u128(n);
            let mut write = |record| image.apply(image.next(), &record, &mut Changes::default()).unwrap();
            write(TopicRecord { name: (*name).into(), topic_id }.into());
            for partition_id in 0..*partitions {
                write(
                    PartitionRecord {
                        partition_id,
                        topic_id,
                        replicas: vec![BrokerId(1)],
                        isr: vec![BrokerId(1)],
                        leader: BrokerId(1),
                        leader_epoch: LeaderEpoch(0),
                        partition_epoch: PartitionEpoch(0),
                        ..PartitionRecord::default()
                    }
                    .into(),
                );
            }
        }
        image
    }

    fn seen(response: &DescribeTopicPartitionsResponse) -> Vec<(String, i32)> {
        let name = |t: &DescribeTopicPartitionsResponseTopic| t.name.as_ref().unwrap().to_string();
        let topics = response.topics.iter();
        topics.flat_map(|t| t.partitions.iter().map(|p| (name(t), p.partition_index)).collect::<Vec<_>>()).collect()
    }

    #[test]
    fn pages_follow_each_other_without_a_gap_whatever_their_size() {
        let image = image(&[("a", 3), ("b", 1), ("c", 4)]);
        let all = seen(&page(&image, &DescribeTopicPartitionsRequest::default()));
        assert_eq!(all.len(), 8);
        for limit in 1..9 {
            let (mut found, mut cursor) = (Vec::new(), None);
            loop {
                let request =
                    DescribeTopicPartitionsRequest::default().with_response_partition_limit(limit).with_cursor(cursor);
                let response = page(&image, &request);
                assert!(seen(&response).len() <= limit as usize);
                found.extend(seen(&response));
                let Some(next) = response.next_cursor else { break };
                cursor =
                    Some(Asked::default().with_topic_name(next.topic_name).with_partition_index(next.partition_index));
            }
            assert_eq!(found, all, "pages of {limit}");
        }
    }

    #[test]
    fn unknown_topics_are_told_and_a_cursor_before_the_first_partition_is_refused() {
        let image = image(&[("a", 1)]);
        let asked = DescribeTopicPartitionsRequest::default()
            .with_topics(vec![TopicRequest::default().with_name(wire_name("nope"))]);
        let response = page(&image, &asked);
        assert_eq!(response.topics[0].error_code, ResponseError::UnknownTopicOrPartition.code());
        let cursor = Asked::default().with_topic_name(wire_name("a")).with_partition_index(-1);
        let response = page(&image, &asked.with_cursor(Some(cursor)));
        assert_eq!(response.topics[0].error_code, ResponseError::InvalidRequest.code());
    }
}
