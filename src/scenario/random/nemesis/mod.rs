//! Draws the list of faults: what happens, to whom and when, materialised before anything runs.
//!
//! Faults are biased towards moments that matter: leaders and controllers are hit more often than others, a second
//! fault often follows while the first is still being dealt with, some wait for an election or a change of an ISR, and
//! pauses are about as long as the timeouts that they are to expire. What loses unsynced data keeps to the budget; where
//! it is not known beforehand who is hit, the run decides.
//!
//! | file | plots |
//! |---|---|
//! | `lives` | processes: who goes down, in which order, and when |
//! | `links` | the network |
//! | `devices` | disks and clocks |
//! | `members` | consumer groups: their members and coordinators |
//! | `operations` | what administrators do |
//!
//! Never drawn are `bit-rot` and `misdirect`: Kafka verifies only what it reads back above the recovery point, so that a
//! rotten batch of a leader stops its followers for ever, and no configuration promises otherwise.

mod devices;
mod links;
mod lives;
mod members;
mod operations;

use std::collections::BTreeMap;

use self::members::Crowd;
use super::profile::{Kind, Profile};
use crate::base::random::Stream;
use crate::base::{BrokerId, TopicPartition};
use crate::scenario::budget::{self, Loss, Stake};
use crate::scenario::model::{
    Action, After, ClientName, EventName, Fault, Milestone, Role, Scenario, Target, Topic, When,
};
use crate::scenario::units::Millis;

/// Faults begin so long after the clients.
const FIRST_MS: u64 = 1_500;
/// A broker that comes back is taken to be in every ISR again after this time. If it is not, the run leaves out what
/// would exceed the budget.
const RECOVERY_MS: u64 = 4_000;

/// The fault list of a scenario whose other parts are drawn already.
pub(super) fn faults(stream: &mut Stream, profile: &Profile, scenario: &Scenario) -> Vec<Fault> {
    if profile.kinds.is_empty() {
        return Vec::new();
    }
    let wanted = stream.between(profile.faults.0, profile.faults.1);
    let possible = profile.kinds.iter().copied().filter(|(kind, _)| !kind.needs_groups() || has_groups(scenario));
    let kinds = enabled(stream, possible.collect());
    let end = scenario.duration.0;
    let gap = (end - FIRST_MS) / wanted.max(1);
    let mut nemesis = Nemesis::new(stream, scenario);
    let mut at = FIRST_MS;
    while at < end {
        let kind = nemesis.pick(&kinds);
        nemesis.plot(kind, at);
        at += nemesis.stream.between(gap / 4 + 1, gap * 7 / 4 + 1);
    }
    if kinds.iter().any(|(kind, _)| *kind == Kind::Operation) {
        nemesis.small_batches(end);
    }
    let mut faults = nemesis.faults;
    faults.retain(|f| f.moment().is_none_or(|at| at.0 <= end));
    faults.sort_by_key(Fault::moment);
    faults
}

/// A third of the kinds at least, and two: what is never done leaves room for the rest.
fn enabled(stream: &mut Stream, mut kinds: Vec<(Kind, u64)>) -> Vec<(Kind, u64)> {
    stream.shuffle(&mut kinds);
    let most = kinds.len() as u64;
    let kept = stream.between((most / 3).max(2).min(most), most);
    kinds.truncate(kept as usize);
    kinds
}

fn has_groups(scenario: &Scenario) -> bool {
    scenario.clients.iter().any(|client| matches!(client.role, Role::Group(_)))
}

struct Nemesis<'a> {
    stream: &'a mut Stream,
    brokers: Vec<BrokerId>,
    /// Controllers that are nodes of their own.
    controllers: Vec<BrokerId>,
    partitions: Vec<TopicPartition>,
    /// The first process of each client.
    clients: Vec<ClientName>,
    crowds: Vec<Crowd>,
    topics: Vec<Topic>,
    /// Partitions that the scenario has placed, with their replicas.
    placed: Vec<Stake>,
    /// Whatever the budget must look after.
    stakes: Vec<Stake>,
    session_ms: u64,
    /// `min.insync.replicas` of topics that set none.
    min_isr: u64,
    /// Until when each broker is down or stands still.
    busy: BTreeMap<BrokerId, u64>,
    /// Until when each broker may lack what it held, and why.
    windows: BTreeMap<BrokerId, (u64, Loss)>,
    faults: Vec<Fault>,
}

impl<'a> Nemesis<'a> {
    fn new(stream: &'a mut Stream, scenario: &Scenario) -> Self {
        let number =
            |key: &str, kafkas| scenario.cluster.config.get(key).and_then(|text| text.parse().ok()).unwrap_or(kafkas);
        let stakes = budget::stakes(scenario);
        let of_topic = |s: &&Stake| scenario.topics.iter().any(|topic| *topic.name == *s.tp.topic);
        let placed: Vec<_> = stakes.iter().filter(of_topic).cloned().collect();
        Self {
            stream,
            brokers: scenario.cluster.ids().collect(),
            controllers: scenario.cluster.controller_ids().collect(),
            partitions: placed.iter().map(|s| s.tp.clone()).collect(),
            clients: scenario.clients.iter().map(|c| ClientName { group: c.name.clone(), index: Some(0) }).collect(),
            crowds: members::crowds(scenario),
            topics: scenario.topics.clone(),
            placed,
            stakes,
            session_ms: number("broker.session.timeout.ms", 9_000),
            min_isr: number("min.insync.replicas", 1),
            busy: BTreeMap::new(),
            windows: BTreeMap::new(),
            faults: Vec::new(),
        }
    }

