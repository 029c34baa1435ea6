//! What stands on a node's disk in the quorum's small world: snapshots, whose content is the batches that they cover,
//! and the log after one of them.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::judge::Verdict;
use crate::base::random::Stream;
use crate::base::{BrokerId, LeaderEpoch, Offset};
use crate::log::epochs::EpochCache;
use crate::log::state::LogState;
use crate::raft::{Batch, Content, SnapshotId, start_from};

/// A snapshot: all that it covers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Snapshot(pub(super) Vec<Batch>);

pub(super) type Snapshots = BTreeMap<SnapshotId, Snapshot>;

impl Snapshot {
    /// What it has to be called.
    pub(super) fn id(&self) -> Option<SnapshotId> {
        self.0.last().map(|b| SnapshotId { offset: b.next, epoch: b.epoch })
    }
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let ids = |ids: &[BrokerId]| ids.iter().map(|id| id.0 as u8).collect::<Vec<_>>();
        for b in &self.0 {
            let parts = match &b.content {
                Content::Encoded(bytes) => vec![bytes.to_vec()],
                Content::LeaderChange { leader, voters, granting } => vec![ids(&[*leader]), ids(voters), ids(granting)],
            };
            out.extend([b.base.0 as u32, b.next.0 as u32, b.epoch.0 as u32].iter().flat_map(|n| n.to_le_bytes()));
            out.push(parts.len() as u8);
            for part in parts {
                out.push(part.len() as u8);
                out.extend(part);
            }
        }
        out
    }
    pub(super) fn decode(mut bytes: &[u8]) -> Option<Self> {
        fn take<'a>(bytes: &mut &'a [u8], n: usize) -> Option<&'a [u8]> {
            let (head, rest) = bytes.split_at_checked(n)?;
            *bytes = rest;
            Some(head)
        }
        let ids = |part: &[u8]| part.iter().map(|&id| BrokerId(i32::from(id))).collect::<Vec<_>>();
        let mut all = Vec::new();
        while !bytes.is_empty() {
            let mut number = || Some(u32::from_le_bytes(take(&mut bytes, 4)?.try_into().ok()?));
            let (base, next, epoch) = (number()?, number()?, number()?);
            let mut parts = Vec::new();
            for _ in 0..take(&mut bytes, 1)?[0] {
                let len = take(&mut bytes, 1)?[0];
                parts.push(take(&mut bytes, usize::from(len))?.to_vec());
            }
            let content = match &parts[..] {
                [one] => Content::Encoded(Bytes::from(one.clone())),
                [leader, voters, granting] => {
                    Content::LeaderChange { leader: ids(leader)[0], voters: ids(voters), granting: ids(granting) }
                }
                _ => return None,
            };
            let (base, next) = (Offset(i64::from(base)), Offset(i64::from(next)));
            all.push(Batch { base, next, epoch: LeaderEpoch(epoch as i32), content });
        }
        Some(Self(all))
    }
}

/// The log from some offset on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tail {
    pub(super) start: Offset,
    pub(super) batches: Vec<Batch>,
}

impl Tail {
    pub(super) fn up_to(&self, end: Offset) -> Self {
        let batches = self.batches.iter().filter(|b| b.next <= end).cloned().collect();
        Self { start: self.start, batches }
    }
    /// The snapshot that this log continues, and the log.
    pub(super) fn after(&self, snapshots: &Snapshots) -> Snapshot {
        let base = snapshots.iter().find(|(id, _)| id.offset == self.start).map(|(_, content)| content.0.clone());
        let mut all = base.unwrap_or_default();
        all.extend(self.batches.iter().cloned());
        Snapshot(all)
    }
    /// A start after whatever happened: by the rule that the real shell follows.
    pub(super) fn recover(&mut self, snapshots: &mut Snapshots) -> Result<LogState, String> {
        let mut log = LogState::recovered(self.start, self.start, EpochCache::default());
        for batch in &self.batches {
            log.append(batch.epoch, batch.base, batch.next);
        }
        let log = LogState::recovered(self.start, log.log_end(), log.epochs().clone());
        let known: Vec<_> = snapshots.keys().copied().collect();
        let start = start_from(&log, &known).map_err(|e| e.to_string())?;
        start.unwanted.iter().for_each(|id| drop(snapshots.remove(id)));
        self.start = start.log.log_start();
        let keep = |b: &Batch| start.anew.is_none() && b.base >= start.log.log_start();
        self.batches.retain(keep);
        Ok(start.log)
    }
    /// The page cache is gone: of what was not synced, a beginning may be there or not.
    pub(super) fn lose_power(&mut self, durable: &Self, stream: &mut Stream) {
        let common = self.batches.iter().zip(&durable.batches).take_while(|(a, b)| a == b).count();
        if self.start == durable.start && common == durable.batches.len() {
            let kept = stream.between(common as u64, self.batches.len() as u64) as usize;
            self.batches.truncate(kept);
        } else if stream.chance(1, 2) {
            // A cut that did not reach the device.
            *self = durable.clone();
        }
    }
}

#[test]
fn a_snapshot_is_read_as_it_was_written() -> Verdict {
    let ids = vec![BrokerId(0), BrokerId(2)];
    let change = Content::LeaderChange { leader: BrokerId(2), voters: ids.clone(), granting: ids };
    let batch = |base, content| Batch { base: Offset(base), next: Offset(base + 1), epoch: LeaderEpoch(3), content };
    let snapshot = Snapshot(vec![batch(0, change), batch(1, Content::Encoded(Bytes::from_static(b"x")))]);
    assert_eq!(Snapshot::decode(&snapshot.encode()), Some(snapshot));
    Ok(())
}
