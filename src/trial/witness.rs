//! The witness of a run: everything that nodes and clients tell arrives here, is stamped with the time, goes to the
//! court, and is kept for the verdict.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use super::budget::Windows;
use super::timeline::Timeline;
use crate::base::{BrokerId, LeaderEpoch, Offset, TopicPartition};
use crate::broker::probe::{Event, Observer, PartitionFacts, RaftRole};
use crate::check::verdict::Audit;
use crate::check::{Court, Findings, Promises};
use crate::io::sim::World;
use crate::scenario::Scenario;
use crate::scenario::budget::Loss;
use crate::world::Watch;
use crate::world::history::{Entry, Op};

/// What is known of one node's part in the quorum.
#[derive(Clone, Copy, Debug)]
struct QuorumMember {
    epoch: LeaderEpoch,
    role: RaftRole,
}

/// Everything that was told so far.
struct Told {
    court: Court,
    timeline: Timeline,
    history: Vec<Entry>,
    /// Writes whose outcome is not known yet.
    pending: usize,
    /// True nanoseconds at which the chaos phase began; 0 before it does.
    began_ns: u64,
    members: BTreeMap<BrokerId, QuorumMember>,
    controllers: BTreeMap<BrokerId, LeaderEpoch>,
    fenced: BTreeMap<BrokerId, bool>,
    applied: BTreeMap<BrokerId, Offset>,
    /// The fault budget, if the scenario keeps to it.
    windows: Option<Windows>,
}

/// Listens to everything; shared by all nodes, clients and the trial.
pub struct Witness {
    world: World,
    told: Mutex<Told>,
}

impl Witness {
    /// A witness that has heard nothing.
    #[must_use]
    pub fn new(world: &World, promises: Promises, scenario: &Scenario) -> Self {
        let told = Told {
            court: Court::new(promises),
            timeline: Timeline::default(),
            history: Vec::new(),
            pending: 0,
            began_ns: 0,
            members: BTreeMap::new(),
            controllers: BTreeMap::new(),
            fenced: BTreeMap::new(),
            applied: BTreeMap::new(),
            windows: Windows::of(scenario),
        };
        Self { world: world.clone(), told: Mutex::new(told) }
    }
    /// The chaos phase begins now: times count from here, and what happened before is no part of the timeline.
    pub fn begin(&self) {
        let mut told = self.told.lock();
        told.began_ns = self.world.now_ns();
        self.world.set_origin();
        told.timeline.clear();
    }
    /// Nanoseconds since the chaos phase began; 0 before that.
    #[must_use]
    pub fn now_ns(&self) -> u64 {
        let now = self.world.now_ns();
        let told = self.told.lock();
        if told.began_ns == 0 { 0 } else { now - told.began_ns }
    }
    /// Something that the trial itself did to the cluster.
    pub fn fault(&self, text: String) {
        let at = self.now_ns();
        self.told.lock().timeline.fault(at, text);
    }
    /// Whether the fault budget allows that `broker` ends so now; if it does, it counts as done. What is left out is
    /// told.
    pub(super) fn may_end(&self, broker: BrokerId, loss: Loss) -> bool {
        let refused = {
            let Told { windows, court, .. } = &mut *self.told.lock();
            let Some(windows) = windows else { return true };
            windows.open(broker, loss, court.ground()).err()
        };
        if let Some(tp) = &refused {
            let what = if loss == Loss::Unsynced { "power cut" } else { "crash" };
            self.note(format!("{what} of broker {broker} left out: {tp} might not survive it (fault budget)"));
        }
        refused.is_none()
    }
    /// Something worth telling that is no fault.
    pub fn note(&self, text: String) {
        let at = self.now_ns();
        self.told.lock().timeline.note(at, text);
    }
    /// The expensive checks.
    pub fn quiet_point(&self) {
        let at = self.now_ns();
        self.told.lock().court.quiet_point(at);
    }
    /// What an auditor read.
    pub fn audit(&self, audit: &Audit) {
        let at = self.now_ns();
        self.told.lock().court.audit(at, audit);
    }
    /// The running node that is the active controller, by its own word and the highest epoch.
    #[must_use]
    pub fn controller(&self) -> Option<BrokerId> {
        let told = self.told.lock();
        told.controllers.iter().max_by_key(|(_, epoch)| **epoch).map(|(id, _)| *id)
    }
    /// True if committed metadata calls the broker unfenced.
    #[must_use]
    pub fn is_unfenced(&self, broker: BrokerId) -> bool {
        self.told.lock().fenced.get(&broker) == Some(&false)
    }
    /// The latest committed state of a partition.
    #[must_use]
    pub fn partition(&self, tp: &TopicPartition) -> Option<PartitionFacts> {
        self.told.lock().court.ground().partition(tp)?.latest().cloned()
    }
    /// Log end and high watermark of every replica that runs.
    #[must_use]
    pub fn replicas(&self, tp: &TopicPartition) -> Vec<(BrokerId, Offset, Offset)> {
        let told = self.told.lock();
        let Some(p) = told.court.ground().partition(tp) else { return Vec::new() };
        p.replicas.iter().filter(|(_, r)| r.up).map(|(id, r)| (*id, r.end(), r.high_watermark)).collect()
    }
    /// Up to which offset each running node has applied the metadata.
    #[must_use]
    pub fn applied(&self) -> BTreeMap<BrokerId, Offset> {
        self.told.lock().applied.clone()
    }
    /// For how many writes no outcome is known yet.
    #[must_use]
    pub fn pending_writes(&self) -> usize {
        self.told.lock().pending
    }
    /// The end of each partition that each reader has reached.
    #[must_use]
    pub fn read_up_to(&self) -> BTreeMap<(u32, TopicPartition), Offset> {
        let told = self.told.lock();
        let mut next = BTreeMap::new();
        for e in &told.history {
            if let Op::Read { reader, tp, offset, .. } = &e.op {
                next.insert((*reader, tp.clone()), offset.next());
            }
        }
        next
    }
    /// Ends the hearing: findings, timeline and history.
    #[must_use]
    pub fn take(&self) -> (Findings, Timeline, Vec<Entry>) {
        let mut told = self.told.lock();
        let findings = told.court.findings().clone();
        (findings, std::mem::take(&mut told.timeline), std::mem::take(&mut told.history))
    }
}

