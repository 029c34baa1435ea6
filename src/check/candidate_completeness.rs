//! LCC: every running member of ISR and ELR, by the controller's word, holds everything below `true_hw`: whoever may
//! be elected cleanly would be complete (KIP-966). It fires before anything is lost.
//!
//! No stricter: a replica that a storage fault hit is passed over until its new incarnation has registered, because
//! only then can the controller know (KIP-966's unclean shutdown). A member that Kafka keeps in the ISR although its
//! disk has lost records may lack just those: see `ground::restart` for the rules.

use super::ground::{Ground, Partition, Rules};
use super::verdict::Findings;
use crate::base::{BrokerId, TopicPartition};
use crate::broker::probe::Event;

/// Must see the event before the ground takes it in. A replica that is assigned keeps its log, whatever happens: only
/// a deleted or moved partition may take it away.
pub(super) fn check_removal(node: BrokerId, event: &Event, ground: &Ground, out: &mut Findings) {
    let Event::LogRemoved { tp } = event else { return };
    let Some(partition) = ground.partition(tp) else { return };
    let assigned = partition.latest().is_some_and(|facts| facts.replicas.contains(&node));
    // A log goes in its own time: the node may get the partition back before the log of its last life there is gone.
    if assigned && !partition.dismissed.contains(&node) {
        out.report("LCC", None, format!("{tp}: broker {node} removed the log of a partition that it is assigned to"));
    }
}

pub(super) fn check(tp: &TopicPartition, event: &Event, p: &Partition, rules: &Rules, out: &mut Findings) {
    let matters = matches!(event, Event::PartitionChanged { .. } | Event::HighWatermark { leading: true, .. });
    let Some(facts) = p.latest().filter(|_| matters) else { return };
    for node in facts.isr.iter().chain(&facts.elr) {
        let Some(replica) = p.replicas.get(node) else { continue };
        if replica.up && !replica.excused && !p.is_complete(replica) && !p.may_lack(*node, replica, rules) {
            out.report(
                "LCC",
                None,
                format!(
                    "{tp}: broker {node} may be elected (ISR {:?}, ELR {:?}, leader epoch {}) but agrees with the committed \
                     log only below {}, not up to {} (its log is {}..{}, retention has reached {})",
                    facts.isr.iter().map(|b| b.0).collect::<Vec<_>>(),
                    facts.elr.iter().map(|b| b.0).collect::<Vec<_>>(),
                    facts.leader_epoch,
                    replica.agreed,
                    p.true_hw,
                    replica.start,
                    replica.end(),
                    p.log_start
                ),
            );
        }
    }
}
