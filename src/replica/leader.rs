//! Leading: taking over, appending, and the high watermark (`Partition.makeLeader`, `maybeIncrementLeaderHW`).

use kafka_protocol::ResponseError;

use super::core::{ReplicaCore, RoleState};
use super::isr::Isr;
use super::progress::FollowerProgress;
use super::types::{Acks, Admission, Appending, Ctx, Output, PartitionState, ProduceToken, ReplicaConfig};
use crate::base::bugs::{Bug, planted};
use crate::base::{BrokerId, LeaderEpoch, Offset};
use crate::log::producers::{ProducerBatch, Verdict};

/// What a replica needs only while it leads.
#[derive(Clone, Debug)]
pub(super) struct Leader {
    /// Where this leadership began.
    pub epoch_start: Offset,
    pub isr: Isr,
    /// The other assigned replicas.
    pub followers: Vec<FollowerProgress>,
}

impl Leader {
    /// `min.insync.replicas`, but never more than there are replicas.
    pub fn effective_min_isr(&self, config: &ReplicaConfig) -> usize {
        config.min_insync_replicas.min(self.followers.len() + 1)
    }
    fn assign(&mut self, local: BrokerId, state: &PartitionState, now_ms: u64) {
        self.followers.retain(|f| state.replicas.contains(&f.id));
        for &id in state.replicas.iter().filter(|id| **id != local) {
            if self.followers.iter().all(|f| f.id != id) {
                self.followers.push(FollowerProgress::unknown(id, state.isr.contains(&id), now_ms));
            }
        }
    }
}

