//! How a partition's state moves on: leader election, eligible leader replicas, reassignment, and the record that says so
//! (Kafka's `PartitionChangeBuilder`, KIP-966 with balanced recovery).
//!
//! A leader that stays keeps its epoch, also when the ISR shrinks (since metadata version 3.6, KAFKA-15021), unless a
//! replica is taken away from the partition: whoever still fetches as one is fenced by the new epoch. Every record raises
//! the partition epoch.

use std::collections::BTreeSet;

use super::reassignment;
use crate::base::bugs::{Bug, planted};
use crate::base::marks::{Mark, mark};
use crate::base::{BrokerId, TopicId};
use crate::controller::image::{Partition, RecoveryState};
use crate::wire::records::PartitionChangeRecord;

/// What kind of leader is looked for (Kafka's `PartitionChangeBuilder.Election`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Election {
    /// The preferred replica if it may lead; else as [`Election::Online`].
    Preferred,
    /// The leader that is, else the first assigned replica that may lead.
    Online,
    /// As [`Election::Online`], and if nobody may lead, the first live replica.
    Unclean,
}

/// A wish for a partition: who shall be in sync, and what governs the election.
pub(super) struct Change<'a> {
    /// The partition as it is.
    pub partition: &'a Partition,
    /// Who shall be in sync.
    pub isr: Vec<BrokerId>,
    /// All replicas that it shall have, the preferred leader first.
    pub replicas: Vec<BrokerId>,
    /// Those among them that shall go once the others are in sync.
    pub removing: Vec<BrokerId>,
    /// Those among them that are to be added.
    pub adding: Vec<BrokerId>,
    /// Whether the leader shall count as recovered.
    pub recovery: RecoveryState,
    /// The topic's `min.insync.replicas`, however many replicas there are.
    pub min_isr: usize,
    /// Whether eligible leader replicas are on.
    pub elr_enabled: bool,
    /// What kind of leader is looked for.
    pub election: Election,
    /// A replica that may have lost what it held: it leaves ISR and ELR.
    pub lost: Option<BrokerId>,
}

enum Elected {
    /// From the ISR, or nobody.
    Clean(BrokerId),
    /// From the eligible leader replicas, the ISR being empty.
    Eligible(BrokerId),
    /// From outside both.
    Unclean(BrokerId),
}

