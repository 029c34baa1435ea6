//! A scripted cluster that is no broker: enough of the protocol to see what the clients do when brokers misbehave.
//!
//! All nodes share one log per partition, so a change of leader loses nothing and every anomaly is the client's.

use crate::base::random::Stream;
use crate::base::{BrokerId, LeaderEpoch, Offset, TopicPartition};
use crate::io::net::{Connection, Listener};
use crate::io::sim::{HostId, World};
use crate::io::{task, time};
use crate::log::batch::{BatchView, batches, increment_sequence};
use crate::wire::api::{self, ListenerKind};
use crate::wire::codec::{self, RequestHeader};
use crate::wire::frame::FrameReader;
use bytes::{Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsResponse, FetchRequest, FetchResponse, InitProducerIdResponse, ListOffsetsRequest,
    ListOffsetsResponse, MetadataRequest, MetadataResponse, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
    ProduceRequest, ProduceResponse, TopicName,
};
use kafka_protocol::protocol::{Encodable, HeaderVersion, StrBytes};
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// What goes wrong with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing.
    None,
    /// The connection ends before the request has any effect.
    DropBefore,
    /// The connection ends after the request has had its effect.
    DropAfter,
    /// The broker never answers, and does nothing.
    Silence,
    /// The partitions get another leader, and the request is refused.
    Move,
    /// Refused with this error, without effect.
    Refuse(ResponseError),
    /// The request has its effect, and is answered with this error.
    AnswerAfter(ResponseError),
}

/// What the cluster remembers of a producer in a partition (Kafka's `ProducerStateManager`).
#[derive(Default)]
struct Remembered {
    epoch: i16,
    /// First sequence, next sequence and base offset of the last five batches.
    last: VecDeque<(i32, i32, i64)>,
}

pub(super) struct Partition {
    pub leader: i32,
    pub epoch: i32,
    pub batches: Vec<Bytes>,
    pub end: i64,
    pub start: i64,
    producers: BTreeMap<i64, Remembered>,
}

pub(super) struct Cluster {
    nodes: i32,
    pub topics: BTreeMap<String, Vec<Partition>>,
    next_producer_id: i64,
    /// What happens to the next produce and fetch requests; then chaos, if any.
    pub script: VecDeque<Fault>,
    pub chaos: Option<Stream>,
    /// Every produce request that reached a broker: partition, epoch, base sequence.
    pub seen: Vec<(i32, i16, i32)>,
    pub max_batch_bytes: usize,
    /// Questions where an epoch ends are refused with these first.
    pub refused_validations: VecDeque<ResponseError>,
}

pub(super) type Shared = Arc<Mutex<Cluster>>;

/// Starts `nodes` brokers, `node1` and so on, with one topic.
pub(super) async fn start(world: &World, nodes: i32, topic: &str, partitions: i32) -> (Shared, Vec<HostId>) {
    let partition = |index: i32| Partition::new(index % nodes + 1);
    let cluster = Arc::new(Mutex::new(Cluster {
        nodes,
        topics: BTreeMap::from([(topic.to_owned(), (0..partitions).map(partition).collect())]),
        next_producer_id: 1000,
        script: VecDeque::new(),
        chaos: None,
        seen: Vec::new(),
        max_batch_bytes: 1 << 20,
        refused_validations: VecDeque::new(),
    }));
    let mut hosts = Vec::new();
    for id in 1..=nodes {
        let host = world.create_host(&format!("node{id}"), &format!("10.0.0.{id}"), 0);
        let shared = cluster.clone();
        world.set_program(host, move || serve(id, shared.clone()));
        world.start(host).await;
        hosts.push(host);
    }
    (cluster, hosts)
}

async fn serve(id: i32, cluster: Shared) {
    let listener = Listener::bind("0.0.0.0", 9092).expect("the port is free");
    loop {
        let connection = listener.accept().await.expect("a listener accepts");
        drop(task::spawn("connection", converse(id, cluster.clone(), connection)));
    }
}

async fn converse(id: i32, cluster: Shared, connection: Connection) {
    let (reader, mut writer) = connection.split();
    let mut frames = FrameReader::new(reader, 1 << 24);
    while let Ok(Some(frame)) = frames.recv().await {
        let (header, body) = codec::split_request(frame).expect("clients send well-formed headers");
        let faulty = matches!(header.api, ApiKey::Produce | ApiKey::Fetch);
        let fault = if faulty { cluster.lock().next_fault() } else { Fault::None };
        if fault == Fault::DropBefore {
            return;
        }
        if fault == Fault::Silence {
            continue;
        }
        let answer = match header.api {
            ApiKey::Fetch if fault == Fault::None => fetch_or_wait(id, &cluster, &header, &body).await,
            _ => cluster.lock().answer(id, &header, &body, fault),
        };
        if fault == Fault::DropAfter {
            return;
        }
        if let Some(answer) = answer
            && writer.send(answer).await.is_err()
        {
            return;
        }
    }
}

