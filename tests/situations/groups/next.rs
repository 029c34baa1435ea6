//! The same of groups of the consumer protocol (KIP-848), whose coordinator assigns: nobody ever stops for what others do.

use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, DeleteGroupsRequest, DescribeGroupsRequest, ListGroupsRequest,
};
use kafka_protocol::protocol::{Request, StrBytes};
use ktrial::base::BrokerId;
use ktrial::base::random::Stream;
use ktrial::wire::api;
use ktrial::wire::conn::RpcConn;
use parking_lot::Mutex;

use super::town::{GROUP, Settings, Town, play};

const NEXT: Settings = &[("group.protocol", "consumer")];

#[test]
fn members_that_come_and_go_share_everything_and_give_up_only_what_moves() {
    for seed in 0..3 {
        play(seed, move |town| async move {
            town.join("a", NEXT).await;
            town.until("a alone has everything", |t: &Town| t.shared_by(&["a"])).await;
            town.join("b", NEXT).await;
            town.until("a and b share", |t: &Town| t.shared_by(&["a", "b"])).await;
            town.until_all_progress().await;
            let (before, since) = (town.owned_by("a"), town.mark());
            town.join("c", NEXT).await;
            town.until("three share", |t: &Town| t.shared_by(&["a", "b", "c"])).await;
            town.until_all_progress().await;
            let kept = town.owned_by("a");
            assert!(kept.is_subset(&before) && kept.len() == 2, "seed {seed}: {before:?}, {kept:?}");
            for name in ["a", "b"] {
                assert_eq!(town.given_up(name, since).len(), 1, "seed {seed}: {name}");
            }
            let silence = town.longest_silence(&kept, since);
            assert!(silence < 1.5, "seed {seed}: what a keeps stood still for {silence} s");
            let began = town.second();
            town.stop("a").await;
            town.until("b and c share", |t: &Town| t.shared_by(&["b", "c"])).await;
            assert!(town.second() - began < 5.0, "who leaves is not waited for: {} s", town.second() - began);
            town.until_all_progress().await;
            assert_eq!(town.twice(), 0, "nothing is read twice where everybody commits and goes in order");
        });
    }
}

#[test]
fn who_loses_power_is_fenced_when_its_session_is_over() {
    // group.consumer.session.timeout.ms since its last heartbeat, at most an interval ago, then one until the others hear.
    super::is_missed_after(NEXT, 6.9..14.0);
}

#[test]
fn who_stands_still_past_its_session_is_told_that_it_has_lost_everything() {
    for seed in 0..3 {
        play(seed, move |town| async move {
            for name in ["a", "b"] {
                town.join(name, NEXT).await;
            }
            town.until("two share", |t: &Town| t.shared_by(&["a", "b"])).await;
            town.until_all_progress().await;
            town.unaware.lock().insert("a".to_owned());
            town.world.pause(town.host("a"));
            town.until("b has everything", |t: &Town| t.owned_by("b").len() == 6).await;
            town.world.resume(town.host("a"));
            town.until("a is told", |t: &Town| t.lost("a").len() == 3).await;
            town.until("two share again", |t: &Town| t.shared_by(&["a", "b"])).await;
            town.until_all_progress().await;
        });
    }
}

#[test]
fn a_member_that_does_not_poll_leaves_by_itself() {
    play(1, |town| async move {
        let settings = &[("group.protocol", "consumer"), ("max.poll.interval.ms", "20000")];
        let habits = town.join("slow", settings).await;
        town.join("b", settings).await;
        town.until("two share", |t: &Town| t.shared_by(&["b", "slow"])).await;
        habits.lock().work = Duration::from_secs(45);
        town.unaware.lock().insert("slow".to_owned());
        let began = town.second();
        town.until("b has everything", |t: &Town| t.owned_by("b").len() == 6).await;
        let took = town.second() - began;
        assert!((20.0..35.0).contains(&took), "{took} s");
        habits.lock().work = Duration::ZERO;
        town.until("slow is told", |t: &Town| t.lost("slow").len() == 3).await;
        town.until("two share again", |t: &Town| t.shared_by(&["b", "slow"])).await;
        town.until_all_progress().await;
    });
}

#[test]
fn the_group_outlives_its_coordinator_and_so_do_its_offsets() {
    for seed in 0..6 {
        play(seed, move |town| async move {
            for name in ["a", "b"] {
                town.join(name, NEXT).await;
            }
            town.until("two share", |t: &Town| t.shared_by(&["a", "b"])).await;
            town.until_all_progress().await;
            let coordinator = town.coordinator().await;
            if seed % 3 == 0 {
                town.unaware.lock().extend(["a".to_owned(), "b".to_owned()]);
                town.cluster.power_cut(coordinator);
            } else {
                town.cluster.crash(coordinator);
            }
            town.until_all_progress().await;
            assert_ne!(town.coordinator().await, coordinator);
            let committed = town.committed();
            let commits_again = |t: &Town| t.committed().iter().all(|(tp, at)| *at > committed[tp]);
            town.until("the new coordinator takes commits", commits_again).await;
            town.until("two share again", |t: &Town| t.shared_by(&["a", "b"])).await;
            if town.lost("a").is_empty() && town.lost("b").is_empty() {
                assert_eq!(town.twice(), 0, "seed {seed}");
            }
            town.stop("a").await;
            town.stop("b").await;
            let before = town.twice();
            town.join("late", NEXT).await;
            town.until("the newcomer has everything", |t: &Town| t.shared_by(&["late"])).await;
            town.until_all_progress().await;
            assert_eq!(town.twice(), before, "seed {seed}");
        });
    }
}

