//! What a coordinator is asked about groups of the consumer protocol, and how their changes reach the log.

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};

use super::heartbeat::{self, Refusal};
use super::{ConsumerGroup, ConsumerState, JOIN, LEAVE, LEAVE_FOR_A_WHILE, Topics, records};
use crate::base::Now;
use crate::group::classic::{Group, State};
use crate::group::coordinator::Coordinator;
use crate::group::turn::{Before, Then, Turn};
use crate::group::types::{Caller, LogRecord, Output, Reply, Ticket, wire};

/// How long after a change that could not be written the same is tried again, in ms (`CoordinatorTimer`'s retry backoff).
const RETRY_MS: u64 = 500;

pub(in crate::group) fn refused((error, why): Refusal) -> ConsumerGroupHeartbeatResponse {
    ConsumerGroupHeartbeatResponse::default().with_error_code(error.code()).with_error_message(Some(wire(why)))
}

impl Coordinator {
    /// ConsumerGroupHeartbeat; the answer waits until what it tells is committed.
    pub fn consumer_heartbeat(
        &mut self,
        now: Now,
        ticket: Ticket,
        caller: &Caller,
        request: &ConsumerGroupHeartbeatRequest,
        out: &mut Vec<Output>,
    ) {
        let known = self.group(&request.group_id).is_some();
        let absent = !known && request.member_epoch != JOIN;
        let result = match heartbeat::check(self.config(), request, caller.version) {
            Ok(()) if absent => Err((ResponseError::GroupIdNotFound, "Consumer group not found.")),
            result => result,
        };
        if let Err(refusal) = result {
            out.push(Output::Reply(ticket, Reply::ConsumerHeartbeat(refused(refusal))));
            return;
        }
        let id: Arc<str> = request.group_id.as_str().into();
        self.group_or_new(now, &id);
        self.turn(now, &id, out, |group, turn| group.consumer_heartbeat(turn, ticket, caller, request));
        if !known && self.group(&id).is_some_and(Group::is_nothing) {
            self.remove_group(&id);
        }
    }
    /// The topics of the cluster have changed. Groups take notice at the next heartbeat of any of their members
    /// (`onNewMetadataImage` requests just that).
    pub fn set_topics(&mut self, topics: Topics) {
        self.topics = topics;
    }
    /// State and epoch of a group of the consumer protocol.
    #[must_use]
    pub fn consumer_state(&self, id: &str) -> Option<(ConsumerState, i32)> {
        self.group(id)?.consumer.as_ref().map(|g| (g.state(), g.epoch))
    }
    /// A group as far as it is committed: what nobody has been told yet may still be lost.
    pub(super) fn consumer_group(&self, id: &str) -> Option<&ConsumerGroup> {
        match self.first_change(id) {
            Some(before) => before.consumer.as_ref(),
            None => self.group(id)?.consumer.as_ref(),
        }
    }
}

impl Group {
    /// Nothing is known of it: it was made for a request that came to nothing.
    pub(in crate::group) fn is_nothing(&self) -> bool {
        let classic = self.protocol_type.is_some() || self.generation != 0 || !self.promised.is_empty();
        self.is(State::Empty) && self.consumer.is_none() && self.offsets.is_empty() && !classic
    }
    /// See [`Coordinator::consumer_heartbeat`].
    pub(in crate::group) fn consumer_heartbeat(
        &mut self,
        turn: &mut Turn<'_>,
        ticket: Ticket,
        caller: &Caller,
        request: &ConsumerGroupHeartbeatRequest,
    ) {
        let before = self.before();
        let mut log = match self.open(request.member_epoch == JOIN) {
            Ok(log) => log,
            Err(refusal) => return turn.reply(ticket, Reply::ConsumerHeartbeat(refused(refusal))),
        };
        let consumer = self.consumer.get_or_insert_default();
        let result = match request.member_epoch {
            LEAVE | LEAVE_FOR_A_WHILE => consumer.leave(&self.id, turn, request),
            _ => consumer.beat(&self.id, turn, caller, request),
        };
        match result {
            Ok((changes, answer)) => {
                log.extend(records::logged(&changes));
                turn.answer_when_committed(&self.id, log, before, ticket, answer);
            }
            Err(refusal) => {
                self.undo(before);
                turn.reply(ticket, Reply::ConsumerHeartbeat(refused(refusal)));
            }
        }
    }
    /// Makes it a group of the consumer protocol if it is or can become one, and returns the records for that
    /// (`getOrMaybeCreateConsumerGroup` with `group.consumer.migration.policy=disabled`).
    fn open(&mut self, joins: bool) -> Result<Vec<LogRecord>, Refusal> {
        if self.is(State::Dead) {
            return Err((ResponseError::CoordinatorNotAvailable, "The group is being deleted."));
        }
        if self.consumer.is_some() {
            return Ok(Vec::new());
        }
        if !joins || !self.is(State::Empty) {
            return Err((ResponseError::GroupIdNotFound, "Group is not a consumer group."));
        }
        // A classic group without members makes room (`maybeDeleteEmptyClassicGroup`).
        let log = if self.protocol_type.is_some() || self.generation != 0 {
            vec![LogRecord { key: self.key(), value: None }]
        } else {
            Vec::new()
        };
        (self.protocol_type, self.protocol, self.leader, self.generation) = (None, None, None, 0);
        self.promised.clear();
        self.consumer = Some(ConsumerGroup::default());
        Ok(log)
    }
    /// A classic member joins: a group of the consumer protocol without members makes room (`maybeDeleteEmptyConsumerGroup`); one with
    /// members refuses.
    pub(in crate::group) fn close_consumer(&mut self, turn: &mut Turn<'_>) -> Result<(), ResponseError> {
        let Some(consumer) = self.consumer.as_ref().filter(|_| !self.is(State::Dead)) else { return Ok(()) };
        if !consumer.members.is_empty() {
            return Err(ResponseError::InconsistentGroupProtocol);
        }
        let (before, log) = (self.before(), consumer.tombstones(&self.id));
        self.consumer = None;
        turn.append(&self.id, log, Then::Change { before: Box::new(before), answer: None });
        Ok(())
    }
    /// Does what time asks for.
    pub(in crate::group) fn tick_consumer(&mut self, turn: &mut Turn<'_>) {
        if self.is(State::Dead) || self.consumer.as_ref().is_none_or(|c| c.next_deadline() > turn.now.mono_ns) {
            return;
        }
        let before = self.before();
        let Some(consumer) = &mut self.consumer else { return };
        let changes = consumer.expire(&self.id, turn);
        if !changes.is_empty() {
            let then = Then::Change { before: Box::new(before), answer: None };
            turn.append(&self.id, records::logged(&changes), then);
        }
    }
    /// As it is now, to come back to if what follows cannot be written.
    fn before(&self) -> Before {
        Before {
            consumer: self.consumer.clone(),
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            generation: self.generation,
        }
    }
    fn undo(&mut self, before: Before) {
        let Before { consumer, protocol_type, protocol, leader, generation } = before;
        self.consumer = consumer;
        (self.protocol_type, self.protocol, self.leader, self.generation) =
            (protocol_type, protocol, leader, generation);
    }
    /// What was to be written since will never be in the log.
    pub(in crate::group) fn undo_change(&mut self, now: Now, before: Before) {
        // A classic group that has begun in its place begins anew when its own records fail.
        if self.is(State::Empty) {
            self.undo(before);
        }
        if let Some(consumer) = &mut self.consumer {
            consumer.postpone(now.after_ms(RETRY_MS));
        }
    }
}
