//! Generated schedules: whatever happens to network, disks and processes, the quorum keeps its promises; and once it
//! stops happening, the quorum works again.

use proptest::prelude::*;

use super::judge::Verdict;
use super::world::{FAIR, Weather, World};
use crate::base::bugs::{Bug, plant};
use crate::base::random::Stream;
use crate::base::{BrokerId, Offset};

/// One thing that happens, and how long nothing else does.
#[derive(Clone, Debug)]
enum Step {
    Propose,
    Crash { node: i32, power: bool },
    PowerCutAll,
    Start { node: i32 },
    Cut { from: i32, to: i32, both: bool },
    Isolate { node: i32 },
    Heal,
    Weather { loss: u64, duplicates: u64, delay_ms: u64, disk_ms: u64 },
    SlowDisk { node: i32, ms: u64 },
    Snapshot { node: i32 },
    Clean { node: i32 },
}

fn step() -> impl Strategy<Value = (Step, u64)> {
    let node = 0..6i32;
    let what = prop_oneof![
        6 => Just(Step::Propose),
        3 => (node.clone(), any::<bool>()).prop_map(|(node, power)| Step::Crash { node, power }),
        1 => Just(Step::PowerCutAll),
        4 => node.clone().prop_map(|node| Step::Start { node }),
        1 => (node.clone(), node.clone(), any::<bool>()).prop_map(|(from, to, both)| Step::Cut { from, to, both }),
        2 => node.clone().prop_map(|node| Step::Isolate { node }),
        2 => Just(Step::Heal),
        2 => (0..40u64, 0..30u64, 1..80u64, 0..60u64).prop_map(|(loss, duplicates, delay_ms, disk_ms)| {
            Step::Weather { loss, duplicates, delay_ms, disk_ms }
        }),
        4 => node.clone().prop_map(|node| Step::Snapshot { node }),
        3 => node.clone().prop_map(|node| Step::Clean { node }),
        1 => (node, 0..3000u64).prop_map(|(node, ms)| Step::SlowDisk { node, ms }),
    ];
    (what, prop_oneof![3 => 0..50u64, 2 => 50..1000u64, 2 => 1000..5000u64])
}

fn apply(world: &mut World, step: &Step) -> Verdict {
    let ids = world.ids();
    let pick = |n: i32| ids[n as usize % ids.len()];
    match *step {
        Step::Propose => {
            for id in ids {
                world.propose(id)?;
            }
        }
        Step::Crash { node, power } => world.crash(pick(node), power),
        Step::PowerCutAll => ids.iter().for_each(|&id| world.crash(id, true)),
        Step::Start { node } => world.start(pick(node))?,
        Step::Cut { from, to, both } => {
            world.cut.push((pick(from), pick(to)));
            if both {
                world.cut.push((pick(to), pick(from)));
            }
        }
        Step::Isolate { node } => {
            let node = pick(node);
            world.cut.extend(ids.iter().flat_map(|&id| [(node, id), (id, node)]));
        }
        Step::Heal => world.cut.clear(),
        Step::Weather { loss, duplicates, delay_ms, disk_ms } => {
            world.weather = Weather { loss, duplicates, delay_ms, disk_ms };
        }
        Step::Snapshot { node } => world.snapshot(pick(node))?,
        Step::Clean { node } => world.clean(pick(node))?,
        Step::SlowDisk { node, ms } => {
            world.nodes.get_mut(&pick(node)).expect("a known node").slow_disk_ms = ms;
        }
    }
    Ok(())
}

fn endure(world: &mut World, steps: &[(Step, u64)]) -> Verdict {
    world.start_all()?;
    for (step, pause_ms) in steps {
        apply(world, step)?;
        world.run(*pause_ms)?;
    }
    Ok(())
}

