//! Members, a coordinator, and the messages between them, in steps of 50 ms.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_fetch_response::OffsetFetchResponseGroup;
use kafka_protocol::messages::{JoinGroupResponse, OffsetFetchResponse, SyncGroupResponse};

use crate::base::random::Stream;
use crate::base::{BrokerId, Now, Offset, TopicId, TopicPartition};
use crate::client::config::{ConsumerConfig, GroupProtocol};
use crate::client::consumer::group::assignor::Topics;
use crate::client::consumer::group::membership::{Ask, Generation, Membership, Settings, State};
use crate::client::consumer::group::types::{CommitError, OffsetAndMetadata};
use crate::group::{AppendId, Caller, Coordinator, GroupConfig, LogRecord, Output, Reply, Ticket, TopicInfo};

pub const GROUP: &str = "billing";
pub const TOPIC: &str = "orders";
pub const STEP_MS: u64 = 50;
pub const SESSION_MS: u64 = 10_000;
pub const POLL_MS: u64 = 30_000;
/// In the place of a strategy: the consumer protocol.
pub const CONSUMER: &str = "consumer";

fn group_config() -> GroupConfig {
    GroupConfig {
        consumer_session_timeout_ms: SESSION_MS,
        consumer_heartbeat_interval_ms: 3_000,
        ..GroupConfig::default()
    }
}
fn topic_id(name: &str) -> TopicId {
    TopicId::from_u128(name.bytes().fold(0, |id, byte| id * 256 + u128::from(byte)))
}

/// What a request was for, and as whom it was sent.
#[derive(Clone, Debug)]
pub enum Purpose {
    Join(Generation),
    Sync(Generation),
    Heartbeat(Generation),
    Leave,
    Beat(Generation),
    Commit(u64),
    Offsets(u64),
}

/// An application and its membership.
pub struct Member {
    pub core: Membership,
    pub owned: BTreeSet<TopicPartition>,
    pub alive: bool,
    /// It polls in every step; otherwise it works.
    pub polls: bool,
    /// Its answers, and the time at which each arrives: none if the connection broke.
    inbox: VecDeque<(u64, Purpose, Option<Reply>)>,
    /// Requests to which no answer will come, as long as the connection stands.
    swallowed: Vec<Purpose>,
    /// Requests that have not arrived yet.
    outbox: VecDeque<(u64, Purpose, Ask)>,
    pub commits: BTreeMap<u64, BTreeMap<TopicPartition, OffsetAndMetadata>>,
    pub outcomes: Vec<(u64, Result<(), CommitError>)>,
    pub rejoins: usize,
    pub lost: usize,
}

pub struct World {
    pub now_ms: u64,
    pub coordinator: Coordinator,
    /// Which broker coordinates; each has its turn once.
    pub broker: i32,
    pub members: Vec<Member>,
    pub topics: Topics,
    strategy: &'static str,
    statics: usize,
    log: Vec<(AppendId, Vec<LogRecord>)>,
    committed: usize,
    asking: BTreeMap<Ticket, (usize, Purpose)>,
    next_ticket: u64,
    lives: u64,
    pub dice: Stream,
    /// Requests are swallowed on their way.
    pub silent: bool,
    /// How many instances were told that another has taken their place.
    pub fenced: usize,
    /// Heartbeats that the coordinator has seen, by member.
    pub heartbeats: BTreeMap<String, usize>,
}

fn settings(strategy: &str, instance: Option<String>) -> Settings {
    let mut cfg = ConsumerConfig::default();
    if strategy == CONSUMER {
        cfg.set("group.protocol", "consumer").unwrap();
    }
    for (key, value) in [
        ("group.id", GROUP.to_owned()),
        ("session.timeout.ms", SESSION_MS.to_string()),
        ("max.poll.interval.ms", POLL_MS.to_string()),
        ("partition.assignment.strategy", if strategy == CONSUMER { "range" } else { strategy }.to_owned()),
    ] {
        cfg.set(key, &value).unwrap();
    }
    if let Some(instance) = instance {
        cfg.set("group.instance.id", &instance).unwrap();
    }
    Settings::of(&cfg).unwrap()
}

