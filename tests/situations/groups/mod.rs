//! Groups of consumers: members come and go in every way, their coordinator too. At every moment each partition has one owner at
//! most, afterwards exactly one; and whoever commits what it has read, and only that, skips nothing.

mod next;
mod town;

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_protocol::ResponseError;
use ktrial::base::random::Stream;
use ktrial::base::{BrokerId, Offset, TopicPartition};
use ktrial::client::{CommitError, OffsetAndMetadata};
use ktrial::io::time;
use town::{Town, play};

#[test]
fn members_that_come_and_go_share_everything_evenly() {
    for seed in 0..3 {
        play(seed, move |town| async move {
            town.join("a", &[]).await;
            town.until("a alone has everything", |t: &Town| t.shared_by(&["a"])).await;
            town.join("b", &[]).await;
            town.until("a and b share", |t: &Town| t.shared_by(&["a", "b"])).await;
            town.until_all_progress().await;
            town.join("c", &[]).await;
            town.until("three share", |t: &Town| t.shared_by(&["a", "b", "c"])).await;
            town.until_all_progress().await;
            let began = town.second();
            town.stop("a").await;
            town.until("b and c share", |t: &Town| t.shared_by(&["b", "c"])).await;
            assert!(town.second() - began < 5.0, "who leaves is not waited for: {} s", town.second() - began);
            town.until_all_progress().await;
            assert_eq!(town.twice(), 0, "nothing is read twice where everybody commits and goes in order");
        });
    }
}

const COOPERATIVE: town::Settings = &[("partition.assignment.strategy", "cooperative-sticky")];

#[test]
fn who_loses_power_is_expelled_when_its_session_is_over() {
    // session.timeout.ms since its last heartbeat, at most heartbeat.interval.ms ago, then one until the others hear of it.
    is_missed_after(&[], 6.9..15.0);
}

/// So many seconds after a member has lost power the others own everything.
fn is_missed_after(settings: town::Settings, seconds: std::ops::Range<f64>) {
    for seed in 0..3 {
        let seconds = seconds.clone();
        play(seed, move |town| async move {
            for name in ["a", "b", "c"] {
                town.join(name, settings).await;
            }
            town.until("three share", |t: &Town| t.shared_by(&["a", "b", "c"])).await;
            town.until_all_progress().await;
            town.power_cut("b");
            let died = town.second();
            town.until("a and c share", |t: &Town| t.shared_by(&["a", "c"])).await;
            let took = town.second() - died;
            assert!(seconds.contains(&took), "seed {seed}: {took} s");
            town.until_all_progress().await;
        });
    }
}

#[test]
fn the_group_outlives_its_coordinator_and_so_do_its_offsets() {
    for seed in 0..6 {
        play(seed, move |town| async move {
            for name in ["a", "b"] {
                town.join(name, if seed % 2 == 0 { &[] } else { COOPERATIVE }).await;
            }
            town.until("two share", |t: &Town| t.shared_by(&["a", "b"])).await;
            town.until_all_progress().await;
            let coordinator = town.coordinator().await;
            let generation = town.generation("a");
            if seed % 3 == 0 {
                // Members hear only silence, and may hear of their expulsion late.
                town.unaware.lock().extend(["a".to_owned(), "b".to_owned()]);
                town.cluster.power_cut(coordinator);
            } else {
                town.cluster.crash(coordinator);
            }
            let died = town.second();
            town.until_all_progress().await;
            assert_ne!(town.coordinator().await, coordinator);
            let committed = town.committed();
            let commits_again = |t: &Town| t.committed().iter().all(|(tp, at)| *at > committed[tp]);
            town.until("the new coordinator takes commits", commits_again).await;
            let took = town.second() - died;
            // A leader that lost power is silent: fetches and commits wait for it until request.timeout.ms is over.
            assert!(took < 50.0, "seed {seed}: {took} s");
            // Its successor knows the members: nobody has to join anew, unless sessions ended before it was there.
            town.until("two share again", |t: &Town| t.shared_by(&["a", "b"])).await;
            if town.generation("a") == generation {
                assert_eq!(town.twice(), 0, "seed {seed}");
            }
            // A newcomer goes on where the others have come to.
            town.stop("a").await;
            town.stop("b").await;
            let before = town.twice();
            town.join("late", &[]).await;
            town.until("the newcomer has everything", |t: &Town| t.shared_by(&["late"])).await;
            town.until_all_progress().await;
            assert_eq!(town.twice(), before, "seed {seed}");
        });
    }
}

