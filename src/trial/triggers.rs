//! Faults that wait for something to come about.

use crate::base::{BrokerId, TopicPartition};
use crate::scenario::model::{After, EventName, Milestone};
use crate::scenario::units::Millis;

/// An event, as a fault may wait for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Happening {
    pub event: EventName,
    pub partition: Option<TopicPartition>,
    pub broker: Option<BrokerId>,
    pub group: Option<String>,
}

/// What is waited for, and what has come about.
#[derive(Debug, Default)]
pub(super) struct Triggers {
    waiting: Vec<(usize, After)>,
    fired: Vec<(usize, Millis)>,
    acked: u64,
    consumed: u64,
    processed: u64,
}

impl Triggers {
    /// A fault, by its index, waits from now on.
    pub fn wait_for(&mut self, fault: usize, after: After) {
        self.waiting.push((fault, after));
    }
    /// One more record was acknowledged. True if something has come about.
    pub fn acked(&mut self) -> bool {
        self.acked += 1;
        let acked = self.acked;
        self.fire(|after| matches!(after.milestone, Milestone::Acked(n) if n <= acked))
    }
    /// One more record was read. True if something has come about.
    pub fn consumed(&mut self) -> bool {
        self.consumed += 1;
        let consumed = self.consumed;
        self.fire(|after| matches!(after.milestone, Milestone::Consumed(n) if n <= consumed))
    }
    /// One more record was processed by an application. True if something has come about.
    pub fn processed(&mut self) -> bool {
        self.processed += 1;
        let processed = self.processed;
        self.fire(|after| matches!(after.milestone, Milestone::Processed(n) if n <= processed))
    }
    /// The committed offsets of all groups amount to so much. True if something has come about.
    pub fn committed(&mut self, total: u64) -> bool {
        self.fire(|after| matches!(after.milestone, Milestone::Committed(n) if n <= total))
    }
    /// An event. True if something has come about.
    pub fn happened(&mut self, happening: &Happening) -> bool {
        self.fire(|after| {
            after.milestone == Milestone::Event(happening.event)
                && (after.partition.is_none() || after.partition == happening.partition)
                && (after.broker.is_none() || after.broker == happening.broker)
                && (after.group.is_none() || after.group == happening.group)
        })
    }
    /// What has come about since this was last asked, with the delay of each fault.
    pub fn take(&mut self) -> Vec<(usize, Millis)> {
        std::mem::take(&mut self.fired)
    }
    fn fire(&mut self, meets: impl Fn(&After) -> bool) -> bool {
        let before = self.fired.len();
        let fired = &mut self.fired;
        self.waiting.retain(|(fault, after)| {
            let met = meets(after);
            if met {
                fired.push((*fault, after.delay));
            }
            !met
        });
        self.fired.len() > before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(milestone: Milestone) -> After {
        After { milestone, partition: None, broker: None, group: None, delay: Millis(7) }
    }

    #[test]
    fn a_fault_waits_for_a_number_of_records_and_fires_once() {
        let mut triggers = Triggers::default();
        triggers.wait_for(3, after(Milestone::Acked(2)));
        triggers.wait_for(4, after(Milestone::Consumed(1)));
        assert!(!triggers.acked());
        assert!(triggers.acked());
        assert_eq!(triggers.take(), [(3, Millis(7))]);
        assert!(!triggers.acked() && triggers.consumed());
        assert_eq!(triggers.take(), [(4, Millis(7))]);
        triggers.wait_for(5, after(Milestone::Processed(1)));
        triggers.wait_for(6, after(Milestone::Committed(20)));
        assert!(triggers.processed() && !triggers.committed(19) && triggers.committed(20));
        assert_eq!(triggers.take(), [(5, Millis(7)), (6, Millis(7))]);
    }

    #[test]
    fn an_event_counts_only_where_it_is_waited_for() {
        let mut triggers = Triggers::default();
        let (here, there) = (TopicPartition::new("t", 0), TopicPartition::new("t", 1));
        let elected = |partition: &TopicPartition, broker| Happening {
            event: EventName::LeaderElected,
            partition: Some(partition.clone()),
            broker: Some(BrokerId(broker)),
            group: None,
        };
        let waits = After {
            partition: Some(here.clone()),
            broker: Some(BrokerId(2)),
            ..after(Milestone::Event(EventName::LeaderElected))
        };
        triggers.wait_for(0, waits);
        assert!(!triggers.happened(&elected(&there, 2)) && !triggers.happened(&elected(&here, 1)));
        assert!(triggers.happened(&elected(&here, 2)));
    }
}
