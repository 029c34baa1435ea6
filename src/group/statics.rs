//! Static members (KIP-345): one that comes back takes its own old place.

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{JoinGroupRequest, JoinGroupResponse};

use super::classic::{Group, State};
use super::join;
use super::member::Member;
use super::turn::{Then, Turn};
use super::types::{Caller, Ticket};
use crate::base::marks::{Mark, mark};

impl Group {
    /// The member `old` is back under the same `group.instance.id` and a new member id. Whoever still speaks for the old one is
    /// fenced. In a stable group nothing is rebalanced if it subscribes as before.
    pub fn replace_static(
        &mut self,
        turn: &mut Turn,
        ticket: Ticket,
        caller: &Caller,
        request: &JoinGroupRequest,
        old: &Arc<str>,
        id: Arc<str>,
    ) {
        mark(Mark::StaticReplaced);
        let mut previous = self.members.remove(old).expect("a static member is a member");
        if let Some(waiting) = previous.awaiting_join.take() {
            turn.reply(waiting, join::refused(old, ResponseError::FencedInstanceId));
        }
        if let Some(waiting) = previous.awaiting_sync.take() {
            turn.reply(waiting, super::sync::refused(ResponseError::FencedInstanceId));
        }
        let member = join::new_member(caller, request, id.clone(), ticket);
        let protocol = self.protocol.clone().unwrap_or_default();
        let unchanged = self.is(State::Stable)
            && member.metadata(&protocol).is_some()
            && member.metadata(&protocol) == previous.metadata(&protocol);
        let member = Member {
            assignment: previous.assignment.clone(),
            deadline: turn.now.after_ms(member.session_timeout_ms),
            is_new: false,
            awaiting_join: (!unchanged).then_some(ticket),
            ..member
        };
        self.take_place(old, member);
        if unchanged {
            let reply = Box::new(self.unchanged_join(&id, old, caller.version));
            let record = self.record(&self.assignments());
            turn.append(&self.id, vec![record], Then::Replace { ticket, reply, previous: Box::new(previous) });
        } else {
            self.maybe_prepare_rebalance(turn);
        }
    }
    fn take_place(&mut self, old: &Arc<str>, member: Member) {
        let id = member.id.clone();
        if self.is_leader(old) {
            self.leader = Some(id.clone());
        }
        if self.unsynced.remove(old) {
            self.unsynced.insert(id.clone());
        }
        self.statics.insert(member.instance.clone().expect("it is static"), id.clone());
        self.members.insert(id, member);
    }
    /// The change of place did not get into the log: the old member is back, as a coordinator that replays the log has it.
    pub fn undo_replacement(&mut self, reply: &JoinGroupResponse, previous: Member) {
        let id: Arc<str> = reply.member_id.as_str().into();
        if self.members.remove(&id).is_some() {
            self.take_place(&id, previous);
        }
    }
}
