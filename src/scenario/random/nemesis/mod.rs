//! Draws the list of faults: what happens, to whom and when, materialised before anything runs.
//!
//! Faults are biased towards moments that matter: leaders and controllers are hit more often than others, a second
//! fault often follows while the first is still being dealt with, and pauses are about as long as the timeouts that
//! they are to expire. What loses unsynced data keeps to the budget.

use std::collections::BTreeMap;

use super::profile::{Kind, Profile};
use crate::base::random::Stream;
use crate::base::{BrokerId, TopicPartition};
use crate::scenario::budget::{self, Loss, Stake};
use crate::scenario::model::{Action, Fault, Heal, Link, Scenario, Target};
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
    let kinds = enabled(stream, profile);
    let end = scenario.duration.0;
    let gap = (end - FIRST_MS) / wanted.max(1);
    let mut nemesis = Nemesis::new(stream, scenario);
    let mut at = FIRST_MS;
    while at < end {
        let kind = nemesis.pick(&kinds);
        nemesis.plot(kind, at);
        at += nemesis.stream.between(gap / 4 + 1, gap * 7 / 4 + 1);
    }
    let mut faults = nemesis.faults;
    faults.retain(|f| f.moment().is_some_and(|at| at.0 <= end));
    faults.sort_by_key(Fault::moment);
    without_idle_heals(faults)
}

/// Drops every `heal` before which nothing is cut.
fn without_idle_heals(mut faults: Vec<Fault>) -> Vec<Fault> {
    let mut cut = false;
    faults.retain(|f| match f.action {
        Action::Cut(_) | Action::Isolate(_) => {
            cut = true;
            true
        }
        Action::Heal(_) => std::mem::take(&mut cut),
        _ => true,
    });
    faults
}

/// Half of the kinds, and two at least: what is never done leaves room for the rest.
fn enabled(stream: &mut Stream, profile: &Profile) -> Vec<(Kind, u64)> {
    let mut kinds = profile.kinds.to_vec();
    stream.shuffle(&mut kinds);
    let most = kinds.len() as u64;
    let kept = stream.between((most / 3).max(2).min(most), most);
    kinds.truncate(kept as usize);
    kinds
}

struct Nemesis<'a> {
    stream: &'a mut Stream,
    brokers: Vec<BrokerId>,
    partitions: Vec<TopicPartition>,
    stakes: Vec<Stake>,
    session_ms: u64,
    /// Until when each broker is down or stands still.
    busy: BTreeMap<BrokerId, u64>,
    /// How each broker ended that is not yet taken to be back, and until when.
    windows: BTreeMap<BrokerId, (u64, Loss)>,
    faults: Vec<Fault>,
}

