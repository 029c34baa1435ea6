//! The ways to make a scenario smaller, as data: what may be left out, and what may be less.
//!
//! Pure: whether the smaller scenario still fails is for the search to find out.

use serde_json::Value;

use crate::base::BrokerId;
use crate::scenario::model::{self, Action, Controllers, Fault, Role, Scenario, When};
use crate::scenario::units::{Bytes, Millis};
use crate::scenario::{self, random};

/// Simulated time that is left after the last fault when the duration is shortened.
const AFTER_LAST_MS: u64 = 10_000;

/// A row of smaller scenarios to try.
pub(super) type Step = fn(&Scenario) -> Vec<Scenario>;

/// The steps after the fault list, in the order in which they gain most.
pub(super) const STEPS: &[Step] = &[
    fewer_clients,
    fewer_topics,
    fewer_partitions,
    fewer_brokers,
    combined,
    shorter,
    less_load,
    less_config,
    rounder_times,
];

/// Places of the entries of the fault list that do more than mend: faults, and what administrators do.
pub(super) fn deeds(scenario: &Scenario) -> Vec<usize> {
    let places = scenario.faults.iter().enumerate();
    places.filter(|(_, f)| !mends(&f.action)).map(|(i, _)| i).collect()
}

fn mends(action: &Action) -> bool {
    !action.is_operation() && !random::does_harm(action)
}

pub(super) fn without(scenario: &Scenario, places: &[usize]) -> Scenario {
    let mut smaller = scenario.clone();
    let mut place = 0..;
    smaller.faults.retain(|_| !place.next().is_some_and(|i| places.contains(&i)));
    smaller
}

/// Takes out what only mended what is no longer done, and operations on what is no longer there; `None` if the scenario makes no sense for another reason.
pub(super) fn tidy(mut scenario: Scenario) -> Option<Scenario> {
    loop {
        let nonsense = scenario::validate(&scenario);
        let Some(first) = nonsense.first() else { return Some(scenario) };
        let place = first.path.strip_prefix("faults[")?.split(']').next()?.parse::<usize>().ok()?;
        if random::does_harm(&scenario.faults.get(place)?.action) {
            return None;
        }
        scenario.faults.remove(place);
    }
}

/// How much there is in a scenario: what a round of steps must make smaller.
pub(super) fn weight(s: &Scenario) -> usize {
    let partitions: u32 = s.topics.iter().map(|t| t.partitions).sum();
    let of = |role: &Role| match role {
        Role::Producer(p) => p.config.len() + p.rate as usize + p.count as usize,
        Role::Consumer(c) => c.config.len(),
        Role::Group(g) => g.config.len() + g.count as usize,
    };
    let clients: usize = s.clients.iter().map(|c| 1 + of(&c.role)).sum();
    s.faults.len() * 4 + clients + partitions as usize + s.cluster.nodes().count() + s.cluster.config.len()
}

fn fewer_clients(s: &Scenario) -> Vec<Scenario> {
    let each = (0..s.clients.len()).rev();
    each.map(|i| edited(s, |s| drop(s.clients.remove(i)))).collect()
}

fn fewer_topics(s: &Scenario) -> Vec<Scenario> {
    let each = (0..s.topics.len()).rev();
    each.map(|i| {
        edited(s, |s| {
            let topic = s.topics.remove(i);
            s.clients.retain(|c| !c.role.topics().contains(&topic.name.as_str()));
        })
    })
    .collect()
}

fn fewer_partitions(s: &Scenario) -> Vec<Scenario> {
    let mut all = Vec::new();
    for (i, topic) in s.topics.iter().enumerate() {
        for partitions in [1, topic.partitions / 2, topic.partitions - 1] {
            if partitions > 0 && partitions < topic.partitions {
                all.push(edited(s, |s| {
                    s.topics[i].partitions = partitions;
                    s.topics[i].assignment.truncate(partitions as usize);
                }));
            }
        }
    }
    all
}

