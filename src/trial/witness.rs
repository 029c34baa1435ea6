//! The witness of a run: everything that nodes and clients tell arrives here, is stamped with the time, goes to the
//! court, and is kept for the verdict.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::applications;
use super::budget::Windows;
use super::members::in_words;
use super::timeline::Timeline;
use super::triggers::{Happening, Triggers};
use crate::base::marks::{Mark, mark};
use crate::base::{BrokerId, LeaderEpoch, Offset, TopicPartition};
use crate::broker::lifecycle::LifecycleError;
use crate::broker::node::NodeError;
use crate::broker::probe::{Event, Observer, PartitionFacts, RaftRole};
use crate::check::ground::Ground;
use crate::check::groups::{Account, Groups};
use crate::check::verdict::Audit;
use crate::check::{Court, Findings, Promises, WriterTraits};
use crate::io::sim::World;
use crate::scenario::Scenario;
use crate::scenario::budget::Loss;
use crate::scenario::model::{After, EventName};
use crate::scenario::units::Millis;
use crate::world::Watch;
use crate::world::history::{Entry, History, Op, Value};
use crate::world::member::{Handled, MemberOp, Step};

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
    history: History,
    /// Writes whose outcome is not known yet.
    open: BTreeMap<Value, TopicPartition>,
    triggers: Triggers,
    /// The offset after the last record that each reader has read of each partition.
    read_up_to: BTreeMap<(u32, TopicPartition), Offset>,
    /// The number of the current life of each client process, by its name.
    writers: BTreeMap<String, u32>,
    /// The name of every writing process, by the number of each of its lives.
    writer_names: BTreeMap<u32, String>,
    readers: BTreeMap<String, u32>,
    next_writer: u32,
    next_reader: u32,
    /// True nanoseconds at which the chaos phase began; 0 before it does.
    began_ns: u64,
    members: BTreeMap<BrokerId, QuorumMember>,
    controllers: BTreeMap<BrokerId, LeaderEpoch>,
    fenced: BTreeMap<BrokerId, bool>,
    applied: BTreeMap<BrokerId, Offset>,
    /// Whether each consumer group was stable when that was looked at last.
    stable: BTreeMap<Arc<str>, bool>,
    /// Brokers whose processes ended because they could not register in time.
    unregistered: Vec<BrokerId>,
    /// Brokers that run and whose registration is not the one that the controller knows.
    usurped: BTreeSet<BrokerId>,
    /// The fault budget, if the scenario keeps to it.
    windows: Option<Windows>,
}

/// Listens to everything; shared by all nodes, clients and the trial.
pub struct Witness {
    world: World,
    /// The partitions that each group reads.
    reads: BTreeMap<String, Vec<TopicPartition>>,
    told: Mutex<Told>,
    /// Rung when something has come about that a fault waits for.
    came_about: Notify,
}

