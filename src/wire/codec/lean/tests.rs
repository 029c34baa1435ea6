//! Our codecs against `kafka-protocol`, version by version: whatever one writes the other reads, byte for byte.

use super::super::{guard, schema};
use super::*;
use kafka_protocol::messages::{self as theirs, fetch_request, fetch_response, produce_request, produce_response};
use kafka_protocol::protocol::{Decodable, Encodable};
use proptest::prelude::*;
use uuid::Uuid;

fn text() -> impl Strategy<Value = StrBytes> {
    "[a-z]{0,6}".prop_map(StrBytes::from_string)
}
fn long_text() -> impl Strategy<Value = StrBytes> {
    prop_oneof![text(), "[a-z]{120,300}".prop_map(StrBytes::from_string)]
}
fn id() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}
fn blob() -> impl Strategy<Value = Bytes> {
    prop_oneof![prop::collection::vec(any::<u8>(), 0..4), prop::collection::vec(any::<u8>(), 100..20_000)]
        .prop_map(Bytes::from)
}
fn few<T: std::fmt::Debug>(of: impl Strategy<Value = T>) -> impl Strategy<Value = Vec<T>> {
    prop::collection::vec(of, 0..4)
}
fn leader() -> impl Strategy<Value = Option<LeaderIdAndEpoch>> {
    prop::option::of(
        (0..9i32, 0..99i32).prop_map(|(leader_id, leader_epoch)| LeaderIdAndEpoch { leader_id, leader_epoch }),
    )
}
fn endpoints() -> impl Strategy<Value = Vec<NodeEndpoint>> {
    few((any::<i32>(), long_text(), any::<i32>()).prop_map(|(node_id, host, port)| NodeEndpoint {
        node_id,
        host,
        port,
    }))
}

fn fetch_request() -> impl Strategy<Value = FetchRequest> {
    let partition = (any::<i32>(), any::<i32>(), any::<i64>(), any::<i32>(), any::<i64>(), any::<i32>()).prop_map(
        |(partition, current_leader_epoch, fetch_offset, last_fetched_epoch, log_start_offset, partition_max_bytes)| {
            FetchPartition {
                partition,
                current_leader_epoch,
                fetch_offset,
                last_fetched_epoch,
                log_start_offset,
                partition_max_bytes,
            }
        },
    );
    let topic = (long_text(), id(), few(partition)).prop_map(|(topic, topic_id, partitions)| FetchTopic {
        topic,
        topic_id,
        partitions,
    });
    let replica = prop_oneof![Just((-1, -1)), (any::<i32>(), any::<i64>())];
    (replica, any::<i32>(), any::<i32>(), any::<i32>(), few(topic)).prop_map(
        |((replica_id, replica_epoch), max_wait_ms, min_bytes, max_bytes, topics)| FetchRequest {
            replica_id,
            replica_epoch,
            max_wait_ms,
            min_bytes,
            max_bytes,
            topics,
        },
    )
}
/// What is left of a request in a version that has not all its fields.
fn fetch_request_in(version: i16, mut r: FetchRequest) -> FetchRequest {
    if version < 15 {
        r.replica_epoch = -1;
    }
    for topic in &mut r.topics {
        if version <= 12 {
            topic.topic_id = Uuid::nil();
        } else {
            topic.topic = StrBytes::new();
        }
        for p in &mut topic.partitions {
            p.current_leader_epoch = if version >= 9 { p.current_leader_epoch } else { -1 };
            p.last_fetched_epoch = if version >= 12 { p.last_fetched_epoch } else { -1 };
            p.log_start_offset = if version >= 5 { p.log_start_offset } else { -1 };
        }
    }
    r
}
fn their_fetch_request(version: i16, r: &FetchRequest) -> theirs::FetchRequest {
    let partition = |p: &FetchPartition| {
        fetch_request::FetchPartition::default()
            .with_partition(p.partition)
            .with_current_leader_epoch(p.current_leader_epoch)
            .with_fetch_offset(p.fetch_offset)
            .with_last_fetched_epoch(p.last_fetched_epoch)
            .with_log_start_offset(p.log_start_offset)
            .with_partition_max_bytes(p.partition_max_bytes)
    };
    let topic = |t: &FetchTopic| {
        fetch_request::FetchTopic::default()
            .with_topic(t.topic.clone().into())
            .with_topic_id(t.topic_id)
            .with_partitions(t.partitions.iter().map(partition).collect())
    };
    let request = theirs::FetchRequest::default()
        .with_max_wait_ms(r.max_wait_ms)
        .with_min_bytes(r.min_bytes)
        .with_max_bytes(r.max_bytes)
        .with_topics(r.topics.iter().map(topic).collect());
    if version <= 14 {
        return request.with_replica_id(r.replica_id.into());
    }
    request.with_replica_state(
        fetch_request::ReplicaState::default().with_replica_id(r.replica_id.into()).with_replica_epoch(r.replica_epoch),
    )
}

