//! Elections: votes asked for and given, and the transitions between roles. Each transition changes what this node
//! stands for, asks for it to be stored, and forgets the requests of the role before.

use kafka_protocol::ResponseError;

use super::core::RaftCore;
use super::message::{ElectionState, Output, Request};
use super::roles::{Candidate, Follower, Resigned, Role, RoleKind, Tally};
use super::snapshots::no_records;
use crate::base::bugs::{Bug, planted};
use crate::base::marks::{Mark, mark};
use crate::base::time::NANOS_PER_MS;
use crate::base::{BrokerId, LeaderEpoch, Now, Offset};

/// `KafkaRaftClient.RETRY_BACKOFF_BASE_MS`.
const ELECTION_BACKOFF_BASE_MS: u64 = 100;

/// What is wrong with a peer's request, as the error that it is answered with.
type Refusal = ResponseError;

impl RaftCore {
    pub(super) fn election_deadline(&mut self, now: Now) -> u64 {
        let timeout = self.config.election_timeout_ms * NANOS_PER_MS;
        let jitter = if timeout == 0 { 0 } else { self.rng.below(timeout) };
        now.mono_ns + timeout + jitter
    }
    pub(super) fn new_follower(&self, now: Now, leader: BrokerId) -> Follower {
        Follower {
            leader,
            fetch_deadline: now.after_ms(self.config.fetch_timeout_ms),
            has_fetched: false,
            leader_high_watermark: None,
            download: None,
        }
    }

