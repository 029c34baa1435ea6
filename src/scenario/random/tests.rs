//! What is drawn can be run, is large enough to find something, and is the same for ever.

use super::*;
use crate::scenario::model::{Controllers, Role, Target};
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
