//! Random schedules.

use proptest::prelude::*;

use super::world::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    Start(usize),
    Crash(usize),
    Leave(usize),
    Poll(usize, bool),
    Commit(usize),
    Disconnect(usize),
    Move,
    Grow,
    Run(u64),
}

const MEMBERS: usize = 4;

fn step() -> impl Strategy<Value = Step> {
    let who = 0..MEMBERS;
    prop_oneof![
        5 => who.clone().prop_map(Step::Start),
        2 => who.clone().prop_map(Step::Crash),
        2 => who.clone().prop_map(Step::Leave),
        4 => (who.clone(), any::<bool>()).prop_map(|(who, polls)| Step::Poll(who, polls)),
        4 => who.clone().prop_map(Step::Commit),
        3 => who.prop_map(Step::Disconnect),
        1 => Just(Step::Move),
        1 => Just(Step::Grow),
        12 => prop_oneof![Just(50u64), Just(200), Just(1_000), Just(4_000), Just(12_000), Just(35_000)].prop_map(Step::Run),
    ]
}

fn play(world: &mut World, step: Step) {
    match step {
        Step::Start(who) => world.start(who),
        Step::Crash(who) => world.crash(who),
        Step::Leave(who) => {
            world.members[who].core.leave("test");
            world.run_ms(STEP_MS);
            world.crash(who);
        }
        Step::Poll(who, polls) => world.members[who].polls = polls,
        Step::Commit(who) => world.commit(who, world.now_ms as i64),
        Step::Disconnect(who) => world.disconnect(who),
        Step::Move => world.move_coordinator(),
        Step::Grow => world.topics.values_mut().for_each(|count| *count += 1),
        Step::Run(ms) => world.run_ms(ms),
    }
}

/// How partitions are shared out, each as often as it stands here.
const STRATEGIES: [&str; 8] =
    ["range", "roundrobin", "sticky", "cooperative-sticky", "range,cooperative-sticky", CONSUMER, CONSUMER, CONSUMER];

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever happens: never do two members own the same. Once all is well, all that there is is owned, by everybody who is there,
    /// as evenly as can be, and it stays so.
    #[test]
    fn members_come_to_own_everything_and_nothing_twice(
        statics in 0..=MEMBERS,
        strategy in prop::sample::select(&STRATEGIES[..]),
        seed in any::<u64>(),
        steps in prop::collection::vec(step(), 1..50),
    ) {
        let mut world = World::new(MEMBERS, statics, strategy, seed);
        for step in steps {
            play(&mut world, step);
        }
        world.start(0);
        world.members.iter_mut().for_each(|m| m.polls = true);
        // A rebalance that waits for whoever is silent, one more for whoever was thrown out in it, and one for what they give up.
        world.run_ms(150_000);
        // A static leader that comes back takes the topics as it finds them for what has been shared out: a partition that came
        // while it was away is seen with the next change (KIP-814, `ConsumerCoordinator.onLeaderElected`).
        play(&mut world, Step::Grow);
        world.run_ms(150_000);
        prop_assert!(world.is_stable());
        prop_assert_eq!(world.owned().len(), world.topics[TOPIC] as usize);
        let shares = world.shares();
        prop_assert!(shares.iter().max().unwrap() - shares.iter().min().unwrap() <= 1, "{:?}", shares);
        let rejoins = |world: &World| world.members.iter().map(|m| m.rejoins).sum::<usize>();
        let before = rejoins(&world);
        world.run_ms(60_000);
        prop_assert_eq!(rejoins(&world), before, "nothing happens and yet they rebalance");
        prop_assert!(world.members.iter().all(|m| m.commits.is_empty()), "every commit has an outcome");
    }
}
