//! OWN: no two current members of one generation believe that they own the same partition (KIP-429; KAFKA-12984); and under the
//! consumer protocol no member is given what another has not given back (KIP-848).
//!
//! No stricter: a member that was expelled, or that has not heard of a newer generation yet, may believe in its old
//! partitions for as long as it likes; what it does with them is OFFS' affair. Under the consumer protocol members of one group are
//! in epochs of their own, so that believing says little. But a member that gives a partition back in good order and goes on to a
//! later epoch without having lost its membership was no expelled one when it gave back: nobody else may have owned the partition
//! until then.

use std::collections::BTreeMap;

use super::groups::{Groups, Member};
use super::verdict::Findings;
use crate::base::TopicPartition;
use crate::world::history::Op;
use crate::world::member::{MemberOp, Step};

/// See the module.
#[derive(Default)]
pub(super) struct Own {
    /// What members of the consumer protocol gave back while another owned it, by member: the epoch that they were in, and the evidence
    /// should it turn out that they were members all the time.
    suspects: BTreeMap<u32, (i32, String)>,
}

impl Own {
    /// Judges what `groups` have come to by `op`.
    pub fn client(&mut self, op: &Op, groups: &Groups, out: &mut Findings) {
        let Op::Member { member, what } = op else { return };
        let Some(life) = groups.member(*member) else { return };
        match what {
            MemberOp::Rebalance { step: Step::Assigned, generation, .. } => {
                same_generation(life, groups, out);
                if let Some((epoch, evidence)) = self.suspects.remove(member) {
                    if *generation > epoch {
                        out.report("OWN", None, evidence);
                    } else {
                        self.suspects.insert(*member, (epoch, evidence));
                    }
                }
            }
            MemberOp::Rebalance { step: Step::Revoked, generation, partitions, .. } if life.consumer_protocol => {
                if let Some(evidence) = given_away(life, partitions, groups) {
                    self.suspects.insert(*member, (*generation, evidence));
                }
            }
            MemberOp::Rebalance { step: Step::Lost, .. } | MemberOp::Ended => drop(self.suspects.remove(member)),
            _ => {}
        }
    }
}

fn same_generation(life: &Member, groups: &Groups, out: &mut Findings) {
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

/// Who else owns something that a member gives back only now.
fn given_away(life: &Member, partitions: &[TopicPartition], groups: &Groups) -> Option<String> {
    let owner = |tp: &TopicPartition| groups.alive(&life.group).find(|p| p.id != life.id && p.owned.contains(tp));
    let (tp, owner) = partitions.iter().find_map(|tp| Some((tp, owner(tp)?)))?;
    Some(format!(
        "group {}: {} owned {tp} in epoch {} before {} had given it back",
        life.group, owner.process, owner.generation, life.process
    ))
}
