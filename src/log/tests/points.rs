//! A power cut after every single operation of a log's life: whatever the device kept, recovery finds a log.
//!
//! The life is a script; the disk stalls after its n-th operation, for every n, and the power is cut there. What was
//! not durable is resolved by several seeds each. The recovery that follows is cut as well, somewhere.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;

use super::{DIR, batch, simulated, small};
use crate::base::{LeaderEpoch, Offset, TopicPartition};
use crate::io::disk::Disk;
use crate::io::sim::WorldConfig;
use crate::io::sim::disk::DiskConfig;
use crate::io::time::sleep;
use crate::log::BatchInfo;
use crate::log::batch::{BatchView, batches};
use crate::log::checkpoint::{self, Offsets};
use crate::log::producers::{ProducerBatch, ProducerStates};
use crate::log::recovery::{OpenOptions, Recovered, open};
use crate::log::store::LogStore;

/// What the disk was asked for.
#[derive(Default)]
struct Asked {
    batches: Vec<Bytes>,
    /// Everything below was durable, and nobody has asked for its removal.
    durable: Offset,
    /// What the log was before a truncation that is not done yet.
    before: Option<Vec<Bytes>>,
    /// Below this offset segments may be gone.
    floor: Offset,
    /// The checkpoints that were written, the last one perhaps not wholly.
    checkpoints: Vec<i64>,
    done: bool,
}

type Shared = Arc<Mutex<Asked>>;

fn info(bytes: &Bytes) -> BatchInfo {
    BatchInfo::of(&BatchView::parse(bytes).unwrap())
}

impl Asked {
    fn end(&self) -> Offset {
        self.batches.last().map_or(self.floor, |b| info(b).next)
    }
    /// True if what was found is a run of `list` that begins at or below the floor and reaches beyond what is durable.
    fn explains(&self, list: &[Bytes], found: &[BatchInfo]) -> bool {
        let Some(first) = found.first() else { return self.durable <= self.floor };
        let Some(at) = list.iter().position(|b| info(b) == *first) else { return false };
        let starts = at == 0 || first.base <= self.floor;
        starts
            && found.len() <= list.len() - at
            && found.iter().zip(&list[at..]).all(|(f, b)| *f == info(b))
            && found.last().is_some_and(|l| l.next >= self.durable)
    }
    fn judge(&self, recovered: &Recovered) -> Result<(), String> {
        let found = &recovered.batches;
        let old = self.before.as_ref().is_some_and(|list| self.explains(list, found));
        if !old && !self.explains(&self.batches, found) {
            return Err(format!("durable to {}, floor {}: recovery found {found:?}", self.durable, self.floor));
        }
        let epochs = recovered.state.epochs();
        match found
            .iter()
            .find(|b| b.next > recovered.state.log_start() && epochs.epoch_at(b.next - 1) != Some(b.epoch))
        {
            Some(b) => Err(format!("epochs {epochs:?} contradict {b:?}")),
            None => self.judge_producers(recovered, old),
        }
    }
    /// Whoever is known is known as the whole history shows it, also if its batches are gone; and whose are there is known.
    fn judge_producers(&self, recovered: &Recovered, old: bool) -> Result<(), String> {
        let list = if old { self.before.as_deref().unwrap_or_default() } else { &self.batches[..] };
        let end = recovered.state.log_end();
        let below = list.iter().filter(|b| info(b).next <= end);
        let (history, known) = (producers(below), &recovered.producers);
        let wrong = known.last_offsets().find(|(id, offset)| {
            history.last(*id) != known.last(*id) || !history.last_offsets().any(|known| known == (*id, *offset))
        });
        let there = |b: &&Bytes| recovered.batches.contains(&info(b));
        let missing = producers(list.iter().filter(there)).last_offsets().find(|(id, _)| known.last(*id).is_none());
        match wrong.or(missing) {
            Some((id, offset)) => Err(format!("producer {id} at {offset}: {known:?} instead of {history:?}")),
            None => Ok(()),
        }
    }
}

fn producers<'a>(batches: impl Iterator<Item = &'a Bytes>) -> ProducerStates {
    let mut states = ProducerStates::new();
    batches.for_each(|b| states.record(&ProducerBatch::of(&BatchView::parse(b).unwrap()), info(b).base));
    states
}

/// Writes down what is known of the producers at `at`, as a partition does.
async fn snapshot(store: &mut LogStore, asked: &Shared, at: Offset) {
    let content = producers(asked.lock().batches.iter().filter(|b| info(b).next <= at)).to_snapshot();
    store.write_producers(at, &content).await.unwrap();
}

/// The script: every step that a store knows.
async fn live(asked: Shared) {
    let disk = Disk::mount("logs").unwrap();
    let (mut store, _) = open(&disk, DIR, small(), OpenOptions::default()).await.unwrap();
    append(&mut store, &asked, 1, 6).await;
    sync(&mut store, &asked).await;
    append(&mut store, &asked, 1, 12).await;
    store.write_epochs(&[crate::log::epochs::EpochEntry { epoch: LeaderEpoch(1), start: Offset(0) }]).await.unwrap();
    write_checkpoint(&disk, &asked, 11).await;
    truncate(&mut store, &asked, 2).await;
    append(&mut store, &asked, 2, 9).await;
    store.roll().await.unwrap();
    let rolled = store.take_rolled().expect("there was something to roll");
    snapshot(&mut store, &asked, rolled).await;
    sync(&mut store, &asked).await;
    append(&mut store, &asked, 2, 8).await;
    truncate(&mut store, &asked, 11).await;
    append(&mut store, &asked, 3, 14).await;
    sync(&mut store, &asked).await;
    delete_below(&mut store, &asked, 20).await;
    write_checkpoint(&disk, &asked, 33).await;
    store.remove_doomed().await.unwrap();
    append(&mut store, &asked, 3, 5).await;
    {
        let mut asked = asked.lock();
        asked.before = Some(std::mem::take(&mut asked.batches));
        (asked.floor, asked.durable) = (Offset(200), Offset(0));
    }
    store.truncate_fully(Offset(200)).await.unwrap();
    asked.lock().before = None;
    append(&mut store, &asked, 4, 7).await;
    let end = store.end();
    snapshot(&mut store, &asked, end).await;
    store.close().await.unwrap();
    let mut asked = asked.lock();
    asked.durable = asked.end();
    asked.done = true;
}

