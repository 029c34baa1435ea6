//! What the rest of the node subscribes to: committed batches in order, and leadership in its place among them.

use std::collections::VecDeque;
use std::sync::Arc;

use super::driver::Quorum;
use crate::base::{LeaderEpoch, Offset};
use crate::log::batch::{BatchView, batches};
use crate::wire::records::MetadataRecord;

/// Bytes that one read of the log asks for.
const READ_BYTES: usize = 1 << 20;

/// One committed batch.
#[derive(Clone, Debug)]
pub struct CommittedBatch {
    /// Its first offset.
    pub base: Offset,
    /// The offset after its last.
    pub next: Offset,
    /// The quorum epoch in which it was written.
    pub epoch: LeaderEpoch,
    /// When its leader wrote it, in milliseconds since 1970.
    pub append_time_ms: i64,
    /// The records; none in a control batch.
    pub records: Vec<(Offset, MetadataRecord)>,
}

/// What a subscriber is told, in this order.
#[derive(Clone, Debug)]
pub enum QuorumEvent {
    /// The next committed batch.
    Batch(CommittedBatch),
    /// This node leads `epoch`, and everything that was committed before its term has been told.
    Leading {
        /// The quorum epoch.
        epoch: LeaderEpoch,
        /// Where its records start.
        epoch_start: Offset,
    },
    /// This node no longer leads.
    NotLeading,
}

/// A subscription, from the start of the log.
pub struct CommittedReader {
    quorum: Arc<Quorum>,
    next: Offset,
    ready: VecDeque<CommittedBatch>,
    told: Option<LeaderEpoch>,
}

impl CommittedReader {
    pub(super) fn new(quorum: Arc<Quorum>) -> Self {
        Self { quorum, next: Offset::ZERO, ready: VecDeque::new(), told: None }
    }

    /// Waits for what comes next.
    pub async fn next(&mut self) -> QuorumEvent {
        loop {
            let quorum = self.quorum.clone();
            let advanced = quorum.advanced.notified();
            if let Some(batch) = self.ready.pop_front() {
                self.next = batch.next;
                return QuorumEvent::Batch(batch);
            }
            let (high_watermark, leading) = quorum.progress();
            let still = leading.map(|(epoch, _)| epoch);
            if self.told.is_some() && self.told != still {
                self.told = None;
                return QuorumEvent::NotLeading;
            }
            if self.next < high_watermark {
                self.read(high_watermark).await;
                continue;
            }
            if let Some((epoch, epoch_start)) = leading
                && self.told.is_none()
                && self.next > epoch_start
            {
                self.told = Some(epoch);
                return QuorumEvent::Leading { epoch, epoch_start };
            }
            advanced.await;
        }
    }

    async fn read(&mut self, high_watermark: Offset) {
        match self.quorum.log.read(self.next, READ_BYTES, high_watermark, true).await {
            Ok(bytes) => {
                for batch in batches(&bytes) {
                    match batch.map_err(|e| e.to_string()).and_then(|b| decode(&b)) {
                        Ok(batch) => self.ready.push_back(batch),
                        Err(error) => return self.quorum.fail(format!("committed metadata is corrupt: {error}")),
                    }
                }
            }
            Err(error) => self.quorum.fail(format!("the metadata log could not be read: {error}")),
        }
    }
}

fn decode(batch: &BatchView) -> Result<CommittedBatch, String> {
    let mut out = CommittedBatch {
        base: batch.base_offset(),
        next: batch.next_offset(),
        epoch: batch.leader_epoch(),
        append_time_ms: batch.max_timestamp(),
        records: Vec::new(),
    };
    if batch.is_control() {
        return Ok(out);
    }
    for record in batch.records().map_err(|e| e.to_string())? {
        let record = record.map_err(|e| e.to_string())?;
        let offset = record.offset;
        let value = record.value.ok_or_else(|| format!("the record at {offset} has no value"))?;
        let decoded = MetadataRecord::decode(value).map_err(|e| format!("the record at {offset}: {e}"))?;
        out.records.push((offset, decoded));
    }
    Ok(out)
}
