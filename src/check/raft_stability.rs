//! RAFT-STABLE: elections of the metadata quorum are as rare as they can be, and as quick. Nobody campaigns while a
//! majority follows a leader (pre-vote, KIP-996); a leader whom a majority has left resigns in time (check-quorum,
//! KAFKA-15489).
//!
//! No stricter: a node that stood still is judged from the moment when it went on, and whoever lost its leader a moment
//! ago may have promised its vote before it found it again, so that only roles count which have lasted. A leader counts
//! the voters that fetch in one window after the other, so that the last of its majority may have fetched two windows ago.

use std::collections::BTreeMap;

use super::Promises;
use super::verdict::Findings;
use crate::base::time::NANOS_PER_MS;
use crate::base::{BrokerId, LeaderEpoch};
use crate::broker::probe::{Event, RaftRole};

/// The timeouts that both promises are made of, in milliseconds; the longest that any voter has.
#[derive(Clone, Copy, Debug, Default)]
pub struct QuorumTimeouts {
    /// `controller.quorum.election.timeout.ms`, to which at most as much is added by chance.
    pub election_ms: u64,
    /// `controller.quorum.fetch.timeout.ms`.
    pub fetch_ms: u64,
}

/// What is known of a voter that runs.
#[derive(Clone, Copy, Debug)]
struct Member {
    role: RaftRole,
    epoch: LeaderEpoch,
    leader: Option<BrokerId>,
    /// Since when it is so, without having stood still.
    since_ns: u64,
    standing: bool,
    /// When it last went on after it had stood still.
    went_on_ns: Option<u64>,
}

pub(super) struct RaftStability {
    voters: Vec<BrokerId>,
    timeouts: QuorumTimeouts,
    members: BTreeMap<BrokerId, Member>,
    /// When each voter last fetched, by the word of the leader that it fetched from.
    fetches: BTreeMap<(BrokerId, BrokerId), u64>,
}

impl RaftStability {
    pub(super) fn new(promises: &Promises) -> Self {
        let (voters, timeouts) = (promises.voters.clone(), promises.quorum);
        Self { voters, timeouts, members: BTreeMap::new(), fetches: BTreeMap::new() }
    }
    pub(super) fn observe(&mut self, node: BrokerId, event: &Event, out: &mut Findings) {
        // Observers follow and fetch as well, but have no say.
        if let Event::RaftFetched { voter, .. } = event
            && self.voters.contains(voter)
        {
            self.fetches.insert((node, *voter), out.at_ns);
        }
        let Event::RaftRole { epoch, role, leader } = event else { return };
        if !self.voters.contains(&node) {
            return;
        }
        if *role == RaftRole::Candidate {
            self.campaign(node, *epoch, out);
        }
        if *role == RaftRole::Leader {
            self.fetches.retain(|(leader, _), _| *leader != node);
        }
        let before = self.members.get(&node);
        let (standing, went_on_ns) = before.map_or((false, None), |m| (m.standing, m.went_on_ns));
        let (role, epoch, leader, since_ns) = (*role, *epoch, *leader, out.at_ns);
        self.members.insert(node, Member { role, epoch, leader, since_ns, standing, went_on_ns });
    }
    pub(super) fn node_down(&mut self, node: BrokerId) {
        self.members.remove(&node);
    }
    /// A node stands still, or goes on.
    pub(super) fn node_stands(&mut self, at_ns: u64, node: BrokerId, standing: bool) {
        if let Some(member) = self.members.get_mut(&node) {
            (member.standing, member.since_ns) = (standing, at_ns);
            member.went_on_ns = (!standing).then_some(at_ns).or(member.went_on_ns);
        }
    }
    /// A leader that a majority does not fetch from any more has to resign.
    pub(super) fn quiet_point(&self, out: &mut Findings) {
        // Kafka's check-quorum timeout is one and a half times the fetch timeout; a tenth is for clocks that drift.
        let patience_ns = (self.timeouts.fetch_ms * 3 * 11 / 10 + 1_000) * NANOS_PER_MS;
        let lately = |at: u64| at + patience_ns >= out.at_ns;
        let mut zombies = Vec::new();
        for (node, m) in self.members.iter().filter(|(_, m)| m.role == RaftRole::Leader && !m.standing) {
            let fetches = self.fetches.range((*node, BrokerId(i32::MIN))..=(*node, BrokerId(i32::MAX)));
            let followers: Vec<_> = fetches.filter(|(_, at)| lately(**at)).map(|((_, voter), _)| voter.0).collect();
            if !lately(m.since_ns) && followers.len() < self.voters.len() / 2 {
                zombies.push(format!(
                    "node {node} still leads the quorum in epoch {}, though of {} voters only {followers:?} have fetched from it \
                     lately",
                    m.epoch,
                    self.voters.len()
                ));
            }
        }
        zombies.into_iter().for_each(|evidence| out.report("RAFT-STABLE", None, evidence));
    }
    /// Whoever campaigns has a majority that would vote for it: so many must not be content with their leader.
    fn campaign(&self, node: BrokerId, epoch: LeaderEpoch, out: &mut Findings) {
        let lasting_ns = (2 * self.timeouts.election_ms + self.timeouts.fetch_ms + 1_000) * NANOS_PER_MS;
        // Whoever stood still may have had a majority's promises in its inbox all the while.
        let woke = |m: &Member| m.standing || m.went_on_ns.is_some_and(|at| at + lasting_ns > out.at_ns);
        if self.members.get(&node).is_some_and(woke) {
            return;
        }
        let lasts = |m: &Member| !m.standing && m.since_ns + lasting_ns < out.at_ns;
        let leads = |m: &Member| m.role == RaftRole::Leader && m.epoch == epoch_before(epoch) && lasts(m);
        let Some((leader, _)) = self.members.iter().find(|(id, m)| **id != node && leads(m)) else { return };
        let follows =
            |m: &Member| m.role == RaftRole::Follower && m.leader == Some(*leader) && m.epoch < epoch && lasts(m);
        let content: Vec<_> = self
            .members
            .iter()
            .filter(|(id, m)| **id != node && (*id == leader || follows(m)))
            .map(|(id, _)| id.0)
            .collect();
        let voters = self.voters.len();
        if voters - content.len() < voters / 2 + 1 {
            let evidence = format!(
                "node {node} campaigns in epoch {epoch} although {content:?} of {voters} voters have long been content with \
                 leader {leader}"
            );
            out.report("RAFT-STABLE", None, evidence);
        }
    }
}

fn epoch_before(epoch: LeaderEpoch) -> LeaderEpoch {
    LeaderEpoch(epoch.0 - 1)
}
