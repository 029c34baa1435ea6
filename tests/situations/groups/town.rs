//! A cluster with a topic, a writer, and a group of readers that tell what happens to them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ktrial::base::{BrokerId, Offset, TopicPartition};
use ktrial::broker::config::BrokerConfig;
use ktrial::client::producer::Record;
use ktrial::client::{
    Admin, AdminConfig, Consumer, ConsumerConfig, NewTopic, OffsetAndMetadata, Producer, ProducerConfig, Rebalance,
};
use ktrial::io::sim::{self, HostId, World, WorldConfig};
use ktrial::io::task::{TaskSet, shutdown_requested};
use ktrial::io::{clock, time};
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
}

fn bootstrap() -> String {
    (1..=3).map(|id| format!("broker-{id}:9092")).collect::<Vec<_>>().join(",")
}

/// Plays a story in a cluster of three brokers that serves a topic to which somebody writes.
pub fn play<F, Fut>(seed: u64, story: F)
where
    F: FnOnce(Arc<Town>) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let run = sim::run(seed, WorldConfig::default(), move |world| async move {
        let cluster = Cluster::new(&world, &three_brokers(), Arc::new(Nobody));
        for id in 1..=3 {
            cluster.start(BrokerId(id)).await;
        }
        let town = Arc::new(Town { world, cluster, log: Log::default(), hosts: Mutex::default() });
        let ready = Arc::new(Mutex::new(false));
        let of_writer = ready.clone();
        let host = town.cluster.run_client("writer", 0, move || write(of_writer.clone())).await;
        town.hosts.lock().insert("writer".to_owned(), host);
        town.until("the topic is there", |_| *ready.lock()).await;
        story(town).await;
    });
    run.outcome.expect("nothing panics");
}

fn three_brokers() -> ClusterPlan {
    let mut config = BrokerConfig::default();
    for (key, value) in
        [("offsets.topic.num.partitions", "4"), ("min.insync.replicas", "2"), ("default.replication.factor", "3")]
    {
        config.set(key, value).unwrap();
    }
    let brokers: BTreeMap<_, _> = (1..=3).map(|id| (BrokerId(id), config.clone())).collect();
    ClusterPlan { voters: brokers.keys().copied().collect(), brokers, ..ClusterPlan::default() }
}

/// Creates the topic and writes ten records a second to each of its partitions.
async fn write(ready: Arc<Mutex<bool>>) {
    let mut cfg = AdminConfig::default();
    cfg.set("bootstrap.servers", &bootstrap()).unwrap();
    let mut admin = Admin::new(cfg).unwrap();
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

fn config(settings: Settings) -> ConsumerConfig {
    let mut cfg = ConsumerConfig::default();
    let common = [
        ("group.id", GROUP),
        ("auto.offset.reset", "earliest"),
        ("session.timeout.ms", "10000"),
        ("enable.auto.commit", "false"),
    ];
    cfg.set("bootstrap.servers", &bootstrap()).unwrap();
    for (key, value) in common.iter().chain(settings) {
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
    loop {
        let polled = tokio::select! {
            biased;
            () = &mut stop => break,
            polled = consumer.poll(Duration::from_secs(1)) => polled,
        };
        consumer.take_rebalances().into_iter().for_each(|r| tell(Told::Rebalance(r)));
        let records = match polled {
            Ok(records) => records,
            Err(error) => {
                tell(Told::Trouble(error.to_string()));
                continue;
            }
        };
        let mut next = BTreeMap::new();
        for r in &records {
            tell(Told::Consumed(r.tp.clone(), r.offset));
            next.insert(r.tp.clone(), OffsetAndMetadata::new(r.offset.next()));
        }
        let habits = *habits.lock();
        if !records.is_empty() && !habits.work.is_zero() {
            time::sleep(habits.work).await;
        }
        if habits.commits && !next.is_empty() {
            match consumer.commit_sync(&next).await {
                Ok(()) => tell(Told::Committed(next)),
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
        self.world.power_cut(self.host(name));
        self.tell(name, Told::Died);
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
        let mut owners: BTreeMap<TopicPartition, String> = BTreeMap::new();
        for (at, name, told) in self.log.lock().iter() {
            match told {
                Told::Rebalance(Rebalance::Assigned(partitions, stamp)) => {
                    for tp in partitions {
                        let other = owners.insert(tp.clone(), name.clone());
                        assert_eq!(other, None, "at {at} {name} is given {tp} in generation {}", stamp.generation);
                    }
                }
                Told::Rebalance(Rebalance::Revoked(partitions, _)) => {
                    for tp in partitions {
                        assert_eq!(owners.remove(tp).as_ref(), Some(name), "at {at}: {tp}");
                    }
                }
                Told::Rebalance(Rebalance::Lost(..)) | Told::Died | Told::Closed => {
                    owners.retain(|_, owner| owner != name);
                }
                Told::Consumed(tp, offset) => {
                    assert_eq!(owners.get(tp), Some(name), "at {at}: {name} reads {tp} at {offset}");
                }
                Told::Rebalance(Rebalance::JoinPrepared(_)) | Told::Committed(_) | Told::Trouble(_) => {}
            }
        }
        owners
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
    /// What a member told of its rebalances.
    pub fn rebalances(&self, of: &str) -> Vec<Rebalance> {
        let log = self.log.lock();
        let told = log.iter().filter(|(_, name, _)| name == of);
        told.filter_map(|(_, _, t)| if let Told::Rebalance(r) = t { Some(r.clone()) } else { None }).collect()
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

/// Partitions by their indexes.
pub fn partitions(indexes: impl IntoIterator<Item = i32>) -> BTreeSet<TopicPartition> {
    indexes.into_iter().map(|p| TopicPartition::new(TOPIC, p)).collect()
}