#[test]
fn cooperative_members_go_on_with_what_they_keep() {
    for seed in 0..3 {
        play(seed, move |town| async move {
            for name in ["a", "b"] {
                town.join(name, COOPERATIVE).await;
            }
            town.until("two share", |t: &Town| t.shared_by(&["a", "b"])).await;
            let of_a = |t: &Town| t.owned_by("a");
            let before = of_a(&town);
            let since = town.mark();
            town.join("c", COOPERATIVE).await;
            town.until("three share", |t: &Town| t.shared_by(&["a", "b", "c"])).await;
            town.until_all_progress().await;
            let kept = of_a(&town);
            assert!(kept.is_subset(&before) && kept.len() == 2, "seed {seed}: {before:?}, {kept:?}");
            for name in ["a", "b"] {
                let given_up = town.given_up(name, since);
                assert_eq!(given_up.len(), 1, "seed {seed}: {name} gives up {given_up:?}");
            }
            let silence = town.longest_silence(&kept, since);
            assert!(silence < 1.5, "seed {seed}: what a keeps stood still for {silence} s");
            assert_eq!(town.twice(), 0, "seed {seed}");
        });
    }
}

#[test]
fn the_same_seed_is_the_same_story() {
    tells_the_same_story(COOPERATIVE);
}

fn tells_the_same_story(settings: town::Settings) {
    let story = |seed| {
        play(seed, move |town| async move {
            for name in ["a", "b"] {
                town.join(name, settings).await;
            }
            town.until("two share", |t: &Town| t.shared_by(&["a", "b"])).await;
            town.power_cut("a");
            town.until("b has everything", |t: &Town| t.shared_by(&["b"])).await;
        })
    };
    assert_eq!(story(7), story(7));
    assert_ne!(story(7), story(8));
}

#[test]
fn eager_members_stop_while_the_group_rebalances() {
    for seed in 0..3 {
        play(seed, move |town| async move {
            for name in ["a", "b"] {
                town.join(name, &[]).await;
            }
            town.until("two share", |t: &Town| t.shared_by(&["a", "b"])).await;
            town.until_all_progress().await;
            let since = town.mark();
            town.join("c", &[]).await;
            town.until("three share", |t: &Town| t.shared_by(&["a", "b", "c"])).await;
            town.until_all_progress().await;
            for name in ["a", "b"] {
                assert_eq!(town.given_up(name, since).len(), 3, "seed {seed}: {name}");
            }
            // Who hears of it first waits for who hears of it last, a heartbeat.interval.ms later at most.
            let stopped = ["a", "b"].map(|name| town.stopped(name, since));
            let longest = stopped[0].max(stopped[1]);
            assert!((0.005..3.2).contains(&longest), "seed {seed}: {stopped:?}");
        });
    }
}

#[test]
fn a_member_that_works_longer_than_its_session_stays_and_one_that_works_too_long_leaves() {
    for seed in 0..2 {
        play(seed, move |town| async move {
            let settings = &[("max.poll.interval.ms", "20000")];
            let habits = town.join("slow", settings).await;
            town.join("b", settings).await;
            town.until("two share", |t: &Town| t.shared_by(&["b", "slow"])).await;
            let generation = town.generation("b");
            habits.lock().work = Duration::from_secs(14);
            time::sleep(Duration::from_secs(40)).await;
            assert_eq!(town.generation("b"), generation, "seed {seed}: heartbeats go on while the member works");
            habits.lock().work = Duration::from_secs(45);
            town.unaware.lock().insert("slow".to_owned());
            let began = town.second();
            town.until("b has everything", |t: &Town| t.owned_by("b").len() == 6).await;
            // The work under way, then max.poll.interval.ms, then until b hears of it.
            let took = town.second() - began;
            assert!((20.0..40.0).contains(&took), "seed {seed}: {took} s");
            habits.lock().work = Duration::ZERO;
            town.until("slow is told", |t: &Town| t.lost("slow").len() == 3).await;
            town.until("two share again", |t: &Town| t.shared_by(&["b", "slow"])).await;
            town.until_all_progress().await;
        });
    }
}

