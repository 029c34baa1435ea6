//! The simulated world: hosts with clocks, disks and processes, and the network between them.
//!
//! Everything that happens later is an event in one heap ordered by (time, sequence); the digest of a run is
//! chained where events leave it. State is plain data behind one lock; madsim contributes the executor, the
//! true time and the order in which ready tasks run, and nothing else of it is used.
//!
//! | file | holds |
//! |---|---|
//! | `world` | the control API for trial code: hosts, lives and deaths, cuts, clocks |
//! | `faults` | the same for what goes wrong with links, disks and virtual machines |
//! | `run` | one run from seed to digest, on a fresh thread, cleaned up after |
//! | `state` | all state behind the lock; dispatch of events |
//! | `heap`, `alarm` | events to come, and the madsim timers that wake the world for them |
//! | `digest`, `record` | what a run is compared by |
//! | `time`, `clock`, `task` | the facade's sleeps, local clocks and tasks |
//! | `net`, `disk` | TCP as programs meet it; a page cache before a device |
//!
//! Two rules keep the dead from acting. Every handle carries the incarnation of its process, and a stale one
//! is ignored. Destructors only touch what they own by unique id and never arm a madsim timer.

mod alarm;
pub mod clock;
mod digest;
pub mod disk;
mod faults;
mod heap;
mod host;
pub mod net;
mod record;
mod run;
mod state;
pub mod task;
#[cfg(test)]
mod tests;
pub mod time;
mod world;

pub use digest::Digest;
pub use record::{EventKind, EventRecord, Recording};
pub use run::{Panic, Run, RunStats, run};
pub use state::{WATCHDOG, WorldConfig};
pub use task::rng;
pub use world::{HostId, World};
