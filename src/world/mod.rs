//! One simulated cluster: hosts, addresses, processes, clients, and what can happen to them; the history that clients
//! leave.
//!
//! Nothing here judges, and nothing here knows a scenario file.

pub mod application;
pub mod cluster;
pub mod event;
pub mod handler;
pub mod history;
pub mod member;
pub mod reader;
pub mod store;
pub mod writer;

use std::sync::Arc;

use crate::base::{BrokerId, TopicPartition};
use crate::broker::node::NodeError;
use crate::broker::probe::Observer;
use history::Op;

/// Whoever watches a cluster: probes of the nodes, deaths of processes, and the history of the clients.
pub trait Watch: Observer {
    /// A node's process ended; with `storage_fault` its unsynced data may be gone (a power cut).
    fn node_down(&self, node: BrokerId, storage_fault: bool);
    /// A node's process ended by itself, with this error; [`Watch::node_down`] follows.
    fn node_failed(&self, node: BrokerId, error: &NodeError);
    /// A node's process stands still, or goes on.
    fn node_stands(&self, node: BrokerId, standing: bool);
    /// The disk of a node that may well run has lost or spoiled what was on it.
    fn disk_harmed(&self, node: BrokerId);
    /// A client's process died: it will never hear what became of what it had under way.
    fn client_down(&self, name: &str);
    /// A client did or was told something.
    fn record(&self, op: Op);
    /// `ago_ns` nanoseconds ago a client of this partition stopped waiting for an answer, because the time of this
    /// setting (like `request.timeout.ms`) ran out, and tried again.
    fn gave_up(&self, tp: &TopicPartition, ago_ns: u64, setting: &str);
}

/// A shared watcher.
pub type Watcher = Arc<dyn Watch>;