    fn pick(&mut self, kinds: &[(Kind, u64)]) -> Kind {
        let mut left = self.stream.below(kinds.iter().map(|(_, weight)| weight).sum());
        for (kind, weight) in kinds {
            if left < *weight {
                return *kind;
            }
            left -= weight;
        }
        unreachable!("the draw lies below the sum of the weights")
    }

    /// Draws what belongs to one plot that begins at `at`.
    fn plot(&mut self, kind: Kind, at: u64) {
        match kind {
            Kind::PowerCut => self.one_down(at, true),
            Kind::Crash => self.one_down(at, false),
            Kind::Bounce => self.bounce(at),
            Kind::Stop => self.stop(at),
            Kind::Pause => self.stand(at),
            Kind::Client => self.client(at),
            Kind::LastReplica => self.last_replica(at),
            Kind::DoubleFailover => self.double_failover(at),
            Kind::FastFailovers => self.fast_failovers(at),
            Kind::ElectionStorm => self.election_storm(at),
            Kind::RollingStop => self.rolling_stop(at),
            Kind::LeftBehind => self.left_behind(at),
            Kind::StaleJoin => self.stale_join(at),
            Kind::Milestone => self.milestone(),
            Kind::Isolate => self.isolate(at),
            Kind::Cut => self.cut(at),
            Kind::Flap => self.flap(at),
            Kind::Partition => self.partition(at),
            Kind::Slow => self.slow(at),
            Kind::Reset => self.reset(at),
            Kind::DelayRequest => self.delay_request(at),
            Kind::DiskStall => self.disk_stall(at),
            Kind::DiskFailure => self.disk_failure(at),
            Kind::Clock => self.clock(at),
            Kind::Member => self.member(at),
            Kind::Storm => self.storm(at),
            Kind::Coordinator => self.coordinator(at),
            Kind::Operation => self.operation(at),
        }
    }

    /// Something that begins at `at` and is over after `lasts`.
    fn add(&mut self, at: u64, lasts: u64, action: Action) {
        let lasts = Some(Millis(lasts.max(1))).filter(|_| action.can_end());
        self.faults.push(Fault { lasts, ..Fault::at(Millis(at), action) });
    }
    /// Something that happens so long after the first such event.
    fn add_after(&mut self, event: EventName, delay: u64, lasts: u64, action: Action) {
        let partition = event.has_partition().then(|| self.any_partition()).flatten();
        let group = event.has_group().then(|| self.any_group()).flatten();
        let milestone = Milestone::Event(event);
        let when = When::After(After { milestone, partition, broker: None, group, delay: Millis(delay) });
        let lasts = Some(Millis(lasts.max(1))).filter(|_| action.can_end());
        self.faults.push(Fault { when, every: None, until: None, lasts, action });
    }

    /// A broker that nothing is done to at this time.
    fn free(&mut self, at: u64) -> Option<BrokerId> {
        let free: Vec<_> = self.brokers.iter().copied().filter(|id| self.is_free(*id, at)).collect();
        (!free.is_empty()).then(|| *self.stream.pick(&free))
    }
    fn is_free(&self, id: BrokerId, at: u64) -> bool {
        self.busy.get(&id).is_none_or(|t| *t < at)
    }
    fn any_broker(&mut self) -> Target {
        Target::Broker(*self.stream.pick(&self.brokers))
    }
    fn any_partition(&mut self) -> Option<TopicPartition> {
        (!self.partitions.is_empty()).then(|| self.stream.pick(&self.partitions).clone())
    }
    /// Often one that matters at the moment of the fault.
    fn someone(&mut self) -> Target {
        let Some(tp) = self.any_partition() else { return Target::Controller };
        match self.stream.below(8) {
            0 | 1 => Target::Controller,
            2 | 3 => Target::LeaderOf(tp),
            4 => Target::FollowerOf(tp),
            5 => Target::IsrMemberOf(tp),
            6 => match self.any_coordinator() {
                Some(coordinator) => coordinator,
                None => self.any_broker(),
            },
            _ => self.any_broker(),
        }
    }

    /// How long something lasts: short against the session, about as long, or longer.
    fn span(&mut self) -> u64 {
        match self.stream.below(4) {
            0 => self.stream.between(50, 800),
            1 | 2 => self.stream.between(self.session_ms / 2, self.session_ms * 3 / 2),
            _ => self.stream.between(self.session_ms, self.session_ms * 2 + 3_000),
        }
    }
}
