//! Golden digests: a change that alters what a seed means shows here, and is then either a mistake or said aloud.
//!
//! After a change that is meant to alter runs, write them anew with `UPDATE_GOLDEN=1 cargo test --release golden`.

use std::collections::BTreeMap;

use ktrial::trial::{RunOptions, run_one};

use crate::support::{load, root, scenario_files};

const SEED: u64 = 42;

#[test]
fn digests_are_the_recorded_ones() {
    let file = root().join("tests").join("golden.json");
    let mut measured = BTreeMap::new();
    for path in scenario_files() {
        let name = path.strip_prefix(root()).expect("inside the checkout").display().to_string();
        measured.insert(name, run_one(&load(&path), SEED, &RunOptions::default()).digest);
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let text = serde_json::to_string_pretty(&measured).expect("plain strings") + "\n";
        std::fs::write(&file, text).expect("the golden file");
    }
    let recorded: BTreeMap<String, String> =
        serde_json::from_str(&std::fs::read_to_string(&file).expect("the golden file")).expect("a map of digests");
    assert_eq!(measured, recorded, "runs have changed; see the head of this file");
}