fn fetch_response() -> impl Strategy<Value = FetchResponse> {
    let diverging = prop::option::of((0..99i32, 0..99i64));
    let partition = (any::<(i32, i16, i64, i64, i64)>(), diverging, leader(), blob()).prop_map(
        |(
            (partition_index, error_code, high_watermark, last_stable_offset, log_start_offset),
            diverging_epoch,
            current_leader,
            records,
        )| PartitionData {
            partition_index,
            error_code,
            high_watermark,
            last_stable_offset,
            log_start_offset,
            diverging_epoch,
            current_leader,
            records,
        },
    );
    let topic = (long_text(), id(), few(partition)).prop_map(|(topic, topic_id, partitions)| FetchableTopic {
        topic,
        topic_id,
        partitions,
    });
    (any::<i16>(), few(topic), endpoints()).prop_map(|(error_code, responses, node_endpoints)| FetchResponse {
        error_code,
        responses,
        node_endpoints,
    })
}
fn fetch_response_in(version: i16, mut r: FetchResponse) -> FetchResponse {
    r.error_code = if version >= 7 { r.error_code } else { 0 };
    if version < 16 {
        r.node_endpoints.clear();
    }
    for topic in &mut r.responses {
        if version <= 12 {
            topic.topic_id = Uuid::nil();
        } else {
            topic.topic = StrBytes::new();
        }
        for p in &mut topic.partitions {
            p.log_start_offset = if version >= 5 { p.log_start_offset } else { -1 };
            if version < 12 {
                (p.diverging_epoch, p.current_leader) = (None, None);
            }
        }
    }
    r
}
fn their_fetch_response(r: &FetchResponse) -> theirs::FetchResponse {
    let partition = |p: &PartitionData| {
        let data = fetch_response::PartitionData::default()
            .with_partition_index(p.partition_index)
            .with_error_code(p.error_code)
            .with_high_watermark(p.high_watermark)
            .with_last_stable_offset(p.last_stable_offset)
            .with_log_start_offset(p.log_start_offset)
            .with_records(Some(p.records.clone()));
        let data = match p.diverging_epoch {
            Some((epoch, end)) => data
                .with_diverging_epoch(fetch_response::EpochEndOffset::default().with_epoch(epoch).with_end_offset(end)),
            None => data,
        };
        match p.current_leader {
            Some(l) => data.with_current_leader(
                fetch_response::LeaderIdAndEpoch::default()
                    .with_leader_id(l.leader_id.into())
                    .with_leader_epoch(l.leader_epoch),
            ),
            None => data,
        }
    };
    let topic = |t: &FetchableTopic| {
        fetch_response::FetchableTopicResponse::default()
            .with_topic(t.topic.clone().into())
            .with_topic_id(t.topic_id)
            .with_partitions(t.partitions.iter().map(partition).collect())
    };
    let endpoint = |e: &NodeEndpoint| {
        fetch_response::NodeEndpoint::default()
            .with_node_id(e.node_id.into())
            .with_host(e.host.clone())
            .with_port(e.port)
    };
    theirs::FetchResponse::default()
        .with_error_code(r.error_code)
        .with_responses(r.responses.iter().map(topic).collect())
        .with_node_endpoints(r.node_endpoints.iter().map(endpoint).collect())
}

