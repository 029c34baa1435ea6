//! The explicit scenario: what a run consists of, with every default filled in.
//!
//! A capsule stores exactly this; serialising it gives a scenario file that reads back as the same value. What a field
//! may hold is said in [`super::keys`]; here stands only what it means to the run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::units::{Between, Bytes, Millis, partition_name};
use crate::base::{BrokerId, TopicPartition};

/// Configuration entries under Apache Kafka's own keys; values as plain text.
pub type Config = BTreeMap<String, String>;

/// One scenario: a cluster, what its clients do, what happens to it, and what must come of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Scenario {
    /// Names the scenario in verdicts and in the folder that a run leaves.
    pub name: String,
    /// What happens and why, in one paragraph.
    #[serde(default)]
    pub story: String,
    /// The cluster under test.
    #[serde(default)]
    pub cluster: Cluster,
    /// The topics that exist before the clients start.
    #[serde(default)]
    pub topics: Vec<Topic>,
    /// Who writes and who reads.
    #[serde(default)]
    pub clients: Vec<Client>,
    /// Length of the chaos phase.
    #[serde(default = "defaults::duration")]
    pub duration: Millis,
    /// What happens to the cluster, in any order of time.
    #[serde(default)]
    pub faults: Vec<Fault>,
    /// True if what would exceed the fault budget is left out at run time.
    #[serde(default, skip_serializing_if = "is_false")]
    pub keep_budget: bool,
    /// What the run must show.
    #[serde(default)]
    pub expect: Expect,
}

/// The cluster under test; its brokers are numbered from 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Cluster {
    /// How many brokers.
    pub brokers: u32,
    /// Who votes in the metadata quorum.
    pub controllers: Controllers,
    /// Configuration of every broker.
    #[serde(deserialize_with = "lenient::config")]
    pub config: Config,
    /// Configuration of single brokers, which wins over `config`.
    #[serde(deserialize_with = "lenient::broker_config")]
    pub broker_config: BTreeMap<BrokerId, Config>,
}

impl Default for Cluster {
    fn default() -> Self {
        Self { brokers: 3, controllers: Controllers::Combined, config: Config::new(), broker_config: BTreeMap::new() }
    }
}

impl Cluster {
    /// The ids of all brokers.
    pub fn ids(&self) -> impl Iterator<Item = BrokerId> + use<> {
        (1..=self.brokers).map(|n| BrokerId(n as i32))
    }
}

/// Who votes in the metadata quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Controllers {
    /// Every broker is a voter as well.
    Combined,
}

/// A topic that exists before the clients start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", from = "super::topic::TopicFile")]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// How many partitions.
    pub partitions: u32,
    /// Replicas of each partition.
    pub replication_factor: u32,
    /// The replicas of each partition, the preferred leader first; empty if the controller is to choose.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub assignment: Vec<Vec<BrokerId>>,
}

/// A group of equal client processes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Client {
    /// Names the group; its processes are `NAME#0`, `NAME#1`...
    pub name: String,
    /// What the processes do.
    #[serde(flatten)]
    pub role: Role,
}

/// What a client process does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Writes numbered values at a fixed rate.
    Producer(Producer),
    /// Reads partitions that it was given by hand.
    Consumer(Consumer),
}

/// Processes that write unique values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Producer {
    /// Where to.
    pub topic: String,
    /// How many processes.
    #[serde(default = "defaults::one")]
    pub count: u32,
    /// Records per second of each process, spread evenly over the partitions.
    #[serde(default = "defaults::rate")]
    pub rate: u32,
    /// When a record counts as written.
    #[serde(default, deserialize_with = "lenient::acks")]
    pub acks: Acks,
    /// Bytes of each value.
    #[serde(default = "defaults::value_size")]
    pub value_size: Bytes,
    /// Kafka producer configuration that differs from Kafka's defaults.
    #[serde(default, deserialize_with = "lenient::config")]
    pub config: Config,
}

