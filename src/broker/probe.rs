//! What a node tells whoever watches it: plain facts, at the moment when they become true.
//!
//! The oracles rebuild each replica's log, each leadership and each quorum decision from these events alone. A real
//! broker is watched by nobody ([`Unwatched`]). Observers must be quick and must not call back into the broker.

use std::sync::Arc;

use crate::base::{BrokerEpoch, BrokerId, LeaderEpoch, Offset, PartitionEpoch, TopicPartition};
use crate::log::BatchInfo;
pub use crate::raft::SnapshotId;

/// Identity of one batch in a log: what two replicas must agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchMark {
    /// First offset of the batch.
    pub base: Offset,
    /// The offset after its last.
    pub next: Offset,
    /// The partition leader epoch that stands in it.
    pub epoch: LeaderEpoch,
    /// Its CRC-32C: covers everything but base offset, length and leader epoch.
    pub crc: u32,
}

impl BatchMark {
    /// The identity of a batch of a log.
    #[must_use]
    pub fn of(batch: &BatchInfo) -> Self {
        Self { base: batch.base, next: batch.next, epoch: batch.epoch, crc: batch.crc }
    }
}

/// Role of a node in the metadata quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RaftRole {
    /// Knows no leader.
    Unattached,
    /// Has voted and waits.
    Voted,
    /// Follows a leader.
    Follower,
    /// Asks whether an election could be won (KIP-996).
    Prospective,
    /// Asks for votes.
    Candidate,
    /// Leads.
    Leader,
    /// Has given up leadership and waits for a successor.
    Resigned,
}

/// A partition's state as the controller has committed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionFacts {
    /// The leader, or [`BrokerId::NONE`].
    pub leader: BrokerId,
    /// Epoch of the leadership.
    pub leader_epoch: LeaderEpoch,
    /// Epoch of the partition's state.
    pub partition_epoch: PartitionEpoch,
    /// All assigned replicas.
    pub replicas: Vec<BrokerId>,
    /// In-sync replicas.
    pub isr: Vec<BrokerId>,
    /// Eligible leader replicas (KIP-966).
    pub elr: Vec<BrokerId>,
    /// Replicas that a reassignment adds.
    pub adding: Vec<BrokerId>,
    /// Replicas that it takes away.
    pub removing: Vec<BrokerId>,
    /// True while the leader recovers from an unclean election.
    pub recovering: bool,
}

