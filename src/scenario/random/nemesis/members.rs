//! Plots of consumer groups: what happens to their members, one or many, and to their coordinators.

use super::Nemesis;
use crate::scenario::model::{
    Action, ClientName, Comer, Config, DelayRequest, EventName, Link, Role, Scenario, SlowLink, Target,
};
use crate::scenario::units::Millis;

/// Requests of members worth holding back: what arrives late is of a generation that is over.
const DELAYED: [&str; 6] = ["OffsetCommit", "OffsetCommit", "JoinGroup", "SyncGroup", "Heartbeat", "LeaveGroup"];
/// The same of members to whom the coordinator assigns. Not their heartbeats: these bear no numbers, and one that says what its
/// sender owned before it was told more passes for giving that back (KIP-848 relies on the order of a connection).
const DELAYED_NEXT: [&str; 1] = ["OffsetCommit"];

/// A consumer group, as far as plots know it.
pub(super) struct Crowd {
    /// Its id.
    id: String,
    /// The name of the client that its processes belong to.
    client: String,
    count: u32,
    /// How many run from the beginning.
    start: u32,
    session_ms: u64,
    poll_ms: u64,
    /// Its requests worth holding back.
    delayed: &'static [&'static str],
}

/// The groups of a scenario.
pub(super) fn crowds(scenario: &Scenario) -> Vec<Crowd> {
    let crowd = |client: &crate::scenario::model::Client| {
        let Role::Group(group) = &client.role else { return None };
        let time = |config: &Config, key: &str, kafkas: u64| {
            config.get(key).and_then(|time| time.parse().ok()).unwrap_or(kafkas)
        };
        let next = group.config.contains_key("group.protocol");
        let session_ms = match next {
            true => time(&scenario.cluster.config, "group.consumer.session.timeout.ms", 45_000),
            false => time(&group.config, "session.timeout.ms", 45_000),
        };
        Some(Crowd {
            id: group.id(&client.name).to_owned(),
            client: client.name.clone(),
            count: group.count,
            start: group.start(),
            session_ms,
            poll_ms: time(&group.config, "max.poll.interval.ms", 300_000),
            delayed: if next { &DELAYED_NEXT } else { &DELAYED },
        })
    };
    scenario.clients.iter().filter_map(crowd).collect()
}

impl Crowd {
    fn process(&self, index: u32) -> ClientName {
        ClientName { group: self.client.clone(), index: Some(index) }
    }
}

impl Nemesis<'_> {
    /// The id of some group.
    pub(super) fn any_group(&mut self) -> Option<String> {
        self.any_crowd().map(|n| self.crowds[n].id.clone())
    }
    /// The coordinator of some group.
    pub(super) fn any_coordinator(&mut self) -> Option<Target> {
        self.any_group().map(Target::CoordinatorOf)
    }
    fn any_crowd(&mut self) -> Option<usize> {
        (!self.crowds.is_empty()).then(|| self.stream.below(self.crowds.len() as u64) as usize)
    }
    /// How long a member is away: its session barely outlives it, or does not, or it also polls too late.
    fn absence(&mut self, session_ms: u64, poll_ms: u64) -> u64 {
        match self.stream.below(5) {
            0 => self.stream.between(50, session_ms / 2),
            1 | 2 => self.stream.between(session_ms / 2, session_ms * 2),
            3 => self.stream.between(session_ms, session_ms * 3),
            _ => self.stream.between(poll_ms * 3 / 4, poll_ms * 3 / 2),
        }
    }

    /// Something happens to one member.
    pub(super) fn member(&mut self, at: u64) {
        let Some(n) = self.any_crowd() else { return };
        let index = self.stream.below(u64::from(self.crowds[n].count)) as u32;
        let crowd = &self.crowds[n];
        let (name, coordinator) = (crowd.process(index), Target::CoordinatorOf(crowd.id.clone()));
        let (session, poll, delayed) = (crowd.session_ms, crowd.poll_ms, crowd.delayed);
        let lasts = self.absence(session, poll);
        let one = Target::Client(name.clone());
        let action = match self.stream.below(12) {
            0..=2 => Action::Pause(one),
            3 => Action::Freeze(one),
            4 => Action::Crash(one),
            5 => Action::PowerCut(one),
            6 => Action::Leave(Comer::Client(name)),
            7 => Action::Isolate(one),
            8 => Action::Cut(Link { from: one, to: coordinator, one_way: self.stream.chance(1, 3) }),
            9 => {
                let latency = Some(Millis(self.stream.between(50, session)));
                let (jitter, bandwidth, one_way) = (Some(Millis(self.stream.between(0, 1_000))), None, false);
                Action::SlowLink(SlowLink { from: one, to: coordinator, one_way, latency, jitter, bandwidth })
            }
            _ => {
                let api = (*self.stream.pick(delayed)).to_owned();
                let (by, count) = (Millis(self.stream.between(100, session * 3)), self.stream.between(1, 4) as u32);
                Action::DelayRequest(DelayRequest { api, from: one, to: coordinator, by, count })
            }
        };
        self.add(at, lasts, action);
    }

    /// Members leave, die and join at almost the same time, so that one rebalance begins before the last is over.
    pub(super) fn storm(&mut self, at: u64) {
        let Some(n) = self.any_crowd() else { return };
        let (count, start) = (self.crowds[n].count, self.crowds[n].start);
        let spread = self.stream.between(100, 4_000);
        for index in 0..count {
            let name = self.crowds[n].process(index);
            let at = at + self.stream.between(0, spread);
            let lasts = self.stream.between(50, spread);
            let action = match self.stream.below(4) {
                _ if index >= start => Action::Join(Comer::Client(name)),
                0 => Action::Crash(Target::Client(name)),
                1 | 2 => Action::Leave(Comer::Client(name)),
                _ => continue,
            };
            self.add(at, lasts, action);
        }
    }

    /// The coordinator is lost, or its partition changes hands; often just when the group rebalances.
    pub(super) fn coordinator(&mut self, at: u64) {
        let Some(target) = self.any_coordinator() else { return };
        let lasts = self.span();
        let action = match self.stream.below(8) {
            0 | 1 => Action::PowerCut(target),
            2 | 3 => Action::Crash(target),
            4 => Action::Pause(target),
            5 => Action::Stop(target),
            6 => Action::Isolate(target),
            _ => Action::DiskStall(target),
        };
        if self.stream.chance(1, 3) {
            let events = [EventName::RebalanceStarted, EventName::RebalanceCompleted, EventName::MemberExpelled];
            let (event, delay) = (*self.stream.pick(&events), self.stream.between(0, 1_500));
            self.add_after(event, delay, lasts, action);
        } else {
            self.add(at, lasts, action);
        }
    }
}
