//! JoinGroup, and the join phase of a rebalance.

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::{JoinGroupRequest, JoinGroupResponse};

use super::classic::{Group, JoinPhase, State};
use super::member::Member;
use super::turn::{Then, Turn};
use super::types::{Caller, Reply, Ticket, text, wire};
use crate::base::Now;
use crate::base::marks::{Mark, mark};

/// From this version on, a dynamic member is first given an id and joins with it (KIP-394).
const MEMBER_ID_REQUIRED: i16 = 4;
/// From this version on, a leader can be told to leave the assignment alone (KIP-814).
const SKIP_ASSIGNMENT: i16 = 9;
/// How long a member that has never been answered is waited for (`GroupCoordinatorConfig.NEW_MEMBER_JOIN_TIMEOUT_MS`).
const NEW_MEMBER_JOIN_TIMEOUT_MS: u64 = 300_000;
/// No generation.
const NO_GENERATION: i32 = -1;

pub(super) fn refused(member_id: &str, error: ResponseError) -> Reply {
    Reply::Join(
        JoinGroupResponse::default()
            .with_error_code(error.code())
            .with_generation_id(NO_GENERATION)
            .with_protocol_name(Some(wire("")))
            .with_member_id(wire(member_id)),
    )
}

impl Group {
    /// A member asks to be in the next generation. The request's own sanity was looked at before.
    pub fn join(&mut self, turn: &mut Turn, ticket: Ticket, caller: &Caller, request: &JoinGroupRequest) {
        let result = match request.member_id.is_empty() {
            true => self.join_unknown(turn, ticket, caller, request),
            false => self.join_known(turn, ticket, caller, request),
        };
        if let Err((member_id, error)) = result {
            turn.reply(ticket, refused(&member_id, error));
        }
        self.try_complete_join(turn);
    }

    fn join_unknown(
        &mut self,
        turn: &mut Turn,
        ticket: Ticket,
        caller: &Caller,
        request: &JoinGroupRequest,
    ) -> Result<(), (Arc<str>, ResponseError)> {
        let none: Arc<str> = Arc::from("");
        self.check_joinable(request).map_err(|e| (none.clone(), e))?;
        if !self.accepts_another(turn.cfg.max_size) {
            return Err((none, ResponseError::GroupMaxSizeReached));
        }
        let instance = request.group_instance_id.as_ref().map(text);
        let prefix = instance.as_ref().unwrap_or(&caller.client_id);
        let bits = uuid::Uuid::from_u64_pair(turn.random.next_u64(), turn.random.next_u64());
        let id: Arc<str> = format!("{prefix}-{bits}").into();
        if let Some(old) = instance.as_ref().and_then(|i| self.statics.get(i)).cloned() {
            self.replace_static(turn, ticket, caller, request, &old, id);
        } else if instance.is_none() && caller.version >= MEMBER_ID_REQUIRED {
            self.promised.insert(id.clone(), turn.now.after_ms(session_timeout_ms(request)));
            return Err((id, ResponseError::MemberIdRequired));
        } else {
            self.add_member(turn, ticket, caller, request, id);
        }
        Ok(())
    }

    fn join_known(
        &mut self,
        turn: &mut Turn,
        ticket: Ticket,
        caller: &Caller,
        request: &JoinGroupRequest,
    ) -> Result<(), (Arc<str>, ResponseError)> {
        let id = text(&request.member_id);
        let failed = |e| (id.clone(), e);
        self.check_joinable(request).map_err(failed)?;
        let instance = request.group_instance_id.as_ref().map(text);
        if self.promised.contains_key(&id) && instance.is_none() {
            if !self.accepts_another(turn.cfg.max_size) {
                return Err(failed(ResponseError::GroupMaxSizeReached));
            }
            self.add_member(turn, ticket, caller, request, id);
            return Ok(());
        }
        self.check_member(&id, instance.as_deref()).map_err(failed)?;
        let same = self.members[&id].protocols == protocols(request);
        match self.state {
            State::PreparingRebalance => self.rejoin(turn, ticket, &id, request),
            // Its answer was lost: the same again.
            State::CompletingRebalance if same => self.answer_join(turn.now, turn.out, ticket, &id),
            State::Stable if same && !self.is_leader(&id) => self.answer_join(turn.now, turn.out, ticket, &id),
            State::CompletingRebalance | State::Stable => self.rejoin(turn, ticket, &id, request),
            State::Empty | State::Dead => return Err(failed(ResponseError::UnknownMemberId)),
        }
        Ok(())
    }

    fn check_joinable(&self, request: &JoinGroupRequest) -> Result<(), ResponseError> {
        if self.is(State::Dead) {
            return Err(ResponseError::CoordinatorNotAvailable);
        }
        let kind = request.protocol_type.as_str();
        if !self.members.is_empty() {
            let common = |(name, _): &(Arc<str>, _)| {
                let others = self.members.values().filter(|m| *m.id != *request.member_id);
                others.into_iter().all(|m| m.metadata(name).is_some())
            };
            if self.protocol_type.as_deref() != Some(kind) || !protocols(request).iter().any(common) {
                return Err(ResponseError::InconsistentGroupProtocol);
            }
        }
        Ok(())
    }
    fn accepts_another(&self, max_size: usize) -> bool {
        self.members.len() + self.promised.len() < max_size
    }

