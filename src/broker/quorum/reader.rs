//! What is committed, in order, and when this node leads.

use std::sync::Arc;

use super::snapshots::Content;
use super::{Quorum, encode};
use crate::base::{BrokerId, LeaderEpoch, Offset};
use crate::io::watch;
use crate::log::batch::BatchView;
use crate::raft::{Leadership, SnapshotId};
use crate::wire::records::MetadataRecord;

/// A committed batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedBatch {
    /// The offset of its first record.
    pub base: Offset,
    /// The offset after its last.
    pub next: Offset,
    /// The quorum epoch in which it was written.
    pub epoch: LeaderEpoch,
    /// When its leader wrote it, in milliseconds since 1970.
    pub append_time_ms: i64,
    /// Its size in the log.
    pub bytes: usize,
    /// Its records; none for a control batch.
    pub records: Vec<(Offset, MetadataRecord)>,
}

/// A snapshot that takes the place of all that came before its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedSnapshot {
    /// Which one.
    pub id: SnapshotId,
    /// When the last record that it covers was written, in milliseconds since 1970.
    pub append_time_ms: i64,
    /// All metadata below its end.
    pub records: Vec<MetadataRecord>,
}

/// What a [`CommittedReader`] tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QuorumEvent {
    /// The metadata up to some offset: at the start, and when this node was so far behind that its leader had nothing
    /// else to give. What was told before is to be forgotten.
    Snapshot(LoadedSnapshot),
    /// The next committed batch.
    Batch(CommittedBatch),
    /// This node leads `epoch`, and everything before `epoch_start` has been told.
    Leading {
        /// The quorum epoch.
        epoch: LeaderEpoch,
        /// Where its records start.
        epoch_start: Offset,
    },
    /// This node no longer leads `epoch`, which was told before.
    NotLeading {
        /// The quorum epoch.
        epoch: LeaderEpoch,
    },
}

/// Reads what is committed: the latest snapshot, then the log. Every reader sees everything once.
#[derive(Debug)]
pub struct CommittedReader {
    quorum: Arc<Quorum>,
    news: watch::Receiver<u64>,
    position: Offset,
    leading: Option<LeaderEpoch>,
}

/// Follows who leads.
#[derive(Clone, Debug)]
pub struct LeaderWatch(watch::Receiver<Leadership>);

impl LeaderWatch {
    pub(super) fn new(mut leadership: watch::Receiver<Leadership>) -> Self {
        leadership.mark_unchanged();
        Self(leadership)
    }
    /// Waits until leader or epoch are others than when this was last asked, or made.
    pub async fn changed(&mut self) -> (Option<BrokerId>, LeaderEpoch) {
        self.0.changed().await;
        let Leadership { leader, epoch } = *self.0.borrow();
        (leader, epoch)
    }
}

enum Found {
    Batch(BatchView),
    /// The next batch is on the disk only; all below that offset is committed.
    OnDisk(Offset),
    Snapshot(SnapshotId),
    Event(QuorumEvent),
    Nothing,
}

impl CommittedReader {
    pub(super) fn new(quorum: Arc<Quorum>) -> Self {
        let news = quorum.news.clone();
        Self { quorum, news, position: Offset::ZERO, leading: None }
    }
    /// The offset of the next batch that will be told.
    #[must_use]
    pub fn position(&self) -> Offset {
        self.position
    }
    /// Waits for the next event. Dropping the future loses nothing. If the quorum has failed
    /// ([`Quorum::failed`]), nothing comes any more.
    pub async fn next(&mut self) -> QuorumEvent {
        loop {
            self.news.mark_unchanged();
            match self.look() {
                Found::Event(event) => return event,
                Found::Batch(batch) => {
                    if let Some(event) = self.take(&batch) {
                        return event;
                    }
                }
                Found::OnDisk(committed) => {
                    // Whatever can be read is a whole batch; nothing if a snapshot has just taken its place.
                    let read = self.quorum.log.read(self.position, 1, committed, true).await;
                    let batch = read.ok().filter(|bytes| !bytes.is_empty()).and_then(|b| BatchView::parse(&b).ok());
                    match batch.filter(|b| b.base_offset() == self.position) {
                        Some(batch) => {
                            if let Some(event) = self.take(&batch) {
                                return event;
                            }
                        }
                        None if !matches!(self.look(), Found::OnDisk(_)) => continue,
                        None => self.give_up("is not on the disk"),
                    }
                }
                Found::Snapshot(id) => match self.quorum.snapshots.read(id).await {
                    Ok(Content { append_time_ms, records }) => {
                        self.position = id.offset;
                        return QuorumEvent::Snapshot(LoadedSnapshot { id, append_time_ms, records });
                    }
                    Err(_) if self.quorum.latest_snapshot() != Some(id) => continue,
                    Err(error) => self.give_up(&error.to_string()),
                },
                Found::Nothing => {}
            }
            self.news.changed().await;
        }
    }
    fn take(&mut self, batch: &BatchView) -> Option<QuorumEvent> {
        match encode::metadata_records(batch) {
            Ok(records) => {
                self.position = batch.next_offset();
                Some(QuorumEvent::Batch(CommittedBatch {
                    base: batch.base_offset(),
                    next: batch.next_offset(),
                    epoch: batch.leader_epoch(),
                    append_time_ms: batch.max_timestamp(),
                    bytes: batch.size(),
                    records,
                }))
            }
            Err(error) => {
                self.give_up(&error.to_string());
                None
            }
        }
    }
    /// Passing over something would let this node's metadata differ from that of others.
    fn give_up(&self, why: &str) {
        let reason = format!("committed metadata at {} is not readable: {why}", self.position);
        self.quorum.shell.lock().fail(&reason);
    }
    fn look(&mut self) -> Found {
        let shell = self.quorum.shell.lock();
        if let Some(epoch) = self.leading {
            if shell.leading.is_none_or(|(now, _)| now != epoch) {
                self.leading = None;
                return Found::Event(QuorumEvent::NotLeading { epoch });
            }
        } else if let Some((epoch, epoch_start)) = shell.leading
            && self.position >= epoch_start
        {
            self.leading = Some(epoch);
            return Found::Event(QuorumEvent::Leading { epoch, epoch_start });
        }
        if self.quorum.failure.borrow().is_some() {
            return Found::Nothing;
        }
        let committed = shell.core.high_watermark().unwrap_or(self.position);
        let behind = self.position == Offset::ZERO || self.position < shell.core.log().log_start();
        if let Some(snapshot) = shell.core.latest_snapshot().filter(|id| behind && id.offset > self.position) {
            return Found::Snapshot(snapshot);
        }
        if self.position < shell.batches.start().min(committed) {
            return Found::OnDisk(committed);
        }
        match shell.batches.at(self.position) {
            Some(batch) if batch.next_offset() <= committed => Found::Batch(batch.clone()),
            _ => Found::Nothing,
        }
    }
}
