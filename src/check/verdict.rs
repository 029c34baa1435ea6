//! What the oracles say: violations, permitted losses, and what an auditor read.

use std::collections::BTreeMap;
use std::ops::Range;

use super::delivery::Application;
use super::groups::Groups;
use crate::base::{BrokerId, Offset, TopicPartition};
use crate::world::history::Value;

/// More evidence of the same property than this is counted but not kept.
const KEPT_PER_PROPERTY: usize = 8;

/// A property that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The property's code, as in the catalogue of invariants.
    pub property: &'static str,
    /// Jepsen's name for the anomaly, where it has one.
    pub jepsen: Option<&'static str>,
    /// Offsets, values and nodes that show it.
    pub evidence: String,
    /// When it was seen, in simulated nanoseconds since the scenario began.
    pub at_ns: u64,
}

/// Why the contract allows that an acknowledged value is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Nothing was promised: `acks=0`.
    AcksZero,
    /// The leader alone had promised it: `acks=1`.
    AcksOne,
    /// An election outside the ISR that `unclean.leader.election.enable` allows.
    UncleanElection,
    /// The election of the last known leader, ISR and ELR being empty (KIP-966).
    LastKnownLeader,
    /// Without eligible leader replicas, an unclean shutdown of the last in-sync replica.
    LastInSyncReplica,
    /// As many holders as `min.insync.replicas` asks for lost it before it was on their devices.
    StorageFaults,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::AcksZero,
        Self::AcksOne,
        Self::UncleanElection,
        Self::LastKnownLeader,
        Self::LastInSyncReplica,
        Self::StorageFaults,
    ];
    /// Its name in verdicts and scenarios.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::AcksZero => "acks-0",
            Self::AcksOne => "acks-1",
            Self::UncleanElection => "unclean-election",
            Self::LastKnownLeader => "last-known-leader",
            Self::LastInSyncReplica => "last-in-sync-replica",
            Self::StorageFaults => "storage-faults",
        }
    }
}

/// An acknowledged value that is gone, and why the contract allows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PermittedLoss {
    /// The value.
    pub value: Value,
    /// Where it was acknowledged.
    pub tp: TopicPartition,
    /// At which offset; [`Offset::NONE`] if its writer was not told.
    pub offset: Offset,
    /// Why.
    pub reason: Reason,
    /// Who lost it, when and to what, in words.
    pub detail: String,
}

/// Neighbouring offsets of a partition, from the first to the last.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// Where.
    pub tp: TopicPartition,
    /// The first.
    pub first: Offset,
    /// The last.
    pub last: Offset,
}

/// What became of the records of one group, by what was read back after healing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Committed past and never processed.
    pub skipped: Vec<Span>,
    /// Processed more than once.
    pub repeated: Vec<Span>,
}

/// A record of a dead-letter topic, as it was read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Where it stands, and at which offset.
    pub at: (TopicPartition, Offset),
    /// Its header `error`.
    pub error: Option<String>,
    /// Its header `original_topic`.
    pub topic: Option<String>,
    /// Its header `original_offset`.
    pub offset: Option<String>,
}

/// Everything that was found in one run.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// The time that new findings are stamped with.
    pub at_ns: u64,
    /// Violations in the order in which they were seen, a few of each property.
    pub violations: Vec<Violation>,
    /// All violations, also those that were not kept.
    pub total: usize,
    /// Losses that the contract allows.
    pub permitted: Vec<PermittedLoss>,
    /// Acknowledged values that are gone, permitted or not.
    pub lost: usize,
    /// Values that stand at more than one offset.
    pub duplicated: usize,
    /// What became of the records of each group, by its id.
    pub delivered: BTreeMap<String, Delivered>,
    /// What was read of records with the headers of dead letters.
    pub letters: Vec<Letter>,
    /// Offsets that readers were not given because the log start had passed them.
    pub skipped: u64,
    /// Where each partition's log starts after healing.
    pub log_starts: BTreeMap<TopicPartition, Offset>,
}

impl Findings {
    /// Adds what became of a partition's records in each group that reads it.
    pub(super) fn account(
        &mut self,
        audit: &Audit,
        sure: &Range<Offset>,
        groups: &Groups,
        applications: &[Application],
    ) {
        self.letters.extend(audit.letters.iter().cloned());
        for app in applications.iter().filter(|app| app.topics.iter().any(|t| **t == *audit.tp.topic)) {
            let Some(account) = groups.account(&app.group) else { continue };
            let delivered = self.delivered.entry(app.group.clone()).or_default();
            delivered.skipped.extend(account.skipped(audit, sure));
            delivered.repeated.extend(account.repeated(&audit.tp));
        }
    }
    /// Records a violation.
    pub fn report(&mut self, property: &'static str, jepsen: Option<&'static str>, evidence: String) {
        self.total += 1;
        if self.violations.iter().filter(|v| v.property == property).count() < KEPT_PER_PROPERTY {
            self.violations.push(Violation { property, jepsen, evidence, at_ns: self.at_ns });
        }
    }
}

impl Audit {
    /// True if the record at this offset is a dead letter: a copy, which an application may write again and in any order.
    #[must_use]
    pub fn is_letter(&self, offset: Offset) -> bool {
        self.letters.iter().any(|letter| letter.at.1 == offset)
    }
}

/// One partition as an auditor read it after healing.
#[derive(Clone, Debug)]
pub struct Audit {
    /// The partition.
    pub tp: TopicPartition,
    /// Log start by ListOffsets.
    pub start: Offset,
    /// The end by ListOffsets: everything below was read.
    pub end: Offset,
    /// Who leads it now.
    pub leader: BrokerId,
    /// The records in the order in which they came.
    pub records: Vec<(Offset, Option<Value>)>,
    /// Those of them that bear the headers of a dead letter.
    pub letters: Vec<Letter>,
}
