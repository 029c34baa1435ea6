//! Following: what to fetch, and what to make of the answer (`AbstractFetcherThread`, truncation on fetch).

use kafka_protocol::ResponseError;

use super::core::{ReplicaCore, RoleState};
use super::types::{BatchSpan, EpochEnd, FetchAnswer, FetchPosition, Output, Verdict};
use crate::base::bugs::{Bug, planted};
use crate::base::marks::{Mark, mark};
use crate::base::{BrokerId, LeaderEpoch, Offset};

impl ReplicaCore {
    /// What the next fetch asks for; None if this replica follows nobody, or while appends or a start anew are on their way: a
    /// fetch from the log end tells the leader that everything below it is held, and that a log which fails in between ends there.
    #[must_use]
    pub fn fetch_position(&self) -> Option<FetchPosition> {
        let ready = self.is_follower() && self.leader != BrokerId::NONE && self.leader != self.id;
        let settled = self.log.visible_end() == self.log.log_end() && self.anew.is_none();
        (ready && settled).then(|| FetchPosition {
            leader: self.leader,
            leader_epoch: self.leader_epoch,
            offset: self.log.log_end(),
            last_epoch: self.log.last_epoch(),
            log_start: self.log.log_start(),
        })
    }
    /// Takes in the leader's answer to a fetch from `asked`. On [`Verdict::Proceed`] the accepted batches are part of
    /// the log state; the shell stores them and reports `appended` with the log's generation.
    pub fn fetch_answer(&mut self, asked: &FetchPosition, answer: &FetchAnswer, out: &mut Vec<Output>) -> Verdict {
        if self.fetch_position().as_ref() != Some(asked) {
            return Verdict::Stale;
        }
        match answer.error {
            None => {}
            Some(ResponseError::OffsetOutOfRange) => return Verdict::OutOfRange,
            Some(ResponseError::FencedLeaderEpoch) => return Verdict::AwaitMetadata,
            Some(_) => return Verdict::BackOff,
        }
        if let Some(leader_end) = answer.diverging {
            mark(Mark::TruncatedOnDivergence);
            self.truncate(self.truncation_point(leader_end), out);
            return Verdict::Proceed { batches: 0 };
        }
        let Some(batches) = self.append_as_follower(answer.batches, out) else { return Verdict::BackOff };
        let end = self.log.log_end();
        if let RoleState::Follower { leader_high_watermark, lag } = &mut self.role {
            *leader_high_watermark = answer.high_watermark;
            // An answer that was held back brings nothing, and says nothing of what is missing.
            if batches > 0 || lag.is_none() {
                *lag = Some((answer.high_watermark - end).max(0));
            }
        }
        self.raise_high_watermark(answer.high_watermark, out);
        self.advance_log_start(answer.log_start, out);
        Verdict::Proceed { batches }
    }
    /// True if nothing that its leader has committed was missing when this follower last took something from it: such a
    /// one is not throttled, lest it leave the ISR (KIP-73).
    #[must_use]
    pub fn keeps_up(&self) -> bool {
        matches!(self.role, RoleState::Follower { lag: Some(0), .. })
    }
    /// Both ends of the leader's log, after [`Verdict::OutOfRange`] for `asked`. Below the leader's start everything is
    /// thrown away; beyond its end (after an unclean election) the rest is cut off. Returns false if it came too late.
    pub fn reset_to_leader(
        &mut self,
        asked: &FetchPosition,
        leader_start: Offset,
        leader_end: Offset,
        out: &mut Vec<Output>,
    ) -> bool {
        if self.fetch_position().as_ref() != Some(asked) {
            return false;
        }
        if leader_end < asked.offset {
            self.truncate(leader_end, out);
        } else if leader_start > asked.offset {
            mark(Mark::BegunAnew);
            self.truncate_fully(leader_start, out);
        }
        true
    }
    /// Where to cut when the leader says that its log of `leader.epoch` ends at `leader.end` (KIP-279): the smaller of
    /// both ends of that epoch; if this log never had it, the end of its largest lower epoch, and the next fetch asks
    /// again from there. A log whose epochs are all larger shares nothing.
    fn truncation_point(&self, leader: EpochEnd) -> Offset {
        match self.end_of_epoch(leader.epoch) {
            _ if planted(Bug::EpochLookupWithoutEpoch) => leader.end,
            Some(own) if own.epoch == leader.epoch => own.end.min(leader.end),
            Some(own) => own.end,
            None => leader.end,
        }
    }
    /// Takes batches into the log state up to the first that claims a newer leadership than this replica knows
    /// (KAFKA-18723). None, and nothing is taken in, if they do not fit onto the log.
    fn append_as_follower(&mut self, batches: &[BatchSpan], out: &mut Vec<Output>) -> Option<usize> {
        let known = batches.iter().take_while(|b| b.epoch <= self.leader_epoch).count();
        let batches = &batches[..known];
        let Some(first) = batches.first() else { return Some(0) };
        let empty = self.log.log_start() == self.log.log_end();
        // A log that starts where the leader's log start cuts through a batch gets that batch whole.
        let overlaps = empty && first.base < self.log.log_end() && first.next > self.log.log_end();
        let start = if overlaps { first.base } else { self.log.log_end() };
        if !fits(batches, start, self.log.last_epoch()) {
            return None;
        }
        if overlaps {
            self.truncate_fully(start, out);
        }
        for b in batches {
            self.log.append(b.epoch, b.base, b.next);
            self.producers.record(&b.producer, b.base);
        }
        Some(known)
    }
}

/// True if the batches follow `end` and one another, with epochs that never fall.
fn fits(batches: &[BatchSpan], mut end: Offset, mut epoch: LeaderEpoch) -> bool {
    batches.iter().all(|b| {
        let fits = b.base >= end && b.next > b.base && b.epoch >= epoch;
        (end, epoch) = (b.next, b.epoch);
        fits
    })
}
