//! One replica's log as its own node tells it, and what its disk has lost.

use crate::base::{LeaderEpoch, Offset};
use crate::broker::probe::BatchMark;

/// One replica as its own node tells it.
#[derive(Clone, Debug, Default)]
pub struct Replica {
    /// The process runs and has loaded this log.
    pub up: bool,
    /// What the log holds.
    pub batches: Vec<BatchMark>,
    /// First offset that is still there.
    pub start: Offset,
    /// The high watermark as this replica knows it.
    pub high_watermark: Offset,
    /// The epoch in which it presumes to lead.
    pub leading: Option<LeaderEpoch>,
    /// Below this offset it is known to agree with the committed log.
    pub agreed: Offset,
    /// A storage fault hit the node and its new incarnation has not registered yet.
    pub excused: bool,
    /// The last process end was a storage fault, so the next load may find less.
    pub storage_fault: bool,
    /// What storage faults took from this replica and it has not got back since.
    pub lost: Vec<BatchMark>,
    /// The largest log end at which a process of this node ended, in whatever way.
    pub ended: Offset,
    /// It may still hold, from this offset on, what the election of this epoch discarded; until it truncates, what it
    /// takes for committed counts only below.
    pub doomed: Option<(Offset, LeaderEpoch)>,
}

impl Replica {
    /// The next offset after what the log holds.
    #[must_use]
    pub fn end(&self) -> Offset {
        self.batches.last().map_or(self.start, |b| b.next)
    }
    /// The high watermark, as far as no election has discarded what it stood for.
    #[must_use]
    pub fn trusted_high_watermark(&self) -> Offset {
        self.doomed.map_or(self.high_watermark, |(from, _)| self.high_watermark.min(from))
    }
    /// True if this very batch was lost to a storage fault and has not come back.
    #[must_use]
    pub fn has_lost(&self, mark: &BatchMark) -> bool {
        self.lost.contains(mark)
    }
    /// True if the log holds this very batch.
    #[must_use]
    pub fn holds(&self, mark: &BatchMark) -> bool {
        batch_over(&self.batches, mark.base) == Some(mark)
    }
    /// Moves the known agreement with the committed log forward as far as it goes. Below `excused` nothing is compared: there each
    /// replica cleans at its own time, or retention has taken what was promised, and a follower may hold other batches until it
    /// takes over the log start (`LeaderEpochFileCache.endOffsetFor`).
    pub(super) fn advance_agreement(&mut self, committed: &[BatchMark], excused: Offset) {
        self.agreed = self.agreed.max(self.start).max(excused.min(self.end()));
        // A log start may cut through a batch: what is left of it counts with the whole batch.
        while let (Some(theirs), Some(ours)) =
            (batch_over(committed, self.agreed), batch_over(&self.batches, self.agreed))
        {
            if ours != theirs {
                break;
            }
            self.agreed = ours.next;
        }
    }
    pub(super) fn append(&mut self, batches: &[BatchMark]) {
        if !self.lost.is_empty() {
            self.lost.retain(|mark| !batches.contains(mark));
        }
        // Whoever takes in what the new leader has written has truncated before, or is wrong from here on.
        let newest = batches.last().map_or(LeaderEpoch::NONE, |b| b.epoch);
        self.doomed = self.doomed.filter(|(_, epoch)| newest < *epoch);
        self.batches.extend_from_slice(batches);
    }
    pub(super) fn truncate(&mut self, to: Offset, start: Offset) {
        let keep = self.batches.partition_point(|b| b.next <= to);
        self.batches.truncate(keep);
        self.start = start;
        self.batches.retain(|b| b.next > start);
        self.agreed = self.agreed.min(to).max(start);
        self.doomed = self.doomed.filter(|(from, _)| to > *from);
    }
    /// The cleaner is done with `base..next`; retention may have taken some of it meanwhile.
    pub(super) fn compact(&mut self, base: Offset, next: Offset, batches: &[BatchMark]) {
        let from = self.batches.partition_point(|b| b.next <= base);
        let to = self.batches.partition_point(|b| b.base < next);
        let start = self.start;
        self.batches.splice(from..to, batches.iter().filter(|b| b.next > start).copied());
    }
    pub(super) fn start_at(&mut self, start: Offset) {
        self.start = start;
        self.batches.retain(|b| b.next > start);
        self.agreed = self.agreed.max(start);
    }
    pub(super) fn went_down(&mut self, storage_fault: bool) {
        self.up = false;
        self.leading = None;
        self.ended = self.ended.max(self.end());
        self.excused |= storage_fault;
        self.storage_fault |= storage_fault;
    }
    pub(super) fn load(&mut self, start: Offset, high_watermark: Offset, batches: &[BatchMark]) {
        let mut lost = std::mem::take(&mut self.lost);
        if self.storage_fault {
            lost.extend(self.batches.iter().filter(|b| b.next > start));
        }
        lost.retain(|mark| batch_over(batches, mark.base) != Some(mark));
        lost.sort_unstable_by_key(|mark| (mark.base, mark.epoch, mark.crc));
        lost.dedup();
        let end = batches.last().map_or(start, |b| b.next);
        *self = Self {
            up: true,
            batches: batches.to_vec(),
            start,
            high_watermark,
            leading: None,
            agreed: start,
            excused: self.excused,
            storage_fault: false,
            lost,
            ended: self.ended,
            doomed: self.doomed.filter(|(from, _)| end > *from),
        };
    }
}

/// The batch that holds `offset`; it is nearly always the last one or not there yet.
pub(super) fn batch_over(batches: &[BatchMark], offset: Offset) -> Option<&BatchMark> {
    let holds = |b: &&BatchMark| b.base <= offset && offset < b.next;
    match batches.last() {
        Some(last) if last.base > offset => batches.get(batches.partition_point(|b| b.next <= offset)).filter(holds),
        last => last.filter(holds),
    }
}
