//! Topics and partitions as the metadata log describes them (Kafka's `PartitionRegistration`).

use std::sync::Arc;

use crate::base::{BrokerId, LeaderEpoch, PartitionEpoch, TopicId, TopicPartition};

/// Whether a partition's leader has recovered from an unclean election (KIP-704).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecoveryState {
    /// The leader came from the ISR or the ELR, or has recovered.
    #[default]
    Recovered,
    /// The leader was elected uncleanly and has not yet recovered.
    Recovering,
}

impl RecoveryState {
    /// Kafka's code: 0 recovered, 1 recovering; `None` for any other.
    #[must_use]
    pub fn from_code(code: i8) -> Option<Self> {
        match code {
            0 => Some(Self::Recovered),
            1 => Some(Self::Recovering),
            _ => None,
        }
    }
    /// Kafka's code.
    #[must_use]
    pub fn code(self) -> i8 {
        match self {
            Self::Recovered => 0,
            Self::Recovering => 1,
        }
    }
}

/// A partition's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// All assigned replicas, the preferred leader first.
    pub replicas: Vec<BrokerId>,
    /// In-sync replicas; empty only with eligible leader replicas enabled.
    pub isr: Vec<BrokerId>,
    /// Eligible leader replicas (KIP-966): outside the ISR, yet holding everything below the high watermark.
    pub elr: Vec<BrokerId>,
    /// While there is no leader and the ISR is empty: whoever led last (KIP-966).
    pub last_known_elr: Vec<BrokerId>,
    /// Replicas that a reassignment takes away.
    pub removing_replicas: Vec<BrokerId>,
    /// Replicas that a reassignment adds.
    pub adding_replicas: Vec<BrokerId>,
    /// The leader, or [`BrokerId::NONE`].
    pub leader: BrokerId,
    /// Raised with each leadership, also when the leader is lost.
    pub leader_epoch: LeaderEpoch,
    /// Raised with each change.
    pub partition_epoch: PartitionEpoch,
    /// Whether the leader still recovers from an unclean election.
    pub recovery: RecoveryState,
}

impl Partition {
    /// True if there is a leader.
    #[must_use]
    pub fn has_leader(&self) -> bool {
        self.leader != BrokerId::NONE
    }
}

/// A topic and its partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: Arc<str>,
    /// Its id (KIP-516).
    pub id: TopicId,
    /// Its partitions, by index.
    pub partitions: Vec<Arc<Partition>>,
}

impl Topic {
    /// The partition of that index.
    #[must_use]
    pub fn partition(&self, index: i32) -> Option<&Arc<Partition>> {
        self.partitions.get(usize::try_from(index).ok()?)
    }
    /// All partitions with their indexes.
    pub fn indexed(&self) -> impl Iterator<Item = (i32, &Arc<Partition>)> {
        (0..).zip(&self.partitions)
    }
    /// Names one of the partitions.
    #[must_use]
    pub fn name_of(&self, index: i32) -> TopicPartition {
        TopicPartition { topic: Arc::clone(&self.name), partition: index }
    }
    /// Replicas per partition, by the first one.
    #[must_use]
    pub fn replication_factor(&self) -> usize {
        self.partitions.first().map_or(0, |p| p.replicas.len())
    }
}
