//! One consumer's membership of a group, classic protocol (Kafka's `AbstractCoordinator` and `ConsumerCoordinator`), as a state machine.
//!
//! Pure: time, answers and the application's wishes come in; what is to be asked leaves through [`Membership::next`].
//!
//! | state | means | left when |
//! |---|---|---|
//! | Unjoined | no member, or no longer | the application polls: JoinGroup is sent |
//! | Preparing | JoinGroup is on its way | it is answered *and* the application polls: SyncGroup is sent |
//! | Completing | SyncGroup is on its way | it is answered |
//! | Stable | it owns what it was assigned | a heartbeat, a commit or new metadata tells of a rebalance, and the application polls |
//!
//! Before JoinGroup is sent the application must have given up what it cannot keep ([`Membership::prepared`]); it takes what it is
//! assigned with [`Membership::take_joined`]. Heartbeats go on in Completing and Stable, whether it polls or not; but a member
//! that has not polled for max.poll.interval.ms leaves.

pub(super) mod next;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{
    ConsumerGroupHeartbeatRequest, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
    OffsetCommitRequest, OffsetFetchRequest, SyncGroupRequest,
};
use kafka_protocol::protocol::StrBytes;

use self::next::Next;
use super::assignor::Topics;
use super::joining::Assigning;
use super::offsets::Offsets;
use super::types::{CommitError, GroupMetadata, OffsetAndMetadata, Stamp};
use crate::base::random::Stream;
use crate::base::time::NANOS_PER_MS;
use crate::base::{BrokerId, Now, TopicPartition};
use crate::client::config::{AssignorName, ConsumerConfig, GroupProtocol, exponential_backoff_ms};

/// As whom a request was sent, and whether its answer still concerns anybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Generation {
    /// -1 if there is none.
    pub id: i32,
    /// Empty if there is none.
    pub member: Arc<str>,
    pub protocol: Option<Arc<str>>,
}

impl Generation {
    pub fn none() -> Self {
        Self { id: -1, member: "".into(), protocol: None }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Unjoined,
    Preparing,
    Completing,
    Stable,
}

/// The settings that concern the group.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub group: Arc<str>,
    pub instance: Option<Arc<str>>,
    pub session_timeout_ms: u32,
    pub heartbeat_interval_ms: u64,
    pub max_poll_interval_ms: u32,
    pub retry_backoff_ms: (u64, u64),
    pub assignors: Vec<AssignorName>,
    pub protocol: GroupProtocol,
    /// `group.remote.assignor`.
    pub remote_assignor: Option<Arc<str>>,
}

impl Settings {
    /// None without a group.id.
    pub fn of(cfg: &ConsumerConfig) -> Option<Self> {
        Some(Self {
            group: cfg.group_id.as_deref()?.into(),
            instance: cfg.group_instance_id.as_deref().map(Arc::from),
            session_timeout_ms: cfg.session_timeout_ms,
            heartbeat_interval_ms: cfg.heartbeat_interval_ms.into(),
            max_poll_interval_ms: cfg.max_poll_interval_ms,
            retry_backoff_ms: (cfg.common.retry_backoff_ms, cfg.common.retry_backoff_max_ms),
            assignors: cfg.partition_assignment_strategy.clone(),
            protocol: cfg.group_protocol,
            remote_assignor: cfg.group_remote_assignor.as_deref().map(Arc::from),
        })
    }
    /// Whether members keep what they own while they join: only if every assignor permits it (KIP-429).
    pub fn cooperative(&self) -> bool {
        self.assignors.iter().all(|a| *a == AssignorName::CooperativeSticky)
    }
}

/// What the coordinator is to be asked.
#[derive(Clone, Debug)]
pub(super) enum Ask {
    Join(JoinGroupRequest),
    Sync(SyncGroupRequest),
    Heartbeat(HeartbeatRequest),
    Leave(LeaveGroupRequest),
    /// Of the consumer protocol: it joins or stays.
    Beat(ConsumerGroupHeartbeatRequest),
    /// Of the consumer protocol: it leaves.
    LastBeat(ConsumerGroupHeartbeatRequest),
    Commit(u64, OffsetCommitRequest),
    Offsets(u64, OffsetFetchRequest),
}

