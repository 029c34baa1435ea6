use bytes::{Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::{
    Compression as TheirCompression, Record as TheirRecord, RecordBatchDecoder, RecordBatchEncoder,
    RecordEncodeOptions, TimestampType as TheirTimestampType,
};
use proptest::prelude::*;

use super::*;
use crate::base::{LeaderEpoch, Offset, ProducerId};

fn idempotent() -> Stamp {
    Stamp { producer_id: ProducerId(9), producer_epoch: 2, base_sequence: 40, ..Stamp::default() }
}

fn three_records() -> BatchBuilder {
    let mut b = BatchBuilder::new();
    b.append(1_000, Some(b"k1"), Some(b"hello"), &[Header { key: "trace", value: Some(b"x") }]);
    b.append(1_005, None, Some(b"world"), &[Header { key: "none", value: None }]);
    b.append(1_300, Some(b"k3"), None, &[]);
    b
}

fn theirs(offset: i64, timestamp: i64, key: Option<&'static [u8]>, value: Option<&'static [u8]>) -> TheirRecord {
    TheirRecord {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: 7,
        producer_id: 9,
        producer_epoch: 2,
        timestamp_type: TheirTimestampType::Creation,
        offset,
        sequence: 40 + (offset - 100) as i32,
        timestamp,
        key: key.map(Bytes::from_static),
        value: value.map(Bytes::from_static),
        headers: IndexMap::new(),
    }
}

/// The same three records through kafka-protocol's encoder.
fn their_records() -> Vec<TheirRecord> {
    let mut records = vec![
        theirs(100, 1_000, Some(b"k1"), Some(b"hello")),
        theirs(101, 1_005, None, Some(b"world")),
        theirs(102, 1_300, Some(b"k3"), None),
    ];
    records[0].headers.insert(StrBytes::from_static_str("trace"), Some(Bytes::from_static(b"x")));
    records[1].headers.insert(StrBytes::from_static_str("none"), None);
    records
}

#[test]
fn our_bytes_are_those_of_another_implementation() {
    let ours = three_records().build(Stamp { base_offset: Offset(100), leader_epoch: LeaderEpoch(7), ..idempotent() });
    let mut buf = BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression: TheirCompression::None };
    RecordBatchEncoder::encode(&mut buf, &their_records(), &options).unwrap();
    assert_eq!(ours, buf.freeze());
    let decoded = RecordBatchDecoder::decode(&mut ours.clone()).unwrap();
    assert_eq!(decoded.records, their_records());
}

#[test]
fn what_was_built_is_read_back() {
    let builder = three_records();
    let size = builder.size();
    let bytes = builder.build(idempotent());
    assert_eq!(bytes.len(), size);
    let batch = validate_produce(&bytes, 1 << 20).unwrap();
    assert_eq!((batch.producer_id(), batch.producer_epoch()), (ProducerId(9), 2));
    assert_eq!((batch.base_sequence(), batch.last_sequence()), (40, 42));
    assert_eq!((batch.base_timestamp(), batch.max_timestamp()), (1_000, 1_300));
    let records: Vec<_> = batch.records().unwrap().map(Result::unwrap).collect();
    assert_eq!(records.iter().map(|r| r.timestamp).collect::<Vec<_>>(), [1_000, 1_005, 1_300]);
    assert_eq!(records[0].headers().collect::<Vec<_>>(), [("trace", Some(&b"x"[..]))]);
    assert_eq!((records[2].key, records[2].value), (Some(&b"k3"[..]), None));
    assert_eq!(batch.share(records[1].value.unwrap()), Bytes::from_static(b"world"));
}

#[test]
fn the_predicted_size_is_exact() {
    let mut b = BatchBuilder::new();
    for i in 0..200_i64 {
        let value = vec![7; (i * i) as usize];
        let headers = [Header { key: "h", value: Some(&value) }];
        let predicted = b.size_with(i * 1_000, Some(b"key"), Some(&value), &headers);
        b.append(i * 1_000, Some(b"key"), Some(&value), &headers);
        assert_eq!(b.size(), predicted);
    }
}

#[test]
fn stamping_offset_and_epoch_keeps_the_checksum_right() {
    let batch = BatchView::parse(&three_records().build(idempotent())).unwrap();
    let stamped = BatchView::parse(&batch.stamped(Offset(500), LeaderEpoch(3))).unwrap();
    assert!(stamped.verify_crc().is_ok());
    assert_eq!((stamped.base_offset(), stamped.next_offset()), (Offset(500), Offset(503)));
    assert_eq!(stamped.leader_epoch(), LeaderEpoch(3));
}

#[test]
fn a_partial_batch_ends_a_fetch_and_fails_a_produce() {
    let one = three_records().build(Stamp::default());
    let two = Bytes::from([&one[..], &one[..one.len() - 1]].concat());
    assert_eq!(batches(&two).map(Result::unwrap).count(), 1);
    assert_eq!(batches_strict(&two).last(), Some(Err(BatchError::Truncated)));
    assert_eq!(validate_produce(&two, 1 << 20), Err(BatchError::Truncated));
}

