use super::world::*;
use crate::group::classic::State;

fn started(consumers: usize, statics: usize) -> World {
    let mut world = World::new(consumers, statics);
    world.consumers.iter_mut().for_each(|c| c.doing = Doing::Wants);
    world.run_ms(10_000);
    assert_eq!(world.state().unwrap().0, State::Stable);
    world
}

#[test]
fn an_empty_group_waits_three_seconds_for_more_members_and_then_has_one_generation() {
    let mut world = World::new(3, 0);
    world.consumers.iter_mut().for_each(|c| c.doing = Doing::Wants);
    world.run_ms(2_900);
    assert_eq!(world.state(), Some((State::PreparingRebalance, 0)));
    world.run_ms(3_300);
    assert_eq!(world.state(), Some((State::Stable, 1)));
    assert_eq!(world.owners(), [0, 1, 2]);
}

#[test]
fn a_third_member_makes_everybody_join_anew() {
    let mut world = started(3, 0);
    world.leave(2);
    world.run_ms(4_000);
    assert_eq!((world.state(), world.owners()), (Some((State::Stable, 2)), vec![0, 1]));
    world.consumers[2].doing = Doing::Wants;
    world.run_ms(4_000);
    assert_eq!((world.state(), world.owners()), (Some((State::Stable, 3)), vec![0, 1, 2]));
}

#[test]
fn a_silent_member_is_out_when_its_session_is_over_and_its_commits_are_refused() {
    let mut world = started(2, 0);
    world.consumers[0].paused = true;
    world.run_ms(SESSION_MS + HEARTBEAT_MS + 1_000);
    assert_eq!((world.state(), world.owners()), (Some((State::Stable, 2)), vec![1]));
    world.commit(0, 0);
    world.run_ms(100);
    assert!(world.acked.is_empty() && world.commits.is_empty(), "a zombie's commit is refused");
    world.commit(1, 0);
    world.run_ms(100);
    assert_eq!(world.acked.len(), 1);
}

#[test]
fn a_static_member_that_restarts_in_time_disturbs_nobody_and_its_predecessor_is_fenced() {
    let mut world = started(2, 2);
    let before = world.state();
    let zombie = world.consumers[0].clone();
    world.crash(0);
    world.run_ms(2_000);
    world.consumers[0].doing = Doing::Wants;
    world.run_ms(2_000);
    assert_eq!((world.state(), world.owners()), (before, vec![0, 1]));
    assert_eq!(world.consumers[0].owns, zombie.owns);
    world.consumers.push(zombie);
    world.commit(2, 0);
    world.run_ms(100);
    assert!(world.acked.is_empty() && world.commits.is_empty());
    world.run_ms(HEARTBEAT_MS);
    assert_eq!(world.consumers[2].doing, Doing::Absent, "its heartbeat told it that it is fenced");
}

#[test]
fn nothing_is_said_before_it_is_committed() {
    let mut world = started(1, 0);
    world.stuck = true;
    world.commit(0, 3);
    world.run_ms(2_000);
    assert!(world.acked.is_empty() && world.commits.len() == 1, "the high watermark has not moved");
    world.run_ms(4_000);
    assert!(world.acked.is_empty() && world.commits.is_empty(), "offsets.commit.timeout.ms is over");
    world.stuck = false;
    world.run_ms(100);
    assert!(world.coordinator.committed_offsets(GROUP).unwrap().len() == 1, "it went through all the same");
}

#[test]
fn an_assignment_that_cannot_be_stored_makes_everybody_join_anew() {
    let mut world = World::new(2, 0);
    world.refusing = true;
    world.consumers.iter_mut().for_each(|c| c.doing = Doing::Wants);
    world.run_ms(10_000);
    assert_ne!(world.state().unwrap().0, State::Stable);
    world.refusing = false;
    world.run_ms(30_000);
    assert_eq!((world.state().unwrap().0, world.owners()), (State::Stable, vec![0, 1]));
}

#[test]
fn a_coordinator_that_takes_over_knows_the_generation_and_nobody_has_to_join_anew() {
    let mut world = started(3, 1);
    world.commit(1, 1);
    world.run_ms(100);
    let before = world.state();
    world.move_coordinator(false);
    world.run_ms(20_000);
    assert_eq!((world.state(), world.owners()), (before, vec![0, 1, 2]));
}

#[test]
fn the_last_one_leaves_an_empty_group_whose_offsets_expire_after_a_week() {
    let mut world = started(1, 0);
    world.commit(0, 1);
    world.run_ms(100);
    world.leave(0);
    world.run_ms(1_000);
    assert_eq!(world.state().unwrap().0, State::Empty);
    world.now_ms += 7 * 24 * 3_600_000;
    world.acked.clear();
    world.run_ms(700_000);
    assert_eq!(world.state(), None);
    assert!(world.coordinator.committed_offsets(GROUP).is_none());
    assert_eq!(world.replayed().state(GROUP), None, "its tombstones are in the log");
}

#[test]
fn offsets_of_a_topic_that_is_still_read_outlive_their_time() {
    let mut world = started(1, 0);
    world.commit(0, 1);
    world.wall_ahead_ms = 8 * 24 * 3_600_000;
    world.run_ms(700_000);
    assert_eq!(world.coordinator.committed_offsets(GROUP).unwrap().len(), 1);
    assert_eq!(world.state().unwrap().0, State::Stable);
}
