//! The replica itself: what leading and following share. `leader.rs`, `isr.rs`, `serve.rs` and `follower.rs` hold the
//! rules of each side.

use kafka_protocol::ResponseError;

use super::leader::Leader;
use super::purgatory::Purgatory;
use super::types::{Acks, Ctx, EpochEnd, FetchBound, FetchToken, Output, PartitionState, ProduceToken, ReplicaConfig};
use crate::base::bugs::{Bug, planted};
use crate::base::{BrokerId, LeaderEpoch, Offset, PartitionEpoch};
use crate::log::producers::ProducerStates;
use crate::log::state::LogState;

/// One replica of one partition on one broker.
#[derive(Clone, Debug)]
pub struct ReplicaCore {
    pub(super) id: BrokerId,
    pub(super) config: ReplicaConfig,
    pub(super) log: LogState,
    /// A function of the log's batches, except between `RebuildProducers` and its answer.
    pub(super) producers: ProducerStates,
    /// `log_start <= high_watermark <= visible_end`, always; never falls while one leadership lasts.
    pub(super) high_watermark: Offset,
    pub(super) leader: BrokerId,
    pub(super) leader_epoch: LeaderEpoch,
    pub(super) partition_epoch: PartitionEpoch,
    pub(super) role: RoleState,
    pub(super) purgatory: Purgatory,
    /// Numbers ISR proposals over all leaderships, so that an answer finds its own question or none.
    pub(super) proposals: u64,
    /// The generation in which the log was last to be started anew, until its store has done so.
    pub(super) anew: Option<u64>,
}

/// What the replica does, with what it needs for that alone.
#[derive(Clone, Debug)]
pub(super) enum RoleState {
    /// No leadership has been heard of since the process started.
    Fresh,
    /// The log has failed; nothing is served any more.
    Failed,
    /// The partition is gone from this broker.
    Stopped,
    Leader(Leader),
    Follower {
        /// The leader's high watermark as last heard; the own one follows as far as the log reaches.
        leader_high_watermark: Offset,
        /// What was missing below it when something was last taken from the leader; None before that.
        lag: Option<i64>,
    },
}

