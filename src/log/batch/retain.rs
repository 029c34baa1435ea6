//! A batch without some of its records, as the cleaner writes it (`MemoryRecords.filterTo`).
//!
//! What identifies the batch stays: base and last offset, producer, sequence and epoch. So offsets never move, and a batch that
//! has lost all records still says which offsets and sequences were used.

use bytes::{BufMut, Bytes, BytesMut};

use super::error::BatchError;
use super::record::Record;
use super::view::{BatchView, TimestampType};
use super::{HEADER_LEN, LOG_OVERHEAD, NO_TIMESTAMP, at, attribute, varint};

/// What is left of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retained {
    /// Every record: the bytes stay as they are.
    All,
    /// Some of them.
    Some(Bytes),
    /// None; see [`emptied`].
    None,
}

/// One record's bytes behind its length.
struct Body<'a> {
    attributes: u8,
    timestamp_delta: i64,
    rest: &'a [u8],
}

impl<'a> Body<'a> {
    /// Takes the next record off `records`, which [`super::Records`] has read before.
    fn take(records: &mut &'a [u8]) -> Option<Self> {
        let len = usize::try_from(varint::take_i32(records)?).ok()?;
        let (body, after) = records.split_at_checked(len)?;
        *records = after;
        let (&attributes, mut rest) = body.split_first()?;
        let timestamp_delta = varint::take_i64(&mut rest)?;
        Some(Self { attributes, timestamp_delta, rest })
    }
    fn put(&self, out: &mut BytesMut, shift: i64) {
        let delta = self.timestamp_delta.saturating_add(shift);
        varint::put(out, (1 + varint::size(delta) + self.rest.len()) as i64);
        out.put_u8(self.attributes);
        varint::put(out, delta);
        out.put_slice(self.rest);
    }
}

