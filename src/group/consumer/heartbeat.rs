//! ConsumerGroupHeartbeat of a member that joins or stays (`GroupMetadataManager.consumerGroupHeartbeat`).
//!
//! In two things it does more than Kafka's coordinator, because a request to join may come late, after its retry was answered. What is
//! assigned by it would be told over a connection that nobody reads any more, and Kafka tells a member only of changes: here it is told
//! again until it has said that it owns exactly that. And such a request says that the member owns nothing, which Kafka takes for an
//! acknowledgement that it has given up what it must: here a repeated request to join says nothing of what the member owns.

use std::collections::BTreeSet;
use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::consumer_group_heartbeat_response::{Assignment, TopicPartitions};
use kafka_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};

use super::{ConsumerGroup, ConsumerMember, JOIN, LEAVE, LEAVE_FOR_A_WHILE, MemberState, Partitions, records};
use crate::base::marks::{Mark, mark};
use crate::group::config::GroupConfig;
use crate::group::turn::Turn;
use crate::group::types::{Caller, text, wire};
use crate::wire::records::consumer_groups::ConsumerGroupRecord as Record;

/// From this version on members choose their ids themselves (KIP-1082).
const OWN_MEMBER_ID: i16 = 1;

/// Why a request is refused, and in words.
pub(super) type Refusal = (ResponseError, &'static str);

/// Looks at what can be judged without knowing the group (`throwIfConsumerGroupHeartbeatRequestIsInvalid`).
pub(super) fn check(cfg: &GroupConfig, r: &ConsumerGroupHeartbeatRequest, version: i16) -> Result<(), Refusal> {
    let first = r.member_epoch == JOIN;
    let leaves = matches!(r.member_epoch, LEAVE | LEAVE_FOR_A_WHILE);
    let empty = |text: &Option<_>| text.as_ref().is_some_and(|t: &kafka_protocol::protocol::StrBytes| t.is_empty());
    let rules = [
        (r.group_id.is_empty(), "GroupId can't be empty."),
        (empty(&r.instance_id), "InstanceId can't be empty."),
        (empty(&r.rack_id), "RackId can't be empty."),
        (r.subscribed_topic_regex.is_some(), "SubscribedTopicRegex is not supported."),
        (r.member_id.is_empty() && (version >= OWN_MEMBER_ID || !first), "MemberId can't be empty."),
        (!first && !leaves && r.member_epoch < JOIN, "MemberEpoch is invalid."),
        (first && r.rebalance_timeout_ms == -1, "RebalanceTimeoutMs must be provided in first request."),
        (
            first && r.topic_partitions.as_ref().is_none_or(|owned| !owned.is_empty()),
            "TopicPartitions must be empty when (re-)joining.",
        ),
        (
            first && r.subscribed_topic_names.as_ref().is_none_or(Vec::is_empty),
            "SubscribedTopicNames must be set in first request.",
        ),
        (
            r.member_epoch == LEAVE_FOR_A_WHILE && r.instance_id.is_none(),
            "InstanceId can't be null when a static member leaves for a while.",
        ),
    ];
    if let Some((_, why)) = rules.iter().find(|(broken, _)| *broken) {
        return Err((ResponseError::InvalidRequest, why));
    }
    match &r.server_assignor {
        Some(name) if cfg.assignors.find(name).is_none() => {
            Err((ResponseError::UnsupportedAssignor, "ServerAssignor is not among group.consumer.assignors."))
        }
        _ => Ok(()),
    }
}

pub(super) fn owned(r: &ConsumerGroupHeartbeatRequest) -> Option<Partitions> {
    let topics = r.topic_partitions.as_ref()?;
    Some(topics.iter().flat_map(|t| t.partitions.iter().map(|p| (t.topic_id, *p))).collect())
}

/// Partitions in words.
fn listed(partitions: &Partitions) -> String {
    let one = |(topic, partition): &(crate::base::TopicId, i32)| format!("{topic}-{partition}");
    partitions.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// What the member is given, for the answer.
fn told(partitions: &Partitions) -> Assignment {
    let mut topics: Vec<TopicPartitions> = Vec::new();
    for (topic, partition) in partitions {
        if topics.last().is_none_or(|t| t.topic_id != *topic) {
            topics.push(TopicPartitions::default().with_topic_id(*topic));
        }
        topics.last_mut().expect("a topic was opened").partitions.push(*partition);
    }
    Assignment::default().with_topic_partitions(topics)
}

impl ConsumerGroup {
    /// A member joins or stays. Refused, nothing has changed; otherwise the group is as the records that are returned make it.
    pub fn beat(
        &mut self,
        group: &Arc<str>,
        turn: &mut Turn<'_>,
        caller: &Caller,
        r: &ConsumerGroupHeartbeatRequest,
    ) -> Result<(Vec<Record>, ConsumerGroupHeartbeatResponse), Refusal> {
        let mut id = text(&r.member_id);
        if self.members.len() >= turn.cfg.consumer_max_size && !self.members.contains_key(&id) {
            return Err((ResponseError::GroupMaxSizeReached, "The consumer group has reached its maximum capacity."));
        }
        if id.is_empty() {
            let bits = uuid::Uuid::from_u64_pair(turn.random.next_u64(), turn.random.next_u64());
            id = uuid::Builder::from_bytes(bits.into_bytes()).into_uuid().to_string().into();
        }
        let repeats = r.member_epoch == JOIN && self.members.get(&id).is_some_and(|member| member.epoch > JOIN);
        let owned = owned(r);
        let (known, mut out) = self.find(group, &id, r, owned.as_ref())?;
        out.iter().for_each(|record| self.apply(record));
        self.subscribe(group, turn, caller, r, &known, &mut out);
        if self.epoch > self.assignment_epoch {
            out.extend(self.retarget(group, turn.cfg));
        }
        let owned = owned.filter(|_| !repeats);
        let before = self.members[&id].clone();
        let after = self.reconcile(group, turn, before.clone(), owned.as_ref(), &mut out);
        let full = r.member_epoch == JOIN
            || r.rebalance_timeout_ms != -1 && r.subscribed_topic_names.is_some() && owned.is_some();
        let acknowledged = match &owned {
            Some(owned) => *owned == after.assigned,
            None => before.acknowledged && before.assigned == after.assigned,
        };
        if let Some(member) = self.members.get_mut(&id) {
            member.acknowledged = acknowledged;
        }
        let assignment = (full || !acknowledged).then(|| told(&after.assigned));
        let answer = ConsumerGroupHeartbeatResponse::default()
            .with_member_id(Some(wire(&id)))
            .with_member_epoch(after.epoch)
            .with_heartbeat_interval_ms(turn.cfg.consumer_heartbeat_interval_ms)
            .with_assignment(assignment);
        Ok((out, answer))
    }

    /// The member that speaks, new or known; with the records by which a static member takes its predecessor's place.
    fn find(
        &self,
        group: &Arc<str>,
        id: &Arc<str>,
        r: &ConsumerGroupHeartbeatRequest,
        owned: Option<&Partitions>,
    ) -> Result<(ConsumerMember, Vec<Record>), Refusal> {
        let joins = r.member_epoch == JOIN;
        let known = self.members.get(id);
        let Some(instance) = r.instance_id.as_deref() else {
            let Some(member) = known else {
                let unknown = (ResponseError::UnknownMemberId, "Member is not a member of the group.");
                return if joins { Ok((ConsumerMember::new(id.clone()), Vec::new())) } else { Err(unknown) };
            };
            check_epoch(member, r.member_epoch, owned)?;
            return Ok((member.clone(), Vec::new()));
        };
        let of_instance = self.statics.get(instance).and_then(|id| self.members.get(id));
        match of_instance {
            None if joins => Ok((known.cloned().unwrap_or_else(|| ConsumerMember::new(id.clone())), Vec::new())),
            None => Err((ResponseError::UnknownMemberId, "Instance id is unknown.")),
            // The same process asks again because the answer to its first question was lost.
            Some(member) if joins && member.id == *id && member.epoch != LEAVE_FOR_A_WHILE => {
                check_epoch(member, r.member_epoch, owned)?;
                Ok((member.clone(), Vec::new()))
            }
            Some(member) if joins && member.epoch != LEAVE_FOR_A_WHILE => {
                Err((ResponseError::UnreleasedInstanceId, "The instance id is owned by another member."))
            }
            Some(member) if joins => {
                let new = ConsumerMember { id: id.clone(), epoch: JOIN, previous_epoch: JOIN, ..member.clone() };
                let target = self.targets.get(&member.id).cloned().unwrap_or_default();
                let mut out: Vec<Record> = records::gone(group, &member.id).into();
                out.push(records::member(group, &new));
                out.push(records::target(group, id, &target));
                out.push(records::current(group, &new));
                Ok((new, out))
            }
            Some(member) if member.id != *id => {
                Err((ResponseError::FencedInstanceId, "Another member has this instance id."))
            }
            Some(member) => {
                check_epoch(member, r.member_epoch, owned)?;
                Ok((member.clone(), Vec::new()))
            }
        }
    }

    /// Takes in what the member says of itself; what it or the cluster has changed raises the group epoch.
    fn subscribe(
        &mut self,
        group: &Arc<str>,
        turn: &Turn<'_>,
        caller: &Caller,
        r: &ConsumerGroupHeartbeatRequest,
        known: &ConsumerMember,
        out: &mut Vec<Record>,
    ) {
        let mut member = known.clone();
        (member.client_id, member.client_host) = (caller.client_id.clone(), caller.host.clone());
        member.instance = r.instance_id.as_ref().map(text).or(member.instance);
        member.rack = r.rack_id.as_ref().map(text).or(member.rack);
        member.assignor = r.server_assignor.as_ref().map(text).or(member.assignor);
        if r.rebalance_timeout_ms != -1 {
            member.rebalance_timeout_ms = r.rebalance_timeout_ms;
        }
        if let Some(topics) = &r.subscribed_topic_names {
            member.topics = topics.iter().map(|name| text(&name.0)).collect::<BTreeSet<_>>();
        }
        let from = out.len();
        if member != *known || !self.members.contains_key(&member.id) {
            out.push(records::member(group, &member));
        }
        out[from..].iter().for_each(|record| self.apply(record));
        let topics = self.known(turn.topics);
        let from = out.len();
        if topics != self.topics {
            out.push(records::topics(group, &topics));
        }
        if topics != self.topics || member.topics != known.topics {
            out.push(records::epoch(group, self.epoch + 1));
        }
        out[from..].iter().for_each(|record| self.apply(record));
    }

    /// The member's next step towards its target; its session begins anew.
    fn reconcile(
        &mut self,
        group: &Arc<str>,
        turn: &Turn<'_>,
        before: ConsumerMember,
        owned: Option<&Partitions>,
        out: &mut Vec<Record>,
    ) -> ConsumerMember {
        let none = Partitions::new();
        let mut after = before.clone();
        if !before.is_reconciled_to(self.assignment_epoch) {
            after = self.reconciled(&before, self.targets.get(&before.id).unwrap_or(&none), owned);
        }
        if after != before {
            match after.state {
                MemberState::UnrevokedPartitions => mark(Mark::AskedToRevoke),
                MemberState::UnreleasedPartitions => mark(Mark::WaitsForRelease),
                MemberState::Stable | MemberState::Unknown => {}
            }
            tracing::debug!(
                %group,
                member = %after.id,
                epoch = after.epoch,
                state = ?after.state,
                assigned = %listed(&after.assigned),
                revoking = %listed(&after.revoking),
                "a member of the consumer protocol goes on"
            );
            let record = records::current(group, &after);
            self.apply(&record);
            out.push(record);
            let timeout_ms = u64::try_from(after.rebalance_timeout_ms).unwrap_or(0);
            let revokes = after.state == MemberState::UnrevokedPartitions;
            after.revoke_by = revokes.then(|| (after.epoch, turn.now.after_ms(timeout_ms)));
        }
        after.session_ns = turn.now.after_ms(turn.cfg.consumer_session_timeout_ms);
        if let Some(member) = self.members.get_mut(&after.id) {
            (member.session_ns, member.revoke_by) = (after.session_ns, after.revoke_by);
        }
        after
    }
}

/// A member speaks in its own epoch, or in the one before if the answer that told of the present one may have been lost
/// (`throwIfConsumerGroupMemberEpochIsInvalid`).
fn check_epoch(member: &ConsumerMember, epoch: i32, owned: Option<&Partitions>) -> Result<(), Refusal> {
    let repeats = || epoch == member.previous_epoch && owned.is_some_and(|owned| owned.is_subset(&member.assigned));
    match epoch.cmp(&member.epoch) {
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Less if repeats() => Ok(()),
        _ => {
            mark(Mark::EpochFenced);
            let why = "The member epoch is not the one that the coordinator knows: the member must abandon its partitions and rejoin.";
            Err((ResponseError::FencedMemberEpoch, why))
        }
    }
}
