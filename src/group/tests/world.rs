//! A coordinator, its log, and members that behave as consumers do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, OffsetCommitRequest, SyncGroupRequest,
};

use crate::base::random::Stream;
use crate::base::{Now, TopicPartition};
use crate::group::classic::State;
use crate::group::tests::journal::Journal;
use crate::group::types::wire;
use crate::group::{Caller, Coordinator, GroupConfig, Output, Reply, Ticket};
use crate::wire::records::groups::{GroupKey, GroupMetadataValue, OffsetCommitValue};

pub const GROUP: &str = "billing";
pub const SESSION_MS: u64 = 10_000;
pub const HEARTBEAT_MS: u64 = 3_000;
pub const PARTITIONS: usize = 6;
/// `ConsumerProtocolSubscription` version 0: one topic, no user data.
const SUBSCRIPTION: &[u8] = b"\0\0\0\0\0\x01\0\x06orders\xff\xff\xff\xff";

/// What a member is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    Absent,
    Wants,
    Joining(Ticket),
    Syncing(Ticket),
    Owning,
}

#[derive(Clone, Debug)]
pub struct Consumer {
    pub doing: Doing,
    pub id: String,
    pub instance: Option<String>,
    pub generation: i32,
    pub owns: Bytes,
    pub paused: bool,
    pub next_beat_ms: u64,
}

pub struct World {
    pub now_ms: u64,
    /// How far the wall clock is ahead.
    pub wall_ahead_ms: i64,
    /// `offsets.retention.minutes`, in ms, of coordinators to come.
    pub offsets_retention_ms: i64,
    pub coordinator: Coordinator,
    pub consumers: Vec<Consumer>,
    pub log: Journal,
    /// Nothing more is committed while this holds.
    pub stuck: bool,
    /// Appends are refused.
    pub refusing: bool,
    pub open: BTreeMap<Ticket, usize>,
    pub commits: BTreeMap<Ticket, (TopicPartition, i64)>,
    /// Commits that were answered well, in order.
    pub acked: Vec<(TopicPartition, i64)>,
    /// Every share that was ever given out, by generation.
    pub shares: BTreeMap<i32, BTreeMap<String, Bytes>>,
    next_ticket: u64,
    next_offset: i64,
    lives: u64,
}

impl World {
    pub fn new(consumers: usize, statics: usize) -> Self {
        let consumer = |i| Consumer {
            doing: Doing::Absent,
            id: String::new(),
            instance: (i < statics).then(|| format!("instance-{i}")),
            generation: -1,
            owns: Bytes::new(),
            paused: false,
            next_beat_ms: 0,
        };
        let now = Now::default();
        Self {
            now_ms: 0,
            wall_ahead_ms: 0,
            offsets_retention_ms: GroupConfig::default().offsets_retention_ms,
            coordinator: Coordinator::new(GroupConfig::default(), Stream::new(0, "members"), now),
            consumers: (0..consumers).map(consumer).collect(),
            log: Journal::default(),
            stuck: false,
            refusing: false,
            open: BTreeMap::new(),
            commits: BTreeMap::new(),
            acked: Vec::new(),
            shares: BTreeMap::new(),
            next_ticket: 0,
            next_offset: 0,
            lives: 0,
        }
    }
    pub fn now(&self) -> Now {
        Now { mono_ns: self.now_ms * 1_000_000, wall_ms: self.now_ms as i64 + self.wall_ahead_ms }
    }
    pub fn state(&self) -> Option<(State, i32)> {
        self.coordinator.state(GROUP)
    }
    fn ticket(&mut self, who: usize) -> Ticket {
        self.next_ticket += 1;
        self.open.insert(Ticket(self.next_ticket), who);
        Ticket(self.next_ticket)
    }

