//! Who writes and who reads.

use serde::{Deserialize, Serialize};

use super::{Config, defaults, lenient};
use crate::scenario::units::Bytes;

/// A group of equal client processes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Client {
    /// Names the group; its processes are `NAME#0`, `NAME#1`...
    pub name: String,
    /// The region that its processes run in; that of broker 1 if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
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
    /// Which partition each record goes to.
    #[serde(default, skip_serializing_if = "Strategy::is_default")]
    pub strategy: Strategy,
    /// How many different keys the records bear, if they bear any.
    #[serde(default = "defaults::keys", skip_serializing_if = "defaults::are_keys")]
    pub keys: u32,
    /// How many of a hundred records bear the first key, beside those that do anyway.
    #[serde(default, skip_serializing_if = "defaults::is_zero")]
    pub hot_key: u32,
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

/// Which partition each record goes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// The workload names the partitions, each in turn.
    #[default]
    EachInTurn,
    /// Records bear no key, and the producer sticks to one partition for a batch.
    Sticky,
    /// The hash of the record's key says it.
    Keyed,
}

impl Strategy {
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
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
