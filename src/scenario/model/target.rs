//! Who is hit: named outright, or found out at the moment of the fault.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::base::{BrokerId, TopicPartition};
use crate::scenario::units::partition_name;

/// Who is hit; resolved at the moment of the fault, and told in the timeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// This broker.
    Broker(BrokerId),
    /// This node, be it a broker or a separate controller.
    Node(BrokerId),
    /// The processes of a group of clients, `NAME`, or one of them, `NAME#i`.
    Client(ClientName),
    /// The active controller.
    Controller,
    /// The leader of this partition.
    #[serde(with = "partition_name")]
    LeaderOf(TopicPartition),
    /// A replica of this partition that does not lead it, drawn from the fault stream.
    #[serde(with = "partition_name")]
    FollowerOf(TopicPartition),
    /// A member of this partition's ISR, drawn from the fault stream.
    #[serde(with = "partition_name")]
    IsrMemberOf(TopicPartition),
    /// A voter of the metadata quorum, drawn from the fault stream.
    Voter,
    /// A broker, drawn from the fault stream.
    AnyBroker,
    /// Every broker; for `start` and `resume`, every one that is down or stands still.
    AllBrokers,
    /// The broker that coordinates this consumer group.
    CoordinatorOf(String),
    /// Every node of this region.
    Region(String),
}

impl Target {
    /// True if the scenario alone does not say who it is.
    #[must_use]
    pub fn is_resolved_late(&self) -> bool {
        matches!(
            self,
            Self::Controller
                | Self::LeaderOf(_)
                | Self::FollowerOf(_)
                | Self::IsrMemberOf(_)
                | Self::CoordinatorOf(_)
                | Self::Voter
                | Self::AnyBroker
        )
    }
}

/// A group of clients, or one process of it: `writers` or `writers#1`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientName {
    /// The group.
    pub group: String,
    /// Which of its processes; all of them if `None`.
    pub index: Option<u32>,
}

impl ClientName {
    /// Reads a name; what follows the last `#` is an index if it is a number.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let split = text.rsplit_once('#').and_then(|(group, index)| Some((group, index.parse().ok()?)));
        match split {
            Some((group, index)) => Self { group: group.to_owned(), index: Some(index) },
            None => Self { group: text.to_owned(), index: None },
        }
    }
}

impl fmt::Display for ClientName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) => write!(f, "{}#{index}", self.group),
            None => write!(f, "{}", self.group),
        }
    }
}

impl Serialize for ClientName {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ClientName {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Ok(Self::parse(&String::deserialize(d)?))
    }
}

/// A member of a network group: a node by its id, or clients by their name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Member {
    /// This broker or separate controller.
    Broker(BrokerId),
    /// These clients.
    Client(ClientName),
}

impl Serialize for Member {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Broker(id) => id.serialize(s),
            Self::Client(name) => name.serialize(s),
        }
    }
}

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Broker(BrokerId),
            Client(String),
        }
        Written::deserialize(d)
            .map(|written| match written {
                Written::Broker(id) => Self::Broker(id),
                Written::Client(name) => Self::Client(ClientName::parse(&name)),
            })
            .map_err(|_| de::Error::custom("expected a node's id or a client's name"))
    }
}
