//! A coordinator, its log, a topic that grows, and members that behave as consumers of the consumer protocol do, over a wire
//! that loses requests and answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use kafka_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};

use crate::base::random::Stream;
use crate::base::{Now, TopicId};
use crate::group::consumer::{ConsumerGroup, ConsumerState, Partitions};
use crate::group::tests::journal::Journal;
use crate::group::types::wire;
use crate::group::{Caller, Coordinator, GroupConfig, Output, Reply, Ticket, TopicInfo, Topics};

pub const GROUP: &str = "billing";
pub const SESSION_MS: u64 = 10_000;
pub const HEARTBEAT_MS: u64 = 1_000;
pub const REVOKE_MS: i32 = 5_000;
/// After this silence a request counts as lost.
const PATIENCE_MS: u64 = 2_000;
/// No request comes later.
const LATE_MS: u64 = 12_000;

pub fn topic(name: &str) -> TopicId {
    TopicId::from_u128(name.bytes().fold(0, |id, byte| id * 256 + u128::from(byte)))
}

/// One consumer; its first life has number 0.
#[derive(Clone, Debug, Default)]
pub struct Client {
    pub alive: bool,
    pub paused: bool,
    pub id: String,
    pub instance: Option<String>,
    pub topics: Vec<&'static str>,
    pub epoch: i32,
    pub owned: Partitions,
    /// What it was last told to own, until it does.
    pub target: Option<Partitions>,
    /// How long its application takes to give partitions back, in ms.
    pub slow_ms: u64,
    revoked_at_ms: u64,
    /// What it says with its next heartbeat: everything, or what it owns.
    full: bool,
    acknowledge: bool,
    next_beat_ms: u64,
    asking: Option<(Ticket, u64)>,
    pub last_error: Option<ResponseError>,
}

pub struct World {
    pub now_ms: u64,
    pub coordinator: Coordinator,
    pub clients: Vec<Client>,
    pub topics: Topics,
    pub cfg: GroupConfig,
    pub log: Journal,
    /// Nothing more is committed while this holds.
    pub stuck: bool,
    /// Appends are refused.
    pub refusing: bool,
    /// Of a hundred requests and of a hundred answers, so many are lost. Some of the requests to join only come late, after their sender
    /// has asked again. Nothing else may: heartbeats bear no numbers, so that one that says what its sender owned before it was told
    /// more would pass for giving that back.
    pub loss: u64,
    late: Vec<(u64, usize, ConsumerGroupHeartbeatRequest)>,
    open: BTreeMap<Ticket, usize>,
    next_ticket: u64,
    lives: u64,
    dice: Stream,
    /// The greatest group epoch that was ever committed, and the greatest epoch that each member id was told.
    pub epoch: i32,
    told: BTreeMap<String, i32>,
}

