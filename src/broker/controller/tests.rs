//! The shell around a controller core, over a metadata log of straw.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::{
    ApiVersionsRequest, BrokerHeartbeatRequest, BrokerId as WireId, BrokerRegistrationRequest, CreateTopicsRequest,
    DescribeQuorumRequest, DescribeQuorumResponse, EnvelopeRequest, TopicName,
};
use kafka_protocol::protocol::{Request, StrBytes};
use parking_lot::Mutex;

use super::node::{ControllerNode, MetadataLog};
use crate::base::{BrokerId, LeaderEpoch, Offset};
use crate::broker::probe::{Event, Observer, Probe};
use crate::broker::quorum::{NotLeader, Quorum, QuorumConfig};
use crate::controller::ControllerConfig;
use crate::controller::core::broker_features;
use crate::io::disk::Disk;
use crate::io::sim::{WorldConfig, run};
use crate::io::task::{TaskSet, spawn};
use crate::io::time::sleep;
use crate::raft::RaftConfig;
use crate::wire::codec::{ResponseFrame, encode_request};
use crate::wire::frame::PREFIX;
use crate::wire::records::MetadataRecord;

/// Takes in whatever is proposed, until it is told to refuse.
#[derive(Default)]
struct Straw {
    records: Mutex<Vec<(Offset, MetadataRecord)>>,
    refuses: Mutex<bool>,
}

/// The offset after the record that starts the leadership.
const START: Offset = Offset(1);

impl MetadataLog for Straw {
    fn propose(&self, epoch: LeaderEpoch, records: &[MetadataRecord]) -> Result<Offset, NotLeader> {
        if *self.refuses.lock() {
            return Err(NotLeader { epoch });
        }
        let mut log = self.records.lock();
        for record in records {
            let offset = log.last().map_or(START, |(offset, _)| offset.next());
            log.push((offset, record.clone()));
        }
        Ok(log.last().expect("something was proposed").0)
    }
    fn resign(&self, _epoch: LeaderEpoch) {
        *self.refuses.lock() = true;
    }
    fn describe(&self, _version: i16, _request: &DescribeQuorumRequest) -> DescribeQuorumResponse {
        DescribeQuorumResponse::default()
    }
}

#[derive(Default)]
struct Notes(Mutex<Vec<Event>>);

impl Observer for Notes {
    fn observe(&self, _node: BrokerId, event: Event) {
        self.0.lock().push(event);
    }
}

struct Story {
    node: Arc<ControllerNode>,
    log: Arc<Straw>,
    notes: Arc<Notes>,
}

impl Story {
    fn new() -> Self {
        let (log, notes) = (Arc::new(Straw::default()), Arc::new(Notes::default()));
        let probe = Probe::new(BrokerId(1), notes.clone());
        Self { node: ControllerNode::new(config(), log.clone(), probe), log, notes }
    }
    fn leading() -> Self {
        let story = Self::new();
        story.node.leading(LeaderEpoch(1), START);
        story.commit();
        story
    }
    /// Commits whatever was proposed.
    fn commit(&self) {
        let log = self.log.records.lock().clone();
        let done = self.node.image().next();
        let news: Vec<_> = log.into_iter().filter(|(offset, _)| *offset >= done).collect();
        let next = news.last().map_or(done, |(offset, _)| offset.next());
        self.node.committed(&news, next).expect("the log replays");
    }
    /// Asks, and commits what the question brought about.
    async fn settle<T: Send + 'static>(&self, ask: impl Future<Output = T> + Send + 'static) -> T {
        let answer = spawn("asks", ask);
        tokio::task::yield_now().await;
        self.commit();
        answer.await.expect("it is answered")
    }
    async fn join(&self, id: i32) {
        let (node, request) = (self.node.clone(), registration(id));
        let answer = self.settle(async move { node.broker_registration(request).await }).await;
        assert_eq!(answer.error_code, 0);
        let request = BrokerHeartbeatRequest::default()
            .with_broker_id(WireId(id))
            .with_broker_epoch(answer.broker_epoch)
            .with_current_metadata_offset(answer.broker_epoch);
        let node = self.node.clone();
        let answer = self.settle(async move { node.broker_heartbeat(request).await }).await;
        assert!(!answer.is_fenced);
    }
}

