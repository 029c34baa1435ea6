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

/// Three voters whose active controller loses power again and again, and soon after it one of those who elect the next.
fn election_storm(seed: u64) -> Scenario {
    let mut draw = ktrial::base::random::Stream::new(seed, "election-storm");
    let mut faults = Vec::new();
    let mut at = 2_000;
    while at < 100_000 {
        let second = at + draw.between(1_500, 5_000);
        let back = second + draw.between(100, 3_000);
        let broker = draw.between(1, 3);
        faults.push(serde_json::json!({"at": format!("{at}ms"), "power-cut": "controller"}));
        faults.push(serde_json::json!({"at": format!("{second}ms"), "power-cut": {"broker": broker}}));
        faults.push(serde_json::json!({"at": format!("{back}ms"), "start": "all-brokers"}));
        at = back + draw.between(4_000, 10_000);
    }
    from_json(&serde_json::json!({
        "name": "election-storm",
        "cluster": {"brokers": 3},
        "duration": "110s",
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
    for (seed, scenario) in (0..10).flat_map(|seed| [(seed, storm(seed)), (seed, election_storm(seed))]) {
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
    let found = hunt(Bug::TruncateToHighWatermark, 300, storm);
    assert!(found.iter().any(|p| ["LC", "LCC", "ACK"].contains(&p.as_str())), "found {found:?}");
}

#[test]
fn a_vote_that_is_not_durable_is_found() {
    let found = hunt(Bug::VolatileVote, 100, election_storm);
    assert!(found.iter().any(|p| p == "RAFT-LEADER"), "found {found:?}");
}
