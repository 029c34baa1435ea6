//! The membership of a consumer with `group.protocol=consumer` (KIP-848; Kafka's `ConsumerMembershipManager` and
//! `ConsumerHeartbeatRequestManager`): one heartbeat that joins, stays, acknowledges and leaves.
//!
//! | state | means | left when |
//! |---|---|---|
//! | Unjoined | no member, or no longer; what was owned is lost | the application polls and owns nothing any more: epoch 0 is sent |
//! | Preparing | that is on its way | it is answered |
//! | Stable | a member: it is told what to own, owns it step by step, and says so | it is fenced, leaves, or has not polled for max.poll.interval.ms |
//!
//! The application owns what [`Membership::told`] says once it has called [`Membership::reconciled`]; until then it answers for what
//! it owned before.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use kafka_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};

use super::{Generation, Membership, State, wire};
use crate::base::random::Stream;
use crate::base::{Now, TopicId, TopicPartition};

/// What stands in the place of an assignor's name in a stamp.
const PROTOCOL: &str = "consumer";
/// The member epochs that join, leave, and leave for a while.
const JOIN: i32 = 0;
const LEAVE: i32 = -1;
const LEAVE_FOR_A_WHILE: i32 = -2;

type Partitions = BTreeSet<(TopicId, i32)>;

/// What a membership of the consumer protocol knows beside the rest.
#[derive(Debug)]
pub(in crate::client::consumer::group) struct Next {
    /// Chosen by the consumer itself, for its whole life (KIP-1082).
    id: Arc<str>,
    interval_ms: u64,
    /// What the coordinator said last that this member shall own.
    target: Option<Partitions>,
    /// What the application owns.
    owned: Partitions,
    /// Something was told that the application has not heard of: another epoch, or another target.
    news: bool,
    names: BTreeMap<TopicId, Arc<str>>,
    /// It was a member and is none any more, and the application has not heard of it.
    pub(super) fenced: bool,
    /// A topic of the target has no name yet.
    asks_names: bool,
    sent: Sent,
    pub(super) leaving: VecDeque<ConsumerGroupHeartbeatRequest>,
}

/// What the coordinator has been told and need not be told again; forgotten when an answer does not come.
#[derive(Debug, Default)]
struct Sent {
    settings: bool,
    topics: Option<BTreeSet<Arc<str>>>,
    owned: Option<Partitions>,
}

impl Next {
    pub fn new(rng: &mut Stream) -> Self {
        let bits = uuid::Uuid::from_u64_pair(rng.next_u64(), rng.next_u64());
        Self {
            id: uuid::Builder::from_random_bytes(bits.into_bytes()).into_uuid().to_string().into(),
            interval_ms: 0,
            target: None,
            owned: Partitions::new(),
            news: false,
            names: BTreeMap::new(),
            fenced: false,
            asks_names: false,
            sent: Sent::default(),
            leaving: VecDeque::new(),
        }
    }
}

