//! RAFT-COMMIT: one record per committed metadata offset, ever, on every voter; the high watermark never falls and is
//! on a majority of voters' disks, in their logs or in their snapshots (KIP-595, KIP-630; KAFKA-10533).
//!
//! No stricter: durability is judged when something becomes committed and when a voter's log is loaded, cut or thrown away,
//! because only then can it change for the worse; a single voter may lose what a majority still holds.

use super::quorum::Quorum;
use super::verdict::Findings;
use crate::base::{BrokerId, Offset};
use crate::broker::probe::Event;

pub(super) struct RaftCommit;

impl RaftCommit {
    /// Must see the event after the quorum's ground truth has taken it in.
    pub(super) fn observe(
        &self,
        node: BrokerId,
        event: &Event,
        grown: Option<Offset>,
        quorum: &Quorum,
        out: &mut Findings,
    ) {
        let lessening = matches!(
            event,
            Event::RaftLoaded { .. }
                | Event::RaftTruncated { .. }
                | Event::RaftStartedAnew { .. }
                | Event::SnapshotDeleted { .. }
        );
        let lessened = lessening && quorum.is_voter(node);
        let end = match grown {
            Some(end) => end,
            None if lessened => quorum.committed_end(),
            None => return,
        };
        if end == Offset::ZERO {
            return;
        }
        let durable = quorum.durable_on(end);
        if durable.len() < quorum.majority() {
            let on: Vec<_> = durable.iter().map(|n| n.0).collect();
            out.report(
                "RAFT-COMMIT",
                None,
                format!("metadata below {end} is committed but durable on {on:?} only (seen at node {node})"),
            );
        }
        if let Event::RaftTruncated { to } = event
            && let Some(log) = quorum.logs.get(&node)
            && *to < log.high_watermark
        {
            out.report(
                "RAFT-COMMIT",
                None,
                format!("node {node} cut its metadata log at {to}, below its high watermark {}", log.high_watermark),
            );
        }
    }
}