impl World {
    pub fn new(members: usize, statics: usize, strategy: &'static str, seed: u64) -> Self {
        let mut world = Self {
            now_ms: 0,
            coordinator: Coordinator::new(group_config(), Stream::new(0, "ids"), Now::default()),
            broker: 1,
            members: Vec::new(),
            topics: Topics::from([(TOPIC.into(), 6)]),
            strategy,
            statics,
            log: Vec::new(),
            committed: 0,
            asking: BTreeMap::new(),
            next_ticket: 0,
            lives: 0,
            dice: Stream::new(seed, "messages"),
            silent: false,
            fenced: 0,
            heartbeats: BTreeMap::new(),
        };
        for who in 0..members {
            let member = world.newborn(who);
            world.members.push(member);
        }
        world
    }
    fn newborn(&mut self, who: usize) -> Member {
        self.lives += 1;
        let instance = (who < self.statics).then(|| format!("instance-{who}"));
        let rng = Stream::new(self.lives, "backoff");
        let mut core = Membership::new(settings(self.strategy, instance), rng);
        core.subscribe(BTreeSet::from([TOPIC.into()]));
        Member {
            core,
            owned: BTreeSet::new(),
            alive: false,
            polls: true,
            inbox: VecDeque::new(),
            outbox: VecDeque::new(),
            swallowed: Vec::new(),
            commits: BTreeMap::new(),
            outcomes: Vec::new(),
            rejoins: 0,
            lost: 0,
        }
    }
    pub fn now(&self) -> Now {
        Now { mono_ns: self.now_ms * 1_000_000, wall_ms: self.now_ms as i64 }
    }
    pub fn start(&mut self, who: usize) {
        if !self.members[who].alive {
            let member = self.newborn(who);
            self.members[who] = Member { alive: true, ..member };
        }
    }
    pub fn crash(&mut self, who: usize) {
        self.asking.retain(|_, (whose, _)| *whose != who);
        self.members[who] = self.newborn(who);
    }
    /// Every connection of a member breaks: whether its requests have arrived nobody knows.
    pub fn disconnect(&mut self, who: usize) {
        let member = &mut self.members[who];
        let mut lost = std::mem::take(&mut member.swallowed);
        lost.extend(member.outbox.drain(..).map(|(_, purpose, _)| purpose));
        lost.extend(member.inbox.drain(..).map(|(_, purpose, _)| purpose));
        let waiting: Vec<_> = self.asking.iter().filter(|(_, (whose, _))| *whose == who).map(|(t, _)| *t).collect();
        lost.extend(waiting.into_iter().filter_map(|t| Some(self.asking.remove(&t)?.1)));
        let at = self.now_ms;
        self.members[who].inbox.extend(lost.into_iter().map(|purpose| (at, purpose, None)));
        if !self.members[who].inbox.is_empty() {
            self.members[who].core.coordinator_lost("disconnected");
        }
    }
    /// Another broker coordinates, with all that is committed.
    pub fn move_coordinator(&mut self) {
        let (now, mut out) = (self.now(), Vec::new());
        self.coordinator.resign(now, &mut out);
        self.take(out);
        self.log.truncate(self.committed);
        self.broker += 1;
        self.lives += 1;
        let mut next = Coordinator::new(group_config(), Stream::new(self.lives, "ids"), now);
        for record in self.log.iter().flat_map(|(_, records)| records) {
            next.replay(now, &record.key, record.value.as_deref()).expect("a record of a coordinator");
        }
        next.loaded(now);
        self.coordinator = next;
    }