impl ReplicaCore {
    /// Leads from now on, or goes on leading under a changed state. Returns true if the leadership is a new one.
    ///
    /// A state that is no newer than what an AlterPartition answer has already brought changes nothing: it would
    /// forget a proposal in flight, and with it a replica that the controller may be taking into the ISR just now.
    pub fn become_leader(&mut self, ctx: &Ctx, state: &PartitionState, out: &mut Vec<Output>) -> bool {
        let known = self.is_leader() && state.leader_epoch <= self.leader_epoch;
        if self.is_closed() || state.partition_epoch < self.partition_epoch {
            return false;
        }
        if known && state.partition_epoch == self.partition_epoch {
            return false;
        }
        self.adopt(state);
        let was_leader = matches!(self.role, RoleState::Leader(_));
        let mut leader = match std::mem::replace(&mut self.role, RoleState::Fresh) {
            RoleState::Leader(leader) => leader,
            _ => Leader { epoch_start: self.log.log_end(), isr: Isr::default(), followers: Vec::new() },
        };
        leader.isr = Isr::committed(&state.isr);
        leader.assign(self.id, state, ctx.now.mono_ms());
        if !known {
            self.begin_leadership(&mut leader, was_leader, ctx, out);
        }
        self.role = RoleState::Leader(leader);
        self.advance_high_watermark(ctx, out);
        !known
    }
    /// Records (epoch, log end) before any append (KAFKA-7415) and lets followers' lag count anew.
    fn begin_leadership(&mut self, leader: &mut Leader, was_leader: bool, ctx: &Ctx, out: &mut Vec<Output>) {
        leader.epoch_start = self.log.log_end();
        if self.log.begin_epoch(self.leader_epoch) {
            out.push(Output::EpochsChanged);
        }
        if was_leader {
            for f in &mut leader.followers {
                let in_sync = leader.isr.contains_committed(f.id);
                f.reelected(leader.epoch_start, in_sync, ctx.now.mono_ms());
            }
        }
        self.purgatory.wake_fetches(out);
    }
    /// Takes in a producer's batch, which is visible once `appended` has come back, or recognises it as a retry.
    ///
    /// # Errors
    /// NOT_LEADER_OR_FOLLOWER, KAFKA_STORAGE_ERROR, for acks=all NOT_ENOUGH_REPLICAS, and what
    /// [`ProducerStates::check`](crate::log::producers::ProducerStates::check) refuses.
    pub fn append_as_leader(&mut self, acks: Acks, batch: &ProducerBatch) -> Result<Admission, ResponseError> {
        self.check_append(acks)?;
        if let Verdict::Duplicate { base, last, .. } = self.producers.check(batch)? {
            return Ok(Admission::Duplicate { base, next: last.next() });
        }
        let base = self.log.log_end();
        let next = base + (i64::from(batch.last_offset_delta) + 1);
        self.log.append(self.leader_epoch, base, next);
        self.producers.record(batch, base);
        let (epoch, generation) = (self.leader_epoch, self.log.generation());
        Ok(Admission::Append(Appending { base, next, epoch, generation }))
    }
    /// Whether a produce could be appended now; errors as in [`Self::append_as_leader`].
    pub fn check_append(&self, acks: Acks) -> Result<(), ResponseError> {
        let leader = match &self.role {
            RoleState::Leader(leader) => leader,
            RoleState::Failed => return Err(ResponseError::KafkaStorageError),
            _ => return Err(ResponseError::NotLeaderOrFollower),
        };
        if acks == Acks::All && leader.isr.committed_len() < leader.effective_min_isr(&self.config) {
            return Err(ResponseError::NotEnoughReplicas);
        }
        Ok(())
    }
    /// The smallest log end among the replicas that count, unless the ISR is below its minimum (KIP-966).
    ///
    /// Waits for the maximal ISR, committed and pending, and for followers that may join and are caught up: one that
    /// joins a moment later must already hold everything below the high watermark.
    pub(super) fn advance_high_watermark(&mut self, ctx: &Ctx, out: &mut Vec<Output>) {
        let RoleState::Leader(leader) = &self.role else { return };
        let too_small = leader.isr.committed_len() < leader.effective_min_isr(&self.config);
        if too_small && !planted(Bug::ElrWithoutMinIsr) {
            return;
        }
        let (end, now, lag) = (self.log.visible_end(), ctx.now.mono_ms(), self.config.lag_time_max_ms);
        let counts = |f: &FollowerProgress| {
            leader.isr.contains_maximal(f.id)
                || (f.caught_up(end, now, lag) && ctx.brokers.eligible(f.id, f.broker_epoch))
        };
        let slowest = leader.followers.iter().filter(|f| f.log_end < end && counts(f)).map(|f| f.log_end).min();
        self.raise_high_watermark(slowest.unwrap_or(end), out);
    }
    /// The committed in-sync replicas, if this replica leads.
    #[must_use]
    pub fn isr(&self) -> &[BrokerId] {
        match &self.role {
            RoleState::Leader(leader) => leader.isr.committed_members(),
            _ => &[],
        }
    }
    /// DeleteRecords: moves the log start to `offset`, or to the high watermark if it is -1. Returns where it is to be
    /// on every live replica (`Partition.deleteRecordsOnLeader`).
    ///
    /// # Errors
    /// NOT_LEADER_OR_FOLLOWER, KAFKA_STORAGE_ERROR; OFFSET_OUT_OF_RANGE for a negative offset and for one beyond the
    /// high watermark.
    pub fn delete_records(&mut self, offset: Offset, out: &mut Vec<Output>) -> Result<Offset, ResponseError> {
        self.check_leading(LeaderEpoch::NONE)?;
        let wanted = if offset == Offset::NONE { self.high_watermark } else { offset };
        if wanted < Offset::ZERO || wanted > self.high_watermark {
            return Err(ResponseError::OffsetOutOfRange);
        }
        self.advance_log_start(wanted, out);
        Ok(wanted)
    }
    /// A DeleteRecords waits until the log of every live replica starts at `need` or above. Answered at once if there
    /// is nothing to wait for.
    pub fn await_log_starts(&mut self, ctx: &Ctx, token: ProduceToken, need: Offset, out: &mut Vec<Output>) {
        if !self.is_leader() {
            out.push(Output::ProduceDone { token, result: Err(ResponseError::NotLeaderOrFollower) });
            return;
        }
        self.purgatory.await_log_starts(token, need);
        self.note_log_starts(ctx, out);
    }
    pub(super) fn note_log_starts(&mut self, ctx: &Ctx, out: &mut Vec<Output>) {
        if self.purgatory.awaits_log_starts()
            && let Some(low) = self.low_watermark(ctx)
        {
            self.purgatory.log_starts(low, out);
        }
    }
    /// The offset that DeleteRecords reports: the lowest log start among the replicas that can be reached.
    #[must_use]
    pub fn low_watermark(&self, ctx: &Ctx) -> Option<Offset> {
        let RoleState::Leader(leader) = &self.role else { return None };
        let reachable = |f: &&FollowerProgress| ctx.brokers.get(f.id).is_some_and(|b| !b.fenced);
        let starts = leader.followers.iter().filter(reachable).map(|f| f.log_start);
        Some(starts.fold(self.log.log_start(), Offset::min))
    }
}
