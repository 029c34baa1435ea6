//! SyncGroup: the leader's assignment goes into the log, then everybody is told its share.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{SyncGroupRequest, SyncGroupResponse};

use super::classic::{Group, State};
use super::turn::{Then, Turn};
use super::types::{Reply, Ticket, text, wire};

pub(super) fn refused(error: ResponseError) -> Reply {
    Reply::Sync(SyncGroupResponse::default().with_error_code(error.code()))
}

impl Group {
    /// A member asks what it owns.
    pub fn sync(&mut self, turn: &mut Turn, ticket: Ticket, request: &SyncGroupRequest) {
        let id = text(&request.member_id);
        if let Err(error) = self.check_sync(&id, request) {
            turn.reply(ticket, refused(error));
            return;
        }
        self.unsynced.remove(&id);
        if self.is(State::Stable) {
            self.heard_of(turn.now, &id);
            self.answer_sync(turn, ticket, &id);
            return;
        }
        let earlier = self.members.get_mut(&id).and_then(|m| m.awaiting_sync.replace(ticket));
        if let Some(earlier) = earlier {
            turn.reply(earlier, refused(ResponseError::RebalanceInProgress));
        }
        let storing = turn.appends.waiting.values().any(|w| {
            matches!(w.then, Then::Assign { generation, .. } if *w.group == *self.id && generation == self.generation)
        });
        if self.is_leader(&id) && !storing {
            self.store_assignment(turn, request);
        }
    }
    fn check_sync(&self, id: &Arc<str>, request: &SyncGroupRequest) -> Result<(), ResponseError> {
        if self.is(State::Dead) {
            return Err(ResponseError::CoordinatorNotAvailable);
        }
        self.check_member(id, request.group_instance_id.as_deref())?;
        self.check_generation(request.generation_id)?;
        let differs = |theirs: &Option<kafka_protocol::protocol::StrBytes>, ours: &Option<Arc<str>>| {
            theirs.as_ref().is_some_and(|t| ours.as_deref() != Some(t.as_str()))
        };
        if differs(&request.protocol_type, &self.protocol_type) || differs(&request.protocol_name, &self.protocol) {
            return Err(ResponseError::InconsistentGroupProtocol);
        }
        match self.state {
            State::CompletingRebalance | State::Stable => Ok(()),
            State::PreparingRebalance => Err(ResponseError::RebalanceInProgress),
            State::Empty | State::Dead => Err(ResponseError::UnknownMemberId),
        }
    }
    /// Members that the leader has forgotten get nothing.
    fn store_assignment(&mut self, turn: &mut Turn, request: &SyncGroupRequest) {
        let mut assignments: BTreeMap<Arc<str>, Bytes> =
            self.members.keys().map(|id| (id.clone(), Bytes::new())).collect();
        for assigned in &request.assignments {
            if let Some(share) = assignments.get_mut(assigned.member_id.as_str()) {
                *share = assigned.assignment.clone();
            }
        }
        let record = self.record(&assignments);
        turn.append(&self.id, vec![record], Then::Assign { generation: self.generation, assignments });
    }
    /// The assignment of a generation is committed.
    pub fn assigned(&mut self, turn: &mut Turn, generation: i32, assignments: BTreeMap<Arc<str>, Bytes>) {
        if !self.is(State::CompletingRebalance) || generation != self.generation {
            return;
        }
        self.enter(State::Stable, turn.now);
        let mut waiting = Vec::new();
        for (id, share) in assignments {
            if let Some(member) = self.members.get_mut(&id) {
                member.assignment = share;
                waiting.extend(member.awaiting_sync.take().map(|ticket| (ticket, id)));
            }
        }
        for (ticket, id) in waiting {
            self.heard_of(turn.now, &id);
            self.answer_sync(turn, ticket, &id);
        }
    }
    /// The assignment of a generation is not, or not known to be, in the log: everybody joins anew.
    pub fn not_assigned(&mut self, turn: &mut Turn, generation: i32, error: ResponseError) {
        if self.is(State::CompletingRebalance) && generation == self.generation {
            self.fail_syncs(turn, error);
            self.maybe_prepare_rebalance(turn);
            self.try_complete_join(turn);
        }
    }
    fn answer_sync(&self, turn: &mut Turn, ticket: Ticket, id: &str) {
        let reply = SyncGroupResponse::default()
            .with_protocol_type(self.protocol_type.as_deref().map(wire))
            .with_protocol_name(self.protocol.as_deref().map(wire))
            .with_assignment(self.members[id].assignment.clone());
        turn.reply(ticket, Reply::Sync(reply));
    }
    /// Everybody who waits for its share learns why there is none; nobody owns anything.
    pub fn fail_syncs(&mut self, turn: &mut Turn, error: ResponseError) {
        for member in self.members.values_mut() {
            member.assignment = Bytes::new();
            if let Some(ticket) = member.awaiting_sync.take() {
                member.deadline = turn.now.after_ms(member.session_timeout_ms);
                turn.reply(ticket, refused(error));
            }
        }
    }
    /// Who has not asked for its share in time is out.
    pub fn sync_phase_over(&mut self, turn: &mut Turn) {
        self.sync_deadline = u64::MAX;
        let late = std::mem::take(&mut self.unsynced);
        if !late.is_empty() && matches!(self.state, State::CompletingRebalance | State::Stable) {
            late.iter().for_each(|id| self.remove_member(turn, id));
        }
    }
}