fn produce_request() -> impl Strategy<Value = ProduceRequest> {
    let partition =
        (any::<i32>(), prop::option::of(blob())).prop_map(|(index, records)| PartitionProduceData { index, records });
    let topic = (long_text(), id(), few(partition)).prop_map(|(name, topic_id, partition_data)| TopicProduceData {
        name,
        topic_id,
        partition_data,
    });
    (prop::option::of(text()), any::<i16>(), any::<i32>(), few(topic)).prop_map(
        |(transactional_id, acks, timeout_ms, topic_data)| ProduceRequest {
            transactional_id,
            acks,
            timeout_ms,
            topic_data,
        },
    )
}
fn produce_request_in(version: i16, mut r: ProduceRequest) -> ProduceRequest {
    for topic in &mut r.topic_data {
        if version <= 12 {
            topic.topic_id = Uuid::nil();
        } else {
            topic.name = StrBytes::new();
        }
    }
    r
}
fn their_produce_request(r: &ProduceRequest) -> theirs::ProduceRequest {
    let partition = |p: &PartitionProduceData| {
        produce_request::PartitionProduceData::default().with_index(p.index).with_records(p.records.clone())
    };
    let topic = |t: &TopicProduceData| {
        produce_request::TopicProduceData::default()
            .with_name(t.name.clone().into())
            .with_topic_id(t.topic_id)
            .with_partition_data(t.partition_data.iter().map(partition).collect())
    };
    theirs::ProduceRequest::default()
        .with_transactional_id(r.transactional_id.clone().map(Into::into))
        .with_acks(r.acks)
        .with_timeout_ms(r.timeout_ms)
        .with_topic_data(r.topic_data.iter().map(topic).collect())
}

fn produce_response() -> impl Strategy<Value = ProduceResponse> {
    let partition = (any::<(i32, i16, i64, i64, i64)>(), leader()).prop_map(
        |((index, error_code, base_offset, log_append_time_ms, log_start_offset), current_leader)| {
            PartitionProduceResponse {
                index,
                error_code,
                base_offset,
                log_append_time_ms,
                log_start_offset,
                current_leader,
            }
        },
    );
    let topic = (long_text(), id(), few(partition))
        .prop_map(|(name, topic_id, partition_responses)| TopicProduceResponse { name, topic_id, partition_responses });
    (few(topic), endpoints()).prop_map(|(responses, node_endpoints)| ProduceResponse { responses, node_endpoints })
}
fn produce_response_in(version: i16, mut r: ProduceResponse) -> ProduceResponse {
    if version < 10 {
        r.node_endpoints.clear();
    }
    for topic in &mut r.responses {
        if version <= 12 {
            topic.topic_id = Uuid::nil();
        } else {
            topic.name = StrBytes::new();
        }
        for p in &mut topic.partition_responses {
            p.log_start_offset = if version >= 5 { p.log_start_offset } else { -1 };
            p.current_leader = p.current_leader.filter(|_| version >= 10);
        }
    }
    r
}
fn their_produce_response(r: &ProduceResponse) -> theirs::ProduceResponse {
    let partition = |p: &PartitionProduceResponse| {
        let response = produce_response::PartitionProduceResponse::default()
            .with_index(p.index)
            .with_error_code(p.error_code)
            .with_base_offset(p.base_offset)
            .with_log_append_time_ms(p.log_append_time_ms)
            .with_log_start_offset(p.log_start_offset);
        match p.current_leader {
            Some(l) => response.with_current_leader(
                produce_response::LeaderIdAndEpoch::default()
                    .with_leader_id(l.leader_id.into())
                    .with_leader_epoch(l.leader_epoch),
            ),
            None => response,
        }
    };
    let topic = |t: &TopicProduceResponse| {
        produce_response::TopicProduceResponse::default()
            .with_name(t.name.clone().into())
            .with_topic_id(t.topic_id)
            .with_partition_responses(t.partition_responses.iter().map(partition).collect())
    };
    let endpoint = |e: &NodeEndpoint| {
        produce_response::NodeEndpoint::default()
            .with_node_id(e.node_id.into())
            .with_host(e.host.clone())
            .with_port(e.port)
    };
    theirs::ProduceResponse::default()
        .with_responses(r.responses.iter().map(topic).collect())
        .with_node_endpoints(r.node_endpoints.iter().map(endpoint).collect())
}

