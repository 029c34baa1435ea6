//! The log directory: opens what is there at start, creates and removes logs, keeps the checkpoints.
//!
//! Creations and removals are jobs of one ordered queue, so that a topic that is created again under its old name
//! finds its directory free, and so that metadata is applied without waiting for a disk.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::checkpoints::{CheckpointFiles, Written};
use super::partition::Partition;
use super::shared::Shared;
use crate::base::{BrokerEpoch, Offset, TopicPartition};
use crate::broker::probe::{BatchMark, Event};
use crate::io::disk::{Disk, Volume};
use crate::log::checkpoint::{self, Offsets};
use crate::log::files;
use crate::log::recovery::{self, OpenOptions, Recovered};
use crate::log::store::LogStore;
use crate::log::writer::LogHandle;
use crate::replica::{ReplicaConfig, ReplicaCore};

/// The log directory and what is to be done in it.
#[derive(Debug)]
pub(super) struct Logs {
    disk: Disk,
    dir: String,
    jobs: Mutex<VecDeque<Job>>,
    ring: Notify,
    checkpoints: Arc<CheckpointFiles>,
}

#[derive(Debug)]
enum Job {
    Create(Arc<Partition>),
    Remove(Arc<Partition>),
}

impl Logs {
    /// Takes the clean-shutdown mark away and reads the checkpoints. Returns also the broker epoch of the mark, if the
    /// last shutdown was clean.
    ///
    /// # Errors
    /// Those of the disk.
    pub async fn load(disk: Disk, dir: String) -> io::Result<(Self, Option<BrokerEpoch>)> {
        files::create_dir(&disk, &dir).await?;
        let clean = checkpoint::take_clean_shutdown(&disk, &dir).await?;
        let written = Written {
            high_watermarks: read(&disk, &dir, checkpoint::HIGH_WATERMARK).await?,
            recovery_points: read(&disk, &dir, checkpoint::RECOVERY_POINT).await?,
            log_starts: read(&disk, &dir, checkpoint::LOG_START).await?,
            cleaned: read(&disk, &dir, checkpoint::CLEANER).await?,
        };
        let (jobs, ring) = (Mutex::default(), Notify::new());
        let checkpoints = Arc::new(CheckpointFiles::new(disk.clone(), dir.clone(), written));
        Ok((Self { disk, dir, jobs, ring, checkpoints }, clean))
    }
    /// The room on the volume of the directory.
    ///
    /// # Errors
    /// Those of the disk.
    pub async fn volume(&self) -> io::Result<Volume> {
        self.disk.volume().await
    }
    /// Opens every log that the directory holds; what had been removed only halfway is removed now.
    ///
    /// # Errors
    /// Those of the disk.
    pub async fn open_all(&self, shared: &Arc<Shared>, clean: bool) -> io::Result<Vec<Arc<Partition>>> {
        let mut partitions = Vec::new();
        for name in self.disk.list(&self.dir).await? {
            let path = format!("{}/{name}", self.dir);
            if name.ends_with("-delete") {
                self.disk.remove_dir_all(&path).await?;
            } else if let Some(tp) = parse_dir(&name) {
                partitions.extend(self.open_found(shared, &path, tp, clean).await?);
            }
        }
        Ok(partitions)
    }
    async fn open_found(
        &self,
        shared: &Arc<Shared>,
        path: &str,
        tp: TopicPartition,
        clean: bool,
    ) -> io::Result<Option<Arc<Partition>>> {
        let Some(topic_id) = files::read_partition_metadata(&self.disk, path).await? else {
            // Its creation was cut short, before anything could be appended.
            self.disk.remove_dir_all(path).await?;
            return Ok(None);
        };
        let (options, high_watermark) = {
            let written = self.checkpoints.lock().await;
            let of = |offsets: &Offsets| offsets.get(&tp).copied().unwrap_or(Offset::ZERO);
            let (recovery_point, log_start) = (of(&written.recovery_points), of(&written.log_starts));
            (OpenOptions { recovery_point, log_start, clean }, of(&written.high_watermarks))
        };
        let (store, recovered) = recovery::open(&self.disk, path, shared.config.log, options).await?;
        if recovered.cut_bytes > 0 {
            tracing::warn!(partition = %tp, bytes = recovered.cut_bytes, "recovery cut a torn tail off");
        }
        let config = (ReplicaConfig::default(), shared.config.log);
        let partition = Arc::new(Partition::new(shared.clone(), tp, topic_id, config.0, config.1));
        self.start(shared, &partition, store, recovered, high_watermark);
        Ok(Some(partition))
    }
    /// A log is to be created.
    pub fn create(&self, partition: Arc<Partition>) {
        self.jobs.lock().push_back(Job::Create(partition));
        self.ring.notify_one();
    }
    /// A log is to be removed; its partition must have been taken out of the directory.
    pub fn remove(&self, partition: Arc<Partition>) {
        self.jobs.lock().push_back(Job::Remove(partition));
        self.ring.notify_one();
    }
    /// Does the jobs, for as long as the broker lives.
    pub async fn run(&self, shared: &Arc<Shared>) {
        loop {
            let job = self.jobs.lock().pop_front();
            let done = match job {
                Some(Job::Create(partition)) => self.create_now(shared, &partition).await,
                Some(Job::Remove(partition)) => self.remove_now(shared, &partition).await,
                None => {
                    self.ring.notified().await;
                    continue;
                }
            };
            if let Err(error) = done {
                shared.fail(Arc::new(error));
                return;
            }
        }
    }
    async fn create_now(&self, shared: &Arc<Shared>, partition: &Arc<Partition>) -> io::Result<()> {
        let path = self.path(&partition.tp);
        let options = OpenOptions::default();
        let (store, recovered) = recovery::open(&self.disk, &path, partition.log_config(), options).await?;
        files::write_partition_metadata(&self.disk, &path, partition.topic_id).await?;
        self.start(shared, partition, store, recovered, Offset::ZERO);
        Ok(())
    }
    async fn remove_now(&self, shared: &Shared, partition: &Arc<Partition>) -> io::Result<()> {
        if let Some(closed) = partition.stop() {
            // A log that has failed is not going to be closed.
            let _ = closed.await;
        }
        partition.close();
        let path = self.path(&partition.tp);
        let doomed = format!("{path}.{}-delete", partition.topic_id.simple());
        if self.disk.exists(&path).await? {
            self.disk.rename(&path, &doomed).await?;
            self.disk.sync_dir(&self.dir).await?;
        }
        shared.probe.tell(Event::LogRemoved { tp: partition.tp.clone() });
        // A later log of the same name must not find the offsets of this one.
        let forget = |offsets: &Offsets| {
            let mut kept = offsets.clone();
            kept.remove(&partition.tp);
            kept
        };
        let written = &mut *self.checkpoints.lock().await;
        self.checkpoints.write(checkpoint::HIGH_WATERMARK, &mut written.high_watermarks, forget).await?;
        self.checkpoints.write(checkpoint::RECOVERY_POINT, &mut written.recovery_points, forget).await?;
        self.checkpoints.write(checkpoint::LOG_START, &mut written.log_starts, forget).await?;
        self.checkpoints.write(checkpoint::CLEANER, &mut written.cleaned, forget).await?;
        if self.disk.exists(&doomed).await? {
            self.disk.remove_dir_all(&doomed).await?;
        }
        Ok(())
    }
    /// Writes the high watermarks and log starts of `partitions`, where they have changed.
    ///
    /// # Errors
    /// Those of the disk.
    pub async fn checkpoint_high_watermarks(&self, partitions: &[Arc<Partition>]) -> io::Result<()> {
        let written = &mut *self.checkpoints.lock().await;
        let marks = |_: &Offsets| offsets(partitions, ReplicaCore::high_watermark);
        self.checkpoints.write(checkpoint::HIGH_WATERMARK, &mut written.high_watermarks, marks).await?;
        let starts = |_: &Offsets| offsets(partitions, |core| core.log().log_start());
        self.checkpoints.write(checkpoint::LOG_START, &mut written.log_starts, starts).await
    }
    /// Writes how far the logs of `partitions` are durable, where that has changed.
    ///
    /// # Errors
    /// Those of the disk.
    pub async fn checkpoint_recovery_points(&self, partitions: &[Arc<Partition>]) -> io::Result<()> {
        let written = &mut *self.checkpoints.lock().await;
        let durable = |_: &Offsets| offsets(partitions, |core| core.log().durable_end());
        self.checkpoints.write(checkpoint::RECOVERY_POINT, &mut written.recovery_points, durable).await
    }
    /// Below which offset the cleaner has cleaned a log.
    pub async fn cleaned(&self, tp: &TopicPartition) -> Offset {
        self.checkpoints.lock().await.cleaned.get(tp).copied().unwrap_or(Offset::ZERO)
    }
    /// Remembers that a log is clean below `end`, durably.
    ///
    /// # Errors
    /// Those of the disk.
    pub async fn set_cleaned(&self, tp: &TopicPartition, end: Offset) -> io::Result<()> {
        let written = &mut *self.checkpoints.lock().await;
        let with = |offsets: &Offsets| {
            let mut all = offsets.clone();
            all.insert(tp.clone(), end);
            all
        };
        self.checkpoints.write(checkpoint::CLEANER, &mut written.cleaned, with).await
    }
    /// Marks the directory as cleanly shut down; every log must be closed.
    ///
    /// # Errors
    /// Those of the disk.
    pub async fn mark_clean(&self, epoch: BrokerEpoch) -> io::Result<()> {
        checkpoint::write_clean_shutdown(&self.disk, &self.dir, epoch).await
    }
    /// The disk that the directory is on.
    pub fn disk(&self) -> &Disk {
        &self.disk
    }
    /// The names of the files of one log; for tests.
    #[cfg(all(test, madsim))]
    pub async fn list_files(&self, log: &str) -> Vec<String> {
        self.disk.list(&format!("{}/{log}", self.dir)).await.unwrap_or_default()
    }
    /// Brings a replica to life over an open log.
    fn start(
        &self,
        shared: &Arc<Shared>,
        partition: &Arc<Partition>,
        mut store: LogStore,
        recovered: Recovered,
        high_watermark: Offset,
    ) {
        let Recovered { state, producers, batches, .. } = recovered;
        let config =
            ReplicaConfig { lag_time_max_ms: shared.config.replica_lag_time_max_ms, ..ReplicaConfig::default() };
        let core = ReplicaCore::new(shared.config.id, config, state, producers, high_watermark);
        shared.probe.tell(Event::LogLoaded {
            tp: partition.tp.clone(),
            start: core.log().log_start(),
            high_watermark: core.high_watermark(),
            batches: batches.iter().map(BatchMark::of).collect(),
        });
        let (checkpoints, tp) = (self.checkpoints.clone(), partition.tp.clone());
        store.before_cut(Box::new(move |to| {
            let (checkpoints, tp) = (checkpoints.clone(), tp.clone());
            Box::pin(async move { checkpoints.lower(&tp, to).await })
        }));
        let weak = Arc::downgrade(partition);
        let log = LogHandle::start(store, move |completion| {
            if let Some(partition) = weak.upgrade() {
                partition.completed(completion);
            }
        });
        partition.opened(core, log);
    }
    pub fn path(&self, tp: &TopicPartition) -> String {
        format!("{}/{tp}", self.dir)
    }
}

fn offsets(partitions: &[Arc<Partition>], of: impl Fn(&ReplicaCore) -> Offset) -> Offsets {
    partitions.iter().filter_map(|p| Some((p.tp.clone(), p.look(&of)?))).collect()
}

/// A checkpoint; one that cannot be read is as good as none, because it only saves work or time.
async fn read(disk: &Disk, dir: &str, name: &str) -> io::Result<Offsets> {
    match checkpoint::read_offsets(disk, dir, name).await {
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            tracing::warn!(%error, "ignoring a checkpoint");
            Ok(Offsets::new())
        }
        other => other,
    }
}

/// `<topic>-<partition>`
fn parse_dir(name: &str) -> Option<TopicPartition> {
    let (topic, partition) = name.rsplit_once('-')?;
    let partition: i32 = partition.parse().ok().filter(|p| *p >= 0)?;
    (!topic.is_empty() && !topic.starts_with("__cluster_metadata")).then(|| TopicPartition::new(topic, partition))
}