    /// Answers a vote request: an error, and whether the vote is given (`KafkaRaftClient.handleVoteRequest`).
    pub(super) fn on_vote(
        &mut self,
        now: Now,
        epoch: LeaderEpoch,
        candidate: BrokerId,
        (last_epoch, end): (LeaderEpoch, Offset),
        pre_vote: bool,
        out: &mut Vec<Output>,
    ) -> (Option<Refusal>, bool) {
        // A pre-vote carries the epoch that its sender is in, whose records it may already hold.
        let impossible_epoch = if pre_vote { last_epoch > epoch } else { last_epoch >= epoch };
        if end < Offset::ZERO || last_epoch < LeaderEpoch(0) || impossible_epoch || candidate == self.me {
            return (Some(ResponseError::InvalidRequest), false);
        }
        if let Err(error) = self.check_voter_request(candidate, epoch) {
            return (Some(error), false);
        }
        if epoch > self.election.epoch {
            self.become_unattached(now, epoch, out);
        }
        let up_to_date = (last_epoch, end) >= (self.last_epoch(), self.log.log_end());
        let granted = self.would_vote_for(candidate, up_to_date, pre_vote);
        if pre_vote && !granted {
            mark(Mark::PreVoteRefused);
        }
        if granted && !pre_vote && self.election.voted.is_none() {
            self.vote_for(now, candidate, out);
        }
        (None, granted)
    }
    fn would_vote_for(&self, candidate: BrokerId, up_to_date: bool, pre_vote: bool) -> bool {
        match &self.role {
            Role::Leader(_) => false,
            Role::Follower(f) => pre_vote && up_to_date && !f.has_fetched,
            Role::Candidate(_) | Role::Resigned(_) => pre_vote && up_to_date,
            Role::Unattached { .. } | Role::Prospective { .. } if pre_vote => up_to_date,
            Role::Unattached { .. } | Role::Prospective { .. } => match (self.election.voted, self.election.leader) {
                (Some(voted), _) => voted == candidate,
                (None, Some(_)) => false,
                (None, None) => up_to_date,
            },
        }
    }
    fn vote_for(&mut self, now: Now, candidate: BrokerId, out: &mut Vec<Output>) {
        self.election.voted = Some(candidate);
        self.persist(out);
        let epoch = self.election.epoch;
        self.emit_vote(Output::Voted { epoch, candidate }, out);
        // The candidate has as good a chance as we have: give it the time.
        let deadline = self.election_deadline(now);
        if let Role::Unattached { deadline: current } = &mut self.role {
            *current = Some(deadline);
        }
    }
    fn check_voter_request(&self, sender: BrokerId, epoch: LeaderEpoch) -> Result<(), Refusal> {
        if epoch < self.election.epoch {
            return Err(ResponseError::FencedLeaderEpoch);
        }
        if sender == self.me || !self.is_voter() || !self.config.voters.contains(&sender) {
            return Err(ResponseError::InconsistentVoterSet);
        }
        Ok(())
    }
    /// A leader announces or ends its epoch.
    pub(super) fn on_leader_speaks(
        &mut self,
        now: Now,
        epoch: LeaderEpoch,
        leader: BrokerId,
        out: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        self.check_voter_request(leader, epoch)?;
        self.learn_leader(now, epoch, Some(leader), out)
    }
    /// Somebody knows `leader` in `epoch` (`KafkaRaftClient.maybeTransition`). An error if that contradicts what this
    /// node knows: two leaders of one epoch can only come from a bug, and are not believed.
    pub(super) fn learn_leader(
        &mut self,
        now: Now,
        epoch: LeaderEpoch,
        leader: Option<BrokerId>,
        out: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        let known = self.election.leader.filter(|_| epoch == self.election.epoch);
        let stranger = leader.is_some_and(|l| !self.config.voters.contains(&l) || (l == self.me && known != leader));
        let contradiction = known.is_some() && leader.is_some() && known != leader;
        if stranger || contradiction {
            return Err(ResponseError::InvalidRequest);
        }
        match leader {
            Some(leader) if epoch > self.election.epoch || (epoch == self.election.epoch && known.is_none()) => {
                self.become_follower(now, epoch, leader, out);
            }
            None if epoch > self.election.epoch => self.become_unattached(now, epoch, out),
            _ => {}
        }
        Ok(())
    }
    /// Our leader has resigned: the best successor campaigns at once, the others later, so that they do not split
    /// the votes (`strictExponentialElectionBackoffMs`).
    pub(super) fn on_leader_resigned(&mut self, now: Now, leader: BrokerId, successors: &[BrokerId]) {
        let max = self.config.election_backoff_max_ms;
        let backoff_ms = match successors.iter().position(|&id| id == self.me) {
            Some(0) => 0,
            Some(position) => {
                let base = max.checked_shr(successors.len() as u32 - 1).unwrap_or(0);
                base.saturating_mul(1 << (position - 1).min(20)).min(max)
            }
            None => max,
        };
        if let Role::Follower(follower) = &mut self.role
            && follower.leader == leader
        {
            follower.fetch_deadline = now.after_ms(backoff_ms);
            // Nobody leads any more: others may have our pre-vote.
            follower.has_fetched = false;
        }
    }