/// Kafka's `acks`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Acks {
    /// The whole ISR holds it.
    #[default]
    #[serde(rename = "all")]
    All,
    /// The leader has appended it.
    #[serde(rename = "1")]
    Leader,
    /// It was sent.
    #[serde(rename = "0")]
    None,
}

/// One process that reads without a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Consumer {
    /// Where from.
    pub topic: String,
    /// Which of its partitions.
    #[serde(default)]
    pub assign: Assign,
    /// Kafka consumer configuration that differs from Kafka's defaults.
    #[serde(default, deserialize_with = "lenient::config")]
    pub config: Config,
}

/// Partitions that a consumer is given by hand.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Assign {
    /// All of the topic.
    #[default]
    All,
    /// These.
    #[serde(untagged)]
    Some(Vec<i32>),
}

/// Something that happens to the cluster at a moment of the chaos phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// When.
    pub at: Millis,
    /// What.
    #[serde(flatten)]
    pub action: Action,
}

/// What can happen to the cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// The node is gone and with it everything that was not on its disk; its peers hear nothing more.
    PowerCut(Target),
    /// The process dies: its kernel keeps the page cache and resets its connections.
    Crash(Target),
    /// The process is asked to end: a controlled shutdown, then a clean one.
    Stop(Target),
    /// A node that is down boots; one that is stopping boots once it has ended.
    Start(Target),
    /// The process stands still (SIGSTOP) while its kernel goes on.
    Pause(Target),
    /// A paused process goes on.
    Resume(Target),
    /// Packets between two nodes are dropped.
    Cut(Cut),
    /// Packets between a node and all other nodes are dropped, both ways.
    Isolate(Target),
    /// Ends every `cut` and `isolate`.
    Heal(Heal),
}

impl Action {
    /// The key under which the action stands in a scenario file.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::PowerCut(_) => "power-cut",
            Self::Crash(_) => "crash",
            Self::Stop(_) => "stop",
            Self::Start(_) => "start",
            Self::Pause(_) => "pause",
            Self::Resume(_) => "resume",
            Self::Cut(_) => "cut",
            Self::Isolate(_) => "isolate",
            Self::Heal(_) => "heal",
        }
    }
}

/// A cut between two nodes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Cut {
    /// One side.
    pub from: Target,
    /// The other side.
    pub to: Target,
    /// True if only packets from `from` to `to` are dropped.
    #[serde(default)]
    pub one_way: bool,
}

/// What `heal` ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Heal {
    /// Every cut.
    All,
}

/// Who is hit; resolved at the moment of the fault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// This broker.
    Broker(BrokerId),
    /// The active controller.
    Controller,
    /// The leader of this partition.
    #[serde(with = "partition_name")]
    LeaderOf(TopicPartition),
    /// Every broker; for `start` and `resume`, every one that is down or paused.
    AllBrokers,
}

/// What a run must show. Everything is checked from measurement.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Expect {
    /// Codes of the properties that must be violated; none but these may be.
    pub violations: Vec<String>,
    /// Outages: each partition that is named here has exactly the outages that are listed for it, in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub outages: Vec<ExpectedOutage>,
    /// True if no partition has an outage other than those of `outages`.
    #[serde(skip_serializing_if = "is_false")]
    pub no_outage: bool,
    /// What the controller's committed metadata says at given moments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub states: Vec<ExpectedState>,
    /// Who is the active controller at given moments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub controller: Vec<ExpectedController>,
    /// Availability of partitions in percent of the chaos phase.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub availability: Vec<ExpectedAvailability>,
    /// How many acknowledged records are lost, permitted loss included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<Between<u64>>,
    /// How many records are in the log more than once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duplicated: Option<Between<u64>>,
    /// When brokers are fenced.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fenced: Vec<ExpectedFencing>,
    /// When brokers are back in the ISR.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rejoined: Vec<ExpectedRejoin>,
}

