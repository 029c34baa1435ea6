//! A power cut after every single operation of a quorum node's disk: no vote is forgotten once it was answered, a
//! snapshot is whole or is none, and no metadata is lost that was told to be committed.
//!
//! A life is a script against a real [`Quorum`]; the disk stalls after its n-th operation, for every n, and the power is
//! cut there. What was not durable is resolved by several seeds each. The first start that follows is cut as well.

use kafka_protocol::messages::{
    BeginQuorumEpochRequest, BrokerId as WireId, VoteRequest, begin_quorum_epoch_request as begin, vote_request as vote,
};

use super::*;
use crate::base::ProducerId;
use crate::broker::probe::{Event, Observer};
use crate::io::sim::disk::DiskConfig;
use crate::io::sim::{WorldConfig, run};
use crate::wire::records::ProducerIdsRecord;

const ME: BrokerId = BrokerId(1);

/// What the node has told whoever lives outside of it.
#[derive(Default)]
struct Told {
    /// So many records were proposed; the n-th names n.
    proposed: i64,
    /// So many of them were told to be committed.
    committed: i64,
    /// The newest snapshot that was told to be stored.
    stored: Option<SnapshotId>,
    /// The newest epoch that an answer has named, or that this node said it leads.
    epoch: LeaderEpoch,
    /// The latest vote that was granted.
    granted: Option<(LeaderEpoch, BrokerId)>,
    done: bool,
}

type Shared = Arc<Mutex<Told>>;

struct Nobody;
impl Observer for Nobody {
    fn observe(&self, _: BrokerId, _: Event) {}
}

/// A node of a quorum of so many voters, of which no other is ever there.
async fn start(voters: i32) -> (Arc<Quorum>, TaskSet) {
    let voters: BTreeMap<_, _> = (1..=voters).map(|id| (BrokerId(id), (format!("n{id}"), 9093))).collect();
    let config = QuorumConfig {
        me: ME,
        cluster_id: "cluster".to_owned(),
        raft: RaftConfig::new(voters.keys().copied()),
        voters,
        client_id: "n1".to_owned(),
        log: LogConfig { segment_bytes: 200, ..LogConfig::default() },
        retention: Limits { max_bytes: 0, max_ms: -1 },
        clean_interval: super::tests::CLEAN_INTERVAL,
    };
    let mut tasks = TaskSet::new();
    let disk = Disk::mount("data").expect("the disk is there");
    let probe = Probe::new(ME, Arc::new(Nobody));
    let quorum = Quorum::start(config, disk, "", probe, &mut tasks).await.expect("what a power cut leaves is readable");
    (quorum, tasks)
}

/// What a reader has heard so far.
struct Heard {
    reader: CommittedReader,
    records: Vec<MetadataRecord>,
    end: SnapshotId,
    time_ms: i64,
}

fn record(n: i64) -> MetadataRecord {
    ProducerIdsRecord { next_producer_id: ProducerId(n), ..ProducerIdsRecord::default() }.into()
}

impl Heard {
    fn new(quorum: &Arc<Quorum>) -> Self {
        let end = SnapshotId { offset: Offset::ZERO, epoch: LeaderEpoch(0) };
        Self { reader: quorum.subscribe(), records: Vec::new(), end, time_ms: 0 }
    }
    /// Hears one event; the epoch if it is that this node leads.
    async fn next(&mut self) -> Option<LeaderEpoch> {
        match self.reader.next().await {
            QuorumEvent::Snapshot(s) => {
                (self.records, self.end, self.time_ms) = (s.records, s.id, s.append_time_ms);
            }
            QuorumEvent::Batch(b) => {
                self.records.extend(b.records.into_iter().map(|(_, record)| record));
                (self.end, self.time_ms) = (SnapshotId { offset: b.next, epoch: b.epoch }, b.append_time_ms);
            }
            QuorumEvent::Leading { epoch, .. } => return Some(epoch),
            QuorumEvent::NotLeading { epoch } => panic!("a single voter lost the leadership of {epoch}"),
        }
        None
    }
    async fn until_leading(&mut self) -> LeaderEpoch {
        loop {
            if let Some(epoch) = self.next().await {
                return epoch;
            }
        }
    }
    /// Proposes `count` records, each by itself, and hears that they are committed.
    async fn commit(&mut self, quorum: &Quorum, epoch: LeaderEpoch, told: &Shared, count: i64) {
        for _ in 0..count {
            let n = told.lock().proposed;
            told.lock().proposed += 1;
            quorum.propose(epoch, [record(n)]).expect("it leads");
        }
        while (self.records.len() as i64) < told.lock().proposed {
            self.next().await;
        }
        told.lock().committed = self.records.len() as i64;
    }
}

async fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        time::sleep(Duration::from_millis(1)).await;
    }
}

/// Commits, snapshots, and throws away what is behind the snapshots.
async fn single_voter(told: Shared) {
    let (quorum, _tasks) = start(1).await;
    let mut heard = Heard::new(&quorum);
    let epoch = heard.until_leading().await;
    told.lock().epoch = epoch;
    for round in 0..3 {
        heard.commit(&quorum, epoch, &told, 3).await;
        quorum.write_snapshot(heard.end, heard.time_ms, heard.records.clone());
        until(|| quorum.latest_snapshot() == Some(heard.end)).await;
        told.lock().stored = Some(heard.end);
        heard.commit(&quorum, epoch, &told, 1).await;
        if round > 0 {
            quorum.clean();
            assert_eq!(Some(quorum.log_start()), quorum.latest_snapshot().map(|s| s.offset), "retention had to act");
        }
    }
    // The deletions are in the queues of two tasks.
    time::sleep(Duration::from_millis(200)).await;
    told.lock().done = true;
}

/// Starts from what is left: all that was told is there, and the node goes on from there.
async fn single_voter_again(told: Shared) {
    let (quorum, _tasks) = start(1).await;
    if let Some(stored) = told.lock().stored {
        assert!(quorum.latest_snapshot().is_some_and(|s| s >= stored), "the snapshot {stored} is gone");
    }
    let mut heard = Heard::new(&quorum);
    let epoch = heard.until_leading().await;
    {
        let mut told = told.lock();
        assert!(epoch > told.epoch, "epoch {epoch} is led a second time");
        let kept = heard.records.len() as i64;
        assert!((told.committed..=told.proposed).contains(&kept), "{kept} records of {} committed", told.committed);
        assert!(heard.records.iter().enumerate().all(|(n, r)| *r == record(n as i64)), "other metadata than proposed");
        (told.epoch, told.proposed, told.committed) = (epoch, kept, kept);
    }
    heard.commit(&quorum, epoch, &told, 2).await;
    let names = Disk::mount("data").unwrap().list(METADATA_DIR).await.unwrap();
    assert!(!names.iter().any(|n| n.ends_with(".part") || n.ends_with(".tmp")), "left behind: {names:?}");
    told.lock().done = true;
}

/// Asks for a vote as a candidate does whose log is longer than any.
async fn ask(quorum: &Quorum, told: &Shared, epoch: LeaderEpoch, candidate: BrokerId) -> bool {
    let partition = vote::PartitionData::default()
        .with_replica_epoch(epoch.0)
        .with_replica_id(WireId(candidate.0))
        .with_last_offset(1_000);
    let topic = vote::TopicData::default().with_topic_name(messages::topic_name()).with_partitions(vec![partition]);
    let response =
        quorum.handle_vote(VoteRequest::default().with_voter_id(WireId(ME.0)).with_topics(vec![topic])).await;
    let answer = &response.topics[0].partitions[0];
    let mut told = told.lock();
    let named = LeaderEpoch(answer.leader_epoch);
    assert!(named >= told.epoch, "epoch {} was named before {named}", told.epoch);
    told.epoch = named;
    if answer.vote_granted {
        if let Some((last, whom)) = told.granted {
            assert!(
                epoch > last || (epoch, candidate) == (last, whom),
                "epoch {last}: a vote for {whom} and {candidate}"
            );
        }
        told.granted = Some((epoch, candidate));
    }
    answer.vote_granted
}

/// `leader` announces itself.
async fn announce(quorum: &Quorum, told: &Shared, epoch: LeaderEpoch, leader: BrokerId) {
    let partition = begin::PartitionData::default().with_leader_id(WireId(leader.0)).with_leader_epoch(epoch.0);
    let topic = begin::TopicData::default().with_topic_name(messages::topic_name()).with_partitions(vec![partition]);
    let response = quorum.handle_begin(BeginQuorumEpochRequest::default().with_topics(vec![topic])).await;
    told.lock().epoch = LeaderEpoch(response.topics[0].partitions[0].leader_epoch);
}

