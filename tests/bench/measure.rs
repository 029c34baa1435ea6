//! What a message costs: the reference load beside a bare madsim TCP ping-pong, measured in one run on one core.
//!
//! `make bench` runs this and writes `reports/bench.json`.

use std::time::{Duration, Instant};

use ktrial::scenario::{self, Scenario};
use ktrial::trial::{RunOptions, run_one};
use madsim::net::{TcpListener, TcpStream};
use madsim::runtime::Runtime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Chaos phase of the reference load, in simulated seconds.
const SIMULATED_S: u64 = 400;
/// Each figure is the best of so many runs: noise only ever slows a run down.
const RUNS: usize = 3;
/// Bytes of a ping and of a pong.
const PING: usize = 100;
/// Round trips of the ping-pong.
const ROUND_TRIPS: usize = 200_000;

/// 3 brokers, 3 partitions x 3 replicas, min.insync.replicas 2, 2 producers with 50 records/s each, acks=all, one
/// consumer, a power cut every 40 s with the broker back 15 s later.
fn reference_load() -> Scenario {
    let mut faults = Vec::new();
    for (i, at) in (20..SIMULATED_S - 20).step_by(40).enumerate() {
        let broker = i % 3 + 1;
        faults.push(serde_json::json!({"at": format!("{at}s"), "power-cut": {"broker": broker}}));
        faults.push(serde_json::json!({"at": format!("{}s", at + 15), "start": {"broker": broker}}));
    }
    let json = serde_json::json!({
        "name": "reference",
        "cluster": {"brokers": 3, "config": {"min.insync.replicas": 2}},
        "topics": [{"name": "load", "partitions": 3, "replication-factor": 3}],
        "clients": [
            {"name": "writers", "producer": {"topic": "load", "count": 2, "rate": 50, "acks": "all"}},
            {"name": "reader", "consumer": {"topic": "load", "assign": "all"}}
        ],
        "duration": format!("{SIMULATED_S}s"),
        "faults": faults,
        "expect": {"violations": []}
    });
    scenario::parse("reference.json", &json.to_string()).expect("the reference load is a valid scenario")
}

struct Reference {
    wall: Duration,
    acked: u64,
    messages: u64,
}

fn measure_reference(scenario: &Scenario) -> Reference {
    let mut best: Option<Reference> = None;
    for _ in 0..RUNS {
        let started = Instant::now();
        let verdict = run_one(scenario, 42, &RunOptions::default());
        let wall = started.elapsed();
        assert!(verdict.violations.is_empty(), "{:?}", verdict.violations);
        assert!(verdict.reason.is_empty(), "{}", verdict.reason);
        if best.as_ref().is_none_or(|b| wall < b.wall) {
            best = Some(Reference { wall, acked: verdict.acked, messages: verdict.messages });
        }
    }
    best.expect("at least one run")
}

async fn ping_pong() {
    let handle = madsim::runtime::Handle::current();
    let server = handle.create_node().name("server").ip("10.0.0.1".parse().expect("an address")).build();
    let client = handle.create_node().name("client").ip("10.0.0.2".parse().expect("an address")).build();
    drop(server.spawn(async {
        let listener = TcpListener::bind("10.0.0.1:9092").await.expect("a free port");
        let (mut stream, _) = listener.accept().await.expect("the client comes");
        let mut buffer = [0u8; PING];
        while stream.read_exact(&mut buffer).await.is_ok() {
            stream.write_all(&buffer).await.expect("the client reads");
            stream.flush().await.expect("the client reads");
        }
    }));
    madsim::time::sleep(Duration::from_secs(1)).await;
    let pinging = client.spawn(async {
        let mut stream = TcpStream::connect("10.0.0.1:9092").await.expect("the server listens");
        let mut buffer = [0u8; PING];
        for _ in 0..ROUND_TRIPS {
            stream.write_all(&buffer).await.expect("the server reads");
            stream.flush().await.expect("the server reads");
            stream.read_exact(&mut buffer).await.expect("the server answers");
        }
    });
    pinging.await.expect("the client finishes");
}

/// Messages per second of madsim's own TCP, both directions counted.
fn measure_bare() -> f64 {
    let mut best = 0f64;
    for _ in 0..RUNS {
        let started = Instant::now();
        std::thread::spawn(|| Runtime::with_seed_and_config(42, madsim::Config::default()).block_on(ping_pong()))
            .join()
            .expect("the ping-pong finishes");
        best = best.max(2.0 * ROUND_TRIPS as f64 / started.elapsed().as_secs_f64());
    }
    best
}

/// The largest resident set of this process so far, in bytes.
fn peak_rss_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) * 1024
}

pub fn main() {
    let scenario = reference_load();
    let reference = measure_reference(&scenario);
    let rss = peak_rss_bytes();
    let bare = measure_bare();
    let wall = reference.wall.as_secs_f64();
    let messages = reference.messages as f64 / wall;
    let report = serde_json::json!({"reference": {
        "simulated_seconds_per_second": (SIMULATED_S as f64 / wall).round(),
        "acked_per_second": (reference.acked as f64 / wall).round(),
        "messages_per_second": messages.round(),
        "bare_messages_per_second": bare.round(),
        "fraction_of_bare": (messages / bare * 1000.0).round() / 1000.0,
        "peak_rss_bytes": rss,
    }});
    let text = serde_json::to_string_pretty(&report).expect("plain numbers");
    println!("{text}");
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("reports");
    std::fs::create_dir_all(&folder).expect("the reports folder");
    std::fs::write(folder.join("bench.json"), text + "\n").expect("reports/bench.json");
}