#[test]
fn producers_hear_kafkas_error_codes() {
    let good = three_records().build(Stamp::default());
    let code = |bytes: &[u8], max| validate_produce(&Bytes::copy_from_slice(bytes), max).unwrap_err().code();
    assert_eq!(code(&good, 100), ResponseError::MessageTooLarge);
    assert_eq!(code(&[], 1 << 20), ResponseError::InvalidRecord);
    assert_eq!(code(&[&good[..], &good[..]].concat(), 1 << 20), ResponseError::InvalidRecord);
    let mut flipped = good.to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    assert_eq!(code(&flipped, 1 << 20), ResponseError::CorruptMessage);
    for (magic, expected) in
        [(0, ResponseError::InvalidRecord), (1, ResponseError::InvalidRecord), (3, ResponseError::CorruptMessage)]
    {
        let mut other = good.to_vec();
        other[16] = magic;
        assert_eq!(code(&other, 1 << 20), expected);
    }
    let control = three_records().build(Stamp { control: true, ..Stamp::default() });
    assert_eq!(code(&control, 1 << 20), ResponseError::InvalidRecord);
    let unsequenced = three_records().build(Stamp { producer_id: ProducerId(1), ..Stamp::default() });
    assert_eq!(code(&unsequenced, 1 << 20), ResponseError::InvalidRecord);
}

#[test]
fn a_count_that_contradicts_the_last_offset_is_refused() {
    let mut bytes = three_records().build(Stamp::default()).to_vec();
    bytes[at::RECORD_COUNT..at::RECORD_COUNT + 4].copy_from_slice(&2_i32.to_be_bytes());
    let crc = crc32c::crc32c(&bytes[at::ATTRIBUTES..]);
    bytes[at::CRC..at::CRC + 4].copy_from_slice(&crc.to_be_bytes());
    let error = validate_produce(&Bytes::from(bytes), 1 << 20).unwrap_err();
    assert_eq!(error.code(), ResponseError::InvalidRecord);
}

#[test]
fn records_of_a_compressed_batch_are_not_read() {
    let mut bytes = three_records().build(Stamp::default()).to_vec();
    bytes[at::ATTRIBUTES + 1] |= 4;
    let crc = crc32c::crc32c(&bytes[at::ATTRIBUTES..]);
    bytes[at::CRC..at::CRC + 4].copy_from_slice(&crc.to_be_bytes());
    let batch = validate_produce(&Bytes::from(bytes), 1 << 20).unwrap();
    assert_eq!(batch.compression(), Some(Compression::Zstd));
    assert_eq!(batch.records().err(), Some(BatchError::Unsupported));
}

#[test]
fn sequences_wrap_to_zero_after_the_largest() {
    assert_eq!(increment_sequence(i32::MAX, 1), 0);
    assert_eq!(increment_sequence(i32::MAX - 1, 3), 1);
    assert_eq!(increment_sequence(5, 0), 5);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever is done to the bytes: every iterator ends, stays inside the buffer and does not panic.
    #[test]
    fn mutated_bytes_never_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        cut in any::<prop::sample::Index>(),
    ) {
        let one = three_records().build(idempotent());
        let mut bytes = [&one[..], &one[..]].concat();
        for (at, byte) in &edits {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        bytes.truncate(cut.index(bytes.len() + 1));
        let bytes = Bytes::from(bytes);
        let mut seen = 0;
        for batch in batches(&bytes).map_while(Result::ok) {
            seen += batch.size();
            let _ = (batch.last_offset(), batch.next_offset(), batch.last_sequence(), batch.delete_horizon());
            if let Ok(records) = batch.records() {
                let mut read = 0;
                for record in records.map_while(Result::ok) {
                    read += 1 + record.headers().count();
                }
                prop_assert!(read * 2 <= batch.size());
            }
        }
        prop_assert!(seen <= bytes.len());
        let _ = validate_produce(&bytes, 4096);
    }

    /// A single flipped bit in what the checksum covers is always found.
    #[test]
    fn a_flipped_bit_is_found(at in 21_usize..100, bit in 0_u8..8) {
        let mut bytes = three_records().build(idempotent()).to_vec();
        prop_assume!(at < bytes.len());
        bytes[at] ^= 1 << bit;
        let error = validate_produce(&Bytes::from(bytes), 1 << 20).unwrap_err();
        prop_assert_eq!(error.code(), ResponseError::CorruptMessage);
    }

    /// What the builder writes, the view reads.
    #[test]
    fn records_survive_the_round_trip(
        records in prop::collection::vec(
            (0_i64..1 << 40, prop::option::of(prop::collection::vec(any::<u8>(), 0..40)),
             prop::option::of(prop::collection::vec(any::<u8>(), 0..300))), 1..30)
    ) {
        let mut b = BatchBuilder::new();
        for (ts, key, value) in &records {
            b.append(*ts, key.as_deref(), value.as_deref(), &[]);
        }
        let batch = validate_produce(&b.build(Stamp::default()), 1 << 20).unwrap();
        let read: Vec<_> = batch.records().unwrap().map(Result::unwrap)
            .map(|r| (r.timestamp, r.key.map(<[u8]>::to_vec), r.value.map(<[u8]>::to_vec))).collect();
        prop_assert_eq!(read, records);
    }
}