/// One of three voters is asked for its vote in election after election.
async fn voter(told: Shared) {
    let (quorum, _tasks) = start(3).await;
    for epoch in (1..12).map(LeaderEpoch) {
        let first = BrokerId(2 + epoch.0 % 2);
        assert!(ask(&quorum, &told, epoch, first).await, "the first who asks is given the vote");
        assert!(!ask(&quorum, &told, epoch, BrokerId(5 - first.0)).await, "a second vote in {epoch}");
        if epoch.0 % 3 == 0 {
            announce(&quorum, &told, epoch, first).await;
        }
    }
    told.lock().done = true;
}

/// Whoever was not voted for asks again, in the old epoch and in a new one.
async fn voter_again(told: Shared) {
    let (quorum, _tasks) = start(3).await;
    let epoch = quorum.leader().1;
    assert!(epoch >= told.lock().epoch, "epoch {epoch} after {}", told.lock().epoch);
    let granted = told.lock().granted;
    if let Some((epoch, whom)) = granted {
        assert!(!ask(&quorum, &told, epoch, BrokerId(5 - whom.0)).await, "a second vote in {epoch}");
    }
    let next = LeaderEpoch(told.lock().epoch.0.max(epoch.0) + 1);
    assert!(ask(&quorum, &told, next, BrokerId(3)).await);
    told.lock().done = true;
}

/// Lives until the n-th operation; starts again, with a power cut on the way; starts again. Returns false if the life
/// ends before its n-th operation.
fn cut_after<A, B>(n: u64, seed: u64, life: fn(Shared) -> A, again: fn(Shared) -> B) -> bool
where
    A: Future<Output = ()> + Send + 'static,
    B: Future<Output = ()> + Send + 'static,
{
    let disk = DiskConfig { write_back_ms: (1, 40), journal_ms: (1, 20), ..DiskConfig::default() };
    let config = WorldConfig { disk, ..WorldConfig::default() };
    let run = run(seed, config, move |world| async move {
        let told = Shared::default();
        let host = world.create_host("n1", "10.0.0.1", 0);
        let program = told.clone();
        world.set_program(host, move || life(program.clone()));
        world.stall_disk_after(host, n);
        world.start(host).await;
        time::sleep(Duration::from_secs(10)).await;
        let cut = !told.lock().done;
        for start in 0..2 {
            told.lock().done = false;
            world.power_cut(host);
            world.stall_disk(host, false);
            let program = told.clone();
            world.set_program(host, move || again(program.clone()));
            if start == 0 {
                world.stall_disk_after(host, (n * 7 + seed * 3) % 40);
            }
            world.start(host).await;
            time::sleep(Duration::from_secs(10)).await;
        }
        assert!(told.lock().done, "the last start came to its end");
        cut
    });
    run.outcome.unwrap_or_else(|panic| panic!("seed {seed}, operation {n}: {panic}"))
}

#[test]
fn a_power_cut_after_any_operation_loses_no_metadata_that_was_committed() {
    let mut points = 0;
    while (0..3).all(|seed| cut_after(points, seed, single_voter, single_voter_again)) {
        points += 1;
    }
    assert!(points > 100, "only {points} operations were cut");
}

#[test]
fn a_power_cut_after_any_operation_forgets_no_vote() {
    let mut points = 0;
    while (0..3).all(|seed| cut_after(points, seed, voter, voter_again)) {
        points += 1;
    }
    assert!(points > 50, "only {points} operations were cut");
}

#[test]
fn what_retention_lets_go_of_leaves_the_disk() {
    let run = run(1, WorldConfig::default(), |world| async move {
        let told = Shared::default();
        let host = world.create_host("n1", "10.0.0.1", 0);
        let program = told.clone();
        world.set_program(host, move || {
            let told = program.clone();
            async move {
                let (quorum, _tasks) = start(1).await;
                let mut heard = Heard::new(&quorum);
                let epoch = heard.until_leading().await;
                for _ in 0..2 {
                    heard.commit(&quorum, epoch, &told, 6).await;
                    quorum.write_snapshot(heard.end, heard.time_ms, heard.records.clone());
                    until(|| quorum.latest_snapshot() == Some(heard.end)).await;
                }
                time::sleep(super::tests::CLEAN_INTERVAL * 2).await;
                assert_eq!(Some(quorum.log_start()), quorum.latest_snapshot().map(|s| s.offset));
                let names = Disk::mount("data").unwrap().list(METADATA_DIR).await.unwrap();
                assert!(!names.iter().any(|n| n.ends_with(".deleted")), "left behind: {names:?}");
                told.lock().done = true;
            }
        });
        world.start(host).await;
        time::sleep(Duration::from_secs(200)).await;
        assert!(told.lock().done);
    });
    run.outcome.unwrap_or_else(|panic| panic!("{panic}"));
}
