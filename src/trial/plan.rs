//! Turns a scenario, which a person wrote, into what the world needs: configurations, topics, client processes.

use std::collections::{BTreeMap, BTreeSet};

use super::applications;
use crate::base::{BrokerId, TopicPartition};
use crate::broker::config::BrokerConfig;
use crate::broker::groups::{Groups, OFFSETS_TOPIC};
use crate::check::{Promises, QuorumTimeouts, TopicPromises, WriterTraits};
use crate::client::admin::NewTopic;
use crate::client::config::{ConsumerConfig, ProducerConfig};
use crate::scenario::Scenario;
use crate::scenario::model::{Acks, Assign, ClientName, Config, Producer, Role, Strategy, Topic};
use crate::world::cluster::{Cluster, ClusterPlan, Region};
use crate::world::history::Promise;
use crate::world::reader::ReaderPlan;
use crate::world::writer::{self, WriterPlan};

/// A scenario is validated before it runs, so a refused entry here is a mistake of ours.
pub(super) fn must<T, E: std::fmt::Display>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|e| panic!("the scenario was validated, and yet: {e}"))
}

fn broker_config(common: &Config, own: Option<&Config>) -> BrokerConfig {
    let mut config = BrokerConfig::default();
    for (key, value) in common.iter().chain(own.into_iter().flatten()) {
        must(config.set(key, value));
    }
    config
}

/// Every node with its role and its configuration.
pub(super) fn cluster(scenario: &Scenario) -> ClusterPlan {
    let c = &scenario.cluster;
    let configured = |id: BrokerId| (id, broker_config(&c.config, c.broker_config.get(&id)));
    let brokers: BTreeMap<_, _> = c.ids().map(configured).collect();
    let controllers: BTreeMap<_, _> = c.controller_ids().map(configured).collect();
    let numbers = region_numbers(scenario);
    let regions = c.nodes().filter_map(|id| {
        let name = c.region_of(id)?;
        Some((id, Region { number: numbers[name], name: name.to_owned() }))
    });
    let mut latencies = BTreeMap::new();
    for (a, others) in &c.region_latency {
        for (b, between) in others {
            let (a, b) = (numbers[a.as_str()], numbers[b.as_str()]);
            latencies.insert((a.min(b), a.max(b)), (between.0.0 * 1_000, between.1.0 * 1_000));
        }
    }
    let absent = scenario.joining();
    let (voters, regions) = (scenario.voters(), regions.collect());
    ClusterPlan { voters, absent, regions, latencies, brokers, controllers }
}

/// The partition whose leader coordinates a group.
pub(super) fn coordinating(scenario: &Scenario, group: &str) -> TopicPartition {
    let count = broker_config(&scenario.cluster.config, None).offsets_topic_num_partitions;
    TopicPartition::new(OFFSETS_TOPIC, Groups::partition_of(group, i32::try_from(count).unwrap_or(i32::MAX)))
}

/// Regions are numbered in the order of their names.
fn region_numbers(scenario: &Scenario) -> BTreeMap<&str, u32> {
    scenario.cluster.regions.keys().map(String::as_str).zip(0..).collect()
}

/// The number of the region that a client process runs in.
pub(super) fn region_of_client(scenario: &Scenario, process: &str) -> u32 {
    let group = ClientName::parse(process).group;
    let own = scenario.clients.iter().find(|client| client.name == group).and_then(|client| client.region.as_deref());
    let home = own.or_else(|| scenario.cluster.region_of(BrokerId(1)));
    home.map_or(0, |name| region_numbers(scenario)[name])
}

/// What the configuration promises.
pub(super) fn promises(scenario: &Scenario) -> Promises {
    let c = &scenario.cluster;
    let each: Vec<_> = c.nodes().map(|id| broker_config(&c.config, c.broker_config.get(&id))).collect();
    let cluster = TopicPromises {
        min_isr: each.iter().map(|config| config.min_insync_replicas as usize).min(),
        unclean: Some(each.iter().any(|config| config.unclean_leader_election)),
    };
    let own = |topic: &Topic| {
        let entry = |key: &str| topic.config.get(key).map(|value| value.trim());
        TopicPromises {
            min_isr: entry("min.insync.replicas").and_then(|value| value.parse().ok()),
            unclean: entry("unclean.leader.election.enable").and_then(|value| value.parse().ok()),
        }
    };
    let longest = |of: fn(&BrokerConfig) -> i64| each.iter().map(of).max().unwrap_or(0) as u64;
    Promises {
        quorum: QuorumTimeouts {
            election_ms: longest(|config| config.quorum_election_timeout_ms),
            fetch_ms: longest(|config| config.quorum_fetch_timeout_ms),
        },
        cluster,
        files: cluster,
        returned: BTreeSet::new(),
        topics: scenario.topics.iter().map(|topic| (topic.name.clone(), own(topic))).collect(),
        elr: each.iter().all(|config| config.eligible_leader_replicas),
        voters: scenario.voters(),
        untold_writers: false,
        applications: applications::promised(scenario),
    }
}