impl World {
    pub fn new(clients: usize, statics: usize, seed: u64) -> Self {
        let cfg = GroupConfig {
            consumer_session_timeout_ms: SESSION_MS,
            consumer_heartbeat_interval_ms: HEARTBEAT_MS as i32,
            ..GroupConfig::default()
        };
        let client = |i| Client {
            instance: (i < statics).then(|| format!("instance-{i}")),
            topics: vec!["orders"],
            ..Client::default()
        };
        let topics = Topics::from([
            ("orders".into(), TopicInfo { id: topic("orders"), partitions: 6 }),
            ("refunds".into(), TopicInfo { id: topic("refunds"), partitions: 3 }),
        ]);
        let mut coordinator = Coordinator::new(cfg.clone(), Stream::new(0, "members"), Now::default());
        coordinator.set_topics(topics.clone());
        Self {
            now_ms: 0,
            coordinator,
            clients: (0..clients).map(client).collect(),
            topics,
            cfg,
            log: Journal::default(),
            stuck: false,
            refusing: false,
            loss: 0,
            late: Vec::new(),
            open: BTreeMap::new(),
            next_ticket: 0,
            lives: 0,
            dice: Stream::new(seed, "wire"),
            epoch: 0,
            told: BTreeMap::new(),
        }
    }
    pub fn now(&self) -> Now {
        Now { mono_ns: self.now_ms * 1_000_000, wall_ms: self.now_ms as i64 }
    }
    pub fn group(&self) -> Option<&ConsumerGroup> {
        self.coordinator.group(GROUP)?.consumer.as_ref()
    }
    pub fn state(&self) -> Option<(ConsumerState, i32)> {
        self.coordinator.consumer_state(GROUP)
    }
    pub fn start(&mut self, who: usize) {
        if !self.clients[who].alive {
            self.lives += 1;
            let Client { instance, topics, slow_ms, .. } = self.clients[who].clone();
            let id = format!("member-{}", self.lives);
            self.clients[who] = Client { alive: true, id, instance, topics, slow_ms, full: true, ..Client::default() };
        }
    }
    /// One more client comes.
    pub fn add(&mut self) {
        self.clients.push(Client { topics: vec!["orders"], ..Client::default() });
        self.start(self.clients.len() - 1);
    }
    /// It leaves in good order: for good, or for a while if it is a static member.
    pub fn leave(&mut self, who: usize) {
        let client = self.clients[who].clone();
        self.crash(who);
        if client.alive && client.epoch > 0 {
            let epoch = if client.instance.is_some() { -2 } else { -1 };
            self.ask(who, &request(&client).with_member_epoch(epoch));
        }
    }
    pub fn crash(&mut self, who: usize) {
        let Client { instance, topics, slow_ms, .. } = self.clients[who].clone();
        self.clients[who] = Client { instance, topics, slow_ms, ..Client::default() };
    }
    pub fn subscribe(&mut self, who: usize, topics: Vec<&'static str>) {
        self.clients[who].topics = topics;
        self.clients[who].full = true;
    }
    pub fn grow(&mut self, name: &str, more: i32) {
        self.topics.get_mut(name).unwrap().partitions += more;
        self.coordinator.set_topics(self.topics.clone());
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
            let due = |(due_ms, ..): &(u64, usize, ConsumerGroupHeartbeatRequest)| *due_ms <= self.now_ms;
            let (due, late) = std::mem::take(&mut self.late).into_iter().partition(due);
            self.late = late;
            for (_, who, r) in due {
                self.next_ticket += 1;
                self.arrives(Ticket(self.next_ticket), who, &r);
            }
            for who in 0..self.clients.len() {
                self.act(who);
            }
            if !self.stuck {
                self.commit_log();
            }
            self.check();
        }
    }
    pub fn commit_log(&mut self) {
        if let Some(last) = self.log.commit() {
            let mut out = Vec::new();
            self.coordinator.committed(self.now(), last, &mut out);
            self.take(out);
        }
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
        let mut fresh = Coordinator::new(self.cfg.clone(), random, self.now());
        self.log.load(&mut fresh, self.now());
        fresh.set_topics(self.topics.clone());
        fresh
    }

    fn act(&mut self, who: usize) {
        let now_ms = self.now_ms;
        let client = &mut self.clients[who];
        if !client.alive || client.paused {
            return;
        }
        client.reconcile(now_ms);
        if client.asking.is_some_and(|(_, since)| since + PATIENCE_MS <= now_ms) {
            client.forget_answer(now_ms);
        }
        let due = client.next_beat_ms <= now_ms || client.acknowledge;
        if client.asking.is_none() && due {
            self.beat(who);
        }
    }
    pub fn beat(&mut self, who: usize) {
        let client = &mut self.clients[who];
        client.next_beat_ms = self.now_ms + HEARTBEAT_MS;
        let mut r = request(client).with_member_epoch(client.epoch);
        let joins = client.epoch == 0;
        if client.full || joins {
            let names = client.topics.iter().map(|name| wire(name).into());
            r = r.with_rebalance_timeout_ms(REVOKE_MS).with_subscribed_topic_names(Some(names.collect()));
        }
        if client.full || client.acknowledge || joins {
            r.topic_partitions = Some(client.owned.iter().map(one).collect());
        }
        (client.full, client.acknowledge) = (false, false);
        self.ask(who, &r);
    }
    fn ask(&mut self, who: usize, r: &ConsumerGroupHeartbeatRequest) {
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        self.clients[who].asking = Some((ticket, self.now_ms)).filter(|_| self.clients[who].alive);
        if self.dice.chance(self.loss, 100) {
            if r.member_epoch == 0 && self.dice.chance(1, 2) {
                let due_ms = self.now_ms + self.dice.between(PATIENCE_MS, LATE_MS);
                self.late.push((due_ms, who, r.clone()));
            }
            return;
        }
        self.arrives(ticket, who, r);
    }
    fn arrives(&mut self, ticket: Ticket, who: usize, r: &ConsumerGroupHeartbeatRequest) {
        self.open.insert(ticket, who);
        let caller = Caller { client_id: format!("c{who}").into(), host: "h".into(), version: 1 };
        let mut out = Vec::new();
        self.coordinator.consumer_heartbeat(self.now(), ticket, &caller, r, &mut out);
        self.take(out);
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
                Output::Reply(ticket, Reply::ConsumerHeartbeat(answer)) => {
                    let who = self.open.remove(&ticket).expect("every request is answered once");
                    let waits = self.clients[who].asking.is_some_and(|(asked, _)| asked == ticket);
                    if waits && !self.clients[who].paused && !self.dice.chance(self.loss, 100) {
                        self.answered(who, &answer);
                    }
                }
                Output::Reply(..) => {}
            }
        }
    }
    fn answered(&mut self, who: usize, answer: &ConsumerGroupHeartbeatResponse) {
        let now_ms = self.now_ms;
        let client = &mut self.clients[who];
        client.asking = None;
        let Some(error) = ResponseError::try_from_code(answer.error_code) else {
            assert_eq!(answer.member_id.as_deref(), Some(client.id.as_str()));
            let told = self.told.entry(client.id.clone()).or_default();
            assert!(*told <= answer.member_epoch, "{}: epoch {told}, then {}", client.id, answer.member_epoch);
            *told = answer.member_epoch;
            client.epoch = answer.member_epoch;
            if let Some(given) = &answer.assignment {
                let given = given.topic_partitions.iter();
                let target = given.flat_map(|t| t.partitions.iter().map(|p| (t.topic_id, *p))).collect();
                // What it knows already changes nothing.
                if *client.target.as_ref().unwrap_or(&client.owned) != target {
                    client.target = Some(target);
                    client.revoked_at_ms = now_ms + client.slow_ms;
                    client.reconcile(now_ms);
                }
            }
            return;
        };
        client.last_error = Some(error);
        match error {
            ResponseError::FencedMemberEpoch | ResponseError::UnknownMemberId | ResponseError::GroupIdNotFound => {
                (client.epoch, client.owned, client.target) = (0, Partitions::new(), None);
                client.next_beat_ms = now_ms + 100;
                client.full = true;
            }
            _ => client.forget_answer(now_ms),
        }
    }

    /// What must hold at any time.
    pub fn check(&mut self) {
        let members = self.group().map(|g| g.members.clone()).unwrap_or_default();
        let mut owners: BTreeMap<(TopicId, i32), &str> = BTreeMap::new();
        for client in &self.clients {
            // Whoever was fenced may believe for a while that it still owns something; so may one that was, and is a member again by a
            // request of long ago.
            let Some(member) = members.get(client.id.as_str()) else { continue };
            if ![member.epoch, member.previous_epoch].contains(&client.epoch) {
                continue;
            }
            for tp in &client.owned {
                let other = owners.insert(*tp, &client.id);
                assert!(other.is_none(), "{tp:?} has two owners: {other:?} and {}", client.id);
                assert!(member.assigned.contains(tp) || member.revoking.contains(tp), "{} owns {tp:?}", client.id);
            }
        }
        let committed = self.coordinator.consumer_group(GROUP).map_or(0, |g| g.epoch);
        assert!(committed >= self.epoch, "the committed group epoch was {} and is {committed}", self.epoch);
        self.epoch = committed;
    }
    /// True if all that run are members, are at their targets, and own what they were given.
    pub fn is_settled(&self) -> bool {
        let Some(group) = self.group() else { return self.clients.iter().all(|c| !c.alive) };
        let alive: Vec<&Client> = self.clients.iter().filter(|c| c.alive).collect();
        let owns = |c: &&Client| group.members.get(c.id.as_str()).is_some_and(|m| m.assigned == c.owned);
        let mut wanted = Partitions::new();
        for name in alive.iter().flat_map(|c| &c.topics) {
            let info = self.topics[*name];
            wanted.extend((0..info.partitions).map(|p| (info.id, p)));
        }
        let owned: Partitions = alive.iter().flat_map(|c| c.owned.iter().copied()).collect();
        let state = if alive.is_empty() { ConsumerState::Empty } else { ConsumerState::Stable };
        let here = group.members.len() == alive.len() && alive.iter().all(owns);
        group.state() == state && here && owned == wanted
    }
    pub fn is_answered(&self) -> bool {
        self.open.is_empty()
    }
}