#[derive(Debug)]
pub(super) enum Coordinator {
    /// `asked_ns`: when a broker was last asked, if its answer is still awaited.
    Unknown {
        asked_ns: Option<u64>,
        not_before_ns: u64,
        failures: u32,
    },
    At(BrokerId),
}

impl Coordinator {
    const UNKNOWN: Self = Self::Unknown { asked_ns: None, not_before_ns: 0, failures: 0 };
}

/// See the module.
pub(super) struct Membership {
    pub cfg: Settings,
    rng: Stream,
    pub state: State,
    pub generation: Generation,
    /// The last generation that was more than nothing.
    last: Generation,
    coordinator: Coordinator,
    /// The connection to who coordinated until now is to be closed.
    disconnect: Option<BrokerId>,
    /// The application is inside poll.
    pub polling: bool,
    pub topics: BTreeSet<Arc<str>>,
    /// The member must join anew.
    pub rejoin: bool,
    /// What the application still owns now that it is ready to join; none while it must give up something first.
    pub ready: Option<BTreeSet<TopicPartition>>,
    pub join_not_before_ns: u64,
    pub join_failures: u32,
    /// The answer to JoinGroup, none if it is lost, until the application polls.
    pub join_answer: Option<(Generation, Option<JoinGroupResponse>)>,
    /// The leader's task.
    pub assigning: Option<Assigning>,
    pub sync: Option<SyncGroupRequest>,
    /// What was assigned and not taken over yet.
    pub joined: Option<BTreeSet<TopicPartition>>,
    /// What the last assignment was, for members that own nothing when they join.
    pub remembered: Option<(BTreeSet<TopicPartition>, i32)>,
    /// Of a leader: the topics as they were when it assigned them.
    pub assigned_topics: Option<Topics>,
    pub heartbeat_ns: u64,
    pub heartbeat_asked: bool,
    pub session_ns: u64,
    pub poll_ns: u64,
    pub leaving: VecDeque<LeaveGroupRequest>,
    /// LeaveGroup requests without an answer.
    pub leaves: usize,
    /// What the application must be told.
    fatal: Option<ResponseError>,
    pub offsets: Offsets,
    /// With `group.protocol=consumer`.
    next: Option<Next>,
    /// Something happened that the application may wait for.
    changed: bool,
}

impl Membership {
    pub fn new(cfg: Settings, mut rng: Stream) -> Self {
        let next = (cfg.protocol == GroupProtocol::Consumer).then(|| Next::new(&mut rng));
        Self {
            next,
            cfg,
            rng,
            state: State::Unjoined,
            generation: Generation::none(),
            last: Generation::none(),
            coordinator: Coordinator::UNKNOWN,
            disconnect: None,
            polling: false,
            topics: BTreeSet::new(),
            rejoin: false,
            ready: None,
            join_not_before_ns: 0,
            join_failures: 0,
            join_answer: None,
            assigning: None,
            sync: None,
            joined: None,
            remembered: None,
            assigned_topics: None,
            heartbeat_ns: u64::MAX,
            heartbeat_asked: false,
            session_ns: u64::MAX,
            poll_ns: u64::MAX,
            leaving: VecDeque::new(),
            leaves: 0,
            fatal: None,
            offsets: Offsets::default(),
            changed: false,
        }
    }

    // The application's side.

