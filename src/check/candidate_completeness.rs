//! LCC: every running member of ISR and ELR, by the controller's word, holds everything below `true_hw`: whoever may
//! be elected cleanly would be complete (KIP-966). It fires before anything is lost.
//!
//! No stricter: a replica that a storage fault hit is passed over until its new incarnation has registered, because
//! only then can the controller know (KIP-966's unclean shutdown).

use super::ground::Partition;
use super::verdict::Findings;
use crate::base::TopicPartition;
use crate::broker::probe::Event;

pub(super) fn check(tp: &TopicPartition, event: &Event, p: &Partition, out: &mut Findings) {
    let matters = matches!(event, Event::PartitionChanged { .. } | Event::HighWatermark { leading: true, .. });
    let Some(facts) = p.latest().filter(|_| matters) else { return };
    for node in facts.isr.iter().chain(&facts.elr) {
        let Some(replica) = p.replicas.get(node) else { continue };
        if replica.up && !replica.excused && !p.is_complete(replica) {
            out.report(
                "LCC",
                None,
                format!(
                    "{tp}: broker {node} may be elected (ISR {:?}, ELR {:?}, leader epoch {}) but agrees with the committed \
                     log only below {}, not up to {} (its log ends at {})",
                    facts.isr.iter().map(|b| b.0).collect::<Vec<_>>(),
                    facts.elr.iter().map(|b| b.0).collect::<Vec<_>>(),
                    facts.leader_epoch,
                    replica.agreed,
                    p.true_hw,
                    replica.end()
                ),
            );
        }
    }
}
