//! The oracles. Each property has a file of its own, with its source and the reason why it is no stricter.
//!
//! They judge only from the history of the clients and from probes; broker logic must never enter this room, or the
//! broker would be judged by itself. [`Court`] hands every event to the shared [`ground`] truth first and then to
//! each property.

pub mod delivery;
pub mod ground;
pub mod groups;
pub mod verdict;

mod acked_durable;
mod at_least_once;
mod at_most_once;
mod candidate_completeness;
mod consistent_read;
mod controller_state;
mod dense;
mod exactly_once;
mod high_watermark;
mod leader_completeness;
mod log_matching;
mod metadata_prefix;
mod no_phantom;
mod offs;
mod order;
mod own;
mod poll;
mod promises;
mod quorum;
mod raft_commit;
mod raft_leader;
mod raft_stability;
mod rewritten;
mod strong_isr;

#[cfg(test)]
mod group_tests;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::base::{BrokerId, Offset, TopicPartition};
use crate::broker::probe::Event;
use crate::world::history::Op;
pub use delivery::{Application, Delivery};
use ground::{Ground, Restart};
use groups::Groups;
pub use promises::{Promises, TopicPromises};
pub use raft_stability::QuorumTimeouts;
pub use verdict::{Findings, PermittedLoss, Reason, Violation};

/// All oracles over one run.
pub struct Court {
    ground: Ground,
    groups: Groups,
    quorum: quorum::Quorum,
    findings: Findings,
    raft_leader: raft_leader::RaftLeader,
    raft_stability: raft_stability::RaftStability,
    raft_commit: raft_commit::RaftCommit,
    metadata: metadata_prefix::MetadataPrefix,
    controller: controller_state::ControllerState,
    high_watermark: high_watermark::HighWatermark,
    acked: acked_durable::AckedDurable,
    consistent: consistent_read::ConsistentRead,
    dense: dense::Dense,
    order: order::Order,
    poll: poll::Poll,
    own: own::Own,
    offsets: offs::Offs,
    phantom: no_phantom::NoPhantom,
    writers: Writers,
}

/// What the settings of a writer's producer make of retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriterTraits {
    /// A retry is never appended twice (`enable.idempotence`).
    pub idempotent: bool,
    /// A retry is never overtaken: idempotent, or but one request in flight.
    pub ordered: bool,
}

/// The writers by their numbers; whoever is not listed is held to everything.
type Writers = BTreeMap<u32, WriterTraits>;