    /// Takes part for these topics from the next poll on.
    pub fn subscribe(&mut self, topics: BTreeSet<Arc<str>>) {
        if topics != self.topics {
            self.topics = topics;
            // A member of the consumer protocol says so with its next heartbeat.
            if self.next.is_none() || self.state == State::Unjoined {
                self.request_rejoin("the subscription has changed");
            }
        }
    }
    /// The application polls; true if somebody has waited for that.
    pub fn poll(&mut self, now: Now) -> bool {
        self.poll_ns = now.after_ms(self.cfg.max_poll_interval_ms.into());
        let began = !std::mem::replace(&mut self.polling, true);
        began && (self.join_answer.is_some() || self.rejoin || self.wants_coordinator())
    }
    /// True if something waits that is only done while the application polls, and can be done now: to take in an answer to JoinGroup, to
    /// join, or to ask where the coordinator is.
    pub fn wants_poll(&self, now: Now) -> bool {
        let joins = self.may_join() && self.join_not_before_ns <= now.mono_ns;
        self.join_answer.is_some() || joins || self.find_ns().is_some_and(|at| at <= now.mono_ns)
    }
    /// The application has other things to do.
    pub fn poll_over(&mut self) {
        self.polling = false;
    }
    /// True if the application must give up what it cannot keep, and then say so with [`Self::prepared`].
    pub fn must_prepare(&self) -> bool {
        let known = matches!(self.coordinator, Coordinator::At(_));
        self.rejoin && self.ready.is_none() && self.joined.is_none() && known && !self.topics.is_empty()
    }
    /// True while there is a generation in which things can be given up in good order.
    pub fn is_member(&self) -> bool {
        self.generation.id >= 0 && !self.generation.member.is_empty()
    }
    /// The application owns only `owned` any more: JoinGroup may be sent.
    pub fn prepared(&mut self, owned: BTreeSet<TopicPartition>) {
        self.ready = Some(owned);
        (self.assigned_topics, self.assigning) = (None, None);
    }
    /// What this member was assigned, once.
    pub fn take_joined(&mut self) -> Option<BTreeSet<TopicPartition>> {
        self.joined.take()
    }
    /// An error that polling on may or may not cure; a fenced member stays one.
    pub fn take_fatal(&mut self) -> Option<ResponseError> {
        match self.fatal {
            Some(ResponseError::FencedInstanceId) => self.fatal,
            _ => self.fatal.take(),
        }
    }
    /// Another consumer runs under this group.instance.id.
    pub fn is_fenced(&self) -> bool {
        self.fatal == Some(ResponseError::FencedInstanceId)
    }
    pub fn metadata(&self) -> GroupMetadata {
        GroupMetadata {
            group_id: self.cfg.group.clone(),
            generation: self.generation.id,
            member_id: self.generation.member.clone(),
            group_instance_id: self.cfg.instance.clone(),
        }
    }
    pub fn stamp(&self, now: Now) -> Stamp {
        let of = if self.is_member() { &self.generation } else { &self.last };
        Stamp { member_id: of.member.clone(), generation: of.id, protocol: of.protocol.clone(), mono_ns: now.mono_ns }
    }
    /// Commits in the present generation, or outside of any if nothing is subscribed to. With `persist`, whatever may be cured
    /// by trying again is tried again.
    pub fn commit(
        &mut self,
        offsets: BTreeMap<TopicPartition, OffsetAndMetadata>,
        persist: bool,
    ) -> Result<u64, CommitError> {
        let generation = match self.state {
            _ if self.topics.is_empty() => Generation::none(),
            State::Stable => self.generation.clone(),
            State::Preparing | State::Completing => return Err(CommitError::RebalanceInProgress),
            State::Unjoined => return Err(CommitError::NotAMember),
        };
        Ok(self.offsets.commit(offsets, generation, persist))
    }
    // What the driver asks.