    /// Lets time pass in steps of 100 ms.
    pub fn run_ms(&mut self, ms: u64) {
        for _ in 0..ms / 100 {
            self.now_ms += 100;
            if self.coordinator.next_deadline() <= self.now().mono_ns {
                let mut out = Vec::new();
                self.coordinator.tick(self.now(), &mut out);
                self.take(out);
            }
            for who in 0..self.consumers.len() {
                self.act(who);
            }
            if !self.stuck {
                self.commit_log();
            }
        }
    }
    /// The high watermark reaches the end of the log.
    pub fn commit_log(&mut self) {
        if let Some(last) = self.log.commit() {
            let mut out = Vec::new();
            self.coordinator.committed(self.now(), last, &mut out);
            self.take(out);
        }
        self.check();
    }
    /// Another broker takes over with what is committed, and perhaps with what is not.
    pub fn move_coordinator(&mut self, keep_uncommitted: bool) {
        self.log.change_hands(keep_uncommitted);
        self.lives += 1;
        let fresh = self.replayed();
        let mut old = std::mem::replace(&mut self.coordinator, fresh);
        let mut out = Vec::new();
        old.resign(self.now(), &mut out);
        self.take(out);
        self.check();
    }
    pub fn replayed(&self) -> Coordinator {
        let random = Stream::new(self.lives, "members");
        let config = GroupConfig { offsets_retention_ms: self.offsets_retention_ms, ..GroupConfig::default() };
        let mut fresh = Coordinator::new(config, random, self.now());
        self.log.load(&mut fresh, self.now());
        fresh
    }

    fn act(&mut self, who: usize) {
        let (doing, due) = (self.consumers[who].doing, self.consumers[who].next_beat_ms <= self.now_ms);
        if self.consumers[who].paused {
            return;
        }
        match doing {
            Doing::Wants => self.join(who),
            Doing::Owning if due => self.beat(who),
            Doing::Joining(_) if due && !self.consumers[who].id.is_empty() => {
                self.consumers[who].next_beat_ms = self.now_ms + HEARTBEAT_MS;
            }
            _ => {}
        }
    }
    pub fn join(&mut self, who: usize) {
        let ticket = self.ticket(who);
        let consumer = &mut self.consumers[who];
        consumer.doing = Doing::Joining(ticket);
        let protocol = JoinGroupRequestProtocol::default()
            .with_name(wire("range"))
            .with_metadata(Bytes::from_static(SUBSCRIPTION));
        let request = JoinGroupRequest::default()
            .with_group_id(wire(GROUP).into())
            .with_session_timeout_ms(SESSION_MS as i32)
            .with_rebalance_timeout_ms(20_000)
            .with_member_id(wire(&consumer.id))
            .with_group_instance_id(consumer.instance.as_deref().map(wire))
            .with_protocol_type(wire("consumer"))
            .with_protocols(vec![protocol]);
        let caller = Caller { client_id: format!("c{who}").into(), host: "h".into(), version: 9 };
        let mut out = Vec::new();
        self.coordinator.join(self.now(), ticket, &caller, &request, &mut out);
        self.take(out);
    }
    fn beat(&mut self, who: usize) {
        let consumer = &mut self.consumers[who];
        consumer.next_beat_ms = self.now_ms + HEARTBEAT_MS;
        let request = HeartbeatRequest::default()
            .with_group_id(wire(GROUP).into())
            .with_generation_id(consumer.generation)
            .with_member_id(wire(&consumer.id))
            .with_group_instance_id(consumer.instance.as_deref().map(wire));
        let now = self.now();
        let code = self.coordinator.heartbeat(now, &request).error_code;
        self.react(who, code);
    }
    /// What a consumer makes of an error.
    fn react(&mut self, who: usize, code: i16) {
        let Some(error) = ResponseError::try_from_code(code) else { return };
        let consumer = &mut self.consumers[who];
        match error {
            ResponseError::UnknownMemberId | ResponseError::IllegalGeneration => {
                (consumer.id, consumer.doing) = (String::new(), Doing::Wants);
            }
            ResponseError::FencedInstanceId => consumer.doing = Doing::Absent,
            ResponseError::MemberIdRequired => {}
            _ => consumer.doing = Doing::Wants,
        }
    }
    pub fn leave(&mut self, who: usize) {
        let consumer = &mut self.consumers[who];
        let id = std::mem::take(&mut consumer.id);
        consumer.doing = Doing::Absent;
        if id.is_empty() || consumer.instance.is_some() {
            return; // A static member goes without a word (KIP-345).
        }
        let identity = MemberIdentity::default().with_member_id(wire(&id));
        let request = LeaveGroupRequest::default().with_group_id(wire(GROUP).into()).with_members(vec![identity]);
        let mut out = Vec::new();
        self.coordinator.leave(self.now(), &request, 5, &mut out);
        self.take(out);
    }
    /// The process is gone; its next life knows nothing.
    pub fn crash(&mut self, who: usize) {
        let consumer = &mut self.consumers[who];
        (consumer.id, consumer.doing, consumer.generation) = (String::new(), Doing::Absent, -1);
    }
    pub fn commit(&mut self, who: usize, partition: i32) -> Ticket {
        let ticket = self.ticket(who);
        self.next_offset += 1;
        let (consumer, offset) = (&self.consumers[who], self.next_offset);
        let tp = TopicPartition::new("orders", partition);
        let part = OffsetCommitRequestPartition::default()
            .with_partition_index(partition)
            .with_committed_offset(offset)
            .with_committed_metadata(Some(wire("")));
        let topic = OffsetCommitRequestTopic::default().with_name(wire("orders").into()).with_partitions(vec![part]);
        let request = OffsetCommitRequest::default()
            .with_group_id(wire(GROUP).into())
            .with_generation_id_or_member_epoch(consumer.generation)
            .with_member_id(wire(&consumer.id))
            .with_group_instance_id(consumer.instance.as_deref().map(wire))
            .with_retention_time_ms(-1)
            .with_topics(vec![topic]);
        self.commits.insert(ticket, (tp, offset));
        let mut out = Vec::new();
        self.coordinator.commit(self.now(), ticket, &request, &mut out);
        self.take(out);
        ticket
    }

