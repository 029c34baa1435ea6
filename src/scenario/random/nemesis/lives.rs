//! Plots of processes: who goes down or stands still, in which order, and when they come back.

use super::{Nemesis, RECOVERY_MS};
use crate::base::BrokerId;
use crate::scenario::budget::{self, Loss};
use crate::scenario::model::{Action, DelayRequest, EventName, Link, SlowLink, Target};
use crate::scenario::units::Millis;

impl Nemesis<'_> {
    /// Takes a broker down and up again; power, or even its logs, only if the budget allows it.
    fn down(&mut self, at: u64, broker: BrokerId, power: bool, lasts: u64) {
        let others = self.windows.iter().filter(|(_, (until, _))| *until >= at);
        let open = others.map(|(id, (_, loss))| (*id, *loss)).collect();
        let power = power && budget::survives(&self.stakes, &open, broker, Loss::Unsynced).is_ok();
        let loss = if power { Loss::Unsynced } else { Loss::Process };
        if budget::survives(&self.stakes, &open, broker, loss).is_err() {
            return;
        }
        self.windows.insert(broker, (at + lasts + RECOVERY_MS, loss));
        let target = Target::Broker(broker);
        let action = match power {
            true if self.stream.chance(1, 12) => Action::Wipe(target),
            true => Action::PowerCut(target),
            false => Action::Crash(target),
        };
        self.add(at, lasts, action);
        self.busy.insert(broker, at + lasts);
    }
    /// Stops a broker in an orderly way and starts it again.
    fn stop_one(&mut self, at: u64, broker: BrokerId, lasts: u64) {
        self.add(at, lasts, Action::Stop(Target::Broker(broker)));
        self.busy.insert(broker, at + lasts);
    }

    pub(super) fn one_down(&mut self, at: u64, power: bool) {
        let lasts = self.span();
        if let Some(broker) = self.free(at) {
            self.down(at, broker, power, lasts);
        }
    }
    /// Down and up again before anybody's timeout has run out, perhaps twice.
    pub(super) fn bounce(&mut self, at: u64) {
        let Some(broker) = self.free(at) else { return };
        let power = self.stream.chance(2, 3);
        let mut at = at;
        for _ in 0..self.stream.between(1, 2) {
            let lasts = self.stream.between(20, 400);
            self.down(at, broker, power, lasts);
            at += lasts + self.stream.between(200, 4_000);
        }
    }
    pub(super) fn stop(&mut self, at: u64) {
        let lasts = self.span();
        if let Some(broker) = self.free(at) {
            self.stop_one(at, broker, lasts);
        }
    }
    /// A process, or its whole machine, stands still.
    pub(super) fn stand(&mut self, at: u64) {
        let lasts = self.span();
        let frozen = self.stream.chance(1, 3);
        let target = match self.someone() {
            Target::Broker(_) => {
                let Some(broker) = self.free(at) else { return };
                self.busy.insert(broker, at + lasts);
                Target::Broker(broker)
            }
            late => late,
        };
        self.add(at, lasts, if frozen { Action::Freeze(target) } else { Action::Pause(target) });
    }
    /// A client stands still, dies, or hears nothing.
    pub(super) fn client(&mut self, at: u64) {
        if self.clients.is_empty() {
            return;
        }
        let client = Target::Client(self.stream.pick(&self.clients).clone());
        let lasts = self.span();
        let action = match self.stream.below(4) {
            0 => Action::Pause(client),
            1 => Action::Crash(client),
            2 => Action::PowerCut(client),
            _ => Action::Isolate(client),
        };
        self.add(at, lasts, action);
    }
    /// The ISR shrinks to a leader that is cut off, which then loses power.
    pub(super) fn last_replica(&mut self, at: u64) {
        let Some(broker) = self.free(at) else { return };
        let later = at + self.span();
        let lasts = self.span();
        let healed = later + self.stream.between(0, lasts + 1);
        self.add(at, healed - at, Action::Isolate(Target::Broker(broker)));
        self.down(later, broker, true, lasts);
    }
    /// A leader dies and its successor soon after it.
    pub(super) fn double_failover(&mut self, at: u64) {
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
    /// Leaders of a partition die one after another while one of its replicas is late. Either another does not hear it: then
    /// each leadership leaves records behind that the next one never sees. Or another has to catch up: then it meets a
    /// leader who knows less of what is committed than it holds.
    pub(super) fn fast_failovers(&mut self, at: u64) {
        let many = self.placed.iter().filter(|s| s.replicas.len() > 2);
        let many: Vec<_> = many.map(|s| (s.tp.clone(), s.replicas.clone())).collect();
        if many.is_empty() {
            return;
        }
        let (tp, mut replicas) = self.stream.pick(&many).clone();
        self.stream.shuffle(&mut replicas);
        let (late, other, leader) = (Target::Broker(replicas[0]), replicas[1], Target::LeaderOf(tp));
        let session = self.session_ms;
        let first = at + self.stream.between(200, 1_500);
        // Nobody takes over before the session of a dead leader is over.
        let second = first + session + self.stream.between(300, 2_500);
        let latency = Some(Millis(self.stream.between(20, 400)));
        let (jitter, bandwidth) = (None, None);
        let slow = SlowLink { from: late.clone(), to: leader.clone(), one_way: false, latency, jitter, bandwidth };
        self.add(at, first - at, Action::SlowLink(slow));
        let crash_again = if self.stream.chance(1, 2) {
            let link = Link { from: late, to: Target::Broker(other), one_way: false };
            self.add(at, second - at, Action::Cut(link));
            true
        } else {
            if self.is_free(other, at) {
                let lasts = self.stream.between(50, session);
                self.down(at, other, false, lasts);
            }
            self.stream.chance(1, 2)
        };
        let lasts = self.stream.between(100, session * 2 + 4_000);
        self.add(first, lasts, Action::Crash(leader.clone()));
        if crash_again {
            let lasts = self.stream.between(50, session);
            self.add(second, lasts, Action::Crash(leader));
        }
    }
    /// The active controller is lost, and in the election one of the voters loses power.
    pub(super) fn election_storm(&mut self, at: u64) {
        let lasts = self.stream.between(500, 8_000);
        self.add(at, lasts, Action::Isolate(Target::Controller));
        let voter_at = at + self.stream.between(500, 5_000);
        if let Some(voter) = self.free(voter_at) {
            let lasts = self.stream.between(50, 2_000);
            match self.controllers.is_empty() {
                true => self.down(voter_at, voter, true, lasts),
                // Brokers have no vote then.
                false => self.add(voter_at, lasts, Action::PowerCut(Target::Voter)),
            }
        }
    }

    /// The replicas of one partition, in some order, if nothing is done to any of them at this time.
    fn free_replicas(&mut self, at: u64) -> Option<Vec<BrokerId>> {
        let free = |ids: &Vec<BrokerId>| ids.len() > 1 && ids.iter().all(|id| self.is_free(*id, at));
        let free: Vec<_> = self.placed.iter().map(|s| s.replicas.clone()).filter(free).collect();
        if free.is_empty() {
            return None;
        }
        let mut replicas = self.stream.pick(&free).clone();
        self.stream.shuffle(&mut replicas);
        Some(replicas)
    }
    /// All replicas of a partition are stopped one after another and come back in another order. A follower that went
    /// with more than it knew to be committed may be the first to return, and lead.
    pub(super) fn rolling_stop(&mut self, at: u64) {
        let Some(mut replicas) = self.free_replicas(at) else { return };
        let mut stops = Vec::new();
        let mut at = at;
        for id in &replicas {
            stops.push((*id, at));
            at += self.stream.between(100, 2_500);
        }
        self.stream.shuffle(&mut replicas);
        for id in replicas {
            let stopped_at = stops.iter().find(|(stopped, _)| *stopped == id).map_or(at, |(_, at)| *at);
            self.stop_one(stopped_at, id, at - stopped_at);
            at += self.stream.between(100, 4_000);
        }
    }
    /// One replica is cut off, the others are stopped or crash one after another, and only then it hears again: it lacks
    /// what they have acknowledged. Slow links may keep it from catching up before its first fetch has had consequences, with a
    /// leader who has only the high watermark of its last checkpoint.
    pub(super) fn left_behind(&mut self, at: u64) {
        let Some(replicas) = self.free_replicas(at) else { return };
        let (behind, others) = (replicas[0], &replicas[1..]);
        let first_at = at + self.session_ms + self.stream.between(500, 4_000);
        let mut down_at = first_at;
        for id in others {
            let lasts = self.session_ms + self.stream.between(3_000, 9_000);
            if self.stream.chance(1, 2) {
                self.stop_one(down_at, *id, lasts);
            } else {
                self.down(down_at, *id, false, lasts);
            }
            down_at += self.stream.between(100, 2_000);
        }
        self.add(at, down_at - at, Action::Isolate(Target::Broker(behind)));
        if self.stream.chance(1, 2) {
            let (latency, jitter, bandwidth) = (Some(Millis(self.stream.between(50, 600))), None, None);
            for other in others {
                let (from, to) = (Target::Broker(behind), Target::Broker(*other));
                let slow = SlowLink { from, to, one_way: false, latency, jitter, bandwidth };
                self.add(down_at, self.session_ms + 12_000, Action::SlowLink(slow));
            }
        }
    }
    /// A replica loses power again just when it has caught up, and comes back before the news of its catching up, which
    /// was long on its way.
    pub(super) fn stale_join(&mut self, at: u64) {
        let Some(broker) = self.free(at) else { return };
        let held: Vec<_> = self.placed.iter().filter(|s| s.replicas.contains(&broker)).map(|s| s.tp.clone()).collect();
        if held.is_empty() {
            return;
        }
        let leader = Target::LeaderOf(self.stream.pick(&held).clone());
        // Nobody may register anew while the session of its former life lasts.
        let session = self.session_ms;
        let lasts = self.stream.between(50, session / 2);
        self.down(at, broker, true, lasts);
        let by = Millis(self.stream.between(session + 500, session * 2 + 4_000));
        let (api, to, count) = ("AlterPartition".to_owned(), Target::Controller, 20);
        self.add(at + session / 2, 0, Action::DelayRequest(DelayRequest { api, from: leader, to, by, count }));
        let again = at + session + self.stream.between(200, 2_500);
        let lasts = self.stream.between(20, 500);
        self.down(again, broker, true, lasts);
    }
    /// A fault that waits for something to come about.
    pub(super) fn milestone(&mut self) {
        const OF_GROUPS: usize = 3;
        const EVENTS: [EventName; 7 + OF_GROUPS] = [
            EventName::LeaderElected,
            EventName::ControllerElected,
            EventName::IsrShrunk,
            EventName::IsrExpanded,
            EventName::BrokerFenced,
            EventName::BrokerUnfenced,
            EventName::LogTruncated,
            EventName::RebalanceStarted,
            EventName::RebalanceCompleted,
            EventName::MemberExpelled,
        ];
        let possible = if self.crowds.is_empty() { EVENTS.len() - OF_GROUPS } else { EVENTS.len() };
        let event = *self.stream.pick(&EVENTS[..possible]);
        let delay = if self.stream.chance(1, 3) { 0 } else { self.stream.between(1, 2_000) };
        let lasts = self.span();
        let target = self.someone();
        let action = match self.stream.below(6) {
            0 | 1 => Action::PowerCut(target),
            2 => Action::Crash(target),
            3 => Action::Pause(target),
            4 => Action::Stop(target),
            _ => Action::Isolate(target),
        };
        self.add_after(event, delay, lasts, action);
    }
}
