//! A cluster with a topic, a writer, and a group of readers that tell what happens to them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::FindCoordinatorRequest;
use kafka_protocol::protocol::StrBytes;
use ktrial::base::{BrokerId, Offset, TopicPartition};
use ktrial::broker::config::BrokerConfig;
use ktrial::client::producer::Record;
use ktrial::client::{
    Admin, AdminConfig, Consumer, ConsumerConfig, NewTopic, OffsetAndMetadata, Producer, ProducerConfig, Rebalance,
};
use ktrial::io::sim::{self, Digest, HostId, World, WorldConfig};
use ktrial::io::task::{TaskSet, shutdown_requested};
use ktrial::io::{clock, time};
use ktrial::wire::api;
use ktrial::wire::conn::RpcConn;
use ktrial::world::cluster::{Cluster, ClusterPlan};
use parking_lot::Mutex;

use crate::support::Nobody;

pub const GROUP: &str = "billing";
pub const TOPIC: &str = "orders";
pub const PARTITIONS: i32 = 6;

pub type Settings = &'static [(&'static str, &'static str)];

/// What a member told.
#[derive(Clone, Debug)]
pub enum Told {
    Rebalance(Rebalance),
    Consumed(TopicPartition, Offset),
    Committed(BTreeMap<TopicPartition, OffsetAndMetadata>),
    /// A commit or a poll failed.
    Trouble(String),
    Closed,
    /// Its process ended: told by who ended it.
    Died,
}

/// What everybody told, in the order in which it happened: second of the story, member, event.
pub type Log = Arc<Mutex<Vec<(f64, String, Told)>>>;

pub struct Town {
    pub world: World,
    pub cluster: Cluster,
    pub log: Log,
    hosts: Mutex<BTreeMap<String, HostId>>,
    /// How much of the log has been looked at, and who owned what by then.
    seen: Mutex<(usize, BTreeMap<TopicPartition, String>)>,
    /// Members that may not have noticed yet that they are none any more.
    pub unaware: Mutex<BTreeSet<String>>,
}

fn bootstrap() -> String {
    (1..=3).map(|id| format!("broker-{id}:9092")).collect::<Vec<_>>().join(",")
}

/// Plays a story in a cluster of three brokers that serves a topic to which somebody writes; returns the digest of the run.
pub fn play<F, Fut>(seed: u64, story: F) -> Digest
where
    F: FnOnce(Arc<Town>) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let run = sim::run(seed, WorldConfig::default(), move |world| async move {
        let cluster = Cluster::new(&world, &three_brokers(), Arc::new(Nobody));
        for id in 1..=3 {
            cluster.start(BrokerId(id)).await;
        }
        let town = Arc::new(Town {
            world,
            cluster,
            log: Log::default(),
            hosts: Mutex::default(),
            seen: Mutex::default(),
            unaware: Mutex::default(),
        });
        let ready = Arc::new(Mutex::new(false));
        let of_writer = ready.clone();
        let host = town.cluster.run_client("writer", 0, move || write(of_writer.clone())).await;
        town.hosts.lock().insert("writer".to_owned(), host);
        town.until("the topic is there", |_| *ready.lock()).await;
        story(town).await;
    });
    run.outcome.expect("nothing panics");
    assert_eq!(run.stats.left_behind, 0, "handles outlived their processes");
    run.stats.digest
}

fn three_brokers() -> ClusterPlan {
    let mut config = BrokerConfig::default();
    for (key, value) in [
        ("offsets.topic.num.partitions", "4"),
        ("min.insync.replicas", "2"),
        ("default.replication.factor", "3"),
        ("group.consumer.session.timeout.ms", "10000"),
        ("group.consumer.heartbeat.interval.ms", "3000"),
    ] {
        config.set(key, value).unwrap();
    }
    let brokers: BTreeMap<_, _> = (1..=3).map(|id| (BrokerId(id), config.clone())).collect();
    ClusterPlan { voters: brokers.keys().copied().collect(), brokers, ..ClusterPlan::default() }
}

