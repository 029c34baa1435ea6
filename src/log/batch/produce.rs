//! The checks on a batch that a producer sends (`ProduceRequest.validateRecords`,
//! `UnifiedLog.analyzeAndValidateRecords`, `LogValidator`), in Kafka's order.

use bytes::Bytes;

use super::error::BatchError;
use super::iter::batches_strict;
use super::view::{BatchView, Compression};
use crate::base::Offset;
use crate::log::LogConfig;

/// The single batch that `records` must hold, ready to be stamped with its offset.
///
/// `max_size` is `message.max.bytes`. Sequence numbers are not judged here but by the producer states.
///
/// # Errors
/// Whatever Kafka refuses; see [`BatchError::code`].
pub fn validate_produce(records: &Bytes, max_size: usize) -> Result<BatchView, BatchError> {
    let mut found = batches_strict(records);
    let batch = found.next().ok_or(BatchError::Invalid("a produce request holds no batch"))??;
    if batch.size() != records.len() {
        found.next().transpose()?;
        return Err(BatchError::Invalid("a produce request holds more than one batch"));
    }
    if batch.base_offset() != Offset::ZERO {
        return Err(BatchError::Invalid("a producer's batch does not start at offset 0"));
    }
    if batch.size() > max_size {
        return Err(BatchError::TooLarge { size: batch.size(), max: max_size });
    }
    batch.verify_crc()?;
    validate_header(&batch)?;
    match batch.compression() {
        None => return Err(BatchError::Invalid("the compression type is unknown")),
        Some(Compression::None) => validate_records(&batch)?,
        Some(_) => {}
    }
    Ok(batch)
}

/// What a log adds to the checks of [`validate_produce`]: a segment must be able to hold the batch, and a log that is
/// compacted takes no record without a key.
///
/// # Errors
/// RECORD_LIST_TOO_LARGE, INVALID_RECORD.
pub fn validate_for_log(batch: &BatchView, config: &LogConfig) -> Result<(), BatchError> {
    let max = config.segment_bytes as usize;
    if batch.size() > max {
        return Err(BatchError::TooLargeForSegment { size: batch.size(), max });
    }
    if config.compact && batch.compression() == Some(Compression::None) {
        for record in batch.records()? {
            if record?.key.is_none() {
                return Err(BatchError::Invalid("a compacted topic takes no record without a key"));
            }
        }
    }
    Ok(())
}

fn validate_header(batch: &BatchView) -> Result<(), BatchError> {
    let count = batch.record_count();
    if count <= 0 {
        return Err(BatchError::Invalid("a batch holds no record"));
    }
    if batch.last_offset_delta() != count - 1 {
        return Err(BatchError::Invalid("the record count does not match the last offset"));
    }
    if batch.has_producer_id() && batch.base_sequence() < 0 {
        return Err(BatchError::Invalid("an idempotent batch has no sequence number"));
    }
    if batch.is_control() {
        return Err(BatchError::Invalid("clients may not write control records"));
    }
    Ok(())
}

fn validate_records(batch: &BatchView) -> Result<(), BatchError> {
    let mut expected = batch.base_offset();
    for record in batch.records()? {
        if record?.offset != expected {
            return Err(BatchError::Invalid("the offsets inside a batch are not contiguous"));
        }
        expected = expected.next();
    }
    Ok(())
}