fn config() -> ControllerConfig {
    ControllerConfig {
        me: BrokerId(1),
        cluster_id: "straw".to_owned(),
        session_timeout_ms: 9_000,
        max_idle_interval_ms: 500,
        min_insync_replicas: 1,
        unclean_leader_election: false,
        leader_imbalance_check_interval_ms: 300_000,
        unclean_election_interval_ms: 300_000,
        eligible_leader_replicas: true,
        num_partitions: 1,
        default_replication_factor: 1,
    }
}

async fn sleep_ms(ms: u64) {
    sleep(Duration::from_millis(ms)).await;
}

fn registration(id: i32) -> BrokerRegistrationRequest {
    BrokerRegistrationRequest::default()
        .with_broker_id(WireId(id))
        .with_cluster_id(StrBytes::from_static_str("straw"))
        .with_incarnation_id(uuid::Uuid::from_u128(1))
        .with_features(broker_features())
}

fn creation(name: &'static str) -> CreateTopicsRequest {
    let topic = CreatableTopic::default()
        .with_name(TopicName(StrBytes::from_static_str(name)))
        .with_num_partitions(1)
        .with_replication_factor(1);
    CreateTopicsRequest::default().with_topics(vec![topic])
}

fn wrapped<R: Request>(version: i16, request: &R) -> EnvelopeRequest {
    let frame = encode_request(7, "tests", version, request).unwrap();
    EnvelopeRequest::default().with_request_data(frame.slice(PREFIX..))
}

/// Runs a story in the simulated world.
fn tell<F: Future<Output = ()> + Send + 'static>(story: impl FnOnce() -> F + Send + 'static) {
    let outcome = run(1, WorldConfig::default(), |_| story()).outcome;
    outcome.unwrap_or_else(|panic| panic!("{panic}"));
}

#[test]
fn a_broker_hears_of_its_registration_once_it_is_committed() {
    tell(|| async {
        let story = Story::leading();
        let node = story.node.clone();
        let answer = spawn("asks", async move { node.broker_registration(registration(3)).await });
        tokio::task::yield_now().await;
        assert!(story.node.image().broker(BrokerId(3)).is_none(), "it is proposed, not committed");
        story.commit();
        let answer = answer.await.expect("it is answered");
        let epoch = story.node.image().broker(BrokerId(3)).unwrap().epoch;
        assert_eq!((answer.error_code, answer.broker_epoch), (0, epoch.0));
    });
}

#[test]
fn a_controller_that_does_not_lead_says_so() {
    tell(|| async {
        let story = Story::new();
        let answer = story.node.broker_registration(registration(3)).await;
        assert_eq!(answer.error_code, ResponseError::NotController.code());
        assert!(!story.node.is_active() && story.notes.0.lock().is_empty());
    });
}

#[test]
fn a_proposal_that_the_quorum_refuses_ends_the_activity() {
    tell(|| async {
        let story = Story::leading();
        *story.log.refuses.lock() = true;
        let answer = story.node.broker_registration(registration(3)).await;
        assert_eq!(answer.error_code, ResponseError::NotController.code());
        assert!(!story.node.is_active());
        story.node.not_leading();
        let expected = [Event::ControllerActive { epoch: LeaderEpoch(1) }, Event::ControllerInactive];
        assert_eq!(*story.notes.0.lock(), expected, "told once");
    });
}

#[test]
fn a_log_that_grew_behind_the_controllers_back_makes_it_resign() {
    tell(|| async {
        let story = Story::leading();
        story.log.propose(LeaderEpoch(1), &[crate::wire::records::NoOpRecord {}.into()]).unwrap();
        let answer = story.node.broker_registration(registration(3)).await;
        assert_eq!(answer.error_code, ResponseError::NotController.code());
        assert!(!story.node.is_active() && *story.log.refuses.lock());
    });
}

#[test]
fn the_controllers_deadlines_are_kept() {
    tell(|| async {
        let story = Story::leading();
        story.join(3).await;
        let node = story.node.clone();
        let _clock = spawn("clock", async move { node.keep_time().await });
        for _ in 0..20 {
            sleep_ms(500).await;
            story.commit();
        }
        assert!(story.node.image().broker(BrokerId(3)).unwrap().fenced, "it was silent for ten seconds");
        let idle = story.log.records.lock().iter().filter(|(_, r)| matches!(r, MetadataRecord::NoOp(_))).count();
        assert!((18..=20).contains(&idle), "one no-op record every half second, not {idle}");
    });
}