/// Creates the topic and writes ten records a second to each of its partitions.
async fn write(ready: Arc<Mutex<bool>>) {
    let mut admin = admin();
    let topic = NewTopic { name: TOPIC.into(), partitions: PARTITIONS, replication_factor: 3, ..NewTopic::default() };
    while !matches!(admin.create_topics(std::slice::from_ref(&topic)).await.as_deref(), Ok([Ok(())])) {
        time::sleep(Duration::from_millis(500)).await;
    }
    *ready.lock() = true;
    let mut cfg = ProducerConfig::default();
    cfg.set("bootstrap.servers", &bootstrap()).unwrap();
    let mut tasks = TaskSet::new();
    let producer = Producer::start(cfg, &mut tasks).unwrap();
    let mut ticks = time::interval(Duration::from_millis(100));
    let stop = shutdown_requested();
    tokio::pin!(stop);
    for n in 0.. {
        tokio::select! {
            biased;
            () = &mut stop => break,
            () = ticks.tick() => {}
        }
        for partition in 0..PARTITIONS {
            let value = Some(Bytes::from(format!("{n}")));
            let record = Record { topic: TOPIC.into(), partition: Some(partition), value, ..Record::default() };
            producer.send(record, |_| {}).await;
        }
    }
    producer.close(Duration::from_secs(600)).await;
}

fn admin() -> Admin {
    let mut cfg = AdminConfig::default();
    cfg.set("bootstrap.servers", &bootstrap()).unwrap();
    Admin::new(cfg).unwrap()
}

async fn find(found: Arc<Mutex<Option<BrokerId>>>) {
    let key = StrBytes::from_static_str(GROUP);
    let request = FindCoordinatorRequest::default().with_coordinator_keys(vec![key]);
    let patience = Duration::from_secs(2);
    loop {
        for broker in 1..=3 {
            let host = format!("broker-{broker}");
            let Ok(mut conn) = RpcConn::connect(&host, 9092, "asker", patience).await else { continue };
            let version = api::own_version_of::<FindCoordinatorRequest>();
            if let Ok(answer) = conn.call(version, &request, patience).await
                && answer.coordinators[0].error_code == 0
            {
                *found.lock() = Some(BrokerId(answer.coordinators[0].node_id.0));
                return;
            }
        }
        time::sleep(Duration::from_millis(200)).await;
    }
}

fn config(settings: Settings) -> ConsumerConfig {
    let mut cfg = ConsumerConfig::default();
    let common = [
        ("group.id", GROUP),
        ("auto.offset.reset", "earliest"),
        ("session.timeout.ms", "10000"),
        // JoinGroup to a coordinator that lost power is given up only after this and five seconds more.
        ("max.poll.interval.ms", "30000"),
        ("enable.auto.commit", "false"),
    ];
    cfg.set("bootstrap.servers", &bootstrap()).unwrap();
    // The session of a member of the consumer protocol is the coordinator's to say.
    let next = settings.contains(&("group.protocol", "consumer"));
    let common = common.iter().filter(|(key, _)| !next || *key != "session.timeout.ms");
    for (key, value) in common.chain(settings) {
        cfg.set(key, value).unwrap();
    }
    cfg
}

/// What a member does with its records.
#[derive(Clone, Copy, Debug, Default)]
pub struct Habits {
    /// How long it takes for what one poll brought.
    pub work: Duration,
    /// It commits after each poll.
    pub commits: bool,
}