    pub fn coordinator(&self) -> Option<BrokerId> {
        match self.coordinator {
            Coordinator::At(id) => Some(id),
            Coordinator::Unknown { .. } => None,
        }
    }
    /// True once after something happened that the application may wait for.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }
    fn wants_coordinator(&self) -> bool {
        let joined = self.keeps_in_touch();
        let searching = matches!(self.coordinator, Coordinator::Unknown { .. });
        searching && (joined || self.polling && !self.topics.is_empty() || self.offsets.is_waiting())
    }
    /// When the coordinator is to be looked for; none if it need not be. A member does not wait for an answer that may never come,
    /// its session runs: it soon asks another broker (`HeartbeatThread` forgets the question after one pause and asks after the next).
    pub fn find_ns(&self) -> Option<u64> {
        let Coordinator::Unknown { asked_ns, not_before_ns, .. } = self.coordinator else { return None };
        let joined = self.keeps_in_touch();
        let pauses_ns = 2 * self.cfg.retry_backoff_ms.0 * NANOS_PER_MS;
        match asked_ns {
            _ if !self.wants_coordinator() => None,
            None => Some(not_before_ns),
            Some(at) => joined.then_some(at.saturating_add(pauses_ns)),
        }
    }
    /// A broker was asked where it is.
    pub fn finding(&mut self, now: Now) {
        if let Coordinator::Unknown { asked_ns, .. } = &mut self.coordinator {
            *asked_ns = Some(now.mono_ns);
        }
    }
    /// When [`Self::tick`] or [`Self::next`] will have something to do that only time brings, in monotonic ns.
    pub fn deadline_ns(&self, now: Now) -> u64 {
        let joined = matches!(self.state, State::Completing | State::Stable);
        let of_member = [self.heartbeat_ns, self.session_ns, if self.polling { u64::MAX } else { self.poll_ns }];
        let of_member = of_member.into_iter().filter(|_| joined && self.coordinator().is_some());
        let join = (self.may_join()).then_some(self.join_not_before_ns);
        let all = of_member.chain(join).chain(self.find_ns()).chain(self.offsets.not_before_ns());
        all.filter(|at| *at > now.mono_ns).min().unwrap_or(u64::MAX)
    }
    fn may_join(&self) -> bool {
        let idle = !matches!(self.state, State::Preparing | State::Completing) && self.joined.is_none();
        idle && self.rejoin && self.ready.is_some() && self.polling && self.fatal.is_none() && !self.topics.is_empty()
    }
    /// The next question to the coordinator, if there is one: it counts as sent, and [`Self::lost`] tells if it could not be.
    pub fn next(&mut self, now: Now) -> Option<Ask> {
        self.coordinator()?;
        if let Some(request) = self.leaving.pop_front() {
            return Some(Ask::Leave(request));
        }
        if let Some(request) = self.next.as_mut().and_then(|next| next.leaving.pop_front()) {
            return Some(Ask::LastBeat(request));
        }
        if let Some(request) = self.sync.take() {
            return Some(Ask::Sync(request));
        }
        if let Some((id, request)) = self.offsets.next_commit(now, &self.cfg) {
            return Some(Ask::Commit(id, request));
        }
        if self.may_join() && self.join_not_before_ns <= now.mono_ns {
            return if self.next.is_some() { self.join_next(now).map(Ask::Beat) } else { self.join().map(Ask::Join) };
        }
        let member = (self.next.is_some() && self.is_member()).then_some(&self.generation);
        if let Some((id, request)) = self.offsets.next_query(now, &self.cfg.group, member) {
            return Some(Ask::Offsets(id, request));
        }
        if self.next.is_some() {
            return self.beat_due(now).map(Ask::Beat);
        }
        let joined = matches!(self.state, State::Completing | State::Stable);
        (joined && !self.heartbeat_asked && self.heartbeat_ns <= now.mono_ns)
            .then(|| Ask::Heartbeat(self.heartbeat(now)))
    }
    // What the answers say.

