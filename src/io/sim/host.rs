//! What the world knows of one host: its power, its process and its clocks.

use super::clock::LocalClock;
use super::disk::Device;
use madsim::task::NodeId;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Waker;

/// What a host runs each time that it starts.
pub(super) type Program = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// The mark in [`Host::life`] of a disk whose operations must be looked at.
pub(super) const TROUBLED: u32 = 1 << 31;

pub(super) struct Host {
    pub name: Arc<str>,
    pub address: Arc<str>,
    pub region: u32,
    pub id: NodeId,
    /// Raised when a process starts and when it ends: a handle of another incarnation is stale.
    pub incarnation: u32,
    /// The kernel runs: it refuses, resets and acknowledges.
    pub powered: bool,
    /// The process runs (or stands still, if `paused`).
    pub running: bool,
    pub paused: bool,
    pub program: Option<Program>,
    pub clock: LocalClock,
    pub shutdown: bool,
    /// Tasks of the process that wait for `shutdown`.
    pub shutdown_waiters: Vec<Waker>,
    /// Tasks of the trial that wait for the process to end.
    pub exit_waiters: Vec<Waker>,
    pub last_port: u16,
    pub disk: Device,
    /// The kernel is silent too, as on a virtual machine that stands still.
    pub frozen: bool,
    /// `incarnation` while the process runs, else 0, and [`TROUBLED`]: what files check without the world's lock.
    pub life: Arc<AtomicU32>,
}

impl Host {
    /// A new host: without power, with an empty disk.
    pub fn new(id: NodeId, name: &str, address: &str, region: u32, disk: Device) -> Self {
        Self {
            name: name.into(),
            address: address.into(),
            region,
            id,
            incarnation: 0,
            powered: false,
            running: false,
            paused: false,
            frozen: false,
            program: None,
            clock: LocalClock::default(),
            shutdown: false,
            shutdown_waiters: Vec::new(),
            exit_waiters: Vec::new(),
            last_port: 40_000,
            disk,
            life: Arc::default(),
        }
    }
    /// True for a handle of the process that runs now.
    pub fn is_current(&self, incarnation: u32) -> bool {
        self.running && self.incarnation == incarnation
    }
    /// A process begins.
    pub fn begin(&mut self) {
        self.incarnation += 1;
        self.powered = true;
        self.running = true;
        self.shutdown = false;
        self.disk.begin();
        self.show_life();
    }
    /// Shows files whether their process lives and whether their disk is well.
    pub fn show_life(&self) {
        let life = if self.running { self.incarnation } else { 0 };
        let mark = if self.disk.is_troubled() { TROUBLED } else { 0 };
        self.life.store(life | mark, Ordering::Relaxed);
    }
    /// The process is gone; whatever its tasks still do is stale from here on.
    pub fn end(&mut self) {
        self.incarnation += 1;
        self.running = false;
        self.paused = false;
        self.show_life();
        self.shutdown_waiters.clear();
        self.exit_waiters.drain(..).for_each(Waker::wake);
    }
}