/// The batch with the records that `keep` keeps. A new `horizon` (milliseconds since 1970) says when its tombstones may go;
/// it takes the place of the base timestamp (KIP-534).
///
/// # Errors
/// The records cannot be read: compressed, or malformed.
pub fn retain(
    batch: &BatchView<&[u8]>,
    horizon: Option<i64>,
    mut keep: impl FnMut(&Record<'_>) -> bool,
) -> Result<Retained, BatchError> {
    const BROKEN: BatchError = BatchError::Invalid("a record cannot be copied");
    let (mut kept, mut max_timestamp) = (0_i32, NO_TIMESTAMP);
    let shift = horizon.map_or(0, |h| batch.base_timestamp().saturating_sub(h));
    let mut out = BytesMut::with_capacity(batch.size() + 16);
    out.put_slice(&batch.bytes()[..HEADER_LEN]);
    let mut raw = &batch.bytes()[HEADER_LEN..];
    for record in batch.records()? {
        let record = record?;
        let body = Body::take(&mut raw).ok_or(BROKEN)?;
        if keep(&record) {
            kept += 1;
            max_timestamp = max_timestamp.max(record.timestamp);
            body.put(&mut out, shift);
        }
    }
    if kept == 0 {
        return Ok(Retained::None);
    }
    if kept == batch.record_count() && horizon.is_none() {
        return Ok(Retained::All);
    }
    if let Some(horizon) = horizon {
        let attributes = batch.attributes() | attribute::DELETE_HORIZON;
        out[at::ATTRIBUTES..][..2].copy_from_slice(&attributes.to_be_bytes());
        out[at::BASE_TIMESTAMP..][..8].copy_from_slice(&horizon.to_be_bytes());
    }
    if batch.timestamp_type() == TimestampType::CreateTime {
        out[at::MAX_TIMESTAMP..][..8].copy_from_slice(&max_timestamp.to_be_bytes());
    }
    Ok(Retained::Some(finished(out, kept)))
}

/// The batch without any record (`DefaultRecordBatch.writeEmptyHeader`).
#[must_use]
pub fn emptied(batch: &BatchView<&[u8]>) -> Bytes {
    let mut out = BytesMut::from(&batch.bytes()[..HEADER_LEN]);
    let attributes = batch.attributes() & !(attribute::DELETE_HORIZON | attribute::COMPRESSION);
    out[at::ATTRIBUTES..][..2].copy_from_slice(&attributes.to_be_bytes());
    out[at::BASE_TIMESTAMP..][..8].copy_from_slice(&NO_TIMESTAMP.to_be_bytes());
    finished(out, 0)
}

/// Sets length, count and checksum.
fn finished(mut out: BytesMut, count: i32) -> Bytes {
    let length = (out.len() - LOG_OVERHEAD) as i32;
    out[at::LENGTH..][..4].copy_from_slice(&length.to_be_bytes());
    out[at::RECORD_COUNT..][..4].copy_from_slice(&count.to_be_bytes());
    let crc = crc32c::crc32c(&out[at::ATTRIBUTES..]);
    out[at::CRC..][..4].copy_from_slice(&crc.to_be_bytes());
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::super::{BatchBuilder, Header, Stamp};
    use super::*;
    use crate::base::{LeaderEpoch, Offset, ProducerId};
    use proptest::prelude::*;

    type Plain = (i64, i64, Option<Vec<u8>>, Option<Vec<u8>>, usize);

    fn built(records: &[(i64, Option<Vec<u8>>)]) -> Bytes {
        let mut b = BatchBuilder::new();
        for (n, (timestamp, value)) in records.iter().enumerate() {
            let headers = [Header { key: "h", value: Some(b"v") }];
            b.append(*timestamp, Some(&[n as u8]), value.as_deref(), &headers[..n % 2]);
        }
        b.build(Stamp {
            base_offset: Offset(700),
            leader_epoch: LeaderEpoch(4),
            producer_id: ProducerId(9),
            producer_epoch: 2,
            base_sequence: 30,
            ..Stamp::default()
        })
    }
    fn plain(batch: &[u8]) -> Vec<Plain> {
        let view = BatchView::borrow(batch).unwrap();
        let own = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
        let all = view.records().unwrap().map(Result::unwrap);
        all.map(|r| (r.offset.0, r.timestamp, own(r.key), own(r.value), r.headers().count())).collect()
    }

    proptest! {
        /// What is kept reads as before, under its old offset; what identifies the batch stays.
        #[test]
        fn kept_records_read_as_before(
            records in prop::collection::vec((0_i64..1_000_000, prop::option::of(prop::collection::vec(any::<u8>(), 0..20))), 1..12),
            keep: u16, horizon in prop::option::of(0_i64..2_000_000),
        ) {
            let bytes = built(&records);
            let batch = BatchView::borrow(&bytes).unwrap();
            let kept = |offset: i64| keep & (1 << (offset - 700)) != 0;
            let expected: Vec<_> = plain(&bytes).into_iter().filter(|r| kept(r.0)).collect();
            let left = match retain(&batch, horizon, |r| kept(r.offset.0)).unwrap() {
                Retained::All => bytes.clone(),
                Retained::Some(left) => left,
                Retained::None => emptied(&batch),
            };
            let view = BatchView::borrow(&left).unwrap();
            prop_assert_eq!(view.verify_crc(), Ok(()));
            prop_assert_eq!(view.size(), left.len());
            prop_assert_eq!(plain(&left), expected.clone());
            prop_assert_eq!((view.base_offset(), view.next_offset()), (batch.base_offset(), batch.next_offset()));
            prop_assert_eq!((view.producer_id(), view.last_sequence()), (batch.producer_id(), batch.last_sequence()));
            prop_assert_eq!(view.leader_epoch(), batch.leader_epoch());
            if !expected.is_empty() {
                prop_assert_eq!(view.delete_horizon(), horizon);
                prop_assert_eq!(view.max_timestamp(), expected.iter().map(|r| r.1).max().unwrap());
            }
        }
    }

    #[test]
    fn a_batch_that_keeps_everything_is_not_copied() {
        let bytes = built(&[(5, None), (6, Some(vec![1]))]);
        let batch = BatchView::borrow(&bytes).unwrap();
        assert_eq!(retain(&batch, None, |_| true), Ok(Retained::All));
        assert_eq!(retain(&batch, None, |_| false), Ok(Retained::None));
    }
}
