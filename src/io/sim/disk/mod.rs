//! Disks: a page cache in front of a device, one per host.
//!
//! | file | holds |
//! |---|---|
//! | `handles` | the facade: disks and files |
//! | `blob` | the bytes of a file |
//! | `inode` | the contents of a file: cached, durable, and what a power cut leaves |
//! | `tree` | directories, their journal, and what a power cut leaves |
//! | `faults` | stalls, slowness, errors, full disks, by order of the trial |
//! | `decay` | pages that only look clean: failed syncs, misdirected writes, rot |
//!
//! What is written is visible at once. Contents become durable by a sync of the file or by write-back, directory
//! entries by a sync of the directory or by the journal's commit; both background ways happen at seeded times.
//! A process that dies loses nothing.

mod blob;
mod decay;
mod faults;
mod handles;
mod inode;
mod tree;

use super::heap::{Entry, Event};
use super::record::EventKind;
use super::state::{Draws, State};
use faults::{DiskFaults, device_error};
pub use faults::{DiskOp, SlowDisk};
pub use handles::{Disk, File};
use inode::{Inode, SyncTarget};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};
use tree::Tree;

/// The knobs of a disk.
#[derive(Clone, Debug)]
pub struct DiskConfig {
    /// How much it holds, in bytes.
    pub capacity_bytes: u64,
    /// Least and greatest time that a sync takes, in microseconds.
    pub sync_us: (u64, u64),
    /// Least and greatest time after which a file that was written is written back, in milliseconds (Linux:
    /// `vm.dirty_writeback_centisecs`, `vm.dirty_expire_centisecs`).
    pub write_back_ms: (u64, u64),
    /// Least and greatest time after which changes of directories are committed, in milliseconds (ext4: every 5 s).
    pub journal_ms: (u64, u64),
    /// How many bytes per second a sync writes: what a SATA flash disk does.
    pub bytes_per_s: u64,
    /// Least and greatest time after which the cache lets go of a page that only looks clean, in milliseconds.
    pub eviction_ms: (u64, u64),
}

impl Default for DiskConfig {
    fn default() -> Self {
        Self {
            capacity_bytes: 1 << 40,
            sync_us: (500, 3_000),
            write_back_ms: (5_000, 35_000),
            journal_ms: (100, 5_000),
            bytes_per_s: 500_000_000,
            eviction_ms: (1_000, 60_000),
        }
    }
}

/// The disk of one host.
pub(super) struct Device {
    tree: Tree,
    /// Raised by a power cut: operations that were under way are void.
    boot: u32,
    space: Arc<Space>,
    journal_due: bool,
    faults: DiskFaults,
}

/// What is left of a disk's capacity.
#[derive(Debug)]
struct Space {
    capacity: AtomicU64,
    used: AtomicU64,
    /// Something was refused for lack of space since the process began.
    refused: AtomicBool,
}

impl Device {
    pub fn new(config: &DiskConfig) -> Self {
        let space = Arc::new(Space {
            capacity: AtomicU64::new(config.capacity_bytes),
            used: AtomicU64::new(0),
            refused: AtomicBool::new(false),
        });
        Self { tree: Tree::new(), boot: 0, space, journal_due: false, faults: DiskFaults::default() }
    }
    /// True while operations on this disk must be looked at.
    pub fn is_troubled(&self) -> bool {
        self.faults.any()
    }
    /// True if the process that runs, or ran last, met an error of this disk.
    pub fn has_failed(&self) -> bool {
        self.faults.failed || self.space.refused.load(Ordering::Relaxed)
    }
    /// A process begins: it has met no error yet.
    pub fn begin(&mut self) {
        self.faults.failed = false;
        self.space.refused.store(false, Ordering::Relaxed);
    }
    /// True if data that programs had reason to rely on is gone or wrong, since this was asked last.
    pub fn take_harm(&mut self) -> bool {
        std::mem::take(&mut self.faults.harmed)
    }
}

/// What the device does until an event of the heap says that it is done.
enum Work {
    SyncFile(Arc<Inode>, SyncTarget),
    SyncDir {
        dir: u64,
        up_to: u64,
    },
    /// A file that is gone by then, its name and its handles, is never written back, and takes no memory and no space.
    WriteBack(Weak<Inode>),
    Commit,
    /// The cache lets go of what only looks clean.
    Evict(Arc<Inode>),
    /// An operation's turn on a slow disk.
    Pass,
}

struct Op {
    host: u32,
    boot: u32,
    work: Work,
    waiter: Option<Waker>,
}

/// Everything that devices are doing.
pub(super) struct DiskOps {
    ops: BTreeMap<u32, Op>,
    /// Operations that failed and whose error nobody has fetched yet.
    failed: BTreeSet<u32>,
    last: u32,
    random: Draws,
}