impl Membership {
    /// True if the coordinator is to be kept in touch with even while the application does not poll.
    pub(super) fn keeps_in_touch(&self) -> bool {
        let joins = self.state == State::Preparing && self.next.is_some();
        joins || matches!(self.state, State::Completing | State::Stable)
    }
    fn beat(&mut self) -> Option<ConsumerGroupHeartbeatRequest> {
        let joins = self.state != State::Stable;
        let epoch = if joins { JOIN } else { self.generation.id };
        let next = self.next.as_mut()?;
        let sent = std::mem::take(&mut next.sent);
        let mut r = ConsumerGroupHeartbeatRequest::default()
            .with_group_id(wire(&self.cfg.group).into())
            .with_member_id(wire(&next.id))
            .with_member_epoch(epoch)
            .with_instance_id(self.cfg.instance.as_deref().map(wire));
        if joins || !sent.settings {
            r.rebalance_timeout_ms = self.cfg.max_poll_interval_ms as i32;
            r.server_assignor = self.cfg.remote_assignor.as_deref().map(wire);
        }
        if joins || sent.topics.as_ref() != Some(&self.topics) {
            r.subscribed_topic_names = Some(self.topics.iter().map(|name| wire(name).into()).collect());
        }
        if joins || sent.owned.as_ref() != Some(&next.owned) {
            r.topic_partitions = Some(on_the_wire(&next.owned));
        }
        next.sent = Sent { settings: true, topics: Some(self.topics.clone()), owned: Some(next.owned.clone()) };
        self.heartbeat_asked = true;
        Some(r)
    }
    /// The application owns nothing, and wants to take part.
    pub(super) fn join_next(&mut self, now: Now) -> Option<ConsumerGroupHeartbeatRequest> {
        self.state = State::Preparing;
        self.poll_ns = now.after_ms(self.cfg.max_poll_interval_ms.into());
        let next = self.next.as_mut()?;
        (next.owned, next.target, next.sent) = (Partitions::new(), None, Sent::default());
        self.beat()
    }
    /// A heartbeat that is due.
    pub(super) fn beat_due(&mut self, now: Now) -> Option<ConsumerGroupHeartbeatRequest> {
        if self.state != State::Stable || self.heartbeat_asked || self.heartbeat_ns > now.mono_ns {
            return None;
        }
        self.heartbeat_ns = now.after_ms(self.next.as_ref()?.interval_ms);
        self.beat()
    }
    /// The application has not polled for too long: it leaves, and what it owned is lost.
    pub(in crate::client::consumer::group) fn tick_next(&mut self, now: Now) {
        if self.keeps_in_touch() && self.coordinator().is_some() && self.poll_ns <= now.mono_ns && !self.polling {
            self.leave("consumer poll timeout has expired.");
        }
    }
    /// The heartbeat by which it leaves; true if this is a membership of that protocol.
    pub(in crate::client::consumer::group) fn leave_next(&mut self) -> bool {
        let known = self.coordinator().is_some() && self.state != State::Unjoined;
        let epoch = if self.cfg.instance.is_some() { LEAVE_FOR_A_WHILE } else { LEAVE };
        let Some(next) = &mut self.next else { return false };
        if known {
            let r = ConsumerGroupHeartbeatRequest::default()
                .with_group_id(wire(&self.cfg.group).into())
                .with_member_id(wire(&next.id))
                .with_member_epoch(epoch)
                .with_instance_id(self.cfg.instance.as_deref().map(wire));
            next.leaving.push_back(r);
            self.leaves += 1;
        }
        true
    }

    /// A heartbeat was answered; none if the answer is lost.
    pub fn beat_answered(&mut self, now: Now, sent: &Generation, answer: Option<&ConsumerGroupHeartbeatResponse>) {
        use ResponseError as E;
        let joins = self.state == State::Preparing;
        let current = *sent == self.generation && (joins || self.state == State::Stable);
        if current {
            self.heartbeat_asked = false;
        }
        let error = match answer {
            None => Some(E::NetworkException),
            Some(answer) => E::try_from_code(answer.error_code),
        };
        match (error, answer) {
            (None, Some(answer)) if current => self.beat_succeeded(now, answer),
            (None, _) => tracing::debug!(group = %self.cfg.group, "an answer to a former self is passed over"),
            (Some(error), _) => {
                if matches!(error, E::NetworkException | E::NotCoordinator | E::CoordinatorNotAvailable) {
                    self.coordinator_lost("a heartbeat was lost or refused");
                }
                if current {
                    self.beat_failed(now, error, joins);
                }
            }
        }
    }
    fn beat_succeeded(&mut self, now: Now, answer: &ConsumerGroupHeartbeatResponse) {
        let before = self.generation.clone();
        let Some(next) = &mut self.next else { return };
        next.interval_ms = u64::try_from(answer.heartbeat_interval_ms).unwrap_or(0);
        if let Some(given) = &answer.assignment {
            let given = given.topic_partitions.iter();
            let target: Partitions = given.flat_map(|t| t.partitions.iter().map(|p| (t.topic_id, *p))).collect();
            tracing::debug!(group = %self.cfg.group, member = %next.id, epoch = answer.member_epoch, ?target, "told what to own");
            next.asks_names = target.iter().any(|(topic, _)| !next.names.contains_key(topic));
            // What it knows already changes nothing (`LocalAssignment.updateWith`).
            next.news |= next.target.as_ref() != Some(&target);
            next.target = Some(target);
        }
        next.news |= before.id != answer.member_epoch;
        self.changed |= next.news;
        let (id, protocol) = (answer.member_epoch, Some(PROTOCOL.into()));
        self.generation = Generation { id, member: next.id.clone(), protocol };
        // It was a member all the time: what it has asked for holds in its new epoch.
        self.offsets.raise(&before, &self.generation);
        if self.state == State::Preparing {
            tracing::debug!(group = %self.cfg.group, member = %self.generation.member, epoch = id, "joined");
            self.heartbeat_ns = now.after_ms(self.next.as_ref().map_or(0, |n| n.interval_ms));
        }
        (self.state, self.rejoin, self.ready, self.join_failures) = (State::Stable, false, None, 0);
    }
    fn beat_failed(&mut self, now: Now, error: ResponseError, joins: bool) {
        use ResponseError as E;
        tracing::debug!(group = %self.cfg.group, member = %self.generation.member, ?error, "a heartbeat failed");
        if let Some(next) = &mut self.next {
            next.sent = Sent::default();
        }
        let backoff_ms = self.backoff_ms(self.join_failures);
        match error {
            E::FencedMemberEpoch | E::UnknownMemberId if !joins => self.reset(false, "the member was fenced"),
            E::FencedMemberEpoch | E::UnknownMemberId => {}
            E::NotCoordinator | E::CoordinatorNotAvailable if !joins => self.heartbeat_ns = now.mono_ns,
            error if error.is_retriable() => self.heartbeat_ns = now.after_ms(backoff_ms),
            error => {
                if !joins {
                    self.reset(false, "the coordinator refuses it for good");
                }
                self.fail(error);
            }
        }
        if joins {
            // It tries again; with FENCED_MEMBER_EPOCH until the session of its former self is over.
            self.state = State::Unjoined;
            self.join_not_before_ns = now.after_ms(backoff_ms);
            self.join_failures = self.join_failures.saturating_add(1);
            self.change();
        }
    }

