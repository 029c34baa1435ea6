//! Situations of a whole quorum in the simulated world.

use std::future::Future;

use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::{Encodable, HeaderVersion, Request as Message};

use super::*;
use crate::base::ProducerId;
use crate::broker::probe::{Event, Observer};
use crate::broker::server::{Handler, Reply, Request, serve};
use crate::io::net::Listener;
use crate::io::sim::{HostId, World, WorldConfig, run};
use crate::io::{task, time};
use crate::wire::api::ListenerKind;
use crate::wire::codec::{decode_request, encode_response};
use crate::wire::records::ProducerIdsRecord;

/// As in Kafka.
pub(super) const CLEAN_INTERVAL: Duration = Duration::from_secs(60);
const PORT: u16 = 9093;

/// A controller listener that serves the quorum alone.
struct Controller(Arc<Quorum>);

async fn respond<M, R, F, Fut>(request: Request, handle: F) -> Reply
where
    M: Message,
    R: Encodable + HeaderVersion,
    F: FnOnce(M) -> Fut,
    Fut: Future<Output = R>,
{
    let Ok(message) = decode_request::<M>(request.version, &request.body) else { return Reply::Close };
    let response = handle(message).await;
    encode_response(request.correlation_id, request.version, &response).map_or(Reply::Close, Reply::Frame)
}

impl Handler for Controller {
    async fn handle(self: &Arc<Self>, request: Request) -> Reply {
        match request.api {
            ApiKey::Vote => respond(request, |m| self.0.handle_vote(m)).await,
            ApiKey::BeginQuorumEpoch => respond(request, |m| self.0.handle_begin(m)).await,
            ApiKey::EndQuorumEpoch => respond(request, |m| self.0.handle_end(m)).await,
            ApiKey::FetchSnapshot => respond(request, |m| self.0.handle_fetch_snapshot(m)).await,
            ApiKey::Fetch => respond(request, |m| self.0.handle_fetch(m)).await,
            _ => Reply::Close,
        }
    }
}

/// What one node showed in its present life.
#[derive(Default)]
struct Seen {
    quorum: Option<Arc<Quorum>>,
    events: Vec<QuorumEvent>,
}

/// The cluster, as the trial sees it.
#[derive(Clone)]
struct Cluster {
    world: World,
    hosts: BTreeMap<BrokerId, HostId>,
    seen: Arc<Mutex<BTreeMap<BrokerId, Seen>>>,
    probes: Arc<Probes>,
}

#[derive(Default)]
struct Probes(Mutex<Vec<(BrokerId, Event)>>);

impl Observer for Probes {
    fn observe(&self, node: BrokerId, event: Event) {
        self.0.lock().push((node, event));
    }
}

