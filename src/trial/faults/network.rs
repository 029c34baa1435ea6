//! Faults of links.

use std::time::Duration;

use super::Engine;
use super::ending::Undo;
use super::target::Node;
use crate::io::sim::HostId;
use crate::io::sim::net::SlowLink;
use crate::scenario::apis;
use crate::scenario::model::{self, Action, Target};

/// An ordered pair of nodes.
type Way = (Node, Node);

impl Engine<'_> {
    pub(super) fn network(&mut self, action: &Action) -> Vec<Undo> {
        let world = self.cluster.world().clone();
        match action {
            Action::Cut(cut) => {
                let ways = self.ways(&cut.from, &cut.to, cut.one_way, "is cut");
                self.cut(&ways)
            }
            Action::Isolate(target) => {
                let everybody = self.everybody();
                let mut undo = Vec::new();
                for node in self.resolve(target) {
                    self.witness.fault(format!("{node} is cut off from everybody"));
                    undo.extend(self.cut(&both_ways(std::slice::from_ref(&node), &everybody)));
                }
                undo
            }
            Action::Partition(partition) => self.split(&partition.groups, "the network parts into"),
            Action::Bridge(bridge) => {
                let what = format!("only {} still bridges", self.node(bridge.over));
                self.split(&bridge.groups, &what)
            }
            Action::Heal(_) => {
                self.witness.note("all links heal".to_owned());
                self.cluster.heal_all();
                Vec::new()
            }
            Action::SlowLink(slow) => self.slow_link(slow),
            Action::LossyLink(lossy) => {
                let what = format!("loses {} % of its segments", lossy.percent);
                let ppm = (lossy.percent * 10_000.0) as u32;
                let ways = self.ways(&lossy.from, &lossy.to, lossy.one_way, &what);
                each(&ways, Undo::Unlose, |from, to| world.lossy_link(from, to, ppm))
            }
            Action::CorruptFrames(corrupt) => {
                let what = format!("damages {} % of its frames", corrupt.percent);
                let ppm = (corrupt.percent * 10_000.0) as u32;
                let ways = self.ways(&corrupt.from, &corrupt.to, corrupt.one_way, &what);
                each(&ways, Undo::Uncorrupt, |from, to| world.corrupt_frames(from, to, ppm))
            }
            Action::Clog(clog) => {
                let ways = self.ways(&clog.from, &clog.to, clog.one_way, "is clogged");
                each(&ways, Undo::Unclog, |from, to| world.clog(from, to, true))
            }
            Action::ResetConnections(pair) => {
                for (a, b) in self.ways(&pair.from, &pair.to, true, "has its connections reset") {
                    world.reset_connections(a.host, b.host);
                }
                Vec::new()
            }
            Action::DelayRequest(delay) => {
                let key = apis::key(&delay.api).expect("a validated scenario names an API");
                let what = format!("holds the next {} {} requests back by {}", delay.count, delay.api, delay.by);
                for (from, to) in self.ways(&delay.from, &delay.to, true, &what) {
                    world.delay_requests(from.host, to.host, key, delay.by.duration(), delay.count);
                }
                Vec::new()
            }
            _ => unreachable!("{} is no fault of the network", action.name()),
        }
    }

    fn slow_link(&mut self, slow: &model::SlowLink) -> Vec<Undo> {
        let mut parts = Vec::new();
        parts.extend(slow.latency.map(|latency| format!("latency {latency}")));
        parts.extend(slow.jitter.map(|jitter| format!("jitter {jitter}")));
        parts.extend(slow.bandwidth.map(|bandwidth| format!("{bandwidth}/s")));
        let ways = self.ways(&slow.from, &slow.to, slow.one_way, &format!("is slow ({})", parts.join(", ")));
        let link = SlowLink {
            latency: slow.latency.map(|latency| Duration::from_millis(latency.0)),
            jitter: slow.jitter.map(|jitter| Duration::from_millis(jitter.0)),
            bytes_per_s: slow.bandwidth.map(|bandwidth| bandwidth.0),
        };
        let world = self.cluster.world();
        each(&ways, Undo::Quicken, |from, to| world.slow_link(from, to, Some(link)))
    }

    /// The ways between two targets, told as a fault: `what` is said of each link.
    fn ways(&mut self, from: &Target, to: &Target, one_way: bool, what: &str) -> Vec<Way> {
        let (from, to) = (self.resolve(from), self.resolve(to));
        let mut ways = Vec::new();
        for a in &from {
            for b in to.iter().filter(|b| b.host != a.host) {
                let way = if one_way { "to" } else { "and" };
                self.witness.fault(format!("the link from {a} {way} {b} {what}"));
                ways.push((a.clone(), b.clone()));
                if !one_way {
                    ways.push((b.clone(), a.clone()));
                }
            }
        }
        ways
    }

    fn split(&mut self, groups: &[Vec<model::Member>], what: &str) -> Vec<Undo> {
        let groups: Vec<Vec<Node>> = groups.iter().map(|group| self.members(group)).collect();
        let names: Vec<String> = groups
            .iter()
            .map(|group| format!("{{{}}}", group.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")))
            .collect();
        self.witness.fault(format!("{what} {}", names.join(" and ")));
        let mut undo = Vec::new();
        for (i, group) in groups.iter().enumerate() {
            for other in &groups[i + 1..] {
                undo.extend(self.cut(&both_ways(group, other)));
            }
        }
        undo
    }

    fn cut(&self, ways: &[Way]) -> Vec<Undo> {
        each(ways, Undo::Uncut, |from, to| self.cluster.world().cut(from, to))
    }
}

/// Does one thing to every way, and says how to take it back.
fn each(ways: &[Way], undo: fn(HostId, HostId) -> Undo, act: impl Fn(HostId, HostId)) -> Vec<Undo> {
    let one = |(from, to): &Way| {
        act(from.host, to.host);
        undo(from.host, to.host)
    };
    ways.iter().map(one).collect()
}

/// Every way between two sets of nodes.
fn both_ways(some: &[Node], others: &[Node]) -> Vec<Way> {
    let pairs = some.iter().flat_map(|a| others.iter().filter(move |b| b.host != a.host).map(move |b| (a, b)));
    pairs.flat_map(|(a, b)| [(a.clone(), b.clone()), (b.clone(), a.clone())]).collect()
}