/// Long polling: a fetch without records waits for fetch.max.wait.ms.
async fn fetch_or_wait(id: i32, cluster: &Shared, header: &RequestHeader, body: &Bytes) -> Option<Bytes> {
    let request = codec::decode_request::<FetchRequest>(header.version, body).expect("a fetch");
    if !cluster.lock().has_records(&request) {
        time::sleep(Duration::from_millis(u64::try_from(request.max_wait_ms).expect("a wait"))).await;
    }
    cluster.lock().answer(id, header, body, Fault::None)
}

fn reply<M: Encodable + HeaderVersion>(header: &RequestHeader, response: &M) -> Option<Bytes> {
    Some(codec::encode_response(header.correlation_id, header.version, response).expect("a response"))
}

impl Cluster {
    fn next_fault(&mut self) -> Fault {
        if let Some(scripted) = self.script.pop_front() {
            return scripted;
        }
        let Some(chaos) = &mut self.chaos else { return Fault::None };
        match chaos.below(20) {
            0 => Fault::DropBefore,
            1 | 2 => Fault::DropAfter,
            3 => Fault::Move,
            4 => Fault::Refuse(ResponseError::NotEnoughReplicas),
            5 => Fault::AnswerAfter(ResponseError::NotEnoughReplicasAfterAppend),
            6 => Fault::Silence,
            _ => Fault::None,
        }
    }

    fn answer(&mut self, id: i32, header: &RequestHeader, body: &Bytes, fault: Fault) -> Option<Bytes> {
        match header.api {
            ApiKey::ApiVersions => {
                let response = ApiVersionsResponse::default().with_api_keys(api::advertised(ListenerKind::Broker));
                reply(header, &response)
            }
            ApiKey::Metadata => {
                let asked = codec::decode_request::<MetadataRequest>(header.version, body).expect("metadata");
                reply(header, &self.metadata(&asked))
            }
            ApiKey::InitProducerId => {
                self.next_producer_id += 1;
                reply(header, &InitProducerIdResponse::default().with_producer_id(self.next_producer_id.into()))
            }
            ApiKey::Produce => {
                let asked = codec::decode_request::<ProduceRequest>(header.version, body).expect("a produce");
                let response = self.produce(id, &asked, fault);
                if asked.acks == 0 { None } else { reply(header, &response) }
            }
            ApiKey::Fetch => {
                let asked = codec::decode_request::<FetchRequest>(header.version, body).expect("a fetch");
                reply(header, &self.fetch(id, &asked, fault))
            }
            ApiKey::ListOffsets => {
                let asked = codec::decode_request::<ListOffsetsRequest>(header.version, body).expect("offsets");
                reply(header, &self.list_offsets(&asked))
            }
            ApiKey::OffsetForLeaderEpoch => {
                let asked =
                    codec::decode_request::<OffsetForLeaderEpochRequest>(header.version, body).expect("a question");
                reply(header, &self.epoch_ends(id, &asked))
            }
            other => panic!("{other:?} is not part of the play"),
        }
    }

    fn metadata(&self, asked: &MetadataRequest) -> MetadataResponse {
        let broker = |id: i32| {
            MetadataResponseBroker::default()
                .with_node_id(id.into())
                .with_host(StrBytes::from_string(format!("node{id}")))
                .with_port(9092)
        };
        let wanted = asked.topics.iter().flatten().filter_map(|t| t.name.as_ref());
        let topic = |name: &TopicName| match self.topics.get(name.as_str()) {
            None => MetadataResponseTopic::default()
                .with_name(Some(name.clone()))
                .with_error_code(ResponseError::UnknownTopicOrPartition.code()),
            Some(partitions) => MetadataResponseTopic::default()
                .with_name(Some(name.clone()))
                .with_topic_id(topic_id(name.as_str()))
                .with_partitions((0..).zip(partitions).map(|(index, p)| p.described(index)).collect()),
        };
        MetadataResponse::default()
            .with_brokers((1..=self.nodes).map(broker).collect())
            .with_controller_id(1.into())
            .with_topics(wanted.map(topic).collect())
    }
    fn by_id(&mut self, id: uuid::Uuid) -> (String, &mut Vec<Partition>) {
        let (name, partitions) =
            self.topics.iter_mut().find(|(name, _)| topic_id(name) == id).expect("a topic that we told");
        (name.clone(), partitions)
    }

