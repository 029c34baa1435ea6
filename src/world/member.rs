//! What members of consumer groups do and are told, as the history keeps it.

use std::sync::Arc;

use serde::Serialize;

use super::history::Value;
use crate::base::{Offset, TopicPartition};

/// What a process has to do with its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// It is a member and says what is committed.
    Joins,
    /// It is a member, and its consumer commits by itself what was polled.
    CommitsItself,
    /// It only asks what is committed.
    Asks,
}

/// How a rebalance goes on, as a member's listener hears of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// It is about to join.
    Preparing,
    /// It gives these partitions back.
    Revoked,
    /// It was expelled, and has lost these partitions.
    Lost,
    /// These partitions are its own from now on, beside those that it has kept.
    Assigned,
}

/// What became of a commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Commit {
    /// The coordinator has it.
    Done,
    /// The coordinator has it, but an earlier attempt was lost on its way, and may yet arrive and be stored again.
    Repeated,
    /// It was refused and has changed nothing.
    Refused(#[serde(serialize_with = "text")] Arc<str>),
    /// Nobody knows whether the coordinator has it.
    Unknown(#[serde(serialize_with = "text")] Arc<str>),
}

impl Commit {
    /// True if the coordinator has it.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done | Self::Repeated)
    }
    /// True if an attempt may be stored at any time from now on.
    #[must_use]
    pub fn may_come_late(&self) -> bool {
        matches!(self, Self::Repeated | Self::Unknown(_))
    }
}

/// What a member did with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Handled {
    /// Processed it.
    Processed,
    /// Passed it over, since it cannot be processed.
    PassedOver,
    /// Wrote it to the dead-letter topic, since it cannot be processed.
    DeadLettered,
}

/// Offsets by partition.
pub type Offsets = Vec<(TopicPartition, Offset)>;

/// What one life of a member process did or was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "op", rename_all = "kebab-case")]
pub enum MemberOp {
    /// The life of process `NAME#i` begins.
    Began {
        #[serde(serialize_with = "text")]
        process: Arc<str>,
        #[serde(serialize_with = "text")]
        group: Arc<str>,
        part: Part,
    },
    /// It speaks the consumer protocol (KIP-848): generations are member epochs, and members of a group may be in different ones.
    ConsumerProtocol,
    /// The process has ended, or died.
    Ended,
    /// A step of a rebalance.
    Rebalance {
        step: Step,
        #[serde(serialize_with = "names")]
        partitions: Vec<TopicPartition>,
        #[serde(serialize_with = "text")]
        member_id: Arc<str>,
        generation: i32,
        /// How long ago: a member hears of it when it has polled.
        ago_ns: u64,
    },
    /// It asks to commit these offsets; `ask` counts the questions of this life.
    Committing {
        ask: u64,
        generation: i32,
        #[serde(serialize_with = "pairs")]
        offsets: Offsets,
    },
    /// What became of that commit.
    Committed { ask: u64, commit: Commit },
    /// What became of a commit that its consumer made by itself, some time ago.
    CommittedItself {
        #[serde(serialize_with = "pairs")]
        offsets: Offsets,
        commit: Commit,
    },
    /// It asks what is committed.
    AskingOffsets { ask: u64 },
    /// The answer; partitions for which nothing is committed have [`Offset::NONE`].
    ToldOffsets {
        ask: u64,
        #[serde(serialize_with = "pairs")]
        offsets: Offsets,
    },
    /// It is done with a record.
    Handled {
        #[serde(serialize_with = "name")]
        partition: TopicPartition,
        offset: Offset,
        how: Handled,
    },
    /// Processing a record has changed the store, or left it as it was because it had been done before.
    Effect {
        #[serde(serialize_with = "name")]
        partition: TopicPartition,
        offset: Offset,
        changed: bool,
    },
    /// It writes a copy of a record to the dead-letter topic.
    DeadLetter {
        value: Option<Value>,
        #[serde(serialize_with = "text")]
        topic: Arc<str>,
    },
    /// Its process dies of a record.
    Died {
        #[serde(serialize_with = "name")]
        partition: TopicPartition,
        offset: Offset,
        #[serde(serialize_with = "text")]
        error: Arc<str>,
    },
}

fn text<S: serde::Serializer>(text: &Arc<str>, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(text)
}

fn name<S: serde::Serializer>(tp: &TopicPartition, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(tp)
}

fn names<S: serde::Serializer>(tps: &[TopicPartition], s: S) -> Result<S::Ok, S::Error> {
    s.collect_seq(tps.iter().map(ToString::to_string))
}

fn pairs<S: serde::Serializer>(offsets: &[(TopicPartition, Offset)], s: S) -> Result<S::Ok, S::Error> {
    s.collect_map(offsets.iter().map(|(tp, offset)| (tp.to_string(), offset)))
}
