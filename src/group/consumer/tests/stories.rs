use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::{JoinGroupRequest, OffsetCommitRequest};

use super::world::*;
use crate::base::bugs::{Bug, plant};
use crate::base::random::Stream;
use crate::group::consumer::{ConsumerState, MemberState};
use crate::group::types::wire;
use crate::group::{Caller, Coordinator, Output, Reply, Ticket};

fn settled(clients: usize) -> World {
    let mut world = World::new(clients, 0, 1);
    (0..clients).for_each(|who| world.start(who));
    world.run_ms(10_000);
    assert!(world.is_settled(), "{:#?}", world.group());
    world
}

#[test]
fn members_are_brought_to_the_same_epoch_and_share_everything() {
    let world = settled(3);
    let (state, epoch) = world.state().unwrap();
    assert_eq!(state, ConsumerState::Stable);
    assert!(world.clients.iter().all(|c| c.epoch == epoch && c.owned.len() == 2));
}

#[test]
fn what_moves_is_given_back_before_it_is_given_away() {
    let mut world = settled(2);
    world.clients[0].slow_ms = 3_000;
    world.add();
    world.run_ms(2_000);
    let group = world.group().unwrap();
    let slow = &group.members[&named(&world.clients[0].id)];
    assert_eq!((group.state(), slow.state), (ConsumerState::Reconciling, MemberState::UnrevokedPartitions));
    assert_eq!(world.clients[2].owned.len(), 1, "what the quick one gave back has gone on already");
    assert_eq!(world.clients[0].owned.len(), 3, "what the slow one has is still its own");
    world.run_ms(5_000);
    assert!(world.is_settled());
}

/// One of two slowly gives a partition back for a third, who leaves before that has happened.
fn taken_back() -> World {
    let mut world = settled(2);
    world.clients[0].slow_ms = 3_000;
    world.add();
    world.run_ms(2_000);
    assert_eq!(world.group().unwrap().members[&named(&world.clients[0].id)].revoking.len(), 1);
    world.leave(2);
    world.run_ms(1_500);
    let group = world.group().unwrap();
    let slow = &group.members[&named(&world.clients[0].id)];
    assert_eq!((slow.assigned.len(), slow.state), (3, MemberState::Stable), "nobody else held what it had given back");
    world.clients[0].slow_ms = 0;
    world.run_ms(3_000);
    world
}

#[test]
fn what_was_given_back_for_nobody_is_taken_back_at_once() {
    let mut world = taken_back();
    assert!(world.is_settled());
    world.add();
    world.run_ms(5_000);
    assert!(world.is_settled());
}

#[test]
#[should_panic = "has two owners"]
fn the_planted_bug_gives_away_what_was_taken_back() {
    plant(&[Bug::PartitionGivenTwice]);
    let mut world = taken_back();
    world.clients[0].slow_ms = 3_000;
    world.add();
    world.run_ms(5_000);
}

#[test]
fn who_does_not_give_back_in_time_is_fenced() {
    let mut world = settled(2);
    world.clients[0].slow_ms = 60_000;
    world.add();
    world.run_ms(REVOKE_MS as u64 + 3_000);
    assert_eq!(world.clients[0].last_error, Some(ResponseError::UnknownMemberId));
    world.clients[0].slow_ms = 0;
    world.run_ms(10_000);
    assert!(world.is_settled());
}

#[test]
fn who_is_silent_for_its_session_is_fenced_and_comes_back() {
    let mut world = settled(2);
    world.clients[1].paused = true;
    world.run_ms(SESSION_MS - 2_000);
    assert_eq!(world.group().unwrap().members.len(), 2);
    world.run_ms(4_000);
    assert_eq!(world.clients[0].owned.len(), 6);
    world.clients[1].paused = false;
    world.run_ms(10_000);
    assert_eq!(world.clients[1].last_error, Some(ResponseError::UnknownMemberId));
    assert!(world.is_settled());
}

#[test]
fn a_static_member_comes_back_to_what_it_had() {
    let mut world = World::new(2, 2, 1);
    (0..2).for_each(|who| world.start(who));
    world.run_ms(10_000);
    let (epoch, before) = (world.state().unwrap().1, world.clients[0].owned.clone());
    world.leave(0);
    world.run_ms(4_000);
    assert_eq!(world.clients[1].owned.len(), 3, "nobody takes what it will come back to");
    world.start(0);
    world.run_ms(3_000);
    assert_eq!((world.state().unwrap().1, &world.clients[0].owned), (epoch, &before));
    // One that crashed has not left: whoever comes under its name must wait until its session is over.
    world.crash(0);
    world.start(0);
    world.run_ms(3_000);
    assert_eq!(world.clients[0].last_error, Some(ResponseError::UnreleasedInstanceId));
    world.run_ms(SESSION_MS + 5_000);
    assert!(world.is_settled());
}

#[test]
fn a_topic_that_grows_and_a_changed_subscription_raise_the_epoch() {
    let mut world = settled(2);
    let epoch = world.state().unwrap().1;
    world.grow("orders", 2);
    world.run_ms(5_000);
    assert_eq!(world.state(), Some((ConsumerState::Stable, epoch + 1)));
    assert!(world.clients.iter().all(|c| c.owned.len() == 4));
    world.subscribe(0, vec!["orders", "refunds"]);
    world.run_ms(5_000);
    assert!(world.is_settled() && world.state().unwrap().1 > epoch + 1);
}

