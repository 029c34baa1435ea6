//! Cleanings on a disk: a power cut after every single operation of them loses nothing and brings nothing back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;

use super::{DIR, simulated};
use crate::base::{LeaderEpoch, Offset, ProducerId};
use crate::io::disk::Disk;
use crate::io::sim::WorldConfig;
use crate::io::sim::disk::DiskConfig;
use crate::io::time::sleep;
use crate::log::batch::{BatchBuilder, Stamp, batches};
use crate::log::cleaner::{Dirty, Progress};
use crate::log::compaction::Cleaning;
use crate::log::producers::ProducerStates;
use crate::log::recovery::{OpenOptions, open};
use crate::log::store::LogStore;
use crate::log::{LogConfig, LogReader};

/// Offset, key, value.
type Row = (i64, u8, Option<u8>);

fn config() -> LogConfig {
    LogConfig {
        segment_bytes: 900,
        index_interval_bytes: 200,
        compact: true,
        delete_retention_ms: 50,
        ..LogConfig::default()
    }
}

/// One batch of three records whose keys come again and again.
fn batch(base: i64) -> (Bytes, Vec<Row>) {
    let rows: Vec<Row> = (base..base + 3).map(|o| (o, (o * 7 % 11) as u8, (o % 5 != 0).then_some(o as u8))).collect();
    let mut b = BatchBuilder::new();
    for (offset, key, value) in &rows {
        b.append(*offset, Some(&[*key]), value.as_ref().map(std::slice::from_ref), &[]);
    }
    let stamp = Stamp {
        base_offset: Offset(base),
        leader_epoch: LeaderEpoch(1),
        producer_id: ProducerId(base % 2),
        producer_epoch: 0,
        base_sequence: base as i32,
        ..Stamp::default()
    };
    (b.build(stamp), rows)
}

fn table(rows: &[Row]) -> BTreeMap<u8, u8> {
    let mut table = BTreeMap::new();
    for (_, key, value) in rows {
        match value {
            Some(value) => drop(table.insert(*key, *value)),
            None => drop(table.remove(key)),
        }
    }
    table
}

async fn read_all(reader: &LogReader, end: Offset) -> Vec<Row> {
    let (mut rows, mut from) = (Vec::new(), Offset(0));
    while from < end {
        let bytes = reader.read(from, 4_096, end, true).await.unwrap();
        assert!(!bytes.is_empty(), "nothing at {from} below {end}");
        for batch in batches(&bytes) {
            let batch = batch.unwrap();
            batch.verify_crc().unwrap();
            for r in batch.records().unwrap().map(Result::unwrap).filter(|r| r.offset >= from) {
                rows.push((r.offset.0, r.key.unwrap()[0], r.value.map(|v| v[0])));
            }
            from = batch.next_offset();
        }
    }
    rows
}

/// Cleans once; returns how far the log is clean.
async fn clean(disk: &Disk, store: &mut LogStore, cleaned: Offset, now: i64) -> Offset {
    let reader = store.reader();
    let progress = Progress { cleaned, log_start: Offset(0), high_watermark: store.end(), now_wall_ms: now };
    let dirty = Dirty::of(&reader.segments(), &config(), &progress);
    let producers: ProducerStates = reader.rebuild_producers(store.end()).await.unwrap();
    let cleaning = Cleaning {
        disk,
        dir: DIR,
        config: config(),
        buffer_bytes: 1 << 16,
        producers: producers.last_offsets().collect(),
        now_wall_ms: now,
    };
    let plan = cleaning.plan(&reader, &dirty).await.unwrap();
    for n in 0..plan.groups() {
        if let Some(swap) = cleaning.rewrite(&plan, n).await.unwrap() {
            assert!(store.swap(swap).await.unwrap().is_some(), "nobody else changes the log");
        }
    }
    plan.end()
}

#[derive(Default)]
struct Asked {
    rows: Vec<Row>,
    durable: Offset,
    done: bool,
}
type Shared = Arc<Mutex<Asked>>;

async fn append(store: &mut LogStore, asked: &Shared, count: usize) {
    for _ in 0..count {
        let (bytes, rows) = batch(store.end().0);
        asked.lock().rows.extend(rows);
        store.append(&bytes).await.unwrap();
    }
}

async fn sync(store: &mut LogStore, asked: &Shared) {
    let end = store.sync().await.unwrap();
    asked.lock().durable = end;
}

async fn live(asked: Shared) {
    let disk = Disk::mount("logs").unwrap();
    let (mut store, _) = open(&disk, DIR, config(), OpenOptions::default()).await.unwrap();
    append(&mut store, &asked, 40).await;
    sync(&mut store, &asked).await;
    let cleaned = clean(&disk, &mut store, Offset(0), 0).await;
    append(&mut store, &asked, 20).await;
    sync(&mut store, &asked).await;
    append(&mut store, &asked, 9).await;
    clean(&disk, &mut store, cleaned, 60).await;
    store.close().await.unwrap();
    let mut asked = asked.lock();
    (asked.durable, asked.done) = (store.end(), true);
}