/// One broker less, the last: its replicas go to nobody, and what was done to it is not done.
fn fewer_brokers(s: &Scenario) -> Vec<Scenario> {
    let last = BrokerId(s.cluster.brokers as i32);
    let mut one_less = s.clone();
    one_less.cluster.brokers -= 1;
    one_less.cluster.broker_config.remove(&last);
    for topic in &mut one_less.topics {
        topic.assignment.iter_mut().for_each(|replicas| replicas.retain(|id| *id != last));
        let fewest = topic.assignment.iter().map(Vec::len).min().unwrap_or(topic.replication_factor as usize);
        topic.assignment.iter_mut().for_each(|replicas| replicas.truncate(fewest));
        topic.replication_factor = topic.replication_factor.min(fewest as u32).min(one_less.cluster.brokers);
    }
    one_less.faults.retain(|f| !names(&f.action, last));
    let possible = one_less.cluster.brokers > 0 && one_less.topics.iter().all(|t| t.replication_factor > 0);
    if possible { vec![one_less] } else { Vec::new() }
}

/// No controllers that are nodes of their own: brokers vote.
fn combined(s: &Scenario) -> Vec<Scenario> {
    match s.cluster.controllers {
        Controllers::Combined => Vec::new(),
        Controllers::Separate(_) => vec![edited(s, |s| s.cluster.controllers = Controllers::Combined)],
    }
}

fn shorter(s: &Scenario) -> Vec<Scenario> {
    let last = s.faults.iter().filter_map(end_of).max().unwrap_or(0);
    let lengths = [last + AFTER_LAST_MS, s.duration.0 * 3 / 4];
    let lengths = lengths.into_iter().filter(|ms| *ms >= 1_000 && *ms < s.duration.0);
    lengths.map(|ms| lasting(s, ms)).collect()
}

/// With a chaos phase of so many milliseconds, rounded up to whole seconds, and without what comes later.
pub(super) fn lasting(s: &Scenario, ms: u64) -> Scenario {
    edited(s, |s| {
        s.duration = Millis(ms.div_ceil(1_000) * 1_000);
        s.faults.retain(|f| f.moment().is_none_or(|at| at <= s.duration));
    })
}

fn less_load(s: &Scenario) -> Vec<Scenario> {
    let mut all = Vec::new();
    for i in 0..s.clients.len() {
        let change = |change: fn(&mut model::Producer)| {
            edited(s, |s| {
                if let Role::Producer(p) = &mut s.clients[i].role {
                    change(p);
                }
            })
        };
        all.push(change(|p| p.count = 1));
        all.push(change(|p| p.rate = (p.rate / 2).max(1)));
        all.push(change(|p| p.value_size = Bytes(100.min(p.value_size.0))));
    }
    all
}

/// Every setting back to its default, one at a time.
fn less_config(s: &Scenario) -> Vec<Scenario> {
    let keys = s.cluster.config.keys();
    let mut all: Vec<_> = keys.map(|key| edited(s, |s| drop(s.cluster.config.remove(key)))).collect();
    for i in 0..s.clients.len() {
        all.push(edited(s, |s| match &mut s.clients[i].role {
            Role::Producer(p) => p.config.clear(),
            Role::Consumer(c) => c.config.clear(),
            Role::Group(g) => g.config.clear(),
        }));
    }
    all
}

/// True if the action names the broker outright, wherever in it that may be.
fn names(action: &Action, broker: BrokerId) -> bool {
    fn search(value: &Value, broker: i64) -> bool {
        match value {
            Value::Object(map) => {
                map.iter().any(|(key, v)| (key == "broker" && v.as_i64() == Some(broker)) || search(v, broker))
            }
            Value::Array(items) => items.iter().any(|v| search(v, broker)),
            _ => false,
        }
    }
    serde_json::to_value(action).is_ok_and(|value| search(&value, broker.0.into()))
}

/// When a fault is over, in ms, if the scenario alone says when.
fn end_of(fault: &Fault) -> Option<u64> {
    Some(fault.moment()?.0 + fault.lasts.unwrap_or_default().0)
}

