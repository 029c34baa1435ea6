//! The core's vocabulary: what it is told ([`Input`]), what it wants done ([`Output`]) and what its peers say to
//! each other ([`Request`], [`Response`]). Data only.

use bytes::Bytes;
use kafka_protocol::ResponseError;

use super::RoleKind;
use crate::base::{BrokerId, LeaderEpoch, Offset};

/// What the quorum-state file holds (Kafka's `ElectionState`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ElectionState {
    /// The latest epoch that this node has seen.
    pub epoch: LeaderEpoch,
    /// Its leader, if known.
    pub leader: Option<BrokerId>,
    /// Whom this node gave its vote in that epoch.
    pub voted: Option<BrokerId>,
}

impl Default for ElectionState {
    /// The state of a node that has never seen a quorum: epoch 0, as Kafka's.
    fn default() -> Self {
        Self { epoch: LeaderEpoch(0), leader: None, voted: None }
    }
}

/// Who leads, as the speaker knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leadership {
    /// The leader of `epoch`, if known.
    pub leader: Option<BrokerId>,
    /// The latest epoch known.
    pub epoch: LeaderEpoch,
}

/// Names a snapshot: where it ends and the epoch of the last record that it covers (Kafka's `OffsetAndEpoch`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotId {
    /// The offset after the last record that it covers: never the last one's own (KAFKA-14618).
    pub offset: Offset,
    /// The epoch of that record.
    pub epoch: LeaderEpoch,
}

impl std::fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.offset, self.epoch)
    }
}

/// One batch of the metadata log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Its first offset.
    pub base: Offset,
    /// The offset after its last.
    pub next: Offset,
    /// The epoch of the leader that wrote it.
    pub epoch: LeaderEpoch,
    /// What it holds.
    pub content: Content,
}

/// What a batch holds, opaque to the core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// An encoded batch, from a proposal or from a leader.
    Encoded(Bytes),
    /// The control record that starts a leadership (`LeaderChangeMessage`); whoever writes it encodes it.
    LeaderChange {
        /// The new leader: this node.
        leader: BrokerId,
        /// All voters.
        voters: Vec<BrokerId>,
        /// Those who voted for it.
        granting: Vec<BrokerId>,
    },
}

impl Content {
    /// Size in bytes; a control record that is yet to be encoded counts as nothing.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Encoded(bytes) => bytes.len(),
            Self::LeaderChange { .. } => 0,
        }
    }
    /// True if there is nothing to weigh.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What one member asks of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Asks for a vote, or whether a vote could be had (KIP-595, KIP-996).
    Vote {
        /// The election's epoch; for a pre-vote the sender's current one.
        epoch: LeaderEpoch,
        /// Who asks.
        candidate: BrokerId,
        /// Epoch of the candidate's last record.
        last_epoch: LeaderEpoch,
        /// The end of the candidate's log.
        end: Offset,
        /// True if nothing binding is asked for.
        pre_vote: bool,
    },
    /// A new leader announces itself.
    BeginQuorumEpoch { epoch: LeaderEpoch, leader: BrokerId },
    /// A leader gives up; `successors` are the voters, most caught up first.
    EndQuorumEpoch { epoch: LeaderEpoch, leader: BrokerId, successors: Vec<BrokerId> },
    /// A replica asks for what follows its log; from a voter this acknowledges everything below `offset`.
    Fetch {
        /// Who asks.
        replica: BrokerId,
        /// The epoch that the replica knows.
        epoch: LeaderEpoch,
        /// The end of the replica's log.
        offset: Offset,
        /// Epoch of the replica's last record; 0 for an empty log.
        last_epoch: LeaderEpoch,
        /// The replica's high watermark, so that the leader tells a higher one at once (KIP-1166): -1 if unknown,
        /// the largest offset to leave it out.
        high_watermark: Offset,
        /// How long the leader may wait for something to send, in milliseconds.
        max_wait_ms: u64,
    },
    /// A replica that the leader sent to a snapshot asks for a piece of it (KIP-630).
    FetchSnapshot {
        /// Who asks.
        replica: BrokerId,
        /// The epoch that the replica knows.
        epoch: LeaderEpoch,
        /// Which one.
        snapshot: SnapshotId,
        /// Where the piece starts, in bytes.
        position: u64,
        /// How much of it at most, in bytes.
        max_bytes: usize,
    },
}

/// The answer to a [`Request`]. `R` is what stands for records, `C` for a piece of a snapshot: [`ReadRange`] and
/// [`ReadChunk`] in what this node answers, `Vec<Batch>` and `Bytes` in what it receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response<R, C> {
    /// Whom the answering node knows as the leader.
    pub current: Leadership,
    /// Why the request was refused, if it was.
    pub error: Option<ResponseError>,
    /// What is particular to the kind of request.
    pub body: Body<R, C>,
}