impl Cluster {
    /// Creates the nodes `0..voters + observers` and starts them.
    async fn start(world: World, voters: i32, observers: i32) -> Self {
        let name = |id: i32| format!("node-{id}");
        let peers: BTreeMap<_, _> = (0..voters).map(|id| (BrokerId(id), (name(id), PORT))).collect();
        let (seen, probes) = (Arc::default(), Arc::new(Probes::default()));
        let mut cluster = Self { world, hosts: BTreeMap::new(), seen, probes };
        for id in 0..voters + observers {
            let host = cluster.world.create_host(&name(id), &format!("10.0.0.{}", id + 1), 0);
            let config = QuorumConfig {
                me: BrokerId(id),
                cluster_id: "cluster".to_owned(),
                voters: peers.clone(),
                client_id: name(id),
                raft: RaftConfig::new(peers.keys().copied()),
                log: LogConfig { segment_bytes: 200, ..LogConfig::default() },
                retention: Limits { max_bytes: 0, max_ms: -1 },
                clean_interval: CLEAN_INTERVAL,
            };
            let (seen, probes) = (cluster.seen.clone(), cluster.probes.clone());
            cluster.world.set_program(host, move || node(config.clone(), seen.clone(), probes.clone()));
            cluster.hosts.insert(BrokerId(id), host);
        }
        for &host in cluster.hosts.values() {
            cluster.world.start(host).await;
        }
        cluster
    }
    fn quorum(&self, id: BrokerId) -> Arc<Quorum> {
        self.seen.lock()[&id].quorum.clone().expect("the node has started")
    }
    /// Waits until some running node leads and may propose; returns it with its epoch.
    async fn leader(&self) -> (BrokerId, LeaderEpoch) {
        for _ in 0..300 {
            time::sleep(Duration::from_millis(100)).await;
            for (&id, seen) in &*self.seen.lock() {
                let running = self.world.is_running(self.hosts[&id]);
                match seen.events.iter().rfind(|e| !matches!(e, QuorumEvent::Batch(_))) {
                    Some(&QuorumEvent::Leading { epoch, .. }) if running => return (id, epoch),
                    _ => {}
                }
            }
        }
        panic!("nobody leads");
    }
    /// The committed records that a node has seen in its present life.
    fn records(&self, id: BrokerId) -> Vec<(Offset, MetadataRecord)> {
        let seen = self.seen.lock();
        let batches = seen[&id].events.iter().filter_map(|event| match event {
            QuorumEvent::Batch(batch) => Some(batch.records.clone()),
            _ => None,
        });
        batches.flatten().collect()
    }
    /// Waits until every node that runs has seen exactly these records.
    async fn all_see(&self, expected: &[(Offset, MetadataRecord)]) {
        let running = || self.hosts.iter().filter(|(_, host)| self.world.is_running(**host)).map(|(&id, _)| id);
        for _ in 0..100 {
            if running().all(|id| self.records(id) == expected) {
                return;
            }
            time::sleep(Duration::from_millis(100)).await;
        }
        let seen: Vec<_> = running().map(|id| (id, self.records(id).len())).collect();
        panic!("not everybody has seen these {} records, but (node, how many): {seen:?}", expected.len());
    }
    fn propose(&self, (leader, epoch): (BrokerId, LeaderEpoch), id: i64) -> (Offset, MetadataRecord) {
        let record = record(id);
        let offset = self.quorum(leader).propose(epoch, [record.clone()]).expect("the leader takes it");
        (offset, record)
    }
}

fn record(id: i64) -> MetadataRecord {
    ProducerIdsRecord { next_producer_id: ProducerId(id), ..ProducerIdsRecord::default() }.into()
}

async fn node(config: QuorumConfig, seen: Arc<Mutex<BTreeMap<BrokerId, Seen>>>, probes: Arc<Probes>) {
    let me = config.me;
    let mut tasks = TaskSet::new();
    let disk = Disk::mount("data").expect("the disk is there");
    let probe = Probe::new(me, probes);
    let host = format!("node-{me}");
    let quorum = Quorum::start(config, disk, "", probe, &mut tasks).await.expect("the log is readable");
    let listener = Listener::bind(&host, PORT).expect("the port is free");
    serve(listener, ListenerKind::Controller, Arc::new(Controller(quorum.clone())), &mut tasks);
    seen.lock().insert(me, Seen { quorum: Some(quorum.clone()), events: Vec::new() });
    let mut reader = quorum.subscribe();
    tasks.spawn("reader", async move {
        loop {
            let event = reader.next().await;
            seen.lock().get_mut(&me).expect("inserted above").events.push(event);
        }
    });
    task::shutdown_requested().await;
    quorum.shutdown(Duration::from_secs(2)).await;
}

fn trial<F, Fut>(seed: u64, voters: i32, observers: i32, story: F)
where
    F: FnOnce(Cluster) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let run = run(seed, WorldConfig::default(), move |world| async move {
        let cluster = Cluster::start(world, voters, observers).await;
        story(cluster.clone()).await;
        assert_eq!(split_leadership(&cluster.probes.0.lock()), None);
    });
    run.outcome.unwrap_or_else(|panic| panic!("seed {seed}: {panic}"));
}

/// An epoch with two leaders, if there was one.
fn split_leadership(events: &[(BrokerId, Event)]) -> Option<LeaderEpoch> {
    let mut leaders = BTreeMap::new();
    events.iter().find_map(|(_, event)| match event {
        Event::RaftRole { epoch, leader: Some(leader), .. } => {
            (*leaders.entry(*epoch).or_insert(*leader) != *leader).then_some(*epoch)
        }
        _ => None,
    })
}

