//! Carries out the actions of a fault list on a cluster. Targets are resolved at the moment of the fault, and who was
//! hit is told in the timeline.

mod ending;
mod network;
mod operations;
mod storage;
mod target;

use std::collections::BTreeSet;
use std::sync::Arc;

pub(super) use ending::Ending;
use ending::Undo;
use target::{Node, Process};

use super::plan;
use super::witness::Witness;
use crate::base::random::Stream;
use crate::io::sim::HostId;
use crate::scenario::Scenario;
use crate::scenario::budget::Loss;
use crate::scenario::model::{self, Action, ClientName, Comer, PoisonKind, Role, Target};
use crate::world::cluster::Cluster;
use crate::world::event;

/// Whoever carries faults out.
pub(super) struct Engine<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) witness: &'a Arc<Witness>,
    pub(super) scenario: &'a Scenario,
    /// Draws for targets that leave a choice.
    random: Stream,
    /// Hosts whose disk or clock was touched.
    touched: BTreeSet<HostId>,
}

impl<'a> Engine<'a> {
    pub(super) fn new(cluster: &'a Cluster, witness: &'a Arc<Witness>, scenario: &'a Scenario) -> Self {
        let random = Stream::new(cluster.world().seed(), "faults");
        Self { cluster, witness, scenario, random, touched: BTreeSet::new() }
    }

    /// Does what `action` says, and tells the witness before it does. Returns how to end it.
    pub(super) async fn apply(&mut self, action: &Action) -> Ending {
        let undo = match action {
            Action::PowerCut(target) => self.end_each(target, "loses power", Loss::Unsynced, Self::power_cut),
            Action::Crash(target) => self.end_each(target, "crashes", Loss::Process, Self::crash),
            Action::Stop(target) => self.stop_each(target),
            Action::Wipe(target) => self.end_each(target, "loses its logs", Loss::Unsynced, Self::wipe),
            Action::Pause(target) => self.each(target, "is paused", |engine, node| engine.stand(node, false)),
            Action::Freeze(target) => self.each(target, "freezes", |engine, node| engine.stand(node, true)),
            Action::Start(target) => {
                for node in self.resolve(target) {
                    self.boot(&node).await;
                }
                Vec::new()
            }
            Action::Resume(target) => self.each(target, "goes on", |engine, node| {
                engine.wake(node);
                Vec::new()
            }),
            Action::Join(Comer::Client(name)) => {
                self.join(name).await;
                Vec::new()
            }
            Action::Leave(Comer::Client(name)) => self.leave_group(name),
            Action::Poison(poison) => {
                self.poison(poison);
                Vec::new()
            }
            operation if operation.is_operation() => {
                self.operate(operation).await;
                Vec::new()
            }
            Action::DiskStall(_)
            | Action::DiskSlow(_)
            | Action::DiskError(_)
            | Action::DiskFull(_)
            | Action::BitRot(_)
            | Action::Misdirect(_)
            | Action::ClockDrift(_)
            | Action::ClockStep(_) => self.storage_and_clocks(action),
            _ => self.network(action),
        };
        Ending { text: action.name().to_owned(), undo }
    }

