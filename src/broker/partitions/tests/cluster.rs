//! Brokers on simulated hosts that have partitions, a server for their fetches, and nothing else. Metadata comes from a
//! table that all share instead of a quorum.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{
    AlterPartitionRequest, AlterPartitionResponse, ApiKey, FetchRequest, FetchResponse, ListOffsetsRequest,
    ListOffsetsResponse, alter_partition_response, fetch_response, list_offsets_response,
};
use parking_lot::Mutex;
use tokio::sync::Notify;
use uuid::Uuid;

use super::super::*;
use crate::base::{Offset, PartitionEpoch, TopicId};
use crate::broker::probe::{Event, Observer};
use crate::broker::server::{Handler, Reply, Request, serve};
use crate::controller::image::{Changes, Image};
use crate::io::sim::{HostId, World, WorldConfig, run};
use crate::io::{net, task, time};
use crate::wire::api::ListenerKind;
use crate::wire::codec::{decode_request, encode_response};
use crate::wire::records::{
    BrokerRegistrationChangeRecord, ConfigRecord, EndPoint, MetadataRecord, PartitionChangeRecord, PartitionRecord,
    RegisterBrokerRecord, RemoveTopicRecord, TopicRecord,
};

/// What the table says, and who has said what.
#[derive(Default)]
pub struct Table {
    image: Image,
    offset: i64,
    history: Vec<(Image, Changes)>,
    /// The partitions of each running broker.
    pub running: BTreeMap<i32, Partitions>,
    /// The epoch of the clean shutdown that each broker found when it started last.
    pub clean: BTreeMap<i32, Option<BrokerEpoch>>,
    /// The epoch that each broker registered in last.
    pub epochs: BTreeMap<i32, BrokerEpoch>,
    pub events: Vec<(BrokerId, Event)>,
}

/// A cluster of three brokers.
#[derive(Clone)]
pub struct Cluster {
    pub world: World,
    pub hosts: Vec<HostId>,
    pub table: Arc<Mutex<Table>>,
    news: Arc<Notify>,
}

/// Runs a story on three brokers that are up and registered. Returns how many messages were sent.
pub fn tell<F, Fut>(story: F) -> u64
where
    F: FnOnce(Cluster) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let ran = run(7, WorldConfig::default(), move |world| async move {
        let (table, news) = (Arc::<Mutex<Table>>::default(), Arc::<Notify>::default());
        let mut cluster = Cluster { world, hosts: Vec::new(), table, news };
        for id in 1..=3 {
            let host = cluster.world.create_host(&id.to_string(), &format!("10.0.0.{id}"), 0);
            let program = cluster.clone();
            cluster.world.set_program(host, move || broker(program.clone(), id));
            cluster.world.start(host).await;
            cluster.hosts.push(host);
        }
        sleep_ms(200).await;
        story(cluster).await;
    });
    ran.outcome.expect("the story ends well");
    ran.stats.messages
}

pub async fn sleep_ms(ms: u64) {
    time::sleep(Duration::from_millis(ms)).await;
}

pub fn config(id: i32) -> PartitionsConfig {
    PartitionsConfig {
        min_insync_replicas: 2,
        replica_lag_time_max_ms: 2_000,
        replica_fetch_max_bytes: 4_096,
        replica_socket_timeout_ms: 1_000,
        connection_setup_timeout_ms: 500,
        retention_check_interval_ms: 1_000,
        ..PartitionsConfig::new(BrokerId(id), "logs")
    }
}

