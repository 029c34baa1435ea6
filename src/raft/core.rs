//! [`RaftCore`]: the state of a quorum member, what it is told and what it wants done. The rules of elections are in
//! `election`, those of a leader in `leading`, those of whoever fetches in `following`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use kafka_protocol::ResponseError;

use super::config::RaftConfig;
use super::message::{
    Answer, Body, ElectionState, Input, Leadership, Output, ReadChunk, ReadRange, Reply, Request, RequestId, Response,
    SnapshotId, Token,
};
use super::peers::Peers;
use super::roles::{Fetch, FetchSnapshot, Resigned, Role, RoleKind};
use super::snapshots::no_records;
use crate::base::bugs::{Bug, planted};
use crate::base::random::Stream;
use crate::base::{BrokerId, LeaderEpoch, Now, Offset};
use crate::log::state::LogState;

/// One member of the metadata quorum: a voter, or an observer that only follows.
#[derive(Debug)]
pub struct RaftCore {
    pub(super) config: RaftConfig,
    pub(super) me: BrokerId,
    pub(super) rng: Stream,
    pub(super) log: LogState,
    /// The snapshots that are durable, with their sizes. A log that does not start at 0 starts at the end of the first.
    pub(super) snapshots: BTreeMap<SnapshotId, u64>,
    /// What this node stands for; the device may still be a step behind, see `stored`.
    pub(super) election: ElectionState,
    pub(super) role: Role,
    /// What this node knows to be committed. Never falls.
    pub(super) high_watermark: Option<Offset>,
    pub(super) peers: Peers,
    /// Elections lost since a leader was last known.
    pub(super) lost_elections: u32,
    pub(super) shutting_down: bool,
    /// The last quorum state that was to be stored, and its number; `stored <= requested`.
    requested_state: Option<ElectionState>,
    requested: u64,
    stored: u64,
    /// What may leave only once the quorum state of that number is durable.
    held: VecDeque<(u64, Output)>,
    pub(super) sync_under_way: bool,
    reported: Option<(RoleKind, LeaderEpoch, Option<BrokerId>)>,
    failed: bool,
}

impl RaftCore {
    /// A member that starts with what its disk holds: `stored` is none if there is no quorum-state file, `snapshots`
    /// have their sizes in bytes. The first [`Input::Tick`] should follow at once.
    ///
    /// As Kafka's `QuorumState.initialize`, except that a node that had voted for itself does not campaign in that
    /// epoch again: it may have led it and lost what it wrote.
    ///
    /// # Panics
    /// If the log does not hold, or continue, what the snapshots cover.
    #[must_use]
    pub fn new(
        config: RaftConfig,
        me: BrokerId,
        stored: Option<ElectionState>,
        log: LogState,
        snapshots: BTreeMap<SnapshotId, u64>,
        jitter: Stream,
        now: Now,
    ) -> Self {
        let peers = Peers::new(
            config.voters.iter().copied().filter(|&id| id != me),
            config.request_timeout_ms,
            config.retry_backoff_ms,
        );
        let first = snapshots.first_key_value().map(|(id, _)| id.offset);
        let last = snapshots.last_key_value().map(|(id, _)| id.offset);
        let start = log.log_start();
        assert!(start == Offset::ZERO || first == Some(start), "a log from {start} without the snapshot before it");
        assert!(last.is_none_or(|end| end <= log.log_end()), "a snapshot up to {last:?} is beyond the log");
        let mut core = Self {
            config,
            me,
            rng: jitter,
            log,
            snapshots,
            election: stored.unwrap_or_default(),
            role: Role::Unattached { deadline: None },
            // Only what is committed is ever in a snapshot.
            high_watermark: last,
            peers,
            lost_elections: 0,
            shutting_down: false,
            requested_state: stored,
            requested: 0,
            stored: 0,
            held: VecDeque::new(),
            sync_under_way: false,
            reported: None,
            failed: false,
        };
        let last_epoch = core.last_epoch();
        if core.election.epoch < last_epoch {
            core.election = ElectionState { epoch: last_epoch, leader: None, voted: None };
        }
        core.role = core.initial_role(now);
        core
    }
    fn initial_role(&mut self, now: Now) -> Role {
        if self.is_voter() && self.config.voters.len() == 1 {
            // Nobody else can lead: campaign at once, in a new epoch.
            self.election.leader = None;
            return Role::Unattached { deadline: Some(now.mono_ns) };
        }
        let deadline = self.is_voter().then(|| self.election_deadline(now));
        match self.election.leader {
            Some(leader) if leader == self.me && self.is_voter() => Role::Resigned(Resigned {
                deadline: self.election_deadline(now),
                unacknowledged: self.other_voters(),
                successors: Vec::new(),
            }),
            Some(leader) if leader != self.me && self.config.voters.contains(&leader) => {
                Role::Follower(self.new_follower(now, leader))
            }
            Some(_) => {
                self.election.leader = None;
                Role::Unattached { deadline }
            }
            None => Role::Unattached { deadline },
        }
    }

