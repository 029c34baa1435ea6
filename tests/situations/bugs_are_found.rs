//! The tester is tested: planted bugs are found by the properties that must catch them.

use ktrial::base::bugs::Bug;
use ktrial::scenario::Scenario;
use ktrial::trial::{RunOptions, run_one};

use crate::support::from_json;

/// Three brokers under load, with a rhythm of power cuts that changes from seed to seed.
fn storm(seed: u64) -> Scenario {
    let mut draw = ktrial::base::random::Stream::new(seed, "storm");
    let mut faults = Vec::new();
    let mut at = 2_000;
    while at < 90_000 {
        let broker = draw.between(1, 3);
        let down = draw.between(200, 12_000);
        faults.push(serde_json::json!({"at": format!("{at}ms"), "power-cut": {"broker": broker}}));
        faults.push(serde_json::json!({"at": format!("{}ms", at + down), "start": {"broker": broker}}));
        // In budget: the next one loses power only after this one has caught up and is back in every ISR.
        at += down + draw.between(12_000, 18_000);
    }
    from_json(&serde_json::json!({
        "name": "storm",
        "cluster": {"brokers": 3, "config": {"min.insync.replicas": 2}},
        "topics": [{"name": "t", "partitions": 3, "replication-factor": 3}],
        "clients": [{"name": "w", "producer": {"topic": "t", "count": 2, "rate": 50}}],
        "duration": "120s",
        "faults": faults
    }))
}

/// Replicas of a partition that stop in order one after the other, and come back in the order in which they went: the
/// first to go was not waited for any more, is eligible, and is the first who may lead again.
fn handover(seed: u64) -> Scenario {
    let mut draw = ktrial::base::random::Stream::new(seed, "handover");
    let mut faults = Vec::new();
    let mut at = 2_000;
    while at < 60_000 {
        let first = draw.between(1, 3);
        let second = (first + draw.between(0, 1)) % 3 + 1;
        let mut then = |wait: (u64, u64), what: &str, broker: u64| {
            at += draw.between(wait.0, wait.1);
            faults.push(serde_json::json!({"at": format!("{at}ms"), what: {"broker": broker}}));
        };
        then((0, 1_000), "stop", first);
        then((3_000, 5_000), "stop", second);
        then((3_000, 5_000), "start", first);
        then((2_000, 6_000), "start", second);
        at += 12_000;
    }
    from_json(&serde_json::json!({
        "name": "handover",
        "cluster": {"brokers": 3, "config": {"min.insync.replicas": 2}},
        "topics": [{"name": "t", "partitions": 6, "replication-factor": 2}],
        "clients": [{"name": "w", "producer": {"topic": "t", "count": 2, "rate": 50}}],
        "duration": "70s",
        "faults": faults
    }))
}

/// Three voters whose active controller loses power again and again, and soon after the next one is elected everybody else
/// does too; those who come back first elect without the third. Far apart, they take long enough for that to hit a vote
/// before the records of the one who was elected.
fn election_storm(seed: u64) -> Scenario {
    let mut draw = ktrial::base::random::Stream::new(seed, "election-storm");
    let mut faults = Vec::new();
    let mut at = 2_000;
    while at < 90_000 {
        let second = at + draw.between(2_000, 5_000);
        let back = second + draw.between(100, 3_000);
        let late = draw.between(1, 3);
        faults.push(serde_json::json!({"at": format!("{at}ms"), "power-cut": "controller"}));
        faults.push(serde_json::json!({"at": format!("{second}ms"), "power-cut": "all-brokers"}));
        for broker in (1..=3).filter(|b| *b != late) {
            faults.push(serde_json::json!({"at": format!("{back}ms"), "start": {"broker": broker}}));
        }
        at = back + draw.between(4_000, 10_000);
        faults.push(serde_json::json!({"at": format!("{at}ms"), "start": {"broker": late}}));
        at += draw.between(1_000, 4_000);
    }
    from_json(&serde_json::json!({
        "name": "election-storm",
        "cluster": {"brokers": 3, "regions": {"a": [1], "b": [2], "c": [3]}},
        "duration": "110s",
        "faults": faults
    }))
}

