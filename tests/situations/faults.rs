//! Each fault that a scenario can ask for does to a cluster what it does to a real one, and is told in the timeline.

use ktrial::report::Verdict;
use ktrial::report::verdict::Outcome;
use ktrial::trial::{RunOptions, run_one};
use serde_json::{Value, json};

use crate::support::from_json;

/// Three brokers under load, one partition led by broker 1.
fn run(faults: &Value) -> Verdict {
    let scenario = from_json(&json!({
        "name": "faults",
        "cluster": {"brokers": 3, "config": {"min.insync.replicas": 2},
            "broker-config": {"1": {"controller.quorum.election.timeout.ms": 100}}},
        "topics": [{"name": "t", "assignment": [[1, 2, 3]]}],
        "clients": [{"name": "w", "producer": {"topic": "t", "rate": 50, "count": 2}},
            {"name": "r", "consumer": {"topic": "t"}}],
        "duration": "60s",
        "faults": faults
    }));
    let verdict = run_one(&scenario, 3, &RunOptions::default());
    assert!(verdict.violations.is_empty(), "{:#?}", verdict.violations);
    assert_eq!(verdict.outcome, Outcome::Pass, "{}: {:#?}", verdict.reason, verdict.events);
    verdict
}

/// When the timeline first says `text`, in ms.
fn told(verdict: &Verdict, text: &str) -> Option<u64> {
    verdict.events.iter().find(|event| event.text.contains(text)).map(|event| event.at_ms)
}

/// As [`told`], and it must say so.
fn at(verdict: &Verdict, text: &str) -> u64 {
    told(verdict, text).unwrap_or_else(|| panic!("{text:?} was never told: {:#?}", verdict.events))
}

#[test]
fn a_stalled_disk_does_not_stop_heartbeats() {
    let verdict = run(&json!([{"at": "5s", "for": "45s", "disk-stall": {"broker": 3}}]));
    at(&verdict, "broker 3's disk stalls");
    assert_eq!(told(&verdict, "broker 3 fenced"), None, "a grey failure: the broker seems to live");
    let shrunk = at(&verdict, "ISR {1,2} on t-0");
    assert!((20_000..=50_000).contains(&shrunk), "the ISR notices after replica.lag.time.max.ms: {shrunk}");
}

#[test]
fn a_frozen_machine_is_fenced_and_rejoins() {
    let verdict = run(&json!([{"at": "5s", "for": "20s", "freeze": {"broker": 3}}]));
    let fenced = at(&verdict, "broker 3 fenced");
    assert!((11_000..=16_000).contains(&fenced), "{fenced}");
    assert!(at(&verdict, "broker 3 unfenced") > 25_000);
}

#[test]
fn a_wiped_broker_rejoins_with_a_full_copy() {
    let verdict = run(&json!([{"after": {"acked": 500, "delay": "1s"}, "for": "5s", "wipe": {"follower-of": "t-0"}}]));
    let wiped = at(&verdict, "loses its logs");
    assert!(wiped > 5_000, "{wiped}");
    assert_eq!(verdict.lost, 0);
}

#[test]
fn a_failed_sync_ends_the_broker_and_it_rejoins() {
    let verdict = run(&json!([
        {"at": "5s", "disk-error": {"on": {"broker": 3}, "op": "sync", "count": 1}},
        {"at": "30s", "start": {"broker": 3}}
    ]));
    assert!(at(&verdict, "the process of node 3 ends") >= 5_000);
    at(&verdict, "broker 3 starts");
}

#[test]
fn a_full_disk_ends_the_broker_and_room_brings_it_back() {
    let verdict = run(&json!([
        {"at": "5s", "for": "20s", "disk-full": {"on": {"broker": 2}, "left": "0B"}},
        {"at": "30s", "start": {"broker": 2}}
    ]));
    at(&verdict, "the process of node 2 ends");
    at(&verdict, "broker 2 starts");
}

#[test]
fn a_minority_behind_a_partition_is_fenced_and_comes_back() {
    let verdict = run(&json!([{"at": "5s", "for": "20s", "partition": {"groups": [[1, 2, "w", "r"], [3]]}}]));
    assert!((11_000..=16_000).contains(&at(&verdict, "broker 3 fenced")));
    assert!(at(&verdict, "over: partition") == 25_000);
}

#[test]
fn a_bridge_keeps_one_side_in_touch() {
    let verdict = run(&json!([{"at": "5s", "for": "40s", "bridge": {"groups": [[1], [2]], "over": 3}}]));
    at(&verdict, "only broker 3 still bridges {broker 1} and {broker 2}");
}

#[test]
fn a_one_way_cut_is_a_fault_of_both_ways() {
    let verdict = run(&json!([
        {"at": "5s", "for": "30s", "cut": {"from": {"broker": 3}, "to": {"broker": 1}, "one-way": true}}
    ]));
    assert!((11_000..=16_000).contains(&at(&verdict, "broker 3 fenced")), "its heartbeats do not arrive");
}

#[test]
fn a_client_that_dies_leaves_outcomes_unknown_and_begins_anew() {
    let verdict = run(&json!([
        {"at": "5s", "every": "10s", "until": "40s", "for": "2s", "crash": {"client": "w#1"}},
        {"at": "20s", "for": "5s", "power-cut": {"client": "r"}}
    ]));
    at(&verdict, "client w#1 crashes");
    at(&verdict, "client r#0 starts");
    assert_eq!(verdict.events.iter().filter(|event| event.text == "client w#1 crashes").count(), 4);
}

