//! The roles of a quorum member and what each of them remembers.

use std::collections::{BTreeMap, BTreeSet};

use super::description::Fetches;
use super::message::{Batch, SnapshotId, Token};
use crate::base::{BrokerId, LeaderEpoch, Offset};

/// The roles of a quorum member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RoleKind {
    /// Knows no leader of its epoch; may have voted.
    Unattached,
    /// Asks whether it would be elected.
    Prospective,
    /// Asks for votes.
    Candidate,
    /// Leads.
    Leader,
    /// Fetches from the leader.
    Follower,
    /// Has led, or has given up leading.
    Resigned,
}

/// A role and its memory. Deadlines are monotonic nanoseconds.
#[derive(Debug)]
pub(super) enum Role {
    /// `deadline` is none for an observer: no timeout moves it.
    Unattached {
        deadline: Option<u64>,
    },
    Prospective {
        tally: Tally,
        deadline: u64,
    },
    Candidate(Candidate),
    Leader(Box<Leader>),
    Follower(Follower),
    Resigned(Resigned),
}

impl Role {
    pub(super) fn kind(&self) -> RoleKind {
        match self {
            Self::Unattached { .. } => RoleKind::Unattached,
            Self::Prospective { .. } => RoleKind::Prospective,
            Self::Candidate(_) => RoleKind::Candidate,
            Self::Leader(_) => RoleKind::Leader,
            Self::Follower(_) => RoleKind::Follower,
            Self::Resigned(_) => RoleKind::Resigned,
        }
    }
    pub(super) fn leading(&self) -> Option<&Leader> {
        match self {
            Self::Leader(leader) => Some(leader),
            _ => None,
        }
    }
    pub(super) fn leading_mut(&mut self) -> Option<&mut Leader> {
        match self {
            Self::Leader(leader) => Some(leader),
            _ => None,
        }
    }
}

/// Who answered what in an election.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) granted: BTreeSet<BrokerId>,
    pub(super) rejected: BTreeSet<BrokerId>,
}

impl Tally {
    /// Takes in an answer; the first one of a voter counts.
    pub(super) fn record(&mut self, voter: BrokerId, granted: bool) {
        if !self.answered(voter) {
            if granted { &mut self.granted } else { &mut self.rejected }.insert(voter);
        }
    }
    pub(super) fn answered(&self, voter: BrokerId) -> bool {
        self.granted.contains(&voter) || self.rejected.contains(&voter)
    }
}

/// A candidate's own vote enters its tally once it is durable.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) tally: Tally,
    pub(super) deadline: u64,
    /// Set once the election is lost: when to try again.
    pub(super) backoff_until: Option<u64>,
}

#[derive(Debug)]
pub(super) struct Follower {
    pub(super) leader: BrokerId,
    pub(super) fetch_deadline: u64,
    /// True once this leader has answered a fetch: from then on pre-votes are refused (KIP-996).
    pub(super) has_fetched: bool,
    /// What the leader last called its high watermark; it may lie beyond what this log holds so far.
    pub(super) leader_high_watermark: Option<Offset>,
    /// The snapshot that this leader sent us to; what was fetched of it goes with the leader.
    pub(super) download: Option<Download>,
}

/// A snapshot that is being fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Download {
    pub(super) snapshot: SnapshotId,
    /// What has arrived, in bytes.
    pub(super) position: u64,
    /// Set once everything has arrived.
    pub(super) size: Option<u64>,
}

#[derive(Debug)]
pub(super) struct Resigned {
    pub(super) deadline: u64,
    /// Voters that have not yet acknowledged the end of the epoch.
    pub(super) unacknowledged: BTreeSet<BrokerId>,
    /// The others, most caught up first.
    pub(super) successors: Vec<BrokerId>,
}

#[derive(Debug)]
pub(super) struct Leader {
    pub(super) epoch_start: Offset,
    /// None until a record of this epoch is committed.
    pub(super) high_watermark: Option<Offset>,
    /// The other voters.
    pub(super) voters: BTreeMap<BrokerId, Progress>,
    /// Whoever fetches and has no vote.
    pub(super) observers: BTreeMap<BrokerId, Fetches>,
    /// Who fetched since the check-quorum timer was last set.
    pub(super) fetched: BTreeSet<BrokerId>,
    pub(super) check_quorum_at: u64,
    /// Proposals that wait for `controller.quorum.append.linger.ms`.
    pub(super) lingering: Vec<Batch>,
    pub(super) linger_until: Option<u64>,
    pub(super) waiting: Vec<WaitingFetch>,
}

/// How far another voter is, as its leader knows.
#[derive(Debug)]
pub(super) struct Progress {
    /// Everything below is on this voter's device: the offset of its last fetch.
    pub(super) offset: Offset,
    /// True once it has fetched or acknowledged this leadership.
    pub(super) acknowledged: bool,
    /// When to announce the leadership to it unless it fetches before.
    pub(super) announce_at: u64,
    pub(super) fetches: Fetches,
}

/// A fetch that waits for something to send.
#[derive(Clone, Debug)]
pub(super) struct WaitingFetch {
    pub(super) token: Token,
    pub(super) fetch: Fetch,
    pub(super) deadline: u64,
}

/// The fields of [`super::Request::Fetch`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Fetch {
    pub(super) replica: BrokerId,
    pub(super) epoch: LeaderEpoch,
    pub(super) offset: Offset,
    pub(super) last_epoch: LeaderEpoch,
    pub(super) high_watermark: Offset,
    pub(super) max_wait_ms: u64,
}

/// The fields of [`super::Request::FetchSnapshot`].
#[derive(Clone, Copy, Debug)]
pub(super) struct FetchSnapshot {
    pub(super) replica: BrokerId,
    pub(super) epoch: LeaderEpoch,
    pub(super) snapshot: SnapshotId,
    pub(super) position: u64,
    pub(super) max_bytes: usize,
}
