//! What goes wrong with a disk by order of the trial: stalls, slowness, errors, a lack of space.
//!
//! A disk that is well costs nothing here: handles see a mark in the same word that tells them whether their process
//! lives. Everything below runs only while that mark is set.

use super::super::heap::{Entry, Event};
use super::super::record::EventKind;
use super::super::state::State;
use super::{Op, Work};
use std::io;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Linux's `EIO`.
const EIO: i32 = 5;

/// The operations of a disk that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskOp {
    /// Reading a file.
    Read,
    /// Changing a file's contents: appending, overwriting, cutting.
    Append,
    /// Making a file or a directory durable.
    Sync,
}

/// What a process is about to do, as far as a troubled disk tells one thing from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Read,
    Append,
    /// The request for a sync; whether it fails is seen when the device has tried.
    Sync,
    /// Names, lengths, directories: they wait, but no error is ordered for them.
    Name,
}

/// A disk that is slower than it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlowDisk {
    /// What every operation takes more.
    pub latency: Duration,
    /// Bytes per second; `None` if only latency suffers.
    pub bytes_per_s: Option<u64>,
}

impl SlowDisk {
    fn service_ns(&self, bytes: u64) -> u64 {
        let transfer = self.bytes_per_s.map_or(0, |rate| bytes.saturating_mul(1_000_000_000) / rate.max(1));
        self.latency.as_nanos() as u64 + transfer
    }
}

/// The faults of one disk.
#[derive(Debug, Default)]
pub(super) struct DiskFaults {
    stalled: bool,
    /// The stall begins when so many more operations have begun.
    stall_after: Option<u64>,
    slow: Option<SlowDisk>,
    /// How many reads, changes and syncs are still to fail.
    failing: [u32; 3],
    /// An operation has failed since the process began.
    pub failed: bool,
    /// Directories below which the next write lands in the wrong place.
    pub misdirects: Vec<String>,
    /// Tasks that wait for the end of a stall.
    waiting: Vec<Waker>,
    /// Operations of the device that would have ended during a stall.
    held: Vec<u32>,
    /// A slow disk does one thing after the other.
    busy_until: u64,
    /// Data that programs had reason to rely on is gone or wrong, since somebody asked last.
    pub harmed: bool,
}

impl DiskFaults {
    /// True while operations must be looked at.
    pub fn any(&self) -> bool {
        self.stalled
            || self.stall_after.is_some()
            || self.slow.is_some()
            || self.failing != [0; 3]
            || !self.misdirects.is_empty()
    }
    /// What a slow disk adds to an operation of the device, in nanoseconds.
    pub fn slowness(&self, bytes: u64) -> u64 {
        self.slow.map_or(0, |slow| slow.service_ns(bytes))
    }
    fn fails(&mut self, op: DiskOp) -> bool {
        let left = &mut self.failing[op as usize];
        let fails = *left > 0;
        *left = left.saturating_sub(1);
        self.failed |= fails;
        fails
    }
    /// The power is cut: whoever waited is dead.
    pub fn forget_waiters(&mut self) {
        self.waiting.clear();
        self.held.clear();
    }
}

/// The error of a device that gives up.
pub(super) fn device_error() -> io::Error {
    io::Error::from_raw_os_error(EIO)
}

