//! What recovery makes of damage, and of what the checkpoints say.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{DIR, batch, simulated, small};
use crate::base::{BrokerEpoch, LeaderEpoch, Offset, TopicId, TopicPartition};
use crate::io::disk::Disk;
use crate::io::sim::WorldConfig;
use crate::log::checkpoint::{self, Offsets};
use crate::log::epochs::EpochEntry;
use crate::log::files;
use crate::log::recovery::{OpenOptions, Recovered, open};
use crate::log::store::LogStore;

fn on_a_disk<F: Future<Output = ()> + Send + 'static>(story: impl FnOnce(Disk) -> F + Send + 'static) {
    simulated(1, WorldConfig::default(), |_| async move { story(Disk::mount("logs").unwrap()).await });
}

async fn opened(disk: &Disk, options: OpenOptions) -> (LogStore, Recovered) {
    open(disk, DIR, small(), options).await.unwrap()
}

/// Ten batches of three records over several segments: epochs 1 and, from offset 15, 4.
async fn filled(disk: &Disk) -> Vec<Offset> {
    let (mut store, _) = opened(disk, OpenOptions::default()).await;
    for i in 0..10 {
        store.append(&batch(i * 3, 3, if i < 5 { 1 } else { 4 }, 1, 150)).await.unwrap();
    }
    store.sync().await.unwrap();
    store.reader().segments().iter().map(|s| s.base).collect()
}

fn path(base: Offset, suffix: &str) -> String {
    format!("{DIR}/{:020}.{suffix}", base.0)
}

async fn flip_byte(disk: &Disk, path: &str, at: u64) {
    let file = disk.open(path, false).await.unwrap();
    let byte = file.read_at(at, 1).await.unwrap()[0];
    file.write_at(at, &[byte ^ 0x10]).await.unwrap();
}

#[test]
fn damage_in_a_segment_ends_the_log_there() {
    on_a_disk(|disk| async move {
        let bases = filled(&disk).await;
        assert!(bases.len() >= 3, "the story needs several segments");
        flip_byte(&disk, &path(bases[1], "log"), 300).await;
        let (_, recovered) = opened(&disk, OpenOptions::default()).await;
        assert_eq!(recovered.state.log_end(), bases[1]);
        assert!(recovered.cut_bytes > 0);
        assert!(!disk.exists(&path(bases[2], "log")).await.unwrap());
        let (_, again) = opened(&disk, OpenOptions::default()).await;
        assert_eq!((again.state.log_end(), again.cut_bytes), (bases[1], 0), "a second recovery finds nothing to do");
    });
}

#[test]
fn checksums_below_the_recovery_point_are_not_read() {
    on_a_disk(|disk| async move {
        let bases = filled(&disk).await;
        flip_byte(&disk, &path(bases[0], "log"), 300).await;
        let options = OpenOptions { recovery_point: Offset(30), ..OpenOptions::default() };
        assert_eq!(opened(&disk, options).await.1.state.log_end(), Offset(30));
    });
}

#[test]
fn a_log_that_ends_below_its_start_begins_anew() {
    on_a_disk(|disk| async move {
        filled(&disk).await;
        let (_, recovered) = opened(&disk, OpenOptions { log_start: Offset(14), ..OpenOptions::default() }).await;
        assert_eq!((recovered.state.log_start(), recovered.batches[0].base), (Offset(14), Offset(12)));
        let (mut store, recovered) =
            opened(&disk, OpenOptions { log_start: Offset(50), ..OpenOptions::default() }).await;
        assert_eq!((recovered.state.log_start(), recovered.state.log_end()), (Offset(50), Offset(50)));
        assert!(recovered.batches.is_empty() && recovered.producers.is_empty());
        assert_eq!(store.append(&batch(50, 1, 4, 1, 10)).await.unwrap(), Offset(51));
    });
}

#[test]
fn a_damaged_index_is_written_anew() {
    on_a_disk(|disk| async move {
        let bases = filled(&disk).await;
        let index = disk.open(&path(bases[0], "index"), false).await.unwrap();
        let before = index.read_at(0, 1 << 16).await.unwrap();
        assert!(!before.is_empty());
        flip_byte(&disk, &path(bases[0], "index"), 5).await;
        disk.remove(&path(bases[0], "timeindex")).await.unwrap();
        opened(&disk, OpenOptions::default()).await;
        let index = disk.open(&path(bases[0], "index"), false).await.unwrap();
        assert_eq!(index.read_at(0, 1 << 16).await.unwrap(), before);
        assert!(disk.exists(&path(bases[0], "timeindex")).await.unwrap());
    });
}

