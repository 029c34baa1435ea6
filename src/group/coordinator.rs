//! The coordinator of one partition of `__consumer_offsets`: finds the group, takes the turn, remembers what is on its way.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::{
    HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, LeaveGroupRequest, LeaveGroupResponse, OffsetCommitRequest,
    OffsetDeleteRequest, OffsetDeleteResponse, SyncGroupRequest,
};

use super::classic::{CommittedOffset, Group, State};
use super::config::GroupConfig;
use super::consumer::Topics;
use super::turn::{Appends, Before, Then, Turn, Waiting};
use super::types::{AppendId, Caller, Output, Reply, Ticket};
use super::{consumer, join, offsets, sync};
use crate::base::random::Stream;
use crate::base::{Now, TopicPartition};

/// From this version on, LeaveGroup names several members (KIP-345).
const LEAVE_SEVERAL: i16 = 3;

/// See the module.
#[derive(Debug)]
pub struct Coordinator {
    cfg: GroupConfig,
    random: Stream,
    groups: BTreeMap<Arc<str>, Group>,
    appends: Appends,
    next_expiry: u64,
    pub(super) topics: Topics,
}

impl Coordinator {
    /// A coordinator of no groups. `random` names members.
    #[must_use]
    pub fn new(cfg: GroupConfig, random: Stream, now: Now) -> Self {
        let next_expiry = now.after_ms(cfg.offsets_retention_check_interval_ms);
        let (groups, appends) = (BTreeMap::new(), Appends::default());
        Self { cfg, random, groups, appends, next_expiry, topics: Topics::new() }
    }

