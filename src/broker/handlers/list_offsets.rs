//! ListOffsets: log start, high watermark, or an offset by time.

use std::sync::Arc;

use kafka_protocol::messages::list_offsets_request::ListOffsetsPartition;
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kafka_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};

use super::super::node::Node;
use super::super::partitions::{Fetcher, OffsetQuery, TopicRef};
use crate::base::{BrokerEpoch, BrokerId, LeaderEpoch};

/// From this version on, the answer tells the epoch of the leader that wrote the record (KIP-320).
const LEADER_EPOCHS: i16 = 4;

impl Node {
    pub(super) async fn list_offsets(
        self: &Arc<Self>,
        request: ListOffsetsRequest,
        version: i16,
    ) -> ListOffsetsResponse {
        let fetcher = match request.replica_id.0 {
            id if id < 0 => Fetcher::Consumer,
            id => Fetcher::Replica { id: BrokerId(id), epoch: BrokerEpoch::NONE },
        };
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in request.topics {
            let reference = TopicRef::Name(topic.name.as_str().into());
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for p in &topic.partitions {
                partitions.push(self.list_offset(&reference, fetcher, p, version).await);
            }
            topics.push(ListOffsetsTopicResponse::default().with_name(topic.name).with_partitions(partitions));
        }
        ListOffsetsResponse::default().with_topics(topics)
    }

    async fn list_offset(
        &self,
        topic: &TopicRef,
        fetcher: Fetcher,
        p: &ListOffsetsPartition,
        version: i16,
    ) -> ListOffsetsPartitionResponse {
        let query = match p.timestamp {
            -1 => OffsetQuery::Latest,
            -2 => OffsetQuery::Earliest,
            -3 => OffsetQuery::MaxTimestamp,
            time => OffsetQuery::Timestamp(time),
        };
        let epoch = LeaderEpoch(p.current_leader_epoch);
        let response = ListOffsetsPartitionResponse::default().with_partition_index(p.partition_index);
        match self.partitions.list_offset(topic, p.partition_index, fetcher, epoch, query).await {
            Ok(found) => {
                let response = response.with_offset(found.offset.0).with_timestamp(found.timestamp);
                if version >= LEADER_EPOCHS { response.with_leader_epoch(found.leader_epoch.0) } else { response }
            }
            Err(error) => response.with_error_code(error.code()).with_offset(-1).with_timestamp(-1),
        }
    }
}
