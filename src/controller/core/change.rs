//! How a partition's state moves on: leader election, eligible leader replicas, and the record that says so
//! (Kafka's `PartitionChangeBuilder`, KIP-966 with balanced recovery).
//!
//! A leader that stays keeps its epoch, also when the ISR shrinks (since metadata version 3.6, KAFKA-15021); every
//! record raises the partition epoch.

use std::collections::BTreeSet;

use crate::base::marks::{Mark, mark};
use crate::base::{BrokerId, TopicId};
use crate::controller::image::{Partition, RecoveryState};
use crate::wire::records::PartitionChangeRecord;

/// A wish for a partition: who shall be in sync, and what governs the election.
pub(super) struct Change<'a> {
    /// The partition as it is.
    pub partition: &'a Partition,
    /// Who shall be in sync.
    pub isr: Vec<BrokerId>,
    /// Whether the leader shall count as recovered.
    pub recovery: RecoveryState,
    /// The effective `min.insync.replicas`.
    pub min_isr: usize,
    /// Whether eligible leader replicas are on.
    pub elr_enabled: bool,
    /// The topic's `unclean.leader.election.enable`.
    pub unclean_allowed: bool,
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
        let mut elr = self.eligible();
        let elected = self.elect(&elr, may_lead);
        let (Elected::Clean(leader) | Elected::Eligible(leader) | Elected::Unclean(leader)) = elected;
        if leader != old.leader {
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
        let nothing = PartitionChangeRecord { topic_id, partition_id, ..Default::default() };
        (record != nothing).then_some(record)
    }

    /// The eligible leader replicas next to the wished ISR, before an election: whoever was in sync or eligible, as
    /// long as the ISR is too small for the high watermark to move on without them.
    fn eligible(&self) -> Vec<BrokerId> {
        if !self.elr_enabled || self.isr.len() >= self.min_isr {
            return Vec::new();
        }
        let union: BTreeSet<BrokerId> = self.partition.elr.iter().chain(&self.partition.isr).copied().collect();
        union.into_iter().filter(|id| !self.isr.contains(id) && Some(*id) != self.lost).collect()
    }

    fn elect(&self, elr: &[BrokerId], may_lead: impl Fn(BrokerId) -> bool) -> Elected {
        let pool = if self.isr.is_empty() { elr } else { &self.isr };
        let valid = |id: &BrokerId| pool.contains(id) && may_lead(*id);
        let candidates = std::iter::once(&self.partition.leader).chain(&self.partition.replicas);
        if let Some(leader) = candidates.copied().find(valid) {
            return if self.isr.is_empty() { Elected::Eligible(leader) } else { Elected::Clean(leader) };
        }
        if self.elr_enabled && elr.is_empty() && self.isr.is_empty() {
            // Balanced recovery: nothing better will ever come back than whoever led last.
            if let [last] = self.partition.last_known_elr[..]
                && may_lead(last)
            {
                mark(Mark::LastKnownElected);
                return Elected::Unclean(last);
            }
        }
        let any = || self.partition.replicas.iter().copied().find(|id| may_lead(*id));
        match self.unclean_allowed.then(any).flatten() {
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