    pub fn take(&mut self, out: Vec<Output>) {
        for output in out {
            match output {
                Output::Append(id, _) if self.refusing => {
                    let mut more = Vec::new();
                    self.coordinator.failed(self.now(), id, ResponseError::NotEnoughReplicas, &mut more);
                    self.take(more);
                }
                Output::Append(id, records) => self.log.append(id, records),
                Output::Expired { .. } => {}
                Output::Reply(ticket, reply) => self.answered(ticket, reply),
            }
        }
    }
    fn answered(&mut self, ticket: Ticket, reply: Reply) {
        let who = self.open.remove(&ticket).expect("every request is answered once");
        match reply {
            Reply::Join(reply) if self.consumers[who].doing == Doing::Joining(ticket) => self.joined(who, &reply),
            Reply::Sync(reply) if self.consumers[who].doing == Doing::Syncing(ticket) => {
                let consumer = &mut self.consumers[who];
                if reply.error_code == 0 {
                    (consumer.doing, consumer.owns) = (Doing::Owning, reply.assignment.clone());
                    // A static member that comes back has the share of its predecessor.
                    let name = consumer.instance.clone().unwrap_or_else(|| consumer.id.clone());
                    let shares = self.shares.entry(consumer.generation).or_default();
                    let earlier = shares.insert(name, reply.assignment.clone());
                    assert!(earlier.is_none_or(|e| e == reply.assignment), "a share never changes in a generation");
                }
                self.react(who, reply.error_code);
            }
            Reply::Commit(reply) => {
                let committed = self.commits.remove(&ticket).expect("it was a commit");
                let code = reply.topics[0].partitions[0].error_code;
                if code == 0 {
                    self.acked.push(committed);
                }
            }
            _ => {}
        }
    }
    fn joined(&mut self, who: usize, reply: &JoinGroupResponse) {
        if reply.error_code == ResponseError::MemberIdRequired.code() {
            self.consumers[who].id = reply.member_id.to_string();
            self.consumers[who].doing = Doing::Wants;
            return;
        }
        if reply.error_code != 0 {
            return self.react(who, reply.error_code);
        }
        let consumer = &mut self.consumers[who];
        (consumer.id, consumer.generation) = (reply.member_id.to_string(), reply.generation_id);
        consumer.next_beat_ms = self.now_ms + HEARTBEAT_MS;
        let leads = reply.leader == reply.member_id && !reply.skip_assignment;
        let assignments = if leads { assign(reply) } else { Vec::new() };
        let ticket = self.ticket(who);
        let consumer = &mut self.consumers[who];
        consumer.doing = Doing::Syncing(ticket);
        let request = SyncGroupRequest::default()
            .with_group_id(wire(GROUP).into())
            .with_generation_id(consumer.generation)
            .with_member_id(wire(&consumer.id))
            .with_group_instance_id(consumer.instance.as_deref().map(wire))
            .with_protocol_type(Some(wire("consumer")))
            .with_protocol_name(Some(wire("range")))
            .with_assignments(assignments);
        let mut out = Vec::new();
        self.coordinator.sync(self.now(), ticket, &request, &mut out);
        self.take(out);
    }