#[test]
fn a_forwarded_request_is_answered_in_its_own_words() {
    tell(|| async {
        let story = Story::leading();
        story.join(3).await;
        for (version, name) in [(2, "a"), (5, "b"), (7, "c")] {
            let (node, request) = (story.node.clone(), wrapped(version, &creation(name)));
            let answer = story.settle(async move { node.envelope(request).await }).await;
            assert_eq!(answer.error_code, 0);
            let frame = ResponseFrame::read(answer.response_data.unwrap()).unwrap();
            assert_eq!(frame.correlation_id, 7);
            let inner = frame.decode::<CreateTopicsRequest>(version).unwrap();
            assert_eq!((inner.topics.len(), inner.topics[0].error_code), (1, 0));
            assert!(story.node.image().topic(name).is_some());
        }
    });
}

#[test]
fn an_envelope_that_cannot_be_opened_is_refused() {
    use ResponseError as E;
    tell(|| async {
        let story = Story::leading();
        let garbage = |bytes: &'static [u8]| EnvelopeRequest::default().with_request_data(Bytes::from_static(bytes));
        let mut unknown_version = encode_request(7, "tests", 7, &creation("t")).unwrap().to_vec();
        unknown_version[PREFIX + 3] = 99;
        let rows = [
            (garbage(b""), E::InvalidRequest),
            (garbage(&[0xff; 40]), E::InvalidRequest),
            (wrapped(4, &ApiVersionsRequest::default()), E::InvalidRequest),
            (
                EnvelopeRequest::default().with_request_data(Bytes::from(unknown_version).slice(PREFIX..)),
                E::UnsupportedVersion,
            ),
        ];
        for (request, error) in rows {
            assert_eq!(story.node.envelope(request).await.error_code, error.code());
        }
        story.node.not_leading();
        let answer = story.node.envelope(wrapped(7, &creation("t"))).await;
        assert_eq!((answer.error_code, answer.response_data), (E::NotController.code(), None));
    });
}

#[test]
fn the_only_voter_of_a_quorum_is_its_controller_and_fences_whoever_falls_silent() {
    tell(|| async {
        let (notes, mut tasks) = (Arc::new(Notes::default()), TaskSet::new());
        let (me, probe) = (BrokerId(1), Probe::new(BrokerId(1), notes.clone()));
        let quorum = QuorumConfig {
            me,
            cluster_id: "straw".to_owned(),
            voters: BTreeMap::from([(me, ("10.0.0.1".to_owned(), 9093))]),
            client_id: "tests".to_owned(),
            raft: RaftConfig::new([me]),
            log: crate::log::LogConfig::default(),
            retention: crate::raft::Limits { max_bytes: -1, max_ms: -1 },
            clean_interval: Duration::from_secs(60),
        };
        let disk = Disk::mount("").expect("there is a disk");
        let quorum = Quorum::start(quorum, disk, "", probe.clone(), &mut tasks).await.expect("it starts");
        let node = ControllerNode::start(config(), quorum, probe, &mut tasks);
        sleep_ms(3_000).await;
        let epoch = node.epoch().expect("nobody else could lead");
        let answer = node.broker_registration(registration(3)).await;
        assert_eq!(answer.error_code, 0);
        let broker = node.image().broker(BrokerId(3)).cloned().expect("it is committed");
        assert_eq!(broker.epoch.0, answer.broker_epoch);
        let beat = BrokerHeartbeatRequest::default()
            .with_broker_id(WireId(3))
            .with_broker_epoch(answer.broker_epoch)
            .with_current_metadata_offset(broker.registered_at.0);
        assert!(!node.broker_heartbeat(beat).await.is_fenced);
        sleep_ms(8_900).await;
        assert!(!node.image().broker(BrokerId(3)).unwrap().fenced);
        sleep_ms(300).await;
        assert!(node.image().broker(BrokerId(3)).unwrap().fenced);
        let active = notes.0.lock().iter().filter(|e| **e == Event::ControllerActive { epoch }).count();
        assert_eq!((active, node.is_active()), (1, true));
    });
}