impl Witness {
    /// A witness that has heard nothing.
    #[must_use]
    pub fn new(world: &World, promises: Promises, scenario: &Scenario) -> Self {
        let told = Told {
            court: Court::new(promises),
            timeline: Timeline::default(),
            history: History::default(),
            open: BTreeMap::new(),
            triggers: Triggers::default(),
            read_up_to: BTreeMap::new(),
            writers: BTreeMap::new(),
            writer_names: BTreeMap::new(),
            readers: BTreeMap::new(),
            next_writer: 0,
            next_reader: 0,
            began_ns: 0,
            members: BTreeMap::new(),
            controllers: BTreeMap::new(),
            fenced: BTreeMap::new(),
            applied: BTreeMap::new(),
            stable: BTreeMap::new(),
            unregistered: Vec::new(),
            usurped: BTreeSet::new(),
            windows: Windows::of(scenario),
        };
        let reads = applications::reads(scenario);
        Self { world: world.clone(), reads, told: Mutex::new(told), came_about: Notify::new() }
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
        self.within_budget(broker, loss, |windows, ground| windows.open(broker, loss, ground))
    }
    /// As [`Witness::may_end`], of a broker whose disk is harmed: it may end of that at any time from now on.
    pub(super) fn may_fail(&self, broker: BrokerId, loss: Loss) -> bool {
        self.within_budget(broker, loss, |windows, ground| windows.open_before(broker, loss, ground))
    }
    fn within_budget(
        &self,
        broker: BrokerId,
        loss: Loss,
        open: impl FnOnce(&mut Windows, &Ground) -> Result<(), TopicPartition>,
    ) -> bool {
        let refused = {
            let Told { windows, court, .. } = &mut *self.told.lock();
            let Some(windows) = windows else { return true };
            open(windows, court.ground()).err()
        };
        if let Some(tp) = &refused {
            let what = if loss == Loss::Unsynced { "power cut" } else { "unclean end" };
            self.note(format!("{what} of broker {broker} left out: {tp} might not survive it (fault budget)"));
        }
        refused.is_none()
    }
    /// As [`Witness::may_end`], for an orderly stop: it costs nothing, unless its mark will not be worth anything.
    pub(super) fn may_stop(&self, broker: BrokerId) -> bool {
        let registered = self.told.lock().windows.as_ref().is_none_or(|w| w.is_registered(broker));
        registered || self.may_end(broker, Loss::Process)
    }
    /// The brokers that gave up registering since this was asked last. Whoever runs brokers starts them again.
    pub(super) fn take_unregistered(&self) -> Vec<BrokerId> {
        std::mem::take(&mut self.told.lock().unregistered)
    }
    /// Brokers whose heartbeats the controller refuses because it knows another registration of theirs: that of an earlier
    /// process, which came late. They stay fenced until somebody starts them again (`BrokerLifecycleManager` only warns of
    /// STALE_BROKER_EPOCH).
    pub(super) fn usurped(&self) -> Vec<BrokerId> {
        self.told.lock().usurped.iter().copied().collect()
    }
    /// Something worth telling that is no fault.
    pub fn note(&self, text: String) {
        let at = self.now_ns();
        self.told.lock().timeline.note(at, text);
    }
    /// The expensive checks, and a look at how far groups are behind.
    pub fn quiet_point(&self) {
        let at = self.now_ns();
        let mut told = self.told.lock();
        told.court.quiet_point(at);
        let lags = told.lags(&self.reads);
        told.timeline.lags(at, lags);
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
        self.told.lock().open.len()
    }
    /// A writing process begins a life: a new number, because its values begin anew.
    pub fn writer_begins(&self, name: &str, traits: WriterTraits) -> u32 {
        let mut told = self.told.lock();
        let number = told.next_writer;
        told.next_writer += 1;
        told.court.writer_begins(number, traits);
        told.writer_names.insert(number, name.to_owned());
        told.writers.insert(name.to_owned(), number);
        number
    }
    /// A reading process begins a life: a new number, because it reads from the start again.
    pub fn reader_begins(&self, name: &str) -> u32 {
        let mut told = self.told.lock();
        let number = told.next_reader;
        told.next_reader += 1;
        told.readers.insert(name.to_owned(), number);
        number
    }
    /// The number of a reading process in its current life.
    #[must_use]
    pub fn reader(&self, name: &str) -> Option<u32> {
        self.told.lock().readers.get(name).copied()
    }
    /// The partitions that a broker is to hold a replica of, by committed metadata.
    #[must_use]
    pub fn partitions_on(&self, broker: BrokerId) -> Vec<TopicPartition> {
        let told = self.told.lock();
        let holds = |p: &crate::check::ground::Partition| p.latest().is_some_and(|f| f.replicas.contains(&broker));
        told.court.ground().partitions().filter(|(_, p)| holds(p)).map(|(tp, _)| tp.clone()).collect()
    }
    /// The partitions of these topics, by committed metadata.
    #[must_use]
    pub fn partitions_of(&self, topics: &[&str]) -> Vec<TopicPartition> {
        let told = self.told.lock();
        told.court.ground().partitions().map(|(tp, _)| tp).filter(|tp| topics.contains(&&*tp.topic)).cloned().collect()
    }
    /// Somebody asks for another value of a topic's setting, or of all brokers', or deletes the entry; `done` once it is known to hold.
    pub fn configured(&self, topic: Option<&str>, key: &str, value: Option<&str>, done: bool) {
        self.told.lock().court.configured(topic, key, value, done);
    }
    /// A fault, by its index, waits for something from now on.
    pub fn wait_for(&self, fault: usize, after: After) {
        self.told.lock().triggers.wait_for(fault, after);
    }
    /// Waits until something has come about that faults wait for; their indexes and delays.
    pub async fn come_about(&self) -> Vec<(usize, Millis)> {
        loop {
            let fired = self.told.lock().triggers.take();
            if !fired.is_empty() {
                return fired;
            }
            self.came_about.notified().await;
        }
    }
    /// The end of each partition that each reader has reached.
    #[must_use]
    pub fn read_up_to(&self) -> BTreeMap<(u32, TopicPartition), Offset> {
        self.told.lock().read_up_to.clone()
    }
    /// Below this offset records of a partition may be gone: retention has taken them.
    #[must_use]
    pub fn log_start(&self, tp: &TopicPartition) -> Offset {
        self.told.lock().court.ground().partition(tp).map_or(Offset::ZERO, |p| p.log_start)
    }
    /// The partitions that each group reads.
    #[must_use]
    pub fn reads(&self) -> &BTreeMap<String, Vec<TopicPartition>> {
        &self.reads
    }
    /// Looks at what the members of consumer groups have told.
    pub fn look_at_groups<R>(&self, look: impl FnOnce(&Groups) -> R) -> R {
        look(self.told.lock().court.groups())
    }
    /// The name of every writing process, by the number of each of its lives.
    #[must_use]
    pub fn writer_names(&self) -> BTreeMap<u32, String> {
        self.told.lock().writer_names.clone()
    }
    /// Ends the hearing: findings, timeline and history.
    #[must_use]
    pub fn take(&self) -> (Findings, Timeline, History) {
        let mut told = self.told.lock();
        let findings = told.court.findings().clone();
        (findings, std::mem::take(&mut told.timeline), std::mem::take(&mut told.history))
    }
}

