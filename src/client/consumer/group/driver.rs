//! The task behind a member: it carries what the membership asks to the coordinator, also while the application is busy.
//!
//! The coordinator has a connection of its own even to a broker that is asked other things: JoinGroup waits there for a whole
//! rebalance, and a broker answers one request of a connection at a time (`AbstractCoordinator`, `Integer.MAX_VALUE - nodeId`).

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{
    ConsumerGroupHeartbeatRequest, FindCoordinatorRequest, FindCoordinatorResponse, HeartbeatRequest, JoinGroupRequest,
    MetadataRequest, OffsetCommitRequest, OffsetFetchRequest, SyncGroupRequest,
};
use parking_lot::Mutex;

use super::assignor::Topics;
use super::membership::{Ask, Generation, Membership, wire};
use crate::base::{BrokerId, Now};
use crate::client::config::CommonConfig;
use crate::client::metadata::Metadata;
use crate::client::network::{Answer, Event, NetworkClient};
use crate::io::{self, clock, time};

/// What the application and the task have in common.
pub(super) struct Shared {
    pub state: Mutex<Both>,
}

pub(super) struct Both {
    pub membership: Membership,
    /// The application, while it waits.
    pub application: Option<Waker>,
    driver: Option<Waker>,
    /// How many turns the task has taken.
    pub turns: u64,
    /// The application waits for the next one.
    pub awaited: bool,
}

impl Shared {
    pub fn new(membership: Membership) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(Both { membership, application: None, driver: None, turns: 0, awaited: false }),
        })
    }
}

impl Both {
    /// The application wants something: the task is to look.
    pub fn wake_driver(&self) {
        if let Some(waker) = &self.driver {
            waker.wake_by_ref();
        }
    }
}

/// What a request was for, and as whom it was sent.
enum Purpose {
    Metadata,
    Find,
    Join(Generation),
    Sync(Generation),
    Heartbeat(Generation),
    Leave,
    Beat(Generation),
    Commit(u64),
    Offsets(u64),
}

/// Kafka's consumer does not limit its requests per connection.
const MAX_IN_FLIGHT: usize = 100;
/// The kind of key that is a group's id.
const GROUP: i8 = 0;

/// See the module. It ends with the consumer, which aborts it.
pub(super) struct Driver {
    shared: Arc<Shared>,
    network: NetworkClient<Purpose>,
    metadata: Metadata,
    /// The topics that the metadata is asked for.
    wanted: BTreeSet<Arc<str>>,
    request_timeout_ms: u64,
    /// How many metadata answers had come when the leader's topics were first asked for.
    asked_at: Option<u64>,
    timer: time::Sleep,
    events: Vec<Event<Purpose>>,
}

impl Driver {
    pub fn new(shared: Arc<Shared>, cfg: &CommonConfig) -> Self {
        let rng = io::rng(&format!("group member {}", cfg.client_id));
        Self {
            shared,
            network: NetworkClient::new(cfg.clone(), MAX_IN_FLIGHT, rng),
            metadata: Metadata::new(cfg),
            wanted: BTreeSet::new(),
            request_timeout_ms: cfg.request_timeout_ms,
            asked_at: None,
            timer: time::sleep_until(u64::MAX),
            events: Vec::new(),
        }
    }

    /// Takes in what arrived and sends what is due; returns when to turn again if nothing else happens before.
    fn turn(&mut self, cx: &mut Context<'_>, now: Now) -> u64 {
        let shared = self.shared.clone();
        let mut both = shared.state.lock();
        if both.driver.as_ref().is_none_or(|known| !known.will_wake(cx.waker())) {
            both.driver = Some(cx.waker().clone());
        }
        let membership = &mut both.membership;
        let next_ns = loop {
            self.network.poll(cx, now, &mut self.events);
            for event in std::mem::take(&mut self.events) {
                self.take(membership, event, now);
            }
            if membership.coordinator().is_some_and(|id| self.network.unavailable(connection(id), now)) {
                membership.coordinator_unavailable(now);
            }
            membership.tick(now);
            if let Some(id) = membership.take_disconnect() {
                self.network.disconnect(connection(id), now, &mut self.events);
                for event in std::mem::take(&mut self.events) {
                    self.take(membership, event, now);
                }
                // All that was lost speaks of the coordinator that is lost already.
                membership.take_disconnect();
            }
            self.assign(membership);
            if membership.take_asks_names() {
                self.metadata.request_update();
            }
            let next_ns = [
                self.find(membership, now),
                self.ask(membership, now),
                self.network.refresh(&mut self.metadata, now, Purpose::Metadata),
                self.network.next_deadline_ns().unwrap_or(u64::MAX),
            ];
            if !self.network.take_dirty() && self.events.is_empty() {
                break next_ns.into_iter().min().unwrap_or(u64::MAX).min(membership.deadline_ns(now));
            }
        };
        both.turns += 1;
        if (both.membership.take_changed() || std::mem::take(&mut both.awaited))
            && let Some(waker) = both.application.take()
        {
            waker.wake();
        }
        next_ns
    }

