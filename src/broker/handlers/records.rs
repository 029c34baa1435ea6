//! DeleteRecords and OffsetForLeaderEpoch: where a log begins, and where its leaderships ended.

use std::sync::Arc;

use kafka_protocol::messages::delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
use kafka_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use kafka_protocol::messages::offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};
use kafka_protocol::messages::{
    DeleteRecordsRequest, DeleteRecordsResponse, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
};

use super::super::node::Node;
use super::super::partitions::{DeleteRecordsPartition, TopicRef};
use crate::base::{LeaderEpoch, Offset};

impl Node {
    pub(super) async fn delete_records(self: &Arc<Self>, request: DeleteRecordsRequest) -> DeleteRecordsResponse {
        let timeout_ms = u64::try_from(request.timeout_ms).unwrap_or(0);
        let mut asked = Vec::new();
        for topic in &request.topics {
            let reference = TopicRef::Name(topic.name.as_str().into());
            asked.extend(topic.partitions.iter().map(|p| DeleteRecordsPartition {
                topic: reference.clone(),
                partition: p.partition_index,
                offset: Offset(p.offset),
            }));
        }
        let outcomes = self.partitions.delete_records(&asked, timeout_ms).await;
        let mut results = asked.iter().zip(outcomes);
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in request.topics {
            let result = |(p, outcome): (&DeleteRecordsPartition, super::super::partitions::DeleteRecordsOutcome)| {
                DeleteRecordsPartitionResult::default()
                    .with_partition_index(p.partition)
                    .with_low_watermark(outcome.low.0)
                    .with_error_code(outcome.error.map_or(0, |e| e.code()))
            };
            let partitions = results.by_ref().take(topic.partitions.len()).map(result).collect();
            topics.push(DeleteRecordsTopicResult::default().with_name(topic.name).with_partitions(partitions));
        }
        DeleteRecordsResponse::default().with_topics(topics)
    }

    pub(super) async fn offset_for_leader_epoch(
        self: &Arc<Self>,
        request: OffsetForLeaderEpochRequest,
    ) -> OffsetForLeaderEpochResponse {
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in request.topics {
            let reference = TopicRef::Name(topic.topic.as_str().into());
            let answers = topic.partitions.iter().map(|p| self.epoch_end(&reference, p)).collect();
            topics.push(OffsetForLeaderTopicResult::default().with_topic(topic.topic).with_partitions(answers));
        }
        OffsetForLeaderEpochResponse::default().with_topics(topics)
    }

    fn epoch_end(&self, topic: &TopicRef, p: &OffsetForLeaderPartition) -> EpochEndOffset {
        let current = LeaderEpoch(p.current_leader_epoch);
        let answer = EpochEndOffset::default().with_partition(p.partition).with_leader_epoch(-1).with_end_offset(-1);
        match self.partitions.offset_for_leader_epoch(topic, p.partition, current, LeaderEpoch(p.leader_epoch)) {
            Ok(Some(found)) => answer.with_leader_epoch(found.epoch.0).with_end_offset(found.end.0),
            Ok(None) => answer,
            Err(error) => answer.with_error_code(error.code()),
        }
    }
}
