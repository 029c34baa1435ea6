//! Default seeds go where it matters: every state that a mark names, but for the rare ones, is reached by at least one
//! seed in a hundred.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use ktrial::base::marks::Mark;
use ktrial::campaign::hunt::PROFILE;
use ktrial::scenario::random;
use ktrial::trial::{RunOptions, run_one};

/// So many seeds that one in a hundred is two.
const SEEDS: u64 = 200;

/// In how many of the first seeds each mark was reached.
fn reached() -> BTreeMap<String, u64> {
    let profile = random::profile(PROFILE).expect("the default profile");
    let (next, seeds) = (AtomicU64::new(0), Mutex::new(BTreeMap::new()));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= SEEDS {
                return;
            }
            let verdict = run_one(&random::draw(profile, seed, &Vec::new()), seed, &RunOptions::default());
            assert!(verdict.violations.is_empty(), "seed {seed}: {:#?}", verdict.violations);
            assert!(verdict.reason.is_empty(), "seed {seed}: {}", verdict.reason);
            assert_eq!(verdict.permitted_loss, 0, "seed {seed} lost what it may lose, within its budget");
            let mut seeds = seeds.lock().expect("nobody panics while counting");
            verdict.marks.into_keys().for_each(|mark| *seeds.entry(mark).or_insert(0) += 1);
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..2).map(|_| scope.spawn(work)).collect();
        workers.into_iter().for_each(|worker| worker.join().expect("a seed failed"));
    });
    seeds.into_inner().expect("nobody panics while counting")
}

#[test]
#[cfg_attr(debug_assertions, ignore = "plays hundreds of seeds: for a build that is optimised")]
fn one_default_seed_in_a_hundred_reaches_every_state_that_must_be_reached() {
    let reached = reached();
    let of = |mark: &Mark| reached.get(mark.name()).copied().unwrap_or(0);
    let missed: Vec<_> = Mark::ALL
        .iter()
        .filter(|mark| !Mark::RARE.contains(mark) && of(mark) * 100 < SEEDS)
        .map(|mark| (mark.name(), of(mark)))
        .collect();
    assert!(missed.is_empty(), "reached too rarely in {SEEDS} seeds: {missed:?}; all: {reached:?}");
}
