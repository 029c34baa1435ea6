//! CTRL-STATE: no fenced broker in an ISR (except as sole member with ELR off); ISR and ELR are disjoint subsets of the
//! replicas; the leader is in the ISR or there is none; epochs rise (KIP-841, KIP-966, Kafka's PartitionRegistration).
//!
//! No stricter: the records of one batch apply together, so the state is judged where a node has applied a whole batch.

use std::collections::{BTreeMap, BTreeSet};

use super::verdict::Findings;
use crate::base::{BrokerId, Offset, TopicPartition};
use crate::broker::probe::{Event, PartitionFacts};

#[derive(Default)]
struct View {
    fenced: BTreeSet<BrokerId>,
    partitions: BTreeMap<TopicPartition, PartitionFacts>,
    touched: BTreeSet<TopicPartition>,
    fencing_changed: bool,
}

pub(super) struct ControllerState {
    elr: bool,
    views: BTreeMap<BrokerId, View>,
    judged: Offset,
}

impl ControllerState {
    pub(super) fn new(elr: bool) -> Self {
        Self { elr, views: BTreeMap::new(), judged: Offset::ZERO }
    }
    pub(super) fn observe(&mut self, node: BrokerId, event: &Event, out: &mut Findings) {
        let view = self.views.entry(node).or_default();
        match event {
            Event::Started => *view = View::default(),
            Event::BrokerFenced { broker } => view.fencing_changed |= view.fenced.insert(*broker),
            Event::BrokerUnfenced { broker } => {
                view.fenced.remove(broker);
            }
            Event::PartitionRemoved { tp, .. } => {
                view.partitions.remove(tp);
            }
            Event::PartitionChanged { tp, facts, .. } => {
                if let Some(old) = view.partitions.insert(tp.clone(), facts.clone()) {
                    epochs(tp, &old, facts, out);
                }
                view.touched.insert(tp.clone());
            }
            Event::MetadataApplied { next } => {
                let fresh = *next > self.judged;
                self.judged = self.judged.max(*next);
                self.settle(node, fresh, out);
            }
            _ => {}
        }
    }
    fn settle(&mut self, node: BrokerId, fresh: bool, out: &mut Findings) {
        let Some(view) = self.views.get_mut(&node) else { return };
        let touched = std::mem::take(&mut view.touched);
        let all = std::mem::take(&mut view.fencing_changed);
        if !fresh {
            return; // another node's view has been judged at this offset already
        }
        for (tp, facts) in &view.partitions {
            if all || touched.contains(tp) {
                judge(tp, facts, &view.fenced, self.elr, out);
            }
        }
    }
}

fn epochs(tp: &TopicPartition, old: &PartitionFacts, new: &PartitionFacts, out: &mut Findings) {
    if new.leader_epoch < old.leader_epoch || new.partition_epoch < old.partition_epoch {
        out.report("CTRL-STATE", None, format!("{tp}: epochs fell from {old:?} to {new:?}"));
    }
    if new.leader != old.leader && new.leader_epoch == old.leader_epoch {
        out.report("CTRL-STATE", None, format!("{tp}: the leader changed within one leader epoch: {old:?} to {new:?}"));
    }
}

fn judge(tp: &TopicPartition, f: &PartitionFacts, fenced: &BTreeSet<BrokerId>, elr: bool, out: &mut Findings) {
    let mut problems = Vec::new();
    if f.leader != BrokerId::NONE && !f.isr.contains(&f.leader) {
        problems.push("the leader is not in the ISR");
    }
    if f.isr.iter().any(|b| f.elr.contains(b)) {
        problems.push("ISR and ELR overlap");
    }
    if f.isr.iter().chain(&f.elr).any(|b| !f.replicas.contains(b)) {
        problems.push("ISR or ELR holds a broker that is no replica");
    }
    if f.leader != BrokerId::NONE && fenced.contains(&f.leader) {
        problems.push("the leader is fenced");
    }
    if f.isr.iter().any(|b| fenced.contains(b)) && (elr || f.isr.len() > 1) {
        problems.push("a fenced broker is in the ISR");
    }
    for problem in problems {
        let fenced: Vec<_> = fenced.iter().map(|b| b.0).collect();
        out.report("CTRL-STATE", None, format!("{tp}: {problem}: {f:?}, fenced {fenced:?}"));
    }
}
