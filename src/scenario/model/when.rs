//! When something happens: at a moment, or when the run has come so far.

use serde::{Deserialize, Serialize};

use crate::base::{BrokerId, TopicPartition};
use crate::scenario::units::{Millis, partition_name};

/// When a fault happens for the first time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// At this moment of the chaos phase.
    At(Millis),
    /// When this has come about, the chaos phase lasting; if it never does, the fault never happens.
    After(After),
}

/// What a fault waits for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct After {
    /// What must come about.
    #[serde(flatten)]
    pub milestone: Milestone,
    /// Only an event of this partition counts.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "partition_name::option")]
    pub partition: Option<TopicPartition>,
    /// Only an event of this broker counts: it is elected, joins or leaves an ISR, is fenced, cuts its log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broker: Option<BrokerId>,
    /// Only an event of this consumer group counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// How long after that.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub delay: Millis,
}

/// What can come about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Milestone {
    /// So many records were acknowledged in all.
    Acked(u64),
    /// So many records were read by clients in all.
    Consumed(u64),
    /// So many records were processed by applications in all, repetitions included.
    Processed(u64),
    /// The committed offsets of all groups amount to so much in all.
    Committed(u64),
    /// The first such event since the chaos phase began.
    Event(EventName),
}

/// What happens to a cluster, as its committed metadata and its logs show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventName {
    /// A partition has another leader.
    LeaderElected,
    /// Another node is the active controller.
    ControllerElected,
    /// An ISR lost a member.
    IsrShrunk,
    /// An ISR gained a member.
    IsrExpanded,
    /// A broker was fenced.
    BrokerFenced,
    /// A broker was unfenced.
    BrokerUnfenced,
    /// A replica cut its log.
    LogTruncated,
    /// A member of a consumer group that was stable has joined, or joins anew.
    RebalanceStarted,
    /// All members of a consumer group are in one generation.
    RebalanceCompleted,
    /// A member of a consumer group has learned that it is none any more.
    MemberExpelled,
}

impl EventName {
    /// The names, as a scenario file writes them.
    pub const NAMES: &'static [&'static str] = &[
        "leader-elected",
        "controller-elected",
        "isr-shrunk",
        "isr-expanded",
        "broker-fenced",
        "broker-unfenced",
        "log-truncated",
        "rebalance-started",
        "rebalance-completed",
        "member-expelled",
    ];
    /// True if such an event concerns a partition.
    #[must_use]
    pub fn has_partition(self) -> bool {
        matches!(self, Self::LeaderElected | Self::IsrShrunk | Self::IsrExpanded | Self::LogTruncated)
    }
    /// True if such an event concerns a consumer group.
    #[must_use]
    pub fn has_group(self) -> bool {
        matches!(self, Self::RebalanceStarted | Self::RebalanceCompleted | Self::MemberExpelled)
    }
}

fn is_zero(span: &Millis) -> bool {
    span.0 == 0
}
