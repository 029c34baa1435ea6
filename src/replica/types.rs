//! The words that a replica core is spoken to with, and in which it answers.

use std::collections::BTreeMap;

use kafka_protocol::ResponseError;

use crate::base::bugs::{Bug, planted};
use crate::base::{BrokerEpoch, BrokerId, LeaderEpoch, Now, Offset, PartitionEpoch};
use crate::log::producers::ProducerBatch;

/// What committed metadata says about one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionState {
    /// The leader, or [`BrokerId::NONE`].
    pub leader: BrokerId,
    /// Epoch of the leadership.
    pub leader_epoch: LeaderEpoch,
    /// Epoch of this state.
    pub partition_epoch: PartitionEpoch,
    /// All assigned replicas, the preferred leader first.
    pub replicas: Vec<BrokerId>,
    /// The committed in-sync replicas.
    pub isr: Vec<BrokerId>,
}

/// What committed metadata says about one registered broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokerLiveness {
    /// The epoch of its registration.
    pub epoch: BrokerEpoch,
    /// Fenced brokers may not join an ISR.
    pub fenced: bool,
    /// Neither may brokers in controlled shutdown.
    pub shutting_down: bool,
}

/// The registered brokers, as far as ISR eligibility is concerned (KIP-841, KIP-903).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrokerTable {
    brokers: BTreeMap<BrokerId, BrokerLiveness>,
}

impl BrokerTable {
    /// Takes in a registration or a change of one.
    pub fn insert(&mut self, id: BrokerId, liveness: BrokerLiveness) {
        self.brokers.insert(id, liveness);
    }
    /// Forgets an unregistered broker.
    pub fn remove(&mut self, id: BrokerId) {
        self.brokers.remove(&id);
    }
    /// What is known of `id`.
    #[must_use]
    pub fn get(&self, id: BrokerId) -> Option<BrokerLiveness> {
        self.brokers.get(&id).copied()
    }
    /// True if a follower whose last fetch carried `fetched` may be in an ISR: unfenced, not shutting down, and the
    /// fetch came from the incarnation that is registered now.
    #[must_use]
    pub fn eligible(&self, id: BrokerId, fetched: Option<BrokerEpoch>) -> bool {
        let (Some(b), Some(fetched)) = (self.get(id), fetched) else { return false };
        let active = (!b.fenced && !b.shutting_down) || planted(Bug::FencedReplicaJoinsIsr);
        let same_life = fetched == BrokerEpoch::NONE || fetched == b.epoch || planted(Bug::StaleBrokerEpochJoinsIsr);
        active && same_life
    }
}

/// What every call on a core may look at: the time and the brokers.
#[derive(Clone, Copy, Debug)]
pub struct Ctx<'a> {
    /// The node's clocks.
    pub now: Now,
    /// The registered brokers.
    pub brokers: &'a BrokerTable,
    /// The epoch under which this broker is registered.
    pub broker_epoch: BrokerEpoch,
}

/// The settings that the core's rules depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplicaConfig {
    /// `replica.lag.time.max.ms`
    pub lag_time_max_ms: u64,
    /// `min.insync.replicas` of the topic.
    pub min_insync_replicas: usize,
}

impl Default for ReplicaConfig {
    fn default() -> Self {
        Self { lag_time_max_ms: 30_000, min_insync_replicas: 1 }
    }
}

/// Names one partition of one produce request that waits for acks=all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProduceToken {
    /// The request, in the shell's table.
    pub request: u64,
    /// Which of the request's partitions.
    pub part: u32,
}

/// Names one waiting fetch; the same token may watch many partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FetchToken(pub u64);

/// How a waiting produce ended: `Ok` when the high watermark passed the batch.
pub type ProduceResult = Result<(), ResponseError>;

/// Which end a waiting fetch looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchBound {
    /// Followers read up to the visible log end.
    LogEnd,
    /// Consumers read up to the high watermark.
    HighWatermark,
}

/// An ISR change that the leader asks of the controller. At most one per partition is in flight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IsrProposal {
    /// Numbers the proposals of this core; the answer must name it.
    pub id: u64,
    /// The leadership that asks.
    pub leader_epoch: LeaderEpoch,
    /// The state that the proposal is based on.
    pub partition_epoch: PartitionEpoch,
    /// The wanted ISR, with the broker epoch that each member's last fetch carried (KIP-903).
    pub isr: Vec<(BrokerId, BrokerEpoch)>,
}

/// What the controller answered to an [`IsrProposal`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IsrAnswer {
    /// The leadership as committed.
    pub leader_epoch: LeaderEpoch,
    /// The epoch of the committed state.
    pub partition_epoch: PartitionEpoch,
    /// The committed ISR.
    pub isr: Vec<BrokerId>,
}