/// What processes meet.
impl State {
    /// Lets an operation on a troubled disk begin, later or never. `pass` is its turn on a slow disk.
    pub(super) fn poll_admit(
        &mut self,
        host: u32,
        incarnation: u32,
        (kind, bytes): (Kind, u64),
        pass: &mut Option<u32>,
        cx: &Context<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.host(host).is_current(incarnation) {
            return Poll::Ready(Err(io::Error::other("the process of this handle is dead")));
        }
        let faults = &mut self.host_mut(host).disk.faults;
        match &mut faults.stall_after {
            Some(0) => faults.stalled = true,
            Some(left) => *left -= 1,
            None => {}
        }
        if faults.stalled {
            faults.waiting.push(cx.waker().clone());
            return Poll::Pending;
        }
        if let (Some(slow), None) = (faults.slow, &*pass) {
            *pass = Some(self.queue_at_slow_disk(host, slow.service_ns(bytes)));
        }
        if let Some(op) = *pass
            && self.poll_op(op, cx).is_pending()
        {
            return Poll::Pending;
        }
        let faults = &mut self.host_mut(host).disk.faults;
        let fails = match kind {
            Kind::Read => faults.fails(DiskOp::Read),
            Kind::Append => faults.fails(DiskOp::Append),
            Kind::Sync | Kind::Name => false,
        };
        self.show_trouble(host);
        Poll::Ready(if fails { Err(device_error()) } else { Ok(()) })
    }
    fn queue_at_slow_disk(&mut self, host: u32, service_ns: u64) -> u32 {
        let now = self.now;
        let faults = &mut self.host_mut(host).disk.faults;
        faults.busy_until = faults.busy_until.max(now) + service_ns;
        let time = faults.busy_until;
        self.start_op_until(host, Work::Pass, time)
    }
    /// The device of a troubled disk is done with an operation; `None` if it is not after all.
    #[cold]
    pub(super) fn done_in_trouble(&mut self, entry: &Entry, id: u32, op: Op) -> Option<Op> {
        let faults = &mut self.host_mut(op.host).disk.faults;
        if faults.stalled {
            faults.held.push(id);
            self.disk_ops.ops.insert(id, op);
            return None;
        }
        let syncs = matches!(op.work, Work::SyncFile(..) | Work::SyncDir { .. });
        if !syncs || !faults.fails(DiskOp::Sync) {
            return Some(op);
        }
        if let Work::SyncFile(inode, _) = &op.work {
            // The kernel reports the error once and takes the pages for clean: nobody writes them again.
            faults.harmed = true;
            inode.content().sync_failed();
            self.start_op(op.host, Work::Evict(inode.clone()));
        }
        self.happened(entry.time, entry.seq, EventKind::Trouble, op.host, u64::from(id));
        self.show_trouble(op.host);
        if let Some(waiter) = op.waiter {
            self.disk_ops.failed.insert(id);
            waiter.wake();
        }
        None
    }
    /// Tells the handles of the host's process whether its disk has to be looked at.
    pub(super) fn show_trouble(&mut self, host: u32) {
        self.host_mut(host).show_life();
    }
}

/// What the trial orders.
impl State {
    pub fn stall_disk(&mut self, host: u32, stalled: bool) {
        let faults = &mut self.host_mut(host).disk.faults;
        faults.stall_after = None;
        if std::mem::replace(&mut faults.stalled, stalled) == stalled {
            return self.show_trouble(host);
        }
        if !stalled {
            faults.waiting.drain(..).for_each(Waker::wake);
            for id in std::mem::take(&mut faults.held) {
                let (low, high) = self.config.disk.sync_us;
                let time = self.now + self.disk_ops.random.between(low, high) * 1_000;
                self.push(time, Event::Disk(id));
            }
        }
        self.disk_changed(host, 1 << 8 | u64::from(stalled));
    }
    pub fn stall_disk_after(&mut self, host: u32, operations: u64) {
        self.host_mut(host).disk.faults.stall_after = Some(operations);
        self.disk_changed(host, 5 << 8);
    }
    pub fn slow_disk(&mut self, host: u32, slow: Option<SlowDisk>) {
        self.host_mut(host).disk.faults.slow = slow;
        self.disk_changed(host, 2 << 8 | u64::from(slow.is_some()));
    }
    pub fn fail_disk(&mut self, host: u32, op: DiskOp, count: u32) {
        self.host_mut(host).disk.faults.failing[op as usize] = count;
        self.disk_changed(host, 3 << 8 | op as u64);
    }
    pub fn misdirect(&mut self, host: u32, below: &str) {
        self.host_mut(host).disk.faults.misdirects.push(below.to_owned());
        self.disk_changed(host, 4 << 8);
    }
    pub fn cancel_misdirects(&mut self, host: u32) {
        self.host_mut(host).disk.faults.misdirects.clear();
        self.disk_changed(host, 4 << 8 | 1);
    }
    /// Something about a disk has changed by order.
    pub(super) fn disk_changed(&mut self, host: u32, what: u64) {
        self.show_trouble(host);
        self.happens(EventKind::Trouble, host, what);
    }
}