    /// Where the coordinator is, or why nobody knows.
    pub fn found(&mut self, now: Now, answer: Result<BrokerId, ResponseError>) {
        let Coordinator::Unknown { failures, .. } = self.coordinator else { return };
        match answer {
            Ok(id) => {
                tracing::debug!(group = %self.cfg.group, coordinator = %id, "coordinator found");
                self.coordinator = Coordinator::At(id);
                // The silence until now was not its own.
                self.session_ns = now.after_ms(self.cfg.session_timeout_ms.into());
                self.heartbeat_asked = false;
                self.changed = true;
            }
            Err(error) => {
                let not_before_ns = now.after_ms(self.backoff_ms(failures));
                self.coordinator =
                    Coordinator::Unknown { asked_ns: None, not_before_ns, failures: failures.saturating_add(1) };
                if error.is_retriable() {
                    self.changed |= self.offsets.give_up_impatient(error);
                } else {
                    self.fail(error);
                }
            }
        }
    }
    /// The coordinator is gone, or is none any more. Nothing that it was asked will be answered: its connection is to be closed
    /// (`markCoordinatorUnknown`).
    pub fn coordinator_lost(&mut self, why: &str) {
        if let Coordinator::At(id) = self.coordinator {
            tracing::debug!(group = %self.cfg.group, why, "coordinator unknown");
            self.coordinator = Coordinator::UNKNOWN;
            self.disconnect = Some(id);
            // Nobody looks for a coordinator only to leave it.
            self.leaves -= self.leaving.len();
            self.leaving.clear();
            if let Some(next) = &mut self.next {
                self.leaves -= next.leaving.len();
                next.leaving.clear();
            }
        }
    }
    /// There is no connection to the coordinator, and for a moment none may be tried.
    pub fn coordinator_unavailable(&mut self, now: Now) {
        self.coordinator_lost("its connection is gone");
        let not_before_ns = now.after_ms(self.backoff_ms(0));
        self.coordinator = Coordinator::Unknown { asked_ns: None, not_before_ns, failures: 0 };
    }
    /// Whose connection is to be closed, once.
    pub fn take_disconnect(&mut self) -> Option<BrokerId> {
        self.disconnect.take()
    }
    /// Topics as the metadata shows them: the leader has everybody join anew if they differ from what it assigned.
    pub fn saw_topics(&mut self, topics: &Topics) {
        let Some(assigned) = &self.assigned_topics else { return };
        if self.state == State::Stable && assigned.iter().any(|(name, count)| topics.get(name).unwrap_or(&0) != count) {
            self.request_rejoin("topics have changed");
        }
    }

    // Steps that several of the above share.

    pub fn request_rejoin(&mut self, why: &str) {
        if !self.rejoin {
            tracing::debug!(group = %self.cfg.group, member = %self.generation.member, why, "joins anew");
            (self.rejoin, self.changed) = (true, true);
        }
    }
    /// This member is none any more: it joins anew, with its old id if that may still be known (KAFKA-12983).
    pub fn reset(&mut self, forget_id: bool, why: &str) {
        tracing::debug!(group = %self.cfg.group, member = %self.generation.member, why, "membership is over");
        if self.is_member() {
            self.last = self.generation.clone();
            if let Some(next) = &mut self.next {
                next.fenced = true;
            }
        }
        let member = if forget_id { "".into() } else { self.generation.member.clone() };
        self.generation = Generation { member, ..Generation::none() };
        self.state = State::Unjoined;
        (self.ready, self.joined, self.join_answer) = (None, None, None);
        (self.assigning, self.sync, self.assigned_topics) = (None, None, None);
        (self.rejoin, self.changed) = (!self.topics.is_empty(), true);
    }
    pub fn fail(&mut self, error: ResponseError) {
        tracing::debug!(group = %self.cfg.group, ?error, "the application is told");
        if self.fatal != Some(ResponseError::FencedInstanceId) {
            self.fatal = Some(error);
        }
        if error == ResponseError::FencedInstanceId {
            self.state = State::Unjoined;
        }
        self.changed = true;
    }
    pub fn change(&mut self) {
        self.changed = true;
    }
    pub fn backoff_ms(&mut self, failures: u32) -> u64 {
        let (base, max) = self.cfg.retry_backoff_ms;
        exponential_backoff_ms(base, max, failures, &mut self.rng)
    }
}

pub(super) fn wire(s: &str) -> StrBytes {
    StrBytes::from_string(s.to_owned())
}
