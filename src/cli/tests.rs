//! Command lines as people type them, with a runner that only pretends.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

use super::{Parts, Streams, execute};
use crate::report::verdict::{Event, OutageRecord};
use crate::report::{Outcome, Verdict};
use crate::scenario::Scenario;
use crate::trial::RunOptions;

const HEALTHY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/cluster/healthy.json");
const CLUSTER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/cluster");

/// What a command left behind: exit code, standard output, standard error.
struct Said {
    code: u8,
    out: String,
    err: String,
}

fn ktrial_with(runner: crate::trial::Runner, line: &[&str]) -> Said {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let words = std::iter::once("ktrial").chain(line.iter().copied()).map(Into::into);
    let code = execute(words, &Parts { runner }, &mut Streams { out: &mut out, err: &mut err, colour: false });
    Said { code, out: String::from_utf8(out).unwrap(), err: String::from_utf8(err).unwrap() }
}

fn ktrial(line: &[&str]) -> Said {
    ktrial_with(pretend, line)
}

/// Passes, except that seed 13 loses data, 14 does not converge and 15 panics.
fn pretend(scenario: &Scenario, seed: u64, options: &RunOptions) -> Verdict {
    assert_ne!(seed, 15, "the broker fell over");
    let mut verdict = Verdict::new(&scenario.name, seed);
    verdict.simulated_ms = scenario.duration.0;
    verdict.acked = 100;
    verdict.digest = format!("{seed:016x}");
    verdict.outcome = match seed {
        13 => Outcome::Violated,
        14 => Outcome::NotLive,
        _ => Outcome::Pass,
    };
    let settings = scenario.cluster.config.iter().map(|(key, value)| format!("{key}={value}"));
    let bugs = options.plant.iter().map(|bug| bug.name().to_owned());
    let text = settings.chain(bugs).collect::<Vec<_>>().join(" ");
    verdict.events.push(Event { at_ms: 0, kind: "note".into(), text });
    verdict.outages.push(OutageRecord {
        partition: "UserEvents-0".into(),
        from_ms: 1_000,
        to_ms: Some(2_000 + seed * 1_000),
        cause: String::new(),
        detect_ms: Some(500),
        elect_ms: None,
        recover_ms: None,
        waited_for: None,
    });
    verdict
}

