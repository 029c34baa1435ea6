//! Keeps the walls of the house: floors import downwards only, cores stay pure, and nothing that the simulation can see
//! depends on hash order, wall clocks, threads or unseeded randomness.

use std::fs;
use std::path::{Path, PathBuf};

/// Rooms by floor; a room may import from floors below its own, and from itself.
const FLOORS: &[&[&str]] = &[
    &["base"],
    &["io"],
    &["wire"],
    &["log"],
    &["raft", "controller", "replica"],
    &["broker", "client"],
    &["world"],
    &["check"],
    &["scenario"],
    &["report"],
    &["trial"],
    &["campaign"],
    &["cli"],
];

/// Rooms in which nothing may be `async`, lock, or read a clock.
const CORES: &[&str] = &["raft", "controller", "replica"];

fn sources() -> Vec<(PathBuf, String)> {
    fn walk(dir: &Path, out: &mut Vec<(PathBuf, String)>) {
        let mut entries: Vec<_> = fs::read_dir(dir).expect("source folder").map(|e| e.expect("entry").path()).collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                walk(&path, out);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).expect("source file");
                out.push((path, text));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut out = Vec::new();
    walk(&root, &mut out);
    out.into_iter().map(|(p, t)| (p.strip_prefix(&root).expect("inside src").to_owned(), t)).collect()
}

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

fn room(path: &Path) -> &str {
    let first = path.iter().next().and_then(|p| p.to_str()).expect("a name");
    first.strip_suffix(".rs").unwrap_or(first)
}

/// Lines of code without comments, with their numbers.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(i, line)| (i + 1, line.trim_start())).filter(|(_, line)| !line.starts_with("//"))
}

/// The part of a file before its unit tests.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod ").next().unwrap_or(text)
}

fn is_test_file(path: &Path) -> bool {
    path.iter().any(|p| p.to_str().is_some_and(|p| p.starts_with("tests")))
}

#[test]
fn floors_import_downwards_only() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let Some(own) = floor(room(&path)) else { continue };
        if is_test_file(&path) {
            continue;
        }
        for (line, code) in code(without_tests(&text)) {
            for part in code.split("crate::").skip(1) {
                let target: String = part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if let Some(other) = floor(&target)
                    && (other > own || (other == own && target != room(&path)))
                {
                    wrong.push(format!("{}:{line}: {} may not import {target}", path.display(), room(&path)));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_room_stands_on_a_floor() {
    let rooms: Vec<_> = sources().iter().map(|(p, _)| room(p).to_owned()).collect();
    for r in rooms.iter().filter(|r| !["lib", "main"].contains(&r.as_str())) {
        assert!(floor(r).is_some(), "room {r} stands on no floor");
    }
}

fn forbid(patterns: &[&str], exempt: impl Fn(&Path) -> bool, why: &str) {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        if exempt(&path) {
            continue;
        }
        for (line, code) in code(&text) {
            if let Some(p) = patterns.iter().find(|p| code.contains(**p)) {
                wrong.push(format!("{}:{line}: {p}: {why}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_hash_order_in_the_deterministic_part() {
    forbid(
        &["HashMap", "HashSet", "RandomState"],
        |p| matches!(room(p), "cli" | "report" | "main"),
        "hash order differs from run to run; use BTreeMap, BTreeSet or Vec",
    );
}

#[test]
fn clocks_threads_and_runtime_only_inside_io() {
    forbid(
        &["SystemTime::now", "Instant::now", "std::thread", "thread_rng", "rand::random"],
        |p| matches!(room(p), "io" | "cli" | "campaign" | "trial" | "main"),
        "only io may read clocks, start threads or draw unseeded randomness",
    );
    forbid(
        &[
            "tokio::time",
            "tokio::net",
            "tokio::fs",
            "tokio::spawn",
            "tokio::task::spawn",
            "std::fs",
            "std::net::Tcp",
            "std::net::Udp",
        ],
        |p| matches!(room(p), "io" | "cli" | "campaign" | "report" | "main") || is_test_file(p),
        "only io may touch the runtime, files or sockets",
    );
}

#[test]
fn nothing_draws_from_tokios_own_randomness() {
    forbid(
        &["sync::watch", "sync::{oneshot, watch}", "sync::{Notify, watch}"],
        |p| matches!(room(p), "cli"),
        "tokio's watch wakes its waiters in an order that no seed decides; use io::watch",
    );
}

#[test]
fn both_builds_share_every_line_outside_io() {
    forbid(
        &["cfg(madsim)", "cfg(not(madsim))", "cfg!(madsim)"],
        |p| matches!(room(p), "io" | "cli" | "lib" | "main"),
        "the two builds may differ inside io only",
    );
}

#[test]
fn cores_are_pure() {
    forbid(
        &["async fn", "async move", ".await;", ".await?", "Mutex", "RwLock", "crate::io"],
        |p| !CORES.contains(&room(p)) || is_test_file(p),
        "cores have no async, locks or I/O",
    );
}

#[test]
fn select_is_always_biased() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        for (i, _) in text.match_indices("select! {") {
            let rest = text[i + "select! {".len()..].trim_start();
            if !rest.starts_with("biased;") {
                wrong.push(path.display().to_string());
            }
        }
    }
    assert!(wrong.is_empty(), "select! without biased: {}", wrong.join(", "));
}
