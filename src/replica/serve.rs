//! Serving fetches and offset queries as a leader: fencing, divergence, bounds (`Partition.fetchRecords`).

use kafka_protocol::ResponseError;

use super::core::{ReplicaCore, RoleState};
use super::types::{Ctx, EpochEnd, FollowerFetch, Output, Serve};
use crate::base::bugs::{Bug, planted};
use crate::base::marks::{Mark, mark};
use crate::base::{BrokerEpoch, LeaderEpoch, Offset};

impl ReplicaCore {
    /// Compares the asker's idea of the current leadership with ours, then whether we lead (KIP-320).
    ///
    /// # Errors
    /// FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH, NOT_LEADER_OR_FOLLOWER, KAFKA_STORAGE_ERROR.
    pub fn check_leading(&self, current: LeaderEpoch) -> Result<(), ResponseError> {
        if current != LeaderEpoch::NONE {
            if current < self.leader_epoch {
                mark(Mark::FencedEpoch);
                return Err(ResponseError::FencedLeaderEpoch);
            }
            if current > self.leader_epoch {
                return Err(ResponseError::UnknownLeaderEpoch);
            }
        }
        match self.role {
            RoleState::Leader(_) => Ok(()),
            RoleState::Failed => Err(ResponseError::KafkaStorageError),
            _ => Err(ResponseError::NotLeaderOrFollower),
        }
    }
    /// A follower's fetch: checks it, takes note of how far the follower has come, and says what to read.
    ///
    /// # Errors
    /// As [`Self::serve_follower`]; NOT_LEADER_OR_FOLLOWER for a fetch from before the follower's latest registration.
    pub fn follower_fetch(
        &mut self,
        ctx: &Ctx,
        fetch: &FollowerFetch,
        out: &mut Vec<Output>,
    ) -> Result<Serve, ResponseError> {
        let serve = self.serve_follower(fetch)?;
        if let Serve::Read { .. } = serve {
            let registered = ctx.brokers.get(fetch.id).map_or(BrokerEpoch::NONE, |b| b.epoch);
            if fetch.broker_epoch != BrokerEpoch::NONE && fetch.broker_epoch < registered {
                return Err(ResponseError::NotLeaderOrFollower);
            }
            self.note_progress(ctx, fetch, out);
        }
        Ok(serve)
    }
    /// What to read for a follower, without taking note of it: a fetch that has waited is no news of the follower.
    ///
    /// # Errors
    /// As [`Self::check_leading`]; OFFSET_OUT_OF_RANGE; UNKNOWN_LEADER_EPOCH for a broker that is no replica, as it may
    /// know newer metadata (NOT_LEADER_OR_FOLLOWER if it named no epoch).
    pub fn serve_follower(&self, fetch: &FollowerFetch) -> Result<Serve, ResponseError> {
        self.check_leading(fetch.leader_epoch)?;
        let RoleState::Leader(leader) = &self.role else { return Err(ResponseError::NotLeaderOrFollower) };
        if leader.followers.iter().all(|f| f.id != fetch.id) {
            let checked = fetch.leader_epoch != LeaderEpoch::NONE;
            return Err(if checked { ResponseError::UnknownLeaderEpoch } else { ResponseError::NotLeaderOrFollower });
        }
        if let Some(end) = self.divergence(fetch.last_epoch, fetch.offset)? {
            return Ok(Serve::Diverging(end));
        }
        self.check_offset(fetch.offset)?;
        let upto = self.log.visible_end();
        Ok(Serve::Read { from: fetch.offset.min(upto), upto })
    }
    fn note_progress(&mut self, ctx: &Ctx, fetch: &FollowerFetch, out: &mut Vec<Output>) {
        let RoleState::Leader(leader) = &mut self.role else { return };
        let Some(f) = leader.followers.iter_mut().find(|f| f.id == fetch.id) else { return };
        let (end, before) = (self.log.visible_end(), f.log_end);
        f.fetched(fetch.offset, fetch.log_start, fetch.broker_epoch, end, ctx.now.mono_ms());
        self.maybe_expand(ctx, fetch.id, out);
        if before != fetch.offset {
            self.advance_high_watermark(ctx, out);
        }
        self.note_log_starts(ctx, out);
    }
    /// A consumer's fetch: up to the high watermark.
    ///
    /// # Errors
    /// As [`Self::check_leading`]; OFFSET_OUT_OF_RANGE.
    pub fn consumer_fetch(
        &self,
        current: LeaderEpoch,
        last_epoch: LeaderEpoch,
        offset: Offset,
    ) -> Result<Serve, ResponseError> {
        self.check_leading(current)?;
        if let Some(end) = self.divergence(last_epoch, offset)? {
            return Ok(Serve::Diverging(end));
        }
        self.check_offset(offset)?;
        let upto = self.high_watermark;
        Ok(Serve::Read { from: offset.min(upto), upto })
    }
    /// The end that an offset query for "latest" names: the log end for a replica, the high watermark for a client.
    ///
    /// # Errors
    /// As [`Self::check_leading`]; OFFSET_NOT_AVAILABLE to a client while a new leader's high watermark is still below
    /// the start of its leadership, lest the answer go back behind what the previous leader has shown (KIP-207).
    pub fn latest_offset(&self, current: LeaderEpoch, by_replica: bool) -> Result<Offset, ResponseError> {
        self.check_leading(current)?;
        if by_replica {
            return Ok(self.log.visible_end());
        }
        match &self.role {
            RoleState::Leader(l) if l.epoch_start > self.high_watermark => Err(ResponseError::OffsetNotAvailable),
            _ => Ok(self.high_watermark),
        }
    }
    /// Where a log whose last record below `offset` is of `last_epoch` leaves ours, if it does (KIP-320, KIP-279).
    fn divergence(&self, last_epoch: LeaderEpoch, offset: Offset) -> Result<Option<EpochEnd>, ResponseError> {
        if last_epoch == LeaderEpoch::NONE {
            return Ok(None);
        }
        let ours = self.end_of_epoch(last_epoch).ok_or(ResponseError::OffsetOutOfRange)?;
        if offset < self.log.log_start() {
            return Err(ResponseError::OffsetOutOfRange);
        }
        let other_epoch = ours.epoch < last_epoch && !planted(Bug::EpochLookupWithoutEpoch);
        Ok((other_epoch || ours.end < offset).then_some(ours))
    }
    /// Offsets between the visible and the assigned end are answered with nothing rather than with an error: what
    /// lies there is on its way to the page cache.
    fn check_offset(&self, offset: Offset) -> Result<(), ResponseError> {
        let inside = self.log.log_start() <= offset && offset <= self.log.log_end();
        if inside { Ok(()) } else { Err(ResponseError::OffsetOutOfRange) }
    }
}
