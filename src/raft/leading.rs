//! What a leader does: proposals, the high watermark, fetches answered or kept waiting, check-quorum (Kafka's
//! `LeaderState`).

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::ResponseError;

use super::core::RaftCore;
use super::description::Fetches;
use super::message::{Batch, Body, Content, ElectionState, Output, ReadChunk, ReadRange, Request, Token};
use super::roles::{Fetch, Leader, Progress, Role, WaitingFetch};
use super::snapshots::{Agreement, no_records};
use crate::base::bugs::{Bug, planted};
use crate::base::{BrokerId, LeaderEpoch, Now, Offset};

impl RaftCore {
    /// The election is won: starts the epoch with a control record, whose commit shows how far the log is committed.
    pub(super) fn become_leader(&mut self, now: Now, granting: Vec<BrokerId>, out: &mut Vec<Output>) {
        let epoch = self.election.epoch;
        let epoch_start = self.log.log_end();
        assert!(self.high_watermark.is_none_or(|committed| committed <= epoch_start), "committed beyond the log");
        let unknown = |id| {
            let (offset, fetches) = (Offset::NONE, Fetches::default());
            (id, Progress { offset, acknowledged: false, announce_at: now.mono_ns, fetches })
        };
        let leader = Leader {
            epoch_start,
            high_watermark: None,
            voters: self.other_voters().into_iter().map(unknown).collect(),
            observers: BTreeMap::new(),
            fetched: BTreeSet::new(),
            check_quorum_at: self.check_quorum_deadline(now),
            lingering: Vec::new(),
            linger_until: None,
            waiting: Vec::new(),
        };
        self.lost_elections = 0;
        let election = ElectionState { leader: Some(self.me), ..self.election };
        self.change(Role::Leader(Box::new(leader)), election, out);
        self.log.begin_epoch(epoch);
        out.push(Output::BecameLeader { epoch, epoch_start });
        let voters = self.config.voters.iter().copied().collect();
        let content = Content::LeaderChange { leader: self.me, voters, granting };
        self.append(Batch { base: epoch_start, next: epoch_start.next(), epoch, content }, out);
    }
    /// When a leader that hears from no majority until then resigns.
    fn check_quorum_deadline(&self, now: Now) -> u64 {
        if planted(Bug::NoCheckQuorum) { u64::MAX } else { now.after_ms(self.config.check_quorum_timeout_ms()) }
    }
    pub(super) fn on_propose(&mut self, now: Now, batch: Batch) {
        let expected = self.proposal_offset(batch.epoch);
        assert_eq!(expected, Some(batch.base), "a proposal must start at the proposal offset of a led epoch");
        assert!(batch.next > batch.base, "an empty proposal at {}", batch.base);
        let linger_until = now.after_ms(self.config.append_linger_ms);
        if let Some(leader) = self.role.leading_mut() {
            leader.lingering.push(batch);
            leader.linger_until.get_or_insert(linger_until);
        }
    }
    /// What a leader does because time passed.
    pub(super) fn lead_on_time(&mut self, now: Now, out: &mut Vec<Output>) {
        let Some(leader) = self.role.leading_mut() else { return };
        let mut expired = Vec::new();
        leader.waiting.retain(|fetch| {
            let keep = fetch.deadline > now.mono_ns;
            if !keep {
                expired.push(fetch.token);
            }
            keep
        });
        if leader.linger_until.is_some_and(|at| at <= now.mono_ns) {
            leader.linger_until = None;
            for batch in std::mem::take(&mut leader.lingering) {
                self.append(batch, out);
            }
        }
        for token in expired {
            self.reply(token, None, self.fetched(ReadRange { from: Offset::ZERO, to: Offset::ZERO }), out);
        }
    }
    pub(super) fn append(&mut self, batch: Batch, out: &mut Vec<Output>) {
        self.log.append(batch.epoch, batch.base, batch.next);
        out.push(Output::Append { generation: self.log.generation(), batch });
    }
    pub(super) fn leader_deadline(&self) -> Option<u64> {
        let leader = self.role.leading()?;
        let alone = leader.voters.is_empty();
        let check_quorum = Some(leader.check_quorum_at).filter(|_| !alone);
        let waiting = leader.waiting.iter().map(|fetch| fetch.deadline);
        // A peer that is not ready wakes the core when it becomes so.
        let announce = leader.voters.iter().filter(|(id, _)| self.peers.ready(**id)).map(|(_, v)| v.announce_at);
        check_quorum.into_iter().chain(leader.linger_until).chain(waiting).chain(announce).min()
    }
    /// Tells voters that do not fetch who leads. Kafka's interval is half the fetch timeout.
    pub(super) fn announce_leadership(&mut self, now: Now, out: &mut Vec<Output>) {
        let again = now.after_ms(self.config.begin_quorum_epoch_interval_ms());
        let (epoch, me) = (self.election.epoch, self.me);
        let Some(leader) = self.role.leading_mut() else { return };
        let mut due = Vec::new();
        for (&id, voter) in &mut leader.voters {
            if voter.announce_at <= now.mono_ns && self.peers.ready(id) {
                due.push(id);
                voter.announce_at = again;
            }
        }
        for id in due {
            self.send(now, id, Request::BeginQuorumEpoch { epoch, leader: me }, out);
        }
    }

