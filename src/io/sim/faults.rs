//! The control API for trial code, second part: what goes wrong with links, disks, clocks and virtual machines.

use super::disk::{DiskOp, SlowDisk};
use super::net::SlowLink;
use super::world::{HostId, World};
use std::time::Duration;

/// Links.
impl World {
    /// Takes back one [`World::cut`]; the way is open when all are taken back.
    pub fn uncut(&self, from: HostId, to: HostId) {
        self.lock().uncut(from.0, to.0);
    }
    /// Makes the way from one host to another slow, or as it was.
    pub fn slow_link(&self, from: HostId, to: HostId, slow: Option<SlowLink>) {
        self.lock().slow_link(from.0, to.0, slow);
    }
    /// Loses so many of a million segments from one host to another. TCP makes up for each after 200 ms, then after
    /// 400 ms, and so on; everything behind it waits.
    pub fn lossy_link(&self, from: HostId, to: HostId, loss_ppm: u32) {
        self.lock().lossy_link(from.0, to.0, loss_ppm);
    }
    /// Damages so many of a million chunks from one host to another on their way: see `net::damage` for where.
    pub fn corrupt_frames(&self, from: HostId, to: HostId, ppm: u32) {
        self.lock().corrupt_frames(from.0, to.0, ppm);
    }
    /// Holds everything back that goes from one host to another, or lets it through. Nobody notices but by waiting.
    pub fn clog(&self, from: HostId, to: HostId, clogged: bool) {
        self.lock().clog(from.0, to.0, clogged);
    }
    /// Ends what is wrong with the way from one host to another, except for cuts.
    pub fn cure_link(&self, from: HostId, to: HostId) {
        self.lock().cure_link(from.0, to.0);
    }
    /// Holds the next `count` requests of a Kafka API from one host to another back, each `by` so long, and with it
    /// what follows on its connection.
    pub fn delay_requests(&self, from: HostId, to: HostId, api_key: i16, by: Duration, count: u32) {
        self.lock().delay_requests(from.0, to.0, api_key, by, count);
    }
    /// Resets every connection between two hosts; says how many there were.
    pub fn reset_connections(&self, a: HostId, b: HostId) -> u32 {
        self.lock().reset_between(a.0, b.0)
    }
}

/// Processes.
impl World {
    /// The virtual machine stands still: the process, and its kernel too, until it is resumed.
    pub fn freeze(&self, host: HostId) {
        self.pause(host);
        let mut state = self.lock();
        if state.host(host.0).running {
            state.set_frozen(host.0, true);
        }
    }
    /// True while the process has been asked to end and has not yet.
    #[must_use]
    pub fn is_stopping(&self, host: HostId) -> bool {
        let state = self.state().lock();
        state.host(host.0).running && state.host(host.0).shutdown
    }
    /// Empties the directory `dir` of the host's disk, except for the entry `keep`. The process is best dead.
    pub fn wipe(&self, host: HostId, dir: &str, keep: Option<&str>) {
        self.lock().wipe(host.0, dir, keep);
    }
}

/// Disks.
impl World {
    /// Every operation waits, until the stall ends.
    pub fn stall_disk(&self, host: HostId, stalled: bool) {
        self.lock().stall_disk(host.0, stalled);
    }
    /// Lets so many operations of the host's disk begin, and then stalls it until [`World::stall_disk`] ends that. With a
    /// power cut on top, a process dies between any two operations that it asks for.
    pub fn stall_disk_after(&self, host: HostId, operations: u64) {
        self.lock().stall_disk_after(host.0, operations);
    }
    /// Makes a disk slow, or as it was.
    pub fn slow_disk(&self, host: HostId, slow: Option<SlowDisk>) {
        self.lock().slow_disk(host.0, slow);
    }
    /// Lets the next `count` operations of a kind fail with `EIO`; 0 ends it. After a failed sync the cache goes on
    /// to serve what was written, the kernel takes it for clean, and when the cache lets go of it, it is gone.
    pub fn fail_disk(&self, host: HostId, op: DiskOp, count: u32) {
        self.lock().fail_disk(host.0, op, count);
    }
    /// Leaves so many bytes of room on a disk, or gives it back its whole capacity.
    pub fn fill_disk(&self, host: HostId, left: Option<u64>) {
        self.lock().fill_disk(host.0, left);
    }
    /// Flips so many bits of what is durable in the `.log` files below `dir`, and lets the cache go of them. Returns
    /// how many: none if there is nothing.
    pub fn rot(&self, host: HostId, dir: &str, bits: u32) -> u32 {
        self.lock().rot(host.0, dir, bits)
    }
    /// One page of a `.log` file below `dir` that is written next lands in the place of another page of that file.
    pub fn misdirect(&self, host: HostId, dir: &str) {
        self.lock().misdirect(host.0, dir);
    }
    /// Takes back every [`World::misdirect`] that has not come true.
    pub fn cancel_misdirects(&self, host: HostId) {
        self.lock().cancel_misdirects(host.0);
    }
    /// True if the process that runs, or ran last, met an error of its disk. It may end of that any time later.
    #[must_use]
    pub fn disk_has_failed(&self, host: HostId) -> bool {
        self.state().lock().host(host.0).disk.has_failed()
    }
    /// True if the disk has lost or spoiled what programs had reason to rely on, since this was asked last. A power
    /// cut does not count: whoever cuts the power knows.
    #[must_use]
    pub fn take_harm(&self, host: HostId) -> bool {
        self.state().lock().host_mut(host.0).disk.take_harm()
    }
}

/// Clocks.
impl World {
    /// Moves the host's wall clock, forward or backward.
    pub fn step_wall_ms(&self, host: HostId, by_ms: i64) {
        let offset = self.state().lock().host(host.0).clock.offset_ms;
        self.set_wall_offset_ms(host, offset.saturating_add(by_ms));
    }
}
