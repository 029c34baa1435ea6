//! What administrators ask: DescribeGroups, ListGroups, DeleteGroups.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::list_groups_response::ListedGroup;

use super::classic::{Group, State};
use super::coordinator::Coordinator;
use super::member::Member;
use super::protocol::CONSUMER;
use super::turn::{Then, Turn};
use super::types::{LogRecord, Reply, Ticket, wire};

/// From this version on, a group that does not exist is an error and not a dead group (KIP-1043).
const GROUP_ID_NOT_FOUND: i16 = 6;

impl Coordinator {
    /// One group's part of a DescribeGroups response.
    #[must_use]
    pub fn describe(&self, id: &str, version: i16) -> DescribedGroup {
        let described = DescribedGroup::default().with_group_id(wire(id).into());
        match self.group(id).filter(|group| group.consumer.is_none()) {
            Some(group) => group.describe(described),
            None if version >= GROUP_ID_NOT_FOUND => described
                .with_error_code(ResponseError::GroupIdNotFound.code())
                .with_error_message(Some(wire(&format!("Group {id} not found."))))
                .with_group_state(wire(State::Dead.name())),
            None => described.with_group_state(wire(State::Dead.name())),
        }
    }
    /// All groups, for ListGroups.
    pub fn list(&self) -> impl Iterator<Item = ListedGroup> {
        self.groups().map(|group| {
            let listed = ListedGroup::default().with_group_id(wire(&group.id).into());
            match &group.consumer {
                Some(consumer) => listed
                    .with_protocol_type(wire(CONSUMER))
                    .with_group_state(wire(consumer.state().name()))
                    .with_group_type(wire("consumer")),
                None => listed
                    .with_protocol_type(wire(group.protocol_type.as_deref().unwrap_or_default()))
                    .with_group_state(wire(group.state.name()))
                    .with_group_type(wire("classic")),
            }
        })
    }
}

impl Group {
    fn describe(&self, described: DescribedGroup) -> DescribedGroup {
        let stable = self.is(State::Stable);
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let member = |m: &Member| {
            let metadata = if stable { m.metadata(protocol).cloned() } else { None };
            DescribedGroupMember::default()
                .with_member_id(wire(&m.id))
                .with_group_instance_id(m.instance.as_deref().map(wire))
                .with_client_id(wire(&m.client_id))
                .with_client_host(wire(&m.client_host))
                .with_member_metadata(metadata.unwrap_or_default())
                .with_member_assignment(m.assignment.clone())
        };
        described
            .with_group_state(wire(self.state.name()))
            .with_protocol_type(wire(self.protocol_type.as_deref().unwrap_or_default()))
            .with_protocol_data(wire(if stable { protocol } else { "" }))
            .with_members(self.members.values().map(member).collect())
    }
    /// What takes the group itself back out of the log.
    pub fn tombstones(&self) -> Vec<LogRecord> {
        match &self.consumer {
            Some(consumer) => consumer.tombstones(&self.id),
            None => vec![LogRecord { key: self.key(), value: None }],
        }
    }
    /// Removes the group with all its offsets, if nobody is in it.
    pub fn delete(&mut self, turn: &mut Turn, ticket: Ticket) {
        let error = match self.state {
            State::Dead => ResponseError::GroupIdNotFound,
            State::Empty if self.consumer.as_ref().is_some_and(|c| !c.members.is_empty()) => {
                ResponseError::NonEmptyGroup
            }
            State::Empty => {
                let pending: Vec<_> = turn.appends.pending_offsets(&self.id).cloned().collect();
                let all: std::collections::BTreeSet<_> = self.offsets.keys().cloned().chain(pending).collect();
                let mut records: Vec<_> = all.iter().map(|tp| self.offset_tombstone(tp)).collect();
                records.extend(self.tombstones());
                self.promised.clear();
                self.enter(State::Dead, turn.now);
                turn.append(&self.id, records, Then::Delete { ticket: Some(ticket) });
                return;
            }
            _ => ResponseError::NonEmptyGroup,
        };
        turn.reply(ticket, Reply::DeleteGroup(error.code()));
    }
}
