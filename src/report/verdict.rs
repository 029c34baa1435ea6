//! The verdict on one run, with the JSON names that stay stable (schema_version 1).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Version of the JSON names; fields may be added under the same version.
pub const SCHEMA_VERSION: u32 = 1;

/// How a run ended, in the order of gravity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Everything as expected.
    Pass,
    /// No convergence after healing.
    NotLive,
    /// A safety property was violated or an expectation failed.
    Violated,
    /// The broker under test panicked.
    Panicked,
    /// Two runs of one seed differed.
    Nondeterministic,
}

impl Outcome {
    /// The exit code of a process whose gravest run ended so.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Violated => 1,
            Self::NotLive => 3,
            Self::Panicked => 4,
            Self::Nondeterministic => 5,
        }
    }
}

/// The verdict on one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The scenario's name.
    pub scenario: String,
    /// The seed of the run.
    pub seed: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// Why the run did not converge, or what panicked, or what differed; empty otherwise.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Length of the chaos phase in simulated milliseconds.
    pub simulated_ms: u64,
    /// What the whole run took in milliseconds of real time.
    pub wall_ms: u64,
    /// Messages that the simulated network carried.
    pub messages: u64,
    /// Records that were acknowledged.
    pub acked: u64,
    /// Records whose fate the client does not know.
    pub unknown: u64,
    /// Records that were definitely refused.
    pub failed: u64,
    /// Acknowledged records that are gone although the contract forbids it.
    pub lost: u64,
    /// Acknowledged records that are gone as the contract permits.
    pub permitted_loss: u64,
    /// The same, by partition and reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub permitted_losses: Vec<PermittedLoss>,
    /// Records that were not acknowledged, by Kafka's name of the error.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub errors: BTreeMap<String, u64>,
    /// Records that readers missed because the log start had passed them.
    #[serde(default)]
    pub skipped: u64,
    /// Where logs start after healing that do not start at 0.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub log_starts: BTreeMap<String, u64>,
    /// How brokers came to know the metadata at each start in the chaos phase.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metadata_loads: Vec<MetadataLoad>,
    /// Partitions that reassignments moved to other brokers, in the order in which that began.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moves: Vec<MoveRecord>,
    /// How the records of producers that choose partitions themselves are spread over them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spreads: Vec<Spread>,
    /// Records that are in the log more than once.
    pub duplicated: u64,
    /// Percent of the chaos phase in which each partition took writes.
    pub availability: BTreeMap<String, f64>,
    /// Digest of everything that happened, in hexadecimal.
    pub digest: String,
    /// What was violated.
    pub violations: Vec<Violation>,
    /// When clients could not write.
    pub outages: Vec<OutageRecord>,
    /// What consumer groups went through.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupRecord>,
    /// What happened, in the order of time.
    pub events: Vec<Event>,
    /// What the scenario expected.
    pub expectations: Vec<Expectation>,
    /// How often each coverage mark was reached.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub marks: BTreeMap<String, u64>,
    /// The command that runs this again.
    pub reproduce: String,
}

impl Verdict {
    /// For tests: panics unless the run passed, and says what was broken and under which seed.
    ///
    /// # Panics
    /// See above.
    pub fn assert_passed(&self) {
        let (seed, outcome, reason, violations) = (self.seed, self.outcome, &self.reason, &self.violations);
        assert_eq!(outcome, Outcome::Pass, "seed {seed}: {reason} {violations:#?}");
    }
    /// A verdict in which nothing has happened yet.
    #[must_use]
    pub fn new(scenario: &str, seed: u64) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            scenario: scenario.to_owned(),
            seed,
            outcome: Outcome::Pass,
            reason: String::new(),
            simulated_ms: 0,
            wall_ms: 0,
            messages: 0,
            acked: 0,
            unknown: 0,
            failed: 0,
            lost: 0,
            permitted_loss: 0,
            permitted_losses: Vec::new(),
            errors: BTreeMap::new(),
            skipped: 0,
            log_starts: BTreeMap::new(),
            metadata_loads: Vec::new(),
            moves: Vec::new(),
            spreads: Vec::new(),
            duplicated: 0,
            availability: BTreeMap::new(),
            digest: String::new(),
            violations: Vec::new(),
            outages: Vec::new(),
            groups: Vec::new(),
            events: Vec::new(),
            expectations: Vec::new(),
            marks: BTreeMap::new(),
            reproduce: String::new(),
        }
    }
}

/// A property that was violated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// The property's code, like `ACK`.
    pub property: String,
    /// Jepsen's name for the anomaly, if it has one.
    pub jepsen: Option<String>,
    /// What shows it: offset, value, who acknowledged, which replicas hold what. May be several lines.
    pub evidence: String,
    /// When, in simulated milliseconds.
    pub at_ms: u64,
}

/// Acknowledged records of one partition that are gone for one reason which the contract allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PermittedLoss {
    /// The partition's name.
    pub partition: String,
    /// The reason's name, like `unclean-election`.
    pub reason: String,
    /// The rule that allows it, with who and when.
    pub detail: String,
    /// How many records.
    pub records: u64,
    /// The smallest offset among them; `None` if their writers were not told (`acks=0`).
    pub from_offset: Option<i64>,
    /// The largest one.
    pub to_offset: Option<i64>,
}

/// How a broker came to know the metadata when it started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetadataLoad {
    /// When it knew it, in simulated milliseconds.
    pub at_ms: u64,
    /// Who.
    pub broker: i32,
    /// Records of the snapshot that it began with; 0 if there was none.
    pub snapshot: u64,
    /// Records that it replayed after that.
    pub replayed: u64,
    /// What all of it took, in simulated microseconds.
    pub took_us: u64,
}