#[test]
fn a_run_prints_its_verdict_and_ends_with_zero() {
    let said = ktrial(&["run", HEALTHY, "--seed", "42"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    assert!(said.out.starts_with("healthy  seed 42  PASS   60 s simulated"), "{}", said.out);
}

#[test]
fn without_a_seed_a_random_one_is_drawn_and_printed() {
    let seeds: Vec<String> =
        (0..8).map(|_| ktrial(&["run", HEALTHY]).out.split_whitespace().nth(2).unwrap().to_owned()).collect();
    assert!(seeds.iter().all(|seed| seed.parse::<u64>().is_ok()), "{seeds:?}");
    assert!(seeds.iter().any(|seed| *seed != seeds[0]), "{seeds:?}");
}

#[test]
fn the_gravest_outcome_is_the_exit_code() {
    let code = |seeds: &str| ktrial(&["run", HEALTHY, "--seeds", seeds, "--jobs", "3"]).code;
    assert_eq!((code("0..13"), code("13..14"), code("14..15"), code("13..15"), code("0..20")), (0, 1, 3, 1, 4));
}

#[test]
fn many_seeds_are_summed_up_and_each_failure_can_be_reproduced() {
    let said = ktrial(&["run", HEALTHY, "--seeds", "11..16", "--config", "min.insync.replicas=1"]);
    for wanted in [
        "healthy  2 of 5 seeds passed   400 acked, 0 lost",
        "outage      12.0 s / 14.0 s / 15.0 s",
        "undetected  0.50 s / 0.50 s / 0.50 s",
        &format!("seed 13 VIOLATED: ktrial run {HEALTHY} --seed 13 --config min.insync.replicas=1"),
        "seed 15 PANICKED",
        "the broker fell over",
    ] {
        assert!(said.out.contains(wanted), "{wanted} is not in\n{}", said.out);
    }
    assert!(!said.out.contains("seed 11  PASS"), "a passed seed among many is not told in full");
}

#[test]
fn a_folder_stands_for_the_scenarios_in_it_in_the_order_of_their_names() {
    let said = ktrial(&["run", CLUSTER, "--seed", "1"]);
    let names: Vec<_> =
        said.out.lines().filter(|l| l.contains("  seed 1  ")).filter_map(|l| l.split(' ').next()).collect();
    assert!(names.is_sorted() && names.contains(&"healthy") && names.contains(&"worker-dies"), "{names:?}");
    let all = std::fs::read_dir(CLUSTER).expect("the folder").count();
    assert_eq!(names.len(), all);
    assert!(said.out.ends_with(&format!("{all} of {all} scenarios passed\n")), "{}", said.out);
}

#[test]
fn json_is_one_document_in_the_order_of_the_seeds_and_nothing_else() {
    let said = ktrial(&["run", HEALTHY, "--seeds", "0..20", "--jobs", "4", "--json"]);
    let document: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(document["schema_version"], 1);
    let seeds: Vec<_> = document["runs"].as_array().unwrap().iter().map(|run| run["seed"].as_u64().unwrap()).collect();
    assert_eq!(seeds, (0..20).collect::<Vec<_>>());
    assert_eq!(document["runs"][14]["outcome"], "not-live");
    assert_eq!((said.code, said.err.as_str()), (4, ""));
}

#[test]
fn config_and_bugs_reach_the_trial() {
    let line = ["run", HEALTHY, "--seed", "1", "--config", "min.insync.replicas=3", "--plant", "ack-before-isr"];
    let said = ktrial(&line);
    assert!(said.out.contains("min.insync.replicas=3 ack-before-isr"), "{}", said.out);
}

#[test]
fn a_wrong_option_ends_with_two_and_names_the_nearest_right_one() {
    for (line, complaint) in [
        (&["run", HEALTHY, "--sed", "1"][..], "'--seed'"),
        (&["run", HEALTHY, "--plant", "ack-befor-isr"], "ack-before-isr"),
        (&["run", HEALTHY, "--seeds", "5..5"], "the range 5..5 holds no seed"),
        (&["run", HEALTHY, "--seeds", "5"], "write A..B"),
        (&["run", HEALTHY, "--seed", "1", "--seeds", "1..2"], "cannot be used with"),
        (&["run", HEALTHY, "--jobs", "0"], "0 is not in 1..=1024"),
        (&["run", HEALTHY, "--config", "min.insync.replica=2"], "did you mean \"min.insync.replicas\"?"),
        (&["run", HEALTHY, "--config", "min.insync.replicas=two"], "is not a whole number"),
        (&["run", HEALTHY, "--config", "min.insync.replicas"], "is not KEY=VALUE"),
        (&["swarm", "--profile", "everthing"], "did you mean \"everything\"?"),
        (&["swarm", "--seeds", "0"], "no seeds at all"),
        (&["swarm", "--shard", "5/4"], "is no shard"),
        (&["swarm", "--config", "min.insync.replica=2"], "did you mean \"min.insync.replicas\"?"),
        (&["swarm", "--minutes", "0"], "is not a number of minutes"),
        (&["swarm", "--merge", "no-such-folder"], "no-such-folder"),
        (&["bugs", "hunt", "ack-befor-isr"], "ack-before-isr"),
        (&["shrink", "no-such-capsule.json"], "no-such-capsule.json: cannot be read"),
        (&["replay", "no-such-capsule.json"], "no-such-capsule.json: cannot be read"),
        (&["replay", HEALTHY], "no capsule"),
        (&["rum", HEALTHY], "'run'"),
        (&["run"], "SCENARIO"),
        (&["run", "no-such-file.json"], "no-such-file.json"),
        (&["serve"], "needs the real build"),
    ] {
        let said = ktrial(line);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{line:?}");
        assert!(said.err.contains(complaint), "{complaint} is not in\n{}", said.err);
    }
}

/// A folder of this test's own, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("ktrial-cli-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
    fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn one_wrong_file_and_nothing_runs() {
    fn never(_: &Scenario, _: u64, _: &RunOptions) -> Verdict {
        panic!("nothing may run")
    }
    let folder = Folder::new();
    let wrong = folder.file("wrong.json", "{\"name\": \"wrong\",\n \"brokers\": 3}");
    let said = ktrial_with(never, &["run", HEALTHY, &wrong]);
    assert_eq!((said.code, said.out.as_str()), (2, ""));
    assert!(said.err.starts_with(&format!("{wrong}:2:2: unknown key \"brokers\" in the scenario; ")), "{}", said.err);
    let copy = folder.file("copy.json", &std::fs::read_to_string(HEALTHY).unwrap());
    let said = ktrial_with(never, &["run", HEALTHY, &copy]);
    assert_eq!(said.err, format!("{copy}: the name \"healthy\" is that of {HEALTHY} too\n"));
}

#[test]
fn check_tells_what_is_right_and_what_is_wrong() {
    let said = ktrial(&["check", HEALTHY]);
    assert_eq!((said.code, said.out), (0, format!("{HEALTHY}: ok (3 brokers, 3 partitions, 0 faults, 60s)\n")));
    let folder = Folder::new();
    let wrong = folder.file("wrong.json", "{\"name\": 1}");
    let said = ktrial(&["check", HEALTHY, &wrong, "--json"]);
    let document: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((said.code, &document["files"][0]["ok"]), (2, &Value::Bool(true)));
    assert_eq!(document["files"][1]["problems"][0]["column"], 10);
}

#[test]
fn diverge_says_when_two_runs_are_the_same() {
    let same = ktrial(&["diverge", HEALTHY, "--seed", "7"]);
    assert_eq!((same.code, same.out.contains("seed 7  SAME")), (0, true), "{}", same.out);
}

#[test]
fn every_command_helps_with_an_example() {
    for command in ["run", "swarm", "replay", "shrink", "bugs", "check", "diverge", "schema", "serve"] {
        let said = ktrial(&[command, "--help"]);
        assert_eq!(said.code, 0);
        assert!(said.out.contains("Example") && said.out.contains(&format!("ktrial {command}")), "{}", said.out);
        assert!(said.out.lines().all(|line| line.chars().count() <= 100), "{}", said.out);
    }
}

#[test]
fn the_schema_is_one_json_document() {
    let said = ktrial(&["schema"]);
    let document: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(document["title"], "ktrial scenario");
}