#[test]
fn a_static_member_comes_back_before_anybody_misses_it() {
    super::comes_back_unmissed(&[("group.protocol", "consumer"), ("group.instance.id", "one")], NEXT);
}

#[test]
fn a_topic_that_grows_is_shared_out_anew_and_offsets_are_committed_by_themselves() {
    for seed in 0..2 {
        play(seed, move |town| async move {
            let settings: Settings = &[("group.protocol", "consumer"), ("enable.auto.commit", "true")];
            for name in ["a", "b"] {
                town.join_as(name, settings, Default::default()).await;
            }
            town.until("two share", |t: &Town| t.shared_by(&["a", "b"])).await;
            town.until_all_progress().await;
            town.join_as("c", settings, Default::default()).await;
            town.until("three share", |t: &Town| t.shared_by(&["a", "b", "c"])).await;
            town.until_all_progress().await;
            assert_eq!(town.twice(), 0, "seed {seed}: what moves is committed before");
            town.grow(9).await;
            let all = |t: &Town| ["a", "b", "c"].iter().all(|name| t.owned_by(name).len() == 3);
            town.until("nine are shared", all).await;
        });
    }
}

async fn ask<R: Request + Sync>(broker: BrokerId, request: &R) -> R::Response {
    let patience = Duration::from_secs(5);
    let mut conn = RpcConn::connect(&format!("broker-{broker}"), 9092, "asker", patience).await.expect("it lives");
    conn.call(api::own_version_of::<R>(), request, patience).await.expect("it answers")
}

#[test]
fn administrators_are_told_which_protocol_a_group_speaks() {
    play(1, |town| async move {
        for name in ["a", "b"] {
            town.join(name, NEXT).await;
        }
        town.until("two share", |t: &Town| t.shared_by(&["a", "b"])).await;
        town.join("classic", &[]).await;
        let refused = |t: &Town| t.trouble("classic").iter().any(|e| e.contains("InconsistentGroupProtocol"));
        town.until("who speaks the classic protocol is refused", refused).await;
        let broker = town.coordinator().await;
        let told = Arc::new(Mutex::new(None));
        let of_client = told.clone();
        let program = move || {
            let told = of_client.clone();
            async move {
                let name = || vec![StrBytes::from_static_str(GROUP).into()];
                let next = ask(broker, &ConsumerGroupDescribeRequest::default().with_group_ids(name())).await;
                let classic = ask(broker, &DescribeGroupsRequest::default().with_groups(name())).await;
                let listed = ask(broker, &ListGroupsRequest::default()).await;
                let deleted = ask(broker, &DeleteGroupsRequest::default().with_groups_names(name())).await;
                *told.lock() = Some((next, classic, listed, deleted));
            }
        };
        town.cluster.run_client("administrator", 0, program).await;
        town.until("the administrator is told", |_| told.lock().is_some()).await;
        let told = told.lock();
        let (next, classic, listed, deleted) = told.as_ref().expect("just seen");
        let group = &next.groups[0];
        assert_eq!((group.error_code, group.group_state.as_str(), group.members.len()), (0, "Stable", 2));
        assert_eq!((group.group_epoch, group.assignor_name.as_str()), (group.assignment_epoch, "uniform"));
        assert!(
            group.members.iter().all(|m| m.assignment == m.target_assignment && m.member_epoch == group.group_epoch)
        );
        assert_eq!(classic.groups[0].error_code, ResponseError::GroupIdNotFound.code());
        let of_group: Vec<_> = listed.groups.iter().filter(|g| g.group_id.as_str() == GROUP).collect();
        assert_eq!((of_group[0].group_type.as_str(), of_group[0].protocol_type.as_str()), ("consumer", "consumer"));
        assert_eq!(deleted.results[0].error_code, ResponseError::NonEmptyGroup.code());
    });
}

#[test]
fn the_same_seed_is_the_same_story() {
    super::tells_the_same_story(NEXT);
}

/// As under the classic protocol, though here who missed that it was fenced may believe that it owns something.
#[test]
fn through_all_chaos_a_group_keeps_its_promises() {
    for seed in super::chaos_seeds() {
        play(seed, move |town| async move { super::chaos(&town, &mut Stream::new(seed, "next chaos"), NEXT).await });
    }
}
