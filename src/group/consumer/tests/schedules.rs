use proptest::prelude::*;

use super::world::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    Start(usize),
    Leave(usize),
    Crash(usize),
    Pause(usize),
    Resume(usize),
    Slow(usize, u64),
    Subscribe(usize, bool),
    Grow,
    Run(u64),
    Loss(u64),
    Stuck(bool),
    Refuse(bool),
    Move(bool),
}

const CLIENTS: usize = 4;

fn step() -> impl Strategy<Value = Step> {
    let who = 0..CLIENTS;
    prop_oneof![
        4 => who.clone().prop_map(Step::Start),
        2 => who.clone().prop_map(Step::Leave),
        2 => who.clone().prop_map(Step::Crash),
        2 => who.clone().prop_map(Step::Pause),
        3 => who.clone().prop_map(Step::Resume),
        2 => (who.clone(), prop_oneof![Just(0u64), Just(1_500), Just(7_000)]).prop_map(|(who, ms)| Step::Slow(who, ms)),
        1 => (who, any::<bool>()).prop_map(|(who, both)| Step::Subscribe(who, both)),
        1 => Just(Step::Grow),
        9 => prop_oneof![Just(100u64), Just(1_000), Just(3_000), Just(15_000)].prop_map(Step::Run),
        2 => prop_oneof![Just(0u64), Just(30), Just(60)].prop_map(Step::Loss),
        2 => any::<bool>().prop_map(Step::Stuck),
        1 => any::<bool>().prop_map(Step::Refuse),
        1 => any::<bool>().prop_map(Step::Move),
    ]
}

fn play(world: &mut World, step: Step) {
    match step {
        Step::Start(who) => world.start(who),
        Step::Leave(who) => world.leave(who),
        Step::Crash(who) => world.crash(who),
        Step::Pause(who) => world.clients[who].paused = true,
        Step::Resume(who) => world.clients[who].paused = false,
        Step::Slow(who, ms) => world.clients[who].slow_ms = ms,
        Step::Subscribe(who, both) => {
            world.subscribe(who, if both { vec!["orders", "refunds"] } else { vec!["orders"] });
        }
        Step::Grow => world.grow("orders", 1),
        Step::Run(ms) => world.run_ms(ms),
        Step::Loss(percent) => world.loss = percent,
        Step::Stuck(stuck) => world.stuck = stuck,
        Step::Refuse(refusing) => world.refusing = refusing,
        Step::Move(keep) => world.move_coordinator(keep),
    }
    world.check();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, ..ProptestConfig::default() })]

    /// Whatever happens: no partition has two owners, no epoch goes back, every request is answered, and once all is well the group
    /// comes to rest with exactly those who are there, each at its target, all partitions among them; and the log says the same.
    #[test]
    fn members_come_and_go_and_so_do_coordinators(
        statics in 0..=CLIENTS,
        seed in 0..1_000u64,
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut world = World::new(CLIENTS, statics, seed);
        for step in steps {
            play(&mut world, step);
        }
        (world.stuck, world.refusing, world.loss) = (false, false, 0);
        for client in &mut world.clients {
            (client.paused, client.slow_ms) = (false, 0);
        }
        // Who has missed two answers is fenced in whatever it says until its session is over; so is whoever takes the place of a
        // static member that crashed.
        world.run_ms(60_000);
        prop_assert!(world.is_settled(), "{:?}, {:#?}", world.clients, world.group());
        prop_assert!(world.is_answered());
        let replayed = world.replayed();
        let replayed = replayed.group(GROUP).and_then(|g| g.consumer.as_ref()).map(logged);
        prop_assert_eq!(world.group().map(logged), replayed);
    }
}