impl Told {
    /// Takes in what a client did or was told; true if something has come about that a fault waits for.
    fn record(&mut self, at_ns: u64, op: Op) -> bool {
        let mut come = false;
        match &op {
            Op::Sent { value, tp } => {
                self.open.insert(*value, tp.clone());
            }
            Op::Acked { value, .. } | Op::Failed { value, .. } if self.open.remove(value).is_none() => return false,
            Op::Acked { .. } => come = self.triggers.acked(),
            Op::Read { reader, tp, offset, .. } => {
                self.read_up_to.insert((*reader, tp.clone()), offset.next());
                come = self.triggers.consumed();
            }
            Op::Member { what: MemberOp::Handled { how: Handled::Processed, .. }, .. } => {
                come = self.triggers.processed()
            }
            Op::Truncated { reader, tp, from, divergent } => {
                mark(Mark::TruncationNoticed);
                let to =
                    if *divergent == Offset::NONE { "an unknown offset".to_owned() } else { divergent.to_string() };
                self.timeline.note(at_ns, format!("reader {reader} at {from} of {tp}: the log was truncated to {to}"));
            }
            Op::Failed { .. } | Op::Positioned { .. } | Op::Member { .. } => {}
        }
        self.court.client(at_ns, &op);
        if let Op::Member { member, what } = &op {
            come |= self.member(at_ns, *member, what);
        }
        self.history.push(Entry { at_ns, op });
        come
    }
    /// Tells the timeline of a member what is worth telling; true if something has come about that a fault waits for.
    fn member(&mut self, at_ns: u64, member: u32, what: &MemberOp) -> bool {
        let groups = self.court.groups();
        if let Some(text) = groups.member(member).and_then(|life| in_words(life, what)) {
            self.timeline.group(at_ns, text);
        }
        let mut come = self.rebalances(member, what);
        if let MemberOp::Committed { commit, .. } | MemberOp::CommittedItself { commit, .. } = what
            && commit.is_done()
        {
            come |= self.triggers.committed(self.court.groups().committed_in_all());
        }
        come
    }
    /// What happens to a group that a fault may wait for; true if one has waited.
    fn rebalances(&mut self, member: u32, what: &MemberOp) -> bool {
        let groups = self.court.groups();
        let changes = matches!(what, MemberOp::Began { .. } | MemberOp::Ended | MemberOp::Rebalance { .. });
        let Some(group) = groups.member(member).filter(|_| changes).map(|life| life.group.clone()) else {
            return false;
        };
        let stable = groups.is_stable(&group);
        let before = self.stable.insert(group.clone(), stable).unwrap_or(false);
        let change = match (before, stable) {
            (true, false) => Some(EventName::RebalanceStarted),
            (false, true) => Some(EventName::RebalanceCompleted),
            _ => None,
        };
        let lost = matches!(what, MemberOp::Rebalance { step: Step::Lost, .. });
        let mut come = false;
        for event in change.into_iter().chain(lost.then_some(EventName::MemberExpelled)) {
            let group = Some(group.to_string());
            come |= self.triggers.happened(&Happening { event, partition: None, broker: None, group });
        }
        come
    }
    /// How far each group is behind: what can be read of its partitions and is not dealt with.
    fn lags(&self, topics: &BTreeMap<String, Vec<TopicPartition>>) -> Vec<(String, u64)> {
        let (ground, groups) = (self.court.ground(), self.court.groups());
        let behind = |account: Option<&Account>, tp: &TopicPartition| {
            let end = ground.partition(tp).map_or(Offset::ZERO, |p| p.true_hw);
            let next = account.map_or(Offset::ZERO, |account| account.next(tp));
            u64::try_from(end - next).unwrap_or(0)
        };
        let of = |(group, tps): (&String, &Vec<TopicPartition>)| {
            let account = groups.account(group);
            (group.clone(), tps.iter().map(|tp| behind(account, tp)).sum())
        };
        topics.iter().map(of).collect()
    }
    /// Elections that gave up what was committed are told: oracles begin anew there.
    fn tell_restarts(&mut self, at_ns: u64) {
        for (tp, restart) in self.court.take_restarts() {
            let text = format!("{tp} begins anew at offset {}: {}", restart.kept, restart.detail);
            self.timeline.note(at_ns, text);
        }
    }
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
            Event::RegistrationLost => {
                self.usurped.insert(node);
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
        told.tell_restarts(at);
        told.quorum(node, &event);
        let mut come = false;
        for happening in told.timeline.observe(at, node, &event) {
            come |= told.triggers.happened(&happening);
        }
        if come {
            self.came_about.notify_one();
        }
    }
}