/// One outage, as long as the bounds say; see `report::availability` for its phases.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ExpectedOutage {
    /// Where.
    #[serde(with = "partition_name")]
    pub partition: TopicPartition,
    /// Its whole length.
    pub between: Between<Millis>,
    /// The phase until the cluster noticed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undetected: Option<Between<Millis>>,
    /// The phase until a leader could commit again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub election: Option<Between<Millis>>,
    /// The phase until the clients were served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clients: Option<Between<Millis>>,
}

/// The state of a partition at a moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ExpectedState {
    /// When.
    pub at: Millis,
    /// Where.
    #[serde(with = "partition_name")]
    pub partition: TopicPartition,
    /// Its leader; [`BrokerId::NONE`] (-1) if it must have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader: Option<BrokerId>,
    /// Its in-sync replicas, in any order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isr: Option<Vec<BrokerId>>,
}

/// The active controller at a moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ExpectedController {
    /// When.
    pub at: Millis,
    /// Who it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is: Option<BrokerId>,
    /// Who it is not; some other node must be it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not: Option<BrokerId>,
}

/// The availability of a partition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ExpectedAvailability {
    /// Where.
    #[serde(with = "partition_name")]
    pub partition: TopicPartition,
    /// In percent.
    pub between: Between<f64>,
}

/// A moment at which a broker is fenced.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ExpectedFencing {
    /// Who.
    pub broker: BrokerId,
    /// When.
    pub between: Between<Millis>,
}

/// A broker's return to the ISR of every partition that it has a replica of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ExpectedRejoin {
    /// Who.
    pub broker: BrokerId,
    /// When the last of its partitions has it back.
    pub between: Between<Millis>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_false(b: &bool) -> bool {
    !b
}

/// What fields hold that a file leaves out; [`super::keys`] documents the same values and a test compares them.
pub mod defaults {
    use super::{Bytes, Millis};

    /// Length of the chaos phase.
    #[must_use]
    pub fn duration() -> Millis {
        Millis::secs(60)
    }
    /// One process.
    #[must_use]
    pub fn one() -> u32 {
        1
    }
    /// Records per second.
    #[must_use]
    pub fn rate() -> u32 {
        10
    }
    /// Bytes of a value.
    #[must_use]
    pub fn value_size() -> Bytes {
        Bytes(100)
    }
}

/// Reads scalars that a person may write as text, number or boolean alike.
mod lenient {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, de};

    use super::{Acks, BrokerId, Config};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Scalar {
        Bool(bool),
        Integer(i64),
        Float(f64),
        Text(String),
    }

    impl Scalar {
        fn text(self) -> String {
            match self {
                Self::Bool(b) => b.to_string(),
                Self::Integer(n) => n.to_string(),
                Self::Float(x) => x.to_string(),
                Self::Text(t) => t,
            }
        }
    }

    fn texts(map: BTreeMap<String, Scalar>) -> Config {
        map.into_iter().map(|(k, v)| (k, v.text())).collect()
    }

    pub fn config<'de, D: Deserializer<'de>>(d: D) -> Result<Config, D::Error> {
        Ok(texts(BTreeMap::deserialize(d)?))
    }

    pub fn broker_config<'de, D: Deserializer<'de>>(d: D) -> Result<BTreeMap<BrokerId, Config>, D::Error> {
        let map = BTreeMap::<BrokerId, BTreeMap<String, Scalar>>::deserialize(d)?;
        Ok(map.into_iter().map(|(id, config)| (id, texts(config))).collect())
    }

    pub fn acks<'de, D: Deserializer<'de>>(d: D) -> Result<Acks, D::Error> {
        match Scalar::deserialize(d)?.text().as_str() {
            "all" | "-1" => Ok(Acks::All),
            "1" => Ok(Acks::Leader),
            "0" => Ok(Acks::None),
            other => Err(de::Error::custom(format!("acks {other:?} is not all, 1 or 0"))),
        }
    }
}