fn commit(world: &mut World, member: &str, epoch: i32, version: i16) -> i16 {
    let part = OffsetCommitRequestPartition::default().with_committed_offset(7).with_committed_metadata(Some(wire("")));
    let topic = OffsetCommitRequestTopic::default().with_name(wire("orders").into()).with_partitions(vec![part]);
    let request = OffsetCommitRequest::default()
        .with_group_id(wire(GROUP).into())
        .with_generation_id_or_member_epoch(epoch)
        .with_member_id(wire(member))
        .with_topics(vec![topic]);
    let (now, mut out) = (world.now(), Vec::new());
    world.coordinator.commit_in_version(now, Ticket(u64::MAX), &request, version, &mut out);
    match &out[..] {
        [Output::Reply(_, Reply::Commit(reply))] => reply.topics[0].partitions[0].error_code,
        [Output::Append(..)] => {
            world.take(out);
            0
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_member_commits_in_its_own_epoch_alone() {
    let mut world = settled(2);
    let (id, epoch) = (world.clients[0].id.clone(), world.clients[0].epoch);
    let stale = ResponseError::StaleMemberEpoch.code();
    assert_eq!(commit(&mut world, &id, epoch, 9), 0);
    assert_eq!(commit(&mut world, &id, epoch - 1, 9), stale);
    assert_eq!(commit(&mut world, &id, epoch + 1, 9), stale);
    assert_eq!(commit(&mut world, "stranger", epoch, 9), ResponseError::UnknownMemberId.code());
    assert_eq!(commit(&mut world, "", -1, 9), ResponseError::UnknownMemberId.code());
    assert_eq!(commit(&mut world, &id, epoch, 8), ResponseError::UnsupportedVersion.code());
    world.commit_log();
    assert_eq!(world.coordinator.check_offset_fetch(GROUP, Some(&id), epoch), Ok(()));
    assert_eq!(world.coordinator.check_offset_fetch(GROUP, None, -1), Ok(()));
    let refused = world.coordinator.check_offset_fetch(GROUP, Some(&id), epoch - 1);
    assert_eq!(refused, Err(ResponseError::StaleMemberEpoch));
    (0..2).for_each(|who| world.leave(who));
    world.run_ms(1_000);
    assert_eq!(world.state().map(|(s, _)| s), Some(ConsumerState::Empty));
    assert_eq!(commit(&mut world, "", -1, 9), 0, "nobody owns anything: offsets may be stored");
    let offsets = world.replayed().committed_offsets(GROUP).map(|o| o.len());
    assert_eq!(offsets, Some(1));
}

#[test]
fn the_two_protocols_do_not_meet_in_one_group() {
    let mut world = settled(1);
    let join = |world: &mut World| {
        let protocol =
            kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol::default().with_name(wire("range"));
        let request = JoinGroupRequest::default()
            .with_group_id(wire(GROUP).into())
            .with_session_timeout_ms(10_000)
            .with_rebalance_timeout_ms(10_000)
            .with_protocol_type(wire("consumer"))
            .with_protocols(vec![protocol]);
        let (now, caller, mut out) = (world.now(), Caller { version: 3, ..Caller::default() }, Vec::new());
        world.coordinator.join(now, Ticket(u64::MAX), &caller, &request, &mut out);
        let told =
            out.iter().find_map(|o| if let Output::Reply(_, Reply::Join(r)) = o { Some(r.error_code) } else { None });
        world.take(out);
        told
    };
    assert_eq!(join(&mut world), Some(ResponseError::InconsistentGroupProtocol.code()));
    world.leave(0);
    world.run_ms(1_000);
    assert_eq!(join(&mut world), None, "an empty group makes room");
    assert_eq!(world.state(), None);
    world.epoch = 0;
    world.start(0);
    world.run_ms(1_000);
    assert_eq!(world.clients[0].last_error, Some(ResponseError::GroupIdNotFound), "and now members are in its place");
}

#[test]
fn a_log_with_holes_is_no_reason_to_panic() {
    let world = settled(3);
    let records: Vec<_> = world.log.records().collect();
    for missing in 0..records.len() {
        let mut fresh = Coordinator::new(world.cfg.clone(), Stream::new(1, "members"), world.now());
        for record in records.iter().enumerate().filter(|(i, _)| *i != missing).map(|(_, record)| record) {
            fresh.replay(world.now(), &record.key, record.value.as_deref()).unwrap();
        }
        fresh.loaded(world.now());
        assert!(fresh.consumer_state(GROUP).is_some(), "{missing}");
    }
}

#[test]
fn described_is_what_is_committed() {
    let mut world = settled(1);
    let epoch = world.state().unwrap().1;
    world.stuck = true;
    world.add();
    world.run_ms(500);
    assert_eq!(world.state().unwrap().1, epoch + 1);
    let described = world.coordinator.describe_consumer(GROUP);
    assert_eq!((described.group_epoch, described.members.len()), (epoch, 1));
    world.stuck = false;
    world.run_ms(5_000);
    let described = world.coordinator.describe_consumer(GROUP);
    assert_eq!((described.group_epoch, described.members.len()), (epoch + 1, 2));
    assert_eq!(described.group_state.as_str(), "Stable");
    assert_eq!(described.members[0].assignment, described.members[0].target_assignment);
    let listed: Vec<_> = world.coordinator.list().collect();
    assert_eq!((listed[0].group_type.as_str(), listed[0].group_state.as_str()), ("consumer", "Stable"));
    let classic = world.coordinator.describe(GROUP, 6);
    assert_eq!(classic.error_code, ResponseError::GroupIdNotFound.code());
    let absent = world.coordinator.describe_consumer("nobody");
    assert_eq!(absent.error_code, ResponseError::GroupIdNotFound.code());
}