impl Court {
    /// A court that has seen nothing yet.
    #[must_use]
    pub fn new(promises: Promises) -> Self {
        Self {
            groups: Groups::default(),
            quorum: quorum::Quorum::new(&promises.voters),
            findings: Findings::default(),
            raft_leader: raft_leader::RaftLeader::default(),
            raft_stability: raft_stability::RaftStability::new(&promises),
            raft_commit: raft_commit::RaftCommit,
            metadata: metadata_prefix::MetadataPrefix::default(),
            controller: controller_state::ControllerState::new(promises.elr),
            high_watermark: high_watermark::HighWatermark,
            acked: acked_durable::AckedDurable::default(),
            consistent: consistent_read::ConsistentRead::default(),
            dense: dense::Dense,
            order: order::Order,
            poll: poll::Poll::default(),
            own: own::Own::default(),
            offsets: offs::Offs::default(),
            phantom: no_phantom::NoPhantom::new(promises.untold_writers),
            writers: Writers::new(),
            ground: Ground::new(promises),
        }
    }
    /// A node stated a fact.
    pub fn observe(&mut self, at_ns: u64, node: BrokerId, event: &Event) {
        self.findings.at_ns = at_ns;
        self.raft_leader.observe(node, event, &mut self.findings);
        self.raft_stability.observe(node, event, &mut self.findings);
        self.high_watermark.observe(node, event, &self.ground, &mut self.findings);
        self.metadata.observe(node, event, &self.quorum, &mut self.findings);
        let grown = self.quorum.observe(node, event, &mut self.findings);
        self.raft_commit.observe(node, event, grown, &self.quorum, &mut self.findings);
        candidate_completeness::check_removal(node, event, &self.ground, &mut self.findings);
        let touched = self.ground.observe(node, event);
        self.controller.observe(node, event, &mut self.findings);
        self.groups.observe(event);
        self.offsets.observe(event);
        if let Some(tp) = touched {
            let Some(partition) = self.ground.partition(&tp) else { return };
            leader_completeness::check(&tp, node, event, partition, &mut self.findings);
            log_matching::check(&tp, node, event, partition, &mut self.findings);
            let rules = self.ground.promises().rules(&tp.topic);
            candidate_completeness::check(&tp, event, partition, &rules, &mut self.findings);
        }
    }
    /// A client did or was told something.
    pub fn client(&mut self, at_ns: u64, op: &Op) {
        self.findings.at_ns = at_ns;
        self.phantom.client(op, &mut self.findings);
        self.acked.client(op, &self.ground, &mut self.findings);
        self.consistent.client(op, &self.ground, &mut self.findings);
        self.poll.client(op, &self.ground, &mut self.findings);
        self.groups.client(op);
        self.own.client(op, &self.groups, &mut self.findings);
        self.offsets.client(op, &self.groups, &self.ground, &mut self.findings);
    }
    /// A node's process ended; with `storage_fault`, its unsynced data may be gone too (a power cut).
    pub fn node_down(&mut self, node: BrokerId, storage_fault: bool) {
        self.ground.node_down(node, storage_fault);
        self.quorum.node_down(node);
        self.raft_stability.node_down(node);
    }
    /// A node's process stands still, or goes on.
    pub fn node_stands(&mut self, at_ns: u64, node: BrokerId, standing: bool) {
        self.raft_stability.node_stands(at_ns, node, standing);
    }
    /// The disk of a node has lost or spoiled what was on it, whether the node knows or not.
    pub fn disk_harmed(&mut self, node: BrokerId) {
        self.ground.disk_harmed(node);
    }
    /// Nothing is in flight that matters, or a fixed time has passed: the expensive checks.
    pub fn quiet_point(&mut self, at_ns: u64) {
        self.findings.at_ns = at_ns;
        strong_isr::check(&self.ground, &mut self.findings);
        log_matching::check_all(&self.ground, &mut self.findings);
        self.raft_stability.quiet_point(&mut self.findings);
    }
    /// The auditor read the whole of a partition after healing, from its log start to its end.
    pub fn audit(&mut self, at_ns: u64, audit: &verdict::Audit) {
        self.findings.at_ns = at_ns;
        self.findings.log_starts.insert(audit.tp.clone(), audit.start);
        self.acked.audit(audit, &self.ground, &mut self.findings);
        self.consistent.audit(audit, &self.ground, &mut self.findings);
        let again = rewritten::rewritten(audit);
        self.dense.audit(audit, &self.ground, &self.writers, &again, &mut self.findings);
        self.order.audit(audit, &self.writers, &again, &mut self.findings);
        self.phantom.audit(audit, &mut self.findings);
        let applications = &self.ground.promises().applications;
        let restarts = self.ground.partition(&audit.tp).into_iter().flat_map(|p| &p.restarts);
        // Each replica is cleaned, and its old segments go, at its own time: what the auditor finds was perhaps gone where a member
        // read (`LogCleaner`, `UnifiedLog.deleteOldSegments`).
        let gone = self.ground.partition(&audit.tp).map_or(Offset::ZERO, |p| p.compacted.max(p.log_start));
        let sure = gone..restarts.map(|restart| restart.kept).min().unwrap_or(audit.end);
        at_least_once::audit(audit, &sure, &self.groups, applications, &mut self.findings);
        at_most_once::audit(audit, &self.ground, &self.groups, applications, &mut self.findings);
        exactly_once::audit(audit, &sure, &self.groups, applications, &mut self.findings);
        self.findings.account(audit, &sure, &self.groups, applications);
    }
    /// A writer begins, with these settings.
    pub fn writer_begins(&mut self, writer: u32, traits: WriterTraits) {
        self.writers.insert(writer, traits);
    }
    /// Somebody asks for another value of a topic's setting, or of all brokers' (`None`), or deletes the entry (no value); `done` once it
    /// is known to hold.
    pub fn configured(&mut self, topic: Option<&str>, key: &str, value: Option<&str>, done: bool) {
        self.ground.promises_mut().configured(topic, key, value, done);
    }
    /// Elections since this was asked last that gave up what was committed, as Kafka's rules allow.
    pub fn take_restarts(&mut self) -> Vec<(TopicPartition, Restart)> {
        self.ground.take_restarts()
    }
    /// What was found so far.
    #[must_use]
    pub fn findings(&self) -> &Findings {
        &self.findings
    }
    /// The ground truth that probes have shown so far.
    #[must_use]
    pub fn ground(&self) -> &Ground {
        &self.ground
    }
    /// What members of consumer groups have told so far.
    #[must_use]
    pub fn groups(&self) -> &Groups {
        &self.groups
    }
    /// Ends the trial.
    #[must_use]
    pub fn into_findings(self) -> Findings {
        self.findings
    }
}
