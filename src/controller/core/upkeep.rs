//! When the controller's own elections are due (Kafka's `QuorumController.maybeScheduleNext…`).
//!
//! An election is scheduled when a partition first needs it, one interval later; a full batch is followed by the next one
//! almost at once. It is not called off if the need goes away meanwhile: it then changes nothing.

use super::ControllerCore;
use super::elect_leaders::{MAX_ELECTIONS, balance, elect_unclean, is_balanced};
use super::types::Output;
use crate::base::Now;
use crate::controller::image::{Image, Partition};

/// Pause between two batches of one round, in ms.
const NEXT_BATCH_MS: u64 = 10;

/// What is scheduled, in monotonic nanoseconds.
#[derive(Debug, Default)]
pub(super) struct Upkeep {
    balance: Option<u64>,
    unclean: Option<u64>,
}

impl Upkeep {
    /// When something is due next.
    pub fn next_deadline(&self) -> Option<u64> {
        [self.balance, self.unclean].into_iter().flatten().min()
    }
}

impl ControllerCore {
    /// Schedules what the partitions need by now.
    pub(super) fn schedule_upkeep(&mut self, now: Now) {
        let config = &self.config;
        let Some(active) = self.active.as_mut() else { return };
        let upkeep = &mut active.upkeep;
        let interval = config.leader_imbalance_check_interval_ms;
        if upkeep.balance.is_none() && interval > 0 && any(&active.image, |p| !is_balanced(p)) {
            upkeep.balance = Some(now.after_ms(interval));
        }
        if upkeep.unclean.is_none() && any(&active.image, |p| !p.has_leader()) {
            upkeep.unclean = Some(now.after_ms(config.unclean_election_interval_ms));
        }
    }

    /// Holds the elections that are due.
    pub(super) fn run_upkeep(&mut self, now: Now, out: &mut Vec<Output>) {
        let due = |at: Option<u64>| at.is_some_and(|at| at <= now.mono_ns);
        let more = |changes| (changes == MAX_ELECTIONS).then(|| now.after_ms(NEXT_BATCH_MS));
        if due(self.upkeep().balance) {
            let changes = self.run(now, out, balance);
            self.upkeep().balance = more(changes);
        }
        if due(self.upkeep().unclean) {
            let changes = self.run(now, out, elect_unclean);
            self.upkeep().unclean = more(changes);
        }
        self.schedule_upkeep(now);
    }

    fn upkeep(&mut self) -> &mut Upkeep {
        &mut self.active.as_mut().expect("only the active controller ticks").upkeep
    }
}

fn any(image: &Image, holds: impl Fn(&Partition) -> bool) -> bool {
    image.topics().any(|t| t.partitions.iter().any(|p| holds(p)))
}
