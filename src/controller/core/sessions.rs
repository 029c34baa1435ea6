//! When each broker was last heard: the controller's soft state (Kafka's `BrokerHeartbeatManager`).
//!
//! None of it is in the metadata log, so a new controller starts every session afresh.

use std::collections::BTreeMap;

use crate::base::time::NANOS_PER_MS;
use crate::base::{BrokerId, Now, Offset};
use crate::controller::image::Image;

/// What is known of one broker.
#[derive(Clone, Debug)]
pub(super) struct Session {
    /// When it last spoke, in monotonic nanoseconds.
    contact_ns: u64,
    /// The last metadata offset that it said to have applied.
    metadata_offset: Offset,
    /// What the active brokers must have applied before this one may go: set by its controlled shutdown.
    pub shutdown_offset: Option<Offset>,
}

/// The sessions of all registered brokers.
#[derive(Clone, Debug)]
pub(super) struct Sessions {
    timeout_ns: u64,
    brokers: BTreeMap<BrokerId, Session>,
}

impl Sessions {
    /// Fresh sessions for all who are registered in `image`.
    pub fn new(timeout_ms: u64, image: &Image, now: Now) -> Self {
        let mut sessions = Self { timeout_ns: timeout_ms.saturating_mul(NANOS_PER_MS), brokers: BTreeMap::new() };
        for broker in image.brokers() {
            sessions.start(broker.id, now);
        }
        sessions
    }
    /// A broker registered.
    pub fn start(&mut self, id: BrokerId, now: Now) {
        let session = Session { contact_ns: now.mono_ns, metadata_offset: Offset::NONE, shutdown_offset: None };
        self.brokers.insert(id, session);
    }
    /// A broker is no longer registered.
    pub fn end(&mut self, id: BrokerId) {
        self.brokers.remove(&id);
    }
    /// A registered broker spoke.
    pub fn touch(&mut self, id: BrokerId, now: Now, metadata_offset: Offset) -> &mut Session {
        let session = self.brokers.get_mut(&id).expect("every registered broker has a session");
        session.contact_ns = now.mono_ns;
        session.metadata_offset = metadata_offset;
        session
    }
    /// What holds back the shutdown of `id`, if anything was set.
    pub fn shutdown_offset(&self, id: BrokerId) -> Option<Offset> {
        self.brokers.get(&id)?.shutdown_offset
    }
    /// True if `id` is unfenced and was heard within the session timeout.
    pub fn is_live(&self, image: &Image, id: BrokerId, now: Now) -> bool {
        image.broker(id).is_some_and(|b| !b.fenced)
            && self.brokers.get(&id).is_some_and(|s| now.mono_ns <= self.end_of(s))
    }
    /// The unfenced broker that was silent for longest, if its session is over.
    pub fn expired(&self, image: &Image, now: Now) -> Option<BrokerId> {
        self.oldest(image).filter(|(end, _)| *end < now.mono_ns).map(|(_, id)| id)
    }
    /// When [`expired`](Self::expired) may next name a broker, in monotonic nanoseconds.
    pub fn next_deadline(&self, image: &Image) -> Option<u64> {
        self.oldest(image).map(|(end, _)| end.saturating_add(1))
    }
    /// The lowest metadata offset that all active brokers have applied; `None` if no broker is active.
    pub fn lowest_active_offset(&self, image: &Image) -> Option<Offset> {
        let active = self.brokers.iter().filter(|(id, _)| image.is_active(**id));
        active.map(|(_, session)| session.metadata_offset).min()
    }

    fn end_of(&self, session: &Session) -> u64 {
        session.contact_ns.saturating_add(self.timeout_ns)
    }
    fn oldest(&self, image: &Image) -> Option<(u64, BrokerId)> {
        let unfenced = image.brokers().filter(|b| !b.fenced);
        unfenced.filter_map(|b| Some((self.end_of(self.brokers.get(&b.id)?), b.id))).min()
    }
}