#[test]
fn a_single_voter_keeps_what_it_committed_through_a_power_cut() {
    trial(1, 1, 0, |cluster| async move {
        let leader = cluster.leader().await;
        let mut expected = vec![cluster.propose(leader, 1), cluster.propose(leader, 2)];
        cluster.all_see(&expected).await;
        let host = cluster.hosts[&leader.0];
        cluster.world.power_cut(host);
        cluster.world.start(host).await;
        time::sleep(Duration::from_millis(100)).await;
        let again = cluster.leader().await;
        assert!(again.1 > leader.1);
        expected.push(cluster.propose(again, 3));
        cluster.all_see(&expected).await;
    });
}

#[test]
fn three_voters_survive_the_power_cut_of_their_leader() {
    for seed in 1..6 {
        trial(seed, 3, 1, |cluster| async move {
            let first = cluster.leader().await;
            let mut expected: Vec<_> = (0..20).map(|id| cluster.propose(first, id)).collect();
            cluster.all_see(&expected).await;
            cluster.world.power_cut(cluster.hosts[&first.0]);
            let second = cluster.leader().await;
            assert!(second.0 != first.0 && second.1 > first.1);
            expected.push(cluster.propose(second, 100));
            cluster.all_see(&expected).await;
            cluster.world.start(cluster.hosts[&first.0]).await;
            time::sleep(Duration::from_millis(500)).await;
            expected.push(cluster.propose(second, 101));
            cluster.all_see(&expected).await;
            assert_eq!(cluster.quorum(first.0).leader(), (Some(second.0), second.1));
        });
    }
}

#[test]
fn a_leader_that_is_cut_off_learns_that_it_no_longer_leads() {
    trial(7, 3, 0, |cluster| async move {
        let first = cluster.leader().await;
        let mut expected = vec![cluster.propose(first, 1)];
        cluster.all_see(&expected).await;
        cluster.world.isolate(cluster.hosts[&first.0]);
        // Nobody will ever hear of this one.
        cluster.propose(first, 666);
        time::sleep(Duration::from_secs(10)).await;
        let gone = NotLeader { epoch: first.1 };
        assert_eq!(cluster.quorum(first.0).propose(first.1, [record(2)]), Err(gone));
        let told = cluster.seen.lock()[&first.0].events.last().cloned();
        assert_eq!(told, Some(QuorumEvent::NotLeading { epoch: first.1 }));
        let second = cluster.leader().await;
        expected.push(cluster.propose(second, 3));
        cluster.world.heal_all();
        cluster.all_see(&expected).await;
    });
}

#[test]
fn an_orderly_shutdown_hands_leadership_over_at_once() {
    trial(8, 3, 0, |cluster| async move {
        let first = cluster.leader().await;
        cluster.world.request_shutdown(cluster.hosts[&first.0]);
        cluster.world.exited(cluster.hosts[&first.0]).await;
        let before = crate::io::clock::now().mono_ms();
        let second = cluster.leader().await;
        assert!(second.0 != first.0);
        let took = crate::io::clock::now().mono_ms() - before;
        assert!(took < 1500, "the successor waited for {took} ms, as if nobody had told it");
    });
}

#[test]
fn everybody_restarts_and_nothing_is_lost() {
    trial(9, 3, 1, |cluster| async move {
        let mut expected = Vec::new();
        for round in 0..4 {
            let leader = cluster.leader().await;
            expected.push(cluster.propose(leader, round));
            cluster.all_see(&expected).await;
            for &host in cluster.hosts.values() {
                cluster.world.power_cut(host);
            }
            cluster.seen.lock().clear();
            for &host in cluster.hosts.values() {
                cluster.world.start(host).await;
            }
            time::sleep(Duration::from_millis(500)).await;
        }
        cluster.leader().await;
        cluster.all_see(&expected).await;
    });
}

#[test]
fn requests_for_another_cluster_or_topic_are_refused() {
    trial(10, 1, 0, |cluster| async move {
        use kafka_protocol::ResponseError;
        use kafka_protocol::messages::VoteRequest;
        let leader = cluster.leader().await;
        let quorum = cluster.quorum(leader.0);
        let foreign = VoteRequest::default().with_cluster_id(Some(messages::text("other")));
        let response = quorum.handle_vote(foreign).await;
        assert_eq!(response.error_code, ResponseError::InconsistentClusterId.code());
        let response = quorum.handle_vote(VoteRequest::default()).await;
        assert_eq!(response.error_code, ResponseError::InvalidRequest.code());
    });
}

