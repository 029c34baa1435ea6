//! What is drawn can be run, is large enough to find something, and is the same for ever.

use super::*;
use std::collections::BTreeSet;

use super::cluster::is_compacted;
use crate::scenario::model::{Controllers, Fault, Group, Role, Strategy, Style, Target};
use crate::scenario::{parse, validate};

const SEEDS: u64 = 300;

fn drawn(name: &str) -> Vec<Scenario> {
    let profile = profile(name).expect("a profile");
    (0..SEEDS).map(|seed| draw(profile, seed, &Vec::new())).collect()
}

fn median(mut numbers: Vec<u64>) -> u64 {
    numbers.sort_unstable();
    numbers[numbers.len() / 2]
}

#[test]
fn whatever_is_drawn_makes_sense_and_reads_back_as_itself() {
    for profile in PROFILES {
        for scenario in drawn(profile.name) {
            assert_eq!(validate(&scenario), [], "{}", scenario.name);
            let text = serde_json::to_string(&scenario).expect("a scenario is plain data");
            assert_eq!(parse("drawn.json", &text).as_ref(), Ok(&scenario), "{}", scenario.name);
        }
    }
}

#[test]
fn a_seed_is_the_same_scenario_every_time_and_no_other() {
    let profile = profile("everything").expect("a profile");
    assert_eq!(draw(profile, 7, &Vec::new()), draw(profile, 7, &Vec::new()));
    assert_ne!(draw(profile, 7, &Vec::new()).faults, draw(profile, 8, &Vec::new()).faults);
}

#[test]
fn overrides_win() {
    let wins = vec![("min.insync.replicas".to_owned(), "3".to_owned())];
    let scenario = draw(profile("calm").expect("a profile"), 1, &wins);
    assert_eq!(scenario.cluster.config["min.insync.replicas"], "3");
}

#[test]
fn the_middle_seed_is_not_tiny() {
    let all = drawn("everything");
    let of = |get: fn(&Scenario) -> u64| median(all.iter().map(get).collect());
    assert!(of(|s| s.cluster.brokers.into()) >= 3);
    assert!(of(|s| s.topics.iter().map(|t| u64::from(t.partitions)).sum()) >= 6);
    assert!(of(|s| harmful(s) as u64) >= 8);
}

#[test]
fn sizes_range_from_one_end_to_the_other_and_never_beyond() {
    let all = drawn("everything");
    let partitions = |s: &Scenario| s.topics.iter().map(|t| t.partitions).sum::<u32>();
    let replicas = |s: &Scenario| s.topics.iter().map(|t| t.replication_factor).max().unwrap_or(0);
    assert!(all.iter().all(|s| (1..=7).contains(&s.cluster.brokers)));
    assert!(all.iter().all(|s| (1..=50).contains(&partitions(s)) && (1..=5).contains(&replicas(s))));
    for brokers in 1..=7 {
        assert!(all.iter().any(|s| s.cluster.brokers == brokers), "no cluster of {brokers}");
    }
    assert!(all.iter().any(|s| partitions(s) == 1) && all.iter().any(|s| partitions(s) >= 40));
    assert!(all.iter().any(|s| replicas(s) == 1) && all.iter().any(|s| replicas(s) == 5));
}

#[test]
fn controllers_are_brokers_as_well_or_nodes_of_their_own() {
    let all = drawn("control-plane");
    let of = |wanted| all.iter().filter(|s| s.cluster.controllers == wanted).count();
    assert!(of(Controllers::Combined) > 150);
    for separate in [1, 3, 5] {
        assert!(of(Controllers::Separate(separate)) > 10, "{separate} controllers");
    }
    // An election storm needs voters to lose.
    let hits = |s: &Scenario| s.faults.iter().any(|f| f.action == Action::PowerCut(Target::Voter));
    assert!(all.iter().any(|s| s.cluster.controllers != Controllers::Combined && hits(s)));
    assert!(all.iter().all(|s| s.cluster.controllers != Controllers::Combined || !hits(s)));
}

#[test]
fn an_unknown_profile_is_told_the_nearest() {
    assert!(profile("everthing").is_err_and(|e| e.contains("did you mean \"everything\"?")));
}

#[test]
fn no_reader_waits_for_more_than_it_may_be_given() {
    for scenario in drawn("everything") {
        for client in &scenario.clients {
            if let Role::Consumer(consumer) = &client.role {
                let set = |key| consumer.config.contains_key(key);
                assert!(!(set("fetch.min.bytes") && set("max.partition.fetch.bytes")), "{}", scenario.name);
            }
        }
    }
}

fn groups(scenario: &Scenario) -> Vec<&Group> {
    let group = |role: &'_ Role| matches!(role, Role::Group(_));
    let of = scenario.clients.iter().filter(|c| group(&c.role));
    of.filter_map(|c| if let Role::Group(group) = &c.role { Some(group) } else { None }).collect()
}

