//! The outside world: network, disk, clocks, tasks and randomness, as a node meets them.
//!
//! This is the only room where the simulated build (`sim`, madsim) and the real one (`real`, tokio) differ:
//! both offer the same concrete types under the same names, and this file picks one. Nothing here knows a
//! protocol, and nothing outside uses tokio's or std's own time, net, fs or spawn.
//!
//! Absent on purpose: traits over backings, and anything a log cluster does not need (UDP, mmap, permissions).

#[cfg(not(madsim))]
mod real;
#[cfg(madsim)]
pub mod sim;

#[cfg(not(madsim))]
use real as backing;
#[cfg(madsim)]
use sim as backing;

mod timing;
mod volume;
pub mod watch;

/// Opens the random stream called `name` of this node's present life.
///
/// Simulated: derived from the run's seed, the node's name and its incarnation, so asking twice for one name
/// gives the same numbers twice. Real: seeded by the operating system.
pub use backing::rng;

/// The clocks of the node that asks.
pub mod clock {
    pub use super::backing::clock::now;
}

/// Waiting for time to pass, by the node's own monotonic clock.
pub mod time {
    pub use super::backing::time::{Sleep, sleep, sleep_until};
    pub use super::timing::{Elapsed, Interval, interval, timeout};
}

/// Tasks of this node's process.
pub mod task {
    pub use super::backing::task::{Aborted, TaskHandle, TaskSet, shutdown_requested, spawn};
}

/// Ordered byte streams between nodes.
pub mod net {
    pub use super::backing::net::{Connection, Listener, Reader, Writer, connect};
}

/// Files and directories of this node.
pub mod disk {
    pub use super::backing::disk::{Disk, File};
    pub use super::volume::Volume;
}
