//! What poll does for a member of the consumer protocol (KIP-848): it owns what the coordinator has told it to, after it has given
//! up the rest (`AbstractMembershipManager.reconcile`).

use std::collections::BTreeSet;

use super::{GivingUp, Member};
use crate::base::{Now, TopicPartition};
use crate::client::consumer::fetcher::Fetcher;
use crate::client::consumer::group::driver::Both;
use crate::client::consumer::group::types::Rebalance;

impl Member {
    /// One step: commits what was consumed of what must go if that is wanted, then owns it no more, then takes what is new. Between
    /// these the application hears of it and may commit.
    pub(super) fn reconcile(&mut self, both: &mut Both, now: Now, fetcher: &mut Fetcher) {
        let owned: BTreeSet<TopicPartition> = fetcher.assignment().cloned().collect();
        let Some(target) = both.membership.told(&owned) else { return };
        let gone: BTreeSet<TopicPartition> = owned.difference(&target).cloned().collect();
        match self.giving_up {
            GivingUp::Idle | GivingUp::Told if gone.is_empty() => self.take_target(both, now, fetcher, &owned, target),
            GivingUp::Idle | GivingUp::Told => {
                self.rebalances.push(Rebalance::JoinPrepared(both.membership.stamp(now)));
                // From here on nothing may be consumed of them that would not be committed.
                fetcher.pause(&gone.iter().cloned().collect::<Vec<_>>(), true);
                self.withheld.extend(gone.iter().cloned());
                if !self.commits_first(both, now, fetcher) {
                    self.release(both, now, fetcher, gone);
                }
            }
            GivingUp::Committing { id, until_ns } => {
                if self.has_committed(both, now, id, until_ns) {
                    self.release(both, now, fetcher, gone);
                }
            }
        }
    }
    /// The application is told at once what it owns no more; the coordinator hears of it after the next poll has begun.
    fn release(&mut self, both: &mut Both, now: Now, fetcher: &mut Fetcher, gone: BTreeSet<TopicPartition>) {
        let kept = fetcher.assignment().filter(|tp| !gone.contains(*tp)).cloned().collect();
        fetcher.assign(kept);
        self.asked_anew(&mut both.membership);
        self.giving_up = GivingUp::Told;
        if !gone.is_empty() {
            let gone = gone.into_iter().collect();
            self.rebalances.push(Rebalance::Revoked(gone, both.membership.stamp(now)));
            self.interrupt = Some(Ok(()));
        }
    }
    fn take_target(
        &mut self,
        both: &mut Both,
        now: Now,
        fetcher: &mut Fetcher,
        owned: &BTreeSet<TopicPartition>,
        target: BTreeSet<TopicPartition>,
    ) {
        self.giving_up = GivingUp::Idle;
        // The coordinator may have thought better of it.
        let kept_after_all: Vec<_> = std::mem::take(&mut self.withheld).intersection(&target).cloned().collect();
        fetcher.pause(&kept_after_all, false);
        let added: Vec<_> = target.difference(owned).cloned().collect();
        if !added.is_empty() {
            fetcher.assign(target.clone());
            self.asked_anew(&mut both.membership);
            self.auto_commit_ns = now.after_ms(self.auto_commit_ms.unwrap_or(0));
            self.interrupt = Some(Ok(()));
        }
        self.rebalances.push(Rebalance::Assigned(added, both.membership.stamp(now)));
        both.membership.reconciled(now, &target);
        both.wake_driver();
    }
}