    pub fn run_ms(&mut self, ms: u64) {
        for _ in 0..ms / STEP_MS {
            self.now_ms += STEP_MS;
            let info = |(name, n): (&Arc<str>, &i32)| (name.clone(), TopicInfo { id: topic_id(name), partitions: *n });
            self.coordinator.set_topics(self.topics.iter().map(info).collect());
            if self.coordinator.next_deadline() <= self.now().mono_ns {
                let mut out = Vec::new();
                self.coordinator.tick(self.now(), &mut out);
                self.take(out);
            }
            for who in 0..self.members.len() {
                if self.members[who].alive {
                    self.arrive(who);
                    self.apply(who);
                    self.drive(who);
                }
                if self.members[who].core.is_fenced() {
                    // An application dies of that and is started again.
                    self.fenced += 1;
                    self.crash(who);
                    self.start(who);
                }
            }
            self.commit_log();
            self.check();
        }
    }
    fn commit_log(&mut self) {
        self.committed = self.log.len();
        if let Some((last, _)) = self.log.last() {
            let (last, mut out) = (*last, Vec::new());
            self.coordinator.committed(self.now(), last, &mut out);
            self.take(out);
        }
    }
    fn take(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Append(id, records) => self.log.push((id, records)),
                Output::Expired { .. } => {}
                Output::Reply(ticket, reply) => self.reply(ticket, reply),
            }
        }
    }
    fn reply(&mut self, ticket: Ticket, reply: Reply) {
        if let Some((who, purpose)) = self.asking.remove(&ticket) {
            let at = self.now_ms + self.dice.between(0, 3) * STEP_MS;
            self.members[who].inbox.push_back((at, purpose, Some(reply)));
        }
    }

    /// Requests of a member reach the coordinator, and answers reach the member.
    fn arrive(&mut self, who: usize) {
        while self.members[who].outbox.front().is_some_and(|(at, ..)| *at <= self.now_ms) {
            // One connection, one request at a time.
            if self.asking.values().any(|(whose, _)| *whose == who) {
                break;
            }
            match self.members[who].outbox.pop_front() {
                Some((_, purpose, _)) if self.silent => self.members[who].swallowed.push(purpose),
                Some((_, purpose, ask)) => self.ask(who, purpose, ask),
                None => {}
            }
        }
        while self.members[who].inbox.front().is_some_and(|(at, ..)| *at <= self.now_ms) {
            if let Some((_, purpose, reply)) = self.members[who].inbox.pop_front() {
                self.tell(who, purpose, reply);
            }
        }
    }
    fn ask(&mut self, who: usize, purpose: Purpose, ask: Ask) {
        self.next_ticket += 1;
        let (now, ticket, mut out) = (self.now(), Ticket(self.next_ticket), Vec::new());
        self.asking.insert(ticket, (who, purpose));
        let caller = Caller { client_id: format!("c{who}").into(), host: "".into(), version: 9 };
        match ask {
            Ask::Join(r) => self.coordinator.join(now, ticket, &caller, &r, &mut out),
            Ask::Sync(r) => self.coordinator.sync(now, ticket, &r, &mut out),
            Ask::Commit(_, r) => self.coordinator.commit(now, ticket, &r, &mut out),
            Ask::Heartbeat(r) => {
                *self.heartbeats.entry(r.member_id.to_string()).or_default() += 1;
                let reply = self.coordinator.heartbeat(now, &r);
                out.push(Output::Reply(ticket, Reply::Heartbeat(reply)));
            }
            Ask::Beat(r) | Ask::LastBeat(r) => {
                let caller = Caller { version: 1, ..caller };
                self.coordinator.consumer_heartbeat(now, ticket, &caller, &r, &mut out);
            }
            Ask::Leave(r) => {
                let reply = self.coordinator.leave(now, &r, 5, &mut out);
                out.push(Output::Reply(ticket, Reply::Leave(reply)));
            }
            // It is not this world that answers: nobody has committed anything that matters here.
            Ask::Offsets(..) => out.push(Output::Reply(ticket, Reply::DeleteGroup(0))),
        }
        self.take(out);
    }
    fn tell(&mut self, who: usize, purpose: Purpose, reply: Option<Reply>) {
        let now = self.now();
        let core = &mut self.members[who].core;
        match (purpose, reply) {
            (Purpose::Join(sent), reply) => core.join_answered(sent, joined(reply)),
            (Purpose::Sync(sent), reply) => core.synced(now, &sent, synced(reply)),
            (Purpose::Heartbeat(sent), Some(Reply::Heartbeat(r))) => core.heard(now, &sent, Some(r.error_code)),
            (Purpose::Heartbeat(sent), _) => core.heard(now, &sent, None),
            (Purpose::Leave, _) => core.left(),
            (Purpose::Beat(sent), Some(Reply::ConsumerHeartbeat(r))) => core.beat_answered(now, &sent, Some(&r)),
            (Purpose::Beat(sent), _) => core.beat_answered(now, &sent, None),
            (Purpose::Commit(id), Some(Reply::Commit(r))) => core.commit_answered(now, id, Some(&r)),
            (Purpose::Commit(id), _) => core.commit_answered(now, id, None),
            (Purpose::Offsets(id), reply) => {
                let group = OffsetFetchResponseGroup::default();
                let answer = reply.map(|_| OffsetFetchResponse::default().with_groups(vec![group]));
                core.query_answered(now, id, answer.as_ref());
            }
        }
    }

    /// What the application does in its poll, as the shell of the membership has it do.
    fn apply(&mut self, who: usize) {
        let now = self.now();
        let member = &mut self.members[who];
        let core = &mut member.core;
        if !member.polls {
            core.poll_over();
            return;
        }
        core.poll(now);
        let cooperative = core.cfg.cooperative();
        if let Some(assigned) = core.take_joined() {
            if !member.owned.is_subset(&assigned) {
                core.request_rejoin("partitions were given up for others");
            }
            member.owned = assigned;
            member.rejoins += 1;
        } else if core.must_prepare() {
            if !core.is_member() {
                member.lost += usize::from(!member.owned.is_empty());
                member.owned.clear();
            } else if !cooperative {
                member.owned.clear();
            }
            core.prepared(member.owned.clone());
        }
        if let Some(told) = core.told(&member.owned) {
            member.rejoins += usize::from(told != member.owned);
            member.owned = told;
            core.reconciled(now, &member.owned);
        }
        if core.cfg.protocol == GroupProtocol::Consumer {
            // Whoever is refused for a while polls on and tries again.
            core.take_fatal();
        }
        let ended = member.commits.keys().filter_map(|id| Some((*id, core.offsets.take_commit(*id)?)));
        for (id, result) in ended.collect::<Vec<_>>() {
            member.commits.remove(&id);
            member.outcomes.push((id, result));
        }
    }
    /// What the task of a member does.
    fn drive(&mut self, who: usize) {
        let (now, broker) = (self.now(), self.broker);
        let topics = self.topics.clone();
        let delay = self.dice.between(0, 3) * STEP_MS;
        self.members[who].core.tick(now);
        if self.members[who].core.take_disconnect().is_some() {
            self.disconnect(who);
            self.arrive(who);
        }
        let core = &mut self.members[who].core;
        if core.find_ns().is_some_and(|at| at <= now.mono_ns) {
            core.finding(now);
            core.found(now, Ok(BrokerId(broker)));
        }
        core.saw_topics(&topics);
        core.saw_names(topics.keys().map(|name| (topic_id(name), name.clone())));
        core.assign(&topics);
        while let Some(ask) = self.members[who].core.next(now) {
            self.post(who, ask, delay);
        }
    }
    fn post(&mut self, who: usize, ask: Ask, delay: u64) {
        let (now_ms, member) = (self.now_ms, &mut self.members[who]);
        let sent = member.core.generation.clone();
        let purpose = match &ask {
            Ask::Join(_) => Purpose::Join(sent),
            Ask::Sync(_) => Purpose::Sync(sent),
            Ask::Heartbeat(_) => Purpose::Heartbeat(sent),
            Ask::Leave(_) | Ask::LastBeat(_) => Purpose::Leave,
            Ask::Beat(_) => Purpose::Beat(sent),
            Ask::Commit(id, _) => Purpose::Commit(*id),
            Ask::Offsets(id, _) => Purpose::Offsets(*id),
        };
        if member.core.coordinator() == Some(BrokerId(self.broker)) {
            let at = member.outbox.back().map_or(0, |(at, ..)| *at).max(now_ms + delay);
            member.outbox.push_back((at, purpose, ask));
        } else {
            // Whoever coordinated before says so.
            member.inbox.push_back((now_ms + delay, purpose.clone(), refused(&purpose)));
        }
    }

    /// Commits one past `offset` in everything that a member owns.
    pub fn commit(&mut self, who: usize, offset: i64) {
        let member = &mut self.members[who];
        let offsets: BTreeMap<_, _> =
            member.owned.iter().map(|tp| (tp.clone(), OffsetAndMetadata::new(Offset(offset)))).collect();
        if offsets.is_empty() || !member.alive {
            return;
        }
        if let Ok(id) = member.core.commit(offsets.clone(), true) {
            member.commits.insert(id, offsets);
        }
    }

    /// The ids of those whom the coordinator counts as members.
    pub fn current(&self) -> BTreeSet<Arc<str>> {
        let described = self.coordinator.describe(GROUP, 5);
        let of_next = self.coordinator.describe_consumer(GROUP);
        let of_next = of_next.members.iter().map(|m| m.member_id.as_str().into());
        described.members.iter().map(|m| m.member_id.as_str().into()).chain(of_next).collect()
    }
    /// Two members of one generation, or two whom the coordinator knows and waits for, never own the same.
    fn check(&self) {
        let current = self.current();
        for (i, a) in self.members.iter().enumerate() {
            for b in &self.members[i + 1..] {
                let known = |m: &Member| m.core.cfg.instance.is_none() && current.contains(&m.core.generation.member);
                let same = a.core.generation.id == b.core.generation.id && a.core.generation.id >= 0;
                if same || known(a) && known(b) {
                    let both: Vec<_> = a.owned.intersection(&b.owned).collect();
                    assert!(
                        both.is_empty(),
                        "at {} ms {:?} and {:?} own {both:?}",
                        self.now_ms,
                        a.core.generation,
                        b.core.generation
                    );
                }
            }
        }
    }
    pub fn owned(&self) -> BTreeSet<TopicPartition> {
        self.members.iter().flat_map(|m| m.owned.iter().cloned()).collect()
    }
    /// How many partitions each living member owns.
    pub fn shares(&self) -> Vec<usize> {
        self.members.iter().filter(|m| m.alive).map(|m| m.owned.len()).collect()
    }
    pub fn is_stable(&self) -> bool {
        self.members.iter().filter(|m| m.alive).all(|m| m.core.state == State::Stable && !m.core.rejoin)
    }
}

