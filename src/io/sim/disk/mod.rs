//! Disks: a page cache in front of a device, one per host.
//!
//! | file | holds |
//! |---|---|
//! | `handles` | the facade: disks and files |
//! | `blob` | the bytes of a file |
//! | `inode` | the contents of a file: cached, durable, and what a power cut leaves |
//! | `tree` | directories, their journal, and what a power cut leaves |
//!
//! What is written is visible at once. Contents become durable by a sync of the file or by write-back, directory
//! entries by a sync of the directory or by the journal's commit; both background ways happen at seeded times.
//! A process that dies loses nothing.

mod blob;
mod handles;
mod inode;
mod tree;

use super::heap::{Entry, Event};
use super::record::EventKind;
use super::state::{Draws, State};
pub use handles::{Disk, File};
use inode::{Inode, SyncTarget};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
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
}

impl Default for DiskConfig {
    fn default() -> Self {
        Self {
            capacity_bytes: 1 << 40,
            sync_us: (500, 3_000),
            write_back_ms: (5_000, 35_000),
            journal_ms: (100, 5_000),
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
}

/// What is left of a disk's capacity.
#[derive(Debug)]
struct Space {
    capacity: u64,
    used: AtomicU64,
}

impl Device {
    pub fn new(config: &DiskConfig) -> Self {
        let space = Arc::new(Space { capacity: config.capacity_bytes, used: AtomicU64::new(0) });
        Self { tree: Tree::new(), boot: 0, space, journal_due: false }
    }
}

/// What the device does until an event of the heap says that it is done.
enum Work {
    SyncFile(Arc<Inode>, SyncTarget),
    SyncDir { dir: u64, up_to: u64 },
    WriteBack(Arc<Inode>),
    Commit,
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
    last: u32,
    random: Draws,
}

impl DiskOps {
    pub fn new(seed: u64) -> Self {
        Self { ops: BTreeMap::new(), last: 0, random: Draws::new(seed, "disk") }
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
        let wait_ns = match work {
            Work::SyncFile(..) | Work::SyncDir { .. } => random.between(config.sync_us.0, config.sync_us.1) * 1_000,
            Work::WriteBack(_) => random.between(config.write_back_ms.0, config.write_back_ms.1) * 1_000_000,
            Work::Commit => random.between(config.journal_ms.0, config.journal_ms.1) * 1_000_000,
        };
        self.disk_ops.last += 1;
        let (id, boot) = (self.disk_ops.last, self.host(host).disk.boot);
        self.disk_ops.ops.insert(id, Op { host, boot, work, waiter: None });
        let time = self.now + wait_ns;
        self.push(time, Event::Disk(id));
        id
    }
    fn poll_op(&mut self, id: u32, cx: &Context<'_>) -> Poll<()> {
        match self.disk_ops.ops.get_mut(&id) {
            None => Poll::Ready(()),
            Some(op) => {
                op.waiter = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
    /// The device is done with an operation.
    pub fn disk_done(&mut self, entry: Entry, id: u32) {
        let Some(op) = self.disk_ops.ops.remove(&id) else { return };
        let device = &mut self.host_mut(op.host).disk;
        if device.boot != op.boot {
            return;
        }
        let hash = match op.work {
            Work::SyncFile(inode, target) => inode.content().synced(&target),
            Work::WriteBack(inode) => inode.content().written_back(),
            Work::SyncDir { dir, up_to } => device.tree.commit(Some(dir), up_to),
            Work::Commit => {
                device.journal_due = false;
                device.tree.commit(None, u64::MAX)
            }
        };
        self.happened(entry.time, entry.seq, EventKind::Durable, op.host, hash);
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
        device.tree.lose_unsynced(random);
        for inode in device.tree.files() {
            inode.content().lose_unsynced(random);
        }
    }
}