    /// What time alone changes. While the quorum state is being stored this node can say nothing, so nothing is due:
    /// a slow disk must not make it start elections that it cannot hold.
    pub(super) fn on_time(&mut self, now: Now, out: &mut Vec<Output>) {
        let silent = self.is_storing() && self.role.leading().is_none();
        if self.shutting_down || !self.is_voter() || silent {
            return;
        }
        let due = |deadline: u64| deadline <= now.mono_ns;
        match &self.role {
            Role::Unattached { deadline } if deadline.is_some_and(due) => self.become_prospective(now, out),
            Role::Prospective { deadline, .. } if due(*deadline) => self.lose_pre_vote(now, out),
            Role::Candidate(c) => match c.backoff_until {
                Some(until) if due(until) => self.become_prospective(now, out),
                None if due(c.deadline) => self.become_prospective(now, out),
                _ => {}
            },
            // Neither is a slow disk under a snapshot a reason to leave the leader.
            Role::Follower(f) if due(f.fetch_deadline) && !self.is_finishing_download() => {
                self.become_prospective(now, out);
            }
            Role::Leader(l) if due(l.check_quorum_at) && self.config.voters.len() > 1 => {
                mark(Mark::CheckQuorumResigned);
                self.resign(now, out);
            }
            // In the epoch that it led it must never again be a candidate, nor vote for another.
            Role::Resigned(r) if due(r.deadline) => self.become_unattached(now, self.election.epoch.next(), out),
            _ => {}
        }
    }
    pub(super) fn ask_for_votes(&mut self, now: Now, out: &mut Vec<Output>) {
        let (tally, pre_vote) = match &self.role {
            Role::Prospective { tally, .. } => (tally, true),
            Role::Candidate(c) if c.backoff_until.is_none() => (&c.tally, false),
            _ => return,
        };
        let unasked: Vec<_> = self.peers.all_ready().filter(|&voter| !tally.answered(voter)).collect();
        for voter in unasked {
            let request = Request::Vote {
                epoch: self.election.epoch,
                candidate: self.me,
                last_epoch: self.last_epoch(),
                end: self.log.log_end(),
                pre_vote,
            };
            self.send(now, voter, request, out);
        }
    }
    pub(super) fn on_vote_answer(&mut self, now: Now, voter: BrokerId, granted: bool, out: &mut Vec<Output>) {
        match &mut self.role {
            Role::Prospective { tally, .. } => tally.record(voter, granted),
            Role::Candidate(c) => c.tally.record(voter, granted),
            _ => return,
        }
        self.count_votes(now, out);
    }
    pub(super) fn on_own_vote_durable(&mut self, now: Now, out: &mut Vec<Output>) {
        let fresh = self.election_deadline(now);
        let (me, storing) = (self.me, self.is_storing());
        if let Role::Candidate(c) = &mut self.role
            && !storing
            && !c.tally.answered(me)
        {
            // Only now the votes are asked for: the time that the disk took is not the voters'.
            c.deadline = fresh;
            self.on_vote_answer(now, me, true, out);
        }
    }
    fn count_votes(&mut self, now: Now, out: &mut Vec<Output>) {
        let (majority, voters) = (self.config.majority(), self.config.voters.len());
        let won = |t: &Tally| t.granted.len() >= majority;
        let lost = |t: &Tally| t.rejected.len() > voters - majority;
        match &mut self.role {
            Role::Prospective { tally, .. } if won(tally) => self.become_candidate(now, out),
            Role::Prospective { tally, .. } if lost(tally) => self.lose_pre_vote(now, out),
            // The own vote being durable is part of winning, whatever the others say.
            Role::Candidate(c) if won(&c.tally) && c.tally.granted.contains(&self.me) => {
                let granting = c.tally.granted.iter().copied().collect();
                self.become_leader(now, granting, out);
            }
            Role::Candidate(c) if lost(&c.tally) && c.backoff_until.is_none() => {
                let spread = self.rng.below(2 << self.lost_elections.saturating_sub(1).min(20));
                let backoff = (ELECTION_BACKOFF_BASE_MS * spread).min(self.config.election_backoff_max_ms);
                c.backoff_until = Some(now.after_ms(backoff));
            }
            _ => {}
        }
    }
    fn lose_pre_vote(&mut self, now: Now, out: &mut Vec<Output>) {
        match self.election.leader {
            Some(leader) if leader != self.me => self.become_follower(now, self.election.epoch, leader, out),
            _ => self.become_unattached(now, self.election.epoch, out),
        }
    }
    /// A node that shuts down no longer wants to be elected.
    pub(super) fn end_campaign(&mut self, now: Now, out: &mut Vec<Output>) {
        if matches!(self.role, Role::Prospective { .. } | Role::Candidate(_)) {
            self.become_unattached(now, self.election.epoch, out);
        }
    }

