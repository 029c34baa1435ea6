//! The shell around the quorum core: drives [`crate::raft`] with time, peers and the metadata log, and hands what is
//! committed to the rest of the node. No Raft rule lives here.
//!
//! One lock guards the core and everything that must change with it (`shell`). Whoever has news (a request, a
//! response, a disk) brings it in under that lock; one task brings the time, one task per peer carries requests
//! (`peer`), one stores the quorum state (`election_file`), one writes snapshots (`snapshots`), one sees to retention,
//! and the log has its own writer. What follows the latest snapshot is also kept in memory (`batches`). `boot` finds
//! what a crash has left.

mod batches;
mod boot;
mod describe;
mod election_file;
mod encode;
mod handlers;
mod messages;
mod peer;
#[cfg(all(test, madsim))]
mod power_tests;
mod reader;
mod shell;
mod snapshots;
#[cfg(all(test, madsim))]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

pub use reader::{CommittedBatch, CommittedReader, LeaderWatch, LoadedSnapshot, QuorumEvent};

use self::election_file::{ElectionFile, StoreBox};
use self::peer::Mailbox;
use self::shell::Shell;
use self::snapshots::{Content, Op as SnapshotOp, OpQueue, SnapshotDir};
use super::probe::Probe;
use crate::base::{BrokerId, LeaderEpoch, Offset, TopicId};
use crate::io::disk::Disk;
use crate::io::task::TaskSet;
use crate::io::{clock, rng, time, watch};
use crate::log::writer::{Completion, LogHandle};
use crate::log::{LogConfig, LogReader};
use crate::raft::{Input, Kept, Leadership, Limits, RaftConfig, RaftCore, RoleKind, SnapshotId, oldest_wanted};
use crate::wire::records::MetadataRecord;

/// The metadata topic's name (`Topic.CLUSTER_METADATA_TOPIC_NAME`); it has one partition, 0.
pub const METADATA_TOPIC: &str = "__cluster_metadata";
/// The metadata topic's id (`Uuid.METADATA_TOPIC_ID`).
pub const METADATA_TOPIC_ID: TopicId = TopicId::from_u128(1);
/// The directory of the metadata log below the log dir.
pub const METADATA_DIR: &str = "__cluster_metadata-0";

/// Who the quorum is and how this node takes part in it.
#[derive(Clone, Debug)]
pub struct QuorumConfig {
    /// This node (`node.id`).
    pub me: BrokerId,
    /// The cluster's id; requests that carry another one are refused.
    pub cluster_id: String,
    /// Host and port of each voter's controller listener (`controller.quorum.voters`).
    pub voters: BTreeMap<BrokerId, (String, u16)>,
    /// The client id that this node shows to its peers.
    pub client_id: String,
    /// The core's settings; its voters are those above.
    pub raft: RaftConfig,
    /// When segments of the metadata log roll.
    pub log: LogConfig,
    /// How much of log and snapshots is kept.
    pub retention: Limits,
    /// How often retention looks.
    pub clean_interval: Duration,
}

/// This node does not lead the epoch in which it was asked to propose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this node does not lead quorum epoch {epoch}")]
pub struct NotLeader {
    /// The epoch that was asked for.
    pub epoch: LeaderEpoch,
}

/// This node's part in the metadata quorum.
pub struct Quorum {
    config: QuorumConfig,
    shell: Mutex<Shell>,
    snapshots: SnapshotDir,
    snapshot_ops: Arc<OpQueue>,
    log: LogReader,
    /// The core wants its next tick earlier than the clock task knows.
    rearm: Notify,
    leadership: watch::Receiver<Leadership>,
    /// Rises whenever readers may find news.
    news: watch::Receiver<u64>,
    failure: watch::Receiver<Option<Arc<str>>>,
}

impl std::fmt::Debug for Quorum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Quorum").field("me", &self.config.me).finish_non_exhaustive()
    }
}

