//! How a fault ends by itself: what must be taken back, and on whom.

use super::Engine;
use super::target::{Node, Process};
use crate::io::sim::HostId;
use crate::io::sim::disk::DiskOp;

/// One thing to take back.
#[derive(Clone, Debug)]
pub(super) enum Undo {
    Start(Node),
    Resume(Node),
    Uncut(HostId, HostId),
    Quicken(HostId, HostId),
    Unlose(HostId, HostId),
    Uncorrupt(HostId, HostId),
    Unclog(HostId, HostId),
    Unstall(HostId),
    Unslow(HostId),
    Unfail(HostId, DiskOp),
    Unfill(HostId),
    Undrift(HostId),
    StepBack(HostId, i64),
}

impl Undo {
    /// True if healing the network has ended it already.
    fn is_of_the_network(&self) -> bool {
        matches!(self, Self::Uncut(..) | Self::Quicken(..) | Self::Unlose(..) | Self::Uncorrupt(..) | Self::Unclog(..))
    }
}

/// How a fault ends.
#[derive(Clone, Debug, Default)]
pub(in crate::trial) struct Ending {
    /// What is over then, in words.
    pub(super) text: String,
    pub(super) undo: Vec<Undo>,
}

impl Ending {
    /// True if there is nothing to take back.
    pub(in crate::trial) fn is_empty(&self) -> bool {
        self.undo.is_empty()
    }
    /// The network has been healed.
    pub(in crate::trial) fn network_healed(&mut self) {
        self.undo.retain(|undo| !undo.is_of_the_network());
    }
}

impl Engine<'_> {
    /// Takes back what a fault did.
    pub(in crate::trial) async fn end(&mut self, ending: Ending) {
        if ending.is_empty() {
            return;
        }
        self.witness.note(format!("over: {}", ending.text));
        let world = self.cluster.world().clone();
        for undo in ending.undo {
            match undo {
                Undo::Start(node) => self.boot(&node).await,
                Undo::Resume(node) => self.wake(&node),
                Undo::Uncut(from, to) => world.uncut(from, to),
                Undo::Quicken(from, to) => world.slow_link(from, to, None),
                Undo::Unlose(from, to) => world.lossy_link(from, to, 0),
                Undo::Uncorrupt(from, to) => world.corrupt_frames(from, to, 0),
                Undo::Unclog(from, to) => world.clog(from, to, false),
                Undo::Unstall(host) => self.cluster.stall_disk(host, false),
                Undo::Unslow(host) => world.slow_disk(host, None),
                Undo::Unfail(host, op) => world.fail_disk(host, op, 0),
                Undo::Unfill(host) => world.fill_disk(host, None),
                Undo::Undrift(host) => world.set_drift_ppm(host, 0),
                Undo::StepBack(host, ms) => world.step_wall_ms(host, -ms),
            }
        }
    }
    /// Starts a node that is down.
    pub(super) async fn boot(&mut self, node: &Node) {
        match &node.what {
            Process::Broker(id) | Process::Controller(id)
                if !self.cluster.is_running(*id) || self.cluster.is_stopping(*id) =>
            {
                self.witness.note(format!("{node} starts"));
                self.cluster.start(*id).await;
            }
            Process::Client(name)
                if !self.cluster.world().is_running(node.host) || self.cluster.world().is_stopping(node.host) =>
            {
                // Whoever is still busy leaving has had its time.
                self.cluster.kill_client(name, node.host, false);
                self.witness.note(format!("{node} starts"));
                self.cluster.world().start(node.host).await;
            }
            _ => {}
        }
    }
    /// Lets a node go on that stands still.
    pub(super) fn wake(&self, node: &Node) {
        match &node.what {
            Process::Broker(id) | Process::Controller(id) => self.cluster.resume(*id),
            Process::Client(_) => self.cluster.world().resume(node.host),
        }
    }
}