    /// No leader is known in `epoch`; in the current epoch the own vote stands.
    fn become_unattached(&mut self, now: Now, epoch: LeaderEpoch, out: &mut Vec<Output>) {
        let deadline = match &self.role {
            _ if !self.is_voter() => None,
            Role::Unattached { deadline: Some(deadline) } => Some(*deadline),
            Role::Prospective { deadline, .. } if epoch > self.election.epoch => Some(*deadline),
            Role::Candidate(c) if epoch > self.election.epoch => Some(c.deadline),
            _ => Some(self.election_deadline(now)),
        };
        let voted = self.election.voted.filter(|_| epoch == self.election.epoch);
        self.change(Role::Unattached { deadline }, ElectionState { epoch, leader: None, voted }, out);
    }
    fn become_follower(&mut self, now: Now, epoch: LeaderEpoch, leader: BrokerId, out: &mut Vec<Output>) {
        let voted = self.election.voted.filter(|_| epoch == self.election.epoch);
        let role = Role::Follower(self.new_follower(now, leader));
        self.lost_elections = 0;
        self.change(role, ElectionState { epoch, leader: Some(leader), voted }, out);
    }
    fn become_prospective(&mut self, now: Now, out: &mut Vec<Output>) {
        if planted(Bug::NoPreVote) {
            return self.become_candidate(now, out);
        }
        let mut tally = Tally::default();
        tally.record(self.me, true);
        let deadline = self.election_deadline(now);
        self.change(Role::Prospective { tally, deadline }, self.election, out);
        self.count_votes(now, out);
    }
    fn become_candidate(&mut self, now: Now, out: &mut Vec<Output>) {
        let election = ElectionState { epoch: self.election.epoch.next(), leader: None, voted: Some(self.me) };
        let deadline = self.election_deadline(now);
        self.lost_elections += 1;
        let candidate = Candidate { tally: Tally::default(), deadline, backoff_until: None };
        self.change(Role::Candidate(candidate), election, out);
        self.emit(Output::Voted { epoch: election.epoch, candidate: self.me }, out);
    }
    /// Gives up leadership: because no majority fetches, or because it was told to.
    pub(super) fn resign(&mut self, now: Now, out: &mut Vec<Output>) {
        let Some(leader) = self.role.leading() else { return };
        let mut successors: Vec<_> = leader.voters.iter().map(|(&id, progress)| (progress.offset, id)).collect();
        successors.sort_by_key(|&(offset, id)| (std::cmp::Reverse(offset), id));
        let successors = successors.into_iter().map(|(_, id)| id).collect();
        let deadline = self.election_deadline(now);
        let unacknowledged = self.other_voters();
        self.change(Role::Resigned(Resigned { deadline, unacknowledged, successors }), self.election, out);
    }
    pub(super) fn announce_resignation(&mut self, now: Now, out: &mut Vec<Output>) {
        let Role::Resigned(resigned) = &self.role else { return };
        let successors = resigned.successors.clone();
        let unasked: Vec<_> = self.peers.all_ready().filter(|id| resigned.unacknowledged.contains(id)).collect();
        for voter in unasked {
            let (epoch, leader) = (self.election.epoch, self.me);
            let request = Request::EndQuorumEpoch { epoch, leader, successors: successors.clone() };
            self.send(now, voter, request, out);
        }
    }
    /// Every transition ends here.
    pub(super) fn change(&mut self, role: Role, election: ElectionState, out: &mut Vec<Output>) {
        assert!(
            election.epoch >= self.election.epoch,
            "the epoch fell from {} to {}",
            self.election.epoch,
            election.epoch
        );
        let was_leading = match std::mem::replace(&mut self.role, role) {
            Role::Leader(leader) => Some((self.election.epoch, leader.waiting)),
            _ => None,
        };
        self.election = election;
        self.peers.reset();
        self.persist(out);
        if let Some((epoch, waiting)) = was_leading {
            out.push(Output::LostLeadership { epoch });
            for fetch in waiting {
                self.reply(fetch.token, Some(ResponseError::NotLeaderOrFollower), no_records(), out);
            }
        }
        assert!(self.role.kind() != RoleKind::Leader || self.election.leader == Some(self.me));
        self.report_role(out);
    }
}
