//! How the records of each group of producers are spread over partitions, and whether each key stayed in one.

use std::collections::{BTreeMap, BTreeSet};

use super::plan;
use crate::report::verdict::Spread;
use crate::scenario::Scenario;
use crate::scenario::model::{ClientName, Role, Strategy};
use crate::world::history::{History, Op};
use crate::world::writer;

/// What was acknowledged for one group.
struct Group {
    strategy: writer::Strategy,
    partitions: BTreeMap<i32, u64>,
    keys: BTreeMap<u64, BTreeSet<i32>>,
}

/// The spread of every group whose producers choose the partitions. `writers` names the process behind each writer.
pub(super) fn measure(scenario: &Scenario, history: &History, writers: &BTreeMap<u32, String>) -> Vec<Spread> {
    let mut groups = groups(scenario);
    if groups.is_empty() {
        return Vec::new();
    }
    let of: BTreeMap<u32, String> = writers.iter().map(|(n, name)| (*n, ClientName::parse(name).group)).collect();
    for entry in history.iter() {
        let Op::Acked { value, tp, .. } = entry.op else { continue };
        let Some(group) = of.get(&value.writer).and_then(|name| groups.get_mut(name)) else { continue };
        *group.partitions.entry(tp.partition).or_default() += 1;
        if let Some(key) = group.strategy.key_of(value.seq) {
            group.keys.entry(key).or_default().insert(tp.partition);
        }
    }
    let told = groups.into_iter().map(|(client, group)| Spread {
        client,
        keys: group.keys.len() as u64,
        split_keys: group.keys.values().filter(|partitions| partitions.len() > 1).count() as u64,
        partitions: group.partitions,
    });
    told.collect()
}

/// Every partition of the topic counts, also one that got nothing.
fn groups(scenario: &Scenario) -> BTreeMap<String, Group> {
    let mut groups = BTreeMap::new();
    for client in &scenario.clients {
        let Role::Producer(producer) = &client.role else { continue };
        if producer.strategy == Strategy::EachInTurn {
            continue;
        }
        let topic = scenario.topics.iter().find(|topic| topic.name == producer.topic);
        let partitions = (0..topic.map_or(0, |topic| topic.partitions as i32)).map(|index| (index, 0)).collect();
        let group = Group { strategy: plan::strategy(producer), partitions, keys: BTreeMap::new() };
        groups.insert(client.name.clone(), group);
    }
    groups
}
