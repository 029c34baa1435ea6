//! HW: log start <= high watermark <= log end, and it never falls during one leadership of one incarnation. A log
//! start moves up only, and never past the high watermark (KAFKA-5634).
//!
//! No stricter: a follower restarts from a checkpoint and may learn a lower value from a new leader.

use super::ground::Ground;
use super::verdict::Findings;
use crate::base::{BrokerId, Offset, TopicPartition};
use crate::broker::probe::Event;

pub(super) struct HighWatermark;

impl HighWatermark {
    /// Must see the event before the ground takes it in, so that the ground still holds the old value.
    pub(super) fn observe(&self, node: BrokerId, event: &Event, ground: &Ground, out: &mut Findings) {
        match event {
            Event::LogStart { tp, start } => log_start(node, tp, *start, ground, out),
            Event::LogTruncated { tp, start, .. } => begun_anew(node, tp, *start, ground, out),
            _ => {}
        }
        let Event::HighWatermark { tp, epoch, leading, high_watermark, log_end } = event else { return };
        let Some(replica) = ground.partition(tp).and_then(|p| p.replicas.get(&node)) else { return };
        if *high_watermark > *log_end || *high_watermark < replica.start {
            out.report(
                "HW",
                None,
                format!(
                    "{tp}: broker {node} has high watermark {high_watermark} outside its log {}..{log_end}",
                    replica.start
                ),
            );
        }
        if *leading && replica.leading == Some(*epoch) && *high_watermark < replica.high_watermark {
            out.report(
                "HW",
                None,
                format!(
                    "{tp}: the high watermark of broker {node}, leading in epoch {epoch}, fell from {} to {high_watermark}",
                    replica.high_watermark
                ),
            );
        }
    }
}

/// A log that begins anew further up takes its high watermark along (KAFKA-9491).
fn begun_anew(node: BrokerId, tp: &TopicPartition, start: Offset, ground: &Ground, out: &mut Findings) {
    let Some(replica) = ground.partition(tp).and_then(|p| p.replicas.get(&node)) else { return };
    if start > replica.high_watermark {
        let at = replica.high_watermark;
        out.report(
            "HW",
            None,
            format!("{tp}: broker {node} began its log anew at {start} and left its high watermark at {at}"),
        );
    }
}

fn log_start(node: BrokerId, tp: &TopicPartition, start: Offset, ground: &Ground, out: &mut Findings) {
    let Some(replica) = ground.partition(tp).and_then(|p| p.replicas.get(&node)) else { return };
    if start > replica.high_watermark || start < replica.start {
        out.report(
            "HW",
            None,
            format!(
                "{tp}: broker {node} moved its log start from {} to {start} while its high watermark was {}",
                replica.start, replica.high_watermark
            ),
        );
    }
}
