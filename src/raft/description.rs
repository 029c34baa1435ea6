//! What a leader knows of its replicas, for whoever asks (DescribeQuorum; KIP-595, KIP-836; Kafka's
//! `LeaderState.ReplicaState`). Nothing here decides anything.

use super::core::RaftCore;
use super::roles::Leader;
use crate::base::time::NANOS_PER_MS;
use crate::base::{BrokerId, LeaderEpoch, Now, Offset};

/// After so long without a fetch an observer is forgotten, in ms (`LeaderState.OBSERVER_SESSION_TIMEOUT_MS`).
const OBSERVER_SESSION_MS: u64 = 300_000;

/// The quorum, as its leader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumDescription {
    /// Who describes it, and leads it.
    pub leader: BrokerId,
    /// In which epoch.
    pub epoch: LeaderEpoch,
    /// Everything below is committed; none until a record of this epoch is.
    pub high_watermark: Option<Offset>,
    /// All voters, by id.
    pub voters: Vec<ReplicaDescription>,
    /// Whoever else fetched lately, by id.
    pub observers: Vec<ReplicaDescription>,
}

/// One replica of the metadata log, as the leader sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplicaDescription {
    /// Which node.
    pub id: BrokerId,
    /// The end of its log at its last fetch; none if it has not fetched in this epoch.
    pub end: Option<Offset>,
    /// When it fetched last, in milliseconds since 1970 by the leader's clock.
    pub last_fetch_ms: Option<i64>,
    /// When it last had everything that the leader had at that time.
    pub last_caught_up_ms: Option<i64>,
}

/// The fetches of one replica.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fetches {
    end: Option<Offset>,
    at: Option<Now>,
    caught_up_ms: Option<i64>,
    /// Where the leader's log ended at the last fetch.
    leader_end: Option<Offset>,
}

impl Fetches {
    /// The replica fetches from `offset` on, while the leader's log ends at `leader_end`. Whoever fetches what the leader
    /// had at the fetch before was caught up then.
    pub(super) fn note(&mut self, now: Now, offset: Offset, leader_end: Offset) {
        if offset >= leader_end {
            self.caught_up_ms = Some(now.wall_ms);
        } else if self.leader_end.is_some_and(|before| before > Offset::ZERO && offset >= before) {
            self.caught_up_ms = self.caught_up_ms.max(self.at.map(|at| at.wall_ms));
        }
        (self.end, self.at, self.leader_end) = (Some(offset), Some(now), Some(leader_end));
    }
    fn describe(&self, id: BrokerId) -> ReplicaDescription {
        let last_fetch_ms = self.at.map(|at| at.wall_ms);
        ReplicaDescription { id, end: self.end, last_fetch_ms, last_caught_up_ms: self.caught_up_ms }
    }
    fn is_recent(&self, now: Now) -> bool {
        self.at.is_some_and(|at| now.mono_ns < at.mono_ns + OBSERVER_SESSION_MS * NANOS_PER_MS)
    }
}

impl Leader {
    /// Somebody without a vote fetches. Whoever gives no id is no replica.
    pub(super) fn note_observer(&mut self, now: Now, id: BrokerId, offset: Offset, leader_end: Offset) {
        if id >= BrokerId(0) {
            self.observers.retain(|_, fetches| fetches.is_recent(now));
            self.observers.entry(id).or_default().note(now, offset, leader_end);
        }
    }
}

impl RaftCore {
    /// What this node knows of the quorum; none unless it leads.
    #[must_use]
    pub fn describe(&self, now: Now) -> Option<QuorumDescription> {
        let leader = self.role.leading()?;
        let own = ReplicaDescription {
            id: self.me,
            end: Some(self.log.log_end()),
            last_fetch_ms: Some(now.wall_ms),
            last_caught_up_ms: Some(now.wall_ms),
        };
        let mut voters: Vec<_> = leader.voters.iter().map(|(id, voter)| voter.fetches.describe(*id)).collect();
        voters.push(own);
        voters.sort_unstable_by_key(|voter| voter.id);
        let observers = leader.observers.iter().filter(|(_, fetches)| fetches.is_recent(now));
        Some(QuorumDescription {
            leader: self.me,
            epoch: self.election.epoch,
            high_watermark: leader.high_watermark,
            voters,
            observers: observers.map(|(id, fetches)| fetches.describe(*id)).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Now {
        Now { mono_ns: ms * NANOS_PER_MS, wall_ms: 1_000_000 + ms as i64 }
    }

    #[test]
    fn who_fetches_the_end_is_caught_up_and_who_fetches_the_end_of_before_was_so_then() {
        let mut fetches = Fetches::default();
        assert_eq!(fetches.describe(BrokerId(2)).last_caught_up_ms, None);
        fetches.note(at(10), Offset(0), Offset(5));
        let seen = fetches.describe(BrokerId(2));
        assert_eq!((seen.end, seen.last_fetch_ms, seen.last_caught_up_ms), (Some(Offset(0)), Some(1_000_010), None));
        // Five records were there at the fetch before, and it has them: it was caught up with that moment.
        fetches.note(at(20), Offset(5), Offset(9));
        assert_eq!(fetches.describe(BrokerId(2)).last_caught_up_ms, Some(1_000_010));
        fetches.note(at(30), Offset(7), Offset(12));
        assert_eq!(fetches.describe(BrokerId(2)).last_caught_up_ms, Some(1_000_010), "it falls behind");
        fetches.note(at(40), Offset(12), Offset(12));
        let seen = fetches.describe(BrokerId(2));
        assert_eq!((seen.last_fetch_ms, seen.last_caught_up_ms), (Some(1_000_040), Some(1_000_040)));
    }

    #[test]
    fn an_observer_is_forgotten_after_five_minutes() {
        let mut fetches = Fetches::default();
        assert!(!fetches.is_recent(at(0)));
        fetches.note(at(10), Offset(0), Offset(0));
        assert!(fetches.is_recent(at(300_009)));
        assert!(!fetches.is_recent(at(300_010)));
    }
}
