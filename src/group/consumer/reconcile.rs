//! How one member comes closer to its target (Kafka's `CurrentAssignmentBuilder`).

use super::{ConsumerGroup, ConsumerMember, MemberState, Partitions};

impl ConsumerGroup {
    /// The member after its next step. `owned` is what it says that it owns, if it says so.
    pub fn reconciled(
        &self,
        member: &ConsumerMember,
        target: &Partitions,
        owned: Option<&Partitions>,
    ) -> ConsumerMember {
        match member.state {
            MemberState::Stable if member.epoch == self.assignment_epoch => member.clone(),
            MemberState::Stable => self.step(member, member.epoch, target, owned),
            // As long as it does not say that it has given everything back, nothing goes on.
            MemberState::UnrevokedPartitions if still_owns(owned, &member.revoking) => member.clone(),
            MemberState::UnrevokedPartitions => self.step(member, member.epoch + 1, target, owned),
            MemberState::UnreleasedPartitions => self.step(member, member.epoch, target, owned),
            MemberState::Unknown => self.step(member, self.assignment_epoch, target, owned),
        }
    }
    /// First it gives back, staying in `epoch`; then it goes to the target's epoch, takes what is free, and waits for the rest.
    fn step(
        &self,
        member: &ConsumerMember,
        epoch: i32,
        target: &Partitions,
        owned: Option<&Partitions>,
    ) -> ConsumerMember {
        let kept: Partitions = member.assigned.intersection(target).copied().collect();
        let revoked: Partitions = member.assigned.difference(&kept).copied().collect();
        let next = ConsumerMember { previous_epoch: member.epoch, ..member.clone() };
        if !revoked.is_empty() && still_owns(owned, &revoked) {
            return ConsumerMember {
                state: MemberState::UnrevokedPartitions,
                epoch,
                assigned: kept,
                revoking: revoked,
                ..next
            };
        }
        let wanted = target.difference(&kept).copied();
        let (held, free): (Partitions, Partitions) = wanted.partition(|tp| self.is_held_by_another(&member.id, tp));
        ConsumerMember {
            state: if held.is_empty() { MemberState::Stable } else { MemberState::UnreleasedPartitions },
            epoch: self.assignment_epoch,
            assigned: kept.union(&free).copied().collect(),
            revoking: Partitions::new(),
            ..next
        }
    }
}

/// Whether a member may own any of `partitions`: it says so, or says nothing.
fn still_owns(owned: Option<&Partitions>, partitions: &Partitions) -> bool {
    owned.is_none_or(|owned| !owned.is_disjoint(partitions))
}
