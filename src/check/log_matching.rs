//! LM: two replicas agree (epoch, batch digest) at every offset below both high watermarks (Raft's log matching,
//! restricted to what is known to be committed; KIP-101, KIP-279).
//!
//! No stricter: above its own high watermark a replica may hold what was never committed until it truncates; what an
//! election has given up (`ground::restart`) a replica may hold, and take for committed, until it has truncated to it.
//! Compacted parts differ, because each replica cleans at its own time (`LogCleaner`). Nor is what lies below the log
//! start of any replica compared with the committed log: a follower whose epochs are all older than those that its leader
//! retains is cut at the leader's log start (`LeaderEpochFileCache.endOffsetFor`), and drops what lies below only after it
//! has taken over the high watermark.

use super::ground::{Ground, Partition, Replica};
use super::verdict::Findings;
use crate::base::{BrokerId, Offset, TopicPartition};
use crate::broker::probe::Event;

/// The first offset of `from..bound` where two logs hold different batches.
fn first_difference(a: &Replica, b: &Replica, from: Offset, bound: Offset) -> Option<Offset> {
    let start = a.start.max(b.start).max(from);
    let from = |r: &Replica| r.batches.partition_point(|x| x.next <= start);
    let below = |x: &&crate::broker::probe::BatchMark| x.next <= bound;
    let left = a.batches[from(a)..].iter().take_while(below);
    let right = b.batches[from(b)..].iter().take_while(below);
    left.zip(right).find(|(x, y)| x != y).map(|(x, y)| x.base.min(y.base))
}

pub(super) fn check(tp: &TopicPartition, node: BrokerId, event: &Event, p: &Partition, out: &mut Findings) {
    if !matches!(event, Event::HighWatermark { .. }) {
        return;
    }
    let Some(replica) = p.replicas.get(&node) else { return };
    let bound = replica.trusted_high_watermark().min(p.true_hw);
    if replica.agreed.max(p.log_start) < bound && replica.end() > replica.agreed && !replica.excused {
        out.report(
            "LM",
            Some("inconsistent-offsets"),
            format!(
                "{tp}: broker {node} takes everything below {bound} for committed but differs from the committed log at {}",
                replica.agreed
            ),
        );
    }
}

/// Compares every pair of running replicas.
pub(super) fn check_all(ground: &Ground, out: &mut Findings) {
    for (tp, p) in ground.partitions() {
        let running: Vec<_> = p.replicas.iter().filter(|(_, r)| r.up).collect();
        for (i, (a_id, a)) in running.iter().enumerate() {
            for (b_id, b) in &running[i + 1..] {
                let bound = a.trusted_high_watermark().min(b.trusted_high_watermark());
                if a.agreed.min(b.agreed) >= bound {
                    continue; // both agree with the committed log, hence with each other
                }
                if let Some(at) = first_difference(a, b, p.compacted, bound) {
                    out.report(
                        "LM",
                        Some("inconsistent-offsets"),
                        format!("{tp}: brokers {a_id} and {b_id} differ at {at}, below both high watermarks ({bound})"),
                    );
                }
            }
        }
    }
}
