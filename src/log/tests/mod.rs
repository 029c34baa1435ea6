//! Stories of logs on disks: against a model, under power cuts, and through the writer.

mod compaction;
mod model;
mod points;
mod power;
mod recovery;
mod snapshots;

use bytes::Bytes;

use super::LogConfig;
use super::batch::{BatchBuilder, Stamp};
use crate::base::{LeaderEpoch, Offset, ProducerId};
use crate::io::sim::{World, WorldConfig, run};

pub(super) const DIR: &str = "t-0";

/// A batch of `count` records at `base`; `salt` makes it different from others at the same place.
pub(super) fn batch(base: i64, count: i32, epoch: i32, salt: u8, value_len: usize) -> Bytes {
    let mut b = BatchBuilder::new();
    for i in 0..i64::from(count) {
        b.append((base + i) * 10, None, Some(&vec![salt; value_len]), &[]);
    }
    b.build(Stamp {
        base_offset: Offset(base),
        leader_epoch: LeaderEpoch(epoch),
        producer_id: ProducerId(i64::from(salt % 4)),
        producer_epoch: 0,
        base_sequence: base as i32,
        ..Stamp::default()
    })
}

/// Segments and index intervals so small that a test meets many.
pub(super) fn small() -> LogConfig {
    LogConfig { segment_bytes: 2_000, index_interval_bytes: 300, ..LogConfig::default() }
}

/// Runs a trial that must not panic.
pub(super) fn simulated<T, F, Fut>(seed: u64, config: WorldConfig, trial: F) -> T
where
    T: Send + 'static,
    F: FnOnce(World) -> Fut + Send + 'static,
    Fut: Future<Output = T> + Send + 'static,
{
    run(seed, config, trial).outcome.unwrap_or_else(|panic| panic!("seed {seed}: {panic}"))
}