    fn add_member(
        &mut self,
        turn: &mut Turn,
        ticket: Ticket,
        caller: &Caller,
        request: &JoinGroupRequest,
        id: Arc<str>,
    ) {
        self.promised.remove(&id);
        if self.members.is_empty() {
            self.protocol_type = Some(text(&request.protocol_type));
        }
        let member = Member {
            deadline: turn.now.after_ms(NEW_MEMBER_JOIN_TIMEOUT_MS),
            ..new_member(caller, request, id.clone(), ticket)
        };
        if let Some(instance) = &member.instance {
            self.statics.insert(instance.clone(), id.clone());
        }
        self.leader.get_or_insert_with(|| id.clone());
        self.members.insert(id, member);
        if let Some(phase) = &mut self.joining {
            mark(Mark::JoinWhilePreparing);
            phase.late_comer = true;
        }
        self.maybe_prepare_rebalance(turn);
    }
    fn rejoin(&mut self, turn: &mut Turn, ticket: Ticket, id: &Arc<str>, request: &JoinGroupRequest) {
        let member = self.members.get_mut(id).expect("the caller has looked");
        member.protocols = protocols(request);
        member.session_timeout_ms = session_timeout_ms(request);
        member.rebalance_timeout_ms = rebalance_timeout_ms(request);
        if let Some(earlier) = member.awaiting_join.replace(ticket) {
            // A second join of the same member: whoever sent the first no longer listens.
            turn.reply(earlier, refused(id, ResponseError::RebalanceInProgress));
        }
        self.maybe_prepare_rebalance(turn);
    }

    /// Starts a rebalance unless one has started already.
    pub fn maybe_prepare_rebalance(&mut self, turn: &mut Turn) {
        if matches!(self.state, State::Stable | State::CompletingRebalance | State::Empty) {
            self.prepare_rebalance(turn);
        }
    }
    fn prepare_rebalance(&mut self, turn: &mut Turn) {
        mark(match self.state {
            State::Empty => Mark::RebalanceOfEmpty,
            State::CompletingRebalance => Mark::RebalanceOfCompleting,
            _ => Mark::RebalanceOfStable,
        });
        if self.is(State::CompletingRebalance) {
            self.fail_syncs(turn, ResponseError::RebalanceInProgress);
        }
        self.unsynced.clear();
        self.sync_deadline = u64::MAX;
        let timeout_ms = self.rebalance_timeout_ms();
        let delay_ms = turn.cfg.initial_rebalance_delay_ms;
        let initial = self.is(State::Empty).then(|| timeout_ms.saturating_sub(delay_ms));
        let wait_ms = if initial.is_some() { delay_ms } else { timeout_ms };
        self.joining = Some(JoinPhase { deadline: turn.now.after_ms(wait_ms), initial, late_comer: false });
        self.enter(State::PreparingRebalance, turn.now);
    }

    /// Ends the join phase at once if everybody is there. The initial delay is always waited for.
    pub fn try_complete_join(&mut self, turn: &mut Turn) {
        let Some(phase) = self.joining else { return };
        let all = self.members.values().all(|m| m.awaiting_join.is_some()) && self.promised.is_empty();
        if phase.initial.is_none() && all {
            self.complete_join(turn);
        }
    }
    /// The time of the join phase is up.
    pub fn join_phase_over(&mut self, turn: &mut Turn) {
        let Some(phase) = &mut self.joining else { return };
        if let Some(left_ms) = phase.initial.filter(|left| phase.late_comer && *left > 0) {
            let more_ms = turn.cfg.initial_rebalance_delay_ms.min(left_ms);
            *phase =
                JoinPhase { deadline: turn.now.after_ms(more_ms), initial: Some(left_ms - more_ms), late_comer: false };
            return;
        }
        self.complete_join(turn);
    }