    fn produce(&mut self, id: i32, asked: &ProduceRequest, fault: Fault) -> ProduceResponse {
        let (nodes, max_bytes) = (self.nodes, self.max_batch_bytes);
        let mut responses = Vec::new();
        for topic in &asked.topic_data {
            let mut answers = Vec::new();
            for data in &topic.partition_data {
                let batch = BatchView::parse(data.records.as_ref().expect("records")).expect("a batch");
                batch.verify_crc().expect("a checksum that was written last");
                self.seen.push((data.index, batch.producer_epoch(), batch.base_sequence()));
                let partition = &mut self.by_id(topic.topic_id).1[data.index as usize];
                let result = match fault {
                    Fault::Move => {
                        (partition.leader, partition.epoch) = (partition.leader % nodes + 1, partition.epoch + 1);
                        Err(ResponseError::NotLeaderOrFollower)
                    }
                    Fault::Refuse(error) => Err(error),
                    _ if partition.leader != id => Err(ResponseError::NotLeaderOrFollower),
                    _ if batch.size() > max_bytes => Err(ResponseError::MessageTooLarge),
                    _ => partition.append(batch),
                };
                let result = match fault {
                    Fault::AnswerAfter(error) => result.and(Err(error)),
                    _ => result,
                };
                answers.push(
                    PartitionProduceResponse::default()
                        .with_index(data.index)
                        .with_error_code(result.err().map_or(0, |e| e.code()))
                        .with_base_offset(result.unwrap_or(-1))
                        .with_log_append_time_ms(-1)
                        .with_log_start_offset(partition.start),
                );
            }
            responses
                .push(TopicProduceResponse::default().with_topic_id(topic.topic_id).with_partition_responses(answers));
        }
        ProduceResponse::default().with_responses(responses)
    }

    fn has_records(&mut self, asked: &FetchRequest) -> bool {
        asked.topics.iter().any(|topic| {
            let partitions = self.by_id(topic.topic_id).1;
            topic.partitions.iter().any(|p| partitions[p.partition as usize].end > p.fetch_offset)
        })
    }
    fn fetch(&mut self, id: i32, asked: &FetchRequest, fault: Fault) -> FetchResponse {
        let nodes = self.nodes;
        let mut responses = Vec::new();
        for topic in &asked.topics {
            let partitions = self.by_id(topic.topic_id).1;
            let answers = topic.partitions.iter().map(|p| {
                let partition = &mut partitions[p.partition as usize];
                let result = match fault {
                    Fault::Move => {
                        (partition.leader, partition.epoch) = (partition.leader % nodes + 1, partition.epoch + 1);
                        Err(ResponseError::NotLeaderOrFollower)
                    }
                    Fault::Refuse(error) | Fault::AnswerAfter(error) => Err(error),
                    _ if partition.leader != id => Err(ResponseError::NotLeaderOrFollower),
                    _ if p.current_leader_epoch < partition.epoch => Err(ResponseError::FencedLeaderEpoch),
                    _ if p.fetch_offset < partition.start || p.fetch_offset > partition.end => {
                        Err(ResponseError::OffsetOutOfRange)
                    }
                    _ => Ok(partition.read(p.fetch_offset, p.partition_max_bytes as usize)),
                };
                PartitionData::default()
                    .with_partition_index(p.partition)
                    .with_error_code(result.as_ref().err().map_or(0, ResponseError::code))
                    .with_high_watermark(partition.end)
                    .with_records(Some(result.unwrap_or_default()))
            });
            let answers = answers.collect();
            responses.push(FetchableTopicResponse::default().with_topic_id(topic.topic_id).with_partitions(answers));
        }
        FetchResponse::default().with_responses(responses)
    }
    fn list_offsets(&mut self, asked: &ListOffsetsRequest) -> ListOffsetsResponse {
        let topics = asked.topics.iter().map(|topic| {
            let partitions = &self.topics[topic.name.as_str()];
            let answers = topic.partitions.iter().map(|p| {
                let partition = &partitions[p.partition_index as usize];
                let offset = if p.timestamp == -2 { partition.start } else { partition.end };
                ListOffsetsPartitionResponse::default().with_partition_index(p.partition_index).with_offset(offset)
            });
            ListOffsetsTopicResponse::default().with_name(topic.name.clone()).with_partitions(answers.collect())
        });
        ListOffsetsResponse::default().with_topics(topics.collect())
    }
    fn epoch_ends(&mut self, id: i32, asked: &OffsetForLeaderEpochRequest) -> OffsetForLeaderEpochResponse {
        let refused = self.refused_validations.pop_front();
        let topics = asked.topics.iter().map(|topic| {
            let partitions = &self.topics[topic.topic.as_str()];
            let answers = topic.partitions.iter().map(|p| {
                let partition = &partitions[p.partition as usize];
                let answer = EpochEndOffset::default().with_partition(p.partition);
                let result = match refused {
                    Some(error) => Err(error),
                    _ if partition.leader != id => Err(ResponseError::NotLeaderOrFollower),
                    _ if p.current_leader_epoch < partition.epoch => Err(ResponseError::FencedLeaderEpoch),
                    _ if p.current_leader_epoch > partition.epoch => Err(ResponseError::UnknownLeaderEpoch),
                    _ => Ok(partition.epoch_end(p.leader_epoch)),
                };
                let (epoch, end) = result.as_ref().copied().unwrap_or((-1, -1));
                answer
                    .with_error_code(result.err().map_or(0, |e| e.code()))
                    .with_leader_epoch(epoch)
                    .with_end_offset(end)
            });
            OffsetForLeaderTopicResult::default().with_topic(topic.topic.clone()).with_partitions(answers.collect())
        });
        OffsetForLeaderEpochResponse::default().with_topics(topics.collect())
    }