    /// The names of topics, as the metadata shows them.
    pub fn saw_names(&mut self, topics: impl Iterator<Item = (TopicId, Arc<str>)>) {
        let Some(next) = &mut self.next else { return };
        next.names.extend(topics);
        let target = next.target.iter().flatten();
        let unnamed = target.filter(|(topic, _)| !next.names.contains_key(topic)).count();
        next.asks_names = unnamed > 0;
        self.changed = true;
    }
    /// True once after a membership of this protocol has ended.
    pub fn take_fenced(&mut self) -> bool {
        self.next.as_mut().is_some_and(|next| std::mem::take(&mut next.fenced))
    }
    /// True once if newer metadata is needed to name the topics of the target.
    pub fn take_asks_names(&mut self) -> bool {
        self.next.as_mut().is_some_and(|next| std::mem::take(&mut next.asks_names))
    }
    /// What the application shall own, as far as the names of topics are known; none if nothing is to be done.
    pub fn told(&self, owned: &BTreeSet<TopicPartition>) -> Option<BTreeSet<TopicPartition>> {
        let next = self.next.as_ref().filter(|_| self.state == State::Stable)?;
        let target = next.target.as_ref()?;
        let named = |(topic, p): &(TopicId, i32)| Some(TopicPartition::new(next.names.get(topic)?.clone(), *p));
        let target: BTreeSet<_> = target.iter().filter_map(named).collect();
        (next.news || target != *owned).then_some(target)
    }
    /// The application owns exactly this from now on, and nothing else any more: the coordinator is told at once.
    pub fn reconciled(&mut self, now: Now, owned: &BTreeSet<TopicPartition>) {
        let Some(next) = &mut self.next else { return };
        let ids: BTreeMap<&Arc<str>, TopicId> = next.names.iter().map(|(id, name)| (name, *id)).collect();
        let id = |tp: &TopicPartition| Some((*ids.get(&tp.topic)?, tp.partition));
        let owned: Partitions = owned.iter().filter_map(id).collect();
        next.news = false;
        if owned != next.owned {
            next.owned = owned;
            self.heartbeat_ns = now.mono_ns;
        }
    }
}

fn on_the_wire(partitions: &Partitions) -> Vec<TopicPartitions> {
    let mut topics: Vec<TopicPartitions> = Vec::new();
    for (topic, partition) in partitions {
        if topics.last().is_none_or(|t| t.topic_id != *topic) {
            topics.push(TopicPartitions::default().with_topic_id(*topic));
        }
        topics.last_mut().expect("a topic was opened").partitions.push(*partition);
    }
    topics
}