    /// What must hold at any time.
    pub fn check(&self) {
        // What clients are told of offsets is what the committed part of the log says.
        let mut offsets: BTreeMap<TopicPartition, i64> = BTreeMap::new();
        let mut group: Option<GroupMetadataValue> = None;
        for record in self.log.committed() {
            match (GroupKey::decode(&record.key).unwrap(), record.value.as_deref()) {
                (GroupKey::OffsetCommit { topic, partition, .. }, Some(value)) => {
                    let tp = TopicPartition::new(topic, partition);
                    offsets.insert(tp, OffsetCommitValue::decode(value).unwrap().offset);
                }
                (GroupKey::OffsetCommit { topic, partition, .. }, None) => {
                    offsets.remove(&TopicPartition::new(topic, partition));
                }
                (_, value) => group = value.map(|v| GroupMetadataValue::decode(v).unwrap()),
            }
        }
        let told = self.coordinator.committed_offsets(GROUP).into_iter().flatten();
        let told: BTreeMap<_, _> = told.map(|(tp, o)| (tp.clone(), o.value.offset)).collect();
        assert_eq!(told, offsets, "told against logged");
        // No successful commit is lost: a later one may have come over it, never an earlier one.
        for (tp, offset) in &self.acked {
            assert!(offsets.get(tp) >= Some(offset), "{tp}: {offset} was acknowledged, {:?} is there", offsets.get(tp));
        }
        // A stable group is as the log has it.
        if let Some((State::Stable, generation)) = self.state()
            && self.log.is_committed()
        {
            let group = group.expect("a stable group is in the log");
            assert_eq!(group.generation, generation);
            let logged: BTreeMap<_, _> =
                group.members.iter().map(|m| (m.member_id.clone(), m.assignment.clone())).collect();
            let live = self.coordinator.group(GROUP).unwrap();
            assert_eq!(logged, live.assignments());
        }
        self.check_shares();
    }
    /// In one generation no partition is given to two.
    fn check_shares(&self) {
        for (generation, shares) in &self.shares {
            let mut owned = BTreeSet::new();
            for byte in shares.values().flat_map(|share| share.iter()) {
                assert!(owned.insert(*byte), "partition {byte} has two owners in generation {generation}: {shares:?}");
            }
        }
    }
    /// Who owns its share in the newest generation.
    pub fn owners(&self) -> Vec<usize> {
        let generation = self.state().map_or(-1, |(_, g)| g);
        let owning = |c: &Consumer| c.doing == Doing::Owning && c.generation == generation;
        (0..self.consumers.len()).filter(|i| owning(&self.consumers[*i])).collect()
    }
}

/// The leader deals the partitions out, one after the other; a share is one byte for each.
fn assign(reply: &JoinGroupResponse) -> Vec<SyncGroupRequestAssignment> {
    let count = reply.members.len();
    let share = |i: usize| (0..PARTITIONS as u8).filter(|p| *p as usize % count == i).collect::<Vec<u8>>();
    let assigned = |(i, id): (usize, Arc<str>)| {
        SyncGroupRequestAssignment::default().with_member_id(wire(&id)).with_assignment(share(i).into())
    };
    reply.members.iter().map(|m| Arc::from(m.member_id.as_str())).enumerate().map(assigned).collect()
}
