//! JoinGroup and SyncGroup: how a member comes to own something.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{JoinGroupRequest, JoinGroupResponse, SyncGroupRequest, SyncGroupResponse};
use kafka_protocol::protocol::StrBytes;

use super::assignor::{self, Member, Members, Topics};
use super::membership::{Generation, Membership, State, wire};
use super::protocol::{self, Subscription};
use crate::base::{Now, TopicPartition};
use crate::client::config::AssignorName;

/// The protocol type of consumers.
const CONSUMER: &str = "consumer";
/// How much longer than a rebalance may take its answer is waited for (`AbstractCoordinator.JOIN_GROUP_TIMEOUT_LAPSE`).
const JOIN_LAPSE_MS: u64 = 5_000;

/// What a leader has to share out, and among whom.
#[derive(Clone, Debug)]
pub(super) struct Assigning {
    assignor: AssignorName,
    members: Members,
    /// Everything that somebody subscribes to.
    pub topics: BTreeSet<Arc<str>>,
    /// A static leader has come back to a group that keeps its assignment: it only watches the topics from now on (KIP-814).
    skip: bool,
}

impl Membership {
    /// How long JoinGroup may go unanswered: it waits at the coordinator for the whole rebalance.
    pub fn join_timeout_ms(&self, request_timeout_ms: u64) -> u64 {
        request_timeout_ms.max(u64::from(self.cfg.max_poll_interval_ms) + JOIN_LAPSE_MS)
    }
    pub(super) fn join(&mut self) -> Option<JoinGroupRequest> {
        let owned = self.ready.clone()?;
        let protocol = |assignor: &AssignorName| {
            JoinGroupRequestProtocol::default()
                .with_name(StrBytes::from_static_str(assignor.name()))
                .with_metadata(self.subscription(*assignor, &owned).encode())
        };
        let request = JoinGroupRequest::default()
            .with_group_id(wire(&self.cfg.group).into())
            .with_session_timeout_ms(self.cfg.session_timeout_ms as i32)
            .with_rebalance_timeout_ms(self.cfg.max_poll_interval_ms as i32)
            .with_member_id(wire(&self.generation.member))
            .with_group_instance_id(self.cfg.instance.as_deref().map(wire))
            .with_protocol_type(StrBytes::from_static_str(CONSUMER))
            .with_protocols(self.cfg.assignors.iter().map(protocol).collect());
        self.state = State::Preparing;
        Some(request)
    }
    fn subscription(&self, assignor: AssignorName, owned: &BTreeSet<TopicPartition>) -> Subscription {
        let remembered = self.remembered.as_ref();
        let user_data = match assignor {
            AssignorName::Range | AssignorName::RoundRobin => None,
            AssignorName::Sticky => remembered.map(|(owned, generation)| protocol::encode_sticky(owned, *generation)),
            AssignorName::CooperativeSticky => {
                Some(protocol::encode_generation(remembered.map_or(-1, |(_, generation)| *generation)))
            }
        };
        let generation = Some(self.generation.id).filter(|id| *id >= 0);
        Subscription { topics: self.topics.clone(), user_data, owned: owned.clone(), generation }
    }

