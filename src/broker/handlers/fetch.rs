//! Fetch, from consumers and followers alike. Every fetch names all its partitions: sessions (KIP-227) are an
//! optimisation that a broker may decline, and this one does.

use std::sync::Arc;

use kafka_protocol::protocol::StrBytes;

use super::super::node::Node;
use super::super::partitions::{FetchPartition, FetchResult, FetchSpec, Fetcher, TopicRef};
use super::leader;
use crate::base::{BrokerEpoch, BrokerId, LeaderEpoch, Offset, TopicId};
use crate::wire::codec::lean::{FetchRequest, FetchResponse, FetchTopic, FetchableTopic, PartitionData};

/// From this version on, topics go by id (KIP-516).
const TOPIC_IDS: i16 = 13;
/// From this version on, a lost leader's successor is named with its address (KIP-951).
const ENDPOINTS: i16 = 16;

struct TopicShape {
    name: StrBytes,
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
                partitions.push(partition_data(index, result));
            }
            responses.push(FetchableTopic { topic: topic.name, topic_id: topic.id, partitions });
        }
        let named = version >= ENDPOINTS && !leaders.is_empty();
        let node_endpoints = if named { self.endpoints_of(&mut leaders) } else { Vec::new() };
        FetchResponse { error_code: 0, responses, node_endpoints }
    }
}

fn unpack(request: FetchRequest, version: i16) -> (Vec<TopicShape>, FetchSpec) {
    let fetcher = match (request.replica_id, request.replica_epoch) {
        (id, _) if id < 0 => Fetcher::Consumer,
        (id, epoch) => Fetcher::Replica { id: BrokerId(id), epoch: BrokerEpoch(epoch) },
    };
    let mut shape = Vec::with_capacity(request.topics.len());
    let mut partitions = Vec::with_capacity(request.topics.iter().map(|t| t.partitions.len()).sum());
    for topic in request.topics {
        let reference = topic_ref(&topic, version);
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
        let indexes = topic.partitions.iter().map(|p| p.partition).collect();
        shape.push(TopicShape { name: topic.topic, id: topic.topic_id, partitions: indexes });
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

fn partition_data(index: i32, result: FetchResult) -> PartitionData {
    PartitionData {
        partition_index: index,
        error_code: result.error.map_or(0, |e| e.code()),
        high_watermark: result.high_watermark.0,
        last_stable_offset: result.last_stable_offset.0,
        log_start_offset: result.log_start.0,
        diverging_epoch: result.diverging.map(|end| (end.epoch.0, end.end.0)),
        current_leader: result.current_leader.map(leader),
        records: result.records,
    }
}