    fn complete_join(&mut self, turn: &mut Turn) {
        let absent = self.members.values().filter(|m| m.awaiting_join.is_none() && m.instance.is_none());
        let absent: Vec<_> = absent.map(|m| m.id.clone()).collect();
        absent.iter().for_each(|id| self.forget_member(id));
        if !self.elect_leader() && !self.members.is_empty() {
            // Static members may be on their way back; nobody is here who could assign.
            let deadline = turn.now.after_ms(self.rebalance_timeout_ms());
            self.joining = Some(JoinPhase { deadline, initial: None, late_comer: false });
            return;
        }
        self.joining = None;
        self.generation = self.generation.wrapping_add(1).max(1);
        if self.members.is_empty() {
            (self.protocol, self.leader) = (None, None);
            self.enter(State::Empty, turn.now);
            let record = self.record(&Default::default());
            turn.append(&self.id, vec![record], Then::Nothing);
            return;
        }
        self.protocol = self.select_protocol();
        self.enter(State::CompletingRebalance, turn.now);
        self.unsynced = self.members.keys().cloned().collect();
        self.sync_deadline = turn.now.after_ms(self.rebalance_timeout_ms());
        let waiting: Vec<_> =
            self.members.values_mut().filter_map(|m| Some((m.awaiting_join.take()?, m.id.clone()))).collect();
        for (ticket, id) in waiting {
            self.answer_join(turn.now, turn.out, ticket, &id);
        }
    }
    /// A leader who has joined, if any.
    fn elect_leader(&mut self) -> bool {
        let joined = |id: &Arc<str>| self.members.get(id).is_some_and(|m| m.awaiting_join.is_some());
        if !self.leader.as_ref().is_some_and(joined) {
            let first = self.members.values().find(|m| m.awaiting_join.is_some()).map(|m| m.id.clone());
            if first.is_none() {
                return false;
            }
            self.leader = first;
        }
        true
    }
    /// The protocol that all members know and most prefer; among equals the first by the leader's preference.
    fn select_protocol(&self) -> Option<Arc<str>> {
        let leader = self.leader.as_ref().and_then(|l| self.members.get(l)).expect("a group with members has a leader");
        let known = |name: &str| self.members.values().all(|m| m.metadata(name).is_some());
        let candidates: Vec<_> = leader.protocols.iter().map(|(name, _)| name).filter(|name| known(name)).collect();
        let vote = |m: &Member| m.protocols.iter().map(|(n, _)| n).find(|n| candidates.contains(n)).cloned();
        let votes: Vec<_> = self.members.values().filter_map(vote).collect();
        let count = |name: &Arc<str>| votes.iter().filter(|v| *v == name).count();
        candidates.iter().rev().max_by_key(|name| count(name)).map(|name| (*name).clone())
    }

    /// Tells a member of the current generation; the leader also who is in it.
    pub fn answer_join(&mut self, now: Now, out: &mut Vec<super::Output>, ticket: Ticket, id: &Arc<str>) {
        let members = if self.is_leader(id) { self.response_members() } else { Vec::new() };
        let leader = self.leader.clone().unwrap_or_default();
        let reply = self.join_response(id, &leader, members);
        if let Some(member) = self.members.get_mut(id) {
            member.is_new = false;
            member.deadline = now.after_ms(member.session_timeout_ms);
        }
        out.push(super::Output::Reply(ticket, Reply::Join(reply)));
    }
    /// What a static member is told that comes back to a stable group and changes nothing.
    pub fn unchanged_join(&self, id: &Arc<str>, previous: &str, version: i16) -> JoinGroupResponse {
        if !self.is_leader(id) {
            return self.join_response(id, self.leader.as_deref().unwrap_or_default(), Vec::new());
        }
        if version >= SKIP_ASSIGNMENT {
            return self.join_response(id, id, self.response_members()).with_skip_assignment(true);
        }
        // An old client would assign if it were called leader: it is told the name of its predecessor.
        self.join_response(id, previous, Vec::new())
    }
    fn join_response(&self, id: &str, leader: &str, members: Vec<JoinGroupResponseMember>) -> JoinGroupResponse {
        JoinGroupResponse::default()
            .with_generation_id(self.generation)
            .with_protocol_type(self.protocol_type.as_deref().map(wire))
            .with_protocol_name(self.protocol.as_deref().map(wire))
            .with_leader(wire(leader))
            .with_member_id(wire(id))
            .with_members(members)
    }
    fn response_members(&self) -> Vec<JoinGroupResponseMember> {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let member = |m: &Member| {
            JoinGroupResponseMember::default()
                .with_member_id(wire(&m.id))
                .with_group_instance_id(m.instance.as_deref().map(wire))
                .with_metadata(m.metadata(protocol).cloned().unwrap_or_default())
        };
        self.members.values().map(member).collect()
    }
}

pub(super) fn new_member(caller: &Caller, request: &JoinGroupRequest, id: Arc<str>, ticket: Ticket) -> Member {
    Member {
        id,
        instance: request.group_instance_id.as_ref().map(text),
        client_id: caller.client_id.clone(),
        client_host: caller.host.clone(),
        rebalance_timeout_ms: rebalance_timeout_ms(request),
        session_timeout_ms: session_timeout_ms(request),
        protocols: protocols(request),
        assignment: bytes::Bytes::new(),
        is_new: true,
        deadline: u64::MAX,
        awaiting_join: Some(ticket),
        awaiting_sync: None,
    }
}
pub(super) fn protocols(request: &JoinGroupRequest) -> Vec<(Arc<str>, bytes::Bytes)> {
    request.protocols.iter().map(|p| (text(&p.name), p.metadata.clone())).collect()
}
fn session_timeout_ms(request: &JoinGroupRequest) -> u64 {
    u64::try_from(request.session_timeout_ms).unwrap_or(0)
}
/// Version 0 does not say it.
fn rebalance_timeout_ms(request: &JoinGroupRequest) -> u64 {
    u64::try_from(request.rebalance_timeout_ms).unwrap_or_else(|_| session_timeout_ms(request))
}
