//! OWN: no two current members of one generation believe that they own the same partition (KIP-429; KAFKA-12984); and under the
//! consumer protocol no member is given what another has not given back (KIP-848).
//!
//! No stricter: a member that was expelled, or that has not heard of a newer generation yet, may believe in its old partitions for
//! as long as it likes; what it does with them is OFFS' affair. Nobody sees from outside who was expelled: a group that has lost all
//! its members and has nothing committed is forgotten, and begins again with generation 1 (`GroupMetadataManager`), and under the
//! consumer protocol members are in epochs of their own. So two that own the same partition are only suspected. Both were members all
//! the time if both go on to a later generation, and one that is not older than the other's was, without having lost their membership:
//! whoever was expelled is told so first, but may until then hear late what it was told before.

use std::collections::BTreeMap;

use super::groups::{Groups, Member};
use super::verdict::Findings;
use crate::base::TopicPartition;
use crate::world::history::Op;
use crate::world::member::{MemberOp, Step};

/// Two members that own, or owned, the same partition at the same time.
#[derive(Debug)]
struct Suspicion {
    /// Both, each with the generation that it must reach, until it has.
    unproven: BTreeMap<u32, i32>,
    evidence: String,
}

/// See the module.
#[derive(Default)]
pub(super) struct Own {
    suspicions: Vec<Suspicion>,
}

impl Own {
    /// Judges what `groups` have come to by `op`.
    pub fn client(&mut self, op: &Op, groups: &Groups, out: &mut Findings) {
        let Op::Member { member, what } = op else { return };
        let Some(life) = groups.member(*member) else { return };
        match what {
            MemberOp::Rebalance { step: Step::Assigned, generation, .. } => {
                self.goes_on(*member, *generation, out);
                if !life.consumer_protocol {
                    self.same_generation(*member, life, groups);
                }
            }
            MemberOp::Rebalance { step: Step::Revoked, partitions, .. } if life.consumer_protocol => {
                self.given_away(*member, life, partitions, groups);
            }
            // What it was before, nobody will ever know.
            MemberOp::Rebalance { step: Step::Lost, .. } | MemberOp::Ended => {
                self.suspicions.retain(|s| !s.unproven.contains_key(member));
            }
            _ => {}
        }
    }
    /// A member has reached a generation without having lost its membership.
    fn goes_on(&mut self, member: u32, generation: i32, out: &mut Findings) {
        for suspicion in &mut self.suspicions {
            if suspicion.unproven.get(&member).is_some_and(|proof| *proof <= generation) {
                suspicion.unproven.remove(&member);
            }
        }
        for proven in self.suspicions.extract_if(.., |s| s.unproven.is_empty()) {
            out.report("OWN", None, proven.evidence);
        }
    }
    /// Who else owns something in the generation that a member has just reached.
    fn same_generation(&mut self, member: u32, life: &Member, groups: &Groups) {
        for (other, peer) in groups.lives(&life.group) {
            if other == member || peer.generation != life.generation {
                continue;
            }
            if let Some(tp) = peer.owned.intersection(&life.owned).next() {
                let (group, generation) = (&life.group, life.generation);
                let evidence = format!(
                    "group {group}: both {} and {} own {tp} in generation {generation}",
                    peer.process, life.process
                );
                self.suspect([(member, life), (other, peer)], evidence);
            }
        }
    }
    /// Who else owns something that a member gives back only now.
    fn given_away(&mut self, member: u32, life: &Member, partitions: &[TopicPartition], groups: &Groups) {
        for (other, peer) in groups.lives(&life.group) {
            if other == member {
                continue;
            }
            if let Some(tp) = partitions.iter().find(|tp| peer.owned.contains(*tp)) {
                let evidence = format!(
                    "group {}: {} owned {tp} in epoch {} before {} had given it back",
                    life.group, peer.process, peer.generation, life.process
                );
                self.suspect([(member, life), (other, peer)], evidence);
            }
        }
    }
    fn suspect(&mut self, both: [(u32, &Member); 2], evidence: String) {
        let reached = both.iter().map(|(_, life)| life.generation).max().unwrap_or_default();
        let unproven = both.iter().map(|(number, life)| (*number, reached.max(life.generation + 1))).collect();
        self.suspicions.push(Suspicion { unproven, evidence });
    }
}