    /// JoinGroup; the answer waits until the group is complete.
    pub fn join(
        &mut self,
        now: Now,
        ticket: Ticket,
        caller: &Caller,
        request: &JoinGroupRequest,
        out: &mut Vec<Output>,
    ) {
        if let Err(error) = self.check_join(request) {
            out.push(Output::Reply(ticket, join::refused(&request.member_id, error)));
            return;
        }
        let id: Arc<str> = request.group_id.as_str().into();
        self.groups.entry(id.clone()).or_insert_with(|| Group::new(id.clone(), now));
        self.turn(now, &id, out, |group, turn| match group.close_consumer(turn) {
            Ok(()) => group.join(turn, ticket, caller, request),
            Err(error) => turn.reply(ticket, join::refused(&request.member_id, error)),
        });
    }
    fn check_join(&self, request: &JoinGroupRequest) -> Result<(), ResponseError> {
        let session = self.cfg.min_session_timeout_ms..=self.cfg.max_session_timeout_ms;
        if request.group_id.is_empty() {
            return Err(ResponseError::InvalidGroupId);
        }
        if !session.contains(&request.session_timeout_ms) {
            return Err(ResponseError::InvalidSessionTimeout);
        }
        if request.protocol_type.is_empty() || request.protocols.is_empty() {
            return Err(ResponseError::InconsistentGroupProtocol);
        }
        let known = self.groups.contains_key(request.group_id.as_str());
        if known || request.member_id.is_empty() { Ok(()) } else { Err(ResponseError::UnknownMemberId) }
    }
    /// SyncGroup; the answer waits for the leader's assignment to be committed.
    pub fn sync(&mut self, now: Now, ticket: Ticket, request: &SyncGroupRequest, out: &mut Vec<Output>) {
        let known = self.turn(now, &request.group_id, out, |group, turn| group.sync(turn, ticket, request));
        if known.is_none() {
            out.push(Output::Reply(ticket, sync::refused(ResponseError::UnknownMemberId)));
        }
    }
    /// Heartbeat, answered at once.
    pub fn heartbeat(&mut self, now: Now, request: &HeartbeatRequest) -> HeartbeatResponse {
        let result = match self.groups.get_mut(request.group_id.as_str()) {
            Some(group) => group.heartbeat(now, request),
            None => Err(ResponseError::UnknownMemberId),
        };
        HeartbeatResponse::default().with_error_code(result.err().map_or(0, |e| e.code()))
    }
    /// LeaveGroup, answered at once.
    pub fn leave(
        &mut self,
        now: Now,
        request: &LeaveGroupRequest,
        version: i16,
        out: &mut Vec<Output>,
    ) -> LeaveGroupResponse {
        let one = [MemberIdentity::default().with_member_id(request.member_id.clone())];
        let leaving = if version < LEAVE_SEVERAL { &one[..] } else { &request.members };
        let answer = self.turn(now, &request.group_id, out, |group, turn| group.leave(turn, leaving));
        let unknown = ResponseError::UnknownMemberId.code();
        match answer {
            Some(answer) if version < LEAVE_SEVERAL => {
                LeaveGroupResponse::default().with_error_code(answer.members[0].error_code)
            }
            Some(answer) => answer,
            None => LeaveGroupResponse::default().with_error_code(unknown),
        }
    }
    /// OffsetCommit; the answer waits for the records to be committed.
    pub fn commit(&mut self, now: Now, ticket: Ticket, request: &OffsetCommitRequest, out: &mut Vec<Output>) {
        let id: Arc<str> = request.group_id.as_str().into();
        if !self.groups.contains_key(&id) {
            if request.generation_id_or_member_epoch >= 0 {
                let refused = offsets::commit_refused(request, ResponseError::IllegalGeneration);
                out.push(Output::Reply(ticket, Reply::Commit(refused)));
                return;
            }
            self.groups.insert(id.clone(), Group::new(id.clone(), now));
        }
        self.turn(now, &id, out, |group, turn| group.commit(turn, ticket, request));
    }
    /// OffsetDelete; the answer waits for the tombstones to be committed.
    pub fn delete_offsets(&mut self, now: Now, ticket: Ticket, request: &OffsetDeleteRequest, out: &mut Vec<Output>) {
        let known = self.turn(now, &request.group_id, out, |group, turn| group.delete_offsets(turn, ticket, request));
        if known.is_none() {
            let reply = OffsetDeleteResponse::default().with_error_code(ResponseError::GroupIdNotFound.code());
            out.push(Output::Reply(ticket, Reply::OffsetDelete(reply)));
        }
    }
    /// One group's part of DeleteGroups; the answer waits for the tombstones to be committed.
    pub fn delete_group(&mut self, now: Now, ticket: Ticket, id: &str, out: &mut Vec<Output>) {
        if self.turn(now, id, out, |group, turn| group.delete(turn, ticket)).is_none() {
            out.push(Output::Reply(ticket, Reply::DeleteGroup(ResponseError::GroupIdNotFound.code())));
        }
    }
    /// The committed offsets of a group that is not dead.
    #[must_use]
    pub fn committed_offsets(&self, id: &str) -> Option<&BTreeMap<TopicPartition, CommittedOffset>> {
        self.groups.get(id).filter(|g| !g.is(State::Dead)).map(|g| &g.offsets)
    }
    /// State and generation of a group.
    #[must_use]
    pub fn state(&self, id: &str) -> Option<(State, i32)> {
        self.groups.get(id).map(|g| (g.state, g.generation))
    }