impl Quorum {
    /// Opens the metadata log and the quorum-state file below `dir` (the log dir; empty for the disk's root), and
    /// starts to take part. The node's controller listener has to hand requests to the `handle_` functions.
    ///
    /// # Errors
    /// Those of the disk; `InvalidData` if the quorum-state file or the log is malformed.
    pub async fn start(
        config: QuorumConfig,
        disk: Disk,
        dir: &str,
        probe: Probe,
        tasks: &mut TaskSet,
    ) -> io::Result<Arc<Self>> {
        let dir = if dir.is_empty() { METADATA_DIR.to_owned() } else { format!("{dir}/{METADATA_DIR}") };
        let snapshots = SnapshotDir::new(disk.clone(), &dir);
        let found = boot::boot(&disk, &dir, &config, &snapshots).await?;
        let file = ElectionFile::open(disk, &dir).await?;
        let stored = file.read().await?;
        let (raft, jitter) = (config.raft.clone(), rng("quorum-jitter"));
        let core = RaftCore::new(raft, config.me, stored, found.log, found.snapshots, jitter, clock::now());

        let others = config.voters.keys().copied().filter(|&id| id != config.me);
        let peers: BTreeMap<_, _> = others.map(|id| (id, Arc::<Mailbox>::default())).collect();
        let states = Arc::<StoreBox>::default();
        let snapshot_ops = Arc::<OpQueue>::default();
        let (log, ops, dir) = (found.store.reader(), snapshot_ops.clone(), snapshots.clone());
        let quorum = Arc::new_cyclic(|weak: &Weak<Self>| {
            let weak = weak.clone();
            let handle = LogHandle::start(found.store, move |completion| {
                if let Some(quorum) = weak.upgrade() {
                    quorum.on_disk(completion);
                }
            });
            let written = (handle, found.batches);
            let shell = Shell::new(core, written, probe, peers.clone(), states.clone(), (ops.clone(), found.times));
            let (leadership, news, failure) = shell.watches();
            let (shell, rearm) = (Mutex::new(shell), Notify::new());
            Self { config, shell, snapshots, snapshot_ops, log, rearm, leadership, news, failure }
        });
        quorum.shell.lock().loaded(found.marks);
        tasks.spawn("quorum-snapshots", snapshots::run(quorum.clone(), dir, ops));
        tasks.spawn("quorum-retention", quorum.clone().run_retention());
        tasks.spawn("quorum-state", election_file::run(quorum.clone(), file, states));
        for (id, mailbox) in peers {
            tasks.spawn("quorum-peer", peer::run(quorum.clone(), id, mailbox));
        }
        tasks.spawn("quorum-clock", quorum.clone().run_clock());
        // An observer has no deadline of its own: this is what makes it look for a leader.
        quorum.feed(Input::Tick);
        Ok(quorum)
    }

    /// The settings that this node started with.
    #[must_use]
    pub fn config(&self) -> &QuorumConfig {
        &self.config
    }
    /// Who leads the quorum, as this node knows it, and in which epoch.
    #[must_use]
    pub fn leader(&self) -> (Option<BrokerId>, LeaderEpoch) {
        let Leadership { leader, epoch } = *self.leadership.borrow();
        (leader, epoch)
    }
    /// Sees changes of [`Quorum::leader`] from now on.
    #[must_use]
    pub fn watch(&self) -> LeaderWatch {
        LeaderWatch::new(self.leadership.clone())
    }
    /// The role that this node plays.
    #[must_use]
    pub fn role(&self) -> RoleKind {
        self.shell.lock().core.role()
    }
    /// Everything below is known to be committed.
    #[must_use]
    pub fn high_watermark(&self) -> Offset {
        self.shell.lock().core.high_watermark().unwrap_or(Offset::ZERO)
    }
    /// The end of this node's metadata log, committed or not.
    #[must_use]
    pub fn log_end(&self) -> Offset {
        self.shell.lock().core.log().log_end()
    }
    /// Proposes `records` as one batch, which is committed as a whole or not at all, and returns the offset of its
    /// last record. It is committed once a [`CommittedReader`] yields it. Waits for nothing: what is proposed within
    /// `controller.quorum.append.linger.ms` is written together.
    ///
    /// # Errors
    /// [`NotLeader`] if this node does not lead `epoch`, or no longer.
    ///
    /// # Panics
    /// If there are no records.
    pub fn propose(&self, epoch: LeaderEpoch, records: impl AsRef<[MetadataRecord]>) -> Result<Offset, NotLeader> {
        let now = clock::now();
        let mut shell = self.shell.lock();
        let base = shell.core.proposal_offset(epoch).ok_or(NotLeader { epoch })?;
        let batch = encode::metadata_batch(records.as_ref(), base, epoch, now.wall_ms);
        let last = batch.next - 1;
        shell.feed(now, Input::Propose { batch });
        self.rearm_if_earlier(&shell);
        Ok(last)
    }
    /// Gives up leadership of `epoch`, if this node leads it.
    pub fn resign(&self, epoch: LeaderEpoch) {
        self.feed(Input::Resign { epoch });
    }
    /// Gives up leadership and tells the other voters, for `patience` at most. No election is started afterwards.
    pub async fn shutdown(&self, patience: Duration) {
        let mut news = self.news.clone();
        self.feed(Input::Shutdown);
        let quiet = async {
            while !self.shell.lock().core.is_quiet() {
                news.changed().await;
            }
        };
        // Who has not heard of it finds out by a timeout of its own.
        time::timeout(patience, quiet).await.ok();
    }
    /// Reads what is committed, from the start of the log.
    #[must_use]
    pub fn subscribe(self: &Arc<Self>) -> CommittedReader {
        CommittedReader::new(self.clone())
    }
    /// Waits until this node can take no further part, because its disk failed or the quorum's promises are broken,
    /// and says why. The process has to end then.
    pub async fn failed(&self) -> String {
        let mut failure = self.failure.clone();
        loop {
            if let Some(reason) = failure.borrow().as_deref() {
                return reason.to_owned();
            }
            failure.changed().await;
        }
    }

