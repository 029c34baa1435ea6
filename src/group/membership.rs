//! Who is a member: heartbeats, leaving, sessions that end.

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::{HeartbeatRequest, LeaveGroupResponse};

use super::classic::{Group, State};
use super::join;
use super::turn::Turn;
use super::types::text;
use crate::base::Now;
use crate::base::marks::{Mark, mark};

impl Group {
    /// True if `id` is a member, and under `instance` the present one.
    pub fn check_member(&self, id: &str, instance: Option<&str>) -> Result<(), ResponseError> {
        if let Some(instance) = instance {
            let known = self.statics.get(instance).ok_or(ResponseError::UnknownMemberId)?;
            if **known != *id {
                mark(Mark::InstanceFenced);
                return Err(ResponseError::FencedInstanceId);
            }
        }
        self.members.get(id).map(|_| ()).ok_or(ResponseError::UnknownMemberId)
    }
    /// True if a member speaks in the present generation.
    pub fn check_generation(&self, generation: i32) -> Result<(), ResponseError> {
        if generation == self.generation {
            return Ok(());
        }
        mark(Mark::GenerationFenced);
        Err(ResponseError::IllegalGeneration)
    }
    /// A member has shown that it lives.
    pub fn heard_of(&mut self, now: Now, id: &str) {
        if let Some(member) = self.members.get_mut(id) {
            member.deadline = now.after_ms(member.session_timeout_ms);
        }
    }
    /// A heartbeat; the answer also tells that a rebalance is on.
    pub fn heartbeat(&mut self, now: Now, request: &HeartbeatRequest) -> Result<(), ResponseError> {
        if self.is(State::Dead) {
            return Err(ResponseError::CoordinatorNotAvailable);
        }
        let id = request.member_id.as_str();
        self.check_member(id, request.group_instance_id.as_deref())?;
        self.check_generation(request.generation_id)?;
        self.heard_of(now, id);
        if self.is(State::PreparingRebalance) { Err(ResponseError::RebalanceInProgress) } else { Ok(()) }
    }
    /// Members go; each is answered for itself.
    pub fn leave(&mut self, turn: &mut Turn, leaving: &[MemberIdentity]) -> LeaveGroupResponse {
        let mut members = Vec::with_capacity(leaving.len());
        for identity in leaving {
            let error = self.leave_one(turn, identity).err().map_or(0, |e| e.code());
            let answer = MemberResponse::default()
                .with_member_id(identity.member_id.clone())
                .with_group_instance_id(identity.group_instance_id.clone())
                .with_error_code(error);
            members.push(answer);
        }
        LeaveGroupResponse::default().with_members(members)
    }
    fn leave_one(&mut self, turn: &mut Turn, identity: &MemberIdentity) -> Result<(), ResponseError> {
        if self.is(State::Dead) {
            return Err(ResponseError::CoordinatorNotAvailable);
        }
        let mut id = text(&identity.member_id);
        if let Some(instance) = &identity.group_instance_id {
            // An administrator removes a static member by its instance alone (KIP-345).
            let known = self.statics.get(instance.as_str()).ok_or(ResponseError::UnknownMemberId)?;
            if id.is_empty() {
                id = known.clone();
            }
        }
        if self.promised.remove(&id).is_some() {
            self.try_complete_join(turn);
            return Ok(());
        }
        self.check_member(&id, identity.group_instance_id.as_deref())?;
        self.remove_member(turn, &id);
        Ok(())
    }
    /// A member is out: the others share what it had.
    pub fn remove_member(&mut self, turn: &mut Turn, id: &Arc<str>) {
        let Some(member) = self.members.get_mut(id) else { return };
        let waiting = (member.awaiting_join.take(), member.awaiting_sync.take());
        if let Some(ticket) = waiting.0 {
            turn.reply(ticket, join::refused(id, ResponseError::UnknownMemberId));
        }
        if let Some(ticket) = waiting.1 {
            turn.reply(ticket, super::sync::refused(ResponseError::UnknownMemberId));
        }
        self.forget_member(id);
        self.maybe_prepare_rebalance(turn);
        self.try_complete_join(turn);
    }
    /// Takes a member out of the books.
    pub fn forget_member(&mut self, id: &Arc<str>) {
        let Some(member) = self.members.remove(id) else { return };
        if let Some(instance) = member.instance {
            self.statics.remove(&instance);
        }
        self.unsynced.remove(id);
        if self.is_leader(id) {
            self.leader = self.members.keys().next().cloned();
        }
    }
    /// Does what time asks for.
    pub fn tick(&mut self, turn: &mut Turn) {
        self.tick_consumer(turn);
        let now = turn.now.mono_ns;
        let promised = self.promised.len();
        self.promised.retain(|_, deadline| *deadline > now);
        let expired: Vec<_> = self.members.values().filter(|m| m.expires() <= now).map(|m| m.id.clone()).collect();
        for id in expired {
            tracing::debug!(group = %self.id, member = %id, "session over");
            mark(Mark::MemberExpelled);
            self.remove_member(turn, &id);
        }
        if self.sync_deadline <= now {
            self.sync_phase_over(turn);
        }
        if promised != self.promised.len() {
            self.try_complete_join(turn);
        }
        if self.joining.is_some_and(|phase| phase.deadline <= now) {
            self.join_phase_over(turn);
        }
    }
}