/// Both codecs write the same bytes, as many as were counted, and ours reads the fields back.
fn same_bytes<M: Lean + PartialEq + std::fmt::Debug>(
    version: i16,
    ours: &M,
    theirs: &impl Encodable,
) -> Result<(), TestCaseError> {
    let (mut our_bytes, mut their_bytes) = (BytesMut::new(), BytesMut::new());
    ours.put(version, &mut our_bytes).unwrap();
    theirs.encode(&mut their_bytes, version).unwrap();
    prop_assert_eq!(&our_bytes, &their_bytes);
    prop_assert_eq!(ours.size(version).unwrap(), our_bytes.len());
    prop_assert_eq!(&M::decode(version, &our_bytes.freeze()).unwrap(), ours);
    Ok(())
}

/// A frame of ours with some bytes changed, or cut off: ours accepts it if the guarded codec does, and both read the same.
fn same_verdict<M: Lean + PartialEq + std::fmt::Debug, T: Decodable>(
    version: i16,
    ours: &M,
    schema: &guard::Schema,
    spoil: &[(u16, u8)],
    cut: Option<u16>,
    convert: impl Fn(&M) -> Vec<u8>,
    rewrite: impl Fn(T) -> Vec<u8>,
) -> Result<(), TestCaseError> {
    let mut bytes = BytesMut::new();
    ours.put(version, &mut bytes).unwrap();
    for (at, to) in spoil {
        let at = usize::from(*at) % bytes.len();
        bytes[at] = *to;
    }
    if let Some(cut) = cut {
        bytes.truncate(usize::from(cut) % (bytes.len() + 1));
    }
    let body = bytes.freeze();
    let guarded = guard::check(schema, version, &body).map_err(|e| e.to_string());
    let theirs = guarded.and_then(|_| T::decode(&mut body.clone(), version).map_err(|e| e.to_string()));
    let ours = M::decode(version, &body);
    prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "ours {:?}, theirs {:?}", ours.as_ref().err(), theirs.as_ref().err());
    if let (Ok(ours), Ok(theirs)) = (ours, theirs) {
        prop_assert_eq!(convert(&ours), rewrite(theirs));
    }
    Ok(())
}

fn bytes_of<M: Encodable>(version: i16, message: &M) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    message.encode(&mut bytes, version).unwrap();
    bytes.to_vec()
}

fn spoilt() -> impl Strategy<Value = (Vec<(u16, u8)>, Option<u16>)> {
    (prop::collection::vec((any::<u16>(), any::<u8>()), 0..4), prop::option::of(any::<u16>()))
}

proptest! {
    #[test]
    fn fetch_requests_are_theirs(version in 4..=18i16, request in fetch_request(), (spoil, cut) in spoilt()) {
        let request = fetch_request_in(version, request);
        same_bytes(version, &request, &their_fetch_request(version, &request))?;
        same_verdict(
            version, &request, &schema::data::FETCH_REQUEST, &spoil, cut,
            |ours| bytes_of(version, &their_fetch_request(version, ours)),
            |theirs: theirs::FetchRequest| bytes_of(version, &common::fetch_request(theirs)),
        )?;
    }
    #[test]
    fn fetch_responses_are_theirs(version in 4..=18i16, response in fetch_response(), (spoil, cut) in spoilt()) {
        let response = fetch_response_in(version, response);
        same_bytes(version, &response, &their_fetch_response(&response))?;
        same_verdict(
            version, &response, &schema::data::FETCH_RESPONSE, &spoil, cut,
            |ours| bytes_of(version, &their_fetch_response(ours)),
            |theirs: theirs::FetchResponse| bytes_of(version, &common::fetch_response(theirs)),
        )?;
    }
    #[test]
    fn produce_requests_are_theirs(version in 3..=13i16, request in produce_request(), (spoil, cut) in spoilt()) {
        let request = produce_request_in(version, request);
        same_bytes(version, &request, &their_produce_request(&request))?;
        same_verdict(
            version, &request, &schema::data::PRODUCE_REQUEST, &spoil, cut,
            |ours| bytes_of(version, &their_produce_request(ours)),
            |theirs: theirs::ProduceRequest| bytes_of(version, &common::produce_request(theirs)),
        )?;
    }
    #[test]
    fn produce_responses_are_theirs(version in 3..=13i16, response in produce_response(), (spoil, cut) in spoilt()) {
        let response = produce_response_in(version, response);
        same_bytes(version, &response, &their_produce_response(&response))?;
        same_verdict(
            version, &response, &schema::data::PRODUCE_RESPONSE, &spoil, cut,
            |ours| bytes_of(version, &their_produce_response(ours)),
            |theirs: theirs::ProduceResponse| bytes_of(version, &common::produce_response(theirs)),
        )?;
    }
}

