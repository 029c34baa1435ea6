//! OWN: no two current members of one generation believe that they own the same partition (KIP-429; KAFKA-12984).
//!
//! No stricter: a member that was expelled, or that has not heard of a newer generation yet, may believe in its old
//! partitions for as long as it likes; what it does with them is OFFS' affair.

use super::groups::Groups;
use super::verdict::Findings;
use crate::world::history::Op;
use crate::world::member::{MemberOp, Step};

/// Judges what `groups` have come to by `op`.
pub(super) fn check(op: &Op, groups: &Groups, out: &mut Findings) {
    let Op::Member { member, what: MemberOp::Rebalance { step: Step::Assigned, .. } } = op else { return };
    let Some(life) = groups.member(*member) else { return };
    let peers = groups.alive(&life.group).filter(|peer| peer.generation == life.generation && peer.id != life.id);
    for peer in peers {
        if let Some(tp) = peer.owned.intersection(&life.owned).next() {
            out.report(
                "OWN",
                None,
                format!(
                    "group {}: both {} and {} own {tp} in generation {}",
                    life.group, peer.process, life.process, life.generation
                ),
            );
        }
    }
}