async fn append(store: &mut LogStore, asked: &Shared, epoch: i32, count: usize) {
    for n in 0..count {
        let bytes = batch(asked.lock().end().0, 1 + (n % 3) as i32, epoch, n as u8, 150 + 40 * (n % 4));
        asked.lock().batches.push(bytes.clone());
        store.append(&bytes).await.unwrap();
        if let Some(at) = store.take_rolled() {
            snapshot(store, asked, at).await;
        }
    }
}

async fn sync(store: &mut LogStore, asked: &Shared) {
    let end = store.sync().await.unwrap();
    asked.lock().durable = end;
}

async fn truncate(store: &mut LogStore, asked: &Shared, cut: usize) {
    let to = {
        let mut asked = asked.lock();
        asked.before = Some(asked.batches.clone());
        let keep = asked.batches.len() - cut;
        asked.batches.truncate(keep);
        asked.durable = asked.durable.min(asked.end());
        asked.end()
    };
    store.truncate(to).await.unwrap();
    asked.lock().before = None;
}

async fn delete_below(store: &mut LogStore, asked: &Shared, start: i64) {
    asked.lock().floor = Offset(start);
    assert!(store.delete_segments_below(Offset(start)).await.unwrap() > 1, "the story needs several segments to go");
}

async fn write_checkpoint(disk: &Disk, asked: &Shared, offset: i64) {
    asked.lock().checkpoints.push(offset);
    let offsets: Offsets = [(TopicPartition::new("t", 0), Offset(offset))].into();
    checkpoint::write_offsets(disk, "", checkpoint::RECOVERY_POINT, &offsets).await.unwrap();
}

/// Opens what is left and looks at all of it.
async fn recover(asked: Shared) {
    let disk = Disk::mount("logs").unwrap();
    let (store, recovered) = open(&disk, DIR, small(), OpenOptions::default()).await.unwrap();
    let verdict = asked.lock().judge(&recovered);
    assert_eq!(verdict, Ok(()));
    let (start, end) = (recovered.state.log_start(), recovered.state.log_end());
    assert_eq!(store.end(), end);
    let mut next = start;
    for found in &recovered.batches {
        assert!(found.base <= next, "a hole below {}", found.base);
        next = found.next;
        let read = store.reader().read(found.next - 1, 1, end, true).await.unwrap();
        let first = batches(&read).next().expect("a batch").expect("a whole one");
        assert_eq!((BatchInfo::of(&first), first.verify_crc()), (*found, Ok(())), "the index leads elsewhere");
    }
    assert_eq!(next, end);
    for name in disk.list(DIR).await.unwrap() {
        let known = name.ends_with("log")
            || name.ends_with("index")
            || name == "leader-epoch-checkpoint"
            || name.ends_with("snapshot");
        assert!(known, "{name} was left behind");
    }
    let offsets =
        checkpoint::read_offsets(&disk, "", checkpoint::RECOVERY_POINT).await.expect("never half a checkpoint");
    if let Some(offset) = offsets.values().next() {
        assert!(asked.lock().checkpoints.contains(&offset.0));
    }
    asked.lock().done = true;
}

/// Lives until the n-th operation; recovers, with a power cut on the way; recovers again. Returns false if the life
/// ends before its n-th operation.
fn cut_after(n: u64, seed: u64) -> bool {
    let disk = DiskConfig { write_back_ms: (1, 40), journal_ms: (1, 20), ..DiskConfig::default() };
    let config = WorldConfig { disk, ..WorldConfig::default() };
    simulated(seed, config, move |world| async move {
        let asked = Shared::default();
        let host = world.create_host("n1", "10.0.0.1", 0);
        let program = asked.clone();
        world.set_program(host, move || live(program.clone()));
        world.stall_disk_after(host, n);
        world.start(host).await;
        sleep(Duration::from_secs(1)).await;
        let cut = !asked.lock().done;
        for recovery in 0..2 {
            asked.lock().done = false;
            world.power_cut(host);
            world.stall_disk(host, false);
            let program = asked.clone();
            world.set_program(host, move || recover(program.clone()));
            if recovery == 0 {
                world.stall_disk_after(host, (n * 7 + seed * 3) % 40);
            }
            world.start(host).await;
            sleep(Duration::from_secs(1)).await;
        }
        assert!(asked.lock().done, "the last recovery came to its end");
        cut
    })
}

#[test]
fn a_power_cut_after_any_operation_leaves_a_log() {
    let mut points = 0;
    while (0..3).all(|seed| cut_after(points, seed)) {
        points += 1;
    }
    assert!(points > 100, "only {points} operations were cut");
}