    /// Looks for the coordinator if that is due; returns when to try again.
    fn find(&mut self, membership: &mut Membership, now: Now) -> u64 {
        match membership.find_ns() {
            None => return u64::MAX,
            Some(at) if at > now.mono_ns => return at,
            Some(_) => {}
        }
        match self.network.ready_least_loaded(self.metadata.brokers(), now) {
            Err(retry_ns) => retry_ns,
            Ok(node) => {
                let key = wire(&membership.cfg.group);
                let request = FindCoordinatorRequest::default().with_key_type(GROUP).with_coordinator_keys(vec![key]);
                membership.finding(now);
                if self.network.send(node, now, &request, Purpose::Find).is_err() {
                    membership.found(now, Err(ResponseError::UnsupportedVersion));
                }
                u64::MAX
            }
        }
    }
    /// Asks the coordinator what there is to be asked; returns when to try to connect again.
    fn ask(&mut self, membership: &mut Membership, now: Now) -> u64 {
        while let Some(id) = membership.coordinator() {
            let node = connection(id);
            if !self.network.ready(node, now) {
                return self.network.not_before_ns(node).unwrap_or(u64::MAX);
            }
            let Some(ask) = membership.next(now) else { break };
            let as_whom = membership.generation.clone();
            let (network, timeout_ms) = (&mut self.network, self.request_timeout_ms);
            let unsent = match ask {
                Ask::Join(r) => {
                    let timeout_ms = membership.join_timeout_ms(timeout_ms);
                    network.send_within(node, now, &r, Purpose::Join(as_whom), timeout_ms)
                }
                Ask::Sync(r) => network.send(node, now, &r, Purpose::Sync(as_whom)),
                Ask::Heartbeat(r) => network.send(node, now, &r, Purpose::Heartbeat(as_whom)),
                Ask::Leave(r) => network.send(node, now, &r, Purpose::Leave),
                Ask::Beat(r) => network.send(node, now, &r, Purpose::Beat(as_whom)),
                Ask::LastBeat(r) => network.send(node, now, &r, Purpose::Leave),
                Ask::Commit(id, r) => network.send(node, now, &r, Purpose::Commit(id)),
                Ask::Offsets(id, r) => network.send(node, now, &r, Purpose::Offsets(id)),
            };
            if let Err(purpose) = unsent {
                self.lost(membership, purpose, now);
            }
        }
        u64::MAX
    }
    /// Has the leader share out what it must, once the topics of all members have been asked for.
    fn assign(&mut self, membership: &mut Membership) {
        let led = membership.assigning.as_ref().map(|task| &task.topics);
        let snapshot = membership.assigned_topics.iter().flat_map(|topics| topics.keys());
        let wanted: BTreeSet<_> = membership.topics.iter().chain(led.into_iter().flatten()).chain(snapshot).collect();
        if !wanted.iter().copied().eq(&self.wanted) {
            self.wanted = wanted.into_iter().cloned().collect();
            self.metadata.want_only(self.wanted.iter().cloned());
        }
        let Some(task) = &membership.assigning else {
            self.asked_at = None;
            return;
        };
        let asked_at = *self.asked_at.get_or_insert(self.metadata.updates());
        // What is still unknown after an answer does not exist, and is passed over.
        let all_known = task.topics.iter().all(|topic| self.metadata.topic(topic).is_some());
        if all_known || self.metadata.updates() > asked_at {
            membership.assign(&topics(&self.metadata));
            self.asked_at = None;
        }
    }

