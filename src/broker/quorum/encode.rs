//! Batches of the metadata log: built from records, and taken apart again.

use bytes::Bytes;
use kafka_protocol::messages::{self, LeaderChangeMessage};

use super::snapshots::Content as Snapshot;
use crate::base::{BrokerId, LeaderEpoch, Offset};
use crate::log::batch::{BatchBuilder, BatchError, BatchView, Stamp, batches_strict};
use crate::raft::{Batch, Content, SnapshotId};
use crate::wire::records::control::{ControlRecord, SnapshotFooterRecord, SnapshotHeaderRecord, Voter};
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

/// The batches of a snapshot: a header, the records in batches of `max_bytes` at most, a footer. Offsets count from 0
/// (`RecordsSnapshotWriter`).
pub(super) fn snapshot(id: SnapshotId, content: &Snapshot, wall_ms: i64, max_bytes: usize) -> Vec<Bytes> {
    let mut next = Offset::ZERO;
    let mut batches = Vec::new();
    let mut finish = |builder: BatchBuilder, control: bool| {
        let stamp = Stamp { base_offset: next, leader_epoch: id.epoch, control, ..Stamp::default() };
        next = next + i64::from(builder.count());
        batches.push(builder.build(stamp));
    };
    let control = |record: ControlRecord| {
        let (key, value) = record.encode().expect("a message of ours encodes");
        let mut builder = BatchBuilder::new();
        builder.append(wall_ms, Some(&key), Some(&value), &[]);
        builder
    };
    let header = SnapshotHeaderRecord::default().with_last_contained_log_timestamp(content.append_time_ms);
    finish(control(ControlRecord::SnapshotHeader(header)), true);
    let mut builder = BatchBuilder::new();
    for record in &content.records {
        let bytes = record.encode();
        if !builder.is_empty() && builder.size_with(wall_ms, None, Some(&bytes), &[]) > max_bytes {
            finish(std::mem::take(&mut builder), false);
        }
        builder.append(wall_ms, None, Some(&bytes), &[]);
    }
    if !builder.is_empty() {
        finish(builder, false);
    }
    finish(control(ControlRecord::SnapshotFooter(SnapshotFooterRecord::default())), true);
    batches
}

/// What a snapshot holds; an error says why it is none, or not whole.
pub(super) fn read_snapshot(bytes: &Bytes) -> Result<Snapshot, String> {
    let mut content = None;
    let mut ended = false;
    for batch in batches_strict(bytes) {
        let batch = batch.map_err(|e| e.to_string())?;
        batch.verify_crc().map_err(|e| e.to_string())?;
        if ended {
            return Err("something follows the footer".to_owned());
        }
        if batch.is_control() {
            for record in batch.records().map_err(|e| e.to_string())? {
                let record = record.map_err(|e| e.to_string())?;
                let value = Bytes::copy_from_slice(record.value.unwrap_or_default());
                match ControlRecord::decode(record.key.unwrap_or_default(), value).map_err(|e| e.to_string())? {
                    ControlRecord::SnapshotHeader(header) if content.is_none() => {
                        let append_time_ms = header.last_contained_log_timestamp;
                        content = Some(Snapshot { append_time_ms, records: Vec::new() });
                    }
                    ControlRecord::SnapshotFooter(_) if content.is_some() => ended = true,
                    // Voters and their version (KIP-853): a quorum of static voters passes over them.
                    ControlRecord::Unknown(_) if content.is_some() => {}
                    other => return Err(format!("{other:?} stands in the wrong place")),
                }
            }
        } else {
            let content = content.as_mut().ok_or("there is no header")?;
            let records = metadata_records(&batch).map_err(|e| e.to_string())?;
            content.records.extend(records.into_iter().map(|(_, record)| record));
        }
    }
    content.filter(|_| ended).ok_or_else(|| "there is no footer".to_owned())
}