    /// Does one thing to every node that a target means.
    fn each(&mut self, target: &Target, what: &str, act: impl Fn(&mut Self, &Node) -> Vec<Undo>) -> Vec<Undo> {
        let mut undo = Vec::new();
        for node in self.resolve(target) {
            self.witness.fault(format!("{node} {what}"));
            undo.extend(act(self, &node));
        }
        undo
    }
    /// As [`Engine::each`], as far as the fault budget allows it.
    fn end_each(
        &mut self,
        target: &Target,
        what: &str,
        loss: Loss,
        act: impl Fn(&mut Self, &Node) -> Vec<Undo>,
    ) -> Vec<Undo> {
        let mut undo = Vec::new();
        for node in self.resolve(target) {
            if self.allows(&node, loss) {
                self.witness.fault(format!("{node} {what}"));
                undo.extend(act(self, &node));
            }
        }
        undo
    }
    fn stop_each(&mut self, target: &Target) -> Vec<Undo> {
        let mut undo = Vec::new();
        for node in self.resolve(target) {
            let allowed = match &node.what {
                Process::Broker(id) => self.witness.may_stop(*id),
                Process::Controller(_) | Process::Client(_) => true,
            };
            if allowed {
                self.witness.fault(format!("{node} is asked to stop"));
                undo.extend(self.stop(&node));
            }
        }
        undo
    }
    /// Whether the fault budget allows a loss; if it does, it counts as done.
    fn allows(&self, node: &Node, loss: Loss) -> bool {
        match &node.what {
            Process::Broker(id) => self.witness.may_end(*id, loss),
            // It holds no partition, and what a voter has acknowledged is on its device.
            Process::Controller(_) | Process::Client(_) => true,
        }
    }
    fn power_cut(&mut self, node: &Node) -> Vec<Undo> {
        match &node.what {
            Process::Broker(id) | Process::Controller(id) => self.cluster.power_cut(*id),
            Process::Client(name) => {
                self.cluster.kill_client(name, node.host, true);
            }
        }
        vec![Undo::Start(node.clone())]
    }
    fn crash(&mut self, node: &Node) -> Vec<Undo> {
        match &node.what {
            Process::Broker(id) | Process::Controller(id) => {
                self.cluster.crash(*id);
            }
            Process::Client(name) => {
                self.cluster.kill_client(name, node.host, false);
            }
        }
        vec![Undo::Start(node.clone())]
    }
    fn stop(&mut self, node: &Node) -> Vec<Undo> {
        match &node.what {
            Process::Broker(id) | Process::Controller(id) => self.cluster.stop(*id),
            Process::Client(_) => self.cluster.world().request_shutdown(node.host),
        }
        vec![Undo::Start(node.clone())]
    }
    fn wipe(&mut self, node: &Node) -> Vec<Undo> {
        let (Process::Broker(id) | Process::Controller(id)) = &node.what else { return Vec::new() };
        self.cluster.wipe(*id);
        vec![Undo::Start(node.clone())]
    }
    fn stand(&mut self, node: &Node, frozen: bool) -> Vec<Undo> {
        match (&node.what, frozen) {
            (Process::Broker(id) | Process::Controller(id), false) => self.cluster.pause(*id),
            (Process::Broker(id) | Process::Controller(id), true) => self.cluster.freeze(*id),
            (Process::Client(_), false) => self.cluster.world().pause(node.host),
            (Process::Client(_), true) => self.cluster.world().freeze(node.host),
        }
        vec![Undo::Resume(node.clone())]
    }
    /// Starts members that do not run.
    async fn join(&mut self, members: &ClientName) {
        for node in self.clients(members) {
            if !self.cluster.world().is_running(node.host) {
                self.witness.note(format!("{node} joins its group"));
                self.cluster.world().start(node.host).await;
            }
        }
    }
    fn leave_group(&mut self, members: &ClientName) -> Vec<Undo> {
        let mut undo = Vec::new();
        for node in self.clients(members) {
            self.witness.note(format!("{node} leaves its group"));
            undo.extend(self.stop(&node));
        }
        undo
    }
    fn poison(&mut self, poison: &model::Poison) {
        let (kind, what) = match poison.kind {
            PoisonKind::MalformedJson => (event::Poison::MalformedJson, "malformed JSON"),
            PoisonKind::HandlerError => (event::Poison::HandlerError, "what no handler takes"),
        };
        let which = poison.record.map_or("next".to_owned(), |record| format!("from record {record} on"));
        for node in self.resolve(&poison.by) {
            let Process::Client(name) = &node.what else { continue };
            self.witness.note(format!("{node} writes {what}: {} ({which})", poison.count));
            self.cluster.tamper(name).order(poison.record, poison.count, kind);
        }
    }

    /// True if a client process of this name reads.
    fn reads(&self, process: &str) -> bool {
        let group = ClientName::parse(process).group;
        let client = self.scenario.clients.iter().find(|client| client.name == group);
        client.is_some_and(|client| !matches!(client.role, Role::Producer(_)))
    }
    /// Ends every fault: links heal, disks and clocks are well, what stands still goes on, what is down boots. A client
    /// that died stays dead unless it reads: what it wrote is known already.
    pub(super) async fn heal(&mut self) {
        self.cluster.heal_all();
        for host in std::mem::take(&mut self.touched) {
            self.cure(host);
        }
        for node in self.everybody() {
            self.wake(&node);
            match &node.what {
                Process::Client(name) if !self.reads(name) => {}
                _ => self.boot(&node).await,
            }
        }
    }
}
