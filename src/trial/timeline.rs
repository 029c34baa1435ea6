//! What happened to the cluster, told once: faults as the trial caused them, the control plane's decisions as the first
//! node to apply them shows them.

use std::collections::{BTreeMap, BTreeSet};

use super::moves::Moves;
use super::triggers::Happening;
use crate::base::{BrokerId, LeaderEpoch, Offset, TopicPartition};
use crate::broker::probe::{Event, PartitionFacts};
use crate::report::availability::{Milestone, MilestoneKind};
use crate::report::expectations::{Course, PartitionState};
use crate::report::verdict::MetadataLoad;
use crate::scenario::model::EventName;

/// Nanoseconds in a millisecond.
const MS: u64 = 1_000_000;

/// One line of the timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Milliseconds since the chaos phase began.
    pub at_ms: u64,
    /// `fault`, `control`, `group` or `note`.
    pub kind: &'static str,
    /// In words.
    pub text: String,
}

/// A change of committed metadata.
#[derive(Clone, Debug)]
enum Change {
    Fenced(BrokerId),
    Unfenced(BrokerId),
    Partition(TopicPartition, PartitionFacts),
}

fn state(at_ms: u64, tp: &TopicPartition, facts: &PartitionFacts) -> PartitionState {
    PartitionState { at_ms, tp: tp.clone(), leader: facts.leader, isr: facts.isr.clone() }
}

/// Lines for people, milestones for the arithmetic of outages, states for expectations.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    /// Everything in words.
    pub lines: Vec<Line>,
    /// What divides outages into phases.
    pub milestones: Vec<Milestone>,
    /// What committed metadata said over time.
    pub course: Course,
    /// How brokers came to know the metadata when they started.
    pub loads: Vec<MetadataLoad>,
    /// Partitions that reassignments moved, and how much was copied for it.
    pub moves: Moves,
    pending: BTreeMap<BrokerId, Vec<Change>>,
    told: Offset,
    active: Option<(BrokerId, LeaderEpoch)>,
    known: BTreeMap<TopicPartition, PartitionFacts>,
    out: BTreeSet<BrokerId>,
    happened: Vec<Happening>,
}

