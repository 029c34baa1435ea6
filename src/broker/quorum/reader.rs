//! What is committed, in order, and when this node leads.

use std::sync::Arc;

use super::{Quorum, encode};
use crate::base::{BrokerId, LeaderEpoch, Offset};
use crate::io::watch;
use crate::log::batch::BatchView;
use crate::raft::Leadership;
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
    /// Its records; none for a control batch.
    pub records: Vec<(Offset, MetadataRecord)>,
}

/// What a [`CommittedReader`] tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QuorumEvent {
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

/// Reads the committed log from its start; every reader sees everything once.
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
    Event(QuorumEvent),
    Nothing,
}

impl CommittedReader {
    pub(super) fn new(quorum: Arc<Quorum>) -> Self {
        let (news, position) = (quorum.news.clone(), quorum.shell.lock().core.log().log_start());
        Self { quorum, news, position, leading: None }
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
                Found::Batch(batch) => match encode::metadata_records(&batch) {
                    Ok(records) => {
                        self.position = batch.next_offset();
                        return QuorumEvent::Batch(CommittedBatch {
                            base: batch.base_offset(),
                            next: batch.next_offset(),
                            epoch: batch.leader_epoch(),
                            append_time_ms: batch.max_timestamp(),
                            records,
                        });
                    }
                    // Passing over it would let this node's metadata differ from that of others.
                    Err(error) => {
                        let reason = format!("committed metadata at {} is not readable: {error}", self.position);
                        self.quorum.shell.lock().fail(&reason);
                    }
                },
                Found::Nothing => {}
            }
            self.news.changed().await;
        }
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
        match shell.batches.at(self.position) {
            Some(batch) if batch.next_offset() <= committed => Found::Batch(batch.clone()),
            _ => Found::Nothing,
        }
    }
}
