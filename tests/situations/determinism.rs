//! One seed, one digest: in two processes, on any thread, with one job or many.

use std::process::Command;

use ktrial::trial::{RunOptions, run_one};

use crate::support::{root, scenario};

/// Digests by seed, as another process prints them.
fn digests(arguments: &[&str]) -> Vec<(u64, String)> {
    let output = Command::new(env!("CARGO_BIN_EXE_ktrial"))
        .current_dir(root())
        .args(["run", "scenarios/cluster/worker-crashes.json", "--json"])
        .args(arguments)
        .output()
        .expect("the binary runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    let run = |r: &serde_json::Value| {
        (r["seed"].as_u64().expect("a seed"), r["digest"].as_str().expect("a digest").to_owned())
    };
    json["runs"].as_array().expect("runs").iter().map(run).collect()
}

#[test]
fn the_same_seed_gives_the_same_digest_in_two_processes_and_with_one_job_or_many() {
    let out = std::env::temp_dir().join(format!("ktrial-determinism-{}", std::process::id()));
    let out = out.to_str().expect("a path in Unicode");
    let one = digests(&["--seeds", "3..6", "--jobs", "1", "--out", out]);
    let many = digests(&["--seeds", "3..6", "--jobs", "3", "--out", out]);
    std::fs::remove_dir_all(out).ok();
    assert_eq!(one.len(), 3);
    assert_eq!(one, many);
    let here = run_one(&scenario("cluster/worker-crashes"), 4, &RunOptions::default());
    assert_eq!(here.digest, one[1].1);
    assert_ne!(one[0].1, one[1].1, "different seeds are different runs");
}

#[test]
fn diverge_finds_nothing_to_tell_of_a_scenario() {
    let found = ktrial::trial::diverge(&scenario("cluster/worker-crashes"), 11, &[]).expect("both runs record");
    assert_eq!(found.divergence, None);
    assert!(found.events > 1_000, "{} events are too few to mean anything", found.events);
}
