//! Campaigns, capsules and shrinking as a person meets them: through the binary, in processes of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

const SEEDS: &str = "8";

fn ktrial(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ktrial"));
    command.args(words).stdin(Stdio::null());
    command
}

fn run(words: &[&str]) -> Output {
    ktrial(words).output().expect("the binary runs")
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

/// A folder of a test's own, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("ktrial-campaign-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }
    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn until(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(300);
    while !done() {
        assert!(Instant::now() < deadline, "{what} did not come about");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A capsule of a run that fails for sure: it expects a violation that does not happen.
fn failing_capsule(folder: &Folder) -> String {
    let scenario = json!({
        "name": "hopeful", "duration": "5s", "topics": [{"name": "t", "partitions": 1, "replication-factor": 3}],
        "clients": [{"name": "w", "producer": {"topic": "t"}}], "expect": {"violations": ["ACK"]}
    });
    let file = folder.path("hopeful.json");
    fs::write(&file, scenario.to_string()).expect("the scenario");
    let ran = run(&["run", &file, "--seed", "3", "--out", &folder.path("run")]);
    assert_eq!(ran.status.code(), Some(1), "{}", out(&ran));
    folder.path("run/capsule.json")
}

#[test]
fn a_capsule_replays_bit_for_bit_and_a_changed_one_is_found_out() {
    let folder = Folder::new();
    let capsule = failing_capsule(&folder);
    let replayed = run(&["replay", &capsule]);
    assert_eq!(replayed.status.code(), Some(1));
    assert!(out(&replayed).contains("replay  SAME: the digest is the recorded one"), "{}", out(&replayed));

    let mut changed: Value = serde_json::from_str(&fs::read_to_string(&capsule).expect("it")).expect("JSON");
    let digest = changed["digest"].clone();
    changed["digest"] = json!("0000");
    let other = folder.path("other.json");
    fs::write(&other, changed.to_string()).expect("a file");
    let replayed = run(&["replay", &other, "--json"]);
    assert_eq!(replayed.status.code(), Some(5));
    let told: Value = serde_json::from_str(&out(&replayed)).expect("one document");
    assert_eq!((&told["digest"], &told["verdict"]["digest"]), (&json!("different"), &digest));

    changed["source"] = json!("0.0.0+0");
    fs::write(&other, changed.to_string()).expect("a file");
    let replayed = run(&["replay", &other]);
    assert_eq!(replayed.status.code(), Some(1));
    assert!(out(&replayed).contains("digest not comparable"), "{}", out(&replayed));

    changed["plant"] = json!(["no-such-bug"]);
    fs::write(&other, changed.to_string()).expect("a file");
    assert_eq!(run(&["replay", &other]).status.code(), Some(2));
}

#[test]
fn a_trace_tells_what_happened_where_and_when_it_was_asked_to() {
    let folder = Folder::new();
    let capsule = failing_capsule(&folder);
    let traced = out(&run(&["replay", &capsule, "--trace", "--node", "2", "--from", "1s", "--to", "1500ms"]));
    let events: Vec<_> = traced.lines().filter(|l| l.contains(" #")).collect();
    assert!(events.iter().any(|l| l.contains("bytes arrive at broker-2")), "{traced}");
    assert!(events.iter().all(|l| l.contains("broker-2") && l.trim_start().starts_with("1.")), "{traced}");
    assert!(traced.contains("replay  SAME"), "recording changes nothing: {traced}");
    assert_eq!(run(&["replay", &capsule, "--trace", "--from", "soon"]).status.code(), Some(2));
}

/// A campaign of calm seeds; it need not pass, only be the same.
fn swarm(dir: &str, more: &[&str]) -> Command {
    ktrial(&[&["swarm", "--profile", "calm", "--keep-going", "--jobs", "2", "--out", dir], more].concat())
}

/// The summary without what a clock measured or a folder's name changes.
fn essence(output: &Output) -> Value {
    let mut summary: Value = serde_json::from_slice(&output.stdout).expect("one document");
    for key in ["seeds_per_minute", "peak_rss_bytes"] {
        summary.as_object_mut().expect("an object").remove(key);
    }
    summary
}

fn lines(dir: &str) -> usize {
    fs::read_to_string(Path::new(dir).join("results.jsonl")).map_or(0, |text| text.matches('\n').count())
}

fn seeds(dir: &str) -> Vec<u64> {
    let text = fs::read_to_string(Path::new(dir).join("results.jsonl")).expect("results");
    let seed = |line: &str| serde_json::from_str::<Value>(line).expect("a result")["seed"].as_u64().expect("a seed");
    let mut seeds: Vec<_> = text.lines().map(seed).collect();
    seeds.sort_unstable();
    seeds
}

/// The workers of a campaign.
fn workers(parent: &Child) -> Vec<String> {
    let of = parent.id();
    let listed = fs::read_to_string(format!("/proc/{of}/task/{of}/children")).unwrap_or_default();
    let mut all: Vec<String> = listed.split_whitespace().map(str::to_owned).collect();
    // Threads start the workers: each has children of its own.
    for entry in fs::read_dir(format!("/proc/{of}/task")).into_iter().flatten().flatten() {
        let children = fs::read_to_string(entry.path().join("children")).unwrap_or_default();
        all.extend(children.split_whitespace().map(str::to_owned));
    }
    all.sort();
    all.dedup();
    // A child that is forked and does not yet run its program is no worker: stopped there, it would hold its parent up.
    let runs = |pid: &String| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).nth(1) == Some(b"worker")
    };
    all.retain(runs);
    all
}

fn signal(name: &str, pid: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), pid]).status().expect("kill runs");
    assert!(sent.success(), "kill -{name} {pid}");
}