#[test]
fn a_static_member_comes_back_before_anybody_misses_it() {
    comes_back_unmissed(&[("group.instance.id", "one")], &[]);
}

/// `a` is a static member; both settings are of one protocol.
fn comes_back_unmissed(of_a: town::Settings, of_b: town::Settings) {
    for seed in 0..3 {
        play(seed, move |town| async move {
            town.join("a", of_a).await;
            town.join("b", of_b).await;
            town.until("two share", |t: &Town| t.shared_by(&["a", "b"])).await;
            town.until_all_progress().await;
            let (generation, before) = (town.generation("b"), town.owned_by("a"));
            town.stop("a").await;
            time::sleep(Duration::from_secs(4)).await;
            town.world.start(town.host("a")).await;
            town.until("a is back", |t: &Town| t.shared_by(&["a", "b"])).await;
            town.until_all_progress().await;
            assert_eq!((town.generation("b"), town.owned_by("a")), (generation, before), "seed {seed}");
            assert_eq!(town.twice(), 0, "seed {seed}");
        });
    }
}

#[test]
fn of_two_members_under_one_instance_id_the_older_is_fenced() {
    play(1, |town| async move {
        town.join("a", &[("group.instance.id", "one")]).await;
        town.until("a alone", |t: &Town| t.shared_by(&["a"])).await;
        town.join("twin", &[("group.instance.id", "one")]).await;
        town.until("a is told", |t: &Town| t.trouble("a").iter().any(|e| e.contains("FencedInstanceId"))).await;
        assert!(town.trouble("twin").is_empty());
    });
}

#[test]
fn what_was_polled_is_committed_by_itself_before_partitions_change_hands() {
    for (seed, strategy) in (0..).zip(["range", "roundrobin", "sticky", "range,cooperative-sticky"]) {
        let settings: town::Settings =
            Box::leak(Box::new([("enable.auto.commit", "true"), ("partition.assignment.strategy", strategy)]));
        play(seed, move |town| async move {
            for name in ["a", "b", "c"] {
                town.join_as(name, settings, town::Habits::default()).await;
                town.until("somebody reads", |t: &Town| t.owners().len() == 6).await;
                town.until_all_progress().await;
            }
            town.until("three share", |t: &Town| t.shared_by(&["a", "b", "c"])).await;
            town.stop("b").await;
            town.until("two share", |t: &Town| t.shared_by(&["a", "c"])).await;
            town.until_all_progress().await;
            assert_eq!(town.twice(), 0, "{strategy}");
            // Without a rebalance it is committed once in auto.commit.interval.ms.
            let committed = town.committed();
            time::sleep(Duration::from_secs(7)).await;
            assert!(town.committed().iter().all(|(tp, at)| *at > committed[tp]), "{strategy}");
        });
    }
}

#[test]
fn new_partitions_are_shared_out_once_the_leader_has_seen_them() {
    play(3, |town| async move {
        for name in ["a", "b"] {
            town.join(name, &[("metadata.max.age.ms", "5000")]).await;
        }
        town.until("two share", |t: &Town| t.shared_by(&["a", "b"])).await;
        town.grow(8).await;
        town.until("everything has an owner", |t: &Town| t.owners().len() == 8).await;
    });
}