async fn broker(cluster: Cluster, id: i32) {
    let mut tasks = task::TaskSet::new();
    let disk = Disk::mount("data").expect("a disk");
    let probe = Probe::new(BrokerId(id), Arc::new(Listening(cluster.table.clone())));
    let (partitions, clean) = Partitions::start(config(id), disk, probe, Arc::new(cluster.clone()), &mut tasks)
        .await
        .expect("a log directory");
    let (epoch, mut seen, image) = cluster.register(id);
    partitions.set_broker_epoch(epoch);
    partitions.apply(&image, &Changes::default());
    let listener = net::Listener::bind(&id.to_string(), 9092).expect("the port is free");
    serve(listener, ListenerKind::Broker, Arc::new(Serving(partitions.clone())), &mut tasks);
    {
        let mut table = cluster.table.lock();
        table.clean.insert(id, clean);
        table.running.insert(id, partitions.clone());
    }
    let follow = async {
        loop {
            let told = cluster.news.notified();
            while let Some((image, changes)) = cluster.next(&mut seen) {
                partitions.apply(&image, &changes);
            }
            told.await;
        }
    };
    tokio::select! {
        biased;
        () = task::shutdown_requested() => partitions.shutdown().await.expect("a clean shutdown"),
        _ = partitions.failed() => {}
        () = follow => {}
    }
    cluster.table.lock().running.remove(&id);
}

struct Listening(Arc<Mutex<Table>>);

impl Observer for Listening {
    fn observe(&self, node: BrokerId, event: Event) {
        self.0.lock().events.push((node, event));
    }
}

