//! Snapshots (KIP-630): which ones there are, who is sent to them, how they are fetched piece by piece, and how a
//! replica starts anew from one. What is in a snapshot is no business of the core.

use bytes::Bytes;
use kafka_protocol::ResponseError;

use super::core::RaftCore;
use super::message::{Body, Output, ReadChunk, ReadRange, Request, SnapshotId, Token};
use super::roles::{Download, FetchSnapshot, Role};
use crate::base::bugs::{Bug, planted};
use crate::base::marks::{Mark, mark};
use crate::base::{BrokerId, LeaderEpoch, Now, Offset};

/// How a replica's log relates to the leader's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Agreement {
    /// It is a beginning of it.
    Prefix,
    /// It has to be cut: the largest epoch not above the replica's last one, and where it ends.
    Diverging(LeaderEpoch, Offset),
    /// The log that it lacks is gone: it has to load this snapshot.
    Snapshot(SnapshotId),
}

impl RaftCore {
    /// The latest snapshot.
    #[must_use]
    pub fn latest_snapshot(&self) -> Option<SnapshotId> {
        self.snapshots.last_key_value().map(|(id, _)| *id)
    }
    /// All snapshots with their sizes in bytes, oldest first.
    pub fn snapshots(&self) -> impl Iterator<Item = (SnapshotId, u64)> {
        self.snapshots.iter().map(|(id, size)| (*id, *size))
    }
    /// The snapshot that the log continues, if it does not start at 0.
    fn base(&self) -> Option<SnapshotId> {
        let first = self.snapshots.first_key_value().map(|(id, _)| *id);
        first.filter(|id| id.offset == self.log.log_start())
    }
    /// The epoch of the last record, whether it lies in the log or in a snapshot; Kafka calls that of nothing 0.
    pub(super) fn last_epoch(&self) -> LeaderEpoch {
        let known = self.log.epochs().latest().or_else(|| self.base().map(|id| id.epoch));
        known.unwrap_or(LeaderEpoch(0)).max(LeaderEpoch(0))
    }

    /// How the log of a replica that ends at `offset` with a record of `epoch` relates to this one
    /// (`ReplicatedLog.validateOffsetAndEpoch`).
    pub(super) fn agreement(&self, offset: Offset, epoch: LeaderEpoch) -> Agreement {
        let start = self.log.log_start();
        if (start, offset, epoch) == (Offset::ZERO, Offset::ZERO, LeaderEpoch(0)) {
            return Agreement::Prefix;
        }
        if let Some(((earliest, _), (latest, _))) =
            self.snapshots.first_key_value().zip(self.snapshots.last_key_value())
        {
            let lacks = offset < start || (offset == start && start == earliest.offset && epoch != earliest.epoch);
            if lacks || epoch < earliest.epoch {
                return Agreement::Snapshot(*latest);
            }
        }
        let beginning = || (self.base().map_or(LeaderEpoch(0), |id| id.epoch), start);
        let (own_epoch, end) = self.log.end_offset_for(epoch).unwrap_or_else(beginning);
        if own_epoch == epoch && end >= offset { Agreement::Prefix } else { Agreement::Diverging(own_epoch, end) }
    }

    /// A replica asks for a piece of a snapshot (`KafkaRaftClient.handleFetchSnapshotRequest`).
    pub(super) fn on_fetch_snapshot(&mut self, now: Now, token: Token, fetch: FetchSnapshot, out: &mut Vec<Output>) {
        let FetchSnapshot { replica, epoch, snapshot, position, max_bytes } = fetch;
        let size = self.snapshots.get(&snapshot).copied();
        let error = match (self.check_leader_request(replica, epoch), size) {
            (Err(error), _) => Some(error),
            (Ok(()), None) => Some(ResponseError::SnapshotNotFound),
            (Ok(()), Some(size)) if position >= size => Some(ResponseError::PositionOutOfRange),
            (Ok(()), Some(_)) => None,
        };
        if error.is_none() {
            self.heard_from(now, replica);
        }
        let max_bytes = if error.is_none() { max_bytes.min(self.config.fetch_max_bytes) } else { 0 };
        let chunk = ReadChunk { position, max_bytes };
        let body = Body::FetchSnapshot { snapshot, size: size.unwrap_or(0), position, chunk };
        self.reply(token, error, body, out);
    }

