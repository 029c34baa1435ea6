//! The rules against plain expectations.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::base::{LeaderEpoch, Offset, ProducerId};
use crate::log::batch::{BatchBuilder, BatchView, Stamp};
use crate::log::config::{LogConfig, Ratio};
use crate::log::reader::SegmentInfo;

/// Key, value, offset of a record.
type Row = (u8, Option<u8>, i64);

fn batch(base: i64, records: &[(u8, Option<u8>)]) -> Bytes {
    let mut b = BatchBuilder::new();
    for (key, value) in records {
        b.append(base, Some(&[*key]), value.as_ref().map(std::slice::from_ref), &[]);
    }
    let stamp = Stamp {
        base_offset: Offset(base),
        leader_epoch: LeaderEpoch(1),
        producer_id: ProducerId(base % 3),
        producer_epoch: 0,
        base_sequence: base as i32,
        ..Stamp::default()
    };
    b.build(stamp)
}

fn rows(log: &[Bytes]) -> Vec<Row> {
    let mut rows = Vec::new();
    for bytes in log {
        let view = BatchView::borrow(bytes).unwrap();
        for r in view.records().unwrap().map(Result::unwrap) {
            rows.push((r.key.unwrap()[0], r.value.map(|v| v[0]), r.offset.0));
        }
    }
    rows
}

/// What a log says of every key.
fn state(rows: &[Row]) -> BTreeMap<u8, u8> {
    let mut state = BTreeMap::new();
    for (key, value, _) in rows {
        match value {
            Some(value) => drop(state.insert(*key, *value)),
            None => drop(state.remove(key)),
        }
    }
    state
}

/// Cleans a whole log at a time, as if it were one segment.
fn cleaned(log: &[Bytes], from: Offset, buffer: u64, now: i64) -> (Vec<Bytes>, Offset) {
    let mut keys = KeyMap::new(from, buffer);
    for bytes in log {
        let view = BatchView::borrow(bytes).unwrap();
        if view.next_offset() > from && !keys.take(&view) {
            break;
        }
    }
    let producers: BTreeMap<_, _> =
        log.iter().map(|b| BatchView::borrow(b).unwrap()).map(|b| (b.producer_id(), b.last_offset())).collect();
    let filter = Filter { keys: &keys, producers: &producers, now_wall_ms: now, delete_retention_ms: 100 };
    let mut left = Vec::new();
    for (i, bytes) in log.iter().enumerate() {
        let view = BatchView::borrow(bytes).unwrap();
        match filter.judge(&view, i + 1 == log.len()) {
            Fate::Stays => left.push(bytes.clone()),
            Fate::Becomes(bytes) => left.push(bytes),
            Fate::Goes => {}
        }
    }
    (left, keys.end())
}

fn logs() -> impl Strategy<Value = Vec<Vec<(u8, Option<u8>)>>> {
    let record = (0_u8..6, prop::option::weighted(0.7, any::<u8>()));
    prop::collection::vec(prop::collection::vec(record, 1..5), 1..20)
}
fn laid_out(batches: &[Vec<(u8, Option<u8>)>]) -> Vec<Bytes> {
    let mut next = 0;
    let mut log = Vec::new();
    for records in batches {
        log.push(batch(next, records));
        next += records.len() as i64;
    }
    log
}

