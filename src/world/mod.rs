//! One simulated cluster: build, crash, restart; faults, probes, history.
pub mod history;