#[test]
fn epochs_come_from_the_checkpoint_only_if_the_batches_agree() {
    let entry = |epoch, start| EpochEntry { epoch: LeaderEpoch(epoch), start: Offset(start) };
    on_a_disk(move |disk| async move {
        filled(&disk).await;
        let mut found = Vec::new();
        // Agrees and knows more; stale; ahead of the log; of a log that was truncated since.
        for checkpoint in [
            vec![entry(0, 0), entry(1, 0), entry(4, 15)],
            vec![entry(1, 0)],
            vec![entry(1, 0), entry(4, 15), entry(7, 30)],
            vec![entry(1, 0), entry(3, 9)],
        ] {
            files::write_epochs(&disk, DIR, &checkpoint).await.unwrap();
            found.push(opened(&disk, OpenOptions::default()).await.1.state.epochs().entries().to_vec());
        }
        assert!(found.iter().all(|e| *e == [entry(1, 0), entry(4, 15)]), "{found:?}");
    });
}

#[test]
fn checkpoints_and_marks_are_read_as_they_were_written() {
    on_a_disk(|disk| async move {
        let offsets: Offsets =
            [(TopicPartition::new("a.b", 0), Offset(7)), (TopicPartition::new("t_1", 12), Offset(0))].into();
        checkpoint::write_offsets(&disk, "", checkpoint::RECOVERY_POINT, &offsets).await.unwrap();
        let text = files::read_text(&disk, "", checkpoint::RECOVERY_POINT).await.unwrap();
        assert_eq!(text.as_deref(), Some("0\n2\na.b 0 7\nt_1 12 0\n"));
        assert_eq!(checkpoint::read_offsets(&disk, "", checkpoint::RECOVERY_POINT).await.unwrap(), offsets);
        assert!(checkpoint::read_offsets(&disk, "", checkpoint::HIGH_WATERMARK).await.unwrap().is_empty());

        checkpoint::write_clean_shutdown(&disk, "", BrokerEpoch(77)).await.unwrap();
        let text = files::read_text(&disk, "", ".kafka_cleanshutdown").await.unwrap();
        assert_eq!(text.as_deref(), Some(r#"{"version":0,"brokerEpoch":77}"#));
        assert_eq!(checkpoint::take_clean_shutdown(&disk, "").await.unwrap(), Some(BrokerEpoch(77)));
        assert_eq!(checkpoint::take_clean_shutdown(&disk, "").await.unwrap(), None);

        let id = TopicId::from_u128(42);
        opened(&disk, OpenOptions::default()).await;
        files::write_partition_metadata(&disk, DIR, id).await.unwrap();
        assert_eq!(opened(&disk, OpenOptions::default()).await.1.topic_id, Some(id));
    });
}

#[test]
fn before_a_log_is_cut_whoever_trusts_its_end_is_told() {
    on_a_disk(|disk| async move {
        filled(&disk).await;
        let (mut store, _) = opened(&disk, OpenOptions::default()).await;
        let told = std::sync::Arc::new(parking_lot::Mutex::new(Vec::new()));
        let (notes, reader) = (told.clone(), store.reader());
        store.before_cut(Box::new(move |to| {
            let end = reader.segments().last().map(|s| s.next);
            notes.lock().push((to, end));
            Box::pin(std::future::ready(Ok(())))
        }));
        store.truncate(Offset(40)).await.unwrap();
        assert_eq!(*told.lock(), [], "nothing is cut there");
        store.truncate(Offset(6)).await.unwrap();
        store.truncate_fully(Offset(3)).await.unwrap();
        assert_eq!(*told.lock(), [(Offset(6), Some(Offset(30))), (Offset(3), Some(Offset(6)))]);
        store.before_cut(Box::new(|_| Box::pin(std::future::ready(Err(std::io::Error::other("no"))))));
        store.append(&batch(3, 3, 1, 1, 150)).await.unwrap();
        store.truncate_fully(Offset(0)).await.unwrap_err();
        assert_eq!(store.end(), Offset(6), "what could not be told is not done");
    });
}

#[test]
fn a_new_log_outlives_a_power_cut_wherever_it_stands() {
    for seed in 0..20 {
        simulated(seed, WorldConfig::default(), |world| async move {
            let (host, opened) = (world.create_host("n1", "10.0.0.1", 0), Arc::new(AtomicBool::new(false)));
            let done = opened.clone();
            world.set_program(host, move || {
                let done = done.clone();
                async move {
                    let disk = Disk::mount("logs").unwrap();
                    let found = disk.exists("/data/one/t-0").await.unwrap();
                    assert_eq!(found, done.load(Ordering::Relaxed), "the directory went with the power");
                    open(&disk, "/data/one/t-0", small(), OpenOptions::default()).await.unwrap();
                    done.store(true, Ordering::Relaxed);
                }
            });
            for _ in 0..2 {
                world.start(host).await;
                world.exited(host).await;
                world.power_cut(host);
            }
            assert!(opened.load(Ordering::Relaxed));
        });
    }
}