async fn recover(asked: Shared) {
    let disk = Disk::mount("logs").unwrap();
    let (mut store, recovered) = open(&disk, DIR, config(), OpenOptions::default()).await.unwrap();
    let (rows, durable) = {
        let asked = asked.lock();
        (asked.rows.clone(), asked.durable)
    };
    let end = recovered.state.log_end();
    assert!(end >= durable && recovered.state.log_start() == Offset(0), "{end} of {durable}");
    let below: Vec<_> = rows.into_iter().filter(|r| r.0 < end.0).collect();
    let found = read_all(&store.reader(), end).await;
    assert!(found.iter().all(|r| below.contains(r)), "a record changed");
    assert_eq!(table(&found), table(&below));
    for name in disk.list(DIR).await.unwrap() {
        assert!(name.ends_with("log") || name.ends_with("index"), "{name} was left behind");
    }
    // What was interrupted is done again from the start, as without a checkpoint.
    clean(&disk, &mut store, Offset(0), 200).await;
    assert_eq!(table(&read_all(&store.reader(), end).await), table(&below));
    asked.lock().done = true;
}

/// Lives until the n-th operation, loses power, recovers. Returns false if the life ends before its n-th operation.
fn cut_after(n: u64, seed: u64) -> bool {
    let disk = DiskConfig { write_back_ms: (1, 40), journal_ms: (1, 20), ..DiskConfig::default() };
    simulated(seed, WorldConfig { disk, ..WorldConfig::default() }, move |world| async move {
        let asked = Shared::default();
        let host = world.create_host("n1", "10.0.0.1", 0);
        let program = asked.clone();
        world.set_program(host, move || live(program.clone()));
        world.stall_disk_after(host, n);
        world.start(host).await;
        sleep(Duration::from_secs(1)).await;
        let cut = !std::mem::take(&mut asked.lock().done);
        world.power_cut(host);
        world.stall_disk(host, false);
        let program = asked.clone();
        world.set_program(host, move || recover(program.clone()));
        world.start(host).await;
        sleep(Duration::from_secs(1)).await;
        assert!(asked.lock().done, "the recovery came to its end");
        cut
    })
}

#[test]
fn a_power_cut_after_any_operation_of_a_cleaning_loses_nothing() {
    let mut points = 0;
    while (0..3).all(|seed| cut_after(points, seed)) {
        points += 1;
    }
    assert!(points > 200, "only {points} operations were cut");
}

#[test]
fn a_cleaned_log_is_smaller_reads_the_same_and_takes_no_segment_that_was_cut_meanwhile() {
    simulated(1, WorldConfig::default(), |_| async move {
        let disk = Disk::mount("/logs").unwrap();
        let (mut store, _) = open(&disk, DIR, config(), OpenOptions::default()).await.unwrap();
        let asked = Shared::default();
        append(&mut store, &asked, 60).await;
        let before = store.reader().segments();
        let cleaned = clean(&disk, &mut store, Offset(0), 0).await;
        let after = store.reader().segments();
        let size = |list: &[crate::log::SegmentInfo]| list.iter().map(|s| s.size).sum::<u64>();
        assert!(size(&after) * 2 < size(&before), "{before:?} became {after:?}");
        assert_eq!(cleaned, after.last().unwrap().base);
        let rows = read_all(&store.reader(), store.end()).await;
        let clean_part = rows.iter().filter(|r| r.0 < cleaned.0);
        let mut keys: Vec<_> = clean_part.map(|r| r.1).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), rows.iter().filter(|r| r.0 < cleaned.0).count(), "one record of a key");

        clean(&disk, &mut store, cleaned, 0).await;
        assert_eq!(store.reader().segments().len(), 2, "small segments become one");
        assert_eq!(read_all(&store.reader(), store.end()).await, rows);

        append(&mut store, &asked, 30).await;
        let reader = store.reader();
        let dirty = Dirty {
            start: cleaned,
            end: reader.segments().last().unwrap().base,
            clean_bytes: 0,
            dirty_bytes: 1,
            overdue: false,
        };
        let cleaning = Cleaning {
            disk: &disk,
            dir: DIR,
            config: config(),
            buffer_bytes: 1 << 16,
            producers: BTreeMap::new(),
            now_wall_ms: 0,
        };
        let plan = cleaning.plan(&reader, &dirty).await.unwrap();
        let swap = cleaning.rewrite(&plan, 0).await.unwrap().expect("there is something to clean");
        store.truncate(cleaned + 20).await.unwrap();
        assert_eq!(store.swap(swap).await.unwrap(), None);
        let names = disk.list(DIR).await.unwrap();
        assert!(names.iter().all(|n| n.ends_with("log") || n.ends_with("index")), "{names:?}");
    });
}