proptest! {
    /// However often and however far a log is cleaned, whoever reads it from the start ends with the same table; what stays has
    /// its old offset; and every batch that recovery needs is there.
    #[test]
    fn a_cleaned_log_says_the_same(batches in logs(), buffers in prop::collection::vec(1_u64..300, 1..4)) {
        let log = laid_out(&batches);
        let before = rows(&log);
        let (mut left, mut from) = (log.clone(), Offset(0));
        for (n, buffer) in buffers.iter().enumerate() {
            (left, from) = cleaned(&left, from, *buffer, n as i64 * 60);
            let after = rows(&left);
            prop_assert_eq!(state(&after), state(&before));
            prop_assert!(after.iter().all(|row| before.contains(row)), "a record changed: {:?}", after);
            prop_assert!(after.windows(2).all(|pair| pair[0].2 < pair[1].2));
            let end = |log: &[Bytes]| BatchView::borrow(log.last().unwrap()).unwrap().next_offset();
            prop_assert_eq!(end(&left), end(&log));
            prop_assert_eq!(last_sequences(&left), last_sequences(&log));
        }
    }

    /// With room for every key, one record of a key is left; a tombstone goes only when its time is over.
    #[test]
    fn one_record_of_a_key_is_left(batches in logs()) {
        let log = laid_out(&batches);
        let (once, end) = cleaned(&log, Offset(0), 1 << 20, 0);
        let latest: BTreeMap<_, _> = rows(&log).into_iter().map(|(k, v, o)| (k, (v, o))).collect();
        let found: BTreeMap<_, _> = rows(&once).into_iter().map(|(k, v, o)| (k, (v, o))).collect();
        prop_assert_eq!(rows(&once).len(), latest.len());
        prop_assert_eq!(&found, &latest);
        let (again, _) = cleaned(&once, end, 1 << 20, 99);
        prop_assert_eq!(rows(&again), rows(&once), "the tombstones' time is not over");
        let (late, _) = cleaned(&once, end, 1 << 20, 100);
        prop_assert!(rows(&late).iter().all(|(_, value, _)| value.is_some()));
        prop_assert_eq!(state(&rows(&late)), state(&rows(&log)));
    }
}

fn last_sequences(log: &[Bytes]) -> BTreeMap<ProducerId, i32> {
    let views = log.iter().map(|b| BatchView::borrow(b).unwrap());
    views.map(|b| (b.producer_id(), b.last_sequence())).collect()
}

/// Ten offsets and 100 bytes each; the n-th begins at time 1000 n.
fn segments(count: i64) -> Vec<SegmentInfo> {
    let one = |n| SegmentInfo {
        base: Offset(n * 10),
        next: Offset(n * 10 + 10),
        size: 100,
        first_timestamp: Some(n * 1_000),
        max_timestamp: Some(n * 1_000 + 900),
    };
    (0..count).map(one).collect()
}
fn at(cleaned: i64, high_watermark: i64, now: i64) -> Progress {
    let (cleaned, log_start, high_watermark) = (Offset(cleaned), Offset(0), Offset(high_watermark));
    Progress { cleaned, log_start, high_watermark, now_wall_ms: now }
}

#[test]
fn neither_the_active_segment_nor_what_is_not_committed_is_dirty() {
    let config = LogConfig::default();
    let all = segments(5);
    let dirty = |progress| {
        let d = Dirty::of(&all, &config, &progress);
        (d.start.0, d.end.0, d.clean_bytes, d.dirty_bytes)
    };
    assert_eq!(dirty(at(0, 50, 0)), (0, 40, 0, 400));
    assert_eq!(dirty(at(20, 50, 0)), (20, 40, 200, 200));
    assert_eq!(dirty(at(0, 29, 0)), (0, 20, 0, 200));
    assert_eq!(dirty(at(40, 50, 0)), (40, 40, 400, 0));
    assert_eq!(dirty(at(99, 50, 0)), (0, 40, 0, 400), "a checkpoint beyond the log is not believed");
    let lagging = LogConfig { min_compaction_lag_ms: 1_000, ..config };
    assert_eq!(Dirty::of(&all, &lagging, &at(0, 50, 3_000)).end, Offset(20), "what is young stays");
}

#[test]
fn a_log_is_due_by_its_share_or_by_its_age() {
    let config = LogConfig::default();
    let all = segments(5);
    let half = Dirty::of(&all, &config, &at(20, 50, 0));
    let quarter = Dirty::of(&all, &config, &at(30, 50, 0));
    assert!(half.is_due(Ratio::HALF) && !quarter.is_due(Ratio::HALF));
    assert!(half.is_filthier_than(&quarter) && !quarter.is_filthier_than(&half));
    let hurried = LogConfig { max_compaction_lag_ms: 500, ..config };
    assert!(Dirty::of(&all, &hurried, &at(30, 50, 3_600)).is_due(Ratio::HALF));
    assert!(!Dirty::of(&all, &hurried, &at(40, 50, 99_000)).is_due(Ratio::ZERO), "nothing is dirty");
}

#[test]
fn neighbours_that_fit_become_one_segment() {
    let config = LogConfig { segment_bytes: 250, ..LogConfig::default() };
    assert_eq!(groups(&segments(5), &config, Offset(40)), [0..2, 2..4]);
    assert_eq!(groups(&segments(5), &config, Offset(30)), [0..2, 2..3]);
    assert!(groups(&segments(2), &config, Offset(0)).is_empty());
}
