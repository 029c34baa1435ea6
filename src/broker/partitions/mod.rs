//! The partitions on this broker (Kafka's ReplicaManager): logs, leading, following, and the requests that wait.
//!
//! Rules live in [`crate::replica`]; this room does their I/O. What it offers, on a cheap clone of [`Partitions`]:
//!
//! | | |
//! |---|---|
//! | [`Partitions::start`] | opens the log directory |
//! | [`Partitions::apply`] | takes committed metadata in |
//! | [`Partitions::produce`], [`Partitions::fetch`] | with everything that waits |
//! | [`Partitions::delete_records`] | |
//! | [`Partitions::list_offset`], [`Partitions::offset_for_leader_epoch`] | |
//! | [`Partitions::leadership`], [`Partitions::append`] | for coordinators, who keep their books in partitions that they lead |
//! | [`Partitions::content`] | sizes of logs and the room that is left |
//! | [`Partitions::failed`] | tells when the log directory is lost |
//! | [`Partitions::shutdown`] | closes everything cleanly |
//!
//! Deliberately absent: several log directories, fetch sessions (KIP-227).

pub mod api;
mod apply;
mod checkpoints;
mod cleaner;
mod config;
mod content;
mod coordinated;
mod delete_records;
mod directory;
mod fetch;
mod fetchers;
mod isr;
mod logs;
mod offsets;
mod partition;
mod produce;
mod requests;
mod shared;
#[cfg(all(test, madsim))]
mod tests;
mod throttle;
mod upkeep;

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use kafka_protocol::ResponseError;
use parking_lot::RwLock;

pub use self::api::{
    BoxFuture, ControllerRpc, DeleteRecordsOutcome, DeleteRecordsPartition, FetchPartition, FetchResult, FetchSpec,
    Fetcher, OffsetAnswer, OffsetQuery, PartitionView, ProduceOutcome, ProducePartition, Role, TopicRef,
};
pub use self::config::PartitionsConfig;
pub use self::content::{DirectoryContent, LogSize};
pub use self::coordinated::{Append, Leadership};
use self::directory::Directory;
use self::logs::Logs;
use self::partition::Partition;
use self::shared::Shared;
use crate::base::{BrokerEpoch, BrokerId, LeaderEpoch};
use crate::broker::probe::Probe;
use crate::io::disk::Disk;
use crate::io::task::TaskSet;

/// The partitions on this broker; cheap to clone.
#[derive(Clone, Debug)]
pub struct Partitions {
    shared: Arc<Shared>,
    directory: Arc<RwLock<Directory>>,
    logs: Arc<Logs>,
    /// True once metadata has come in.
    applied: Arc<AtomicBool>,
}

impl Partitions {
    /// Opens the log directory and starts what runs in the background, in `tasks`. Returns also the broker epoch under
    /// which the directory was last shut down cleanly, for the registration; None after anything else.
    ///
    /// # Errors
    /// Those of the disk.
    pub async fn start(
        config: PartitionsConfig,
        disk: Disk,
        probe: Probe,
        controller: Arc<dyn ControllerRpc>,
        tasks: &mut TaskSet,
    ) -> io::Result<(Self, Option<BrokerEpoch>)> {
        let (logs, clean) = Logs::load(disk, config.log_dir.clone()).await?;
        let shared = Arc::new(Shared::new(config, probe));
        let mut directory = Directory::default();
        for partition in logs.open_all(&shared, clean.is_some()).await? {
            directory.insert(partition);
        }
        let partitions = Self {
            shared: shared.clone(),
            directory: Arc::new(RwLock::new(directory)),
            logs: Arc::new(logs),
            applied: Arc::new(AtomicBool::new(false)),
        };
        tasks.spawn("alter-partition", isr::run(shared, controller));
        partitions.start_upkeep(tasks);
        Ok((partitions, clean))
    }
    /// Under which epoch this broker is registered now; its fetches and ISR changes carry it.
    pub fn set_broker_epoch(&self, epoch: BrokerEpoch) {
        self.shared.set_broker_epoch(epoch);
    }
    /// Plain snapshots of all local replicas.
    #[must_use]
    pub fn views(&self) -> Vec<PartitionView> {
        self.directory.read().iter().map(|p| p.view()).collect()
    }
    /// Waits until the log directory is lost. With one directory the broker has to exit then, without a clean shutdown.
    pub async fn failed(&self) -> Arc<io::Error> {
        self.shared.failed().await
    }
    /// The local partition that a request means. Where there is none the metadata knows what to say.
    fn find(&self, topic: &TopicRef, partition: i32) -> Result<Arc<Partition>, ResponseError> {
        if let Some(found) = self.directory.read().find(topic, partition) {
            return Ok(found.clone());
        }
        let image = self.shared.image.read();
        let known = match topic {
            TopicRef::Id(id) => image.topic_by_id(*id).ok_or(ResponseError::UnknownTopicId)?,
            TopicRef::Name(name) => image.topic(name).ok_or(ResponseError::UnknownTopicOrPartition)?,
        };
        let exists = known.partition(partition).is_some();
        Err(if exists { ResponseError::NotLeaderOrFollower } else { ResponseError::UnknownTopicOrPartition })
    }
    /// Who leads a partition, as far as this broker knows (KIP-951).
    fn known_leader(&self, topic: &TopicRef, partition: i32) -> Option<(BrokerId, LeaderEpoch)> {
        let image = self.shared.image.read();
        let topic = match topic {
            TopicRef::Id(id) => image.topic_by_id(*id),
            TopicRef::Name(name) => image.topic(name),
        };
        topic?.partition(partition).map(|p| (p.leader, p.leader_epoch))
    }
    fn all(&self) -> Vec<Arc<Partition>> {
        self.directory.read().iter().cloned().collect()
    }
}