    /// The values of a partition with their offsets, as they lie in the log.
    pub fn values(&self, tp: &TopicPartition) -> Vec<(i64, String)> {
        let mut values = Vec::new();
        for bytes in &self.topics[&*tp.topic][tp.partition as usize].batches {
            let batch = BatchView::parse(bytes).expect("a batch that was stored");
            for record in batch.records().expect("plain records") {
                let record = record.expect("a record");
                let value = String::from_utf8(record.value.expect("a value").to_vec()).expect("text");
                values.push((record.offset.0, value));
            }
        }
        values
    }
}

impl Partition {
    pub fn new(leader: i32) -> Self {
        Self { leader, epoch: 0, batches: Vec::new(), end: 0, start: 0, producers: BTreeMap::new() }
    }
    fn described(&self, index: i32) -> MetadataResponsePartition {
        MetadataResponsePartition::default()
            .with_partition_index(index)
            .with_leader_id(self.leader.into())
            .with_leader_epoch(self.epoch)
    }
    /// Kafka's rules for idempotent producers.
    pub fn append(&mut self, batch: BatchView) -> Result<i64, ResponseError> {
        let (first, epoch, count) = (batch.base_sequence(), batch.producer_epoch(), batch.record_count());
        if batch.has_producer_id() {
            let fresh = !self.producers.contains_key(&batch.producer_id().0);
            let state = self.producers.entry(batch.producer_id().0).or_default();
            if epoch < state.epoch {
                return Err(ResponseError::InvalidProducerEpoch);
            }
            if epoch > state.epoch {
                if first != 0 && !fresh {
                    return Err(ResponseError::OutOfOrderSequenceNumber);
                }
                (state.epoch, state.last) = (epoch, VecDeque::new());
            }
            let next = increment_sequence(first, count);
            if let Some((_, _, base)) = state.last.iter().find(|(f, n, _)| (*f, *n) == (first, next)) {
                return Ok(*base);
            }
            if state.last.back().is_some_and(|(_, n, _)| *n != first) {
                return Err(ResponseError::OutOfOrderSequenceNumber);
            }
            state.last.push_back((first, next, self.end));
            state.last.drain(..state.last.len().saturating_sub(5));
        }
        let base = self.end;
        self.end += i64::from(count);
        self.batches.push(batch.stamped(Offset(base), LeaderEpoch(self.epoch)));
        Ok(base)
    }
    /// An unclean election: `leader` has nothing at or above `end`.
    pub fn lose(&mut self, end: i64, leader: i32) {
        self.batches.retain(|bytes| BatchView::parse(bytes).expect("a batch").next_offset().0 <= end);
        (self.end, self.leader, self.epoch) = (end, leader, self.epoch + 1);
    }
    /// The largest epoch up to `epoch` that has records, and where they end; -1 if there is none.
    fn epoch_end(&self, epoch: i32) -> (i32, i64) {
        let all = self.batches.iter().map(|bytes| BatchView::parse(bytes).expect("a batch"));
        let upto = all.filter(|b| b.leader_epoch().0 <= epoch).last();
        upto.map_or((-1, -1), |b| (b.leader_epoch().0, b.next_offset().0))
    }
    /// Forgets all producers, as after a loss of their state.
    pub fn forget_producers(&mut self) {
        self.producers.clear();
    }
    /// Batches up to `max` bytes, one at least.
    fn read(&self, from: i64, max: usize) -> Bytes {
        let mut out = BytesMut::new();
        let all = self.batches.iter().flat_map(|bytes| batches(bytes).flatten());
        for batch in all.filter(|b| b.next_offset().0 > from) {
            if !out.is_empty() && out.len() + batch.size() > max {
                break;
            }
            out.extend_from_slice(batch.bytes());
        }
        out.freeze()
    }
}

fn topic_id(name: &str) -> uuid::Uuid {
    uuid::Uuid::from_u128(u128::from(crate::base::random::fnv1a(name.as_bytes())) + 1)
}

/// The broker that leads a partition now.
pub(super) fn leader(cluster: &Shared, tp: &TopicPartition) -> BrokerId {
    BrokerId(cluster.lock().topics[&*tp.topic][tp.partition as usize].leader)
}