    /// JoinGroup was answered, or lost. It is looked at when the application polls.
    pub fn join_answered(&mut self, sent: Generation, answer: Option<JoinGroupResponse>) {
        self.join_answer = Some((sent, answer));
        self.change();
    }
    pub(super) fn take_join(&mut self, now: Now, sent: &Generation, answer: Option<JoinGroupResponse>) {
        use ResponseError as E;
        if self.state != State::Preparing || *sent != self.generation {
            // It has left meanwhile. What joined in its stead is somebody whom nobody will hear of.
            return;
        }
        let Some(answer) = answer else {
            self.coordinator_lost("JoinGroup was lost");
            return self.join_failed(now, E::NetworkException);
        };
        match E::try_from_code(answer.error_code) {
            None => self.take_generation(now, &answer),
            Some(E::MemberIdRequired) => {
                self.generation = Generation { member: answer.member_id.as_str().into(), ..Generation::none() };
                self.state = State::Unjoined;
            }
            Some(E::UnknownMemberId) => self.reset(true, "the coordinator does not know this member"),
            Some(E::IllegalGeneration) => self.reset(false, "illegal generation"),
            Some(error) => self.join_failed(now, error),
        }
    }
    fn take_generation(&mut self, now: Now, answer: &JoinGroupResponse) {
        let protocol = answer.protocol_name.as_deref().unwrap_or_default();
        let Some(assignor) = self.cfg.assignors.iter().copied().find(|a| a.name() == protocol) else {
            self.state = State::Unjoined;
            return self.fail(ResponseError::InconsistentGroupProtocol);
        };
        let member: Arc<str> = answer.member_id.as_str().into();
        self.generation = Generation { id: answer.generation_id, member, protocol: Some(protocol.into()) };
        tracing::debug!(group = %self.cfg.group, member = %self.generation.member, generation = self.generation.id, "joined");
        (self.state, self.join_failures) = (State::Completing, 0);
        self.start_heartbeats(now);
        if answer.leader.as_str() != &*self.generation.member {
            self.sync = Some(self.sync_request(Vec::new()));
            return;
        }
        let member = |m: &kafka_protocol::messages::join_group_response::JoinGroupResponseMember| {
            let said = Subscription::decode(&m.metadata).unwrap_or_default();
            let instance = m.group_instance_id.as_ref().map(|i| Arc::from(i.as_str()));
            (Arc::from(m.member_id.as_str()), Member::new(assignor, instance, said))
        };
        let members: Members = answer.members.iter().map(member).collect();
        let topics = members.values().flat_map(|m| &m.topics).cloned().collect();
        self.assigning = Some(Assigning { assignor, members, topics, skip: answer.skip_assignment });
    }
    /// The leader shares out what it was asked to, once it knows the topics.
    pub fn assign(&mut self, topics: &Topics) {
        let Some(task) = self.assigning.take() else { return };
        let known: Topics = task.topics.iter().map(|t| (t.clone(), topics.get(t).copied().unwrap_or(0))).collect();
        let shares = if task.skip { BTreeMap::new() } else { assignor::assign(task.assignor, &known, &task.members) };
        let share = |(id, partitions): (Arc<str>, BTreeSet<TopicPartition>)| {
            SyncGroupRequestAssignment::default()
                .with_member_id(wire(&id))
                .with_assignment(protocol::encode_assignment(&partitions))
        };
        self.assigned_topics = Some(known);
        self.sync = Some(self.sync_request(shares.into_iter().map(share).collect()));
    }
    fn sync_request(&self, assignments: Vec<SyncGroupRequestAssignment>) -> SyncGroupRequest {
        SyncGroupRequest::default()
            .with_group_id(wire(&self.cfg.group).into())
            .with_generation_id(self.generation.id)
            .with_member_id(wire(&self.generation.member))
            .with_group_instance_id(self.cfg.instance.as_deref().map(wire))
            .with_protocol_type(Some(StrBytes::from_static_str(CONSUMER)))
            .with_protocol_name(self.generation.protocol.as_deref().map(wire))
            .with_assignments(assignments)
    }

    /// SyncGroup was answered; none if that was lost.
    pub fn synced(&mut self, now: Now, sent: &Generation, answer: Option<SyncGroupResponse>) {
        use ResponseError as E;
        if self.state != State::Completing || *sent != self.generation {
            return;
        }
        let Some(answer) = answer else {
            self.coordinator_lost("SyncGroup was lost");
            return self.join_failed(now, E::NetworkException);
        };
        match E::try_from_code(answer.error_code) {
            None => match protocol::decode_assignment(&answer.assignment) {
                Some(partitions) => {
                    (self.state, self.rejoin) = (State::Stable, false);
                    self.remembered = Some((partitions.clone(), self.generation.id));
                    (self.ready, self.joined) = (None, Some(partitions));
                    self.change();
                }
                None => self.join_failed(now, E::UnknownServerError),
            },
            Some(E::UnknownMemberId) => self.reset(true, "the coordinator does not know this member"),
            Some(E::IllegalGeneration) => self.reset(false, "illegal generation"),
            Some(error) => self.join_failed(now, error),
        }
    }

    /// Neither member nor expelled: it tries again, if that may help.
    fn join_failed(&mut self, now: Now, error: ResponseError) {
        use ResponseError as E;
        tracing::debug!(group = %self.cfg.group, member = %self.generation.member, ?error, "joining failed");
        self.state = State::Unjoined;
        (self.assigning, self.sync) = (None, None);
        self.request_rejoin("joining failed");
        self.change();
        match error {
            E::RebalanceInProgress => {}
            E::NotCoordinator | E::CoordinatorNotAvailable => self.coordinator_lost("it said so"),
            error if error.is_retriable() => {}
            error => self.fail(error),
        }
        if error != E::RebalanceInProgress {
            self.join_not_before_ns = now.after_ms(self.backoff_ms(self.join_failures));
            self.join_failures = self.join_failures.saturating_add(1);
        }
    }
}