/// A partition that a reassignment moved to other brokers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoveRecord {
    /// The partition's name.
    pub partition: String,
    /// When replicas were added, in simulated milliseconds.
    pub from_ms: u64,
    /// When the reassignment was over; `None` if it was not by the end of the run.
    pub to_ms: Option<u64>,
    /// True if it was called off: none of the added replicas has stayed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancelled: bool,
    /// Bytes of the log that each added replica copied from a leader meanwhile.
    pub copied: BTreeMap<i32, u64>,
}

impl MoveRecord {
    /// Bytes of the log that were copied in all.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.copied.values().sum()
    }
    /// How long it took, in milliseconds; `None` if it went on to the end or was cancelled.
    #[must_use]
    pub fn took_ms(&self) -> Option<u64> {
        self.to_ms.filter(|_| !self.cancelled).map(|to| to - self.from_ms)
    }
    /// Bytes copied in a second, on the average of the move.
    #[must_use]
    pub fn rate(&self) -> Option<u64> {
        self.took_ms().map(|ms| self.bytes() * 1_000 / ms.max(1))
    }
}

/// How the acknowledged records of a group of producers are spread over the partitions of its topic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spread {
    /// The group's name.
    pub client: String,
    /// Records of each partition.
    pub partitions: BTreeMap<i32, u64>,
    /// Different keys among them.
    pub keys: u64,
    /// Keys that are in more than one partition.
    pub split_keys: u64,
}

impl Spread {
    /// Shares of the partitions that got least and most, in percent; `None` if there is no record.
    #[must_use]
    pub fn shares(&self) -> Option<(f64, f64)> {
        let all: u64 = self.partitions.values().sum();
        let share = |records: &u64| *records as f64 * 100.0 / all as f64;
        let (least, most) = (self.partitions.values().min()?, self.partitions.values().max()?);
        (all > 0).then(|| (share(least), share(most)))
    }
}

/// One outage of one partition as its clients saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutageRecord {
    /// The partition's name.
    pub partition: String,
    /// When service stopped, in simulated milliseconds.
    pub from_ms: u64,
    /// When service was back; `None` if it was not by the end of the chaos phase.
    pub to_ms: Option<u64>,
    /// The fault that explains it, in words; empty if none does.
    pub cause: String,
    /// Length of the undetected phase; `None` if the cluster never noticed.
    pub detect_ms: Option<u64>,
    /// Length of the election phase; `None` if it never ended.
    pub elect_ms: Option<u64>,
    /// Length of the clients' phase; `None` if it never ended.
    pub recover_ms: Option<u64>,
    /// What the clients' phase waited for, if it is known, like `request.timeout.ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waited_for: Option<String>,
}

/// What one consumer group went through in the chaos phase; what became of its records is counted to the end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRecord {
    /// Its id.
    pub id: String,
    /// Records processed, repetitions included.
    pub processed: u64,
    /// Committed past and never processed.
    pub skipped: Vec<SpanRecord>,
    /// Processed more than once.
    pub repeated: Vec<SpanRecord>,
    /// Passed over because they cannot be processed.
    pub passed_over: Vec<SpanRecord>,
    /// Read back from the dead-letter topic.
    pub dead_letters: Vec<LetterRecord>,
    /// How often a process died of a record.
    pub crashes: u64,
    /// How often a member was expelled.
    pub expelled: u64,
    /// Effects that records had on the store.
    pub effects: u64,
    /// Repetitions that had no effect.
    pub suppressed: u64,
    /// Every rebalance that was completed.
    pub rebalances: Vec<RebalanceRecord>,
    /// Records processed in each 10 s.
    pub throughput: Vec<u64>,
    /// How many records the group was behind, each with its moment in simulated milliseconds.
    pub lag: Vec<(u64, u64)>,
    /// Who owned partitions, from each moment on at which that changed.
    pub owners: Vec<Ownership>,
    /// What is committed at the end, by partition.
    pub committed: BTreeMap<String, i64>,
}

/// Neighbouring offsets of a partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpanRecord {
    /// The partition's name.
    pub partition: String,
    /// The first offset.
    pub first: i64,
    /// The last one.
    pub last: i64,
}

/// A record of a dead-letter topic with its headers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetterRecord {
    /// The partition from which it was taken.
    pub from: String,
    /// Where it stands.
    pub partition: String,
    /// At which offset.
    pub offset: i64,
    /// The header `error`; empty if it is missing.
    pub error: String,
    /// The header `original_topic`.
    pub original_topic: String,
    /// The header `original_offset`.
    pub original_offset: i64,
}

/// One rebalance of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RebalanceRecord {
    /// When the last member had its partitions, in simulated milliseconds.
    pub at_ms: u64,
    /// The generation that it made.
    pub generation: i32,
    /// How long each member that had owned partitions owned none, in milliseconds.
    pub stopped_ms: BTreeMap<String, u64>,
    /// How long each partition that somebody was given had had no owner, in milliseconds.
    pub unowned_ms: BTreeMap<String, u64>,
}

/// Who owned partitions from a moment on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ownership {
    /// From when, in simulated milliseconds.
    pub at_ms: u64,
    /// Members that owned partitions.
    pub busy: u32,
    /// Members that owned none.
    pub idle: u32,
    /// Partitions with exactly one owner.
    pub partitions: u32,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When, in simulated milliseconds.
    pub at_ms: u64,
    /// What sort: `fault`, `control`, `group`, `client`, `note`.
    pub kind: String,
    /// In words.
    pub text: String,
}

/// One thing that the scenario expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expectation {
    /// What.
    pub text: String,
    /// Whether it came true.
    pub met: bool,
    /// What was measured instead, or what met it.
    pub measured: String,
}
