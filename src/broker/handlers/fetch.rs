//! Fetch, from consumers and followers alike. Every fetch names all its partitions: sessions (KIP-227) are an
//! optimisation that a broker may decline, and this one does.

use std::sync::Arc;

use kafka_protocol::messages::fetch_request::FetchTopic;
use kafka_protocol::messages::fetch_response::{
    EpochEndOffset, FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint, PartitionData,
};
use kafka_protocol::messages::{FetchRequest, FetchResponse, TopicName};

use super::super::node::Node;
use super::super::partitions::{FetchPartition, FetchResult, FetchSpec, Fetcher, TopicRef};
use crate::base::{BrokerEpoch, BrokerId, LeaderEpoch, Offset, TopicId};

/// From this version on, topics go by id (KIP-516).
const TOPIC_IDS: i16 = 13;
/// From this version on, a lost leader's successor is named with its address (KIP-951).
const ENDPOINTS: i16 = 16;

struct TopicShape {
    name: TopicName,
    id: TopicId,
    partitions: Vec<i32>,
}

impl Node {
    pub(super) async fn fetch(self: &Arc<Self>, request: FetchRequest, version: i16) -> FetchResponse {
        let (shape, spec) = unpack(request, version);
        let results = self.partitions.fetch(spec).await;
        self.pack_fetch(shape, results, version)
    }

    fn pack_fetch(&self, shape: Vec<TopicShape>, results: Vec<FetchResult>, version: i16) -> FetchResponse {
        let mut results = results.into_iter();
        let mut leaders = Vec::new();
        let mut responses = Vec::with_capacity(shape.len());
        for topic in shape {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for (index, result) in topic.partitions.into_iter().zip(results.by_ref()) {
                leaders.extend(result.current_leader.map(|(leader, _)| leader));
                partitions.push(partition_data(index, result, version));
            }
            let response = FetchableTopicResponse::default().with_partitions(partitions);
            responses.push(if version >= TOPIC_IDS {
                response.with_topic_id(topic.id)
            } else {
                response.with_topic(topic.name)
            });
        }
        let response = FetchResponse::default().with_responses(responses);
        if version < ENDPOINTS || leaders.is_empty() {
            return response;
        }
        let endpoint = |(id, host, port)| NodeEndpoint::default().with_node_id(id).with_host(host).with_port(port);
        response.with_node_endpoints(self.endpoints_of(&mut leaders).into_iter().map(endpoint).collect())
    }
}

fn unpack(request: FetchRequest, version: i16) -> (Vec<TopicShape>, FetchSpec) {
    let replica = if version >= 15 {
        (request.replica_state.replica_id.0, request.replica_state.replica_epoch)
    } else {
        (request.replica_id.0, BrokerEpoch::NONE.0)
    };
    let fetcher = match replica {
        (id, _) if id < 0 => Fetcher::Consumer,
        (id, epoch) => Fetcher::Replica { id: BrokerId(id), epoch: BrokerEpoch(epoch) },
    };
    let mut shape = Vec::with_capacity(request.topics.len());
    let mut partitions = Vec::new();
    for topic in &request.topics {
        let reference = topic_ref(topic, version);
        for p in &topic.partitions {
            partitions.push(FetchPartition {
                topic: reference.clone(),
                partition: p.partition,
                offset: Offset(p.fetch_offset),
                current_leader_epoch: LeaderEpoch(p.current_leader_epoch),
                last_fetched_epoch: LeaderEpoch(p.last_fetched_epoch),
                log_start: Offset(p.log_start_offset),
                max_bytes: p.partition_max_bytes,
            });
        }
        shape.push(TopicShape {
            name: topic.topic.clone(),
            id: topic.topic_id,
            partitions: topic.partitions.iter().map(|p| p.partition).collect(),
        });
    }
    let spec = FetchSpec {
        fetcher,
        max_wait_ms: u64::try_from(request.max_wait_ms).unwrap_or(0),
        min_bytes: usize::try_from(request.min_bytes).unwrap_or(0),
        max_bytes: usize::try_from(request.max_bytes).unwrap_or(0),
        partitions,
    };
    (shape, spec)
}

fn topic_ref(topic: &FetchTopic, version: i16) -> TopicRef {
    if version >= TOPIC_IDS { TopicRef::Id(topic.topic_id) } else { TopicRef::Name(topic.topic.as_str().into()) }
}

fn partition_data(index: i32, result: FetchResult, version: i16) -> PartitionData {
    let mut data = PartitionData::default()
        .with_partition_index(index)
        .with_error_code(result.error.map_or(0, |e| e.code()))
        .with_high_watermark(result.high_watermark.0)
        .with_last_stable_offset(result.last_stable_offset.0)
        .with_records(Some(result.records));
    if version >= 5 {
        data = data.with_log_start_offset(result.log_start.0);
    }
    if version >= 12 {
        if let Some(end) = result.diverging {
            let end = EpochEndOffset::default().with_epoch(end.epoch.0).with_end_offset(end.end.0);
            data = data.with_diverging_epoch(end);
        }
        if let Some((leader, epoch)) = result.current_leader {
            let hint = LeaderIdAndEpoch::default().with_leader_id(leader.0.into()).with_leader_epoch(epoch.0);
            data = data.with_current_leader(hint);
        }
    }
    data
}
