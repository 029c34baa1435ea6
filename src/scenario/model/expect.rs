//! What a run must show.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ExpectedGroup, is_false};

use crate::base::{BrokerId, TopicPartition};
use crate::scenario::units::{Between, Millis, partition_name};

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
    /// How many acknowledged records the contract lets go, by the name of its reason; every other reason must take none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permitted_loss: Option<BTreeMap<String, Between<u64>>>,
    /// How many records are in the log more than once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duplicated: Option<Between<u64>>,
    /// How many records readers missed because the log start had passed them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<Between<u64>>,
    /// How many records were not acknowledged, by Kafka's name of the error; every other error must have hit none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errors: Option<BTreeMap<String, Between<u64>>>,
    /// Where logs start after healing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub log_starts: Vec<ExpectedLogStart>,
    /// What it took brokers to come to know the metadata when they last started.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metadata_loads: Vec<ExpectedLoad>,
    /// Partitions that reassignments move: each partition that is named here has exactly the moves that are listed for it,
    /// in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub moves: Vec<ExpectedMove>,
    /// How the records of clients are spread over the partitions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub spreads: Vec<ExpectedSpread>,
    /// When brokers are fenced.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fenced: Vec<ExpectedFencing>,
    /// What becomes of consumer groups.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<ExpectedGroup>,
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

/// The first offset that is left of a partition after healing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ExpectedLogStart {
    /// Where.
    #[serde(with = "partition_name")]
    pub partition: TopicPartition,
    /// Which offset.
    pub between: Between<u64>,
}

/// How a broker came to know the metadata when it last started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ExpectedLoad {
    /// Who.
    pub broker: BrokerId,
    /// Records of the snapshot that it began with; 0 if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<Between<u64>>,
    /// Records that it replayed after that.
    pub replayed: Between<u64>,
    /// How long all of it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took: Option<Between<Millis>>,
}

/// A reassignment that moves a partition to other brokers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ExpectedMove {
    /// Which partition.
    #[serde(with = "partition_name")]
    pub partition: TopicPartition,
    /// Bytes of its log that the added replicas copy.
    pub bytes: Between<u64>,
    /// How long it takes until the old replicas are gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took: Option<Between<Millis>>,
    /// Bytes that are copied in a second, on the average of the move.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Between<u64>>,
}

/// How the acknowledged records of a group of clients are spread over the partitions of its topic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ExpectedSpread {
    /// Which group.
    pub client: String,
    /// Share of the partition that got least, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least: Option<Between<f64>>,
    /// Share of the partition that got most, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most: Option<Between<f64>>,
    /// How many keys are in more than one partition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split_keys: Option<Between<u64>>,
}
