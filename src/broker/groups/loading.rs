//! A coordinator reads its partition from the start to where the log ended when its leadership began (`CoordinatorLoaderImpl`).

use std::time::Duration;

use kafka_protocol::ResponseError;

use super::Groups;
use crate::base::{LeaderEpoch, Offset};
use crate::broker::partitions::{FetchPartition, FetchSpec, Fetcher, Leadership, TopicRef};
use crate::group::Coordinator;
use crate::io::{clock, rng, time};
use crate::log::batch::{BatchError, batches};

/// Bytes that are read at a time (`offsets.load.buffer.size`).
const LOAD_BUFFER: usize = 5 << 20;
/// How long a read waits for the high watermark to move.
const WAIT_MS: u64 = 500;
/// The pause after something that time may mend.
const PAUSE: Duration = Duration::from_millis(100);

impl Groups {
    /// None if the leadership ends before.
    pub(super) async fn load(&self, index: i32, epoch: LeaderEpoch) -> Option<Coordinator> {
        let led = self.leading(index, epoch).await?;
        let random = rng(&format!("group members {index} {epoch}"));
        let mut core = Coordinator::new(self.config.clone(), random, clock::now());
        let mut next = led.log_start;
        while next < led.log_end {
            let result = self.partitions.fetch(spec(index, epoch, next)).await.pop()?;
            match result.error {
                None => match replay(&mut core, next, &result.records) {
                    Ok(after) => next = after,
                    Err(error) => {
                        tracing::error!(partition = index, %error, "the offsets topic cannot be read");
                        time::sleep(PAUSE).await;
                    }
                },
                Some(ResponseError::OffsetOutOfRange) => next = next.max(self.leading(index, epoch).await?.log_start),
                Some(ResponseError::NotLeaderOrFollower | ResponseError::FencedLeaderEpoch) => return None,
                Some(error) => {
                    tracing::warn!(partition = index, ?error, "loading groups waits");
                    time::sleep(PAUSE).await;
                }
            }
        }
        core.loaded(clock::now());
        Some(core)
    }
    /// Waits until the log is open and the replica leads in `epoch`.
    async fn leading(&self, index: i32, epoch: LeaderEpoch) -> Option<Leadership> {
        loop {
            match self.partitions.leadership(&Self::tp(index)) {
                Some(led) if led.epoch == epoch => return Some(led),
                Some(led) if led.epoch > epoch => return None,
                _ => time::sleep(PAUSE).await,
            }
        }
    }
}

/// Takes whole batches in and returns the offset after the last.
fn replay(core: &mut Coordinator, from: Offset, bytes: &bytes::Bytes) -> Result<Offset, BatchError> {
    let mut next = from;
    for batch in batches(bytes) {
        let batch = batch?;
        if !batch.is_control() {
            for record in batch.records()? {
                let record = record?;
                let Some(key) = record.key.filter(|_| record.offset >= from) else { continue };
                if let Err(error) = core.replay(clock::now(), key, record.value) {
                    tracing::error!(offset = %record.offset, %error, "a record of the offsets topic is passed over");
                }
            }
        }
        next = batch.next_offset();
    }
    Ok(next)
}

fn spec(index: i32, epoch: LeaderEpoch, offset: Offset) -> FetchSpec {
    let partition = FetchPartition {
        topic: TopicRef::Name(super::OFFSETS_TOPIC.into()),
        partition: index,
        offset,
        current_leader_epoch: epoch,
        last_fetched_epoch: LeaderEpoch::NONE,
        log_start: Offset::NONE,
        max_bytes: LOAD_BUFFER as i32,
    };
    FetchSpec {
        fetcher: Fetcher::Consumer,
        max_wait_ms: WAIT_MS,
        min_bytes: 1,
        max_bytes: LOAD_BUFFER,
        partitions: vec![partition],
    }
}
