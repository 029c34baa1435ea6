//! Applications whose processes are members of a consumer group.

use serde::{Deserialize, Deserializer, Serialize};

use super::{Config, defaults, is_false, lenient};
use crate::scenario::units::{Between, Millis};

/// An application: its processes share the partitions of some topics, and process every record once they have it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Group {
    /// Kafka's `group.id`; the client's name if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Where from.
    pub topics: Vec<String>,
    /// How many processes.
    #[serde(default = "defaults::one")]
    pub count: u32,
    /// How many of them run from the beginning, the first ones; the others wait until they join. All if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<u32>,
    /// When it commits.
    #[serde(default)]
    pub style: Style,
    /// What its owners believe that it does; what its style gives if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,
    /// What was polled is handed to a task of its own, and polling goes on meanwhile.
    #[serde(default, skip_serializing_if = "is_false")]
    pub hand_off: bool,
    /// How long each record takes, drawn evenly between the two.
    #[serde(default = "defaults::processing", deserialize_with = "span")]
    pub processing: Between<Millis>,
    /// What it does with a record that it cannot process.
    #[serde(default)]
    pub on_poison: OnPoison,
    /// Where such records go, if they go somewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter_topic: Option<String>,
    /// What processing a record does to the application's store.
    #[serde(default)]
    pub effect: Effect,
    /// So long after a process has died a supervisor starts it again; nobody does if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_after: Option<Millis>,
    /// Each process is a static member (KIP-345) under its own name, `NAME#i`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub static_members: bool,
    /// Kafka consumer configuration that differs from Kafka's defaults.
    #[serde(default, deserialize_with = "lenient::config")]
    pub config: Config,
}

impl Group {
    /// The group's id; `client` is the name of the client that it belongs to.
    #[must_use]
    pub fn id<'a>(&'a self, client: &'a str) -> &'a str {
        self.id.as_deref().unwrap_or(client)
    }
    /// What its owners believe that it does.
    #[must_use]
    pub fn delivery(&self) -> Delivery {
        let by_style = match (self.effect, self.style) {
            (Effect::None, Style::CommitThenProcess) => Delivery::AtMostOnce,
            (Effect::None, Style::AutoCommit) if self.hand_off => Delivery::AtMostOnce,
            (Effect::None, Style::ProcessThenCommit | Style::AutoCommit) => Delivery::AtLeastOnce,
            _ => Delivery::ExactlyOnce,
        };
        self.delivery.unwrap_or(by_style)
    }
    /// How many processes run from the beginning.
    #[must_use]
    pub fn start(&self) -> u32 {
        self.start.unwrap_or(self.count)
    }
}

/// When an application commits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Style {
    /// What a poll has returned is committed before it is processed.
    CommitThenProcess,
    /// What a poll has returned is committed once it is processed.
    #[default]
    ProcessThenCommit,
    /// The consumer commits by itself every auto.commit.interval.ms.
    AutoCommit,
}

/// How often a record is processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Delivery {
    /// Nothing is skipped.
    AtLeastOnce,
    /// Nothing is processed twice.
    AtMostOnce,
    /// Nothing is skipped, and no record has its effect twice.
    ExactlyOnce,
}

/// What an application does with a record that it cannot process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnPoison {
    /// Its process dies.
    #[default]
    Crash,
    /// It goes on with the next one.
    Skip,
    /// It writes the record to the dead-letter topic and goes on.
    DeadLetter,
}

/// What processing a record does to the application's store, a table with a primary key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Nothing.
    #[default]
    None,
    /// A row is added under a key of its own at each processing: what a repetition does to an application without a
    /// repair.
    Insert,
    /// A row is added under the record's unique id; if there is one already, nothing else happens.
    InsertTransactionId,
    /// The row under the record's key is added or overwritten.
    Upsert,
    /// A row is added after a look whether it is there.
    CheckThenAct,
}

/// A span of time, `"10ms"`, or two, `["5ms", "15ms"]`.
fn span<'de, D: Deserializer<'de>>(d: D) -> Result<Between<Millis>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        One(Millis),
        Two(Between<Millis>),
    }
    Ok(match Written::deserialize(d)? {
        Written::One(time) => Between(time, time),
        Written::Two(between) => between,
    })
}