impl Cluster {
    pub fn commit(&self, records: Vec<MetadataRecord>) {
        let mut table = self.table.lock();
        let table = &mut *table;
        let mut changes = Changes::default();
        for record in records {
            table.image.apply(Offset(table.offset), &record, &mut changes).expect("a record that fits");
            table.offset += 1;
        }
        table.history.push((table.image.clone(), changes));
        self.news.notify_waiters();
    }
    fn register(&self, id: i32) -> (BrokerEpoch, usize, Image) {
        let epoch = BrokerEpoch(self.table.lock().offset);
        let host: Arc<str> = id.to_string().into();
        let endpoint = EndPoint { name: "PLAINTEXT".into(), host, port: 9092, security_protocol: 0 };
        self.commit(vec![MetadataRecord::RegisterBroker(RegisterBrokerRecord {
            broker_id: BrokerId(id),
            incarnation_id: Uuid::from_u128(epoch.0 as u128),
            broker_epoch: epoch,
            end_points: vec![endpoint],
            fenced: false,
            ..RegisterBrokerRecord::default()
        })]);
        let mut table = self.table.lock();
        table.epochs.insert(id, epoch);
        (epoch, table.history.len(), table.image.clone())
    }
    fn next(&self, seen: &mut usize) -> Option<(Image, Changes)> {
        let news = self.table.lock().history.get(*seen).cloned()?;
        *seen += 1;
        Some(news)
    }
    /// A topic of one partition on all brokers, led by the first.
    pub fn create_topic(&self, name: &str, id: u128) -> TopicId {
        let topic_id = Uuid::from_u128(id);
        let all: Vec<_> = (1..=3).map(BrokerId).collect();
        let partition = PartitionRecord {
            partition_id: 0,
            topic_id,
            replicas: all.clone(),
            isr: all,
            leader: BrokerId(1),
            leader_epoch: LeaderEpoch(0),
            partition_epoch: PartitionEpoch(0),
            ..PartitionRecord::default()
        };
        let topic = TopicRecord { name: name.into(), topic_id };
        self.commit(vec![MetadataRecord::Topic(topic), MetadataRecord::Partition(partition)]);
        topic_id
    }
    /// A setting of a topic.
    pub fn configure(&self, name: &str, key: &str, value: &str) {
        let record =
            ConfigRecord { resource_type: 2, resource_name: name.into(), name: key.into(), value: Some(value.into()) };
        self.commit(vec![record.into()]);
    }
    /// A setting of all brokers.
    pub fn configure_brokers(&self, key: &str, value: &str) {
        let record =
            ConfigRecord { resource_type: 4, resource_name: "".into(), name: key.into(), value: Some(value.into()) };
        self.commit(vec![record.into()]);
    }
    pub fn delete_topic(&self, topic_id: TopicId) {
        self.commit(vec![MetadataRecord::RemoveTopic(RemoveTopicRecord { topic_id })]);
    }
    /// Changes leader and ISR as a controller would.
    pub fn elect(&self, topic_id: TopicId, leader: i32, isr: &[i32]) {
        let isr = isr.iter().map(|id| BrokerId(*id)).collect();
        let leader = BrokerId(leader);
        let change = PartitionChangeRecord { partition_id: 0, topic_id, isr: Some(isr), leader, ..Default::default() };
        self.commit(vec![MetadataRecord::PartitionChange(change)]);
    }
    pub fn fence(&self, id: i32, fenced: bool) {
        let epoch = self.table.lock().image.broker(BrokerId(id)).expect("registered").epoch;
        self.commit(vec![MetadataRecord::BrokerRegistrationChange(BrokerRegistrationChangeRecord {
            broker_id: BrokerId(id),
            broker_epoch: epoch,
            fenced: if fenced { 1 } else { -1 },
            ..Default::default()
        })]);
    }
    pub fn isr(&self, topic_id: TopicId) -> Vec<i32> {
        let table = self.table.lock();
        let mut isr: Vec<_> =
            table.image.partition_by_id(topic_id, 0).expect("it exists").isr.iter().map(|id| id.0).collect();
        isr.sort_unstable();
        isr
    }
    /// Asks a broker's partitions, as its handlers would.
    pub async fn on<T, F, Fut>(&self, id: i32, f: F) -> T
    where
        T: Send + 'static,
        F: FnOnce(Partitions) -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
    {
        let partitions = self.table.lock().running.get(&id).cloned().expect("the broker runs");
        f(partitions).await
    }
    pub fn view(&self, id: i32) -> PartitionView {
        let partitions = self.table.lock().running.get(&id).cloned().expect("the broker runs");
        partitions.views().pop().expect("a partition")
    }
    pub fn host(&self, id: i32) -> HostId {
        self.hosts[id as usize - 1]
    }
    fn alter(&self, request: &AlterPartitionRequest) -> AlterPartitionResponse {
        let mut response = AlterPartitionResponse::default();
        for topic in &request.topics {
            let mut answered = alter_partition_response::TopicData::default().with_topic_id(topic.topic_id);
            for p in &topic.partitions {
                let state = self.table.lock().image.partition_by_id(topic.topic_id, p.partition_index).cloned();
                let mut data =
                    alter_partition_response::PartitionData::default().with_partition_index(p.partition_index);
                match state {
                    None => data.error_code = ResponseError::UnknownTopicId.code(),
                    Some(s) if s.partition_epoch.0 != p.partition_epoch => {
                        data.error_code = ResponseError::InvalidUpdateVersion.code();
                    }
                    Some(s) => {
                        let isr: Vec<_> = p.new_isr_with_epochs.iter().map(|m| m.broker_id.0).collect();
                        self.elect(topic.topic_id, s.leader.0, &isr);
                        let now = self.table.lock().image.partition_by_id(topic.topic_id, 0).cloned().expect("there");
                        data.leader_epoch = now.leader_epoch.0;
                        data.partition_epoch = now.partition_epoch.0;
                        data.isr = p.new_isr_with_epochs.iter().map(|m| m.broker_id).collect();
                    }
                }
                answered.partitions.push(data);
            }
            response.topics.push(answered);
        }
        response
    }
}

impl ControllerRpc for Cluster {
    fn alter_partition(&self, request: AlterPartitionRequest) -> BoxFuture<io::Result<AlterPartitionResponse>> {
        let cluster = self.clone();
        Box::pin(async move {
            sleep_ms(5).await;
            Ok(cluster.alter(&request))
        })
    }
}

/// Serves the two requests that brokers send each other.
struct Serving(Partitions);