fn one(tp: &(TopicId, i32)) -> TopicPartitions {
    TopicPartitions::default().with_topic_id(tp.0).with_partitions(vec![tp.1])
}

pub fn request(client: &Client) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest::default()
        .with_group_id(wire(GROUP).into())
        .with_member_id(wire(&client.id))
        .with_instance_id(client.instance.as_deref().map(wire))
}

impl Client {
    /// Gives back what it must, once its application has let go of it, and takes what it was given.
    fn reconcile(&mut self, now_ms: u64) {
        let Some(target) = &self.target else { return };
        let gives_back = !self.owned.is_subset(target);
        if gives_back && self.revoked_at_ms > now_ms {
            return;
        }
        if let Some(target) = self.target.take() {
            self.owned = target;
            self.acknowledge = true;
        }
    }
    /// No answer: whether it was heard nobody knows, so it says everything again.
    fn forget_answer(&mut self, now_ms: u64) {
        self.asking = None;
        self.full = true;
        self.next_beat_ms = now_ms + 100;
    }
}

/// Without what the log does not keep.
pub fn logged(group: &ConsumerGroup) -> ConsumerGroup {
    let mut group = group.clone();
    for member in group.members.values_mut() {
        (member.session_ns, member.revoke_by, member.acknowledged) = (0, None, false);
    }
    group
}

pub fn named(id: &str) -> Arc<str> {
    id.into()
}
