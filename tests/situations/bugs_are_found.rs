//! The tester is tested: planted bugs are found by the properties that must catch them.

use ktrial::base::bugs::Bug;
use ktrial::trial::{RunOptions, run_one};

use crate::support::from_json;

/// Three brokers under load, with a rhythm of power cuts that changes from seed to seed.
fn storm(seed: u64) -> ktrial::scenario::Scenario {
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

/// Looks for `bug` in at most `seeds` seeds; returns the properties that fired first.
fn hunt(bug: Bug, seeds: u64) -> Vec<String> {
    for seed in 0..seeds {
        let options = RunOptions { plant: vec![bug], ..RunOptions::default() };
        let verdict = run_one(&storm(seed), seed, &options);
        if !verdict.violations.is_empty() {
            return verdict.violations.into_iter().map(|v| v.property).collect();
        }
    }
    Vec::new()
}

#[test]
fn the_right_broker_weathers_the_storm() {
    for seed in 0..10 {
        let verdict = run_one(&storm(seed), seed, &RunOptions::default());
        assert!(verdict.violations.is_empty(), "seed {seed}: {:#?}", verdict.violations);
        assert!(verdict.reason.is_empty(), "seed {seed}: {}", verdict.reason);
    }
}

#[test]
fn acknowledging_before_the_isr_has_it_is_found() {
    let found = hunt(Bug::AckBeforeIsr, 20);
    assert!(found.iter().any(|p| p == "ACK"), "found {found:?}");
}

#[test]
fn truncating_to_the_high_watermark_on_restart_is_found() {
    let found = hunt(Bug::TruncateToHighWatermark, 300);
    assert!(found.iter().any(|p| ["LC", "LCC", "ACK"].contains(&p.as_str())), "found {found:?}");
}
