//! Plots of the network.

use super::Nemesis;
use crate::scenario::model::{
    Action, Bridge, DelayRequest, Fault, Groups, Link, LossyLink, Member, Pair, SlowLink, Target,
};
use crate::scenario::units::{Bytes, Millis};

/// Requests worth holding back: what arrives late must not count any more, or be known again.
const DELAYED: [&str; 8] = [
    "Produce",
    "Fetch",
    "AlterPartition",
    "BrokerHeartbeat",
    "BrokerRegistration",
    "Vote",
    "BeginQuorumEpoch",
    "Metadata",
];

impl Nemesis<'_> {
    pub(super) fn isolate(&mut self, at: u64) {
        let lasts = self.span();
        let target = self.someone();
        self.add(at, lasts, Action::Isolate(target));
    }
    /// Two ends of a link; often a broker and whoever is the controller.
    fn pair(&mut self) -> Option<(Target, Target)> {
        if self.brokers.len() < 2 {
            return None;
        }
        let mut pair = self.brokers.clone();
        self.stream.shuffle(&mut pair);
        let from = Target::Broker(pair[0]);
        let to = if self.stream.chance(1, 3) { Target::Controller } else { Target::Broker(pair[1]) };
        Some(if self.stream.chance(1, 4) { (to, from) } else { (from, to) })
    }
    pub(super) fn cut(&mut self, at: u64) {
        let Some((from, to)) = self.pair() else { return };
        let lasts = self.span();
        let one_way = self.stream.chance(1, 3);
        self.add(at, lasts, Action::Cut(Link { from, to, one_way }));
    }
    /// A link, or a whole node, that comes and goes.
    pub(super) fn flap(&mut self, at: u64) {
        let Some((from, to)) = self.pair() else { return };
        let lasts = self.stream.between(100, self.session_ms);
        let every = lasts + self.stream.between(100, 3_000);
        let until = at + every * self.stream.between(2, 5);
        let node = self.stream.chance(1, 2);
        let action = if node { Action::Isolate(from) } else { Action::Cut(Link { from, to, one_way: false }) };
        let end = crate::scenario::random::DURATION_MS;
        self.faults.push(Fault {
            every: Some(Millis(every)),
            until: Some(Millis(until.min(end))),
            lasts: Some(Millis(lasts)),
            ..Fault::at(Millis(at), action)
        });
    }
    /// The network parts in two, clients on either side; perhaps one node still reaches both.
    pub(super) fn partition(&mut self, at: u64) {
        let lasts = self.span();
        let nodes = self.brokers.iter().chain(&self.controllers);
        let mut members: Vec<_> = nodes.map(|id| Member::Broker(*id)).collect();
        self.stream.shuffle(&mut members);
        let over = self.stream.chance(1, 3).then(|| members.pop()).flatten();
        if members.len() < 2 {
            return;
        }
        for name in self.clients.clone() {
            if self.stream.chance(1, 2) {
                members.push(Member::Client(name));
            }
        }
        let brokers = members.iter().filter(|m| matches!(m, Member::Broker(_))).count() as u64;
        let first = self.stream.between(1, brokers - 1) as usize;
        let mut groups = vec![members[..first].to_vec(), members[first..brokers as usize].to_vec()];
        for client in members.drain(brokers as usize..) {
            groups[usize::from(self.stream.chance(1, 2))].push(client);
        }
        let action = match over {
            Some(Member::Broker(over)) => Action::Bridge(Bridge { groups, over }),
            _ => Action::Partition(Groups { groups }),
        };
        self.add(at, lasts, action);
    }
    /// A link that is slow, loses segments, or holds everything back.
    pub(super) fn slow(&mut self, at: u64) {
        let Some((from, to)) = self.pair() else { return };
        let lasts = self.span();
        let one_way = self.stream.chance(1, 3);
        let action = match self.stream.below(4) {
            0 => Action::Clog(Link { from, to, one_way }),
            1 => Action::LossyLink(LossyLink { from, to, one_way, percent: self.stream.between(1, 40) as f64 }),
            2 => {
                let bandwidth = Some(Bytes(self.stream.between(2_000, 60_000)));
                Action::SlowLink(SlowLink { from, to, one_way, latency: None, jitter: None, bandwidth })
            }
            _ => {
                let latency = Some(Millis(self.stream.between(5, 1_500)));
                let jitter = Some(Millis(self.stream.between(0, 500)));
                Action::SlowLink(SlowLink { from, to, one_way, latency, jitter, bandwidth: None })
            }
        };
        self.add(at, lasts, action);
    }
    /// Connections break under those who wait for an answer.
    pub(super) fn reset(&mut self, at: u64) {
        for n in 0..self.stream.between(1, 4) {
            let from = if self.clients.is_empty() || self.stream.chance(1, 2) {
                Target::AllBrokers
            } else {
                Target::Client(self.stream.pick(&self.clients).clone())
            };
            let to = self.someone();
            self.add(at + n * 300, 0, Action::ResetConnections(Pair { from, to }));
        }
    }
    pub(super) fn delay_request(&mut self, at: u64) {
        let api = (*self.stream.pick(&DELAYED)).to_owned();
        let from = match api.as_str() {
            "Produce" | "Metadata" if !self.clients.is_empty() => {
                Target::Client(self.stream.pick(&self.clients).clone())
            }
            _ => Target::AllBrokers,
        };
        let to = match api.as_str() {
            "AlterPartition" | "BrokerHeartbeat" | "BrokerRegistration" => Target::Controller,
            _ => self.someone(),
        };
        let (by, count) = (Millis(self.stream.between(100, 12_000)), self.stream.between(1, 8) as u32);
        self.add(at, 0, Action::DelayRequest(DelayRequest { api, from, to, by, count }));
    }
}