/// `node` writes a snapshot of all that it has seen committed.
fn write_snapshot(cluster: &Cluster, node: BrokerId) -> SnapshotId {
    let seen = cluster.seen.lock();
    let last = seen[&node].events.iter().rev().find_map(|event| match event {
        QuorumEvent::Batch(batch) => {
            Some((SnapshotId { offset: batch.next, epoch: batch.epoch }, batch.append_time_ms))
        }
        _ => None,
    });
    drop(seen);
    let (id, time) = last.expect("something is committed");
    let records = cluster.records(node).into_iter().map(|(_, record)| record).collect();
    cluster.quorum(node).write_snapshot(id, time, records);
    id
}

/// A node is away while the others write snapshots and throw the log before them away.
fn a_node_that_lags_loads_a_snapshot(seed: u64, voters: i32, observers: i32, lagging: impl Fn(BrokerId) -> BrokerId) {
    let lagging = (0..3).map(|id| lagging(BrokerId(id))).collect::<Vec<_>>();
    trial(seed, voters, observers, move |cluster| async move {
        let leader = cluster.leader().await;
        let away = lagging[leader.0.0 as usize % 3];
        cluster.world.power_cut(cluster.hosts[&away]);
        let mut expected = Vec::new();
        for round in 0..3 {
            expected.extend((0..20).map(|id| cluster.propose(leader, 100 * round + id)));
            cluster.all_see(&expected).await;
            let nodes: Vec<_> = cluster.hosts.keys().copied().filter(|&id| id != away).collect();
            for id in nodes {
                write_snapshot(&cluster, id);
            }
            time::sleep(Duration::from_secs(1)).await;
        }
        time::sleep(CLEAN_INTERVAL).await;
        let quorum = cluster.quorum(leader.0);
        let (start, latest) = (quorum.log_start(), quorum.latest_snapshot().expect("it was written"));
        assert_eq!(start, latest.offset, "all before the latest snapshot is beyond the limit");
        cluster.seen.lock().remove(&away);
        cluster.world.start(cluster.hosts[&away]).await;
        time::sleep(Duration::from_secs(5)).await;
        let last = cluster.propose(leader, 1_000);
        time::sleep(Duration::from_secs(2)).await;
        let seen = cluster.seen.lock();
        let told: Vec<_> = seen[&away].events.clone();
        let Some(QuorumEvent::Snapshot(loaded)) = told.first() else { panic!("no snapshot but {:?}", told.first()) };
        let records: Vec<_> = expected.into_iter().map(|(_, record)| record).collect();
        assert_eq!((loaded.id, &loaded.records), (latest, &records));
        drop(seen);
        assert_eq!(cluster.records(away), vec![last]);
        assert_eq!(cluster.quorum(away).log_start(), latest.offset);
    });
}

#[test]
fn a_lagging_voter_loads_a_snapshot() {
    a_node_that_lags_loads_a_snapshot(11, 3, 1, |leader| BrokerId((leader.0 + 1) % 3));
}

#[test]
fn a_lagging_observer_loads_a_snapshot() {
    a_node_that_lags_loads_a_snapshot(12, 3, 1, |_| BrokerId(3));
}

#[test]
fn a_node_starts_from_its_snapshot_and_the_log_after_it() {
    trial(13, 1, 0, |cluster| async move {
        let leader = cluster.leader().await;
        let mut expected: Vec<_> = (0..5).map(|id| cluster.propose(leader, id)).collect();
        cluster.all_see(&expected).await;
        let id = write_snapshot(&cluster, leader.0);
        let before: Vec<_> = expected.drain(..).map(|(_, record)| record).collect();
        time::sleep(Duration::from_secs(1)).await;
        expected.push(cluster.propose(leader, 9));
        time::sleep(Duration::from_secs(1)).await;
        cluster.world.power_cut(cluster.hosts[&leader.0]);
        cluster.seen.lock().clear();
        cluster.world.start(cluster.hosts[&leader.0]).await;
        time::sleep(Duration::from_secs(1)).await;
        cluster.leader().await;
        cluster.all_see(&expected).await;
        let seen = cluster.seen.lock();
        let Some(QuorumEvent::Snapshot(loaded)) = seen[&leader.0].events.first() else { panic!("no snapshot") };
        assert_eq!((loaded.id, &loaded.records), (id, &before));
    });
}
