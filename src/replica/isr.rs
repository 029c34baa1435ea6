//! The in-sync replicas: what is committed, what is asked for, and when to ask (KIP-497, KIP-841, KIP-903).
//!
//! | state | on | becomes |
//! |---|---|---|
//! | committed | a follower qualifies, or lags too long | asked |
//! | asked | success under this leadership, not older than what is known | committed as answered |
//! | asked | INELIGIBLE_REPLICA, OPERATION_NOT_ATTEMPTED | committed as before |
//! | asked | UNKNOWN_TOPIC_*, FENCED_LEADER_EPOCH, INVALID_UPDATE_VERSION, INVALID_REQUEST, NEW_LEADER_ELECTED | stays asked: newer metadata must come |
//! | asked | any other error | asked again |
//! | any | newer metadata | committed as there |
//!
//! While an expansion is asked, the newcomer counts for the high watermark: the controller may have taken it in
//! already. While a shrink is asked, nobody is left out yet.

use kafka_protocol::ResponseError;

use super::core::{ReplicaCore, RoleState};
use super::types::{Ctx, IsrAnswer, IsrProposal, Output};
use crate::base::bugs::{Bug, planted};
use crate::base::{BrokerEpoch, BrokerId, Offset};

/// The in-sync replicas of a led partition.
#[derive(Clone, Debug, Default)]
pub(super) struct Isr {
    committed: Vec<BrokerId>,
    asked: Option<Asked>,
}

#[derive(Clone, Debug)]
struct Asked {
    proposal: IsrProposal,
    newcomer: Option<BrokerId>,
}

impl Isr {
    pub fn committed(members: &[BrokerId]) -> Self {
        Self { committed: members.to_vec(), asked: None }
    }
    pub fn committed_members(&self) -> &[BrokerId] {
        &self.committed
    }
    pub fn committed_len(&self) -> usize {
        self.committed.len()
    }
    pub fn contains_committed(&self, id: BrokerId) -> bool {
        self.committed.contains(&id)
    }
    pub fn contains_maximal(&self, id: BrokerId) -> bool {
        self.contains_committed(id) || self.newcomer() == Some(id)
    }
    pub fn maximal_len(&self) -> usize {
        self.committed.len() + usize::from(self.newcomer().is_some())
    }
    fn newcomer(&self) -> Option<BrokerId> {
        self.asked.as_ref().and_then(|a| a.newcomer)
    }
}

impl ReplicaCore {
    /// Asks for `id` to be taken in if it qualifies: nothing else is asked, its log reaches the high watermark and the
    /// start of this leadership (KAFKA-7128), and it may be a member.
    pub(super) fn maybe_expand(&mut self, ctx: &Ctx, id: BrokerId, out: &mut Vec<Output>) {
        let RoleState::Leader(leader) = &self.role else { return };
        if leader.isr.asked.is_some() || leader.isr.contains_committed(id) {
            return;
        }
        let Some(f) = leader.followers.iter().find(|f| f.id == id) else { return };
        let anywhere = planted(Bug::IsrJoinBelowEpochStart);
        let from = if anywhere { self.high_watermark } else { self.high_watermark.max(leader.epoch_start) };
        let reaches = f.log_end >= from;
        if reaches && ctx.brokers.eligible(id, f.broker_epoch) {
            let mut members = leader.isr.committed.clone();
            members.push(id);
            self.ask(ctx, &members, Some(id), out);
        }
    }
    /// Asks for members to be left out that have not been caught up for `replica.lag.time.max.ms`. To be called every
    /// half of it. The high watermark is looked at too: a caught-up stranger that it waited for may have fallen behind.
    pub fn scan_isr(&mut self, ctx: &Ctx, out: &mut Vec<Output>) {
        self.advance_high_watermark(ctx, out);
        self.note_log_starts(ctx, out);
        let RoleState::Leader(leader) = &self.role else { return };
        if leader.isr.asked.is_some() {
            return;
        }
        let (end, now, lag) = (self.log.visible_end(), ctx.now.mono_ms(), self.config.lag_time_max_ms);
        let in_sync =
            |id: BrokerId| id == self.id || leader.followers.iter().any(|f| f.id == id && f.caught_up(end, now, lag));
        let members: Vec<_> = leader.isr.committed.iter().copied().filter(|id| in_sync(*id)).collect();
        if members.len() < leader.isr.committed.len() {
            self.ask(ctx, &members, None, out);
        }
    }
    fn ask(&mut self, ctx: &Ctx, members: &[BrokerId], newcomer: Option<BrokerId>, out: &mut Vec<Output>) {
        let RoleState::Leader(leader) = &mut self.role else { return };
        self.proposals += 1;
        let epoch_of = |id: BrokerId| match leader.followers.iter().find(|f| f.id == id) {
            _ if id == self.id => ctx.broker_epoch,
            Some(f) => f.broker_epoch.unwrap_or(BrokerEpoch::NONE),
            None => BrokerEpoch::NONE,
        };
        let proposal = IsrProposal {
            id: self.proposals,
            leader_epoch: self.leader_epoch,
            partition_epoch: self.partition_epoch,
            isr: members.iter().map(|id| (*id, epoch_of(*id))).collect(),
        };
        leader.isr.asked = Some(Asked { proposal: proposal.clone(), newcomer });
        out.push(Output::ProposeIsr(proposal));
    }
    /// The controller's answer to proposal `id`; an answer to any other than the current one is ignored.
    pub fn isr_answer(&mut self, ctx: &Ctx, id: u64, answer: Result<IsrAnswer, ResponseError>, out: &mut Vec<Output>) {
        let RoleState::Leader(leader) = &mut self.role else { return };
        let Some(asked) = leader.isr.asked.as_ref().filter(|a| a.proposal.id == id) else { return };
        match answer {
            Ok(a) if a.leader_epoch == self.leader_epoch && a.partition_epoch >= self.partition_epoch => {
                leader.isr = Isr::committed(&a.isr);
                self.partition_epoch = a.partition_epoch;
                self.advance_high_watermark(ctx, out);
            }
            Ok(_) => {}
            Err(ResponseError::IneligibleReplica | ResponseError::OperationNotAttempted) => leader.isr.asked = None,
            Err(
                ResponseError::UnknownTopicOrPartition
                | ResponseError::UnknownTopicId
                | ResponseError::FencedLeaderEpoch
                | ResponseError::InvalidUpdateVersion
                | ResponseError::InvalidRequest
                | ResponseError::NewLeaderElected,
            ) => {}
            Err(_) => out.push(Output::ProposeIsr(asked.proposal.clone())),
        }
    }
    /// True if `end` of a follower is what the leader last heard of it; for views and tests.
    #[must_use]
    pub fn follower_end(&self, id: BrokerId) -> Option<Offset> {
        match &self.role {
            RoleState::Leader(l) => l.followers.iter().find(|f| f.id == id).map(|f| f.log_end),
            _ => None,
        }
    }
}
