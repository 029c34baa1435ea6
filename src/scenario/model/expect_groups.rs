//! What must become of a consumer group.

use serde::{Deserialize, Serialize};

use super::is_false;
use crate::base::{Offset, TopicPartition};
use crate::scenario::units::{Between, Millis, partition_name};

/// What must become of one group in the chaos phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ExpectedGroup {
    /// Its id.
    pub id: String,
    /// Exactly these offsets are committed past and never processed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped: Option<Vec<PartitionOffsets>>,
    /// Exactly these offsets are processed more than once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeated: Option<Vec<PartitionOffsets>>,
    /// Exactly these offsets are passed over because they cannot be processed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed_over: Option<Vec<PartitionOffsets>>,
    /// Exactly these offsets go to the dead-letter topic, each with its headers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letters: Option<Vec<PartitionOffsets>>,
    /// How many offsets are skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped_count: Option<Between<u64>>,
    /// How many offsets are processed more than once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeated_count: Option<Between<u64>>,
    /// How many records are processed, repetitions included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processed: Option<Between<u64>>,
    /// How often a process dies of a record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crashes: Option<Between<u64>>,
    /// How often a member is expelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expelled: Option<Between<u64>>,
    /// How many rebalances are completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebalances: Option<Between<u64>>,
    /// The longest time that a member which owned partitions owns none in a rebalance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_the_world: Option<Between<Millis>>,
    /// How many effects the records have on the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effects: Option<Between<u64>>,
    /// How many repetitions have no effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suppressed: Option<Between<u64>>,
    /// Records processed in 10 s, as the mean over a span.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub throughput: Vec<ExpectedThroughput>,
    /// How far it is behind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lag: Vec<ExpectedLag>,
    /// Who owns partitions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owners: Vec<ExpectedOwners>,
    /// What is committed at the end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub committed: Vec<ExpectedCommit>,
    /// It never reaches the end, not even after healing.
    #[serde(default, skip_serializing_if = "is_false")]
    pub stuck: bool,
}

/// Offsets of a partition from the first to the last, both included.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PartitionOffsets {
    /// Where.
    #[serde(with = "partition_name")]
    pub partition: TopicPartition,
    /// The first and the last.
    pub offsets: Between<Offset>,
}

/// How fast records are processed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ExpectedThroughput {
    /// The beginning of the span.
    pub from: Millis,
    /// Its end.
    pub to: Millis,
    /// Records in 10 s.
    pub between: Between<u64>,
}

/// How far a group is behind at a moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ExpectedLag {
    /// When.
    pub at: Millis,
    /// Records of all partitions together that are committed in the log and not yet processed.
    pub between: Between<u64>,
}

/// Who owns partitions at a moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ExpectedOwners {
    /// When.
    pub at: Millis,
    /// How many members own partitions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy: Option<u32>,
    /// How many members own none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<u32>,
    /// How many partitions have exactly one owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partitions: Option<u32>,
}

/// What is committed of a partition at the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ExpectedCommit {
    /// Where.
    #[serde(with = "partition_name")]
    pub partition: TopicPartition,
    /// The committed offset: that of the next record to come.
    pub between: Between<Offset>,
}
