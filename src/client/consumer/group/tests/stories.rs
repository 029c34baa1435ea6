//! Single situations.

use super::world::*;
use crate::base::{Offset, TopicPartition};
use crate::client::consumer::group::membership::State;
use crate::client::consumer::group::types::CommitError;

fn stable(members: usize, strategy: &'static str) -> World {
    let mut world = World::new(members, 0, strategy, 1);
    (0..members).for_each(|who| world.start(who));
    world.run_ms(10_000);
    assert!(world.is_stable());
    world
}

#[test]
fn heartbeats_go_on_while_the_application_works_but_not_for_ever() {
    let mut world = stable(2, "range");
    world.members[0].polls = false;
    let id = world.members[0].core.generation.member.to_string();
    let before = world.heartbeats[&id];
    world.run_ms(POLL_MS - 2_000);
    assert!(world.members[0].core.is_member());
    let beats = world.heartbeats[&id] - before;
    assert!((8..=10).contains(&beats), "{beats} heartbeats in 28 s");
    world.run_ms(4_000);
    assert_eq!(world.members[0].core.state, State::Unjoined);
    assert!(!world.current().contains(&*id), "it has left, its session need not run out");
    world.run_ms(10_000);
    assert_eq!(world.members[1].owned.len(), 6);
    // What it had it hears to be lost when it polls again, and not before.
    assert_eq!((world.members[0].owned.len(), world.members[0].lost), (3, 0));
    world.members[0].polls = true;
    world.run_ms(10_000);
    assert_eq!((world.members[0].lost, world.shares()), (1, vec![3, 3]));
}

#[test]
fn a_poll_that_could_return_at_once_sees_to_it_that_the_coordinator_is_asked_for() {
    let mut world = World::new(1, 0, "range", 1);
    let (now, core) = (world.now(), &mut world.members[0].core);
    assert!(!core.wants_poll(now), "nobody polls");
    core.poll(now);
    assert!(core.wants_poll(now));
    core.finding(now);
    assert!(!core.wants_poll(now), "now there is only an answer to wait for");
}

#[test]
fn a_busy_member_holds_the_rebalance_up_until_it_polls() {
    let mut world = stable(1, "range");
    world.members[0].polls = false;
    let joined = world.members[0].rejoins;
    let other = World::new(2, 0, "range", 1).members.pop().expect("a second member");
    world.members.push(other);
    world.start(1);
    world.run_ms(15_000);
    assert_eq!((world.members[0].rejoins, world.members[1].rejoins), (joined, 0));
    world.members[0].polls = true;
    world.run_ms(2_000);
    assert_eq!(world.shares(), [3, 3]);
}

#[test]
fn who_keeps_its_partitions_has_them_while_the_others_join() {
    let mut world = stable(2, "cooperative-sticky");
    let before = world.members[0].owned.clone();
    let other = World::new(3, 0, "cooperative-sticky", 1).members.pop().expect("a third member");
    world.members.push(other);
    world.start(2);
    for _ in 0..200 {
        world.run_ms(STEP_MS);
        assert!(world.members[0].owned.is_subset(&before) && world.members[0].owned.len() >= 2);
    }
    assert_eq!(world.shares(), [2, 2, 2]);
}

#[test]
fn a_commit_belongs_to_its_generation() {
    let mut world = stable(1, "range");
    world.commit(0, 7);
    world.run_ms(1_000);
    assert_eq!(world.members[0].outcomes.last().map(|(_, r)| r.clone()), Some(Ok(())));
    let committed = world.coordinator.committed_offsets(GROUP).expect("the group");
    assert_eq!(committed[&TopicPartition::new(TOPIC, 0)].value.offset, Offset(7).0);
    // The coordinator takes it for dead meanwhile: what it owned may be another's.
    world.members[0].polls = false;
    world.run_ms(POLL_MS + 1_000);
    let offsets = std::collections::BTreeMap::new();
    assert_eq!(world.members[0].core.commit(offsets, true), Err(CommitError::NotAMember));
}

