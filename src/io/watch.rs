//! A value that one side changes and others follow.
//!
//! tokio's own `watch` spreads its waiters by a random draw that no seed decides, so the order in which they wake would
//! differ from run to run. Here they wake in the order in which they began to wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{RwLock, RwLockReadGuard};
use tokio::sync::Notify;

#[derive(Debug)]
struct Shared<T> {
    value: RwLock<T>,
    version: AtomicU64,
    changed: Notify,
}

/// The side that changes the value.
#[derive(Debug)]
pub struct Sender<T>(Arc<Shared<T>>);

/// A side that follows the value; clones follow on their own.
#[derive(Debug)]
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    seen: u64,
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone(), seen: self.seen }
    }
}

impl<T> Sender<T> {
    /// A value that nobody follows yet.
    #[must_use]
    pub fn new(value: T) -> Self {
        Self(Arc::new(Shared { value: RwLock::new(value), version: AtomicU64::new(0), changed: Notify::new() }))
    }
    /// Follows the value from now on.
    #[must_use]
    pub fn subscribe(&self) -> Receiver<T> {
        Receiver { shared: self.0.clone(), seen: self.0.version.load(Ordering::Acquire) }
    }
    /// The value as it is now; the lock is held as long as the guard lives.
    pub fn borrow(&self) -> RwLockReadGuard<'_, T> {
        self.0.value.read()
    }
    /// Changes the value in place; followers are told if `modify` says that it changed.
    pub fn send_if_modified(&self, modify: impl FnOnce(&mut T) -> bool) -> bool {
        let modified = modify(&mut self.0.value.write());
        if modified {
            self.0.version.fetch_add(1, Ordering::AcqRel);
            self.0.changed.notify_waiters();
        }
        modified
    }
    /// Changes the value in place and tells the followers.
    pub fn send_modify(&self, modify: impl FnOnce(&mut T)) {
        self.send_if_modified(|value| {
            modify(value);
            true
        });
    }
}

impl<T> Receiver<T> {
    /// The value as it is now; the lock is held as long as the guard lives.
    pub fn borrow(&self) -> RwLockReadGuard<'_, T> {
        self.shared.value.read()
    }
    /// Counts everything up to now as seen.
    pub fn mark_unchanged(&mut self) {
        self.seen = self.shared.version.load(Ordering::Acquire);
    }
    /// Waits until the value was changed since it was last seen, and counts it as seen. Dropping the future loses nothing.
    pub async fn changed(&mut self) {
        loop {
            let notified = self.shared.changed.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            let version = self.shared.version.load(Ordering::Acquire);
            if version != self.seen {
                self.seen = version;
                return;
            }
            notified.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Sender;

    #[test]
    fn a_follower_sees_only_what_changed_since_it_looked() {
        let sender = Sender::new(1);
        let mut receiver = sender.subscribe();
        assert!(!sender.send_if_modified(|_| false));
        sender.send_modify(|n| *n = 2);
        assert_eq!(*receiver.borrow(), 2);
        let mut changed = Box::pin(receiver.changed());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(changed.as_mut().poll(&mut context).is_ready());
        drop(changed);
        assert!(Box::pin(receiver.changed()).as_mut().poll(&mut context).is_pending());
    }
}