fn round(fault: &mut Fault, unit: u64) {
    if let When::At(at) = &mut fault.when {
        at.0 = at.0.div_ceil(unit) * unit;
    }
}

/// Times that a person would have written.
fn rounder_times(s: &Scenario) -> Vec<Scenario> {
    [1_000, 100].map(|unit| edited(s, |s| s.faults.iter_mut().for_each(|f| round(f, unit)))).to_vec()
}

fn edited(scenario: &Scenario, edit: impl FnOnce(&mut Scenario)) -> Scenario {
    let mut edited = scenario.clone();
    edit(&mut edited);
    edited
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::scenario::model::Target;

    pub(in super::super) fn scenario() -> Scenario {
        let text = r#"{"name": "s", "cluster": {"brokers": 3, "config": {"min.insync.replicas": 2}},
            "topics": [{"name": "a", "assignment": [[1, 2, 3], [3, 2, 1]]}, {"name": "b", "partitions": 4}],
            "clients": [{"name": "w", "producer": {"topic": "a", "rate": 50}}, {"name": "v", "producer": {"topic": "b"}}],
            "faults": [{"at": "1s", "power-cut": {"broker": 3}}, {"at": "2s", "isolate": {"broker": 1}},
                       {"at": "3s", "start": {"broker": 3}}, {"at": "4234ms", "heal": "all"}]}"#;
        scenario::parse("s.json", text).expect("a scenario")
    }

    #[test]
    fn what_only_mends_goes_with_what_it_mended() {
        let s = scenario();
        assert_eq!(deeds(&s), [0, 1]);
        let left = |drop: &[usize]| {
            let tidied = tidy(without(&s, drop)).expect("it makes sense");
            tidied.faults.iter().map(|f| f.action.name()).collect::<Vec<_>>()
        };
        assert_eq!(left(&[0]), ["isolate", "heal"]);
        assert_eq!(left(&[1]), ["power-cut", "start"]);
        assert_eq!(left(&[0, 1]), Vec::<&str>::new());
    }

    #[test]
    fn a_broker_goes_with_its_replicas_and_its_faults() {
        let smaller = fewer_brokers(&scenario()).pop().expect("there are brokers to spare");
        assert_eq!(smaller.topics[0].replication_factor, 2);
        assert!(smaller.topics[0].assignment.iter().all(|r| r.len() == 2 && !r.contains(&BrokerId(3))));
        let tidied = tidy(smaller).expect("it makes sense");
        assert_eq!(tidied.faults.iter().map(|f| f.action.name()).collect::<Vec<_>>(), ["isolate", "heal"]);
        let single = edited(&scenario(), |s| s.cluster.brokers = 1);
        assert_eq!(fewer_brokers(&single), []);
    }

    #[test]
    fn controllers_of_their_own_are_given_up_unless_they_are_named() {
        let apart = edited(&scenario(), |s| s.cluster.controllers = Controllers::Separate(3));
        let together = combined(&apart).pop().and_then(tidy).expect("nothing names a controller");
        assert!(weight(&together) < weight(&apart));
        assert_eq!(combined(&together), []);
        let crash = Action::Crash(Target::Node(BrokerId(1001)));
        let named = edited(&apart, |s| s.faults.push(Fault::at(Millis(100), crash)));
        assert_eq!(combined(&named).pop().and_then(tidy), None);
    }

    #[test]
    fn every_step_makes_scenarios_that_make_sense_or_are_refused() {
        for step in STEPS {
            for candidate in step(&scenario()) {
                if let Some(candidate) = tidy(candidate) {
                    assert!(scenario::validate(&candidate).is_empty());
                }
            }
        }
        assert_eq!(fewer_topics(&scenario())[0].clients.len(), 1);
        assert_eq!(shorter(&scenario())[0].duration, Millis(15_000));
        assert_eq!(rounder_times(&scenario())[0].faults[3].moment(), Some(Millis(5_000)));
    }
}
