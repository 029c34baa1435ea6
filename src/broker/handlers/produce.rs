//! Produce: appends batches and waits for what `acks` asks for.

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::protocol::StrBytes;

use super::super::node::Node;
use super::super::partitions::{ProduceOutcome, ProducePartition, TopicRef};
use super::super::server::{Reply, Request};
use super::{encode, leader};
use crate::base::TopicId;
use crate::wire::codec;
use crate::wire::codec::lean::{
    PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceData, TopicProduceResponse,
};

/// From this version on, topics go by id (KIP-516).
const TOPIC_IDS: i16 = 13;
/// From this version on, a lost leader's successor is named in the answer (KIP-951).
const LEADER_HINTS: i16 = 10;

/// How the response names each topic, and how many partitions follow.
struct TopicShape {
    name: StrBytes,
    id: TopicId,
    partitions: Vec<i32>,
}

impl Node {
    pub(super) async fn produce(self: &Arc<Self>, request: &Request) -> Reply {
        let body: ProduceRequest = match codec::decode_request(request.version, &request.body) {
            Ok(body) => body,
            Err(error) => {
                tracing::warn!(peer = %request.peer, %error, "malformed produce");
                return Reply::Close;
            }
        };
        let acks = body.acks;
        let timeout_ms = u64::try_from(body.timeout_ms).unwrap_or(0);
        if !(-1..=1).contains(&acks) {
            return encode::<ProduceRequest>(request, &refuse(&body, ResponseError::InvalidRequiredAcks));
        }
        if body.transactional_id.is_some() {
            return encode::<ProduceRequest>(request, &refuse(&body, ResponseError::InvalidTxnState));
        }
        let (shape, partitions) = unpack(body, request.version);
        let outcomes = self.partitions.produce(partitions, acks, timeout_ms).await;
        if acks == 0 {
            // The client expects no answer; it learns of a failure by a closed connection (KafkaApis.handleProduceRequest).
            return if outcomes.iter().any(|o| o.error.is_some()) { Reply::Close } else { Reply::NoResponse };
        }
        encode::<ProduceRequest>(request, &self.pack(shape, outcomes, request.version))
    }

    fn pack(&self, shape: Vec<TopicShape>, outcomes: Vec<ProduceOutcome>, version: i16) -> ProduceResponse {
        let mut outcomes = outcomes.into_iter();
        let mut leaders = Vec::new();
        let mut responses = Vec::with_capacity(shape.len());
        for topic in shape {
            let indexes = topic.partitions.into_iter();
            let partition_responses = indexes.zip(outcomes.by_ref()).map(|(index, o)| {
                leaders.extend(o.current_leader.map(|(leader, _)| leader));
                partition_response(index, &o)
            });
            let partition_responses = partition_responses.collect();
            responses.push(TopicProduceResponse { name: topic.name, topic_id: topic.id, partition_responses });
        }
        let named = version >= LEADER_HINTS && !leaders.is_empty();
        let node_endpoints = if named { self.endpoints_of(&mut leaders) } else { Vec::new() };
        ProduceResponse { responses, node_endpoints }
    }
}

fn unpack(body: ProduceRequest, version: i16) -> (Vec<TopicShape>, Vec<ProducePartition>) {
    let mut shape = Vec::with_capacity(body.topic_data.len());
    let mut partitions = Vec::with_capacity(body.topic_data.iter().map(|t| t.partition_data.len()).sum());
    for topic in body.topic_data {
        let reference = if version >= TOPIC_IDS {
            TopicRef::Id(topic.topic_id)
        } else {
            TopicRef::Name(topic.name.as_str().into())
        };
        let mut indexes = Vec::with_capacity(topic.partition_data.len());
        for data in topic.partition_data {
            indexes.push(data.index);
            partitions.push(ProducePartition {
                topic: reference.clone(),
                partition: data.index,
                records: data.records.unwrap_or_default(),
            });
        }
        shape.push(TopicShape { name: topic.name, id: topic.topic_id, partitions: indexes });
    }
    (shape, partitions)
}

fn partition_response(index: i32, o: &ProduceOutcome) -> PartitionProduceResponse {
    PartitionProduceResponse {
        index,
        error_code: o.error.map_or(0, |e| e.code()),
        base_offset: o.base_offset.0,
        log_append_time_ms: o.log_append_time_ms,
        log_start_offset: o.log_start.0,
        current_leader: o.current_leader.map(leader),
    }
}

fn refuse(body: &ProduceRequest, error: ResponseError) -> ProduceResponse {
    let partition = |index| PartitionProduceResponse {
        index,
        error_code: error.code(),
        base_offset: -1,
        log_append_time_ms: -1,
        log_start_offset: -1,
        current_leader: None,
    };
    let topic = |t: &TopicProduceData| TopicProduceResponse {
        name: t.name.clone(),
        topic_id: t.topic_id,
        partition_responses: t.partition_data.iter().map(|p| partition(p.index)).collect(),
    };
    ProduceResponse { responses: body.topic_data.iter().map(topic).collect(), node_endpoints: Vec::new() }
}
