//! META-PREFIX: what every node has applied is a prefix of the committed metadata log, and at one offset every node
//! applies the same change. Snapshots included: wherever two nodes state a checksum of all metadata below one offset, one
//! having replayed it and the other having loaded it, it is the same (KAFKA-14618).
//!
//! No stricter: nodes lag behind each other as long as they like.

use std::collections::BTreeMap;

use super::quorum::Quorum;
use super::verdict::Findings;
use crate::base::{BrokerId, Offset, TopicPartition};
use crate::broker::probe::{Event, PartitionFacts};

#[derive(Default)]
pub(super) struct MetadataPrefix {
    applied: BTreeMap<BrokerId, Offset>,
    changes: BTreeMap<(Offset, TopicPartition), PartitionFacts>,
    digests: BTreeMap<Offset, (BrokerId, u32)>,
}

impl MetadataPrefix {
    pub(super) fn observe(&mut self, node: BrokerId, event: &Event, quorum: &Quorum, out: &mut Findings) {
        match event {
            Event::Started => {
                self.applied.remove(&node);
            }
            Event::PartitionChanged { tp, facts, offset } => {
                let first = self.changes.entry((*offset, tp.clone())).or_insert_with(|| facts.clone());
                if first != facts {
                    out.report(
                        "META-PREFIX",
                        None,
                        format!(
                            "{tp}: at metadata offset {offset} node {node} applied {facts:?}, another one {first:?}"
                        ),
                    );
                }
            }
            Event::MetadataDigest { next, digest } => {
                let (first, known) = *self.digests.entry(*next).or_insert((node, *digest));
                if known != *digest {
                    out.report(
                        "META-PREFIX",
                        None,
                        format!("below {next} node {node} holds other metadata ({digest:08x}) than node {first} ({known:08x})"),
                    );
                }
            }
            Event::MetadataApplied { next } => {
                if *next > quorum.committed_end() {
                    out.report(
                        "META-PREFIX",
                        None,
                        format!(
                            "node {node} applied metadata below {next}, but only {} is committed",
                            quorum.committed_end()
                        ),
                    );
                }
                let before = self.applied.insert(node, *next).unwrap_or(Offset::ZERO);
                if *next < before {
                    out.report("META-PREFIX", None, format!("node {node} went back from {before} to {next}"));
                }
            }
            _ => {}
        }
    }
}