impl Handler for Serving {
    async fn handle(self: &Arc<Self>, request: Request) -> Reply {
        let (id, version) = (request.correlation_id, request.version);
        let frame = match request.api {
            ApiKey::Fetch => {
                let fetch = decode_request(version, &request.body).expect("our own request");
                encode_response(id, version, &self.fetch(fetch).await)
            }
            ApiKey::ListOffsets => {
                let list = decode_request(version, &request.body).expect("our own request");
                encode_response(id, version, &self.list_offsets(list).await)
            }
            _ => return Reply::Close,
        };
        frame.map_or(Reply::Close, Reply::Frame)
    }
}

impl Serving {
    async fn fetch(&self, request: FetchRequest) -> FetchResponse {
        let mut partitions = Vec::new();
        for topic in &request.topics {
            partitions.extend(topic.partitions.iter().map(|p| FetchPartition {
                topic: TopicRef::Id(topic.topic_id),
                partition: p.partition,
                offset: Offset(p.fetch_offset),
                current_leader_epoch: LeaderEpoch(p.current_leader_epoch),
                last_fetched_epoch: LeaderEpoch(p.last_fetched_epoch),
                log_start: Offset(p.log_start_offset),
                max_bytes: p.partition_max_bytes,
            }));
        }
        let me = &request.replica_state;
        let spec = FetchSpec {
            fetcher: Fetcher::Replica { id: BrokerId(me.replica_id.0), epoch: BrokerEpoch(me.replica_epoch) },
            max_wait_ms: request.max_wait_ms as u64,
            min_bytes: request.min_bytes as usize,
            max_bytes: request.max_bytes as usize,
            partitions,
        };
        let mut results = self.0.fetch(spec).await.into_iter();
        let mut response = FetchResponse::default();
        for topic in request.topics {
            let mut answered = fetch_response::FetchableTopicResponse::default().with_topic_id(topic.topic_id);
            for (p, r) in topic.partitions.iter().zip(&mut results) {
                answered.partitions.push(partition_data(p.partition, r));
            }
            response.responses.push(answered);
        }
        response
    }
    async fn list_offsets(&self, request: ListOffsetsRequest) -> ListOffsetsResponse {
        let (topic, p) = (&request.topics[0], &request.topics[0].partitions[0]);
        let asker = Fetcher::Replica { id: BrokerId(request.replica_id.0), epoch: BrokerEpoch::NONE };
        let query = if p.timestamp == -1 { OffsetQuery::Latest } else { OffsetQuery::Earliest };
        let name = TopicRef::Name(topic.name.0.as_str().into());
        let epoch = LeaderEpoch(p.current_leader_epoch);
        let answer = self.0.list_offset(&name, p.partition_index, asker, epoch, query).await;
        let data = list_offsets_response::ListOffsetsPartitionResponse::default();
        let data = match answer {
            Ok(a) => data.with_offset(a.offset.0),
            Err(e) => data.with_error_code(e.code()),
        };
        let topic = list_offsets_response::ListOffsetsTopicResponse::default().with_partitions(vec![data]);
        ListOffsetsResponse::default().with_topics(vec![topic])
    }
}

fn partition_data(index: i32, r: FetchResult) -> fetch_response::PartitionData {
    let mut data = fetch_response::PartitionData::default()
        .with_partition_index(index)
        .with_error_code(r.error.map_or(0, |e| e.code()))
        .with_high_watermark(r.high_watermark.0)
        .with_log_start_offset(r.log_start.0)
        .with_records(Some(r.records));
    if let Some(end) = r.diverging {
        data.diverging_epoch.epoch = end.epoch.0;
        data.diverging_epoch.end_offset = end.end.0;
    }
    data
}

/// A batch with one record.
pub fn batch(value: &str) -> Bytes {
    let mut builder = crate::log::batch::BatchBuilder::new();
    builder.append(1_000, None, Some(value.as_bytes()), &[]);
    builder.build(crate::log::batch::Stamp::default())
}