    /// The high watermark has passed the records of `id`, hence also those of every append before it.
    pub fn committed(&mut self, now: Now, id: AppendId, out: &mut Vec<Output>) {
        while let Some(first) = self.appends.waiting.first_entry().filter(|e| *e.key() <= id) {
            let waiting = first.remove();
            self.done(now, waiting, out);
        }
        for following in self.appends.take_following(|f| f.after <= id) {
            out.push(Output::Reply(following.ticket, Reply::ConsumerHeartbeat(*following.answer)));
        }
    }
    fn done(&mut self, now: Now, waiting: Waiting, out: &mut Vec<Output>) {
        let Waiting { group: id, deadline, then } = waiting;
        let answered = deadline == u64::MAX;
        let mut reply = |ticket, reply| {
            if !answered {
                out.push(Output::Reply(ticket, reply));
            }
        };
        match then {
            Then::Nothing => {}
            Then::Replace { ticket, reply: joined, .. } => reply(ticket, Reply::Join(*joined)),
            Then::Change { answer: None, .. } => {}
            Then::Change { answer: Some((ticket, told)), .. } => reply(ticket, Reply::ConsumerHeartbeat(*told)),
            Then::Commit { ticket, reply: response, offsets } => {
                reply(ticket, Reply::Commit(response));
                self.group_or_new(now, &id).offsets.extend(offsets);
            }
            Then::Forget { reply: response, offsets } => {
                if let Some((ticket, response)) = response {
                    reply(ticket, Reply::OffsetDelete(response));
                }
                if let Some(group) = self.groups.get_mut(&id) {
                    offsets.iter().for_each(|tp| drop(group.offsets.remove(tp)));
                }
            }
            Then::Delete { ticket } => {
                if let Some(ticket) = ticket {
                    reply(ticket, Reply::DeleteGroup(0));
                }
                self.groups.remove(&id);
            }
            Then::Assign { generation, assignments } => {
                self.turn(now, &id, out, |group, turn| group.assigned(turn, generation, assignments));
            }
        }
    }
    /// The records of `id` will never be in the log.
    pub fn failed(&mut self, now: Now, id: AppendId, error: ResponseError, out: &mut Vec<Output>) {
        let Some(mut waiting) = self.appends.waiting.remove(&id) else { return };
        self.refuse(now, &mut waiting, told(error), out);
        match waiting.then {
            Then::Replace { reply, previous, .. } => {
                if let Some(group) = self.groups.get_mut(&waiting.group) {
                    group.undo_replacement(&reply, *previous);
                }
            }
            Then::Change { before, .. } => {
                if let Some(group) = self.groups.get_mut(&waiting.group) {
                    group.undo_change(now, *before);
                }
            }
            Then::Delete { .. } => {
                if let Some(group) = self.groups.get_mut(&waiting.group) {
                    group.enter(State::Empty, now);
                }
            }
            _ => {}
        }
    }
    /// Answers whoever waits for an append, whatever becomes of it.
    fn refuse(&mut self, now: Now, waiting: &mut Waiting, error: ResponseError, out: &mut Vec<Output>) {
        if std::mem::replace(&mut waiting.deadline, u64::MAX) == u64::MAX {
            return;
        }
        match &mut waiting.then {
            Then::Nothing | Then::Forget { reply: None, .. } | Then::Delete { ticket: None } => {}
            Then::Change { answer: None, .. } => {}
            Then::Change { answer: Some((ticket, _)), .. } => out.push(not_told(*ticket, error)),
            Then::Assign { generation, .. } => {
                let generation = *generation;
                self.turn(now, &waiting.group, out, |group, turn| group.not_assigned(turn, generation, error));
            }
            Then::Replace { ticket, reply, .. } => {
                out.push(Output::Reply(*ticket, join::refused(&reply.member_id, error)));
            }
            Then::Commit { ticket, reply, .. } => {
                let mut reply = reply.clone();
                offsets::refuse_commit(&mut reply, error);
                out.push(Output::Reply(*ticket, Reply::Commit(reply)));
            }
            Then::Forget { reply: Some((ticket, _)), .. } => {
                let reply = OffsetDeleteResponse::default().with_error_code(error.code());
                out.push(Output::Reply(*ticket, Reply::OffsetDelete(reply)));
            }
            Then::Delete { ticket: Some(ticket) } => {
                out.push(Output::Reply(*ticket, Reply::DeleteGroup(error.code())));
            }
        }
    }

