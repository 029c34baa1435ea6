//! The async shell around the cores: listeners, dispatch, fetchers, the life of a broker process.
//!
//! A protocol rule never lives here, it lives in exactly one core. The shell does I/O, waits, and hands the cores
//! their inputs. It never knows that a simulated world exists; what oracles need to see of it leaves through
//! [`probe`].
//!
//! | room | what |
//! |---|---|
//! | [`node`] | one process in whatever roles: assembles everything, runs it, takes it down in order |
//! | [`settings`] | a node's configuration, as each of its parts takes it |
//! | [`lifecycle`] | registration, heartbeats, controlled shutdown |
//! | [`quorum`] | the shell of the Raft core: metadata log, peers, commits |
//! | [`controller`] | the shell of the controller core, on voters; their registration |
//! | [`publisher`], [`metadata`] | committed metadata into this node's image and partitions |
//! | [`snapshot_generator`] | when a snapshot of the metadata is due |
//! | [`partitions`] | logs, leading, following, fetchers, ISR changes |
//! | [`groups`] | the shell of the group coordinators |
//! | [`server`], [`handlers`] | connections; one file for each family of APIs |
//! | [`channel`] | the way to the active controller |

pub mod channel;
pub mod config;
pub mod controller;
pub mod groups;
pub mod handlers;
pub mod lifecycle;
pub mod metadata;
pub mod node;
pub mod options;
pub mod partitions;
pub mod probe;
pub mod producer_ids;
pub mod publisher;
pub mod quorum;
pub mod server;
mod settings;
pub mod snapshot_generator;
