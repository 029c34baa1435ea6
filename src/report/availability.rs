//! Availability as clients saw it: when a partition took writes, when it did not, and what each outage was spent on.

use crate::base::TopicPartition;

/// One write to a partition, in simulated milliseconds from the start of the chaos phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteSample {
    /// When the client handed it to its producer.
    pub sent_ms: u64,
    /// How it ended.
    pub end: WriteEnd,
}

/// How a write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteEnd {
    /// Acknowledged at this moment.
    Acked(u64),
    /// Refused, or given up, at this moment.
    Failed(u64),
    /// Still under way when the trial ended.
    Open,
}

/// What happened to the cluster at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Milestone {
    /// In simulated milliseconds from the start of the chaos phase.
    pub at_ms: u64,
    /// What.
    pub what: MilestoneKind,
}

/// The milestones that divide an outage into phases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MilestoneKind {
    /// A fault struck; in words, like `broker 2 loses power`.
    Fault(String),
    /// Committed metadata fenced a broker, or another node became the active controller: the cluster has noticed.
    Noticed,
    /// Committed metadata gave this partition a leader and an ISR that can commit: leader and ISR changed.
    Settled(TopicPartition),
}
