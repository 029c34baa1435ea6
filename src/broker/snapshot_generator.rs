//! When a snapshot of the metadata is due (Kafka's `SnapshotGenerator`): after so many bytes of records, or so much time
//! since the last one; looked at whenever a batch was applied.

use std::sync::Arc;

use super::probe::{Event, Probe};
use super::quorum::{CommittedBatch, Quorum};
use crate::base::bugs::{Bug, planted};
use crate::controller::image::Image;
use crate::io::clock;
use crate::raft::SnapshotId;

/// Has snapshots written of one node's image.
pub struct SnapshotGenerator {
    quorum: Arc<Quorum>,
    /// `metadata.log.max.record.bytes.between.snapshots`.
    max_bytes: u64,
    /// `metadata.log.max.snapshot.interval.ms`; 0 for none.
    max_interval_ms: u64,
    bytes: u64,
    last_ms: u64,
}

impl SnapshotGenerator {
    /// A generator whose counters start now.
    #[must_use]
    pub fn new(quorum: Arc<Quorum>, max_bytes: u64, max_interval_ms: u64) -> Self {
        Self { quorum, max_bytes, max_interval_ms, bytes: 0, last_ms: clock::now().mono_ms() }
    }
    /// `image` now holds `batch` as well.
    pub(super) fn applied(&mut self, image: &Image, batch: &CommittedBatch, probe: &Probe) {
        self.bytes += batch.bytes as u64;
        let waited = clock::now().mono_ms() - self.last_ms;
        if self.bytes < self.max_bytes && (self.max_interval_ms == 0 || waited < self.max_interval_ms) {
            return;
        }
        self.loaded();
        let offset = if planted(Bug::SnapshotIdInclusive) { batch.next - 1 } else { batch.next };
        let id = SnapshotId { offset, epoch: batch.epoch };
        probe.tell(Event::MetadataDigest { next: batch.next, digest: image.digest() });
        self.quorum.write_snapshot(id, batch.append_time_ms, image.records());
    }
    /// A snapshot was loaded, or is being written: everything counts from here.
    pub(super) fn loaded(&mut self) {
        (self.bytes, self.last_ms) = (0, clock::now().mono_ms());
    }
}