/// Everything works again: a leader, and every node learns that a new batch is committed.
fn recover(world: &mut World) -> Verdict {
    world.cut.clear();
    world.weather = FAIR;
    for node in world.nodes.values_mut() {
        node.slow_disk_ms = 0;
    }
    world.start_all()?;
    world.run(30_000)?;
    let leader = world.leader().ok_or("nobody leads after healing")?;
    let end = world.propose(leader)?.ok_or("the leader takes no proposal")?;
    world.run(2_000)?;
    for id in world.ids() {
        let known = world.core(id).high_watermark();
        if known.is_none_or(|known| known < end) {
            return Err(format!("{id} knows {known:?} as committed, not {end}"));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_quorum_keeps_its_promises_and_heals(
        seed in any::<u64>(),
        voters in prop_oneof![Just(1), Just(3), Just(3), Just(5)],
        observers in 0..2i32,
        steps in prop::collection::vec(step(), 1..60),
        fetch_max_bytes in prop_oneof![Just(1 << 20), 20..300usize],
    ) {
        let mut world = World::new(seed, voters, observers);
        world.config.fetch_max_bytes = fetch_max_bytes;
        endure(&mut world, &steps).map_err(TestCaseError::fail)?;
        recover(&mut world).map_err(TestCaseError::fail)?;
    }
}

/// A schedule that gives bugs about durability their chance: power cuts in the middle of elections and commits.
fn power_cuts(seed: u64) -> (World, Vec<(Step, u64)>) {
    let mut stream = Stream::new(seed, "power-cuts");
    let mut world = World::new(seed, 3, 0);
    world.weather = Weather { disk_ms: 20, ..FAIR };
    // Short timeouts make candidates meet.
    world.config.election_timeout_ms = 60;
    world.config.fetch_timeout_ms = 200;
    let mut steps = Vec::new();
    for _ in 0..40 {
        for node in 0..3 {
            steps.push((Step::Start { node }, 0));
        }
        steps.push((Step::Isolate { node: stream.below(3) as i32 }, stream.below(500)));
        steps.push((Step::Propose, stream.below(60)));
        if stream.chance(1, 3) {
            steps.push((Step::PowerCutAll, 1));
        } else {
            steps.push((Step::Crash { node: stream.below(3) as i32, power: true }, stream.below(40)));
            steps.push((Step::Crash { node: stream.below(3) as i32, power: true }, 1));
        }
        steps.push((Step::Heal, 0));
        for node in 0..3 {
            steps.push((Step::Start { node }, 0));
        }
        steps.push((Step::Propose, stream.below(600)));
    }
    (world, steps)
}

fn first_caught(bug: Option<Bug>, seeds: u64) -> Option<String> {
    plant(bug.as_slice());
    let caught = (0..seeds).find_map(|seed| {
        let (mut world, steps) = power_cuts(seed);
        endure(&mut world, &steps).err()
    });
    plant(&[]);
    caught
}

#[test]
fn power_cuts_alone_break_nothing() {
    assert_eq!(first_caught(None, 60), None);
}

#[test]
fn votes_answered_before_they_are_durable_are_caught() {
    let caught = first_caught(Some(Bug::VolatileVote), 200).expect("the bug is found");
    // A voter that forgot its vote votes again, or goes on following the leader before.
    let signs = ["voted for", "is led by", "lacks committed", "below the high watermark", "not what was committed"];
    assert!(signs.iter().any(|sign| caught.contains(sign)), "{caught}");
}

#[test]
fn fetches_before_the_flush_are_caught() {
    let caught = first_caught(Some(Bug::FetchBeforeFlush), 200).expect("the bug is found");
    assert!(caught.contains("disks") || caught.contains("committed"), "{caught}");
}

#[test]
fn an_isolated_voter_comes_back_without_deposing_the_leader() {
    let mut world = World::new(7, 3, 0);
    world.start_all().unwrap();
    world.run(10_000).unwrap();
    let leader = world.leader().expect("a leader");
    let epoch = world.core(leader).leadership().epoch;
    let lonely = world.ids().into_iter().find(|&id| id != leader).expect("a follower");
    for id in world.ids() {
        world.cut.extend([(lonely, id), (id, lonely)]);
    }
    world.run(60_000).unwrap();
    world.cut.clear();
    world.run(10_000).unwrap();
    assert_eq!(world.leader(), Some(leader));
    assert_eq!(world.core(leader).leadership().epoch, epoch);
    assert_eq!(world.core(lonely).leadership().leader, Some(leader));
}

#[test]
fn a_leader_that_nobody_fetches_from_resigns() {
    let mut world = World::new(8, 3, 0);
    world.start_all().unwrap();
    world.run(10_000).unwrap();
    let leader = world.leader().expect("a leader");
    for id in world.ids() {
        world.cut.extend([(leader, id), (id, leader)]);
    }
    world.run(3_001).unwrap();
    assert_ne!(world.core(leader).leadership().leader, Some(leader));
    world.run(10_000).unwrap();
    assert!(world.leader().is_some_and(|successor| successor != leader));
    assert_ne!(world.core(leader).leadership().leader, Some(leader));
}

/// Node 2 misses much, the others throw away the log that it misses.
fn a_node_falls_behind(seed: u64, voters: i32) -> World {
    let mut world = World::new(seed, voters, 3 - voters);
    world.config.fetch_max_bytes = 50;
    world.start_all().unwrap();
    world.run(10_000).unwrap();
    world.crash(BrokerId(2), false);
    world.run(10_000).unwrap();
    let leader = world.leader().expect("a leader");
    for _ in 0..20 {
        world.propose(leader).unwrap();
        world.run(100).unwrap();
    }
    for id in [BrokerId(0), BrokerId(1)] {
        world.snapshot(id).unwrap();
        world.run(1_000).unwrap();
        world.clean(id).unwrap();
    }
    world
}

#[test]
fn a_lagging_voter_and_a_lagging_observer_load_a_snapshot() {
    for voters in [2, 3] {
        let mut world = a_node_falls_behind(11, voters);
        recover(&mut world).unwrap();
        assert_eq!(world.nodes[&BrokerId(2)].loaded, 1);
        let start = world.core(BrokerId(2)).log().log_start();
        assert!(start > Offset::ZERO && world.core(BrokerId(2)).latest_snapshot().is_some_and(|s| s.offset == start));
    }
}

#[test]
fn power_cuts_at_any_moment_of_a_download_do_no_harm() {
    for moment in 0..200 {
        let mut world = a_node_falls_behind(12, 3);
        world.weather.disk_ms = 20;
        world.start(BrokerId(2)).unwrap();
        world.run(moment).unwrap();
        world.crash(BrokerId(2), true);
        world.run(1_000).unwrap();
        recover(&mut world).unwrap_or_else(|e| panic!("cut after {moment} ms: {e}"));
    }
}

#[test]
fn observers_learn_what_is_committed_without_voting() {
    let mut world = World::new(9, 1, 2);
    world.start_all().unwrap();
    world.run(5_000).unwrap();
    let end = world.propose(BrokerId(0)).unwrap().expect("the only voter leads");
    world.run(1_000).unwrap();
    for observer in [BrokerId(1), BrokerId(2)] {
        assert_eq!(world.core(observer).high_watermark(), Some(end));
        assert_eq!(world.nodes[&observer].elections, 0);
    }
}
