//! The two throttles of a broker, and which of its replicas they are for. A partition that nobody throttles costs a look at
//! a flag.

use std::sync::atomic::{AtomicU8, Ordering};

use parking_lot::Mutex;

use super::partition::Partition;
use crate::io::clock;
use crate::replica::{QuotaWindows, ReplicationQuota};

/// Which throttle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// Of what leaders send to followers.
    Leader,
    /// Of what followers take from leaders.
    Follower,
}

impl Side {
    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// The throttles that a replica is under, set by its topic's lists.
#[derive(Debug, Default)]
pub(super) struct Throttled(AtomicU8);

impl Throttled {
    /// What the topic's lists say by now.
    pub fn set(&self, leader: bool, follower: bool) {
        let bit = |on, side: Side| if on { side.bit() } else { 0 };
        self.0.store(bit(leader, Side::Leader) | bit(follower, Side::Follower), Ordering::Relaxed);
    }
    /// True if the replica is under the throttle of that side.
    pub fn on(&self, side: Side) -> bool {
        self.0.load(Ordering::Relaxed) & side.bit() != 0
    }
}

/// A broker's throttles.
#[derive(Debug)]
pub(super) struct Throttles {
    leader: Mutex<ReplicationQuota>,
    follower: Mutex<ReplicationQuota>,
}

impl Throttles {
    pub fn new(windows: QuotaWindows) -> Self {
        let quota = || Mutex::new(ReplicationQuota::new(windows));
        Self { leader: quota(), follower: quota() }
    }
    fn of(&self, side: Side) -> &Mutex<ReplicationQuota> {
        match side {
            Side::Leader => &self.leader,
            Side::Follower => &self.follower,
        }
    }
    /// Bytes a second from now on.
    pub fn set_rate(&self, side: Side, bytes: u64) {
        self.of(side).lock().set_limit(bytes);
    }
    /// True if a replica has to wait; whether it is in sync is only asked of one that is throttled.
    pub fn holds_back(&self, side: Side, partition: &Partition, in_sync: impl FnOnce() -> bool) -> bool {
        if !partition.throttled.on(side) {
            return false;
        }
        let in_sync = in_sync();
        self.of(side).lock().holds_back(clock::now().mono_ns, true, in_sync)
    }
    /// Counts what went to or came from a replica, if it is throttled.
    pub fn record(&self, side: Side, partition: &Partition, bytes: usize) {
        if bytes > 0 && partition.throttled.on(side) {
            self.of(side).lock().record(clock::now().mono_ns, bytes as u64);
        }
    }
}
