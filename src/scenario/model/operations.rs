//! What an administrator does to the cluster.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::lenient;
use super::target::ClientName;
use crate::base::{BrokerId, TopicPartition};
use crate::scenario::units::partition_name;

/// A topic gets more partitions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AddPartitions {
    /// Which topic.
    pub topic: String,
    /// How many partitions it has then.
    pub total: u32,
}

/// Another replica comes to lead a partition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct MoveLeader {
    /// Which partition.
    #[serde(with = "partition_name")]
    pub partition: TopicPartition,
    /// The replica that becomes the preferred one, and leads if it is in sync.
    pub to: BrokerId,
}

/// Whose preferred replicas are elected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ElectPreferred {
    /// Those of all partitions of all topics of the scenario.
    All,
    /// That of one partition.
    #[serde(untagged)]
    One(PartitionOnly),
}

/// One partition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PartitionOnly {
    /// Which.
    #[serde(with = "partition_name")]
    pub partition: TopicPartition,
}

/// Entries of a dynamic configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SetConfig {
    /// A topic's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// A broker's; that of all brokers together if neither is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broker: Option<BrokerId>,
    /// What is set, and what is deleted (`null`), so that what stands a level higher holds again.
    #[serde(deserialize_with = "lenient::entries")]
    pub config: BTreeMap<String, Option<String>>,
}

/// A partition moves to other brokers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Reassign {
    /// Which partition.
    #[serde(with = "partition_name")]
    pub partition: TopicPartition,
    /// All replicas that it has then, the preferred leader first.
    pub replicas: Vec<BrokerId>,
}

/// Who joins or leaves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Comer {
    /// A broker, the cluster.
    Broker(BrokerId),
    /// The processes of an application, `NAME`, or one of them, `NAME#i`, their group.
    Client(ClientName),
}
