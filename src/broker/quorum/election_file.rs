//! The quorum-state file: written beside, synced, renamed, and the rename synced, before anybody hears of it.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Quorum;
use crate::base::BrokerId;
use crate::base::bugs::{Bug, planted};
use crate::io::disk::Disk;
use crate::raft::{ElectionState, Input};
use crate::wire::records::quorum_state::{FILE_NAME, QuorumState};

/// No quorum state is larger.
const MAX_FILE_BYTES: usize = 64 * 1024;

/// The state that is to be stored next: the latest takes the place of earlier ones.
#[derive(Debug, Default)]
pub(super) struct StoreBox {
    latest: Mutex<Option<(u64, ElectionState)>>,
    wake: Notify,
}

impl StoreBox {
    pub(super) fn put(&self, sequence: u64, state: ElectionState) {
        *self.latest.lock() = Some((sequence, state));
        self.wake.notify_one();
    }
    async fn take(&self) -> (u64, ElectionState) {
        loop {
            if let Some(latest) = self.latest.lock().take() {
                return latest;
            }
            self.wake.notified().await;
        }
    }
}

#[derive(Debug)]
pub(super) struct ElectionFile {
    disk: Disk,
    dir: String,
}

impl ElectionFile {
    /// The file in `dir`. What an interrupted write left beside it is removed.
    pub(super) async fn open(disk: Disk, dir: &str) -> io::Result<Self> {
        let file = Self { disk, dir: dir.to_owned() };
        let temporary = file.temporary();
        if file.disk.exists(&temporary).await? {
            file.disk.remove(&temporary).await?;
        }
        Ok(file)
    }
    fn path(&self) -> String {
        format!("{}/{FILE_NAME}", self.dir)
    }
    fn temporary(&self) -> String {
        format!("{}/{FILE_NAME}.tmp", self.dir)
    }
    /// What was stored last, if anything.
    pub(super) async fn read(&self) -> io::Result<Option<ElectionState>> {
        if !self.disk.exists(&self.path()).await? {
            return Ok(None);
        }
        let text = self.disk.open(&self.path(), false).await?.read_at(0, MAX_FILE_BYTES).await?;
        let state =
            QuorumState::from_json(&text).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e.to_string()))?;
        let known = |id: BrokerId| (id.0 >= 0).then_some(id);
        Ok(Some(ElectionState {
            epoch: state.leader_epoch,
            leader: known(state.leader_id),
            voted: known(state.voted_id),
        }))
    }
    async fn write(&self, state: ElectionState) -> io::Result<()> {
        let line = QuorumState {
            leader_id: state.leader.unwrap_or(BrokerId::NONE),
            leader_epoch: state.epoch,
            voted_id: state.voted.unwrap_or(BrokerId::NONE),
            ..QuorumState::default()
        };
        let temporary = self.temporary();
        let file = self.disk.open(&temporary, true).await?;
        file.truncate(0).await?;
        file.append(line.to_json().as_bytes()).await?;
        if planted(Bug::VolatileVote) {
            return self.disk.rename(&temporary, &self.path()).await;
        }
        file.sync().await?;
        self.disk.rename(&temporary, &self.path()).await?;
        self.disk.sync_dir(&self.dir).await
    }
}

/// The task that stores.
pub(super) async fn run(quorum: Arc<Quorum>, file: ElectionFile, states: Arc<StoreBox>) {
    loop {
        let (sequence, state) = states.take().await;
        match file.write(state).await {
            Ok(()) => quorum.feed(Input::Stored { sequence }),
            Err(error) => return quorum.shell.lock().fail(&format!("the quorum state cannot be stored: {error}")),
        }
    }
}
