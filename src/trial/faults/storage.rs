//! Faults of disks and clocks.

use super::Engine;
use super::ending::Undo;
use super::target::{Node, Process};
use crate::base::TopicPartition;
use crate::io::sim::HostId;
use crate::io::sim::disk::{DiskOp, SlowDisk};
use crate::scenario::budget::Loss;
use crate::scenario::model::{self, Action, Target};
use crate::world::cluster::LOG_DIR;

impl Engine<'_> {
    pub(super) fn storage_and_clocks(&mut self, action: &Action) -> Vec<Undo> {
        let world = self.cluster.world().clone();
        match action {
            Action::DiskStall(target) => {
                let cluster = self.cluster;
                self.touch(target, ("'s disk stalls", None), Undo::Unstall, |host| cluster.stall_disk(host, true))
            }
            Action::DiskSlow(slow) => {
                let limit = slow.bandwidth.map(|b| format!(", {b}/s")).unwrap_or_default();
                let what = format!("'s disk is slow ({} for everything{limit})", slow.latency);
                let disk =
                    SlowDisk { latency: slow.latency.duration(), bytes_per_s: slow.bandwidth.map(|bytes| bytes.0) };
                self.touch(&slow.on, (&what, None), Undo::Unslow, |host| world.slow_disk(host, Some(disk)))
            }
            Action::DiskError(error) => {
                let (op, name) = match error.op {
                    model::DiskOp::Read => (DiskOp::Read, "reads"),
                    model::DiskOp::Append => (DiskOp::Append, "writes"),
                    model::DiskOp::Sync => (DiskOp::Sync, "syncs"),
                };
                let what = format!("'s disk fails its next {} {name} (EIO)", error.count);
                let undo = |host| Undo::Unfail(host, op);
                self.touch(&error.on, (&what, Some(Loss::Unsynced)), undo, |host| {
                    world.fail_disk(host, op, error.count)
                })
            }
            Action::DiskFull(full) => {
                let what = format!("'s disk has {} of room left", full.left);
                self.touch(&full.on, (&what, Some(Loss::Process)), Undo::Unfill, |host| {
                    world.fill_disk(host, Some(full.left.0))
                })
            }
            Action::ClockDrift(drift) => {
                let what = format!("'s clocks drift by {} ppm", drift.ppm);
                self.touch(&drift.on, (&what, None), Undo::Undrift, |host| world.set_drift_ppm(host, drift.ppm))
            }
            Action::ClockStep(step) => {
                let what = format!("'s wall clock jumps by {}", step.by);
                let undo = |host| Undo::StepBack(host, step.by.0);
                self.touch(&step.on, (&what, None), undo, |host| world.step_wall_ms(host, step.by.0))
            }
            Action::BitRot(rot) => {
                self.decay(&rot.on, rot.partition.as_ref(), |engine, node, tp| engine.rot(node, tp, rot.bits));
                Vec::new()
            }
            Action::Misdirect(misdirect) => {
                self.decay(&misdirect.on, misdirect.partition.as_ref(), |engine, node, tp| {
                    let what = format!("{node}'s disk will write a page of {tp} in the place of another");
                    engine.witness.fault(what);
                    engine.cluster.world().misdirect(node.host, &dir_of(tp));
                });
                Vec::new()
            }
            _ => unreachable!("{} is no fault of a disk or a clock", action.name()),
        }
    }

    /// Does one thing to the disk or the clocks of every node that a target means, as far as the fault budget allows the
    /// loss that may come of it.
    fn touch(
        &mut self,
        target: &Target,
        (what, loss): (&str, Option<Loss>),
        undo: impl Fn(HostId) -> Undo,
        act: impl Fn(HostId),
    ) -> Vec<Undo> {
        let mut undos = Vec::new();
        for node in self.resolve(target) {
            if !loss.is_none_or(|loss| self.may_fail(&node, loss)) {
                continue;
            }
            self.witness.fault(format!("{node}{what}"));
            self.touched.insert(node.host);
            act(node.host);
            undos.push(undo(node.host));
        }
        undos
    }

    /// Whether the fault budget allows that a disk is harmed.
    fn may_fail(&self, node: &Node, loss: Loss) -> bool {
        match &node.what {
            Process::Broker(id) => self.witness.may_fail(*id, loss),
            Process::Controller(_) | Process::Client(_) => true,
        }
    }

    /// Spoils one partition's log on every broker that a target means.
    fn decay(
        &mut self,
        target: &Target,
        partition: Option<&TopicPartition>,
        spoil: impl Fn(&mut Self, &Node, &TopicPartition),
    ) {
        for node in self.resolve(target) {
            let Process::Broker(id) = node.what else { continue };
            if !self.may_fail(&node, Loss::Unsynced) {
                continue;
            }
            let held = self.witness.partitions_on(id);
            let tp = match partition {
                Some(tp) => tp.clone(),
                None if held.is_empty() => continue,
                None => self.random.pick(&held).clone(),
            };
            self.touched.insert(node.host);
            spoil(self, &node, &tp);
            self.cluster.look_for_harm(id);
        }
    }

    fn rot(&mut self, node: &Node, tp: &TopicPartition, bits: u32) {
        let flipped = self.cluster.world().rot(node.host, &dir_of(tp), bits);
        match flipped {
            0 => self.witness.note(format!("{node} has nothing of {tp} on its disk that could rot")),
            n => self.witness.fault(format!("{n} bits of {tp} rot on {node}'s disk")),
        }
    }

    /// Tells of harm that a disk has done since it was ordered.
    pub(in crate::trial) fn look_for_harm(&self) {
        for id in self.cluster.nodes().filter(|id| self.touched.contains(&self.cluster.host(*id))) {
            self.cluster.look_for_harm(id);
        }
    }

    /// Ends whatever is wrong with a host's disk and clocks. Where a wall clock has been stepped to, it stays.
    pub(super) fn cure(&self, host: HostId) {
        let world = self.cluster.world();
        self.cluster.stall_disk(host, false);
        world.slow_disk(host, None);
        for op in [DiskOp::Read, DiskOp::Append, DiskOp::Sync] {
            world.fail_disk(host, op, 0);
        }
        world.fill_disk(host, None);
        world.cancel_misdirects(host);
        world.set_drift_ppm(host, 0);
    }
}

fn dir_of(tp: &TopicPartition) -> String {
    format!("{LOG_DIR}/{tp}")
}