impl Change<'_> {
    /// The record that brings the change about; `None` if nothing changes. `may_lead` says who is alive.
    pub fn build(
        mut self,
        topic_id: TopicId,
        partition_id: i32,
        may_lead: impl Fn(BrokerId) -> bool,
    ) -> Option<PartitionChangeRecord> {
        let old = self.partition;
        let mut record = PartitionChangeRecord { topic_id, partition_id, ..Default::default() };
        self.complete_reassignment();
        if self.isr.is_empty() && planted(Bug::LastReplicaStanding) {
            self.isr.clone_from(&old.isr);
        }
        let mut elr = self.eligible();
        let elected = self.elect(&elr, may_lead);
        let (Elected::Clean(leader) | Elected::Eligible(leader) | Elected::Unclean(leader)) = elected;
        let loses_replicas = old.replicas.iter().any(|id| !self.replicas.contains(id));
        if leader != old.leader || loses_replicas {
            record.leader = leader;
        }
        match elected {
            Elected::Clean(_) => {}
            Elected::Eligible(leader) => {
                mark(Mark::ElrElected);
                self.isr = vec![leader];
                elr.retain(|id| *id != leader);
            }
            Elected::Unclean(leader) => {
                self.isr = vec![leader];
                elr.clear();
                self.recovery = RecoveryState::Recovering;
            }
        }
        // Without eligible leader replicas the last member stays in the ISR: nobody else may take its place.
        if self.isr != old.isr && (self.elr_enabled || !self.isr.is_empty()) {
            if self.isr.len() == 1 && old.isr.len() > 1 {
                mark(Mark::IsrShrunkToOne);
            }
            record.isr = Some(self.isr.clone());
        }
        if elr != old.elr {
            if elr.len() > old.elr.len() {
                mark(Mark::ElrKept);
            }
            record.eligible_leader_replicas = Some(elr);
        }
        record.last_known_elr = self.last_known_leader(leader, record.isr.as_deref());
        if self.recovery != old.recovery {
            record.leader_recovery_state = self.recovery.code();
        }
        self.assign(&mut record);
        let nothing = PartitionChangeRecord { topic_id, partition_id, ..Default::default() };
        (record != nothing).then_some(record)
    }

    /// A reassignment is over once everybody who shall stay is in sync.
    fn complete_reassignment(&mut self) {
        if let Some((replicas, isr)) = reassignment::completed(&self.replicas, &self.adding, &self.removing, &self.isr)
        {
            (self.replicas, self.isr) = (replicas, isr);
            self.adding.clear();
            self.removing.clear();
        }
    }

    /// What the record must say of the replicas.
    fn assign(self, record: &mut PartitionChangeRecord) {
        let old = self.partition;
        if self.replicas.len() != old.replicas.len() {
            // Every broker has one log directory, which nobody names (KIP-858).
            record.directories = Some(vec![TopicId::nil(); self.replicas.len()]);
        }
        let differs = |to: Vec<BrokerId>, from: &Vec<BrokerId>| (to != *from).then_some(to);
        record.replicas = differs(self.replicas, &old.replicas);
        record.removing_replicas = differs(self.removing, &old.removing_replicas);
        record.adding_replicas = differs(self.adding, &old.adding_replicas);
    }

    /// The eligible leader replicas next to the wished ISR, before an election: whoever was in sync or eligible, as
    /// long as the ISR is too small for the high watermark to move on without them. A replica that is taken away is no
    /// longer eligible, however small the ISR is.
    fn eligible(&self) -> Vec<BrokerId> {
        if !self.elr_enabled || self.isr.len() >= self.min_isr.min(self.replicas.len()) {
            return Vec::new();
        }
        let union: BTreeSet<BrokerId> = self.partition.elr.iter().chain(&self.partition.isr).copied().collect();
        let stays = |id: &BrokerId| self.replicas.contains(id) && !self.isr.contains(id) && Some(*id) != self.lost;
        union.into_iter().filter(stays).collect()
    }

    fn elect(&self, elr: &[BrokerId], may_lead: impl Fn(BrokerId) -> bool) -> Elected {
        let pool = if self.isr.is_empty() { elr } else { &self.isr };
        let valid = |id: &BrokerId| self.replicas.contains(id) && pool.contains(id) && may_lead(*id);
        let preferred = self.replicas.first().filter(|_| self.election == Election::Preferred);
        let candidates = preferred.into_iter().chain([&self.partition.leader]).chain(&self.replicas);
        if let Some(leader) = candidates.copied().find(valid) {
            return if self.isr.is_empty() { Elected::Eligible(leader) } else { Elected::Clean(leader) };
        }
        if self.elr_enabled && elr.is_empty() && self.isr.is_empty() {
            // Balanced recovery: nothing better will ever come back than whoever led last.
            if let [last] = self.partition.last_known_elr[..]
                && self.replicas.contains(&last)
                && may_lead(last)
            {
                mark(Mark::LastKnownElected);
                return Elected::Unclean(last);
            }
        }
        let any = || self.replicas.iter().copied().find(|id| may_lead(*id));
        let unclean = self.election == Election::Unclean || planted(Bug::UncleanByMistake);
        match unclean.then(any).flatten() {
            Some(leader) => Elected::Unclean(leader),
            None => Elected::Clean(BrokerId::NONE),
        }
    }

    /// Whoever led last is remembered when the ISR becomes empty, and forgotten once there is a leader.
    fn last_known_leader(&self, leader: BrokerId, new_isr: Option<&[BrokerId]>) -> Option<Vec<BrokerId>> {
        let old = self.partition;
        if !self.elr_enabled {
            return (!old.last_known_elr.is_empty()).then(Vec::new);
        }
        if new_isr.is_some_and(<[_]>::is_empty) && old.has_leader() {
            return (old.last_known_elr[..] != [old.leader]).then(|| vec![old.leader]);
        }
        (leader != BrokerId::NONE && !old.last_known_elr.is_empty()).then(Vec::new)
    }
}
