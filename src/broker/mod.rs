//! The async shell around the cores: listeners, dispatch, fetchers, the life of a broker process.
//!
//! A protocol rule never lives here, it lives in exactly one core. The shell does I/O, waits, and hands the cores
//! their inputs. It never knows that a simulated world exists; what oracles need to see of it leaves through
//! [`probe`].

pub mod config;
pub mod controller;
pub mod handlers;
pub mod partitions;
pub mod probe;
pub mod quorum;
pub mod server;