/// A topic to create.
pub(super) fn topic(topic: &Topic) -> NewTopic {
    let by_hand = !topic.assignment.is_empty();
    NewTopic {
        name: topic.name.as_str().into(),
        partitions: if by_hand { -1 } else { topic.partitions as i32 },
        replication_factor: if by_hand { -1 } else { topic.replication_factor as i16 },
        assignments: topic.assignment.clone(),
        configs: topic.config.clone(),
    }
}

/// The partitions of a topic.
pub(super) fn partitions(topic: &Topic) -> Vec<TopicPartition> {
    (0..topic.partitions as i32).map(|i| TopicPartition::new(topic.name.as_str(), i)).collect()
}

fn find<'a>(scenario: &'a Scenario, name: &str) -> &'a Topic {
    scenario.topics.iter().find(|t| t.name == name).expect("a validated scenario names its topics")
}

/// Every writing process with its name.
pub(super) fn writers(scenario: &Scenario, cluster: &Cluster) -> Vec<(String, WriterPlan)> {
    let (mut plans, bootstrap) = (Vec::new(), cluster.bootstrap());
    for client in &scenario.clients {
        let Role::Producer(p) = &client.role else { continue };
        for i in 0..p.count {
            let name = format!("{}#{i}", client.name);
            let mut config = ProducerConfig::default();
            let (acks, promise) = match p.acks {
                Acks::All => ("all", Promise::All),
                Acks::Leader => ("1", Promise::Leader),
                Acks::None => ("0", Promise::Nothing),
            };
            let own = [("bootstrap.servers", bootstrap.as_str()), ("client.id", name.as_str()), ("acks", acks)];
            for (key, value) in own.into_iter().chain(p.config.iter().map(|(k, v)| (k.as_str(), v.as_str()))) {
                must(config.set(key, value));
            }
            let plan = WriterPlan {
                writer: plans.len() as u32,
                topic: p.topic.as_str().into(),
                strategy: strategy(p),
                partitions: find(scenario, &p.topic).partitions as i32,
                rate: p.rate,
                records: p.records,
                value_size: p.value_size.0 as usize,
                promise,
                config,
                tamper: cluster.tamper(&name),
            };
            plans.push((name, plan));
        }
    }
    plans
}

/// Which partition each record of a producer goes to.
pub(super) fn strategy(producer: &Producer) -> writer::Strategy {
    match producer.strategy {
        Strategy::EachInTurn => writer::Strategy::EachInTurn,
        Strategy::Sticky => writer::Strategy::Sticky,
        Strategy::Keyed => writer::Strategy::Keyed { keys: producer.keys, hot_percent: producer.hot_key },
    }
}

/// What a writer's settings promise of its retries.
pub(super) fn traits(config: &ProducerConfig) -> WriterTraits {
    let idempotent = config.idempotent();
    WriterTraits { idempotent, ordered: idempotent || config.max_in_flight <= 1 }
}

/// Every reading process with its name.
pub(super) fn readers(scenario: &Scenario, bootstrap: &str) -> Vec<(String, ReaderPlan)> {
    let mut plans = Vec::new();
    for client in &scenario.clients {
        let Role::Consumer(c) = &client.role else { continue };
        let mut config = ConsumerConfig::default();
        // A reader joins an empty topic: earliest, so that it sees every record from the first one on.
        let own =
            [("bootstrap.servers", bootstrap), ("client.id", client.name.as_str()), ("auto.offset.reset", "earliest")];
        for (key, value) in own.into_iter().chain(c.config.iter().map(|(k, v)| (k.as_str(), v.as_str()))) {
            must(config.set(key, value));
        }
        let all = partitions(find(scenario, &c.topic));
        let assigned = match &c.assign {
            Assign::All => all,
            Assign::Some(list) => all.into_iter().filter(|tp| list.contains(&tp.partition)).collect(),
        };
        let plan = ReaderPlan { reader: plans.len() as u32, partitions: assigned, config };
        plans.push((format!("{}#0", client.name), plan));
    }
    plans
}