    /// When [`Self::tick`] is due, in monotonic ns.
    #[must_use]
    pub fn next_deadline(&self) -> u64 {
        let groups = self.groups.values().map(Group::next_deadline);
        let appends = self.appends.waiting.values().map(|w| w.deadline);
        let following = self.appends.following.iter().map(|f| f.deadline);
        groups.chain(appends).chain(following).chain([self.next_expiry]).min().unwrap_or(u64::MAX)
    }
    /// Does what time asks for.
    pub fn tick(&mut self, now: Now, out: &mut Vec<Output>) {
        let overdue = |(_, w): &(&AppendId, &Waiting)| w.deadline <= now.mono_ns;
        let late: Vec<_> = self.appends.waiting.iter().filter(overdue).map(|(id, _)| *id).collect();
        for id in late {
            let Some(mut waiting) = self.appends.waiting.remove(&id) else { continue };
            // It may yet be committed, and will be visible then: only nobody waits for it any more.
            self.refuse(now, &mut waiting, ResponseError::CoordinatorNotAvailable, out);
            self.appends.waiting.insert(id, waiting);
        }
        for late in self.appends.take_following(|f| f.deadline <= now.mono_ns) {
            out.push(not_told(late.ticket, ResponseError::CoordinatorNotAvailable));
        }
        let due: Vec<_> =
            self.groups.values().filter(|g| g.next_deadline() <= now.mono_ns).map(|g| g.id.clone()).collect();
        for id in due {
            self.turn(now, &id, out, Group::tick);
        }
        if self.next_expiry <= now.mono_ns {
            self.next_expiry = now.after_ms(self.cfg.offsets_retention_check_interval_ms);
            let all: Vec<_> = self.groups.keys().cloned().collect();
            for id in all {
                self.turn(now, &id, out, Group::expire);
            }
        }
    }
    /// Another broker coordinates from here on: whoever waits is told to look for it.
    pub fn resign(&mut self, now: Now, out: &mut Vec<Output>) {
        let error = ResponseError::NotCoordinator;
        for (_, mut waiting) in std::mem::take(&mut self.appends.waiting) {
            if !matches!(waiting.then, Then::Assign { .. }) {
                self.refuse(now, &mut waiting, error, out);
            }
        }
        for following in self.appends.take_following(|_| true) {
            out.push(not_told(following.ticket, error));
        }
        for member in self.groups.values_mut().flat_map(|g| g.members.values_mut()) {
            if let Some(ticket) = member.awaiting_join.take() {
                out.push(Output::Reply(ticket, join::refused(&member.id, error)));
            }
            if let Some(ticket) = member.awaiting_sync.take() {
                out.push(Output::Reply(ticket, sync::refused(error)));
            }
        }
    }

    pub(super) fn turn<R>(
        &mut self,
        now: Now,
        id: &str,
        out: &mut Vec<Output>,
        act: impl FnOnce(&mut Group, &mut Turn) -> R,
    ) -> Option<R> {
        let group = self.groups.get_mut(id)?;
        let (random, appends, topics) = (&mut self.random, &mut self.appends, &self.topics);
        let mut turn = Turn { now, cfg: &self.cfg, random, appends, topics, out };
        let result = act(group, &mut turn);
        group.check();
        Some(result)
    }
    pub(super) fn config(&self) -> &GroupConfig {
        &self.cfg
    }
    /// From where the first change of a group starts that is not committed yet.
    pub(super) fn first_change(&self, id: &str) -> Option<&Before> {
        self.appends.waiting.values().filter(|w| *w.group == *id).find_map(|w| match &w.then {
            Then::Change { before, .. } => Some(&**before),
            _ => None,
        })
    }
    pub(super) fn group(&self, id: &str) -> Option<&Group> {
        self.groups.get(id)
    }
    pub(super) fn group_mut(&mut self, id: &str) -> Option<&mut Group> {
        self.groups.get_mut(id)
    }
    pub(super) fn group_or_new(&mut self, now: Now, id: &Arc<str>) -> &mut Group {
        self.groups.entry(id.clone()).or_insert_with(|| Group::new(id.clone(), now))
    }
    pub(super) fn remove_group(&mut self, id: &str) {
        self.groups.remove(id);
    }
    pub(super) fn offsets_retention_ms(&self) -> i64 {
        self.cfg.offsets_retention_ms
    }
    pub(super) fn groups(&self) -> impl Iterator<Item = &Group> {
        self.groups.values()
    }
    pub(super) fn groups_mut(&mut self) -> impl Iterator<Item = &mut Group> {
        self.groups.values_mut()
    }
}

/// A heartbeat of the consumer protocol whose answer may not be given.
fn not_told(ticket: Ticket, error: ResponseError) -> Output {
    let refused = consumer::refused((error, "What the answer tells is not committed."));
    Output::Reply(ticket, Reply::ConsumerHeartbeat(refused))
}

/// What a client is told when records could not be appended (`CoordinatorOperationExceptionHelper`).
fn told(error: ResponseError) -> ResponseError {
    use ResponseError as E;
    match error {
        E::UnknownTopicOrPartition | E::NotEnoughReplicas | E::RequestTimedOut => E::CoordinatorNotAvailable,
        E::NotEnoughReplicasAfterAppend => E::CoordinatorNotAvailable,
        E::NotLeaderOrFollower | E::KafkaStorageError => E::NotCoordinator,
        E::MessageTooLarge | E::RecordListTooLarge => E::InvalidCommitOffsetSize,
        other => other,
    }
}
