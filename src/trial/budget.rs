//! The fault budget at run time: which brokers may have lost data and are not back yet, by what was observed.
//!
//! The rule itself is `scenario::budget`. A window closes when the broker has registered anew after its end, which takes it
//! out of every ISR if that was unclean, and stands in the ISR of all its partitions again. A disk that is about to fail
//! opens one before the broker ends of it, if it ever does.

use std::collections::BTreeMap;

use crate::base::{BrokerEpoch, BrokerId, TopicPartition};
use crate::check::ground::Ground;
use crate::scenario::Scenario;
use crate::scenario::budget::{self, Loss, Stake};

struct Window {
    loss: Loss,
    /// Under which epoch the broker was known when it ended; `None` as long as it has not.
    ended: Option<BrokerEpoch>,
}

/// The open windows of a run that keeps to its budget.
pub(super) struct Windows {
    stakes: Vec<Stake>,
    open: BTreeMap<BrokerId, Window>,
    registered: BTreeMap<BrokerId, BrokerEpoch>,
    /// Under which epoch each broker was known when its last life ended.
    ended: BTreeMap<BrokerId, BrokerEpoch>,
}

impl Windows {
    /// No window is open yet; `None` if the scenario may exceed its budget.
    pub(super) fn of(scenario: &Scenario) -> Option<Self> {
        let (open, registered, ended) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        scenario.keep_budget.then(|| Self { stakes: budget::stakes(scenario), open, registered, ended })
    }
    /// Committed metadata shows a registration; nodes that lag behind show old ones again.
    pub(super) fn registered(&mut self, broker: BrokerId, epoch: BrokerEpoch) {
        let latest = self.registered.entry(broker).or_insert(epoch);
        *latest = epoch.max(*latest);
    }
    /// A broker's process has ended, in whatever way.
    pub(super) fn ended(&mut self, broker: BrokerId) {
        let epoch = self.registered.get(&broker).copied().unwrap_or(BrokerEpoch::NONE);
        self.ended.insert(broker, epoch);
        if let Some(window) = self.open.get_mut(&broker) {
            window.ended = Some(epoch);
        }
    }
    /// True if the broker has registered in its present life. The mark of a clean shutdown carries the epoch of that
    /// registration: without one, even an orderly stop counts as an unclean one at the next (`BrokerServer.shutdown`).
    pub(super) fn is_registered(&self, broker: BrokerId) -> bool {
        self.registered.get(&broker) > self.ended.get(&broker)
    }
    /// Opens a window for `broker`, which ends now, or names the partition that would not survive it.
    pub(super) fn open(&mut self, broker: BrokerId, loss: Loss, ground: &Ground) -> Result<(), TopicPartition> {
        let known = self.registered.get(&broker).copied().unwrap_or(BrokerEpoch::NONE);
        self.open_window(broker, Window { loss, ended: Some(known) }, ground)
    }
    /// As [`Windows::open`], for a broker whose disk is harmed, and that may end of it later.
    pub(super) fn open_before(&mut self, broker: BrokerId, loss: Loss, ground: &Ground) -> Result<(), TopicPartition> {
        self.open_window(broker, Window { loss, ended: None }, ground)
    }
    fn open_window(&mut self, broker: BrokerId, window: Window, ground: &Ground) -> Result<(), TopicPartition> {
        let (stakes, registered) = (&self.stakes, &self.registered);
        let anew = |id: &BrokerId, window: &Window| window.ended.is_some_and(|ended| registered.get(id) > Some(&ended));
        self.open.retain(|id, window| !(anew(id, window) && is_back(*id, stakes, ground)));
        let open = self.open.iter().map(|(id, window)| (*id, window.loss)).collect();
        budget::survives(stakes, &open, broker, window.loss)?;
        let loss = self.open.get(&broker).map_or(window.loss, |before| window.loss.max(before.loss));
        self.open.insert(broker, Window { loss, ..window });
        Ok(())
    }
}

/// True if `broker` is in sync wherever it has a replica.
fn is_back(broker: BrokerId, stakes: &[Stake], ground: &Ground) -> bool {
    stakes.iter().all(|stake| {
        let facts = ground.partition(&stake.tp).and_then(|p| p.latest());
        facts.is_none_or(|f| !f.replicas.contains(&broker) || f.isr.contains(&broker))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCENARIO: &str = r#"{"name": "s", "cluster": {"brokers": 3, "config": {"min.insync.replicas": 2}},
        "topics": [{"name": "t", "assignment": [[1, 2, 3]]}]}"#;

    fn windows() -> Windows {
        let mut scenario = crate::scenario::parse("s.json", SCENARIO).expect("a scenario");
        scenario.keep_budget = true;
        let mut windows = Windows::of(&scenario).expect("it keeps to its budget");
        (1..=3).for_each(|id| windows.registered(BrokerId(id), BrokerEpoch(i64::from(id))));
        windows
    }

    #[test]
    fn a_window_is_open_until_the_broker_registers_anew() {
        let (mut windows, ground) = (windows(), Ground::default());
        let cut = |windows: &mut Windows, id| windows.open(BrokerId(id), Loss::Unsynced, &ground).is_ok();
        assert!(cut(&mut windows, 1) && !cut(&mut windows, 2));
        windows.registered(BrokerId(1), BrokerEpoch(10));
        assert!(cut(&mut windows, 2));
    }

    #[test]
    fn a_disk_that_is_about_to_fail_keeps_its_window_through_registrations_before_it_does() {
        let (mut windows, ground) = (windows(), Ground::default());
        let cut = |windows: &mut Windows, id| windows.open(BrokerId(id), Loss::Unsynced, &ground).is_ok();
        assert_eq!(windows.open_before(BrokerId(1), Loss::Unsynced, &ground), Ok(()));
        windows.registered(BrokerId(1), BrokerEpoch(10));
        assert!(!cut(&mut windows, 2) && windows.is_registered(BrokerId(1)));
        windows.ended(BrokerId(1));
        assert!(!cut(&mut windows, 2));
        windows.registered(BrokerId(1), BrokerEpoch(11));
        assert!(cut(&mut windows, 2));
    }
}