async fn read(name: String, settings: Settings, habits: Arc<Mutex<Habits>>, log: Log) {
    let tell = |told| log.lock().push((clock::now().mono_ns as f64 / 1e9, name.clone(), told));
    let mut consumer = Consumer::new(config(settings)).unwrap();
    consumer.subscribe([TOPIC.to_owned()]);
    let stop = shutdown_requested();
    tokio::pin!(stop);
    // Processed and not committed yet: a commit may have to wait for the end of a rebalance.
    let mut done = BTreeMap::new();
    loop {
        let polled = tokio::select! {
            biased;
            () = &mut stop => break,
            polled = consumer.poll(Duration::from_secs(1)) => polled,
        };
        for rebalance in consumer.take_rebalances() {
            if let Rebalance::Lost(partitions, _) = &rebalance {
                partitions.iter().for_each(|tp| drop(done.remove(tp)));
            }
            tell(Told::Rebalance(rebalance));
        }
        let records = match polled {
            Ok(records) => records,
            Err(error) => {
                tell(Told::Trouble(error.to_string()));
                continue;
            }
        };
        for r in &records {
            tell(Told::Consumed(r.tp.clone(), r.offset));
            done.insert(r.tp.clone(), OffsetAndMetadata::new(r.offset.next()));
        }
        let habits = *habits.lock();
        if !records.is_empty() && !habits.work.is_zero() {
            time::sleep(habits.work).await;
        }
        if habits.commits && !done.is_empty() {
            match consumer.commit_sync(&done).await {
                Ok(()) => tell(Told::Committed(std::mem::take(&mut done))),
                Err(error) => tell(Told::Trouble(error.to_string())),
            }
        }
        for (offsets, result) in consumer.take_commits() {
            tell(if result.is_ok() { Told::Committed(offsets) } else { Told::Trouble(format!("{result:?}")) });
        }
    }
    consumer.close().await;
    tell(Told::Closed);
}