/// The particular part of a [`Response`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body<R, C> {
    /// To [`Request::Vote`].
    Vote { granted: bool },
    /// To [`Request::BeginQuorumEpoch`].
    BeginQuorumEpoch,
    /// To [`Request::EndQuorumEpoch`].
    EndQuorumEpoch,
    /// To [`Request::Fetch`].
    Fetch {
        /// The leader's high watermark, once it has one in its epoch.
        high_watermark: Option<Offset>,
        /// Where the replica's log leaves the leader's: the largest epoch not above the replica's last one, and
        /// its end in the leader's log.
        diverging: Option<(LeaderEpoch, Offset)>,
        /// The snapshot that the replica has to load, because the log that it lacks is gone.
        snapshot: Option<SnapshotId>,
        /// The records.
        records: R,
    },
    /// To [`Request::FetchSnapshot`].
    FetchSnapshot {
        /// Which one.
        snapshot: SnapshotId,
        /// The size of all of it, in bytes.
        size: u64,
        /// Where this piece starts.
        position: u64,
        /// The piece.
        chunk: C,
    },
}

/// A part of the log that the shell is to put into a fetch response: whole batches from `from` on, none of them
/// beyond `to`. Empty if both are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadRange {
    /// Where to start.
    pub from: Offset,
    /// Where to end.
    pub to: Offset,
}

/// A part of a snapshot that the shell is to put into a response: at most `max_bytes` from `position` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadChunk {
    /// Where to start, in bytes.
    pub position: u64,
    /// How much at most; 0 for none.
    pub max_bytes: usize,
}

/// An answer that leaves this node.
pub type Reply = Response<ReadRange, ReadChunk>;
/// An answer that reached this node.
pub type Answer = Response<Vec<Batch>, Bytes>;

/// Names a request from a peer, so that the answer finds its way. Given out by the shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Token(pub u64);

/// Names a request of our own. Given out by the core, never twice in one life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Time passed; to be given no later than at [`super::RaftCore::next_deadline`].
    Tick,
    /// A peer asks.
    Request { token: Token, request: Request },
    /// A peer answered our request. Late, repeated or unknown answers are ignored.
    Response { id: RequestId, answer: Answer },
    /// Our request failed without an answer: refused, reset, timed out.
    Failed { id: RequestId },
    /// A batch to commit, in this leader's epoch, at [`super::RaftCore::proposal_offset`].
    Propose { batch: Batch },
    /// The page cache holds everything below `end`.
    Appended { generation: u64, end: Offset },
    /// The device holds everything below `end`.
    Synced { generation: u64, end: Offset },
    /// The quorum state `sequence`, and all before it, is durable.
    Stored { sequence: u64 },
    /// A snapshot of `size` bytes is whole and durable: one of committed records that this node wrote, or what
    /// [`Output::FinishSnapshot`] asked for.
    SnapshotStored { snapshot: SnapshotId, size: u64 },
    /// What was downloaded is no whole snapshot.
    SnapshotRefused { snapshot: SnapshotId },
    /// Retention: what comes before this snapshot is no longer wanted.
    Clean { before: SnapshotId },
    /// Give up leadership of `epoch`, if it is held.
    Resign { epoch: LeaderEpoch },
    /// The node shuts down: give up leadership and start no election.
    Shutdown,
}

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send a request; its outcome comes back as [`Input::Response`] or [`Input::Failed`]. Replaces an earlier
    /// request to the same peer that is still under way.
    Send { to: BrokerId, id: RequestId, request: Request },
    /// Answer a peer's request. Records are to be read before the next input is given.
    Reply { token: Token, reply: Reply },
    /// Make the quorum state durable, then say [`Input::Stored`]. A later one includes all earlier ones.
    StoreQuorumState { sequence: u64, state: ElectionState },
    /// Write a batch at the end of the log, then say [`Input::Appended`].
    Append { generation: u64, batch: Batch },
    /// Make the log durable below `end`, then say [`Input::Synced`].
    Sync { generation: u64, end: Offset },
    /// Cut the log at `end`; needs no answer. What is said of older generations from now on is ignored.
    Truncate { generation: u64, end: Offset },
    /// Write a piece of a snapshot that is downloaded; the piece at position 0 begins it anew.
    WriteChunk { snapshot: SnapshotId, position: u64, bytes: Bytes },
    /// All `size` bytes of a download were given: check it and make it durable, then say [`Input::SnapshotStored`] or
    /// [`Input::SnapshotRefused`].
    FinishSnapshot { snapshot: SnapshotId, size: u64 },
    /// The snapshot is what this node now starts from: throw the log away and start anew at its end; needs no answer.
    /// What is said of older generations from now on is ignored.
    LoadSnapshot { generation: u64, snapshot: SnapshotId },
    /// Nobody wants this snapshot any more; needs no answer.
    DeleteSnapshot { snapshot: SnapshotId },
    /// The log starts at `start` now; what lies below may be deleted. Needs no answer.
    DeleteBelow { start: Offset },
    /// Everything below is committed. Never falls.
    HighWatermark { high_watermark: Offset },
    /// The role, the epoch or the known leader changed, and the quorum state that says so is durable.
    RoleChanged { role: RoleKind, epoch: LeaderEpoch, leader: Option<BrokerId> },
    /// This node leads `epoch`, whose records start at `epoch_start`.
    BecameLeader { epoch: LeaderEpoch, epoch_start: Offset },
    /// This node no longer leads `epoch`; proposals that were not yet written are gone.
    LostLeadership { epoch: LeaderEpoch },
    /// A vote was given, to another or to itself, and is durable.
    Voted { epoch: LeaderEpoch, candidate: BrokerId },
    /// The quorum's promises are broken, by corruption or by a bug: the node has to stop. Nothing follows.
    Fatal { reason: String },
}