/// One fact about one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The process has opened its logs and starts to serve.
    Started,
    /// The node's quorum role or the leader that it knows changed.
    RaftRole { epoch: LeaderEpoch, role: RaftRole, leader: Option<BrokerId> },
    /// A voter or an observer fetched from this node, which leads the quorum in that epoch.
    RaftFetched { voter: BrokerId, epoch: LeaderEpoch },
    /// The node answered, or cast for itself, a vote; the quorum state was durable before.
    RaftVoted { epoch: LeaderEpoch, candidate: BrokerId },
    /// The metadata log grew in the page cache.
    RaftAppended { batches: Vec<BatchMark> },
    /// The metadata log is durable below `end`.
    RaftSynced { end: Offset },
    /// The metadata log was cut at `to`.
    RaftTruncated { to: Offset },
    /// The metadata log as recovery found it.
    RaftLoaded { start: Offset, batches: Vec<BatchMark>, snapshots: Vec<SnapshotId> },
    /// A snapshot of the metadata is durable on this node.
    SnapshotStored { snapshot: SnapshotId },
    /// A snapshot is deleted.
    SnapshotDeleted { snapshot: SnapshotId },
    /// The metadata log was thrown away; it starts anew at the end of this snapshot.
    RaftStartedAnew { snapshot: SnapshotId },
    /// This node made its metadata out of a snapshot of so many records.
    SnapshotLoaded { snapshot: SnapshotId, records: usize },
    /// The checksum of all metadata below `next`, as this node holds it.
    MetadataDigest { next: Offset, digest: u32 },
    /// This node's metadata holds its own registration, `ns` nanoseconds after its process began to load: it replayed
    /// so many records, after those of a snapshot if there was one.
    MetadataCaughtUp { snapshot: Option<(SnapshotId, usize)>, replayed: usize, ns: u64 },
    /// The node knows that everything below `high_watermark` is committed.
    RaftCommitted { high_watermark: Offset },
    /// This node became the active controller of `epoch` and has replayed everything before its term.
    ControllerActive { epoch: LeaderEpoch },
    /// This node is no longer the active controller.
    ControllerInactive,
    /// Committed metadata says that `broker` registered with this epoch.
    BrokerRegistered { broker: BrokerId, epoch: BrokerEpoch },
    /// Committed metadata says that `broker` was fenced.
    BrokerFenced { broker: BrokerId },
    /// Committed metadata says that `broker` was unfenced.
    BrokerUnfenced { broker: BrokerId },
    /// Committed metadata, as this node applied it, changed a partition.
    PartitionChanged { tp: TopicPartition, facts: PartitionFacts, offset: Offset },
    /// A topic was deleted, as this node applied it.
    PartitionRemoved { tp: TopicPartition, offset: Offset },
    /// This node has applied all metadata below `next`.
    MetadataApplied { next: Offset },
    /// A replica's log as recovery found it, with its starting high watermark.
    LogLoaded { tp: TopicPartition, start: Offset, high_watermark: Offset, batches: Vec<BatchMark> },
    /// A replica's log grew in the page cache; so many bytes of these batches were copied from a leader's log.
    LogAppended { tp: TopicPartition, batches: Vec<BatchMark>, copied: u64 },
    /// A replica's log was cut at `to`; `start` is its log start afterwards.
    LogTruncated { tp: TopicPartition, to: Offset, start: Offset },
    /// A replica's log starts at `start` from now on: retention or DeleteRecords.
    LogStart { tp: TopicPartition, start: Offset },
    /// The cleaner puts rewritten segments in place: if the node dies meanwhile, its log may be found compacted below `next`.
    LogSwapping { tp: TopicPartition, next: Offset },
    /// The cleaner has rewritten a replica's log from `base` to `next`: these batches stand there now.
    LogCompacted { tp: TopicPartition, base: Offset, next: Offset, batches: Vec<BatchMark> },
    /// The log of a replica was removed from this node.
    LogRemoved { tp: TopicPartition },
    /// This node leads the partition from now on.
    LeaderStarted { tp: TopicPartition, epoch: LeaderEpoch, log_end: Offset, high_watermark: Offset },
    /// This node follows from now on.
    FollowerStarted { tp: TopicPartition, epoch: LeaderEpoch, leader: BrokerId },
    /// The controller knows another registration of this broker than its own, and refuses its heartbeats.
    RegistrationLost,
    /// The group's coordinator forgets these committed offsets, because their time is over (KIP-211).
    OffsetsExpired { group: Arc<str>, offsets: Vec<TopicPartition> },
    /// The high watermark as this replica knows it.
    HighWatermark { tp: TopicPartition, epoch: LeaderEpoch, leading: bool, high_watermark: Offset, log_end: Offset },
}

/// Whoever watches nodes.
pub trait Observer: Send + Sync {
    /// A fact about `node` became true.
    fn observe(&self, node: BrokerId, event: Event);
}

/// Nobody watches: the real build.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unwatched;

impl Observer for Unwatched {
    fn observe(&self, _node: BrokerId, _event: Event) {}
}

/// A node's own end of the wire to its observer, cheap to clone.
#[derive(Clone)]
pub struct Probe {
    node: BrokerId,
    observer: Arc<dyn Observer>,
}

impl Probe {
    /// Reports facts about `node` to `observer`.
    #[must_use]
    pub fn new(node: BrokerId, observer: Arc<dyn Observer>) -> Self {
        Self { node, observer }
    }
    /// States a fact.
    pub fn tell(&self, event: Event) {
        self.observer.observe(self.node, event);
    }
}

impl std::fmt::Debug for Probe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Probe({})", self.node)
    }
}