impl<'a> Nemesis<'a> {
    fn new(stream: &'a mut Stream, scenario: &Scenario) -> Self {
        let number = |key: &str, default: u64| {
            scenario.cluster.config.get(key).and_then(|text| text.parse().ok()).unwrap_or(default)
        };
        let stakes = budget::stakes(scenario);
        Self {
            stream,
            brokers: scenario.cluster.ids().collect(),
            partitions: stakes.iter().map(|s| s.tp.clone()).collect(),
            stakes,
            session_ms: number("broker.session.timeout.ms", 9_000),
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

    fn add(&mut self, at: u64, action: Action) {
        self.faults.push(Fault::at(Millis(at), action));
    }

    /// A broker that nothing is done to at this time.
    fn free(&mut self, at: u64) -> Option<BrokerId> {
        let free: Vec<_> =
            self.brokers.iter().copied().filter(|id| self.busy.get(id).is_none_or(|t| *t < at)).collect();
        (!free.is_empty()).then(|| *self.stream.pick(&free))
    }

    /// How long something lasts: short against the session, about as long, or longer.
    fn span(&mut self) -> u64 {
        match self.stream.below(4) {
            0 => self.stream.between(50, 800),
            1 | 2 => self.stream.between(self.session_ms / 2, self.session_ms * 3 / 2),
            _ => self.stream.between(self.session_ms, self.session_ms * 2 + 3_000),
        }
    }

    /// Takes a broker down and up again; power only if the budget allows it.
    fn down(&mut self, at: u64, broker: BrokerId, power: bool, lasts: u64) {
        let open =
            self.windows.iter().filter(|(_, (until, _))| *until >= at).map(|(id, (_, loss))| (*id, *loss)).collect();
        let power = power && budget::survives(&self.stakes, &open, broker, Loss::Unsynced).is_ok();
        let loss = if power { Loss::Unsynced } else { Loss::Process };
        if budget::survives(&self.stakes, &open, broker, loss).is_err() {
            return;
        }
        self.windows.insert(broker, (at + lasts + RECOVERY_MS, loss));
        let target = Target::Broker(broker);
        self.add(at, if power { Action::PowerCut(target.clone()) } else { Action::Crash(target.clone()) });
        self.add(at + lasts, Action::Start(target));
        self.busy.insert(broker, at + lasts);
    }

    /// Draws what belongs to one plot that begins at `at`.
    fn plot(&mut self, kind: Kind, at: u64) {
        match kind {
            Kind::PowerCut | Kind::Crash => {
                let lasts = self.span();
                if let Some(broker) = self.free(at) {
                    self.down(at, broker, kind == Kind::PowerCut, lasts);
                }
            }
            Kind::Stop => self.stop(at),
            Kind::Pause => self.pause(at),
            Kind::Isolate => self.isolate(at),
            Kind::Cut => self.cut(at),
            Kind::LastReplica => self.last_replica(at),
            Kind::DoubleFailover => self.double_failover(at),
            Kind::ElectionStorm => self.election_storm(at),
        }
    }

    fn stop(&mut self, at: u64) {
        let lasts = self.span();
        if let Some(broker) = self.free(at) {
            self.add(at, Action::Stop(Target::Broker(broker)));
            self.add(at + lasts, Action::Start(Target::Broker(broker)));
            self.busy.insert(broker, at + lasts);
        }
    }

    fn pause(&mut self, at: u64) {
        let lasts = self.span();
        if let Some(broker) = self.free(at) {
            self.add(at, Action::Pause(Target::Broker(broker)));
            self.add(at + lasts, Action::Resume(Target::Broker(broker)));
            self.busy.insert(broker, at + lasts);
        }
    }

    fn isolate(&mut self, at: u64) {
        let lasts = self.span();
        let target = self.someone();
        self.add(at, Action::Isolate(target));
        self.add(at + lasts, Action::Heal(Heal::All));
    }

    fn cut(&mut self, at: u64) {
        if self.brokers.len() < 2 {
            return;
        }
        let mut pair = self.brokers.clone();
        self.stream.shuffle(&mut pair);
        let lasts = self.span();
        let one_way = self.stream.chance(1, 3);
        let to = if self.stream.chance(1, 3) { Target::Controller } else { Target::Broker(pair[1]) };
        self.add(at, Action::Cut(Link { from: Target::Broker(pair[0]), to, one_way }));
        self.add(at + lasts, Action::Heal(Heal::All));
    }

    /// Often one that matters at the moment of the fault.
    fn someone(&mut self) -> Target {
        match self.stream.below(4) {
            0 => Target::Controller,
            1 | 2 if !self.partitions.is_empty() => {
                let tp = self.stream.pick(&self.partitions).clone();
                Target::LeaderOf(tp)
            }
            _ => Target::Broker(*self.stream.pick(&self.brokers)),
        }
    }

    fn last_replica(&mut self, at: u64) {
        let Some(broker) = self.free(at) else { return };
        self.add(at, Action::Isolate(Target::Broker(broker)));
        let later = at + self.span();
        let lasts = self.span();
        self.down(later, broker, true, lasts);
        let healed = later + self.stream.between(0, lasts + 1);
        self.add(healed, Action::Heal(Heal::All));
    }

    fn double_failover(&mut self, at: u64) {
        let Some(first) = self.free(at) else { return };
        let lasts = self.span();
        let power = self.stream.chance(1, 2);
        self.down(at, first, power, lasts);
        let second_at = at + self.stream.between(1, self.session_ms * 3 / 2);
        if let Some(second) = self.free(second_at) {
            let lasts = self.stream.between(50, 3_000);
            self.down(second_at, second, !power, lasts);
        }
    }

    fn election_storm(&mut self, at: u64) {
        let lasts = self.stream.between(500, 8_000);
        self.add(at, Action::Isolate(Target::Controller));
        self.add(at + lasts, Action::Heal(Heal::All));
        let voter_at = at + self.stream.between(500, 5_000);
        if let Some(voter) = self.free(voter_at) {
            let lasts = self.stream.between(50, 2_000);
            self.down(voter_at, voter, true, lasts);
        }
    }
}
