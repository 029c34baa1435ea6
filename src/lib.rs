//! `ktrial` puts a complete Kafka-like broker cluster on trial.
//!
//! # The house, from the ground up
//! A floor imports only from floors below it; `tests/architecture.rs` keeps that.
//!
//! | floor | room | what lives there |
//! |---|---|---|
//! | 0 | [`base`] | ids, time, seeded random streams, planted bugs, limits, hints |
//! | 1 | [`io`] | the only place where the simulated and the real build differ: net, disk, clock, tasks |
//! | 2 | [`wire`] | framing, RPC connections, API versions, record codecs, error mapping |
//! | 3 | [`log`] | batches, the pure log state, segments, recovery |
//! | 4 | [`raft`] [`controller`] [`replica`] [`group`] | pure protocol cores: no I/O, no `async`, no clock reads |
//! | 5 | [`broker`] | the async shell around the cores |
//! | 5 | [`client`] | producer, consumer, admin; knows wire, never broker |
//! | 6 | [`world`] | one simulated cluster: build, crash, restart; faults, probes, history |
//! | 7 | [`check`] | the oracles: one property per file; judge only from history and probes |
//! | 8 | [`scenario`] | the JSON a person writes: schema, validation, workloads |
//! | 9 | [`report`] | text, JSON and pictures of a verdict |
//! | 10 | [`trial`] | one run, determinism, verdict |
//! | 11 | [`campaign`] | many runs: worker processes, results that survive, shrinking, the hunt |
//! | 12 | [`cli`] | one file per subcommand |
//!
//! # As a library
//! [`trial()`] starts a simulated cluster in a test of your own, runs your clients on nodes of it, lets things go wrong, and
//! asks the oracles. `examples/own_client.rs` shows how.

pub mod base;
pub mod broker;
pub mod client;
pub mod controller;
pub mod group;
pub mod io;
pub mod log;
pub mod raft;
pub mod replica;
pub mod wire;

#[cfg(madsim)]
pub mod campaign;
#[cfg(madsim)]
pub mod check;
pub mod cli;
#[cfg(madsim)]
pub mod report;
#[cfg(madsim)]
pub mod scenario;
#[cfg(madsim)]
pub mod trial;
#[cfg(madsim)]
pub mod world;

#[cfg(madsim)]
pub use trial::trial;
