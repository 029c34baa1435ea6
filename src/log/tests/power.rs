//! Whatever the device lost: what recovery finds is a beginning of what was appended, with all that was synced.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;

use super::{DIR, batch, simulated, small};
use crate::base::Offset;
use crate::base::random::Stream;
use crate::io::disk::Disk;
use crate::io::sim::WorldConfig;
use crate::io::sim::disk::DiskConfig;
use crate::io::time::sleep;
use crate::log::batch::{BatchView, batches};
use crate::log::recovery::{OpenOptions, Recovered, open};
use crate::log::store::LogStore;
use crate::log::{BatchInfo, LogConfig};

/// What the disk was asked for, seen from outside the process.
#[derive(Default)]
struct Asked {
    batches: Vec<Bytes>,
    /// So many of them were synced.
    synced: usize,
    /// What the log was before a truncation that is not done yet.
    before: Option<Vec<Bytes>>,
    /// The power was cut since the last recovery that came to its end.
    power_lost: bool,
    lives: u32,
}

type Shared = Arc<Mutex<Asked>>;

fn info(bytes: &Bytes) -> BatchInfo {
    BatchInfo::of(&BatchView::parse(bytes).unwrap())
}

impl Asked {
    fn end(&self) -> Offset {
        self.batches.last().map_or(Offset::ZERO, |b| info(b).next)
    }
    /// Judges what recovery found, and goes on from there.
    fn meets(&mut self, recovered: &Recovered) {
        let found = &recovered.batches;
        let begins = |list: &[Bytes]| {
            found.len() <= list.len() && found.iter().zip(list).all(|(found, asked)| *found == info(asked))
        };
        let old = self.before.take().filter(|before| begins(before));
        let new = begins(&self.batches);
        assert!(new || old.is_some(), "recovery found what was never there");
        let kept = found.len();
        assert!(kept >= self.synced, "{kept} batches are left of {} synced", self.synced);
        if !self.power_lost {
            assert!(old.is_some() || kept == self.batches.len(), "a crash of the process lost page cache");
        }
        if let Some(old) = old.filter(|_| !new) {
            self.batches = old;
        }
        self.batches.truncate(kept);
        self.synced = kept;
        self.power_lost = false;
        self.lives += 1;
    }
}

/// One life: opens the log, checks it, and works on it until it dies.
async fn live(asked: Shared, seed: u64) {
    let disk = Disk::mount("logs").unwrap();
    // Every other log makes records durable as it appends them.
    let config = LogConfig { flush_messages: if seed.is_multiple_of(2) { 4 } else { u64::MAX }, ..small() };
    let (mut store, recovered) = open(&disk, DIR, config, OpenOptions::default()).await.unwrap();
    asked.lock().meets(&recovered);
    let end = asked.lock().end();
    assert_eq!((recovered.state.log_end(), store.end()), (end, end));
    assert_eq!(recovered.producers, store.reader().rebuild_producers(end).await.unwrap());
    let read = store.reader().read(Offset::ZERO, 1 << 20, end, true).await.unwrap();
    let first = batches(&read).next().map(|b| BatchInfo::of(&b.unwrap()));
    assert_eq!(first, recovered.batches.first().copied());
    let mut random = Stream::new(seed, &format!("life {}", asked.lock().lives));
    loop {
        work(&asked, &mut store, &mut random).await;
        let unflushed = (store.end().0 - store.flushed().0).cast_unsigned();
        assert!(unflushed < config.flush_messages, "{unflushed} records are not on the device");
        let flushed = |asked: &Asked| asked.batches.iter().filter(|b| info(b).next <= store.flushed()).count();
        {
            let mut asked = asked.lock();
            asked.synced = asked.synced.max(flushed(&asked));
        }
        sleep(Duration::from_micros(random.below(400))).await;
    }
}

async fn work(asked: &Shared, store: &mut LogStore, random: &mut Stream) {
    match random.below(20) {
        0 | 1 => {
            let count = asked.lock().batches.len();
            store.sync().await.unwrap();
            asked.lock().synced = count;
        }
        2 => store.roll().await.unwrap(),
        3 => {
            let to = {
                let mut asked = asked.lock();
                let keep = asked.batches.len().saturating_sub(random.below(6) as usize);
                asked.before = Some(asked.batches.clone());
                asked.batches.truncate(keep);
                asked.synced = asked.synced.min(keep);
                asked.end()
            };
            store.truncate(to).await.unwrap();
            asked.lock().before = None;
        }
        _ => {
            let bytes = {
                let mut asked = asked.lock();
                let (count, salt) = (1 + random.below(3) as i32, random.below(256) as u8);
                // Often of one size, so that what is torn may fit by chance.
                let value_len = if random.chance(1, 2) { 100 } else { random.below(900) as usize };
                let bytes = batch(asked.end().0, count, 1, salt, value_len);
                asked.batches.push(bytes.clone());
                bytes
            };
            store.append(&bytes).await.unwrap();
        }
    }
}

/// Several lives, each ended by a crash or a power cut at a random moment; returns how many recoveries were judged.
fn lives(seed: u64) -> u32 {
    let disk = DiskConfig { write_back_ms: (1, 40), journal_ms: (1, 20), ..DiskConfig::default() };
    let config = WorldConfig { disk, ..WorldConfig::default() };
    simulated(seed, config, move |world| async move {
        let asked = Shared::default();
        let host = world.create_host("n1", "10.0.0.1", 0);
        let program = asked.clone();
        world.set_program(host, move || live(program.clone(), seed));
        let mut random = Stream::new(seed, "deaths");
        for _ in 0..6 {
            world.start(host).await;
            sleep(Duration::from_micros(random.between(2_000, 60_000))).await;
            let power_lost = random.chance(2, 3);
            asked.lock().power_lost |= power_lost;
            if power_lost { world.power_cut(host) } else { world.crash(host) }
        }
        asked.lock().lives
    })
}

#[test]
fn what_was_synced_survives_every_power_cut() {
    let judged: u32 = (0..150).map(lives).sum();
    assert!(judged > 600, "only {judged} recoveries were judged");
}