/// Their messages with nothing but the fields that ours keep.
mod common {
    use super::*;
    use std::collections::BTreeMap;

    pub fn fetch_request(mut r: theirs::FetchRequest) -> theirs::FetchRequest {
        (r.cluster_id, r.isolation_level, r.session_id, r.session_epoch) = (None, 0, 0, -1);
        r.forgotten_topics_data = Vec::new();
        r.rack_id = StrBytes::new();
        r.unknown_tagged_fields = BTreeMap::new();
        r.replica_state.unknown_tagged_fields = BTreeMap::new();
        for topic in &mut r.topics {
            topic.unknown_tagged_fields = BTreeMap::new();
            for p in &mut topic.partitions {
                (p.replica_directory_id, p.high_watermark) = (Uuid::nil(), i64::MAX);
                p.unknown_tagged_fields = BTreeMap::new();
            }
        }
        r
    }
    pub fn fetch_response(mut r: theirs::FetchResponse) -> theirs::FetchResponse {
        (r.throttle_time_ms, r.session_id) = (0, 0);
        r.unknown_tagged_fields = BTreeMap::new();
        r.node_endpoints.iter_mut().for_each(|e| {
            (e.rack, e.unknown_tagged_fields) = (None, BTreeMap::new());
        });
        for topic in &mut r.responses {
            topic.unknown_tagged_fields = BTreeMap::new();
            for p in &mut topic.partitions {
                (p.aborted_transactions, p.preferred_read_replica) = (Some(Vec::new()), (-1).into());
                p.snapshot_id = Default::default();
                p.records.get_or_insert_default();
                p.unknown_tagged_fields = BTreeMap::new();
                p.diverging_epoch.unknown_tagged_fields = BTreeMap::new();
                p.current_leader.unknown_tagged_fields = BTreeMap::new();
            }
        }
        r
    }
    pub fn produce_request(mut r: theirs::ProduceRequest) -> theirs::ProduceRequest {
        r.unknown_tagged_fields = BTreeMap::new();
        for topic in &mut r.topic_data {
            topic.unknown_tagged_fields = BTreeMap::new();
            topic.partition_data.iter_mut().for_each(|p| p.unknown_tagged_fields = BTreeMap::new());
        }
        r
    }
    pub fn produce_response(mut r: theirs::ProduceResponse) -> theirs::ProduceResponse {
        r.throttle_time_ms = 0;
        r.unknown_tagged_fields = BTreeMap::new();
        r.node_endpoints.iter_mut().for_each(|e| {
            (e.rack, e.unknown_tagged_fields) = (None, BTreeMap::new());
        });
        for topic in &mut r.responses {
            topic.unknown_tagged_fields = BTreeMap::new();
            for p in &mut topic.partition_responses {
                (p.record_errors, p.error_message) = (Vec::new(), None);
                p.unknown_tagged_fields = BTreeMap::new();
                p.current_leader.unknown_tagged_fields = BTreeMap::new();
            }
        }
        r
    }
}

#[test]
fn a_claim_of_two_billion_is_refused_before_memory_is_reserved() {
    let body = Bytes::from_static(&[255, 255, 0, 1, 0, 0, 0, 9, 0x7f, 0xff, 0xff, 0xff]);
    let refused = ProduceRequest::decode(3, &body);
    assert_eq!(refused, Err(CodecError::Claim { field: "topic_data", claimed: i32::MAX.into(), left: 0 }));
}