impl Told {
    fn quorum(&mut self, node: BrokerId, event: &Event) {
        match event {
            Event::Started => {
                self.applied.remove(&node);
            }
            Event::RaftRole { epoch, role, .. } => {
                self.members.insert(node, QuorumMember { epoch: *epoch, role: *role });
            }
            Event::ControllerActive { epoch } => {
                self.controllers.insert(node, *epoch);
            }
            Event::ControllerInactive => {
                self.controllers.remove(&node);
            }
            Event::MetadataApplied { next } => {
                self.applied.insert(node, *next);
            }
            Event::BrokerRegistered { broker, epoch } => {
                self.fenced.insert(*broker, true);
                if let Some(windows) = &mut self.windows {
                    windows.registered(*broker, *epoch);
                }
            }
            Event::BrokerFenced { broker } => {
                self.fenced.insert(*broker, true);
            }
            Event::BrokerUnfenced { broker } => {
                self.fenced.insert(*broker, false);
            }
            _ => {}
        }
    }
}

impl Observer for Witness {
    fn observe(&self, node: BrokerId, event: Event) {
        let at = self.now_ns();
        let mut told = self.told.lock();
        told.court.observe(at, node, &event);
        told.quorum(node, &event);
        told.timeline.observe(at, node, &event);
    }
}

impl Watch for Witness {
    fn node_down(&self, node: BrokerId, storage_fault: bool) {
        let mut told = self.told.lock();
        told.court.node_down(node, storage_fault);
        told.members.remove(&node);
        told.controllers.remove(&node);
        told.applied.remove(&node);
    }
    fn record(&self, op: Op) {
        let at = self.now_ns();
        let mut told = self.told.lock();
        told.court.client(at, &op);
        match &op {
            Op::Sent { .. } => told.pending += 1,
            Op::Acked { .. } | Op::Failed { .. } => told.pending -= 1,
            Op::Read { .. } | Op::Positioned { .. } => {}
        }
        told.history.push(Entry { at_ns: at, op });
    }
    fn gave_up(&self, tp: &TopicPartition, ago_ns: u64, setting: &str) {
        let at = self.now_ns().saturating_sub(ago_ns);
        self.told.lock().timeline.gave_up(at, tp.clone(), setting);
    }
}

impl Witness {
    /// The node that leads the metadata quorum, by its own word and the highest epoch.
    #[must_use]
    pub fn quorum_leader(&self) -> Option<BrokerId> {
        let told = self.told.lock();
        let leading = told.members.iter().filter(|(_, m)| m.role == RaftRole::Leader);
        leading.max_by_key(|(_, m)| m.epoch).map(|(id, _)| *id)
    }
}