impl Town {
    /// A reader that commits after each poll.
    pub async fn join(&self, name: &str, settings: Settings) -> Arc<Mutex<Habits>> {
        self.join_as(name, settings, Habits { commits: true, ..Habits::default() }).await
    }
    pub async fn join_as(&self, name: &str, settings: Settings, habits: Habits) -> Arc<Mutex<Habits>> {
        let habits = Arc::new(Mutex::new(habits));
        let (log, of_member, who) = (self.log.clone(), habits.clone(), name.to_owned());
        let program = move || read(who.clone(), settings, of_member.clone(), log.clone());
        let host = self.cluster.run_client(name, 0, program).await;
        self.hosts.lock().insert(name.to_owned(), host);
        habits
    }
    pub fn host(&self, name: &str) -> HostId {
        self.hosts.lock()[name]
    }
    /// Asks a process to end in good order, and waits until it has.
    pub async fn stop(&self, name: &str) {
        self.world.request_shutdown(self.host(name));
        self.world.exited(self.host(name)).await;
    }
    pub fn power_cut(&self, name: &str) {
        self.die(name, true);
    }
    /// A member's process ends by a crash or with its host's power.
    pub fn die(&self, name: &str, power_cut: bool) {
        if power_cut {
            self.world.power_cut(self.host(name));
        } else {
            self.world.crash(self.host(name));
        }
        self.tell(name, Told::Died);
    }
    /// Starts a member again if it is down; one that is stopping may end first.
    pub async fn wake(&self, name: &str) {
        if self.world.is_stopping(self.host(name)) {
            self.world.exited(self.host(name)).await;
        }
        if !self.world.is_running(self.host(name)) {
            self.world.start(self.host(name)).await;
        }
    }
    pub fn tell(&self, name: &str, told: Told) {
        self.log.lock().push((self.second(), name.to_owned(), told));
    }
    pub fn second(&self) -> f64 {
        self.world.now_ns() as f64 / 1e9
    }
    /// Waits until `done`, for a minute or two at most.
    pub async fn until(&self, what: &str, mut done: impl FnMut(&Town) -> bool) {
        for _ in 0..1200 {
            if done(self) {
                return;
            }
            time::sleep(Duration::from_millis(100)).await;
        }
        let log = self.log.lock();
        let last = log.iter().filter(|(_, _, t)| !matches!(t, Told::Consumed(..) | Told::Committed(_)));
        panic!("never: {what}; {:#?}", last.collect::<Vec<_>>());
    }
    /// Who owns what by what members told; panics if anybody was given what another still owned.
    pub fn owners(&self) -> BTreeMap<TopicPartition, String> {
        let (log, mut seen) = (self.log.lock(), self.seen.lock());
        let (heard, owners) = &mut *seen;
        let unaware = self.unaware.lock();
        for (at, name, told) in &log[std::mem::replace(heard, log.len())..] {
            match told {
                Told::Rebalance(Rebalance::Assigned(partitions, stamp)) => {
                    for tp in partitions {
                        let other = owners.get(tp).cloned().filter(|other| !unaware.contains(other));
                        // Who stood still may take over what was given to it in a generation that is over since.
                        let late = unaware.contains(name) && other.is_some();
                        let generation = stamp.generation;
                        assert!(
                            late || other.is_none(),
                            "at {at} {name} is given {tp} of {other:?} in generation {generation}"
                        );
                        if !late {
                            owners.insert(tp.clone(), name.clone());
                        }
                    }
                }
                Told::Rebalance(Rebalance::Revoked(partitions, _)) => {
                    for tp in partitions {
                        let owned = owners.get(tp) == Some(name);
                        assert!(owned || unaware.contains(name), "at {at} {name} gives {tp} up");
                        owners.retain(|other, owner| owner != name || other != tp);
                    }
                }
                Told::Rebalance(Rebalance::Lost(..)) | Told::Died | Told::Closed => {
                    owners.retain(|_, owner| owner != name);
                }
                Told::Consumed(tp, offset) => {
                    let owned = owners.get(tp) == Some(name);
                    assert!(owned || unaware.contains(name), "at {at} {name} reads {tp} at {offset}");
                }
                Told::Rebalance(Rebalance::JoinPrepared(_)) | Told::Committed(_) | Told::Trouble(_) => {}
            }
        }
        owners.clone()
    }
    /// True if exactly these members own all partitions among them, none of them more than one more than another.
    pub fn shared_by(&self, names: &[&str]) -> bool {
        let owners = self.owners();
        let count = |name: &&str| owners.values().filter(|owner| owner == name).count();
        let counts: Vec<_> = names.iter().map(count).collect();
        let even = counts.iter().max().zip(counts.iter().min()).is_some_and(|(most, least)| most - least <= 1);
        owners.len() == PARTITIONS as usize && counts.iter().sum::<usize>() == owners.len() && even
    }
    /// How often each offset was consumed by anybody; panics if one was skipped.
    pub fn consumed(&self) -> BTreeMap<TopicPartition, BTreeMap<Offset, usize>> {
        let mut all: BTreeMap<TopicPartition, BTreeMap<Offset, usize>> = BTreeMap::new();
        for (_, _, told) in self.log.lock().iter() {
            if let Told::Consumed(tp, offset) = told {
                *all.entry(tp.clone()).or_default().entry(*offset).or_default() += 1;
            }
        }
        for (tp, offsets) in &all {
            let dense = (0..offsets.len() as i64).map(Offset);
            assert!(offsets.keys().copied().eq(dense), "something of {tp} was skipped: {:?}", offsets.keys());
        }
        all
    }
    pub fn twice(&self) -> usize {
        self.consumed().values().flat_map(BTreeMap::values).filter(|n| **n > 1).count()
    }
    /// The last offset that is known to be committed of each partition.
    pub fn committed(&self) -> BTreeMap<TopicPartition, Offset> {
        let mut last = BTreeMap::new();
        for (_, _, told) in self.log.lock().iter() {
            if let Told::Committed(offsets) = told {
                last.extend(offsets.iter().map(|(tp, at)| (tp.clone(), at.offset)));
            }
        }
        last
    }
    /// What a member told of its rebalances after the first `since` things that anybody told.
    fn rebalances(&self, of: &str, since: usize) -> Vec<Rebalance> {
        let log = self.log.lock();
        let told = log[since..].iter().filter(|(_, name, _)| name == of);
        told.filter_map(|(_, _, t)| if let Told::Rebalance(r) = t { Some(r.clone()) } else { None }).collect()
    }
    /// How much has been told.
    pub fn mark(&self) -> usize {
        self.log.lock().len()
    }
    /// The generation that a member last told of.
    pub fn generation(&self, of: &str) -> i32 {
        self.rebalances(of, 0).last().map_or(-1, |r| r.stamp().generation)
    }
    pub fn given_up(&self, by: &str, since: usize) -> BTreeSet<TopicPartition> {
        let revoked = |r: Rebalance| if let Rebalance::Revoked(tps, _) = r { tps } else { Vec::new() };
        self.rebalances(by, since).into_iter().flat_map(revoked).collect()
    }
    /// What a member was told to have lost.
    pub fn lost(&self, by: &str) -> BTreeSet<TopicPartition> {
        let lost = |r: Rebalance| if let Rebalance::Lost(tps, _) = r { tps } else { Vec::new() };
        self.rebalances(by, 0).into_iter().flat_map(lost).collect()
    }
    pub fn owned_by(&self, name: &str) -> BTreeSet<TopicPartition> {
        self.owners().into_iter().filter(|(_, owner)| owner == name).map(|(tp, _)| tp).collect()
    }
    /// What went wrong for a member.
    pub fn trouble(&self, of: &str) -> Vec<String> {
        let log = self.log.lock();
        let told = log.iter().filter(|(_, name, _)| name == of);
        told.filter_map(|(_, _, t)| if let Told::Trouble(e) = t { Some(e.clone()) } else { None }).collect()
    }
    /// The longest time in seconds in which nothing of one of these partitions was read.
    pub fn longest_silence(&self, of: &BTreeSet<TopicPartition>, since: usize) -> f64 {
        let log = self.log.lock();
        let mut last: BTreeMap<&TopicPartition, f64> = of.iter().map(|tp| (tp, log[since - 1].0)).collect();
        let mut longest: f64 = 0.0;
        for (at, _, told) in &log[since..] {
            if let Told::Consumed(tp, _) = told
                && let Some(before) = last.get_mut(tp)
            {
                longest = longest.max(at - *before);
                *before = *at;
            }
        }
        longest
    }
    /// Runs a program around a consumer of the group, and waits for what it tells.
    pub async fn alone<R, F, Fut>(&self, program: F) -> R
    where
        R: Clone + Send + 'static,
        F: Fn(Consumer) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = R> + Send + 'static,
    {
        let told = Arc::new(Mutex::new(None));
        let of_client = told.clone();
        let run = move || {
            let (told, running) = (of_client.clone(), program(Consumer::new(config(&[])).unwrap()));
            async move {
                let result = running.await;
                *told.lock() = Some(result);
            }
        };
        self.cluster.run_client("alone", 0, run).await;
        self.until("the program has ended", |_| told.lock().is_some()).await;
        told.lock().clone().expect("just seen")
    }
    /// How long a member owned nothing between what it was told to give up first and what it was given last, in seconds.
    pub fn stopped(&self, name: &str, since: usize) -> f64 {
        let at = |r: &Rebalance| r.stamp().mono_ns as f64 / 1e9;
        let told = self.rebalances(name, since);
        let given_up = told.iter().find(|r| matches!(r, Rebalance::Revoked(..))).map(at);
        let given = told.iter().rev().find(|r| matches!(r, Rebalance::Assigned(..))).map(at);
        given.expect("it was given something") - given_up.expect("it gave something up")
    }
    /// Asks the brokers who coordinates the group.
    pub async fn coordinator(&self) -> BrokerId {
        let found = Arc::new(Mutex::new(None));
        let of_client = found.clone();
        let name = format!("asker-{}", self.cluster.clients().len());
        self.cluster.run_client(&name, 0, move || find(of_client.clone())).await;
        self.until("there is a coordinator", |_| found.lock().is_some()).await;
        found.lock().expect("just seen")
    }
    /// Gives the topic more partitions.
    pub async fn grow(&self, partitions: i32) {
        let done = Arc::new(Mutex::new(false));
        let of_client = done.clone();
        let program = move || {
            let done = of_client.clone();
            async move {
                let mut admin = admin();
                admin.create_partitions(&TOPIC.into(), partitions, None).await.unwrap();
                *done.lock() = true;
            }
        };
        self.cluster.run_client("administrator", 0, program).await;
        self.until("the topic has grown", |_| *done.lock()).await;
    }
    /// Waits for progress on every partition.
    pub async fn until_all_progress(&self) {
        let ends = |town: &Town| -> BTreeMap<TopicPartition, usize> {
            town.consumed().iter().map(|(tp, offsets)| (tp.clone(), offsets.len())).collect()
        };
        let before = ends(self);
        let ahead = |town: &Town| {
            let now = ends(town);
            now.len() == PARTITIONS as usize && now.iter().all(|(tp, n)| *n > before.get(tp).copied().unwrap_or(0) + 5)
        };
        self.until("everything is read on", ahead).await;
    }
}