    fn take(&mut self, membership: &mut Membership, event: Event<Purpose>, now: Now) {
        match event {
            Event::Answer(answer) => self.answered(membership, answer, now),
            Event::Disconnected => self.metadata.request_update(),
            Event::Lost(lost) => self.lost(membership, lost.context, now),
        }
    }
    fn answered(&mut self, membership: &mut Membership, answer: Answer<Purpose>, now: Now) {
        match &answer.context {
            Purpose::Metadata => {
                let response = answer.decode::<MetadataRequest>().1;
                self.network.refreshed(&mut self.metadata, now, response.as_ref(), &mut self.events);
                membership.saw_topics(&topics(&self.metadata));
                membership.saw_names(self.metadata.topics().iter().map(|(name, topic)| (topic.id, name.clone())));
            }
            Purpose::Find => {
                let found = answer.decode::<FindCoordinatorRequest>().1;
                let found = self.found(found.as_ref());
                membership.found(now, found);
            }
            Purpose::Leave => membership.left(),
            Purpose::Join(_) => {
                if let (Purpose::Join(sent), response) = answer.decode::<JoinGroupRequest>() {
                    membership.join_answered(sent, response);
                }
            }
            Purpose::Sync(_) => {
                if let (Purpose::Sync(sent), response) = answer.decode::<SyncGroupRequest>() {
                    membership.synced(now, &sent, response);
                }
            }
            Purpose::Heartbeat(_) => {
                if let (Purpose::Heartbeat(sent), response) = answer.decode::<HeartbeatRequest>() {
                    membership.heard(now, &sent, response.map(|r| r.error_code));
                }
            }
            Purpose::Beat(_) => {
                if let (Purpose::Beat(sent), response) = answer.decode::<ConsumerGroupHeartbeatRequest>() {
                    membership.beat_answered(now, &sent, response.as_ref());
                }
            }
            Purpose::Commit(id) => {
                let id = *id;
                membership.commit_answered(now, id, answer.decode::<OffsetCommitRequest>().1.as_ref());
            }
            Purpose::Offsets(id) => {
                let id = *id;
                membership.query_answered(now, id, answer.decode::<OffsetFetchRequest>().1.as_ref());
            }
        }
    }
    fn found(&mut self, response: Option<&FindCoordinatorResponse>) -> Result<BrokerId, ResponseError> {
        let Some(found) = response.and_then(|r| r.coordinators.first()) else {
            return Err(ResponseError::NetworkException);
        };
        if let Some(error) = ResponseError::try_from_code(found.error_code) {
            return Err(error);
        }
        let port = u16::try_from(found.port).map_err(|_| ResponseError::CoordinatorNotAvailable)?;
        let id = BrokerId(found.node_id.0);
        let address = BTreeMap::from([(connection(id), (found.host.to_string(), port))]);
        self.network.set_brokers(&address, &mut self.events);
        Ok(id)
    }
    /// No answer came, and none will.
    fn lost(&mut self, membership: &mut Membership, purpose: Purpose, now: Now) {
        match purpose {
            Purpose::Metadata => self.network.refreshed(&mut self.metadata, now, None, &mut self.events),
            Purpose::Find => membership.found(now, Err(ResponseError::NetworkException)),
            Purpose::Join(sent) => membership.join_answered(sent, None),
            Purpose::Sync(sent) => membership.synced(now, &sent, None),
            Purpose::Heartbeat(sent) => membership.heard(now, &sent, None),
            Purpose::Leave => membership.left(),
            Purpose::Beat(sent) => membership.beat_answered(now, &sent, None),
            Purpose::Commit(id) => membership.commit_answered(now, id, None),
            Purpose::Offsets(id) => membership.query_answered(now, id, None),
        }
    }
}

impl Future for Driver {
    type Output = ();
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        loop {
            let next_ns = this.turn(cx, clock::now());
            this.timer.reset(next_ns);
            if Pin::new(&mut this.timer).poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

/// The connection to a coordinator, apart from that to the same broker as one of many.
fn connection(coordinator: BrokerId) -> BrokerId {
    BrokerId(i32::MAX - coordinator.0)
}

fn topics(metadata: &Metadata) -> Topics {
    metadata.topics().iter().map(|(name, topic)| (name.clone(), topic.partitions.len() as i32)).collect()
}