    /// A replica fetches (`KafkaRaftClient.handleFetchRequest`).
    pub(super) fn on_fetch(&mut self, now: Now, token: Token, fetch: Fetch, out: &mut Vec<Output>) {
        if let Err(error) = self.check_fetch(&fetch) {
            return self.reply(token, Some(error), no_records(), out);
        }
        let nothing = ReadRange { from: fetch.offset, to: fetch.offset };
        let (diverging, snapshot) = match self.agreement(fetch.offset, fetch.last_epoch) {
            Agreement::Prefix => (None, None),
            Agreement::Diverging(epoch, end) => (Some((epoch, end)), None),
            Agreement::Snapshot(id) => (None, Some(id)),
        };
        if diverging.is_some() || snapshot.is_some() {
            let high_watermark = self.role.leading().and_then(|leader| leader.high_watermark);
            let body = Body::Fetch { high_watermark, diverging, snapshot, records: nothing };
            return self.reply(token, None, body, out);
        }
        self.acknowledge(now, fetch.replica, fetch.offset, out);
        if !self.serve(token, &fetch, out) {
            let wait_ms = fetch.max_wait_ms.min(self.config.fetch_max_wait_ms);
            let waiting = WaitingFetch { token, fetch, deadline: now.after_ms(wait_ms) };
            if let Some(leader) = self.role.leading_mut() {
                leader.waiting.push(waiting);
            }
        }
    }
    fn check_fetch(&self, fetch: &Fetch) -> Result<(), ResponseError> {
        let possible =
            fetch.offset >= Offset::ZERO && fetch.last_epoch >= LeaderEpoch(0) && fetch.last_epoch <= fetch.epoch;
        if !possible {
            return Err(ResponseError::InvalidRequest);
        }
        self.check_leader_request(fetch.replica, fetch.epoch)
    }
    /// What only the leader of `epoch` may answer (`KafkaRaftClient.validateLeaderOnlyRequest`).
    pub(super) fn check_leader_request(&self, replica: BrokerId, epoch: LeaderEpoch) -> Result<(), ResponseError> {
        if replica == self.me {
            return Err(ResponseError::InvalidRequest);
        }
        if epoch < self.election.epoch {
            return Err(ResponseError::FencedLeaderEpoch);
        }
        if epoch > self.election.epoch {
            return Err(ResponseError::UnknownLeaderEpoch);
        }
        if self.role.leading().is_none() {
            return Err(ResponseError::NotLeaderOrFollower);
        }
        Ok(())
    }
    /// A voter's fetch says that everything below its offset is on that voter's device.
    fn acknowledge(&mut self, now: Now, replica: BrokerId, offset: Offset, out: &mut Vec<Output>) {
        let leader_end = self.log.log_end();
        let Some(leader) = self.role.leading_mut() else { return };
        let Some(voter) = leader.voters.get_mut(&replica) else {
            return leader.note_observer(now, replica, offset, leader_end);
        };
        voter.offset = offset;
        voter.fetches.note(now, offset, leader_end);
        self.heard_from(now, replica);
        if self.advance_leader_high_watermark(out) {
            self.serve_waiting(out);
        }
    }
    /// A voter fetched records or a snapshot: it follows, and counts for check-quorum (KAFKA-15489).
    pub(super) fn heard_from(&mut self, now: Now, replica: BrokerId) {
        let announce_at = now.after_ms(self.config.begin_quorum_epoch_interval_ms());
        let check_quorum_at = self.check_quorum_deadline(now);
        let others_needed = self.config.majority() - 1;
        let Some(leader) = self.role.leading_mut() else { return };
        let Some(voter) = leader.voters.get_mut(&replica) else { return };
        (voter.acknowledged, voter.announce_at) = (true, announce_at);
        leader.fetched.insert(replica);
        if leader.fetched.len() >= others_needed {
            leader.fetched.clear();
            leader.check_quorum_at = check_quorum_at;
        }
    }
    /// The high watermark is what a majority has on its devices, once that includes a record of this epoch. Returns
    /// true if it rose.
    pub(super) fn advance_leader_high_watermark(&mut self, out: &mut Vec<Output>) -> bool {
        let majority = self.config.majority();
        let own = self.log.durable_end();
        let Some(leader) = self.role.leading_mut() else { return false };
        let mut ends: Vec<_> = leader.voters.values().map(|voter| voter.offset).chain([own]).collect();
        ends.sort_unstable_by(|a, b| b.cmp(a));
        let committed = ends[majority - 1];
        if committed <= leader.epoch_start || leader.high_watermark.is_some_and(|known| committed <= known) {
            return false;
        }
        leader.high_watermark = Some(committed);
        self.raise_high_watermark(committed, out);
        true
    }
    pub(super) fn serve_waiting(&mut self, out: &mut Vec<Output>) {
        let Some(leader) = self.role.leading_mut() else { return };
        for waiting in std::mem::take(&mut leader.waiting) {
            let served = self.serve(waiting.token, &waiting.fetch, out);
            if let Some(leader) = self.role.leading_mut().filter(|_| !served) {
                leader.waiting.push(waiting);
            }
        }
    }
    /// Answers a fetch if there is news for it: records, or a high watermark that the replica does not know
    /// (KIP-1166).
    fn serve(&mut self, token: Token, fetch: &Fetch, out: &mut Vec<Output>) -> bool {
        let Some(leader) = self.role.leading() else { return false };
        let to = self.log.visible_end().max(fetch.offset);
        let news = leader.high_watermark.is_some_and(|known| known > fetch.high_watermark);
        if to == fetch.offset && !news && fetch.max_wait_ms > 0 {
            return false;
        }
        let body = self.fetched(ReadRange { from: fetch.offset, to });
        self.reply(token, None, body, out);
        true
    }
    fn fetched(&self, records: ReadRange) -> Body<ReadRange, ReadChunk> {
        let high_watermark = self.role.leading().and_then(|leader| leader.high_watermark);
        Body::Fetch { high_watermark, diverging: None, snapshot: None, records }
    }
}
