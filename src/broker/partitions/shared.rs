//! What all partitions of a broker share: who this broker is, what it knows of the cluster, who waits.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

use super::config::PartitionsConfig;
use super::fetchers::Fetchers;
use super::isr::IsrQueue;
use super::requests::Requests;
use super::throttle::Throttles;
use crate::base::BrokerEpoch;
use crate::broker::probe::Probe;
use crate::controller::image::Image;
use crate::io::clock;
use crate::replica::{BrokerTable, Ctx};

/// See the module. Locks are taken in the order: `brokers`, a partition's own, then any other here.
#[derive(Debug)]
pub(super) struct Shared {
    pub config: PartitionsConfig,
    pub probe: Probe,
    pub image: RwLock<Image>,
    pub brokers: RwLock<BrokerTable>,
    broker_epoch: AtomicI64,
    pub requests: Requests,
    pub isr: IsrQueue,
    pub fetchers: Fetchers,
    pub throttles: Throttles,
    failure: Mutex<Option<Arc<io::Error>>>,
    failed: Notify,
}

impl Shared {
    pub fn new(config: PartitionsConfig, probe: Probe) -> Self {
        let throttles = Throttles::new(config.quota_windows);
        Self {
            config,
            probe,
            image: RwLock::new(Image::default()),
            brokers: RwLock::default(),
            broker_epoch: AtomicI64::new(BrokerEpoch::NONE.0),
            requests: Requests::default(),
            isr: IsrQueue::default(),
            fetchers: Fetchers::default(),
            throttles,
            failure: Mutex::new(None),
            failed: Notify::new(),
        }
    }
    pub fn broker_epoch(&self) -> BrokerEpoch {
        BrokerEpoch(self.broker_epoch.load(Ordering::Relaxed))
    }
    pub fn set_broker_epoch(&self, epoch: BrokerEpoch) {
        self.broker_epoch.store(epoch.0, Ordering::Relaxed);
    }
    pub fn ctx<'a>(&self, brokers: &'a BrokerTable) -> Ctx<'a> {
        Ctx { now: clock::now(), brokers, broker_epoch: self.broker_epoch() }
    }
    /// The log directory is lost; with one directory the broker has to exit (`LogDirFailureChannel`).
    pub fn fail(&self, error: Arc<io::Error>) {
        tracing::error!(%error, "the log directory has failed");
        self.failure.lock().get_or_insert(error);
        self.failed.notify_waiters();
    }
    /// True once the log directory is lost.
    pub fn is_failed(&self) -> bool {
        self.failure.lock().is_some()
    }
    /// Waits until the log directory is lost.
    pub async fn failed(&self) -> Arc<io::Error> {
        loop {
            let told = self.failed.notified();
            if let Some(error) = self.failure.lock().clone() {
                return error;
            }
            told.await;
        }
    }
}