/// What a core asks of its shell, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// A produce of acks=all is decided.
    ProduceDone {
        /// Which one.
        token: ProduceToken,
        /// How it ended.
        result: ProduceResult,
    },
    /// What a waiting fetch watches has moved, or the partition's role changed: look again.
    FetchReady(FetchToken),
    /// Send this AlterPartition and hand its result to `isr_answer`.
    ProposeIsr(IsrProposal),
    /// Cut the stored log at `to`; completions then carry `generation`.
    Truncate {
        /// The new log end.
        to: Offset,
        /// The log's generation from here on.
        generation: u64,
    },
    /// Throw the stored log away and start anew at `start`.
    TruncateFully {
        /// The new log start and end.
        start: Offset,
        /// The log's generation from here on.
        generation: u64,
    },
    /// The log start moved up: segments wholly below may go.
    LogStart(Offset),
    /// The epoch cache changed other than by an append: checkpoint it.
    EpochsChanged,
    /// The high watermark moved.
    HighWatermark(Offset),
    /// A truncation cut deeper than the producer states can be taken back: rebuild them from the stored log and hand
    /// them to `producers_rebuilt`.
    RebuildProducers,
}

/// When a produce is to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acks {
    /// `acks=1` (and 0, whose answer nobody sends): once the leader has it in the page cache.
    Leader,
    /// `acks=all`: once it is committed.
    All,
}

/// What a leader does with a batch that it does not refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is part of the log from now on: stamp it, store it.
    Append(Appending),
    /// It is in the log already (KIP-98): answer with these offsets.
    Duplicate {
        /// The first offset.
        base: Offset,
        /// The offset after its last.
        next: Offset,
    },
}

/// Where a leader put a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appending {
    /// The first offset, to be patched into the batch.
    pub base: Offset,
    /// The offset after its last.
    pub next: Offset,
    /// The leader epoch, to be patched into the batch.
    pub epoch: LeaderEpoch,
    /// The log's generation, to come back with `appended`.
    pub generation: u64,
}

/// What a replica must know of a fetched batch before it appends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchSpan {
    /// First offset of the batch.
    pub base: Offset,
    /// The offset after its last.
    pub next: Offset,
    /// The partition leader epoch that stands in it.
    pub epoch: LeaderEpoch,
    /// What its producer wrote into it.
    pub producer: ProducerBatch,
}

/// A follower's fetch of one partition, as its leader sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowerFetch {
    /// Who fetches.
    pub id: BrokerId,
    /// The registration that it fetches under, or NONE.
    pub broker_epoch: BrokerEpoch,
    /// The leadership that it believes in, or NONE.
    pub leader_epoch: LeaderEpoch,
    /// The epoch of its last record, or NONE.
    pub last_epoch: LeaderEpoch,
    /// Its log end.
    pub offset: Offset,
    /// Its log start.
    pub log_start: Offset,
}

/// How a fetch is to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serve {
    /// Read batches from `from`, none that reaches beyond `upto`. Nothing is there if both are equal.
    Read {
        /// The first offset.
        from: Offset,
        /// The bound.
        upto: Offset,
    },
    /// The fetcher's log leaves the leader's here.
    Diverging(EpochEnd),
}

/// Where a follower stands: what its next fetch asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchPosition {
    /// Whom to ask.
    pub leader: BrokerId,
    /// Under which leadership.
    pub leader_epoch: LeaderEpoch,
    /// The log end.
    pub offset: Offset,
    /// The epoch of the last record, or NONE.
    pub last_epoch: LeaderEpoch,
    /// The log start.
    pub log_start: Offset,
}

/// A leader's answer to a follower for one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchAnswer<'a> {
    /// What went wrong, if anything.
    pub error: Option<ResponseError>,
    /// The leader's high watermark.
    pub high_watermark: Offset,
    /// The leader's log start.
    pub log_start: Offset,
    /// Where the follower's log leaves the leader's.
    pub diverging: Option<EpochEnd>,
    /// The batches that came along, in order.
    pub batches: &'a [BatchSpan],
}

/// What a follower makes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The answer belongs to a position that is no longer the replica's: forget it.
    Stale,
    /// All is well: store the first `batches` of the answer (perhaps none) and fetch on.
    Proceed {
        /// How many of the answer's batches were taken.
        batches: usize,
    },
    /// Fetch again after `replica.fetch.backoff.ms`.
    BackOff,
    /// Fetch no more until metadata brings a newer leader epoch.
    AwaitMetadata,
    /// Ask the leader for both ends of its log and call `reset_to_leader`.
    OutOfRange,
}

/// Where a leadership's log ended, for diverging followers and OffsetForLeaderEpoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEnd {
    /// The largest epoch that is at most the asked one.
    pub epoch: LeaderEpoch,
    /// Where it ends.
    pub end: Offset,
}