    /// Takes in what happened at `now`; appends what is to be done to `out`.
    pub fn step(&mut self, now: Now, input: Input, out: &mut Vec<Output>) {
        if self.failed {
            return;
        }
        match input {
            Input::Tick => {}
            Input::Request { token, request } => self.on_request(now, token, request, out),
            Input::Response { id, answer } => self.on_response(now, id, answer, out),
            Input::Failed { id } => {
                if let Some(peer) = self.peers.finished(id) {
                    self.on_unanswered(now, peer);
                }
            }
            Input::Propose { batch } => self.on_propose(now, batch),
            Input::Appended { generation, end } => {
                if self.log.appended(generation, end) {
                    self.on_log_moved(now, out);
                }
            }
            Input::Synced { generation, end } => self.on_synced(now, generation, end, out),
            Input::Stored { sequence } => self.on_stored(now, sequence, out),
            Input::SnapshotStored { snapshot, size } => self.on_snapshot_stored(now, snapshot, size, out),
            Input::SnapshotRefused { snapshot } => self.end_download(now, Some(snapshot)),
            Input::Clean { before } => self.clean(before, out),
            Input::Resign { epoch } => {
                if epoch == self.election.epoch {
                    self.resign(now, out);
                }
            }
            Input::Shutdown => {
                self.shutting_down = true;
                self.resign(now, out);
                self.end_campaign(now, out);
            }
        }
        if !self.failed {
            self.poll(now, out);
        }
    }
    /// When the core wants its next [`Input::Tick`] at the latest, in monotonic nanoseconds.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        if self.failed {
            return None;
        }
        let role = match &self.role {
            Role::Unattached { deadline } => *deadline,
            Role::Prospective { deadline, .. } => Some(*deadline),
            Role::Candidate(c) => Some(c.backoff_until.unwrap_or(c.deadline)),
            Role::Leader(_) => self.leader_deadline(),
            Role::Follower(f) => Some(f.fetch_deadline).filter(|_| self.is_voter() && !self.is_finishing_download()),
            Role::Resigned(r) => Some(r.deadline),
        };
        let leads = self.role.leading().is_some();
        let role = role.filter(|_| leads || !(self.shutting_down || self.is_storing()));
        role.into_iter().chain(self.peers.next_deadline()).min()
    }

    /// This node.
    #[must_use]
    pub fn me(&self) -> BrokerId {
        self.me
    }
    /// True if this node votes.
    #[must_use]
    pub fn is_voter(&self) -> bool {
        self.config.voters.contains(&self.me)
    }
    /// The settings.
    #[must_use]
    pub fn config(&self) -> &RaftConfig {
        &self.config
    }
    /// The role that this node plays.
    #[must_use]
    pub fn role(&self) -> RoleKind {
        self.role.kind()
    }
    /// Who leads, as this node knows it. A leader that has resigned is none.
    #[must_use]
    pub fn leadership(&self) -> Leadership {
        let leader = self.election.leader.filter(|_| self.role.kind() != RoleKind::Resigned);
        Leadership { leader, epoch: self.election.epoch }
    }
    /// The state of the metadata log.
    #[must_use]
    pub fn log(&self) -> &LogState {
        &self.log
    }
    /// Everything below is known to be committed.
    #[must_use]
    pub fn high_watermark(&self) -> Option<Offset> {
        self.high_watermark
    }
    /// True once the node was told to shut down.
    #[must_use]
    pub fn is_shutting_down(&self) -> bool {
        self.shutting_down
    }
    /// True once a node that shuts down has nothing left to tell to its peers, and what it stands for is durable: the
    /// successor's epoch, of which it has just heard, must not be news to its next life.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        let told = match &self.role {
            Role::Leader(_) => false,
            Role::Resigned(r) => r.unacknowledged.is_empty(),
            _ => true,
        };
        told && !self.is_storing()
    }
    /// Where the next proposal of `epoch` starts; none if this node does not lead it.
    #[must_use]
    pub fn proposal_offset(&self, epoch: LeaderEpoch) -> Option<Offset> {
        let leader = self.role.leading().filter(|_| epoch == self.election.epoch && !self.failed)?;
        Some(leader.lingering.last().map_or(self.log.log_end(), |b| b.next))
    }

    fn on_request(&mut self, now: Now, token: Token, request: Request, out: &mut Vec<Output>) {
        match request {
            Request::Vote { epoch, candidate, last_epoch, end, pre_vote } => {
                let (error, granted) = self.on_vote(now, epoch, candidate, (last_epoch, end), pre_vote, out);
                self.reply(token, error, Body::Vote { granted }, out);
            }
            Request::BeginQuorumEpoch { epoch, leader } => {
                let error = self.on_leader_speaks(now, epoch, leader, out).err();
                self.reply(token, error, Body::BeginQuorumEpoch, out);
            }
            Request::EndQuorumEpoch { epoch, leader, successors } => {
                let error = self.on_leader_speaks(now, epoch, leader, out).err();
                if error.is_none() {
                    self.on_leader_resigned(now, leader, &successors);
                }
                self.reply(token, error, Body::EndQuorumEpoch, out);
            }
            Request::Fetch { replica, epoch, offset, last_epoch, high_watermark, max_wait_ms } => {
                let fetch = Fetch { replica, epoch, offset, last_epoch, high_watermark, max_wait_ms };
                self.on_fetch(now, token, fetch, out);
            }
            Request::FetchSnapshot { replica, epoch, snapshot, position, max_bytes } => {
                let fetch = FetchSnapshot { replica, epoch, snapshot, position, max_bytes };
                self.on_fetch_snapshot(now, token, fetch, out);
            }
        }
    }
    fn on_response(&mut self, now: Now, id: RequestId, answer: Answer, out: &mut Vec<Output>) {
        let Some(peer) = self.peers.finished(id) else { return };
        let before = (self.role.kind(), self.election);
        let refused = answer.error.is_some();
        let gone = matches!(answer.error, Some(ResponseError::SnapshotNotFound | ResponseError::PositionOutOfRange));
        if self.on_common_response(now, &answer, out) {
            self.on_particular_response(now, peer, answer, out);
        }
        if gone {
            self.end_download(now, None);
        }
        // Kafka asks again at once; a peer that knows no better would be asked without pause.
        if refused && before == (self.role.kind(), self.election) {
            self.peers.back_off(peer, now);
        }
    }
    /// What every answer may tell: a newer epoch or its leader. True if the rest of the answer matters
    /// (`KafkaRaftClient.maybeHandleCommonResponse`).
    fn on_common_response(&mut self, now: Now, answer: &Answer, out: &mut Vec<Output>) -> bool {
        let Leadership { leader, epoch } = answer.current;
        if epoch < self.election.epoch {
            return false;
        }
        let newer = epoch > self.election.epoch;
        let follows = if newer || (leader.is_some() && self.election.leader.is_none()) {
            self.learn_leader(now, epoch, leader, out).is_ok()
        } else {
            true
        };
        // An observer may find the leader and its first records in one answer.
        follows && !newer && answer.error.is_none()
    }
    fn on_particular_response(&mut self, now: Now, peer: BrokerId, answer: Answer, out: &mut Vec<Output>) {
        match answer.body {
            Body::Vote { granted } => self.on_vote_answer(now, peer, granted, out),
            Body::BeginQuorumEpoch => {
                if let Some(voter) = self.role.leading_mut().and_then(|l| l.voters.get_mut(&peer)) {
                    voter.acknowledged = true;
                }
            }
            Body::EndQuorumEpoch => {
                if let Role::Resigned(resigned) = &mut self.role {
                    resigned.unacknowledged.remove(&peer);
                }
            }
            Body::Fetch { high_watermark, diverging, snapshot, records } => {
                self.on_fetch_answer(now, peer, high_watermark, (diverging, snapshot), records, out);
            }
            Body::FetchSnapshot { snapshot, size, position, chunk } => {
                self.on_piece(now, peer, (snapshot, size, position), chunk, out);
            }
        }
    }
    fn on_unanswered(&mut self, now: Now, peer: BrokerId) {
        self.peers.back_off(peer, now);
        let voter = self.role.leading_mut().and_then(|l| l.voters.get_mut(&peer));
        if let Some(voter) = voter.filter(|voter| !voter.acknowledged) {
            voter.announce_at = now.mono_ns;
        }
    }
    fn on_synced(&mut self, now: Now, generation: u64, end: Offset, out: &mut Vec<Output>) {
        if generation != self.log.generation() {
            return;
        }
        self.sync_under_way = false;
        self.log.appended(generation, end);
        self.log.synced(generation, end);
        self.on_log_moved(now, out);
    }
    /// The visible or the durable end moved.
    fn on_log_moved(&mut self, now: Now, out: &mut Vec<Output>) {
        if self.role.leading().is_some() {
            self.advance_leader_high_watermark(out);
            self.serve_waiting(out);
        } else {
            self.on_followed_log_moved(now, out);
        }
        self.want_sync(out);
    }
    fn on_stored(&mut self, now: Now, sequence: u64, out: &mut Vec<Output>) {
        self.stored = self.stored.max(sequence);
        while self.held.front().is_some_and(|(needs, _)| *needs <= self.stored) {
            if let Some((_, output)) = self.held.pop_front() {
                out.push(self.still_true(output));
            }
        }
        self.on_own_vote_durable(now, out);
    }
    /// What was held back for a while still holds, except that records can be read only while this node leads.
    fn still_true(&self, output: Output) -> Output {
        match output {
            Output::Reply { token, reply: Response { current, error: None, body: Body::Fetch { .. } } }
                if self.role.leading().is_none() || current.epoch != self.election.epoch =>
            {
                let body = no_records();
                let error = Some(ResponseError::NotLeaderOrFollower);
                Output::Reply { token, reply: Response { current: self.leadership(), error, body } }
            }
            other => other,
        }
    }

    /// Lets time do what is due, then asks peers what is to be asked.
    fn poll(&mut self, now: Now, out: &mut Vec<Output>) {
        for peer in self.peers.expire(now) {
            self.on_unanswered(now, peer);
        }
        self.on_time(now, out);
        if self.role.leading().is_some() {
            self.lead_on_time(now, out);
        }
        self.ask_peers(now, out);
        self.want_sync(out);
        self.report_role(out);
    }
    fn ask_peers(&mut self, now: Now, out: &mut Vec<Output>) {
        match &self.role {
            Role::Prospective { .. } | Role::Candidate(_) => self.ask_for_votes(now, out),
            Role::Leader(_) => self.announce_leadership(now, out),
            Role::Follower(_) if self.is_voter() => self.fetch_from_leader(now, out),
            Role::Follower(_) | Role::Unattached { deadline: None } => self.fetch_as_observer(now, out),
            Role::Unattached { .. } => {}
            Role::Resigned(_) => self.announce_resignation(now, out),
        }
    }

    /// Says something to the world once the quorum state is durable.
    pub(super) fn emit(&mut self, output: Output, out: &mut Vec<Output>) {
        if self.is_storing() {
            self.held.push_back((self.requested, output));
        } else {
            out.push(output);
        }
    }
    pub(super) fn send(&mut self, now: Now, to: BrokerId, request: Request, out: &mut Vec<Output>) {
        let id = self.peers.sent(to, now);
        self.emit(Output::Send { to, id, request }, out);
    }
    pub(super) fn reply(
        &mut self,
        token: Token,
        error: Option<ResponseError>,
        body: Body<ReadRange, ReadChunk>,
        out: &mut Vec<Output>,
    ) {
        let vote = matches!(body, Body::Vote { .. });
        let reply: Reply = Response { current: self.leadership(), error, body };
        let output = Output::Reply { token, reply };
        if vote { self.emit_vote(output, out) } else { self.emit(output, out) }
    }
    /// A vote and what is known of it: the planted bug lets both out too early.
    pub(super) fn emit_vote(&mut self, output: Output, out: &mut Vec<Output>) {
        if planted(Bug::VolatileVote) { out.push(output) } else { self.emit(output, out) }
    }
    /// Stores what this node stands for, if that changed.
    pub(super) fn persist(&mut self, out: &mut Vec<Output>) {
        if self.requested_state != Some(self.election) {
            self.requested += 1;
            self.requested_state = Some(self.election);
            out.push(Output::StoreQuorumState { sequence: self.requested, state: self.election });
        }
    }
    /// True while the quorum state on the device is not yet what this node stands for.
    pub(super) fn is_storing(&self) -> bool {
        self.stored < self.requested
    }
    /// Voters make their log durable as soon as it grows, one sync at a time; observers need not.
    pub(super) fn want_sync(&mut self, out: &mut Vec<Output>) {
        if self.is_voter() && !self.sync_under_way && self.log.durable_end() < self.log.log_end() {
            self.sync_under_way = true;
            out.push(Output::Sync { generation: self.log.generation(), end: self.log.log_end() });
        }
    }
    pub(super) fn truncate(&mut self, end: Offset, out: &mut Vec<Output>) -> bool {
        // A fetch waits for its log, so nothing below the cut can still be on its way to the page cache.
        assert_eq!(self.log.visible_end(), self.log.log_end(), "truncating a log that is still being written");
        if !self.log.truncate_to(end) {
            return false;
        }
        // A sync of the old generation says nothing about the new one.
        self.sync_under_way = false;
        out.push(Output::Truncate { generation: self.log.generation(), end: self.log.log_end() });
        true
    }
    pub(super) fn raise_high_watermark(&mut self, to: Offset, out: &mut Vec<Output>) {
        if self.high_watermark.is_none_or(|known| to > known) {
            self.high_watermark = Some(to);
            out.push(Output::HighWatermark { high_watermark: to });
        }
    }
    /// Told once the quorum state is durable: what a crash may undo has not happened (Kafka stores before it changes).
    pub(super) fn report_role(&mut self, out: &mut Vec<Output>) {
        let Leadership { leader, epoch } = self.leadership();
        let now = (self.role.kind(), epoch, leader);
        if self.reported != Some(now) {
            self.reported = Some(now);
            self.emit(Output::RoleChanged { role: now.0, epoch, leader }, out);
        }
    }
    pub(super) fn fail(&mut self, reason: String, out: &mut Vec<Output>) {
        self.failed = true;
        self.held.clear();
        out.push(Output::Fatal { reason });
    }
    pub(super) fn other_voters(&self) -> BTreeSet<BrokerId> {
        self.config.voters.iter().copied().filter(|&id| id != self.me).collect()
    }
}
