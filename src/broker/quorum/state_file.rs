//! The `quorum-state` file: written beside its place, synced, renamed, and the rename synced, before anybody is told.

use std::io;

use super::METADATA_DIR;
use crate::base::BrokerId;
use crate::io::disk::Disk;
use crate::raft::ElectionState;
use crate::wire::records::quorum_state::{FILE_NAME, QuorumState};

fn path(suffix: &str) -> String {
    format!("{METADATA_DIR}/{FILE_NAME}{suffix}")
}

/// Reads the state; None if there is no file.
///
/// # Errors
/// Those of the disk; `InvalidData` if the file is malformed: a voter that forgot its vote must not go on.
pub(super) async fn read(disk: &Disk) -> io::Result<Option<ElectionState>> {
    if !disk.exists(&path("")).await? {
        return Ok(None);
    }
    let file = disk.open(&path(""), false).await?;
    let bytes = file.read_at(0, file.len().await? as usize).await?;
    let malformed = |what: String| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {what}", path("")));
    let state = QuorumState::from_json(&bytes).map_err(|e| malformed(e.to_string()))?;
    let named = |id: BrokerId| (id != BrokerId::NONE).then_some(id);
    Ok(Some(ElectionState {
        epoch: state.leader_epoch,
        leader: named(state.leader_id),
        voted: named(state.voted_id),
    }))
}

/// Makes `state` durable.
///
/// # Errors
/// Those of the disk; the old state is still there then.
pub(super) async fn write(disk: &Disk, state: &ElectionState) -> io::Result<()> {
    let state = QuorumState {
        leader_id: state.leader.unwrap_or(BrokerId::NONE),
        leader_epoch: state.epoch,
        voted_id: state.voted.unwrap_or(BrokerId::NONE),
        ..QuorumState::default()
    };
    let temporary = path(".tmp");
    let file = disk.open(&temporary, true).await?;
    file.truncate(0).await?;
    file.write_at(0, state.to_json().as_bytes()).await?;
    file.sync().await?;
    disk.rename(&temporary, &path("")).await?;
    disk.sync_dir(METADATA_DIR).await
}
