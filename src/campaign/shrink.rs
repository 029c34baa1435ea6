//! From a failing run to the smallest scenario that still breaks the same property.
//!
//! Every step is a change of the scenario as data: faults, clients, topics, partitions, brokers and settings are left
//! out, times and load made smaller. Such a change shuffles the interleaving, so a step counts as reproduced when the
//! property breaks in at least one of [`SEEDS`] worlds. A step that takes too much away costs as many runs as there are worlds,
//! so [`FEW`] worlds must do as long as scenarios are large, and all have their say in the end.

use std::convert::Infallible;
use std::ops::ControlFlow;
use std::time::Instant;

use serde_json::Value;

use super::job::{Job, What};
use super::pool::Pool;
use crate::base::BrokerId;
use crate::scenario::model::{Action, Controllers, Fault, Role, Scenario, When};
use crate::scenario::units::{Bytes, Millis};
use crate::scenario::{self, random};
use crate::trial::Capsule;

/// Worlds in which a step is tried.
pub const SEEDS: u64 = 20;
/// Worlds in which a step is tried first: those in which the property broke last.
const FEW: usize = 3;
/// Simulated time that is left after the moment at which the property broke.
const AFTER_BREAK_MS: u64 = 1_000;
/// Simulated time that is left after the last fault when the duration is shortened.
const AFTER_LAST_MS: u64 = 10_000;

/// The smallest failing scenario that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Shrunk {
    /// The scenario; it expects what it violates, where that is an invariant.
    pub scenario: Scenario,
    /// A seed in which it fails.
    pub seed: u64,
    /// In how many of [`SEEDS`] worlds it fails.
    pub rate: u64,
    /// For each fault that does harm, by its place in the list: in how many worlds it still fails without it.
    pub without: Vec<(usize, u64)>,
    /// Runs that it took.
    pub runs: u64,
    /// False if time was up before nothing more could be taken away.
    pub finished: bool,
}

/// A search under way.
pub struct Shrinker<'a> {
    pool: &'a mut Pool,
    property: String,
    plant: Vec<String>,
    seeds: Vec<u64>,
    /// In how many of them a step is tried.
    worlds: usize,
    /// When the property broke in the run that reproduced it last, in ms of the chaos phase.
    broke_ms: u64,
    deadline: Option<Instant>,
    runs: u64,
}

/// A row of smaller scenarios to try.
type Step = fn(&Scenario) -> Vec<Scenario>;

