//! Batches of the metadata log: built from records, and taken apart again.

use bytes::Bytes;
use kafka_protocol::messages::{self, LeaderChangeMessage};

use crate::base::{BrokerId, LeaderEpoch, Offset};
use crate::log::batch::{BatchBuilder, BatchError, BatchView, Stamp, batches_strict};
use crate::raft::{Batch, Content};
use crate::wire::records::control::{ControlRecord, Voter};
use crate::wire::records::{MetadataRecord, RecordError};

/// One batch of metadata records.
pub(super) fn metadata_batch(records: &[MetadataRecord], base: Offset, epoch: LeaderEpoch, wall_ms: i64) -> Batch {
    let mut builder = BatchBuilder::new();
    for record in records {
        builder.append(wall_ms, None, Some(&record.encode()), &[]);
    }
    let next = base + i64::from(builder.count());
    let bytes = builder.build(Stamp { base_offset: base, leader_epoch: epoch, ..Stamp::default() });
    Batch { base, next, epoch, content: Content::Encoded(bytes) }
}

/// The control batch that starts a leadership.
pub(super) fn leader_change(
    leader: BrokerId,
    voters: &[BrokerId],
    granting: &[BrokerId],
    base: Offset,
    epoch: LeaderEpoch,
    wall_ms: i64,
) -> Bytes {
    let list = |ids: &[BrokerId]| ids.iter().map(|id| Voter::default().with_voter_id(id.0)).collect();
    let message = LeaderChangeMessage::default()
        .with_leader_id(messages::BrokerId(leader.0))
        .with_voters(list(voters))
        .with_granting_voters(list(granting));
    let (key, value) = ControlRecord::LeaderChange(message).encode().expect("a message of ours encodes");
    let mut builder = BatchBuilder::new();
    builder.append(wall_ms, Some(&key), Some(&value), &[]);
    builder.build(Stamp { base_offset: base, leader_epoch: epoch, control: true, ..Stamp::default() })
}

/// The batches of a fetch response, checksums verified. The bytes are shared, not copied.
pub(super) fn split(records: &Bytes) -> Result<Vec<Batch>, BatchError> {
    let checked = batches_strict(records).map(|batch| {
        let batch = batch?;
        batch.verify_crc()?;
        let (base, next, epoch) = (batch.base_offset(), batch.next_offset(), batch.leader_epoch());
        Ok(Batch { base, next, epoch, content: Content::Encoded(batch.into_bytes()) })
    });
    checked.collect()
}

/// The metadata records of a batch with their offsets; none if it is a control batch.
pub(super) fn metadata_records(batch: &BatchView) -> Result<Vec<(Offset, MetadataRecord)>, RecordError> {
    if batch.is_control() {
        return Ok(Vec::new());
    }
    let malformed = |e: BatchError| RecordError::Malformed(e.to_string());
    let mut decoded = Vec::with_capacity(usize::try_from(batch.record_count()).unwrap_or(0).min(1024));
    for record in batch.records().map_err(malformed)? {
        let record = record.map_err(malformed)?;
        decoded.push((record.offset, MetadataRecord::decode(record.value.unwrap_or_default())?));
    }
    Ok(decoded)
}
