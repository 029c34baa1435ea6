//! Snapshots of the producers, on a disk.

use super::{DIR, batch, simulated, small};
use crate::base::{Offset, ProducerId};
use crate::io::disk::Disk;
use crate::io::sim::WorldConfig;
use crate::log::batch::BatchView;
use crate::log::producers::{ProducerBatch, ProducerStates};
use crate::log::recovery::{OpenOptions, Recovered, open};
use crate::log::store::LogStore;

/// A log and its producers, kept as a partition keeps them.
struct Log {
    store: LogStore,
    states: ProducerStates,
}

impl Log {
    async fn open(disk: &Disk) -> (Self, Recovered) {
        let (store, recovered) = open(disk, DIR, small(), OpenOptions::default()).await.unwrap();
        (Self { store, states: recovered.producers.clone() }, recovered)
    }
    /// Appends `count` batches of one record; `salt` modulo 4 is the producer.
    async fn append(&mut self, count: usize, salt: u8) {
        for _ in 0..count {
            let bytes = batch(self.store.end().0, 1, 1, salt, 300);
            self.states.record(&ProducerBatch::of(&BatchView::parse(&bytes).unwrap()), self.store.end());
            self.store.append(&bytes).await.unwrap();
            if let Some(at) = self.store.take_rolled() {
                self.store.write_producers(at, &self.states.as_of(at).unwrap().to_snapshot()).await.unwrap();
            }
        }
    }
    async fn close(mut self) {
        let end = self.store.end();
        self.store.write_producers(end, &self.states.to_snapshot()).await.unwrap();
        self.store.close().await.unwrap();
    }
}

async fn snapshots(disk: &Disk) -> Vec<i64> {
    let names = disk.list(DIR).await.unwrap();
    names.iter().filter_map(|n| n.strip_suffix(".snapshot")?.parse().ok()).collect()
}

#[test]
fn a_producer_whose_batches_retention_has_deleted_is_still_known_after_a_restart() {
    simulated(1, WorldConfig::default(), |_| async {
        let disk = Disk::mount("/logs").unwrap();
        let (mut log, _) = Log::open(&disk).await;
        log.append(3, 1).await;
        log.append(30, 2).await;
        let before = snapshots(&disk).await;
        assert!(before.len() > 3 && !before.contains(&0), "one for each segment but the first: {before:?}");
        assert!(log.store.delete_segments_below(Offset(20)).await.unwrap() > 1);
        let first = log.store.reader().segments()[0].base;
        assert!(snapshots(&disk).await.iter().all(|at| *at >= first.0), "snapshots go with their segments");
        log.store.remove_doomed().await.unwrap();
        let end = log.store.end();
        log.close().await;
        let (_, recovered) = Log::open(&disk).await;
        assert_eq!(recovered.producers.last(ProducerId(1)), Some((0, 2)));
        assert_eq!(recovered.producers.last(ProducerId(2)), Some((0, end.0 as i32 - 1)));
        let left = snapshots(&disk).await;
        assert!(left.contains(&end.0) && !left.contains(&first.0), "nothing lies below the first segment: {left:?}");
    });
}

#[test]
fn a_damaged_snapshot_is_removed_and_an_older_one_used() {
    simulated(2, WorldConfig::default(), |_| async {
        let disk = Disk::mount("/logs").unwrap();
        let (mut log, _) = Log::open(&disk).await;
        log.append(3, 1).await;
        log.append(30, 2).await;
        log.store.delete_segments_below(Offset(10)).await.unwrap();
        log.store.remove_doomed().await.unwrap();
        log.close().await;
        let all = snapshots(&disk).await;
        let newest = format!("{DIR}/{:020}.snapshot", all.last().unwrap());
        let file = disk.open(&newest, false).await.unwrap();
        let len = file.len().await.unwrap();
        file.truncate(len - 1).await.unwrap();
        file.append(&[0]).await.unwrap();
        let (_, recovered) = Log::open(&disk).await;
        assert_eq!(recovered.producers.last(ProducerId(1)), Some((0, 2)), "the older one knows it as well");
        assert_eq!(recovered.producers.last(ProducerId(2)), Some((0, 32)), "from the log");
        assert!(!disk.exists(&newest).await.unwrap());
    });
}

#[test]
fn a_truncation_takes_the_snapshots_beyond_it_along() {
    simulated(3, WorldConfig::default(), |_| async {
        let disk = Disk::mount("/logs").unwrap();
        let (mut log, _) = Log::open(&disk).await;
        log.append(30, 1).await;
        let all = snapshots(&disk).await;
        let (to, kept) = (all[2], all[..=2].to_vec());
        log.store.truncate(Offset(to)).await.unwrap();
        assert_eq!(snapshots(&disk).await, kept, "one at the cut stays true");
        assert!(log.states.truncate(Offset(to)));
        log.append(10, 2).await;
        drop(log);
        let (log, recovered) = Log::open(&disk).await;
        assert_eq!(recovered.producers.last(ProducerId(1)), Some((0, to as i32 - 1)));
        let Log { mut store, .. } = log;
        store.truncate_fully(Offset(500)).await.unwrap();
        assert_eq!(snapshots(&disk).await, [0; 0]);
    });
}
