//! Whether a well-formed scenario makes sense: names that exist, a topology that can be, faults that can happen.
//!
//! Places are paths like `topics[0].assignment[1]`, so that a scenario which was never a file can be checked too.

use std::collections::BTreeMap;

use super::model::{Acks, Action, Assign, Client, FIRST_CONTROLLER, Producer, Role, Scenario, Topic};
use super::{validate_expect, validate_faults, validate_groups};
use crate::base::nearest::hint;
use crate::base::{BrokerId, TopicPartition};
use crate::client::config::ProducerConfig;

/// Records per second that one group of clients may write.
const MAX_GROUP_RATE: u64 = 100_000;
/// Bytes of a value: enough for its unique number, and no more than a broker takes by default.
const VALUE_SIZE: std::ops::RangeInclusive<u64> = 16..=1024 * 1024;
/// The longest chaos phase, in milliseconds: a day.
const MAX_DURATION_MS: u64 = 24 * 3_600_000;

/// What makes no sense: the path of the place and what is wrong there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nonsense {
    /// The place.
    pub path: String,
    /// What is wrong.
    pub text: String,
}

/// Everything about the scenario that makes no sense.
#[must_use]
pub fn validate(scenario: &Scenario) -> Vec<Nonsense> {
    let mut check = Check { scenario, found: Vec::new() };
    check.cluster();
    check.topics();
    check.clients();
    validate_faults::faults(&mut check);
    validate_expect::expect(&mut check);
    check.found
}

/// A scenario under examination.
pub(super) struct Check<'a> {
    pub(super) scenario: &'a Scenario,
    found: Vec<Nonsense>,
}