impl Watch for Witness {
    fn node_down(&self, node: BrokerId, storage_fault: bool) {
        let mut told = self.told.lock();
        told.court.node_down(node, storage_fault);
        if let Some(windows) = &mut told.windows {
            windows.ended(node);
        }
        told.members.remove(&node);
        told.usurped.remove(&node);
        told.controllers.remove(&node);
        told.applied.remove(&node);
    }
    fn record(&self, op: Op) {
        let at = self.now_ns();
        let mut told = self.told.lock();
        if told.record(at, op) {
            self.came_about.notify_one();
        }
    }
    fn node_failed(&self, node: BrokerId, error: &NodeError) {
        self.note(format!("the process of node {node} ends: {error}"));
        if matches!(error, NodeError::Lifecycle(LifecycleError::RegistrationTimeout(_))) {
            self.told.lock().unregistered.push(node);
        }
    }
    fn node_stands(&self, node: BrokerId, standing: bool) {
        let at = self.now_ns();
        self.told.lock().court.node_stands(at, node, standing);
    }
    fn disk_harmed(&self, node: BrokerId) {
        self.told.lock().court.disk_harmed(node);
    }
    fn client_down(&self, name: &str) {
        let at = self.now_ns();
        let mut told = self.told.lock();
        if let Some(member) = told.readers.get(name).copied().filter(|n| told.court.groups().member(*n).is_some()) {
            told.record(at, Op::Member { member, what: MemberOp::Ended });
        }
        let Some(writer) = told.writers.get(name).copied() else { return };
        let first = Value { writer, seq: 0 };
        let open: Vec<_> = told.open.range(first..=Value { seq: u64::MAX, ..first }).collect();
        let open: Vec<_> = open.into_iter().map(|(value, tp)| (*value, tp.clone())).collect();
        for (value, tp) in open {
            let error = "the client's process died".into();
            told.record(at, Op::Failed { value, tp, definite: false, error });
        }
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
