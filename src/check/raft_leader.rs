//! RAFT-LEADER: at most one leader per epoch, a voter votes for one candidate per epoch, and epochs never fall, not
//! even across restarts (KIP-595; KAFKA-14077).
//!
//! No stricter: two nodes may presume leadership at the same moment in different epochs.

use std::collections::BTreeMap;

use super::verdict::Findings;
use crate::base::{BrokerId, LeaderEpoch};
use crate::broker::probe::{Event, RaftRole};

#[derive(Default)]
pub(super) struct RaftLeader {
    leaders: BTreeMap<LeaderEpoch, BrokerId>,
    votes: BTreeMap<(BrokerId, LeaderEpoch), BrokerId>,
    epochs: BTreeMap<BrokerId, LeaderEpoch>,
}

impl RaftLeader {
    pub(super) fn observe(&mut self, node: BrokerId, event: &Event, out: &mut Findings) {
        match event {
            Event::RaftRole { epoch, role, leader } => {
                let known = self.epochs.insert(node, *epoch).unwrap_or(LeaderEpoch::NONE);
                if *epoch < known {
                    out.report("RAFT-LEADER", None, format!("node {node}'s quorum epoch fell from {known} to {epoch}"));
                }
                let claimed = if *role == RaftRole::Leader { Some(node) } else { *leader };
                if let Some(claimed) = claimed {
                    self.lead(node, *epoch, claimed, out);
                }
            }
            Event::RaftVoted { epoch, candidate } => {
                let first = *self.votes.entry((node, *epoch)).or_insert(*candidate);
                if first != *candidate {
                    out.report(
                        "RAFT-LEADER",
                        None,
                        format!("node {node} voted in epoch {epoch} for both {first} and {candidate}"),
                    );
                }
            }
            _ => {}
        }
    }
    fn lead(&mut self, node: BrokerId, epoch: LeaderEpoch, leader: BrokerId, out: &mut Findings) {
        let first = *self.leaders.entry(epoch).or_insert(leader);
        if first != leader {
            out.report(
                "RAFT-LEADER",
                None,
                format!("epoch {epoch} has two quorum leaders, {first} and {leader} (by node {node}'s word)"),
            );
        }
    }
}