/// A group whose members stand still for longer than their sessions, again and again, and go on in a generation that is
/// over.
fn zombies(seed: u64) -> Scenario {
    let mut draw = ktrial::base::random::Stream::new(seed, "zombies");
    let mut faults = Vec::new();
    let mut at = 5_000;
    while at < 55_000 {
        let member = format!("g#{}", draw.between(0, 2));
        let lasts = format!("{}ms", draw.between(2_500, 6_000));
        faults.push(serde_json::json!({"at": format!("{at}ms"), "pause": {"client": member}, "for": lasts}));
        at += draw.between(6_500, 9_000);
    }
    from_json(&serde_json::json!({
        "name": "zombies",
        "cluster": {"brokers": 3, "config": {"min.insync.replicas": 2, "offsets.topic.num.partitions": 1,
            "group.min.session.timeout.ms": 500, "group.initial.rebalance.delay.ms": 500}},
        "topics": [{"name": "t", "partitions": 6, "replication-factor": 3}],
        "clients": [{"name": "w", "producer": {"topic": "t", "count": 2, "rate": 60}},
            {"name": "g", "group": {"topics": ["t"], "count": 3, "processing": ["1ms", "8ms"],
                "config": {"session.timeout.ms": 2000, "heartbeat.interval.ms": 1000, "max.poll.interval.ms": 20000}}}],
        "duration": "60s",
        "faults": faults
    }))
}

/// A compacted topic whose replicas stop in turn: who comes back fetches what the cleaner has left.
fn evictions(seed: u64) -> Scenario {
    let mut draw = ktrial::base::random::Stream::new(seed, "evictions");
    let mut faults = Vec::new();
    let mut at = 3_000;
    while at < 60_000 {
        let broker = draw.between(1, 3);
        let lasts = format!("{}ms", draw.between(6_000, 12_000));
        faults.push(serde_json::json!({"at": format!("{at}ms"), "stop": {"broker": broker}, "for": lasts}));
        at += draw.between(14_000, 18_000);
    }
    from_json(&serde_json::json!({
        "name": "evictions",
        "cluster": {"brokers": 3, "config": {"min.insync.replicas": 2, "log.cleaner.backoff.ms": 200}},
        "topics": [{"name": "t", "partitions": 2, "replication-factor": 3, "config": {"cleanup.policy": "compact",
            "segment.bytes": 12288, "min.cleanable.dirty.ratio": "0.0"}}],
        "clients": [{"name": "w", "producer": {"topic": "t", "count": 2, "rate": 60, "strategy": "keyed", "keys": 5,
                "config": {"batch.size": 512}}},
            {"name": "r", "consumer": {"topic": "t", "assign": "all"}}],
        "duration": "70s",
        "faults": faults
    }))
}

/// Looks for `bug` in at most `seeds` seeds; returns the properties that fired first.
fn hunt(bug: Bug, seeds: u64, scenario: fn(u64) -> Scenario) -> Vec<String> {
    for seed in 0..seeds {
        let options = RunOptions { plant: vec![bug], ..RunOptions::default() };
        let verdict = run_one(&scenario(seed), seed, &options);
        if !verdict.violations.is_empty() {
            return verdict.violations.into_iter().map(|v| v.property).collect();
        }
    }
    Vec::new()
}

#[test]
fn the_right_broker_weathers_the_storms() {
    let storms = |seed| [storm(seed), election_storm(seed), handover(seed), zombies(seed), evictions(seed)];
    for (seed, scenario) in (0..10).flat_map(|seed| storms(seed).map(|scenario| (seed, scenario))) {
        let verdict = run_one(&scenario, seed, &RunOptions::default());
        assert!(verdict.violations.is_empty(), "{} {seed}: {:#?}", scenario.name, verdict.violations);
        assert!(verdict.reason.is_empty(), "{} {seed}: {}", scenario.name, verdict.reason);
    }
}

#[test]
fn acknowledging_before_the_isr_has_it_is_found() {
    let found = hunt(Bug::AckBeforeIsr, 20, storm);
    assert!(found.iter().any(|p| p == "ACK"), "found {found:?}");
}

#[test]
fn truncating_to_the_high_watermark_on_restart_is_found() {
    let found = hunt(Bug::TruncateToHighWatermark, 20, handover);
    assert!(found.iter().any(|p| ["LC", "LCC", "ACK"].contains(&p.as_str())), "found {found:?}");
}

#[test]
fn a_vote_that_is_not_durable_is_found() {
    let found = hunt(Bug::VolatileVote, 200, election_storm);
    assert!(found.iter().any(|p| p == "RAFT-LEADER"), "found {found:?}");
}

#[test]
fn a_commit_of_a_generation_that_is_over_is_found() {
    let found = hunt(Bug::ZombieCommit, 20, zombies);
    assert!(found.iter().any(|p| p == "OFFS"), "found {found:?}");
}

#[test]
fn offsets_that_are_counted_are_found() {
    let found = hunt(Bug::OffsetFromRetainedCount, 20, evictions);
    assert!(!found.is_empty());
}
