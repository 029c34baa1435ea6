//! What the situations share: where scenarios are, and how to read them.

use std::path::{Path, PathBuf};

use ktrial::base::{BrokerId, TopicPartition};
use ktrial::broker::node::NodeError;
use ktrial::broker::probe::{Event, Observer};
use ktrial::scenario::{self, Scenario};
use ktrial::world::Watch;
use ktrial::world::history::Op;

/// Watches a cluster and remembers nothing.
pub struct Nobody;

impl Observer for Nobody {
    fn observe(&self, _node: BrokerId, _event: Event) {}
}

impl Watch for Nobody {
    fn node_down(&self, _node: BrokerId, _storage_fault: bool) {}
    fn node_failed(&self, _node: BrokerId, _error: &NodeError) {}
    fn node_stands(&self, _: BrokerId, _: bool) {}
    fn disk_harmed(&self, _node: BrokerId) {}
    fn client_down(&self, _name: &str) {}
    fn record(&self, _op: Op) {}
    fn gave_up(&self, _tp: &TopicPartition, _ago_ns: u64, _setting: &str) {}
}

/// The root of the checkout.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every scenario file, in the order of its path.
pub fn scenario_files() -> Vec<PathBuf> {
    fn walk(dir: &Path, out: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).expect("the scenarios folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, out);
            } else if path.extension().is_some_and(|e| e == "json") {
                out.push(path);
            }
        }
    }
    let mut out = Vec::new();
    walk(&root().join("scenarios"), &mut out);
    out.sort();
    out
}

/// Reads a scenario file.
pub fn load(path: &Path) -> Scenario {
    let text = std::fs::read_to_string(path).expect("a scenario file");
    scenario::parse(&path.display().to_string(), &text).expect("a valid scenario")
}

/// Reads `scenarios/<name>.json`.
pub fn scenario(name: &str) -> Scenario {
    load(&root().join("scenarios").join(name).with_extension("json"))
}

/// A scenario from JSON.
pub fn from_json(value: &serde_json::Value) -> Scenario {
    scenario::parse("inline.json", &value.to_string()).expect("a valid scenario")
}