impl ReplicaCore {
    /// A replica over a recovered log. The checkpointed high watermark is believed as far as the log reaches.
    #[must_use]
    pub fn new(
        id: BrokerId,
        config: ReplicaConfig,
        log: LogState,
        producers: ProducerStates,
        checkpointed_high_watermark: Offset,
    ) -> Self {
        let high_watermark = checkpointed_high_watermark.max(log.log_start()).min(log.visible_end());
        Self {
            id,
            config,
            log,
            producers,
            high_watermark,
            leader: BrokerId::NONE,
            leader_epoch: LeaderEpoch::NONE,
            partition_epoch: PartitionEpoch(-1),
            role: RoleState::Fresh,
            purgatory: Purgatory::default(),
            proposals: 0,
            anew: None,
        }
    }
    /// The log's offsets and epochs.
    #[must_use]
    pub fn log(&self) -> &LogState {
        &self.log
    }
    /// Everything below is committed, as far as this replica knows.
    #[must_use]
    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
    }
    /// The leader that metadata named last.
    #[must_use]
    pub fn leader(&self) -> BrokerId {
        self.leader
    }
    /// The epoch of that leadership.
    #[must_use]
    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }
    /// The epoch of the partition's state as this replica knows it.
    #[must_use]
    pub fn partition_epoch(&self) -> PartitionEpoch {
        self.partition_epoch
    }
    /// True if this replica leads.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        matches!(self.role, RoleState::Leader(_))
    }
    /// True if this replica follows (perhaps nobody, while there is no leader).
    #[must_use]
    pub fn is_follower(&self) -> bool {
        matches!(self.role, RoleState::Follower { .. })
    }
    /// True once the log has failed.
    #[must_use]
    pub fn is_failed(&self) -> bool {
        matches!(self.role, RoleState::Failed)
    }
    /// The topic's settings changed.
    pub fn reconfigure(&mut self, ctx: &Ctx, config: ReplicaConfig, out: &mut Vec<Output>) {
        self.config = config;
        self.advance_high_watermark(ctx, out);
    }
    /// Follows `state.leader` from now on, perhaps nobody. Returns true if the leadership is a new one, so that
    /// fetching starts afresh (`Partition.makeFollower`).
    pub fn become_follower(&mut self, state: &PartitionState, out: &mut Vec<Output>) -> bool {
        if state.partition_epoch < self.partition_epoch || self.is_closed() {
            return false;
        }
        let fresh = matches!(self.role, RoleState::Fresh);
        let new = fresh || self.is_leader() || state.leader_epoch > self.leader_epoch;
        self.adopt(state);
        if new {
            self.role = RoleState::Follower { leader_high_watermark: self.high_watermark, lag: None };
            self.purgatory.flush(Err(ResponseError::NotLeaderOrFollower), out);
            if fresh && planted(Bug::TruncateToHighWatermark) {
                self.truncate(self.high_watermark, out);
            }
        }
        new
    }
    /// The partition was deleted or moved away.
    pub fn stop(&mut self, out: &mut Vec<Output>) {
        self.close(RoleState::Stopped, ResponseError::NotLeaderOrFollower, out);
    }
    /// The log failed: nothing is served any more.
    pub fn fail(&mut self, out: &mut Vec<Output>) {
        self.close(RoleState::Failed, ResponseError::KafkaStorageError, out);
    }
    /// The page cache holds everything below `end`; `generation` is the one that the append carried.
    pub fn appended(&mut self, ctx: &Ctx, generation: u64, end: Offset, out: &mut Vec<Output>) {
        if !self.log.appended(generation, end) {
            return;
        }
        if let RoleState::Follower { leader_high_watermark, .. } = self.role {
            self.raise_high_watermark(leader_high_watermark, out);
        }
        self.purgatory.appended(self.log.visible_end(), out);
        self.advance_high_watermark(ctx, out);
    }
    /// The idempotent producers.
    #[must_use]
    pub fn producers(&self) -> &ProducerStates {
        &self.producers
    }
    /// The producer states as the stored log shows them below `end`. Returns false, and changes nothing, if the log
    /// has moved on since: then they have to be rebuilt again.
    pub fn producers_rebuilt(&mut self, generation: u64, end: Offset, mut producers: ProducerStates) -> bool {
        let current = generation == self.log.generation() && end == self.log.log_end();
        if current {
            // Whose batches retention has deleted is known from here alone.
            producers.adopt(&self.producers);
            self.producers = producers;
        }
        current
    }
    /// Forgets producers that have been silent for `producer.id.expiration.ms`.
    pub fn expire_producers(&mut self, ctx: &Ctx, expiration_ms: i64) {
        self.producers.expire(ctx.now.wall_ms, expiration_ms);
    }
    /// The device holds everything below `end`.
    pub fn synced(&mut self, generation: u64, end: Offset) {
        self.log.synced(generation, end);
    }
    /// A produce waits for its batch, which ends at `need` and was appended in the leadership of `epoch`. Answers at once
    /// if there is nothing to wait for.
    pub fn await_produce(
        &mut self,
        token: ProduceToken,
        epoch: LeaderEpoch,
        need: Offset,
        acks: Acks,
        out: &mut Vec<Output>,
    ) {
        if !self.is_leader() || self.leader_epoch != epoch {
            out.push(Output::ProduceDone { token, result: Err(ResponseError::NotLeaderOrFollower) });
            return;
        }
        let acks = effective(acks);
        self.purgatory.await_offset(token, need, acks);
        match acks {
            Acks::Leader if need <= self.log.visible_end() => self.purgatory.appended(self.log.visible_end(), out),
            Acks::All if need <= self.high_watermark => self.complete_commits(out),
            _ => {}
        }
    }
    /// True if a batch that ends at `need` has nothing to wait for. Below the minimal ISR even a committed one goes
    /// through [`Self::await_produce`], which knows the error.
    #[must_use]
    pub fn is_done(&self, need: Offset, acks: Acks) -> bool {
        match effective(acks) {
            Acks::Leader => need <= self.log.visible_end(),
            Acks::All => need <= self.high_watermark && self.check_append(Acks::All).is_ok(),
        }
    }
    /// A produce gave up. Returns false if it had been answered before.
    pub fn cancel_produce(&mut self, token: ProduceToken) -> bool {
        self.purgatory.cancel(token)
    }
    /// A fetch that saw the bound at `seen` waits for it to move. Returns false, and does not wait, if it already has
    /// moved or if this replica does not lead.
    pub fn watch_fetch(&mut self, token: FetchToken, bound: FetchBound, seen: Offset) -> bool {
        let end = match bound {
            FetchBound::LogEnd => self.log.visible_end(),
            FetchBound::HighWatermark => self.high_watermark,
        };
        let waits = self.is_leader() && end <= seen;
        if waits {
            self.purgatory.watch(token, bound);
        }
        waits
    }
    /// A fetch watches no longer.
    pub fn unwatch_fetch(&mut self, token: FetchToken) {
        self.purgatory.unwatch(token);
    }
    /// Moves the log start up, never past the high watermark (retention, DeleteRecords; KAFKA-5634).
    pub fn advance_log_start(&mut self, start: Offset, out: &mut Vec<Output>) {
        let bound = if planted(Bug::RetentionPastHighWatermark) { self.log.log_end() } else { self.high_watermark };
        if self.log.advance_log_start(start.min(bound)) {
            out.push(Output::LogStart(self.log.log_start()));
        }
    }
    /// The largest epoch up to `epoch` and where it ends (OffsetForLeaderEpoch); the asker's own idea of the current
    /// leadership is checked first.
    ///
    /// None for an epoch beyond the latest, as for none: nobody can say yet where it ends
    /// (`LeaderEpochFileCache.endOffsetFor`).
    ///
    /// # Errors
    /// As [`Self::check_leading`].
    pub fn epoch_end(&self, current: LeaderEpoch, epoch: LeaderEpoch) -> Result<Option<EpochEnd>, ResponseError> {
        self.check_leading(current)?;
        let known = epoch != LeaderEpoch::NONE && epoch <= self.log.last_epoch();
        Ok(if known { self.end_of_epoch(epoch) } else { None })
    }
    /// An epoch below all that the log still knows is taken to be known, and to end where the first known one starts: its
    /// records are gone, and a replica that had them may go on from there (`LeaderEpochFileCache.endOffsetFor`).
    pub(super) fn end_of_epoch(&self, epoch: LeaderEpoch) -> Option<EpochEnd> {
        match self.log.end_offset_for(epoch) {
            Some((epoch, end)) => Some(EpochEnd { epoch, end }),
            None => self.log.epochs().entries().first().map(|first| EpochEnd { epoch, end: first.start }),
        }
    }
    pub(super) fn is_closed(&self) -> bool {
        matches!(self.role, RoleState::Failed | RoleState::Stopped)
    }
    pub(super) fn adopt(&mut self, state: &PartitionState) {
        self.leader = state.leader;
        self.leader_epoch = self.leader_epoch.max(state.leader_epoch);
        self.partition_epoch = state.partition_epoch;
    }
    /// Raises the high watermark to `to`, as far as the log is visible.
    pub(super) fn raise_high_watermark(&mut self, to: Offset, out: &mut Vec<Output>) {
        let to = to.min(self.log.visible_end());
        if to > self.high_watermark {
            self.high_watermark = to;
            out.push(Output::HighWatermark(to));
            self.complete_commits(out);
        }
    }
    /// Cuts the log at `to`, and the high watermark with it. A cut at the log end still forgets leaderships that
    /// began there without a record: a former leader would otherwise report an epoch that nobody knows for ever.
    pub(super) fn truncate(&mut self, to: Offset, out: &mut Vec<Output>) {
        let epochs = self.log.epochs().entries().len();
        if self.log.truncate_to(to) {
            let (to, generation) = (self.log.log_end(), self.log.generation());
            out.push(Output::Truncate { to, generation });
            if !self.producers.truncate(to) {
                out.push(Output::RebuildProducers);
            }
        } else if epochs != self.log.epochs().entries().len() {
            out.push(Output::EpochsChanged);
        }
        self.lower_high_watermark(out);
    }
    /// Starts the log anew at `start`; the high watermark moves along (KAFKA-9491).
    pub(super) fn truncate_fully(&mut self, start: Offset, out: &mut Vec<Output>) {
        self.log.truncate_fully_to(start);
        self.producers.clear(start);
        if self.high_watermark < start && !planted(Bug::TruncationKeepsHighWatermark) {
            self.high_watermark = start;
            out.push(Output::HighWatermark(start));
        }
        self.anew = Some(self.log.generation());
        out.push(Output::TruncateFully { start, generation: self.log.generation() });
        self.lower_high_watermark(out);
    }
    /// The stored log has been started anew, as [`Output::TruncateFully`] of this generation asked for.
    pub fn started_anew(&mut self, generation: u64) {
        self.anew = self.anew.filter(|asked| *asked != generation);
    }
    fn lower_high_watermark(&mut self, out: &mut Vec<Output>) {
        if self.high_watermark > self.log.visible_end() {
            self.high_watermark = self.log.visible_end();
            out.push(Output::HighWatermark(self.high_watermark));
        }
        if let RoleState::Follower { leader_high_watermark, lag } = &mut self.role {
            (*leader_high_watermark, *lag) = (self.high_watermark, None);
        }
        self.purgatory.wake_fetches(out);
    }
    fn complete_commits(&mut self, out: &mut Vec<Output>) {
        let result = match &self.role {
            RoleState::Leader(l) if l.isr.maximal_len() < l.effective_min_isr(&self.config) => {
                Err(ResponseError::NotEnoughReplicasAfterAppend)
            }
            _ => Ok(()),
        };
        self.purgatory.committed(self.high_watermark, result, out);
    }
    fn close(&mut self, role: RoleState, error: ResponseError, out: &mut Vec<Output>) {
        if !self.is_closed() {
            self.role = role;
            self.purgatory.flush(Err(error), out);
        }
    }
}

fn effective(acks: Acks) -> Acks {
    if planted(Bug::AckBeforeIsr) { Acks::Leader } else { acks }
}
