//! LC: the controller's leader, once running, holds everything below `true_hw` (Raft's leader completeness, for the
//! ISR: KIP-101, KIP-966).
//!
//! No stricter: a leader of an older epoch may be anything; it is fenced, not complete. After an unclean election that
//! the configuration allows, `true_hw` restarts from the new leader's log.

use super::ground::Partition;
use super::verdict::Findings;
use crate::base::{BrokerId, TopicPartition};
use crate::broker::probe::Event;

pub(super) fn check(tp: &TopicPartition, node: BrokerId, event: &Event, p: &Partition, out: &mut Findings) {
    let epoch = match event {
        Event::LeaderStarted { epoch, .. } | Event::HighWatermark { leading: true, epoch, .. } => *epoch,
        _ => return,
    };
    let (Some(facts), Some(replica)) = (p.latest(), p.replicas.get(&node)) else { return };
    if facts.leader == node && facts.leader_epoch == epoch && !p.is_complete(replica) {
        out.report(
            "LC",
            Some("lost-write"),
            format!(
                "{tp}: broker {node} leads in epoch {epoch} but agrees with the committed log only below {}, not up to {} \
                 (its log ends at {})",
                replica.agreed,
                p.true_hw,
                replica.end()
            ),
        );
    }
}
