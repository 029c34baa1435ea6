//! What a leader knows of one follower (Kafka's `Replica`).

use crate::base::{BrokerEpoch, BrokerId, Offset};

/// A follower as its fetches show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FollowerProgress {
    /// Which broker.
    pub id: BrokerId,
    /// Its log end: the offset of its last fetch, NONE before the first.
    pub log_end: Offset,
    /// Its log start, NONE before the first fetch.
    pub log_start: Offset,
    /// The registration that its last fetch carried.
    pub broker_epoch: Option<BrokerEpoch>,
    /// The leader's log end at the last fetch.
    last_fetch_leader_end: Offset,
    last_fetch_ms: Option<u64>,
    /// The latest time at which the follower is known to have had everything that the leader then had.
    caught_up_ms: Option<u64>,
}

impl FollowerProgress {
    /// A follower of which nothing is known. One in the ISR gets the benefit of the doubt: its lag counts from now.
    #[must_use]
    pub fn unknown(id: BrokerId, in_sync: bool, now_ms: u64) -> Self {
        Self {
            id,
            log_end: Offset::NONE,
            log_start: Offset::NONE,
            broker_epoch: None,
            last_fetch_leader_end: Offset::NONE,
            last_fetch_ms: None,
            caught_up_ms: in_sync.then_some(now_ms),
        }
    }
    /// The same leader leads on under a new epoch: lag counts anew, so that nobody is kept in or taken into the ISR
    /// by fetches of the leadership before.
    pub fn reelected(&mut self, leader_end: Offset, in_sync: bool, now_ms: u64) {
        self.last_fetch_leader_end = leader_end;
        self.last_fetch_ms = in_sync.then_some(now_ms);
        self.caught_up_ms = in_sync.then_some(now_ms);
    }
    /// Takes in a fetch from `offset`, received now while the leader's log ended at `leader_end`.
    ///
    /// A follower under steady load never reaches the newest end; it counts as caught up as of its previous fetch
    /// if it has reached the end that the leader had then.
    pub fn fetched(&mut self, offset: Offset, log_start: Offset, epoch: BrokerEpoch, leader_end: Offset, now_ms: u64) {
        if offset >= leader_end {
            self.caught_up_ms = self.caught_up_ms.max(Some(now_ms));
        } else if offset >= self.last_fetch_leader_end {
            self.caught_up_ms = self.caught_up_ms.max(self.last_fetch_ms);
        }
        self.log_end = offset;
        self.log_start = log_start;
        self.broker_epoch = Some(epoch);
        self.last_fetch_leader_end = self.last_fetch_leader_end.max(leader_end);
        self.last_fetch_ms = Some(now_ms);
    }
    /// True if the follower has the whole log or had it within the last `max_lag_ms`.
    #[must_use]
    pub fn caught_up(&self, leader_end: Offset, now_ms: u64, max_lag_ms: u64) -> bool {
        self.log_end == leader_end || self.caught_up_ms.is_some_and(|t| now_ms.saturating_sub(t) <= max_lag_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_follower_one_fetch_behind_a_busy_leader_stays_caught_up() {
        let mut f = FollowerProgress::unknown(BrokerId(2), true, 0);
        for fetch in 1..100u64 {
            let leader_end = Offset(fetch as i64 * 10);
            f.fetched(leader_end - 10, Offset(0), BrokerEpoch(1), leader_end, fetch * 500);
            assert!(f.caught_up(leader_end, fetch * 500, 500));
        }
        assert!(!f.caught_up(Offset(5000), 100 * 500 + 1, 500));
    }

    #[test]
    fn a_follower_that_fetches_but_falls_behind_is_not_caught_up() {
        let mut f = FollowerProgress::unknown(BrokerId(2), true, 0);
        f.fetched(Offset(0), Offset(0), BrokerEpoch(1), Offset(100), 10);
        f.fetched(Offset(50), Offset(0), BrokerEpoch(1), Offset(200), 1_000);
        assert!(!f.caught_up(Offset(200), 1_000, 500));
    }

    #[test]
    fn a_stranger_to_the_isr_has_never_been_caught_up_even_on_a_young_clock() {
        let f = FollowerProgress::unknown(BrokerId(2), false, 0);
        assert!(!f.caught_up(Offset(0), 0, 30_000));
    }
}