#[test]
fn a_member_outlives_its_coordinator_without_joining_anew() {
    let mut world = stable(3, "range");
    let joined: Vec<_> = world.members.iter().map(|m| m.rejoins).collect();
    world.move_coordinator();
    world.run_ms(20_000);
    assert!(world.is_stable());
    assert!(world.members.iter().map(|m| m.rejoins).eq(joined));
}

#[test]
fn what_a_silent_coordinator_was_asked_is_asked_again_once_the_silence_is_noticed() {
    let mut world = stable(1, "range");
    world.silent = true;
    world.commit(0, 7);
    world.run_ms(5_000);
    // Another broker takes over, where the members' sessions begin anew.
    world.move_coordinator();
    world.silent = false;
    assert!(world.members[0].outcomes.is_empty());
    world.run_ms(6_000);
    assert_eq!(world.members[0].outcomes.last().map(|(_, r)| r.clone()), Some(Ok(())));
    assert!(world.members[0].core.is_member());
}

#[test]
fn a_member_soon_asks_another_broker_for_its_coordinator_if_one_is_silent() {
    let mut world = stable(1, "range");
    let (now, core) = (world.now(), &mut world.members[0].core);
    core.coordinator_lost("test");
    assert_eq!(core.find_ns(), Some(0));
    core.finding(now);
    assert_eq!(core.find_ns(), Some(now.after_ms(200)), "two retry backoffs later");
    core.found(now, Ok(crate::base::BrokerId(1)));
    assert_eq!(core.find_ns(), None);
    // Who is no member has no session to lose.
    core.reset(true, "test");
    core.coordinator_lost("test");
    core.finding(now);
    assert_eq!(core.find_ns(), None);
}

#[test]
fn a_static_leader_that_comes_back_changes_nothing_and_still_watches_the_topics() {
    let mut world = World::new(2, 2, "range", 1);
    (0..2).for_each(|who| world.start(who));
    world.run_ms(10_000);
    let leader = (0..2).find(|who| world.members[*who].core.assigned_topics.is_some()).expect("a leader");
    let (generation, owned) = (world.members[leader].core.generation.id, world.members[leader].owned.clone());
    world.crash(leader);
    world.run_ms(3_000);
    world.start(leader);
    world.run_ms(3_000);
    assert_eq!((world.members[leader].core.generation.id, &world.members[leader].owned), (generation, &owned));
    world.topics.values_mut().for_each(|count| *count += 1);
    world.run_ms(10_000);
    assert_eq!(world.owned().len(), 7);
}

#[test]
fn a_lost_answer_to_join_group_costs_a_backoff_and_not_the_membership() {
    let mut world = stable(2, "range");
    let id = world.members[0].core.generation.member.clone();
    world.members[1].core.request_rejoin("test");
    world.run_ms(1_000);
    world.disconnect(0);
    world.run_ms(10_000);
    assert!(world.is_stable());
    assert_eq!((world.members[0].core.generation.member.clone(), world.members[0].lost), (id, 0));
    assert_eq!(world.shares(), [3, 3]);
}

/// The member id of an instance's new life becomes durable with the generation that it joins. A coordinator that moves before then knows
/// the old life only and fences the new one (KIP-345, `GroupCoordinator.validateCurrentMember`).
#[test]
fn a_coordinator_that_moves_before_a_generation_is_durable_fences_an_instance_once() {
    let mut world = World::new(4, 3, "range", 6_687_612_647_168_781_081);
    world.start(0);
    world.run_ms(12_050);
    world.start(1);
    world.members[0].core.leave("test");
    world.run_ms(STEP_MS);
    world.crash(0);
    world.topics.values_mut().for_each(|count| *count += 1);
    world.start(0);
    world.run_ms(200);
    world.move_coordinator();
    world.run_ms(60_000);
    assert_eq!(world.fenced, 1);
    assert!(world.is_stable());
    assert_eq!(world.owned().len(), 7);
}
