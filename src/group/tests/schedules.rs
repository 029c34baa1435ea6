use proptest::prelude::*;

use super::world::*;
use crate::base::bugs::{Bug, plant};
use crate::base::random::Stream;
use crate::group::classic::State;

#[derive(Clone, Copy, Debug)]
enum Step {
    Start(usize),
    Leave(usize),
    Crash(usize),
    Pause(usize),
    Resume(usize),
    Commit(usize, i32),
    Run(u64),
    Stuck(bool),
    Refuse(bool),
    Move(bool),
}

const CONSUMERS: usize = 4;

fn step() -> impl Strategy<Value = Step> {
    let who = 0..CONSUMERS;
    prop_oneof![
        4 => who.clone().prop_map(Step::Start),
        2 => who.clone().prop_map(Step::Leave),
        2 => who.clone().prop_map(Step::Crash),
        2 => who.clone().prop_map(Step::Pause),
        3 => who.clone().prop_map(Step::Resume),
        6 => (who, 0..PARTITIONS as i32).prop_map(|(who, p)| Step::Commit(who, p)),
        8 => prop_oneof![Just(100u64), Just(1_000), Just(4_000), Just(15_000)].prop_map(Step::Run),
        2 => any::<bool>().prop_map(Step::Stuck),
        1 => any::<bool>().prop_map(Step::Refuse),
        1 => any::<bool>().prop_map(Step::Move),
    ]
}

fn play(world: &mut World, step: Step) {
    match step {
        Step::Start(who) if world.consumers[who].doing == Doing::Absent => world.consumers[who].doing = Doing::Wants,
        Step::Start(_) => {}
        Step::Leave(who) => world.leave(who),
        Step::Crash(who) => world.crash(who),
        Step::Pause(who) => world.consumers[who].paused = true,
        Step::Resume(who) => world.consumers[who].paused = false,
        Step::Commit(who, partition) => {
            // Without a generation it would be no member's commit.
            if world.consumers[who].generation >= 0 {
                let current = world.state();
                let (before, generation) = (world.log.len(), world.consumers[who].generation);
                world.commit(who, partition);
                if world.log.len() > before {
                    let (_, now) = current.expect("a group that takes commits exists");
                    assert_eq!(generation, now, "only the present generation's word counts");
                }
            }
        }
        Step::Run(ms) => world.run_ms(ms),
        Step::Stuck(stuck) => world.stuck = stuck,
        Step::Refuse(refusing) => world.refusing = refusing,
        Step::Move(keep) => world.move_coordinator(keep),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Whatever happens: no partition has two owners in a generation, what is told of offsets is what the log says, no
    /// acknowledged commit is lost, every request is answered, and once all is well the group becomes stable again with exactly
    /// those who are there, as its log has it.
    #[test]
    fn members_come_and_go_and_so_do_coordinators(
        statics in 0..=CONSUMERS,
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut world = World::new(CONSUMERS, statics);
        for step in steps {
            play(&mut world, step);
        }
        (world.stuck, world.refusing) = (false, false);
        world.consumers.iter_mut().for_each(|c| c.paused = false);
        // One rebalance that a silent member prolongs, then one more for who was thrown out in it.
        world.run_ms(120_000);
        world.check();
        let alive: Vec<_> = (0..CONSUMERS).filter(|i| world.consumers[*i].doing != Doing::Absent).collect();
        prop_assert_eq!(world.owners(), alive.clone());
        if !alive.is_empty() {
            prop_assert_eq!(world.state().map(|(s, _)| s), Some(State::Stable));
        }
        prop_assert!(world.open.is_empty(), "unanswered: {:?}", world.open);
        let live = world.state();
        let replayed = world.replayed();
        if let Some((State::Stable, _)) = live {
            prop_assert_eq!(replayed.state(GROUP), live);
        }
    }
}

/// A step as [`step`] draws it.
fn drawn(dice: &mut Stream) -> Step {
    let who = dice.below(CONSUMERS as u64) as usize;
    match dice.below(30) {
        0..4 => Step::Start(who),
        4..6 => Step::Leave(who),
        6..8 => Step::Crash(who),
        8..10 => Step::Pause(who),
        10..13 => Step::Resume(who),
        13..20 => Step::Commit(who, dice.below(PARTITIONS as u64) as i32),
        20..28 => Step::Run(*dice.pick(&[100, 1_000, 4_000, 15_000])),
        _ => Step::Move(dice.chance(1, 2)),
    }
}

/// The first of so many schedules in which `bug` breaks a property.
fn first_broken(bug: Option<Bug>, seeds: u64) -> Option<(u64, String)> {
    plant(bug.as_slice());
    let broken = (0..seeds).find_map(|seed| {
        let story = || {
            let mut dice = Stream::new(seed, "group schedule");
            let mut world = World::new(CONSUMERS, 1);
            if bug == Some(Bug::ExpiryDuringLoad) {
                // Commits are older than that when a later coordinator reads them.
                world.offsets_retention_ms = 20_000;
            }
            (0..60).for_each(|_| play(&mut world, drawn(&mut dice)));
        };
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(story)).err()?;
        Some((seed, panic.downcast_ref::<String>().cloned().unwrap_or_default()))
    });
    plant(&[]);
    broken
}

#[test]
fn commits_of_another_generation_are_caught() {
    assert_eq!(first_broken(None, 50), None);
    let (seed, wrong) = first_broken(Some(Bug::ZombieCommit), 100).expect("the planted bug shows");
    assert!(seed < 50 && wrong.contains("only the present generation's word counts"), "{seed}: {wrong}");
}

#[test]
fn offsets_that_expire_while_they_are_loaded_are_caught() {
    let (seed, wrong) = first_broken(Some(Bug::ExpiryDuringLoad), 100).expect("the planted bug shows");
    assert!(seed < 50 && wrong.contains("told against logged"), "{seed}: {wrong}");
}
