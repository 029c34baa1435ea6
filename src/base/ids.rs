//! Newtypes for the numbers that a log cluster is made of, so that no two of them can be mixed up.

use std::fmt;
use std::sync::Arc;

/// A topic's unique id (KIP-516).
pub type TopicId = uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($int:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $int);
        impl From<$int> for $name {
            fn from(n: $int) -> Self {
                Self(n)
            }
        }
        impl From<$name> for $int {
            fn from(id: $name) -> $int {
                id.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// The id of a node: broker, controller or both (`node.id`).
    BrokerId(i32)
);
id!(
    /// The epoch of a leadership, of a partition or of the metadata quorum; -1 is "none yet".
    LeaderEpoch(i32)
);
id!(
    /// Raised by the controller at each change of a partition's state (KIP-497).
    PartitionEpoch(i32)
);
id!(
    /// The metadata offset at which a broker's registration batch starts (KIP-631).
    BrokerEpoch(i64)
);
id!(
    /// The id that the controller hands to an idempotent producer.
    ProducerId(i64)
);
id!(
    /// A position in a log: the offset of a record, or of the next one to come.
    Offset(i64)
);

impl BrokerId {
    /// Kafka's "no leader", "no node".
    pub const NONE: Self = Self(-1);
}
impl LeaderEpoch {
    /// No epoch is known.
    pub const NONE: Self = Self(-1);
    /// The epoch after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}
impl PartitionEpoch {
    /// The epoch after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}
impl BrokerEpoch {
    /// Not registered.
    pub const NONE: Self = Self(-1);
}
impl ProducerId {
    /// A producer that is not idempotent.
    pub const NONE: Self = Self(-1);
}
impl Offset {
    /// The first offset of a log.
    pub const ZERO: Self = Self(0);
    /// No offset is known.
    pub const NONE: Self = Self(-1);
    /// The offset after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}
impl std::ops::Add<i64> for Offset {
    type Output = Self;
    fn add(self, n: i64) -> Self {
        Self(self.0 + n)
    }
}
impl std::ops::Sub<i64> for Offset {
    type Output = Self;
    fn sub(self, n: i64) -> Self {
        Self(self.0 - n)
    }
}
impl std::ops::Sub for Offset {
    type Output = i64;
    /// How many offsets lie between the two.
    fn sub(self, other: Self) -> i64 {
        self.0 - other.0
    }
}

/// A topic's name and the index of one of its partitions, cheap to clone; displays as `UserEvents-0`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The index of the partition, from 0.
    pub partition: i32,
}

impl TopicPartition {
    /// Names a partition.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}
