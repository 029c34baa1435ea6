//! The fault budget at run time: which brokers may have lost data and are not back yet, by what was observed.
//!
//! The rule itself is `scenario::budget`. A window closes when the broker has registered anew, which takes it out of
//! every ISR if its end was unclean, and stands in the ISR of all its partitions again.

use std::collections::BTreeMap;

use crate::base::{BrokerEpoch, BrokerId, TopicPartition};
use crate::check::ground::Ground;
use crate::scenario::Scenario;
use crate::scenario::budget::{self, Loss, Stake};

/// The open windows of a run that keeps to its budget.
pub(super) struct Windows {
    stakes: Vec<Stake>,
    open: BTreeMap<BrokerId, (Loss, BrokerEpoch)>,
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
    }
    /// True if the broker has registered in its present life. The mark of a clean shutdown carries the epoch of that
    /// registration: without one, even an orderly stop counts as an unclean one at the next (`BrokerServer.shutdown`).
    pub(super) fn is_registered(&self, broker: BrokerId) -> bool {
        self.registered.get(&broker) > self.ended.get(&broker)
    }
    /// Opens a window for `broker`, or names the partition that would not survive it.
    pub(super) fn open(&mut self, broker: BrokerId, loss: Loss, ground: &Ground) -> Result<(), TopicPartition> {
        let (stakes, registered) = (&self.stakes, &self.registered);
        let epoch_of = |id: &BrokerId| registered.get(id).copied().unwrap_or(BrokerEpoch::NONE);
        self.open.retain(|id, (_, epoch)| !(epoch_of(id) > *epoch && is_back(*id, stakes, ground)));
        let open = self.open.iter().map(|(id, (loss, _))| (*id, *loss)).collect();
        budget::survives(stakes, &open, broker, loss)?;
        let graver = self.open.get(&broker).map_or(loss, |(before, _)| loss.max(*before));
        self.open.insert(broker, (graver, epoch_of(&broker)));
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