#[test]
fn half_of_all_seeds_have_groups_of_every_kind() {
    let all = drawn("everything");
    let with = all.iter().filter(|s| !groups(s).is_empty()).count() as u64;
    assert!((SEEDS * 4 / 10..=SEEDS * 6 / 10).contains(&with), "{with} of {SEEDS}");
    assert!(all.iter().all(|s| groups(s).len() <= 2) && all.iter().any(|s| groups(s).len() == 2));
    let every: Vec<_> = all.iter().flat_map(groups).collect();
    for count in 1..=6 {
        assert!(every.iter().any(|g| g.count == count), "no group of {count}");
    }
    let assignors: BTreeSet<_> =
        every.iter().filter_map(|g| g.config.get("partition.assignment.strategy")).map(String::as_str).collect();
    let wanted = ["cooperative-sticky", "range", "range,cooperative-sticky", "roundrobin", "sticky"];
    assert_eq!(assignors.into_iter().collect::<Vec<_>>(), wanted);
    for style in [Style::ProcessThenCommit, Style::CommitThenProcess, Style::AutoCommit] {
        assert!(every.iter().any(|g| g.style == style), "no {style:?}");
    }
    assert!(every.iter().any(|g| g.static_members) && every.iter().any(|g| !g.static_members));
    for group in &every {
        let time = |key: &str| group.config[key].parse::<u64>().expect("a time");
        assert!(is_next(group) || time("heartbeat.interval.ms") * 2 < time("session.timeout.ms"));
        // A batch is processed well before the next poll is due, and everything before anybody gives up waiting.
        assert!(group.processing.1.0 * 500 * 2 < time("max.poll.interval.ms"));
    }
}

fn is_next(group: &Group) -> bool {
    group.config.get("group.protocol").is_some_and(|protocol| protocol == "consumer")
}

#[test]
fn a_third_of_the_groups_speak_the_consumer_protocol() {
    let all = drawn("everything");
    let every: Vec<_> = all.iter().flat_map(groups).collect();
    let next = every.iter().filter(|group| is_next(group)).count();
    assert!((every.len() / 5..every.len() / 2).contains(&next), "{next} of {}", every.len());
    let of_both = |s: &&Scenario| groups(s).iter().any(|g| is_next(g)) && groups(s).iter().any(|g| !is_next(g));
    assert!(all.iter().any(|s| of_both(&s)));
    for scenario in all.iter().filter(|s| groups(s).iter().any(|g| is_next(g))) {
        let time = |key: &str| scenario.cluster.config[key].parse::<u64>().expect("a time");
        assert!(time("group.consumer.heartbeat.interval.ms") * 2 < time("group.consumer.session.timeout.ms"));
    }
}

#[test]
fn the_offsets_topic_fits_the_cluster_and_counts_in_the_budget() {
    for scenario in drawn("everything").iter().filter(|s| !groups(s).is_empty()) {
        let number = |key: &str| scenario.cluster.config[key].parse::<u32>().expect("a number");
        assert!(number("offsets.topic.replication.factor") <= scenario.cluster.brokers, "{}", scenario.name);
        let partitions = number("offsets.topic.num.partitions") as usize;
        assert!(partitions <= 5);
        let stakes = crate::scenario::budget::stakes(scenario);
        assert_eq!(stakes.iter().filter(|s| &*s.tp.topic == "__consumer_offsets").count(), partitions);
    }
}

#[test]
fn compacted_topics_are_written_with_keys_alone() {
    let all = drawn("everything");
    let some = all.iter().filter(|s| s.topics.iter().any(is_compacted)).count() as u64;
    assert!((SEEDS / 5..=SEEDS / 2).contains(&some), "{some} of {SEEDS}");
    for scenario in &all {
        for client in &scenario.clients {
            let Role::Producer(producer) = &client.role else { continue };
            let topic = scenario.topics.iter().find(|t| t.name == producer.topic).expect("its topic");
            assert_eq!(producer.strategy == Strategy::Keyed, is_compacted(topic), "{}", scenario.name);
        }
    }
}

#[test]
fn no_topic_is_told_to_have_more_replicas_in_sync_than_before() {
    let mut lowered = 0;
    for scenario in drawn("everything") {
        let parse = |text: &String| text.parse::<u32>().expect("a number");
        let everybodys = scenario.cluster.config.get("min.insync.replicas").map_or(1, parse);
        let of = |topic: &crate::scenario::model::Topic| (topic.name.clone(), everybodys.min(topic.replication_factor));
        let mut now: std::collections::BTreeMap<_, _> = scenario.topics.iter().map(of).collect();
        for fault in &scenario.faults {
            let Action::SetConfig(wish) = &fault.action else { continue };
            let (Some(topic), Some(Some(wanted))) = (&wish.topic, wish.config.get("min.insync.replicas")) else {
                continue;
            };
            let before = now.insert(topic.clone(), parse(wanted)).expect("a topic of the scenario");
            assert!(parse(wanted) <= before, "{}", scenario.name);
            lowered += u32::from(parse(wanted) < before);
        }
    }
    assert!(lowered > 0);
}

#[test]
fn everything_is_done_that_administrators_and_members_can_do() {
    let all = drawn("everything");
    let done: BTreeSet<_> = all.iter().flat_map(|s| s.faults.iter().map(|f| f.action.name())).collect();
    let operations = ["create-topic", "add-partitions", "move-leader", "elect-preferred", "set-config", "reassign"];
    for name in operations.into_iter().chain(["join", "leave"]) {
        assert!(done.contains(name), "{name} is never done");
    }
    let small = |s: &&Scenario| {
        let sets = |f: &Fault| matches!(&f.action, Action::SetConfig(c) if c.config.contains_key("max.message.bytes"));
        s.faults.iter().any(sets)
    };
    assert!(all.iter().filter(small).count() > SEEDS as usize / 10);
    let coordinators = all.iter().flat_map(|s| &s.faults).filter(|f| {
        f.action.targets().iter().any(|(_, target)| matches!(target, crate::scenario::model::Target::CoordinatorOf(_)))
    });
    assert!(coordinators.count() > SEEDS as usize / 2);
    let calm = drawn("calm");
    assert!(calm.iter().all(|s| s.faults.is_empty()) && calm.iter().any(|s| !groups(s).is_empty()));
}
