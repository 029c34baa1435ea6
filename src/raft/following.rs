//! What a follower and an observer do: fetch, append, truncate, follow the high watermark.

use super::core::RaftCore;
use super::message::{Batch, Output, Request, SnapshotId};
use super::roles::Role;
use crate::base::bugs::{Bug, planted};
use crate::base::marks::{Mark, mark};
use crate::base::{BrokerId, LeaderEpoch, Now, Offset};

impl RaftCore {
    /// A voter fetches from its leader, and from nobody else.
    pub(super) fn fetch_from_leader(&mut self, now: Now, out: &mut Vec<Output>) {
        let Role::Follower(follower) = &self.role else { return };
        let leader = follower.leader;
        if self.may_fetch() && self.peers.ready(leader) {
            self.fetch_from(now, leader, out);
        }
    }
    /// An observer fetches from the leader while that answers, else from any voter, who tells where the leader is.
    pub(super) fn fetch_as_observer(&mut self, now: Now, out: &mut Vec<Output>) {
        if self.peers.any_in_flight() || !self.may_fetch() {
            return;
        }
        let leader = match &self.role {
            Role::Follower(f) if f.fetch_deadline > now.mono_ns => Some(f.leader),
            _ => None,
        };
        if let Some(leader) = leader.filter(|&id| self.peers.ready(id)) {
            return self.fetch_from(now, leader, out);
        }
        let ready: Vec<_> = self.peers.all_ready().collect();
        if !ready.is_empty() {
            let voter = *self.rng.pick(&ready);
            self.fetch_from(now, voter, out);
        }
    }
    /// A voter's fetch acknowledges all that it holds, so that has to be durable; an observer's does not.
    fn may_fetch(&self) -> bool {
        if self.is_finishing_download() {
            return false;
        }
        if self.is_voter() && !planted(Bug::FetchBeforeFlush) {
            self.log.durable_end() == self.log.log_end()
        } else {
            self.log.visible_end() == self.log.log_end()
        }
    }
    fn fetch_from(&mut self, now: Now, peer: BrokerId, out: &mut Vec<Output>) {
        let leader = matches!(&self.role, Role::Follower(f) if f.leader == peer);
        if let Some(request) = self.next_piece().filter(|_| leader) {
            return self.send(now, peer, request, out);
        }
        let request = Request::Fetch {
            replica: self.me,
            epoch: self.election.epoch,
            offset: self.log.log_end(),
            last_epoch: self.last_epoch(),
            high_watermark: self.high_watermark.unwrap_or(Offset::NONE),
            max_wait_ms: self.config.fetch_max_wait_ms,
        };
        self.send(now, peer, request, out);
    }

    /// The leader answered a fetch.
    pub(super) fn on_fetch_answer(
        &mut self,
        now: Now,
        peer: BrokerId,
        high_watermark: Option<Offset>,
        (diverging, snapshot): (Option<(LeaderEpoch, Offset)>, Option<SnapshotId>),
        records: Vec<Batch>,
        out: &mut Vec<Output>,
    ) {
        let Role::Follower(follower) = &mut self.role else { return };
        if follower.leader != peer {
            return;
        }
        follower.fetch_deadline = now.after_ms(self.config.fetch_timeout_ms);
        follower.has_fetched = true;
        if let Some((epoch, end)) = diverging {
            mark(Mark::QuorumTruncated);
            if !self.truncate_to_agreement(epoch, end, out) {
                self.peers.back_off(peer, now);
            }
            return;
        }
        if let Some(snapshot) = snapshot {
            return self.begin_download(snapshot, peer, now, out);
        }
        // Only of a log that agrees with the leader's does its high watermark say anything.
        follower.leader_high_watermark = high_watermark.or(follower.leader_high_watermark);
        let offered = !records.is_empty();
        let mut taken = false;
        for batch in records {
            let fits = batch.base == self.log.log_end()
                && batch.next > batch.base
                && batch.epoch >= self.last_epoch()
                && batch.epoch <= self.election.epoch;
            if !fits {
                break;
            }
            taken = true;
            self.append(batch, out);
        }
        if offered && !taken {
            self.peers.back_off(peer, now);
        }
        self.follow_high_watermark(out);
    }
    /// Cuts this log where it last agreed with the leader's (`ReplicatedLog.truncateToEndOffset`). False if that
    /// changed nothing.
    fn truncate_to_agreement(&mut self, epoch: LeaderEpoch, end: Offset, out: &mut Vec<Output>) -> bool {
        let to = match self.log.end_offset_for(epoch) {
            Some((known, own_end)) if known == epoch => own_end.min(end),
            Some((_, own_end)) => own_end,
            None => self.log.log_start(),
        };
        if let Some(committed) = self.high_watermark.filter(|&committed| to < committed) {
            self.fail(format!("the leader asks to truncate to {to}, below the high watermark {committed}"), out);
            return false;
        }
        self.truncate(to, out)
    }
    /// Appended or synced while following: a slow disk is no reason to leave the leader.
    pub(super) fn on_followed_log_moved(&mut self, now: Now, out: &mut Vec<Output>) {
        let fetch_deadline = now.after_ms(self.config.fetch_timeout_ms);
        if let Role::Follower(follower) = &mut self.role
            && follower.has_fetched
        {
            follower.fetch_deadline = fetch_deadline;
        }
        self.follow_high_watermark(out);
    }
    /// The leader's high watermark counts as far as this log has the records at hand.
    fn follow_high_watermark(&mut self, out: &mut Vec<Output>) {
        let Role::Follower(follower) = &self.role else { return };
        if let Some(high_watermark) = follower.leader_high_watermark {
            self.raise_high_watermark(high_watermark.min(self.log.visible_end()), out);
        }
    }
}
