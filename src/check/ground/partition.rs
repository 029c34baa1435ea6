//! One partition: the controller's word, the committed log as leaders exposed it, and all replicas.

use std::collections::{BTreeMap, BTreeSet};

use super::replica::Replica;
use super::restart::{self, Restart};
use crate::base::{BrokerId, LeaderEpoch, Offset};
use crate::broker::probe::{BatchMark, Event, PartitionFacts};

/// What the configuration promises for one topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// `min.insync.replicas`.
    pub min_isr: usize,
    /// Eligible leader replicas are on.
    pub elr: bool,
    /// `unclean.leader.election.enable`.
    pub unclean: bool,
}

impl Rules {
    /// How many replicas must hold a record before it counts as written: M of the fault budget.
    #[must_use]
    pub fn copies(&self, facts: &PartitionFacts) -> usize {
        self.min_isr.min(facts.replicas.len()).max(1)
    }
}

/// One leadership as its own node told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Leadership {
    node: BrokerId,
    /// The largest high watermark that it exposed.
    exposed: Offset,
}

/// One partition.
#[derive(Clone, Debug, Default)]
pub struct Partition {
    /// The controller's latest committed word, and the metadata offset that it stands at.
    pub facts: Option<(Offset, PartitionFacts)>,
    /// What legitimate leaders have exposed: everything below `true_hw`.
    pub committed: Vec<BatchMark>,
    /// The largest high watermark that a legitimate leader has exposed.
    pub true_hw: Offset,
    /// The largest log start that any replica has told: below it records may be gone, by retention or DeleteRecords.
    pub log_start: Offset,
    /// Where any replica's log was ever told to begin.
    pub log_starts: BTreeSet<Offset>,
    /// Below this offset some replica's log is compacted, or may be after its node's next start.
    pub compacted: Offset,
    /// Elections that gave up what was committed, in their order.
    pub restarts: Vec<Restart>,
    /// Nodes that hold a log from before they were told that they are no replicas.
    pub dismissed: BTreeSet<BrokerId>,
    /// Who led last by the controller's word.
    pub last_leader: BrokerId,
    /// All replicas that were ever seen.
    pub replicas: BTreeMap<BrokerId, Replica>,
    leaderships: BTreeMap<LeaderEpoch, Leadership>,
}