    /// Writes a snapshot of all metadata below `id`, whose records are committed and were last written at
    /// `append_time_ms` (milliseconds since 1970). Waits for nothing.
    pub fn write_snapshot(&self, id: SnapshotId, append_time_ms: i64, records: Vec<MetadataRecord>) {
        self.snapshot_ops.put(SnapshotOp::Write { id, content: Content { append_time_ms, records } });
    }
    /// The latest snapshot that is durable here.
    #[must_use]
    pub fn latest_snapshot(&self) -> Option<SnapshotId> {
        self.shell.lock().core.latest_snapshot()
    }
    /// Where this node's metadata log starts.
    #[must_use]
    pub fn log_start(&self) -> Offset {
        self.shell.lock().core.log().log_start()
    }
    /// Deletes what is no longer wanted behind the snapshots.
    fn clean(&self) {
        // What went a minute ago: nobody reads it any more (`file.delete.delay.ms`).
        self.shell.lock().remove_doomed();
        let segments = boot::weigh(&self.log.segments());
        let kept: Vec<_> = {
            let shell = self.shell.lock();
            let times = &shell.snapshot_times;
            let kept = |(id, size)| Kept { id, size, timestamp_ms: times.get(&id).copied().unwrap_or(i64::MAX) };
            shell.core.snapshots().map(kept).collect()
        };
        if let Some(before) = oldest_wanted(&kept, &segments, clock::now().wall_ms, self.config.retention) {
            self.feed(Input::Clean { before });
        }
    }
    async fn run_retention(self: Arc<Self>) {
        loop {
            time::sleep(self.config.clean_interval).await;
            self.clean();
        }
    }

    fn snapshot_stored(&self, id: SnapshotId, size: u64, append_time_ms: i64) {
        let now = clock::now();
        let mut shell = self.shell.lock();
        shell.snapshot_stored(now, id, size, append_time_ms);
        self.rearm_if_earlier(&shell);
    }
    fn feed(&self, input: Input) {
        let now = clock::now();
        let mut shell = self.shell.lock();
        shell.feed(now, input);
        self.rearm_if_earlier(&shell);
    }
    fn on_disk(&self, completion: Completion) {
        let now = clock::now();
        let mut shell = self.shell.lock();
        shell.on_disk(now, completion);
        self.rearm_if_earlier(&shell);
    }
    fn rearm_if_earlier(&self, shell: &Shell) {
        if shell.core.next_deadline().is_some_and(|at| at < shell.armed) {
            self.rearm.notify_one();
        }
    }
    async fn run_clock(self: Arc<Self>) {
        let mut sleep = time::sleep_until(0);
        loop {
            let deadline = {
                let mut shell = self.shell.lock();
                // A core that is fed no more would name the same deadline for ever.
                let deadline = shell.core.next_deadline().filter(|_| shell.failure.borrow().is_none());
                shell.armed = deadline.unwrap_or(u64::MAX);
                shell.armed
            };
            sleep.reset(deadline);
            tokio::select! {
                biased;
                () = self.rearm.notified() => {}
                () = &mut sleep => self.feed(Input::Tick),
            }
        }
    }
}