    /// The leader sends this replica to a snapshot.
    pub(super) fn begin_download(&mut self, snapshot: SnapshotId, peer: BrokerId, now: Now, out: &mut Vec<Output>) {
        if let Some(committed) = self.high_watermark.filter(|&committed| snapshot.offset < committed) {
            let reason = format!("the leader sends to snapshot {snapshot}, below the high watermark {committed}");
            return self.fail(reason, out);
        }
        if snapshot.offset <= Offset::ZERO || snapshot.epoch < LeaderEpoch(0) {
            return self.peers.back_off(peer, now);
        }
        if let Role::Follower(follower) = &mut self.role {
            follower.download = Some(Download { snapshot, position: 0, size: None });
        }
    }
    /// The request for the next piece, if a snapshot is being downloaded.
    pub(super) fn next_piece(&self) -> Option<Request> {
        let Role::Follower(follower) = &self.role else { return None };
        let download = follower.download.filter(|d| d.size.is_none())?;
        Some(Request::FetchSnapshot {
            replica: self.me,
            epoch: self.election.epoch,
            snapshot: download.snapshot,
            position: download.position,
            max_bytes: self.config.fetch_max_bytes,
        })
    }
    /// True while a download is being checked and made durable: nothing is to be asked then.
    pub(super) fn is_finishing_download(&self) -> bool {
        matches!(&self.role, Role::Follower(f) if f.download.is_some_and(|d| d.size.is_some()))
    }
    /// A piece arrived (`KafkaRaftClient.handleFetchSnapshotResponse`).
    pub(super) fn on_piece(
        &mut self,
        now: Now,
        peer: BrokerId,
        (snapshot, size, position): (SnapshotId, u64, u64),
        bytes: Bytes,
        out: &mut Vec<Output>,
    ) {
        let fetch_deadline = now.after_ms(self.config.fetch_timeout_ms);
        let Role::Follower(follower) = &mut self.role else { return };
        let Some(download) = follower.download.as_mut().filter(|_| follower.leader == peer) else { return };
        let end = position + bytes.len() as u64;
        let expected = (download.snapshot, download.position) == (snapshot, position) && download.size.is_none();
        if !expected || bytes.is_empty() || end > size {
            // Nonsense: begin again.
            follower.download = None;
            return self.peers.back_off(peer, now);
        }
        (follower.fetch_deadline, follower.has_fetched) = (fetch_deadline, true);
        download.position = end;
        out.push(Output::WriteChunk { snapshot, position, bytes });
        if end == size {
            download.size = Some(size);
            out.push(Output::FinishSnapshot { snapshot, size });
        }
    }
    /// The leader has the snapshot no more, or what came is not whole: ask again what to do.
    pub(super) fn end_download(&mut self, now: Now, snapshot: Option<SnapshotId>) {
        if let Role::Follower(follower) = &mut self.role
            && follower.download.is_some_and(|d| snapshot.is_none_or(|id| id == d.snapshot))
        {
            follower.download = None;
            let leader = follower.leader;
            self.peers.back_off(leader, now);
        }
    }

    /// A snapshot is durable: one that was downloaded, or one of our own.
    pub(super) fn on_snapshot_stored(&mut self, now: Now, snapshot: SnapshotId, size: u64, out: &mut Vec<Output>) {
        let downloaded = matches!(&self.role, Role::Follower(f)
            if f.download.is_some_and(|d| d.snapshot == snapshot && d.size == Some(size)));
        if downloaded {
            mark(Mark::SnapshotLoaded);
            self.load_snapshot(now, snapshot, size, out);
        } else if self.covers(snapshot) {
            mark(Mark::SnapshotWritten);
            self.snapshots.insert(snapshot, size);
        } else if !self.snapshots.contains_key(&snapshot) {
            // Overtaken by a leader's snapshot, or downloaded from a leader that is none any more.
            out.push(Output::DeleteSnapshot { snapshot });
        }
    }
    /// True if the snapshot is of what this log holds, or held, and is committed.
    fn covers(&self, snapshot: SnapshotId) -> bool {
        let start = self.log.log_start();
        snapshot.offset > start
            && self.high_watermark.is_some_and(|committed| snapshot.offset <= committed)
            && self.log.epochs().epoch_at(snapshot.offset - 1) == Some(snapshot.epoch)
    }
    fn load_snapshot(&mut self, now: Now, snapshot: SnapshotId, size: u64, out: &mut Vec<Output>) {
        assert_eq!(self.log.visible_end(), self.log.log_end(), "loading a snapshot over a log that is being written");
        let fetch_deadline = now.after_ms(self.config.fetch_timeout_ms);
        if let Role::Follower(follower) = &mut self.role {
            (follower.download, follower.fetch_deadline) = (None, fetch_deadline);
        }
        self.log.truncate_fully_to(snapshot.offset);
        self.sync_under_way = false;
        out.push(Output::LoadSnapshot { generation: self.log.generation(), snapshot });
        for old in std::mem::take(&mut self.snapshots).into_keys().filter(|&old| old != snapshot) {
            out.push(Output::DeleteSnapshot { snapshot: old });
        }
        self.snapshots.insert(snapshot, size);
        self.raise_high_watermark(snapshot.offset, out);
    }
    /// What comes before a snapshot may go, the snapshot itself staying (`KafkaMetadataLog.deleteBeforeSnapshot`).
    pub(super) fn clean(&mut self, before: SnapshotId, out: &mut Vec<Output>) {
        let covered = self.snapshots.contains_key(&before) || planted(Bug::MetadataRetentionPastSnapshot);
        if !covered || !self.log.advance_log_start(before.offset) {
            return;
        }
        let kept = self.snapshots.split_off(&self.latest_snapshot().map_or(before, |latest| latest.min(before)));
        for snapshot in std::mem::replace(&mut self.snapshots, kept).into_keys() {
            out.push(Output::DeleteSnapshot { snapshot });
        }
        out.push(Output::DeleteBelow { start: before.offset });
    }
}

/// A fetch answer that carries nothing.
pub(super) fn no_records() -> Body<ReadRange, ReadChunk> {
    let nothing = ReadRange { from: Offset::ZERO, to: Offset::ZERO };
    Body::Fetch { high_watermark: None, diverging: None, snapshot: None, records: nothing }
}
