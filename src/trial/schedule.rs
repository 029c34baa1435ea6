//! The chaos phase: what happens when. Faults at their moments, faults that wait for something, the ends of those that
//! end by themselves, and a quiet point every second.

use std::collections::BTreeMap;

use super::faults::{Ending, Engine};
use crate::base::Now;
use crate::base::time::NANOS_PER_MS;
use crate::io::{clock, time};
use crate::scenario::model::{Action, Fault, When};

/// How often the expensive checks run during the chaos phase.
const QUIET_POINT_EVERY_MS: u64 = 1_000;

/// Something on the agenda.
enum Item {
    /// A fault of the scenario's list, by its index.
    Fault(usize),
    /// A fault ends by itself.
    End(Ending),
    QuietPoint,
}

/// What is to come, in the order of time; what falls on one moment happens in the order in which it was planned.
struct Agenda {
    items: BTreeMap<(u64, u64), Item>,
    planned: u64,
    end_ns: u64,
}

impl Agenda {
    /// Plans something; what would come after the end of the chaos phase never does.
    fn plan(&mut self, at_ns: u64, item: Item) {
        if at_ns < self.end_ns {
            self.planned += 1;
            self.items.insert((at_ns, self.planned), item);
        }
    }
    fn next_ns(&self) -> u64 {
        self.items.first_key_value().map_or(self.end_ns, |((at, _), _)| *at)
    }
    fn take_due(&mut self, now_ns: u64) -> Option<Item> {
        let first = self.items.first_entry().filter(|entry| entry.key().0 <= now_ns)?;
        Some(first.remove())
    }
    /// All links are well: what ended them otherwise has nothing to do any more.
    fn network_healed(&mut self) {
        for item in self.items.values_mut() {
            if let Item::End(ending) = item {
                ending.network_healed();
            }
        }
    }
}

/// Runs the chaos phase of the engine's scenario, which began at `began`.
pub(super) async fn run(engine: &mut Engine<'_>, began: Now) {
    let scenario = engine.scenario;
    let duration_ms = scenario.duration.0;
    let at = |ms: u64| began.after_ms(ms);
    let mut agenda = Agenda { items: BTreeMap::new(), planned: 0, end_ns: at(duration_ms) };
    for (i, fault) in scenario.faults.iter().enumerate() {
        match &fault.when {
            When::At(moment) => agenda.plan(at(moment.0), Item::Fault(i)),
            When::After(after) => engine.witness.wait_for(i, after.clone()),
        }
    }
    for ms in (QUIET_POINT_EVERY_MS..duration_ms).step_by(QUIET_POINT_EVERY_MS as usize) {
        agenda.plan(at(ms), Item::QuietPoint);
    }
    while clock::now().mono_ns < agenda.end_ns {
        let woken = tokio::select! {
            biased;
            woken = engine.witness.come_about() => woken,
            () = time::sleep_until(agenda.next_ns()) => Vec::new(),
        };
        for (fault, delay) in woken {
            agenda.plan(clock::now().mono_ns + delay.0 * NANOS_PER_MS, Item::Fault(fault));
        }
        while let Some(item) = agenda.take_due(clock::now().mono_ns) {
            take(engine, &mut agenda, item, at(0)).await;
        }
    }
}

async fn take(engine: &mut Engine<'_>, agenda: &mut Agenda, item: Item, began_ns: u64) {
    match item {
        Item::Fault(i) => {
            let fault = &engine.scenario.faults[i];
            let now_ns = clock::now().mono_ns;
            let ending = engine.apply(&fault.action).await;
            if let Action::Heal(_) = fault.action {
                agenda.network_healed();
            }
            if let Some(lasts) = fault.lasts {
                agenda.plan(now_ns + lasts.0 * NANOS_PER_MS, Item::End(ending));
            }
            if let Some(next_ns) = again(fault, now_ns, began_ns) {
                agenda.plan(next_ns, Item::Fault(i));
            }
        }
        Item::End(ending) => engine.end(ending).await,
        Item::QuietPoint => {
            engine.look_for_harm();
            engine.witness.quiet_point();
        }
    }
}

/// When a fault happens next.
fn again(fault: &Fault, now_ns: u64, began_ns: u64) -> Option<u64> {
    let next_ns = now_ns + fault.every?.0 * NANOS_PER_MS;
    let over = fault.until.is_some_and(|until| next_ns > began_ns + until.0 * NANOS_PER_MS);
    (!over).then_some(next_ns)
}