/// The steps after the fault list, in the order in which they gain most.
const STEPS: &[Step] = &[
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

impl<'a> Shrinker<'a> {
    /// A search for what breaks as in `capsule`, until `deadline`.
    #[must_use]
    pub fn new(pool: &'a mut Pool, capsule: &Capsule, deadline: Option<Instant>) -> Self {
        let first = capsule.seeds.world;
        let seeds: Vec<_> =
            std::iter::once(first).chain((0..SEEDS).filter(|s| *s != first)).take(SEEDS as usize).collect();
        let (property, plant) = (capsule.property.clone(), capsule.plant.clone());
        let (worlds, broke_ms) = (seeds.len(), capsule.at_ms);
        Self { pool, property, plant, seeds, worlds, broke_ms, deadline, runs: 0 }
    }

    /// Shrinks, and plays the smallest scenario with and without each of its faults; `told` hears of every step that was taken.
    ///
    /// # Errors
    /// If the capsule's own scenario does not break its property any more.
    pub fn shrink(mut self, capsule: &Capsule, told: impl FnMut(&Scenario, u64)) -> Result<Shrunk, String> {
        let scenario = self.smallest(capsule, told)?;
        let finished = self.in_time();
        self.deadline = None;
        Ok(self.conclude(scenario, finished))
    }

    /// Shrinks; `told` hears of every step that was taken. The scenario expects what it violates, where that is an invariant.
    ///
    /// # Errors
    /// If the capsule's own scenario does not break its property any more.
    pub fn smallest(&mut self, capsule: &Capsule, mut told: impl FnMut(&Scenario, u64)) -> Result<Scenario, String> {
        let mut best = capsule.scenario.clone();
        if !self.reproduces(&best) && self.in_time() {
            let property = &self.property;
            return Err(format!("{property} does not break in any of {SEEDS} worlds: there is nothing to shrink"));
        }
        for worlds in [FEW, self.seeds.len()] {
            self.worlds = worlds;
            let mut size = usize::MAX;
            while weight(&best) < size && self.in_time() {
                size = weight(&best);
                best = self.sooner(best, &mut told);
                best = self.fewer_faults(best, &mut told);
                for step in STEPS {
                    best = self.take(*step, best, &mut told);
                }
            }
        }
        Ok(self.dressed(best))
    }

    fn in_time(&self) -> bool {
        self.deadline.is_none_or(|deadline| Instant::now() < deadline)
    }

    /// True if the property breaks in one of the worlds. The world in which it did is tried first next time.
    fn reproduces(&mut self, scenario: &Scenario) -> bool {
        let hit = self.play(scenario, true).first().copied();
        if let Some((seed, broke_ms)) = hit {
            self.seeds.retain(|s| *s != seed);
            self.seeds.insert(0, seed);
            self.broke_ms = broke_ms;
        }
        hit.is_some()
    }

    /// The seeds in which the property breaks, and when it does; the first of them only, and none once time is up, if one is enough.
    fn play(&mut self, scenario: &Scenario, one: bool) -> Vec<(u64, u64)> {
        let worlds = if one { self.worlds } else { self.seeds.len() };
        let Self { pool, property, plant, seeds, runs, deadline, .. } = self;
        let late = || deadline.is_some_and(|deadline| Instant::now() >= deadline);
        let job = |seed: &u64| Job {
            seed: *seed,
            plant: plant.clone(),
            what: What::Play(Box::new(Scenario { expect: scenario::model::Expect::default(), ..scenario.clone() })),
        };
        let mut hits = Vec::new();
        let played = pool.run::<Infallible>(seeds[..worlds].iter().map(job), |job, record| {
            *runs += 1;
            let first = record.failure.filter(|f| f.property == *property).map(|f| f.at_ms);
            if first.is_some() || record.violated.contains(property) {
                hits.push((job.seed, first.unwrap_or(record.simulated_ms)));
            }
            Ok(if one && (!hits.is_empty() || late()) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        });
        match played {
            Ok(()) => hits,
            Err(never) => match never {},
        }
    }

    /// Takes `candidate` in the place of `best` if it makes sense, is another, and still fails.
    fn accept(&mut self, best: &mut Scenario, candidate: Scenario, told: &mut impl FnMut(&Scenario, u64)) -> bool {
        let Some(candidate) = tidy(candidate).filter(|c| c != best) else { return false };
        if !self.in_time() || !self.reproduces(&candidate) {
            return false;
        }
        *best = candidate;
        told(best, self.runs);
        true
    }

    /// Cuts off what comes behind the moment at which the property breaks, as long as that moment comes earlier.
    fn sooner(&mut self, mut best: Scenario, told: &mut impl FnMut(&Scenario, u64)) -> Scenario {
        loop {
            let candidate = lasting(&best, self.broke_ms + AFTER_BREAK_MS);
            if candidate.duration >= best.duration || !self.accept(&mut best, candidate, told) {
                return best;
            }
        }
    }

    /// Tries the candidates of a step again and again, as long as one of them is taken.
    fn take(&mut self, step: Step, mut best: Scenario, told: &mut impl FnMut(&Scenario, u64)) -> Scenario {
        'again: loop {
            for candidate in step(&best) {
                if self.accept(&mut best, candidate, told) {
                    continue 'again;
                }
            }
            return best;
        }
    }

    /// Delta debugging over the faults that do harm: halves, quarters, and so on down to single ones.
    fn fewer_faults(&mut self, mut best: Scenario, told: &mut impl FnMut(&Scenario, u64)) -> Scenario {
        let mut chunk = harms(&best).len().div_ceil(2);
        while chunk > 0 {
            let mut at = 0;
            while at < harms(&best).len() {
                let drop: Vec<usize> = harms(&best).into_iter().skip(at).take(chunk).collect();
                let candidate = without(&best, &drop);
                if !self.accept(&mut best, candidate, told) {
                    at += chunk;
                }
            }
            chunk = if chunk == 1 { 0 } else { chunk.div_ceil(2) };
        }
        best
    }

    fn conclude(mut self, best: Scenario, finished: bool) -> Shrunk {
        let hits = self.play(&best, false);
        let mut essential = Vec::new();
        for index in harms(&best) {
            let count = tidy(without(&best, &[index])).map_or(0, |c| self.play(&c, false).len() as u64);
            essential.push((index, count));
        }
        let seed = self.seeds.first().copied().unwrap_or(0);
        let broken: Vec<u64> = hits.into_iter().map(|(seed, _)| seed).collect();
        let seed = broken.iter().copied().find(|s| *s == seed).or(broken.first().copied()).unwrap_or(seed);
        Shrunk { scenario: best, seed, rate: broken.len() as u64, without: essential, runs: self.runs, finished }
    }

    /// The scenario with a name, a story and an expectation of its own.
    fn dressed(&self, mut scenario: Scenario) -> Scenario {
        scenario.name = format!("{}-shrunk", scenario.name.trim_end_matches("-shrunk"));
        scenario.story = format!("The smallest scenario found that breaks {}.", self.property);
        if scenario::keys::PROPERTIES.contains(&self.property.as_str()) {
            scenario.expect.violations = vec![self.property.clone()];
        }
        scenario
    }
}

/// Places of the faults that do harm.
fn harms(scenario: &Scenario) -> Vec<usize> {
    let places = scenario.faults.iter().enumerate();
    places.filter(|(_, f)| random::does_harm(&f.action)).map(|(i, _)| i).collect()
}

fn without(scenario: &Scenario, places: &[usize]) -> Scenario {
    let mut smaller = scenario.clone();
    let mut place = 0..;
    smaller.faults.retain(|_| !place.next().is_some_and(|i| places.contains(&i)));
    smaller
}

/// Takes out what only mended what is no longer done; `None` if the scenario makes no sense for another reason.
fn tidy(mut scenario: Scenario) -> Option<Scenario> {
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
fn weight(s: &Scenario) -> usize {
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
fn lasting(s: &Scenario, ms: u64) -> Scenario {
    edited(s, |s| {
        s.duration = Millis(ms.div_ceil(1_000) * 1_000);
        s.faults.retain(|f| f.moment().is_none_or(|at| at <= s.duration));
    })
}

fn less_load(s: &Scenario) -> Vec<Scenario> {
    let mut all = Vec::new();
    for i in 0..s.clients.len() {
        let change = |change: fn(&mut scenario::model::Producer)| {
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
mod tests {
    use super::*;
    use crate::campaign::job::Record;
    use crate::campaign::pool::{Launch, Limits};
    use crate::scenario::model::Target;
    use crate::trial::failure::Failure;

    fn scenario() -> Scenario {
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
        assert_eq!(harms(&s), [0, 1]);
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

    /// A worker in whose worlds ACK breaks after 2.5 s whenever broker 1 is isolated.
    fn worker() -> Launch {
        let failure = Failure { property: "ACK".into(), evidence: "x".into(), at_ms: 2_500 };
        let line = |failure| serde_json::to_string(&Record { failure, ..Record::died(0, "x") }).expect("a record");
        let (breaks, passes) = (line(Some(failure)), line(None));
        let judge = format!("case $line in *isolate*) echo '{breaks}';; *) echo '{passes}';; esac");
        Launch(vec!["/bin/sh".into(), "-c".into(), format!("while read -r line; do {judge}; done")])
    }

    #[test]
    fn what_is_left_is_what_breaks_the_property() {
        let mut pool = Pool::new(&worker(), &Limits::new(1));
        let job = Job { seed: 7, plant: Vec::new(), what: What::Play(Box::new(scenario())) };
        let failure = Some(Failure { property: "ACK".into(), evidence: "x".into(), at_ms: 2_500 });
        let capsule = Record { failure, ..Record::died(7, "x") }.capsule(&job).expect("a job").expect("a failure");
        let shrunk = Shrinker::new(&mut pool, &capsule, None).shrink(&capsule, |_, _| ()).expect("it breaks");
        let s = &shrunk.scenario;
        assert_eq!(s.faults.iter().map(|f| f.action.name()).collect::<Vec<_>>(), ["isolate"]);
        assert_eq!((s.duration, s.topics.len(), s.clients.len()), (Millis(3_000), 0, 0));
        assert_eq!((shrunk.rate, shrunk.without, shrunk.seed, shrunk.finished), (SEEDS, vec![(0, 0)], 7, true));
        assert!(shrunk.runs < 20 * SEEDS, "{} runs", shrunk.runs);
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
