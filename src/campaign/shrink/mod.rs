//! From a failing run to the smallest scenario that still breaks the same property.
//!
//! Every step is a change of the scenario as data: faults, clients, topics, partitions, brokers and settings are left
//! out, times and load made smaller. Such a change shuffles the interleaving, so a step counts as reproduced when the
//! property breaks in at least one of [`SEEDS`] worlds. A step that takes too much away costs as many runs as there are worlds,
//! so [`FEW`] worlds must do as long as scenarios are large, and all have their say in the end.

mod steps;

use std::convert::Infallible;
use std::ops::ControlFlow;
use std::time::Instant;

use self::steps::{STEPS, Step, deeds, lasting, tidy, weight, without};
use super::job::{Job, What};
use super::pool::Pool;
use crate::scenario::{self, Scenario};
use crate::trial::Capsule;

/// Worlds in which a step is tried.
pub const SEEDS: u64 = 20;
/// Worlds in which a step is tried first: those in which the property broke last.
const FEW: usize = 3;
/// Simulated time that is left after the moment at which the property broke.
const AFTER_BREAK_MS: u64 = 1_000;

/// The smallest failing scenario that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Shrunk {
    /// The scenario; it expects what it violates, where that is an invariant.
    pub scenario: Scenario,
    /// A seed in which it fails.
    pub seed: u64,
    /// In how many of [`SEEDS`] worlds it fails.
    pub rate: u64,
    /// For each entry of the fault list that does more than mend, by its place: in how many worlds it still fails without it.
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

    /// Delta debugging over faults and operations: halves, quarters, and so on down to single ones.
    fn fewer_faults(&mut self, mut best: Scenario, told: &mut impl FnMut(&Scenario, u64)) -> Scenario {
        let mut chunk = deeds(&best).len().div_ceil(2);
        while chunk > 0 {
            let mut at = 0;
            while at < deeds(&best).len() {
                let drop: Vec<usize> = deeds(&best).into_iter().skip(at).take(chunk).collect();
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
        for index in deeds(&best) {
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

#[cfg(test)]
mod tests {
    use super::steps::tests::scenario;
    use super::*;
    use crate::campaign::job::Record;
    use crate::campaign::pool::{Launch, Limits};
    use crate::scenario::model::{Action, ElectPreferred, Fault};
    use crate::scenario::units::Millis;
    use crate::trial::failure::Failure;

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
        let mut large = scenario();
        large.faults.push(Fault::at(Millis(1_000), Action::ElectPreferred(ElectPreferred::All)));
        let job = Job { seed: 7, plant: Vec::new(), what: What::Play(Box::new(large)) };
        let failure = Some(Failure { property: "ACK".into(), evidence: "x".into(), at_ms: 2_500 });
        let capsule = Record { failure, ..Record::died(7, "x") }.capsule(&job).expect("a job").expect("a failure");
        let shrunk = Shrinker::new(&mut pool, &capsule, None).shrink(&capsule, |_, _| ()).expect("it breaks");
        let s = &shrunk.scenario;
        assert_eq!(s.faults.iter().map(|f| f.action.name()).collect::<Vec<_>>(), ["isolate"]);
        assert_eq!((s.duration, s.topics.len(), s.clients.len()), (Millis(3_000), 0, 0));
        assert_eq!((shrunk.rate, shrunk.without, shrunk.seed, shrunk.finished), (SEEDS, vec![(0, 0)], 7, true));
        assert!(shrunk.runs < 20 * SEEDS, "{} runs", shrunk.runs);
    }
}
