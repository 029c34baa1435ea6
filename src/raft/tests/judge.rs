//! What must hold for every quorum: kept from the outputs of the cores and the contents of the disks alone.

use std::collections::BTreeMap;

use crate::base::{BrokerId, LeaderEpoch, Offset};
use crate::raft::{Batch, RoleKind, SnapshotId};

/// The record of what was promised so far.
#[derive(Debug, Default)]
pub(super) struct Judge {
    leaders: BTreeMap<LeaderEpoch, (BrokerId, u32)>,
    votes: BTreeMap<(BrokerId, LeaderEpoch), BrokerId>,
    epochs: BTreeMap<(BrokerId, u32), LeaderEpoch>,
    high_watermarks: BTreeMap<(BrokerId, u32), Offset>,
    /// All batches that were ever committed.
    committed: Vec<Batch>,
}

pub(super) type Verdict = Result<(), String>;

impl Judge {
    /// At most one leader per epoch, ever; it holds all that was committed in epochs before its own. One that learns late
    /// of an election that others have outrun is fenced, not complete.
    pub(super) fn leads(&mut self, node: BrokerId, life: u32, epoch: LeaderEpoch, log: &[Batch]) -> Verdict {
        if let Some(other) = self.leaders.insert(epoch, (node, life)) {
            return Err(format!("epoch {epoch} is led by {other:?} and by {:?}", (node, life)));
        }
        let outrun = self.committed.last().is_some_and(|last| last.epoch > epoch);
        if !outrun && log.get(..self.committed.len()) != Some(&self.committed[..]) {
            return Err(format!("leader {node} of epoch {epoch} lacks committed records"));
        }
        Ok(())
    }
    /// One vote per voter and epoch, in all its lives.
    pub(super) fn votes(&mut self, node: BrokerId, epoch: LeaderEpoch, candidate: BrokerId) -> Verdict {
        match self.votes.insert((node, epoch), candidate) {
            Some(before) if before != candidate => {
                Err(format!("{node} voted for {before} and for {candidate} in epoch {epoch}"))
            }
            _ => Ok(()),
        }
    }
    pub(super) fn plays(&mut self, node: BrokerId, life: u32, role: RoleKind, epoch: LeaderEpoch) -> Verdict {
        match self.epochs.insert((node, life), epoch) {
            Some(before) if before > epoch => Err(format!("{node} as {role:?} fell from epoch {before} to {epoch}")),
            _ => Ok(()),
        }
    }
    /// The high watermark rises; what it covers is the same for all and on a majority of `disks`.
    pub(super) fn commits(
        &mut self,
        (node, life): (BrokerId, u32),
        end: Offset,
        log: &[Batch],
        disks: &[Vec<Batch>],
    ) -> Verdict {
        if self.high_watermarks.insert((node, life), end).is_some_and(|before| before > end) {
            return Err(format!("the high watermark of {node} fell to {end}"));
        }
        let prefix = &log[..log.partition_point(|b| b.next <= end)];
        if prefix.last().map_or(Offset::ZERO, |b| b.next) != end {
            return Err(format!("{node} calls {end} committed but does not hold it"));
        }
        let both = prefix.len().min(self.committed.len());
        if prefix[..both] != self.committed[..both] {
            return Err(format!("what {node} calls committed below {end} is not what was committed before"));
        }
        if prefix.len() > both {
            let holders = disks.iter().filter(|disk| disk.get(..prefix.len()) == Some(prefix)).count();
            if holders < disks.len() / 2 + 1 {
                return Err(format!("{node} commits {end}, which is on {holders} of {} disks", disks.len()));
            }
            self.committed = prefix.to_vec();
        }
        Ok(())
    }
    /// A snapshot holds exactly what is committed below its end, and is named after the last record in it.
    pub(super) fn snapshot(&self, node: BrokerId, id: SnapshotId, content: &[Batch]) -> Verdict {
        let last = content.last().map(|b| (b.next, b.epoch));
        if last != Some((id.offset, id.epoch)) {
            return Err(format!("snapshot {id} of {node} ends with {last:?}"));
        }
        if self.committed.get(..content.len()) != Some(content) {
            return Err(format!("snapshot {id} of {node} is not what is committed below it"));
        }
        Ok(())
    }
    /// Logs that agree in one batch agree in all before it.
    pub(super) fn logs_match(logs: &[Vec<Batch>]) -> Verdict {
        for (i, a) in logs.iter().enumerate() {
            for b in &logs[i + 1..] {
                let same = |x: &Batch, y: &Batch| (x.base, x.epoch) == (y.base, y.epoch);
                let last = a.iter().zip(b.iter()).rposition(|(x, y)| same(x, y));
                if let Some(last) = last
                    && a[..=last] != b[..=last]
                {
                    return Err(format!("two logs agree in {:?} but not before it", a[last]));
                }
            }
        }
        Ok(())
    }
}