#[test]
fn links_disks_and_clocks_that_are_only_bad_lose_nothing() {
    let verdict = run(&json!([
        {"at": "2s", "for": "30s", "slow-link": {"from": {"broker": 1}, "to": {"broker": 2}, "latency": "20ms"}},
        {"at": "4s", "for": "30s", "lossy-link": {"from": {"broker": 1}, "to": {"broker": 3}, "percent": 2}},
        {"at": "6s", "for": "5s", "clog": {"from": {"client": "w"}, "to": {"broker": 1}}},
        {"at": "20s", "reset-connections": {"from": {"client": "w"}, "to": {"broker": 1}}},
        {"at": "22s", "delay-request": {"api": "Produce", "from": {"client": "w#0"}, "to": {"broker": 1}, "by": "31s"}},
        {"at": "25s", "for": "10s", "disk-slow": {"on": {"broker": 2}, "latency": "5ms"}},
        {"at": "26s", "for": "20s", "clock-drift": {"on": {"broker": 3}, "ppm": 500}},
        {"at": "27s", "clock-step": {"on": {"broker": 1}, "by": "-1h"}}
    ]));
    for text in [
        "is slow (latency 20ms)",
        "loses 2 % of its segments",
        "is clogged",
        "has its connections reset",
        "holds the next 1 Produce requests back by 31s",
        "disk is slow",
        "drift by 500 ppm",
        "jumps by -1h",
    ] {
        at(&verdict, text);
    }
}

#[test]
fn a_fault_waits_for_what_it_is_told_to_wait_for() {
    let verdict = run(&json!([
        {"at": "5s", "for": "20s", "power-cut": {"leader-of": "t-0"}},
        {"after": {"event": "leader-elected", "partition": "t-0", "delay": "1s"}, "for": "2s", "pause": "any-broker"},
        {"after": {"consumed": 100}, "create-topic": {"name": "orders", "replication-factor": 3}}
    ]));
    let elected = at(&verdict, "t-0: leader 1 -> 2");
    let paused = at(&verdict, "is paused");
    assert_eq!(paused, elected + 1_000);
    at(&verdict, "done: create topic orders");
}

#[test]
fn administrators_do_what_a_scenario_tells_them() {
    let scenario = from_json(&json!({
        "name": "operations",
        "cluster": {"brokers": 5, "config": {"min.insync.replicas": 2}},
        "topics": [{"name": "t", "assignment": [[1, 2, 3], [1, 2, 3]]}],
        "clients": [{"name": "w", "producer": {"topic": "t", "rate": 50}}, {"name": "r", "consumer": {"topic": "t"}}],
        "duration": "60s",
        "faults": [
            {"at": "5s", "add-partitions": {"topic": "t", "total": 4}},
            {"at": "8s", "move-leader": {"partition": "t-0", "to": 2}},
            {"at": "10s", "join": {"broker": 4}},
            {"at": "11s", "join": {"broker": 5}},
            {"at": "20s", "reassign": {"partition": "t-1", "replicas": [4, 5, 1]}},
            {"at": "25s", "elect-preferred": "all"},
            {"at": "30s", "set-config": {"topic": "t", "config": {"min.insync.replicas": 1}}},
            {"at": "35s", "reassign": {"partition": "t-1", "replicas": [1, 4, 2]}},
            {"at": "45s", "leave": {"broker": 5}},
            {"at": "50s", "set-config": {"topic": "t", "config": {"min.insync.replicas": null}}}
        ],
        "expect": {"lost": [0, 0], "no-outage": true, "states": [
            {"at": "15s", "partition": "t-0", "leader": 2},
            {"at": "30s", "partition": "t-1", "leader": 4, "isr": [1, 4, 5]},
            {"at": "44s", "partition": "t-1", "isr": [1, 2, 4]}
        ]}
    }));
    let verdict = run_one(&scenario, 1, &RunOptions::default());
    assert_eq!(verdict.outcome, Outcome::Pass, "{}: {:#?}", verdict.reason, verdict.expectations);
    for what in [
        "t gets 4 partitions in all",
        "broker 2 leads t-0",
        "min.insync.replicas=1 for topic t",
        "no min.insync.replicas for topic t",
        "broker 5 leaves",
    ] {
        at(&verdict, &format!("done: {what}"));
    }
}

#[test]
fn a_broker_whose_disk_fails_before_it_has_registered_ends() {
    let verdict = run(&json!([
        {"at": "5s", "for": "1s", "power-cut": {"broker": 3}},
        {"at": "5s", "delay-request": {"api": "BrokerRegistration", "from": {"broker": 3}, "to": "all-brokers",
            "by": "60s", "count": 50}},
        {"at": "15s", "disk-error": {"on": {"broker": 3}, "op": "append"}},
        {"at": "25s", "start": {"broker": 3}}
    ]));
    let ended = at(&verdict, "the process of node 3 ends");
    assert!((15_000..=17_000).contains(&ended), "{ended}");
}

#[test]
fn damaged_frames_are_noticed_by_whoever_gets_them_and_nothing_is_lost() {
    let damaged = |from: Value, to: Value| json!({"from": from, "to": to, "percent": 3});
    let verdict = run(&json!([
        {"at": "5s", "for": "25s", "corrupt-frames": damaged(json!({"client": "w"}), json!({"broker": 1}))},
        {"at": "5s", "for": "25s", "corrupt-frames": damaged(json!({"client": "r"}), json!({"broker": 1}))},
        {"at": "8s", "for": "20s", "corrupt-frames": damaged(json!({"broker": 1}), json!({"broker": 2}))}
    ]));
    at(&verdict, "the link from client w#0 and broker 1 damages 3 % of its frames");
    at(&verdict, "over: corrupt-frames");
    assert_eq!((verdict.lost, verdict.duplicated), (0, 0));
    assert!(verdict.acked > 2_000, "writes go on: {}", verdict.acked);
}