impl Timeline {
    /// Forgets what was told, not what is known: the chaos phase begins.
    pub fn clear(&mut self) {
        self.lines.clear();
        self.milestones.clear();
        self.loads.clear();
        self.moves.clear();
        self.course = Course {
            partitions: self.known.iter().map(|(tp, f)| state(0, tp, f)).collect(),
            controllers: self.active.iter().map(|(id, _)| (0, Some(*id))).collect(),
            fenced: Vec::new(),
            lags: BTreeMap::new(),
        };
    }
    /// The trial did something to the cluster.
    pub fn fault(&mut self, at_ns: u64, text: String) {
        self.milestones.push(Milestone { at_ms: at_ns / MS, what: MilestoneKind::Fault(text.clone()) });
        self.line(at_ns, "fault", text);
    }
    /// A client stopped waiting for an answer because `setting` ran out.
    pub fn gave_up(&mut self, at_ns: u64, tp: TopicPartition, setting: &str) {
        self.milestone(at_ns, MilestoneKind::GaveUp(tp, setting.to_owned()));
    }
    /// Something worth telling.
    pub fn note(&mut self, at_ns: u64, text: String) {
        self.line(at_ns, "note", text);
    }
    /// Something that happened in a consumer group.
    pub fn group(&mut self, at_ns: u64, text: String) {
        self.line(at_ns, "group", text);
    }
    /// How far each group is behind.
    pub fn lags(&mut self, at_ns: u64, lags: Vec<(String, u64)>) {
        for (group, lag) in lags {
            self.course.lags.entry(group).or_default().push((at_ns / MS, lag));
        }
    }
    fn line(&mut self, at_ns: u64, kind: &'static str, text: String) {
        self.lines.push(Line { at_ms: at_ns / MS, kind, text });
    }
    fn milestone(&mut self, at_ns: u64, what: MilestoneKind) {
        self.milestones.push(Milestone { at_ms: at_ns / MS, what });
    }
    /// A node stated a fact. Returns what has happened by it that a fault may wait for.
    pub(super) fn observe(&mut self, at_ns: u64, node: BrokerId, event: &Event) -> Vec<Happening> {
        self.take_in(at_ns, node, event);
        std::mem::take(&mut self.happened)
    }
    fn take_in(&mut self, at_ns: u64, node: BrokerId, event: &Event) {
        match event {
            Event::MetadataCaughtUp { snapshot, replayed, ns } => {
                let (snapshot, replayed) = (snapshot.map_or(0, |(_, records)| records as u64), *replayed as u64);
                let load = MetadataLoad { at_ms: at_ns / MS, broker: node.0, snapshot, replayed, took_us: ns / 1_000 };
                let first =
                    if snapshot == 0 { String::new() } else { format!("a snapshot of {snapshot} records and ") };
                let took = load.took_us as f64 / 1_000.0;
                let text =
                    format!("broker {node} knows the metadata from {first}{replayed} replayed records ({took} ms)");
                self.line(at_ns, "note", text);
                self.loads.push(load);
            }
            Event::LogAppended { tp, copied: bytes @ 1.., .. } => self.moves.copied(node, tp, *bytes),
            Event::LogTruncated { tp, .. } => self.happens(EventName::LogTruncated, Some(tp), Some(node)),
            Event::ControllerActive { epoch } if self.active.is_none_or(|(_, known)| *epoch > known) => {
                let successor = self.active.is_some_and(|(old, _)| old != node);
                self.active = Some((node, *epoch));
                self.course.controllers.push((at_ns / MS, Some(node)));
                self.line(at_ns, "control", format!("node {node} is the active controller (epoch {epoch})"));
                self.happens(EventName::ControllerElected, None, Some(node));
                if successor {
                    self.milestone(at_ns, MilestoneKind::Noticed);
                }
            }
            Event::BrokerFenced { broker } => self.hold(node, Change::Fenced(*broker)),
            Event::BrokerUnfenced { broker } => self.hold(node, Change::Unfenced(*broker)),
            Event::PartitionChanged { tp, facts, .. } => self.hold(node, Change::Partition(tp.clone(), facts.clone())),
            Event::MetadataApplied { next } => {
                let changes = self.pending.remove(&node).unwrap_or_default();
                if *next > self.told {
                    self.told = *next;
                    self.tell(at_ns, &changes);
                }
            }
            _ => {}
        }
    }
    fn happens(&mut self, event: EventName, partition: Option<&TopicPartition>, broker: Option<BrokerId>) {
        self.happened.push(Happening { event, partition: partition.cloned(), broker, group: None });
    }
    fn hold(&mut self, node: BrokerId, change: Change) {
        self.pending.entry(node).or_default().push(change);
    }
    fn tell(&mut self, at_ns: u64, changes: &[Change]) {
        let mut parts = Vec::new();
        let mut isrs: BTreeMap<String, Vec<TopicPartition>> = BTreeMap::new();
        for change in changes {
            match change {
                // A new incarnation registers as fenced: that is news only of a broker that was not.
                Change::Fenced(broker) if !self.out.insert(*broker) => {}
                Change::Fenced(broker) => {
                    self.course.fenced.push((at_ns / MS, *broker));
                    self.milestone(at_ns, MilestoneKind::Noticed);
                    self.happens(EventName::BrokerFenced, None, Some(*broker));
                    parts.push(format!("broker {broker} fenced"));
                }
                Change::Unfenced(broker) => {
                    self.out.remove(broker);
                    self.happens(EventName::BrokerUnfenced, None, Some(*broker));
                    parts.push(format!("broker {broker} unfenced"));
                }
                Change::Partition(tp, facts) => self.partition(at_ns, tp, facts, &mut parts, &mut isrs),
            }
        }
        for (isr, of) in isrs {
            let names: Vec<_> = of.iter().map(ToString::to_string).collect();
            parts.push(format!("ISR {isr} on {}", names.join(", ")));
        }
        if !parts.is_empty() {
            self.line(at_ns, "control", parts.join("; "));
        }
    }
    fn partition(
        &mut self,
        at_ns: u64,
        tp: &TopicPartition,
        facts: &PartitionFacts,
        parts: &mut Vec<String>,
        isrs: &mut BTreeMap<String, Vec<TopicPartition>>,
    ) {
        self.course.partitions.push(state(at_ns / MS, tp, facts));
        self.moves.changed(at_ns / MS, tp, facts);
        let Some(old) = self.known.insert(tp.clone(), facts.clone()) else { return };
        if old.leader != facts.leader && facts.leader != BrokerId::NONE {
            self.happens(EventName::LeaderElected, Some(tp), Some(facts.leader));
        }
        for gone in old.isr.iter().filter(|id| !facts.isr.contains(id)) {
            self.happens(EventName::IsrShrunk, Some(tp), Some(*gone));
        }
        for new in facts.isr.iter().filter(|id| !old.isr.contains(id)) {
            self.happens(EventName::IsrExpanded, Some(tp), Some(*new));
        }
        if old.leader != facts.leader {
            let name = |b: BrokerId| if b == BrokerId::NONE { "none".to_owned() } else { b.to_string() };
            parts.push(format!("{tp}: leader {} -> {}", name(old.leader), name(facts.leader)));
        }
        if old.isr != facts.isr {
            let mut isr = facts.isr.clone();
            isr.sort_unstable();
            let ids: Vec<_> = isr.iter().map(ToString::to_string).collect();
            isrs.entry(format!("{{{}}}", ids.join(","))).or_default().push(tp.clone());
        }
        if facts.leader != BrokerId::NONE && (old.leader != facts.leader || old.isr != facts.isr) {
            if facts.isr.len() < old.isr.len() {
                self.milestone(at_ns, MilestoneKind::Noticed);
            }
            self.milestone(at_ns, MilestoneKind::Settled(tp.clone()));
        }
    }
}