fn joined(reply: Option<Reply>) -> Option<JoinGroupResponse> {
    match reply {
        Some(Reply::Join(response)) => Some(response),
        _ => None,
    }
}
fn synced(reply: Option<Reply>) -> Option<SyncGroupResponse> {
    match reply {
        Some(Reply::Sync(response)) => Some(response),
        _ => None,
    }
}
/// What a broker says that does not coordinate this group.
fn refused(purpose: &Purpose) -> Option<Reply> {
    let code = ResponseError::NotCoordinator.code();
    match purpose {
        Purpose::Join(_) => Some(Reply::Join(JoinGroupResponse::default().with_error_code(code))),
        Purpose::Sync(_) => Some(Reply::Sync(SyncGroupResponse::default().with_error_code(code))),
        Purpose::Heartbeat(_) => {
            let response = kafka_protocol::messages::HeartbeatResponse::default();
            Some(Reply::Heartbeat(response.with_error_code(code)))
        }
        Purpose::Beat(_) => {
            let response = kafka_protocol::messages::ConsumerGroupHeartbeatResponse::default();
            Some(Reply::ConsumerHeartbeat(response.with_error_code(code)))
        }
        // To these silence is an answer as good: the connection is gone with the broker.
        Purpose::Leave | Purpose::Commit(_) | Purpose::Offsets(_) => None,
    }
}