#[test]
fn whoever_is_killed_a_campaign_loses_nothing_and_repeats_nothing() {
    let folder = Folder::new();
    let whole = swarm(&folder.path("whole"), &["--seeds", SEEDS, "--json"]).output().expect("it runs");

    let dir = folder.path("killed");
    let mut parent = swarm(&dir, &["--seeds", SEEDS]).stdout(Stdio::null()).spawn().expect("it starts");
    until("a first result", || lines(&dir) >= 1);
    until("a worker", || !workers(&parent).is_empty());
    signal("KILL", &workers(&parent)[0]);
    until("another result", || lines(&dir) >= 3);
    let orphans = workers(&parent);
    parent.kill().expect("the parent is killed");
    parent.wait().expect("its end");
    let gone = |pid: &String| !Path::new("/proc").join(pid).join("exe").exists();
    until("the end of the workers", || orphans.iter().all(gone));
    let before = lines(&dir);
    assert!(before < 8, "it was over before it was killed");

    let resumed = swarm(&dir, &["--seeds", SEEDS, "--json"]).output().expect("it runs");
    assert_eq!(seeds(&dir), (0..8).collect::<Vec<_>>());
    let (mut once, mut again) = (essence(&whole), essence(&resumed));
    for summary in [&mut once, &mut again] {
        for failure in summary["failures"].as_array_mut().expect("a list") {
            failure["capsule"] = Value::Null;
            failure["reproduce"] = Value::Null;
        }
    }
    assert_eq!(once, again);
    let other = swarm(&dir, &["--seeds", SEEDS, "--config", "min.insync.replicas=1"]).output().expect("it runs");
    assert_eq!(other.status.code(), Some(2), "a folder holds one campaign");
}

#[test]
fn two_shards_come_to_the_same_as_one_run() {
    let folder = Folder::new();
    let dir = folder.path("shards");
    let first = swarm(&dir, &["--seeds", SEEDS, "--shard", "1/2"]).output().expect("it runs");
    let by_array = [("SLURM_ARRAY_TASK_ID", "1"), ("SLURM_ARRAY_TASK_COUNT", "2")];
    let second = swarm(&dir, &["--seeds", SEEDS]).envs(by_array).output().expect("it runs");
    assert!(String::from_utf8_lossy(&second.stderr).contains("shard 2 of 2, as SLURM_ARRAY_TASK_ID says"));
    assert!(first.status.code().is_some_and(|code| code != 2));
    let merged = run(&["swarm", "--merge", &dir, "--json"]);
    let whole = swarm(&folder.path("whole"), &["--seeds", SEEDS, "--json"]).output().expect("it runs");
    let (merged, whole) = (essence(&merged), essence(&whole));
    assert_eq!(merged["seeds"], json!(8));
    for key in ["seeds", "passed", "simulated_hours", "messages_per_seed_median", "median", "marks", "never_reached"] {
        assert_eq!(merged[key], whole[key], "{key}");
    }
}

#[test]
fn a_seed_that_hangs_is_recorded_and_the_others_go_on() {
    let folder = Folder::new();
    let dir = folder.path("hung");
    let mut parent =
        swarm(&dir, &["--seeds", "8", "--seed-timeout", "30"]).stdout(Stdio::null()).spawn().expect("it starts");
    until("a worker", || !workers(&parent).is_empty());
    signal("STOP", &workers(&parent)[0]);
    let code = parent.wait().expect("its end").code();
    assert_eq!(seeds(&dir), (0..8).collect::<Vec<_>>());
    let text = fs::read_to_string(Path::new(&dir).join("results.jsonl")).expect("results");
    let hung: Vec<_> = text.lines().filter(|l| l.contains("hung: no verdict within 30 s")).collect();
    assert_eq!(hung.len(), 1, "{text}");
    assert!(code.is_some_and(|code| code != 0));
}

#[test]
fn the_zoo_is_listed_with_its_stories() {
    let listed: Value = serde_json::from_str(&out(&run(&["bugs", "list", "--json"]))).expect("one document");
    let bugs = listed["bugs"].as_array().expect("a list");
    assert!(bugs.iter().any(|bug| bug["name"] == "ack-before-isr"));
    assert!(bugs.iter().all(|bug| bug["story"].as_str().is_some_and(|s| s.len() > 40)), "{listed}");
}

#[test]
fn a_planted_bug_is_found_kept_and_shrunk_to_a_scenario_that_expects_it() {
    let folder = Folder::new();
    let dir = folder.path("found");
    let line = ["swarm", "--plant", "ack-before-isr", "--seeds", "60", "--out", &dir, "--json"];
    let found: Value = serde_json::from_str(&out(&run(&line))).expect("one document");
    let failure = &found["failures"][0];
    let capsule = failure["capsule"].as_str().unwrap_or_else(|| panic!("nothing was found: {found}"));
    assert!(out(&run(&["replay", capsule])).contains("replay  SAME"), "{failure}");
    let small = folder.path("small.json");
    let shrunk = run(&["shrink", capsule, "--minutes", "1", "--out", &small, "--json"]);
    let told: Value = serde_json::from_str(&out(&shrunk)).expect("one document");
    assert!(told["fails_in"].as_u64().is_some_and(|n| n > 0), "{told}");
    let seed = told["seed"].to_string();
    let again = run(&["run", &small, "--seed", &seed, "--plant", "ack-before-isr", "--out", &folder.path("again")]);
    assert!(out(&again).contains(failure["property"].as_str().expect("a property")), "{}", out(&again));
}