#[test]
fn who_assigns_partitions_to_itself_commits_through_the_group_all_the_same() {
    play(4, |town| async move {
        let told = town
            .alone(|mut consumer| async move {
                let tp = |p| TopicPartition::new(town::TOPIC, p);
                while consumer.end_offsets(&[tp(0)]).await.expect("a partition")[0] <= Offset(7) {}
                assert_eq!(consumer.committed(&[tp(0)]).await, Ok(BTreeMap::new()));
                let at = OffsetAndMetadata { metadata: "so far".to_owned(), ..OffsetAndMetadata::new(Offset(7)) };
                consumer.commit_sync(&[(tp(0), at.clone())].into()).await.expect("an empty group takes anybody's word");
                assert_eq!(consumer.committed(&[tp(0), tp(1)]).await, Ok([(tp(0), at)].into()));
                consumer.assign([tp(0)]);
                while consumer.poll(Duration::from_secs(1)).await.expect("a partition").is_empty() {}
                let unknown = [(TopicPartition::new(town::TOPIC, 99), OffsetAndMetadata::new(Offset(1)))];
                consumer.commit_async(unknown.into());
                consumer.commit_async([(tp(1), OffsetAndMetadata::new(Offset(3)))].into());
                let mut outcomes = Vec::new();
                while outcomes.len() < 2 {
                    consumer.poll(Duration::from_millis(200)).await.expect("a partition");
                    outcomes.extend(consumer.take_commits());
                }
                let position = consumer.position(&tp(0)).expect("it has read on");
                consumer.close().await;
                (outcomes, position)
            })
            .await;
        let (outcomes, position) = told;
        let results: Vec<_> = outcomes.into_iter().map(|(_, result)| result).collect();
        let unknown = CommitError::Retriable(ResponseError::UnknownTopicOrPartition);
        assert_eq!(results, [Err(unknown), Ok(())], "in the order in which they were asked for");
        assert!(position > Offset(7), "it went on where the group had come to");
    });
}

/// Members crash, stop, start and stand still; brokers crash and lose power: at every moment each partition has one owner at most,
/// whoever missed its expulsion aside, and once all is quiet the members share everything and have skipped nothing.
#[test]
fn through_all_chaos_a_group_keeps_its_promises() {
    for seed in chaos_seeds() {
        play(seed, move |town| async move {
            let mut dice = Stream::new(seed, "group chaos");
            let strategies: [town::Settings; 4] = [
                &[],
                COOPERATIVE,
                &[("partition.assignment.strategy", "sticky")],
                &[("partition.assignment.strategy", "roundrobin")],
            ];
            let settings = *dice.pick(&strategies);
            chaos(&town, &mut dice, settings).await;
        });
    }
}

/// Three members with these settings, and twelve troubles.
async fn chaos(town: &Town, dice: &mut Stream, settings: town::Settings) {
    let names = ["a", "b", "c"];
    for name in names {
        town.join(name, settings).await;
    }
    for _ in 0..12 {
        time::sleep(Duration::from_millis(dice.between(500, 12_000))).await;
        let name = *dice.pick(&names);
        trouble(town, dice, name).await;
    }
    for name in names {
        town.wake(name).await;
    }
    for broker in 1..=3 {
        town.cluster.start(BrokerId(broker)).await;
        town.cluster.resume(BrokerId(broker));
    }
    town.until("everything is shared", |t: &Town| t.shared_by(&names)).await;
    town.until_all_progress().await;
}

/// `GROUP_CHAOS_SEEDS=A..B` plays other seeds than the usual few.
fn chaos_seeds() -> std::ops::Range<u64> {
    let range = std::env::var("GROUP_CHAOS_SEEDS").unwrap_or_else(|_| "0..3".to_owned());
    let (from, upto) = range.split_once("..").expect("A..B");
    from.parse().expect("a number")..upto.parse().expect("a number")
}

async fn trouble(town: &Town, dice: &mut Stream, name: &str) {
    let host = town.host(name);
    match dice.below(8) {
        0 => town.die(name, false),
        1 => town.die(name, true),
        2 => town.world.request_shutdown(host),
        3 => {
            // Longer than its session or not: it may miss that it is expelled.
            town.unaware.lock().insert(name.to_owned());
            town.world.pause(host);
            time::sleep(Duration::from_millis(dice.between(1_000, 18_000))).await;
            town.world.resume(host);
        }
        4 => {
            let broker = BrokerId(dice.between(1, 3) as i32);
            town.cluster.crash(broker);
            time::sleep(Duration::from_millis(dice.between(500, 8_000))).await;
            town.cluster.start(broker).await;
        }
        5 => {
            let broker = BrokerId(dice.between(1, 3) as i32);
            town.cluster.power_cut(broker);
            time::sleep(Duration::from_millis(dice.between(500, 15_000))).await;
            town.cluster.start(broker).await;
        }
        _ => town.wake(name).await,
    }
}
