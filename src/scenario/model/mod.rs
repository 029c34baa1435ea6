//! The explicit scenario: what a run consists of, with every default filled in.
//!
//! A capsule stores exactly this; serialising it gives a scenario file that reads back as the same value. What a field
//! may hold is said in [`super::keys`]; here stands only what it means to the run.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::units::{Between, Bytes, Millis};
use crate::base::BrokerId;

mod clients;
mod expect;
mod expect_groups;
mod faults;
mod groups;
pub(super) mod lenient;
mod operations;
mod target;
mod when;

pub use clients::{Acks, Assign, Client, Consumer, Producer, Role, Strategy};
pub use expect::{
    Expect, ExpectedAvailability, ExpectedController, ExpectedFencing, ExpectedLoad, ExpectedLogStart, ExpectedMove,
    ExpectedOutage, ExpectedRejoin, ExpectedSpread, ExpectedState,
};
pub use expect_groups::{
    ExpectedCommit, ExpectedGroup, ExpectedLag, ExpectedOwners, ExpectedThroughput, PartitionOffsets,
};
pub use faults::{
    Action, BitRot, Bridge, ClockDrift, ClockStep, CorruptFrames, DelayRequest, DiskError, DiskFull, DiskOp, DiskSlow,
    Fault, Groups, Heal, Link, LossyLink, Misdirect, Pair, Poison, PoisonKind, SlowLink,
};
pub use groups::{Delivery, Effect, Group, OnPoison, Style};
pub use operations::{AddPartitions, Comer, ElectPreferred, MoveLeader, PartitionOnly, Reassign, SetConfig};
pub use target::{ClientName, Member, Target};
pub use when::{After, EventName, Milestone, When};

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

impl Scenario {
    /// Brokers that are no part of the cluster until a `join` adds them. They do not vote: voters are static.
    #[must_use]
    pub fn joining(&self) -> BTreeSet<BrokerId> {
        let join = |fault: &Fault| match &fault.action {
            Action::Join(Comer::Broker(broker)) => Some(*broker),
            _ => None,
        };
        self.faults.iter().filter_map(join).collect()
    }
    /// The brokers that are part of the cluster from the start.
    #[must_use]
    pub fn founders(&self) -> Vec<BrokerId> {
        let joining = self.joining();
        self.cluster.ids().filter(|id| !joining.contains(id)).collect()
    }
    /// The nodes that vote in the metadata quorum.
    #[must_use]
    pub fn voters(&self) -> Vec<BrokerId> {
        match self.cluster.controllers {
            Controllers::Combined => self.founders(),
            Controllers::Separate(_) => self.cluster.controller_ids().collect(),
        }
    }
}

/// The cluster under test; its brokers are numbered from 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Cluster {
    /// How many brokers.
    pub brokers: u32,
    /// Who votes in the metadata quorum.
    pub controllers: Controllers,
    /// Configuration of every node.
    #[serde(deserialize_with = "lenient::config")]
    pub config: Config,
    /// Configuration of single nodes, which wins over `config`.
    #[serde(deserialize_with = "lenient::broker_config")]
    pub broker_config: BTreeMap<BrokerId, Config>,
    /// The regions with their nodes; empty if there is but one.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub regions: BTreeMap<String, Vec<BrokerId>>,
    /// Latency between two regions, least and most, the same both ways; what is not listed has 80 to 100 ms.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub region_latency: BTreeMap<String, BTreeMap<String, Between<Millis>>>,
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            brokers: 3,
            controllers: Controllers::Combined,
            config: Config::new(),
            broker_config: BTreeMap::new(),
            regions: BTreeMap::new(),
            region_latency: BTreeMap::new(),
        }
    }
}

impl Cluster {
    /// The ids of all brokers.
    pub fn ids(&self) -> impl Iterator<Item = BrokerId> + use<> {
        (1..=self.brokers).map(|n| BrokerId(n as i32))
    }
    /// The ids of the nodes that are controllers alone; none if every broker is a controller as well.
    pub fn controller_ids(&self) -> impl Iterator<Item = BrokerId> + use<> {
        let count = match self.controllers {
            Controllers::Combined => 0,
            Controllers::Separate(count) => count,
        };
        (0..count).map(|n| BrokerId(FIRST_CONTROLLER + n as i32))
    }
    /// The ids of all nodes: brokers, then separate controllers.
    pub fn nodes(&self) -> impl Iterator<Item = BrokerId> + use<> {
        self.ids().chain(self.controller_ids())
    }
    /// True if the node is a controller alone.
    #[must_use]
    pub fn is_controller(&self, node: BrokerId) -> bool {
        self.controller_ids().any(|id| id == node)
    }
    /// What a person calls a node.
    #[must_use]
    pub fn name_of(&self, node: BrokerId) -> String {
        format!("{} {node}", if self.is_controller(node) { "controller" } else { "broker" })
    }
    /// The region of a node, if there are regions.
    #[must_use]
    pub fn region_of(&self, node: BrokerId) -> Option<&str> {
        self.regions.iter().find(|(_, members)| members.contains(&node)).map(|(name, _)| name.as_str())
    }
}

/// The id of the first separate controller; no broker has one as high.
pub const FIRST_CONTROLLER: i32 = 1_001;

/// Who votes in the metadata quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Controllers {
    /// Every broker that does not join later is a voter as well (`process.roles=broker,controller`).
    Combined,
    /// So many nodes are controllers alone, numbered from [`FIRST_CONTROLLER`]; brokers are brokers alone.
    Separate(u32),
}

/// A topic.
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
    /// Its own configuration, which wins over the brokers'.
    #[serde(skip_serializing_if = "Config::is_empty")]
    pub config: Config,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_false(b: &bool) -> bool {
    !b
}

/// What fields hold that a file leaves out; [`super::keys`] documents the same values and a test compares them.
pub mod defaults {
    use super::{Between, Bytes, Millis};

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
    /// Different keys.
    #[must_use]
    pub fn keys() -> u32 {
        100
    }
    /// True if so many need not be written.
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
    #[must_use]
    pub fn are_keys(n: &u32) -> bool {
        *n == keys()
    }
    /// True if so many need not be written.
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
    #[must_use]
    pub fn is_zero(n: &u32) -> bool {
        *n == 0
    }
    /// Records per second.
    #[must_use]
    pub fn rate() -> u32 {
        10
    }
    /// What an operation of a slow disk takes more.
    #[must_use]
    pub fn disk_latency() -> Millis {
        Millis(100)
    }
    /// What processing a record takes.
    #[must_use]
    pub fn processing() -> Between<Millis> {
        Between(Millis(1), Millis(1))
    }
    /// Bytes of a value.
    #[must_use]
    pub fn value_size() -> Bytes {
        Bytes(100)
    }
}