impl DiskOps {
    pub fn new(seed: u64) -> Self {
        Self { ops: BTreeMap::new(), failed: BTreeSet::new(), last: 0, random: Draws::new(seed, "disk") }
    }
    pub fn draws(&self) -> u64 {
        self.random.count
    }
    pub fn clear(&mut self) {
        self.ops.clear();
    }
}

impl State {
    fn start_op(&mut self, host: u32, work: Work) -> u32 {
        let config = &self.config.disk;
        let random = &mut self.disk_ops.random;
        let faults = &self.hosts[host as usize].disk.faults;
        let wait_ns = match &work {
            Work::SyncFile(inode, _) => {
                let (latency, bytes) =
                    (random.between(config.sync_us.0, config.sync_us.1), inode.content().dirty_bytes());
                latency * 1_000 + bytes.saturating_mul(1_000_000_000) / config.bytes_per_s + faults.slowness(bytes)
            }
            Work::SyncDir { .. } => random.between(config.sync_us.0, config.sync_us.1) * 1_000 + faults.slowness(0),
            Work::Evict(_) => random.between(config.eviction_ms.0, config.eviction_ms.1) * 1_000_000,
            Work::Pass => 0,
            Work::WriteBack(_) => random.between(config.write_back_ms.0, config.write_back_ms.1) * 1_000_000,
            Work::Commit => random.between(config.journal_ms.0, config.journal_ms.1) * 1_000_000,
        };
        let time = self.now + wait_ns;
        self.start_op_until(host, work, time)
    }
    fn start_op_until(&mut self, host: u32, work: Work, time: u64) -> u32 {
        self.disk_ops.last += 1;
        let (id, boot) = (self.disk_ops.last, self.host(host).disk.boot);
        self.disk_ops.ops.insert(id, Op { host, boot, work, waiter: None });
        self.push(time, Event::Disk(id));
        id
    }
    fn poll_op(&mut self, id: u32, cx: &Context<'_>) -> Poll<io::Result<()>> {
        match self.disk_ops.ops.get_mut(&id) {
            None if self.disk_ops.failed.remove(&id) => Poll::Ready(Err(device_error())),
            None => Poll::Ready(Ok(())),
            Some(op) => {
                op.waiter = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
    /// The device is done with an operation.
    pub fn disk_done(&mut self, entry: Entry, id: u32) {
        let Some(mut op) = self.disk_ops.ops.remove(&id) else { return };
        if self.host(op.host).disk.boot != op.boot {
            return;
        }
        let mut wrong = None;
        if self.host(op.host).disk.is_troubled() {
            let Some(goes_on) = self.done_in_trouble(&entry, id, op) else { return };
            op = goes_on;
            let written = match &op.work {
                Work::SyncFile(inode, _) => Some(inode.clone()),
                Work::WriteBack(inode) => inode.upgrade(),
                _ => None,
            };
            wrong = written.and_then(|inode| Some((inode.clone(), self.plan_misdirection(op.host, &inode)?)));
        }
        let device = &mut self.host_mut(op.host).disk;
        let hash = match op.work {
            Work::SyncFile(inode, target) => inode.content().synced(&target),
            Work::WriteBack(inode) => {
                let Some(inode) = inode.upgrade() else { return };
                inode.content().written_back()
            }
            Work::Pass => 0,
            Work::Evict(inode) => {
                let evicted = inode.content().evict();
                device.faults.harmed |= evicted;
                u64::from(evicted)
            }
            Work::SyncDir { dir, up_to } => device.tree.commit(Some(dir), up_to),
            Work::Commit => {
                device.journal_due = false;
                device.tree.commit(None, u64::MAX)
            }
        };
        self.happened(entry.time, entry.seq, EventKind::Durable, op.host, hash);
        if let Some((inode, wrong)) = wrong {
            self.carry_out_misdirection(op.host, &inode, wrong);
        }
        if let Some(waiter) = op.waiter {
            waiter.wake();
        }
    }
    /// Has the journal committed some time after the first change of a directory.
    fn directories_changed(&mut self, host: u32) {
        let device = &mut self.host_mut(host).disk;
        if device.tree.is_changed() && !std::mem::replace(&mut device.journal_due, true) {
            self.start_op(host, Work::Commit);
        }
    }
    /// The power is cut: of everything that was not durable, the seed decides what is found again.
    pub fn lose_unsynced(&mut self, host: u32) {
        self.disk_ops.ops.retain(|_, op| op.host != host);
        let random = &mut self.disk_ops.random;
        let device = &mut self.hosts[host as usize].disk;
        device.boot += 1;
        device.journal_due = false;
        device.faults.forget_waiters();
        device.tree.lose_unsynced(random);
        for inode in device.tree.files() {
            inode.content().lose_unsynced(random);
        }
    }
}