impl Partition {
    /// The latest facts without their offset.
    #[must_use]
    pub fn latest(&self) -> Option<&PartitionFacts> {
        self.facts.as_ref().map(|(_, f)| f)
    }
    /// True if `replica` holds everything that was committed and is still retained by it.
    #[must_use]
    pub fn is_complete(&self, replica: &Replica) -> bool {
        replica.agreed >= self.true_hw
    }
    /// True if this member of the ISR lacks only what Kafka lets it lack; see [`restart`](super::restart).
    #[must_use]
    pub fn may_lack(&self, id: BrokerId, replica: &Replica, rules: &Rules) -> bool {
        let Some(facts) = self.latest() else { return false };
        restart::lack(self, id, replica, &facts.isr, rules).is_some()
    }
    /// The epoch of the leadership that acknowledged a record at `offset` to a client that had asked the leader of
    /// `sent_to`: with `committed`, one whose high watermark had passed it. None if there was no such leadership.
    #[must_use]
    pub fn acknowledged_in(&self, offset: Offset, sent_to: LeaderEpoch, committed: bool) -> Option<LeaderEpoch> {
        let asked = self.leaderships.get(&sent_to).map(|l| l.node);
        let fits = |l: &Leadership| asked.is_none_or(|node| node == l.node) && (!committed || l.exposed > offset);
        self.leaderships.iter().rev().find(|(_, l)| fits(l)).map(|(epoch, _)| *epoch)
    }
    /// The election that gave up a record which a leader of `epoch` had acknowledged at `offset`.
    #[must_use]
    pub fn given_up(&self, offset: Offset, epoch: LeaderEpoch) -> Option<&Restart> {
        self.restarts.iter().find(|r| r.covers(offset, epoch))
    }
    /// How many elections gave up what stood at `offset`.
    #[must_use]
    pub fn restarts_at(&self, offset: Offset) -> usize {
        self.restarts.iter().filter(|r| offset >= r.kept).count()
    }
    /// Who lost the record at `offset` that a leader of `epoch` or an older one wrote, and has not got it back.
    #[must_use]
    pub fn losers(&self, offset: Offset, epoch: LeaderEpoch) -> Vec<BrokerId> {
        let it = |mark: &BatchMark| mark.base <= offset && offset < mark.next && mark.epoch <= epoch;
        self.replicas.iter().filter(|(_, r)| r.lost.iter().any(it)).map(|(id, _)| *id).collect()
    }
    pub(super) fn losers_in_words(&self, mark: &BatchMark) -> String {
        let losers: Vec<_> = self.replicas.iter().filter(|(_, r)| r.has_lost(mark)).map(|(id, _)| id.0).collect();
        lost_in_words(&losers)
    }
    /// The replica of `node` told something of its log.
    pub(super) fn observe(&mut self, node: BrokerId, event: &Event) {
        if let Event::LogLoaded { .. } = event {
            self.dismissed.remove(&node);
        }
        let replica = self.replicas.entry(node).or_default();
        match event {
            Event::LogLoaded { start, high_watermark, batches, .. } => {
                replica.load(*start, *high_watermark, batches);
                self.log_starts.insert(*start);
            }
            Event::LogAppended { batches, .. } => replica.append(batches),
            Event::LogTruncated { to, start, .. } => {
                replica.truncate(*to, *start);
                self.log_starts.insert(*start);
            }
            Event::LogStart { start, .. } => {
                replica.start_at(*start);
                self.log_starts.insert(*start);
            }
            // A node that dies now has its log compacted by its next start, and nobody else tells of it.
            Event::LogSwapping { next, .. } => self.compacted = self.compacted.max(*next),
            Event::LogCompacted { base, next, batches, .. } => {
                replica.compact(*base, *next, batches);
                self.compacted = self.compacted.max(*next);
            }
            Event::LeaderStarted { epoch, high_watermark, .. } => {
                replica.leading = Some(*epoch);
                replica.high_watermark = *high_watermark;
                replica.doomed = replica.doomed.filter(|(_, discarded_by)| epoch < discarded_by);
                self.leaderships.insert(*epoch, Leadership { node, exposed: *high_watermark });
                self.adopt(node, *epoch);
            }
            Event::FollowerStarted { .. } => replica.leading = None,
            Event::HighWatermark { high_watermark, .. } => replica.high_watermark = *high_watermark,
            _ => {}
        }
        let Some(replica) = self.replicas.get_mut(&node) else { return };
        self.log_start = self.log_start.max(replica.start);
        // What a cleaner has rewritten was not lost because other batches stand there.
        replica.lost.retain(|mark| mark.next > self.compacted);
        replica.advance_agreement(&self.committed, self.compacted.max(self.log_start));
        if let Event::HighWatermark { leading: true, epoch, high_watermark, .. } = event {
            self.expose(node, *epoch, *high_watermark);
        }
    }
    fn expose(&mut self, node: BrokerId, epoch: LeaderEpoch, high_watermark: Offset) {
        if let Some(leadership) = self.leaderships.get_mut(&epoch) {
            leadership.exposed = leadership.exposed.max(high_watermark);
        }
        let current = self.latest().is_none_or(|f| epoch >= f.leader_epoch);
        if !current || high_watermark <= self.true_hw {
            return;
        }
        let Some(leader) = self.replicas.get(&node) else { return };
        if leader.agreed < self.true_hw {
            return; // leader completeness reports this one; its log is not the committed one
        }
        let from = leader.batches.partition_point(|b| b.base < self.true_hw);
        let new: Vec<_> = leader.batches[from..].iter().take_while(|b| b.next <= high_watermark).copied().collect();
        self.committed.extend(new);
        self.true_hw = self.committed.last().map_or(self.true_hw, |b| b.next);
        self.advance_all();
    }
    fn advance_all(&mut self) {
        for replica in self.replicas.values_mut() {
            replica.advance_agreement(&self.committed, self.compacted.max(self.log_start));
        }
    }
    /// The controller's word. Names the election that gave up what was committed, if it was one.
    pub(super) fn decide(&mut self, offset: Offset, facts: &PartitionFacts, rules: &Rules) -> Option<&Restart> {
        if self.facts.as_ref().is_some_and(|(at, _)| *at >= offset) {
            return None;
        }
        let old = self.facts.replace((offset, facts.clone())).map(|(_, old)| old);
        let elected = facts.leader != BrokerId::NONE
            && old.as_ref().is_none_or(|old| (old.leader, old.leader_epoch) != (facts.leader, facts.leader_epoch));
        if !elected {
            return None;
        }
        let replica = self.replicas.get(&facts.leader);
        let found = replica.and_then(|replica| {
            let (reason, detail) = restart::permission(self, old.as_ref(), facts, replica, rules)?;
            Some((reason, detail, replica.agreed.min(self.true_hw)))
        });
        self.last_leader = facts.leader;
        let (reason, detail, kept) = found?;
        let gone = self.committed.split_off(self.committed.partition_point(|b| b.next <= kept));
        self.true_hw = kept;
        for (id, replica) in &mut self.replicas {
            replica.agreed = replica.agreed.min(kept);
            if *id != facts.leader && replica.end() > kept {
                let from = replica.doomed.map_or(kept, |(from, _)| from.min(kept));
                replica.doomed = Some((from, facts.leader_epoch));
            }
        }
        let (epoch, leader) = (facts.leader_epoch, facts.leader);
        self.restarts.push(Restart { epoch, leader, kept, reason, detail, gone });
        self.restarts.last()
    }
    /// Until it was told of its election the new leader may have got more of what seemed to be gone.
    fn adopt(&mut self, node: BrokerId, epoch: LeaderEpoch) {
        let Some(restart) = self.restarts.last_mut().filter(|r| (r.leader, r.epoch) == (node, epoch)) else { return };
        let Some(leader) = self.replicas.get(&node) else { return };
        let held = restart.gone.iter().take_while(|mark| leader.holds(mark)).count();
        self.committed.extend(restart.gone.drain(..held));
        restart.kept = restart.kept.max(self.committed.last().map_or(restart.kept, |b| b.next));
        self.true_hw = self.true_hw.max(restart.kept);
        self.advance_all();
    }
}

/// Who lost a record to storage faults.
pub(in crate::check) fn lost_in_words(brokers: &[i32]) -> String {
    let brokers: Vec<_> = brokers.iter().map(ToString::to_string).collect();
    format!("brokers {{{}}} lost it to storage faults before it was synced", brokers.join(","))
}
