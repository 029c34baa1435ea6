//! A controller core with a metadata log and brokers of straw, for the tests of this room.

use std::collections::BTreeMap;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::alter_partition_request::{BrokerState, PartitionData, TopicData};
use kafka_protocol::messages::alter_partition_response::PartitionData as PartitionResult;
use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::{
    AlterPartitionRequest, BrokerHeartbeatRequest, BrokerHeartbeatResponse, BrokerId as WireId,
    BrokerRegistrationRequest, CreateTopicsRequest, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use crate::base::random::Stream;
use crate::base::time::NANOS_PER_MS;
use crate::base::{BrokerEpoch, BrokerId, LeaderEpoch, Now, Offset, TopicPartition};
use crate::controller::core::{
    ControllerConfig, ControllerCore, Input, Output, Request, Response, Token, broker_features,
};
use crate::controller::image::{Changes, Image, Partition};
use crate::wire::records::MetadataRecord;

/// Short for an id.
pub fn b(id: i32) -> BrokerId {
    BrokerId(id)
}

/// Several ids.
pub fn ids<const N: usize>(ids: [i32; N]) -> Vec<BrokerId> {
    ids.map(BrokerId).to_vec()
}

/// The incarnation of a broker's n-th life.
pub fn incarnation(id: i32, life: u64) -> Uuid {
    Uuid::from_u64_pair(id as u64 + 1, life)
}

/// Settings of most tests: Kafka's defaults with `min.insync.replicas` 2.
pub fn config() -> ControllerConfig {
    ControllerConfig {
        me: b(0),
        cluster_id: "straw".to_owned(),
        session_timeout_ms: 9_000,
        max_idle_interval_ms: 500,
        min_insync_replicas: 2,
        unclean_leader_election: false,
        leader_imbalance_check_interval_ms: 300_000,
        unclean_election_interval_ms: 300_000,
        eligible_leader_replicas: true,
        num_partitions: 1,
        default_replication_factor: 3,
    }
}

/// The core, the log that it writes and the time.
pub struct Cluster {
    pub core: ControllerCore,
    pub now: Now,
    /// What the log holds, committed or not.
    pub log: Vec<(Offset, MetadataRecord)>,
    /// Replayed from the log as far as it is committed.
    pub image: Image,
    /// Whether whatever is proposed is committed at once.
    pub commits: bool,
    pub replies: BTreeMap<Token, Response>,
    quorum_epoch: LeaderEpoch,
    tokens: u64,
}

impl Cluster {
    /// An active controller over an empty log.
    pub fn new(config: ControllerConfig) -> Self {
        let mut cluster = Self {
            core: ControllerCore::new(config, Stream::new(7, "controller")),
            now: Now { mono_ns: 1, wall_ms: 0 },
            log: Vec::new(),
            image: Image::default(),
            commits: true,
            replies: BTreeMap::new(),
            quorum_epoch: LeaderEpoch(0),
            tokens: 0,
        };
        cluster.lead();
        cluster
    }
    /// A cluster of unfenced brokers.
    pub fn with_brokers<const N: usize>(config: ControllerConfig, brokers: [i32; N]) -> Self {
        let mut cluster = Self::new(config);
        for id in brokers {
            cluster.join(id, 1);
        }
        cluster
    }
    /// A new leadership of the quorum, over what is committed.
    pub fn lead(&mut self) {
        self.log.retain(|(offset, _)| *offset < self.image.next());
        self.quorum_epoch = self.quorum_epoch.next();
        // The quorum's own control record takes an offset.
        self.image.advance(self.image.next().next());
        let image = self.image.clone();
        self.step(Input::BecameActive { epoch: self.quorum_epoch, image });
    }
    /// The leadership is lost, and with it whatever is not committed.
    pub fn resign(&mut self) {
        self.step(Input::Resigned);
    }
    pub fn step(&mut self, input: Input) {
        let mut out = Vec::new();
        self.core.step(self.now, input, &mut out);
        let mut proposed = false;
        for output in out {
            match output {
                Output::Propose { epoch, base, records } => {
                    assert_eq!(epoch, self.quorum_epoch);
                    assert!(!records.is_empty(), "an empty batch is proposed");
                    let end = self.log.last().map_or(Offset::ZERO, |(offset, _)| offset.next());
                    assert!(base >= end, "offsets are used twice");
                    for (i, record) in (0..).zip(records) {
                        assert_eq!(MetadataRecord::decode(&record.encode()).as_ref(), Ok(&record));
                        self.log.push((base + i, record));
                    }
                    proposed = true;
                }
                Output::Reply { token, response } => {
                    assert!(self.replies.insert(token, response).is_none(), "{token:?} is answered twice");
                }
            }
        }
        if proposed && self.commits {
            self.commit();
        }
    }
    /// Commits whatever is proposed.
    pub fn commit(&mut self) {
        let done = self.image.next();
        for (offset, record) in self.log.iter().filter(|(offset, _)| *offset >= done) {
            self.image.apply(*offset, record, &mut Changes::default()).expect("the log replays");
        }
        self.step(Input::Committed { upto: self.image.next() });
    }
    /// Sends a request and names it.
    pub fn send(&mut self, request: Request) -> Token {
        self.tokens += 1;
        let token = Token(self.tokens);
        self.step(Input::Request { token, request });
        token
    }
    /// Sends a request and waits for its answer.
    pub fn ask(&mut self, request: Request) -> Response {
        let token = self.send(request);
        self.replies.remove(&token).expect("it is answered")
    }
    /// Lets time pass; the controller's deadlines are kept.
    pub fn pass(&mut self, ms: u64) {
        let end = self.now.mono_ns + ms * NANOS_PER_MS;
        while let Some(deadline) = self.core.next_deadline().filter(|d| *d <= end) {
            self.now.mono_ns = self.now.mono_ns.max(deadline);
            self.step(Input::Tick);
            assert!(self.core.next_deadline().is_none_or(|d| d > self.now.mono_ns), "a tick leaves its deadline");
        }
        self.now.mono_ns = end;
    }

    /// Registers a life of a broker; `previous` is what its clean-shutdown marker says.
    pub fn register(&mut self, id: i32, life: u64, previous: i64) -> Result<BrokerEpoch, ResponseError> {
        let request = BrokerRegistrationRequest::default()
            .with_broker_id(WireId(id))
            .with_cluster_id(StrBytes::from_static_str("straw"))
            .with_incarnation_id(incarnation(id, life))
            .with_features(broker_features())
            .with_previous_broker_epoch(previous);
        let Response::RegisterBroker(r) = self.ask(Request::RegisterBroker(request)) else { panic!("another kind") };
        ResponseError::try_from_code(r.error_code).map_or(Ok(BrokerEpoch(r.broker_epoch)), Err)
    }
    /// Registers a broker after an unclean shutdown and unfences it.
    pub fn join(&mut self, id: i32, life: u64) {
        self.register(id, life, -1).expect("it may register");
        assert!(!self.beat(id).is_fenced, "broker {id} is unfenced");
    }
    /// The broker's epoch as committed.
    pub fn epoch(&self, id: i32) -> BrokerEpoch {
        self.image.broker(b(id)).expect("it is registered").epoch
    }
    pub fn heartbeat(&mut self, request: BrokerHeartbeatRequest) -> Result<BrokerHeartbeatResponse, ResponseError> {
        let Response::Heartbeat(r) = self.ask(Request::Heartbeat(request)) else { panic!("another kind") };
        ResponseError::try_from_code(r.error_code).map_or(Ok(r), Err)
    }
    /// What a broker that has applied everything says.
    pub fn pulse(&self, id: i32) -> BrokerHeartbeatRequest {
        BrokerHeartbeatRequest::default()
            .with_broker_id(WireId(id))
            .with_broker_epoch(self.epoch(id).0)
            .with_current_metadata_offset(self.image.next().0 - 1)
    }
    pub fn beat(&mut self, id: i32) -> BrokerHeartbeatResponse {
        let pulse = self.pulse(id);
        self.heartbeat(pulse).expect("its epoch is right")
    }
    /// Lets the session of one broker run out while others beat.
    pub fn let_expire<const N: usize>(&mut self, silent: i32, others: [i32; N]) {
        for _ in 0..5 {
            self.pass(2_000);
            for id in others {
                self.beat(id);
            }
        }
        assert!(self.image.broker(b(silent)).unwrap().fenced, "broker {silent} is fenced");
    }

    /// A topic with these replicas per partition and these configs.
    pub fn create(&mut self, name: &str, replicas: &[&[i32]], configs: &[(&str, &str)]) -> CreatableTopicResult {
        let assignments = (0..).zip(replicas).map(|(index, replicas)| {
            CreatableReplicaAssignment::default()
                .with_partition_index(index)
                .with_broker_ids(replicas.iter().map(|id| WireId(*id)).collect())
        });
        let configs = configs.iter().map(|(key, value)| {
            CreatableTopicConfig::default()
                .with_name(StrBytes::from_string((*key).to_owned()))
                .with_value(Some(StrBytes::from_string((*value).to_owned())))
        });
        self.create_topic(named(name, -1, -1).with_assignments(assignments.collect()).with_configs(configs.collect()))
    }
    pub fn create_topic(&mut self, topic: CreatableTopic) -> CreatableTopicResult {
        let request = CreateTopicsRequest::default().with_topics(vec![topic]);
        let Response::CreateTopics(mut r) = self.ask(Request::CreateTopics(request)) else { panic!("another kind") };
        r.topics.pop().expect("one topic is asked for")
    }
    /// The committed state of partition 0.
    pub fn partition(&self, topic: &str) -> Partition {
        self.image.partition(&TopicPartition::new(topic, 0)).expect("it exists").as_ref().clone()
    }
    /// What the leader of a partition would propose now: this ISR, with every epoch right.
    pub fn proposal(&self, topic: &str, isr: &[i32]) -> AlterPartitionRequest {
        let partition = self.partition(topic);
        let members = isr.iter().map(|id| {
            let epoch = self.image.broker(b(*id)).map_or(-1, |broker| broker.epoch.0);
            BrokerState::default().with_broker_id(WireId(*id)).with_broker_epoch(epoch)
        });
        let data = PartitionData::default()
            .with_partition_index(0)
            .with_leader_epoch(partition.leader_epoch.0)
            .with_partition_epoch(partition.partition_epoch.0)
            .with_leader_recovery_state(0)
            .with_new_isr_with_epochs(members.collect());
        let topic_id = self.image.topic_id(topic).expect("it exists");
        AlterPartitionRequest::default()
            .with_broker_id(WireId(partition.leader.0))
            .with_broker_epoch(self.image.broker(partition.leader).map_or(-1, |broker| broker.epoch.0))
            .with_topics(vec![TopicData::default().with_topic_id(topic_id).with_partitions(vec![data])])
    }
    /// The answer for the one partition of the request.
    pub fn alter(&mut self, request: AlterPartitionRequest) -> Result<PartitionResult, ResponseError> {
        let Response::AlterPartition(mut r) = self.ask(Request::AlterPartition(request)) else {
            panic!("another kind")
        };
        if let Some(error) = ResponseError::try_from_code(r.error_code) {
            return Err(error);
        }
        let result = r.topics.pop().and_then(|mut t| t.partitions.pop()).expect("one partition is asked for");
        ResponseError::try_from_code(result.error_code).map_or(Ok(result), Err)
    }
}

/// A topic to create by placement.
pub fn named(name: &str, partitions: i32, factor: i16) -> CreatableTopic {
    CreatableTopic::default()
        .with_name(TopicName(StrBytes::from_string(name.to_owned())))
        .with_num_partitions(partitions)
        .with_replication_factor(factor)
}