impl Check<'_> {
    pub(super) fn complain(&mut self, path: impl Into<String>, text: impl Into<String>) {
        self.found.push(Nonsense { path: path.into(), text: text.into() });
    }

    pub(super) fn broker(&mut self, path: &str, id: BrokerId) -> bool {
        let cluster = &self.scenario.cluster;
        let known = cluster.ids().any(|known| known == id);
        if !known {
            let count = cluster.brokers;
            let what = match cluster.is_controller(id) {
                true => format!("node {id} is a controller and no broker"),
                false => format!("there is no broker {id}"),
            };
            self.complain(path, format!("{path}: {what}; the cluster has brokers 1 to {count}"));
        }
        known
    }

    /// A broker or a separate controller.
    pub(super) fn node(&mut self, path: &str, id: BrokerId) -> bool {
        let cluster = &self.scenario.cluster;
        let known = cluster.nodes().any(|known| known == id);
        if !known {
            let controllers = cluster.controller_ids().last();
            let controllers =
                controllers.map_or(String::new(), |last| format!(" and controllers {FIRST_CONTROLLER} to {last}"));
            let count = cluster.brokers;
            let text = format!("{path}: there is no broker {id}; the cluster has brokers 1 to {count}{controllers}");
            self.complain(path, text);
        }
        known
    }

    pub(super) fn topic(&mut self, path: &str, name: &str) -> Option<&Topic> {
        let found = self.scenario.topics.iter().find(|topic| topic.name == name);
        if found.is_none() {
            let near = hint(name, self.scenario.topics.iter().map(|topic| topic.name.as_str()));
            self.complain(path, format!("{path}: there is no topic {name:?}; {near}"));
        }
        found
    }

    pub(super) fn partition(&mut self, path: &str, tp: &TopicPartition) -> bool {
        let Some(count) = self.topic(path, &tp.topic).map(|topic| topic.partitions) else { return false };
        let more = self.scenario.faults.iter().filter_map(|fault| match &fault.action {
            Action::AddPartitions(more) if *more.topic == *tp.topic => Some(more.total),
            _ => None,
        });
        let count = more.max().map_or(count, |more| more.max(count));
        let known = (0..count).any(|index| index as i32 == tp.partition);
        if !known {
            let text = format!("{path}: there is no partition {tp}; the topic has partitions 0 to {}", count - 1);
            self.complain(path, text);
        }
        known
    }

    fn cluster(&mut self) {
        for id in self.scenario.cluster.broker_config.keys() {
            self.node(&format!("cluster.broker-config.{id}"), *id);
        }
        self.regions();
        if self.scenario.duration.0 == 0 || self.scenario.duration.0 > MAX_DURATION_MS {
            self.complain("duration", "duration: the chaos phase lasts from 1ms to 24h");
        }
    }

    /// Every node is in one region, or there is none; latencies are between regions that exist.
    fn regions(&mut self) {
        let cluster = &self.scenario.cluster;
        let mut homes: BTreeMap<BrokerId, &str> = BTreeMap::new();
        for (name, members) in &cluster.regions {
            for (i, id) in members.iter().enumerate() {
                let place = format!("cluster.regions.{name}[{i}]");
                if self.node(&place, *id)
                    && let Some(other) = homes.insert(*id, name)
                {
                    self.complain(&place, format!("{place}: {} is in region {other:?} already", cluster.name_of(*id)));
                }
            }
        }
        if let Some(id) = cluster.nodes().find(|id| !cluster.regions.is_empty() && !homes.contains_key(id)) {
            self.complain("cluster.regions", format!("cluster.regions: {} is in no region", cluster.name_of(id)));
        }
        for (a, others) in &cluster.region_latency {
            self.region(&format!("cluster.region-latency.{a}"), a);
            for (b, between) in others {
                let place = format!("cluster.region-latency.{a}.{b}");
                self.region(&place, b);
                if between.0 > between.1 {
                    let text = format!("{place}: the least {} is above the most {}", between.0, between.1);
                    self.complain(&place, text);
                }
                let other_way = cluster.region_latency.get(b).is_some_and(|back| back.contains_key(a));
                if other_way && a > b {
                    self.complain(&place, format!("{place}: stands under {b}.{a} already"));
                }
            }
        }
    }

    pub(super) fn region(&mut self, path: &str, name: &str) {
        let regions = &self.scenario.cluster.regions;
        if !regions.contains_key(name) {
            let near = hint(name, regions.keys().map(String::as_str));
            self.complain(path, format!("{path}: there is no region {name:?}; {near}"));
        }
    }

    fn topics(&mut self) {
        for (i, topic) in self.scenario.topics.iter().enumerate() {
            let path = format!("topics[{i}]");
            if self.scenario.topics[..i].iter().any(|earlier| earlier.name == topic.name) {
                self.complain(format!("{path}.name"), format!("{path}: the name {:?} is taken", topic.name));
            }
            self.shape_of(topic, &path);
        }
    }

    /// Whether the cluster has room for a topic.
    pub(super) fn shape_of(&mut self, topic: &Topic, path: &str) {
        let brokers = self.scenario.founders().len() as u32;
        if topic.replication_factor > brokers {
            let place = format!("{path}.replication-factor");
            let factor = topic.replication_factor;
            self.complain(&place, format!("{place}: {factor} replicas need {factor} brokers; there are {brokers}"));
        }
        self.assignment(topic, &format!("{path}.assignment"));
    }

    fn assignment(&mut self, topic: &Topic, path: &str) {
        let (given, wanted) = (topic.assignment.len(), topic.partitions as usize);
        if given != 0 && given != wanted {
            self.complain(path, format!("{path}: lists {given} partitions; the topic has {wanted}"));
        }
        for (p, replicas) in topic.assignment.iter().enumerate() {
            let path = format!("{path}[{p}]");
            if replicas.len() != topic.replication_factor as usize {
                let factor = topic.replication_factor;
                let text = format!("{path}: lists {} replicas; the replication factor is {factor}", replicas.len());
                self.complain(&path, text);
            }
            for (r, id) in replicas.iter().enumerate() {
                let path = format!("{path}[{r}]");
                let known = self.broker(&path, *id);
                if known && self.scenario.joining().contains(id) {
                    self.complain(&path, format!("{path}: broker {id} is no part of the cluster until it joins"));
                }
                if known && replicas[..r].contains(id) {
                    self.complain(&path, format!("{path}: broker {id} holds a replica of this partition already"));
                }
            }
        }
    }

    fn clients(&mut self) {
        for (i, client) in self.scenario.clients.iter().enumerate() {
            let path = format!("clients[{i}]");
            if self.scenario.clients[..i].iter().any(|earlier| earlier.name == client.name) {
                self.complain(format!("{path}.name"), format!("{path}: the name {:?} is taken", client.name));
            }
            if let Some(region) = &client.region {
                self.region(&format!("{path}.region"), region);
            }
            self.role(client, &path);
        }
    }

    fn role(&mut self, client: &Client, path: &str) {
        match &client.role {
            Role::Producer(producer) => {
                self.topic(&format!("{path}.producer.topic"), &producer.topic);
                let rate = u64::from(producer.rate) * u64::from(producer.count);
                if rate > MAX_GROUP_RATE {
                    let place = format!("{path}.producer.rate");
                    let text = format!("{place}: {rate} records/s in all; a group writes {MAX_GROUP_RATE} at most");
                    self.complain(place, text);
                }
                if !VALUE_SIZE.contains(&producer.value_size.0) {
                    let place = format!("{path}.producer.value-size");
                    let text = format!("{place}: {} is not from 16B to 1MiB", producer.value_size);
                    self.complain(place, text);
                }
                if let Err(contradiction) = contradiction(producer) {
                    self.complain(format!("{path}.producer.config"), format!("{path}.producer: {contradiction}"));
                }
            }
            Role::Consumer(consumer) => {
                let known = self.topic(&format!("{path}.consumer.topic"), &consumer.topic).is_some();
                let Assign::Some(partitions) = &consumer.assign else { return };
                for (n, index) in partitions.iter().enumerate().filter(|_| known) {
                    let place = format!("{path}.consumer.assign[{n}]");
                    let tp = TopicPartition::new(consumer.topic.as_str(), *index);
                    if self.partition(&place, &tp) && partitions[..n].contains(index) {
                        self.complain(&place, format!("{place}: partition {index} is listed twice"));
                    }
                }
            }
            Role::Group(group) => validate_groups::group(self, client, group, &format!("{path}.group")),
        }
    }
}

/// What no single key of a producer's configuration can know.
fn contradiction(producer: &Producer) -> Result<(), crate::client::config::ConfigError> {
    let mut config = ProducerConfig::default();
    let acks = match producer.acks {
        Acks::All => "all",
        Acks::Leader => "1",
        Acks::None => "0",
    };
    for (key, value) in [("acks", acks), ("bootstrap.servers", "any:9092")] {
        config.set(key, value)?;
    }
    for (key, value) in &producer.config {
        config.set(key, value)?;
    }
    config.validate()
}
