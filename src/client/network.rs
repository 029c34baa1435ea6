//! Connections to brokers: one per broker, opened when needed, with backoff and pipelined requests (Kafka's `NetworkClient`).
//!
//! There are no tasks here. Each connection is one boxed future that its owner polls through [`NetworkClient::poll`], so that an
//! answer wakes the owner directly. Requests carry a context `T` that comes back with the answer or with the loss.

use super::config::{CommonConfig, exponential_backoff_ms};
use super::link::{Link, Versions};
use super::metadata::Metadata;
use crate::base::random::Stream;
use crate::base::{BrokerId, Now};
use crate::wire::codec::{self, ResponseFrame, Rpc};
use kafka_protocol::messages::MetadataResponse;
use std::collections::{BTreeMap, VecDeque};
use std::task::Context;
use std::time::Duration;

/// What became of a request.
pub(super) enum Event<T> {
    /// The broker answered.
    Answer(Answer<T>),
    /// The connection is gone, and whether the broker saw the request is unknown.
    Lost(Lost<T>),
    /// A connection ended or could not be made: what is known of the cluster may be out of date
    /// (`DefaultMetadataUpdater.handleServerDisconnect`).
    Disconnected,
}

/// An answer that is still encoded.
pub(super) struct Answer<T> {
    /// Who answered.
    pub node: BrokerId,
    /// What the request was for.
    pub context: T,
    version: i16,
    frame: ResponseFrame,
}

/// A request whose connection was lost or, after request.timeout.ms, closed.
pub(super) struct Lost<T> {
    /// Who did not answer.
    pub node: BrokerId,
    /// What the request was for.
    pub context: T,
    /// True if request.timeout.ms ran out.
    pub timed_out: bool,
}

impl<T> Answer<T> {
    /// Decodes the answer to a request of type `R`; [`None`] if it is not one.
    pub fn decode<R: Rpc>(self) -> (T, Option<R::Answer>) {
        (self.context, self.frame.decode::<R>(self.version).ok())
    }
}

struct InFlight<T> {
    correlation: i32,
    version: i16,
    context: T,
    deadline_ns: u64,
}

enum State {
    Idle,
    Connecting(Link),
    Up(Link, Versions),
}

struct Node<T> {
    address: (String, u16),
    state: State,
    /// In the order of sending.
    in_flight: VecDeque<InFlight<T>>,
    /// Connections in a row that failed before they were up.
    failures: u32,
    /// Not to be connected to before this time.
    not_before_ns: u64,
}

/// One client's connections.
pub(super) struct NetworkClient<T> {
    cfg: CommonConfig,
    max_in_flight: usize,
    nodes: BTreeMap<BrokerId, Node<T>>,
    next_correlation: i32,
    rng: Stream,
    /// Something waits for the next poll.
    dirty: bool,
}

impl<T> NetworkClient<T> {
    /// Connects to nobody yet.
    pub fn new(cfg: CommonConfig, max_in_flight: usize, rng: Stream) -> Self {
        let mut client = Self { cfg, max_in_flight, nodes: BTreeMap::new(), next_correlation: 0, rng, dirty: false };
        for (i, address) in client.cfg.bootstrap_servers.clone().into_iter().enumerate() {
            client.nodes.insert(bootstrap_id(i), Node::new(address));
        }
        client
    }

    /// Learns where brokers live. A broker that moved is connected to anew; requests to its old address are lost.
    pub fn set_brokers(&mut self, brokers: &BTreeMap<BrokerId, (String, u16)>, lost: &mut Vec<Event<T>>) {
        for (id, address) in brokers {
            match self.nodes.get_mut(id) {
                Some(node) if node.address == *address => {}
                Some(node) => {
                    node.lose(*id, false, lost);
                    *node = Node::new(address.clone());
                    self.dirty = true;
                }
                None => drop(self.nodes.insert(*id, Node::new(address.clone()))),
            }
        }
    }

    /// True if a request may be sent to `id` now. If not connected, starts connecting as soon as the backoff permits.
    pub fn ready(&mut self, id: BrokerId, now: Now) -> bool {
        let max_in_flight = self.max_in_flight;
        let Some(node) = self.nodes.get_mut(&id) else { return false };
        match node.state {
            State::Up(..) => node.in_flight.len() < max_in_flight,
            State::Connecting(_) => false,
            State::Idle => {
                if now.mono_ns >= node.not_before_ns {
                    let cfg = &self.cfg;
                    let (base, max) =
                        (cfg.socket_connection_setup_timeout_ms, cfg.socket_connection_setup_timeout_max_ms);
                    let setup = exponential_backoff_ms(base, max, node.failures, &mut self.rng);
                    node.state = State::Connecting(Link::open(&node.address, cfg, Duration::from_millis(setup)));
                    self.dirty = true;
                }
                false
            }
        }
    }
    /// Until when [`Self::ready`] cannot start to connect to `id`; [`None`] if time alone will not change its answer.
    pub fn not_before_ns(&self, id: BrokerId) -> Option<u64> {
        self.nodes.get(&id).filter(|n| matches!(n.state, State::Idle)).map(|n| n.not_before_ns)
    }
    /// Closes the connection to `id`, if there is one: what is on its way is lost.
    pub fn disconnect(&mut self, id: BrokerId, now: Now, lost: &mut Vec<Event<T>>) {
        if let Some(node) = self.nodes.get_mut(&id).filter(|n| !matches!(n.state, State::Idle)) {
            let (base, max) = (self.cfg.reconnect_backoff_ms, self.cfg.reconnect_backoff_max_ms);
            node.not_before_ns = now.after_ms(exponential_backoff_ms(base, max, node.failures, &mut self.rng));
            node.lose(id, false, lost);
        }
    }
    /// True after a connection to `id` has ended or failed, until it may be tried again (`ConsumerNetworkClient.isUnavailable`).
    pub fn unavailable(&self, id: BrokerId, now: Now) -> bool {
        self.not_before_ns(id).is_some_and(|at| at > now.mono_ns)
    }
    /// The highest version of `R` that both sides speak; only of a broker that is [`Self::ready`].
    pub fn version<R: Rpc>(&self, id: BrokerId) -> Option<i16> {
        match &self.nodes.get(&id)?.state {
            State::Up(_, versions) => versions.common::<R>(),
            _ => None,
        }
    }

    /// Sends to a broker that is [`Self::ready`], and expects an answer within request.timeout.ms.
    ///
    /// # Errors
    /// Gives `context` back if the broker is not ready or does not speak `R`.
    pub fn send<R: Rpc>(&mut self, id: BrokerId, now: Now, request: &R, context: T) -> Result<(), T> {
        self.send_within(id, now, request, context, self.cfg.request_timeout_ms)
    }
    /// As [`Self::send`], and expects an answer within `timeout_ms`.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub fn send_within<R: Rpc>(
        &mut self,
        id: BrokerId,
        now: Now,
        request: &R,
        context: T,
        timeout_ms: u64,
    ) -> Result<(), T> {
        let Some(version) = self.version::<R>(id) else { return Err(context) };
        let Some(correlation) = self.post(id, version, request) else { return Err(context) };
        let deadline_ns = now.after_ms(timeout_ms);
        let node = self.nodes.get_mut(&id).expect("a broker that was written to is known");
        node.in_flight.push_back(InFlight { correlation, version, context, deadline_ns });
        Ok(())
    }
    /// Sends what the broker will not answer (`acks=0`); false if it could not be sent.
    pub fn send_unanswered<R: Rpc>(&mut self, id: BrokerId, request: &R) -> bool {
        self.version::<R>(id).and_then(|version| self.post(id, version, request)).is_some()
    }
    fn post<R: Rpc>(&mut self, id: BrokerId, version: i16, request: &R) -> Option<i32> {
        let correlation = self.next_correlation;
        let State::Up(link, _) = &mut self.nodes.get_mut(&id)?.state else { return None };
        link.send(codec::encode_request(correlation, &self.cfg.client_id, version, request).ok()?);
        self.next_correlation = correlation.wrapping_add(1) & i32::MAX;
        self.dirty = true;
        Some(correlation)
    }

    /// Drives every connection: writes what waits, takes in what arrived, closes what timed out. The context's waker is told of
    /// answers, but not of deadlines: see [`Self::next_deadline_ns`]. True if there are events or a connection came up: then more
    /// may be sent than before.
    pub fn poll(&mut self, cx: &mut Context<'_>, now: Now, events: &mut Vec<Event<T>>) -> bool {
        let mut came_up = false;
        for (id, node) in &mut self.nodes {
            if matches!(node.state, State::Idle) {
                continue;
            }
            let was_up = matches!(node.state, State::Up(..));
            let alive = node.poll(*id, cx, events);
            came_up |= !was_up && matches!(node.state, State::Up(..));
            let overdue = node.in_flight.iter().any(|r| r.deadline_ns <= now.mono_ns);
            if overdue || !alive {
                let (base, max) = (self.cfg.reconnect_backoff_ms, self.cfg.reconnect_backoff_max_ms);
                let pause = exponential_backoff_ms(base, max, node.failures, &mut self.rng);
                node.not_before_ns = now.after_ms(pause);
                node.lose(*id, overdue, events);
                events.push(Event::Disconnected);
            }
        }
        came_up || !events.is_empty()
    }
    /// The earliest deadline of an unanswered request, in monotonic nanoseconds.
    pub fn next_deadline_ns(&self) -> Option<u64> {
        self.nodes.values().flat_map(|n| &n.in_flight).map(|r| r.deadline_ns).min()
    }

    /// True once after something was sent or a connection begun: then [`Self::poll`] must be called.
    pub fn take_dirty(&mut self) -> bool {
        std::mem::take(&mut self.dirty)
    }

    /// Asks for metadata if that is due; returns when to try again (monotonic nanoseconds) if nothing else happens before.
    pub fn refresh(&mut self, metadata: &mut Metadata, now: Now, context: T) -> u64 {
        let due = metadata.due_ns().unwrap_or(u64::MAX);
        if due > now.mono_ns {
            return due;
        }
        match self.ready_least_loaded(metadata.brokers(), now) {
            Err(retry_ns) => retry_ns,
            Ok(node) => {
                let request = metadata.request();
                if self.send(node, now, &request, context).is_err() {
                    metadata.failed(now, &mut self.rng);
                }
                metadata.due_ns().unwrap_or(u64::MAX)
            }
        }
    }
    /// Takes an answer to [`Self::refresh`] in; [`None`] if it never came.
    pub fn refreshed(
        &mut self,
        metadata: &mut Metadata,
        now: Now,
        answer: Option<&MetadataResponse>,
        lost: &mut Vec<Event<T>>,
    ) {
        match answer {
            Some(answer) => {
                metadata.update(now, answer, &mut self.rng);
                self.set_brokers(metadata.brokers(), lost);
            }
            None => metadata.failed(now, &mut self.rng),
        }
    }
    /// The pause after the `failures`th failure in a row of something else than connecting, in milliseconds.
    pub fn retry_backoff_ms(&mut self, failures: u32) -> u64 {
        exponential_backoff_ms(self.cfg.retry_backoff_ms, self.cfg.retry_backoff_max_ms, failures, &mut self.rng)
    }
    /// A broker that any broker's question may be sent to now; [`Err`] tells when to try again (monotonic nanoseconds) if nothing else
    /// happens before.
    pub fn ready_least_loaded(
        &mut self,
        brokers: &BTreeMap<BrokerId, (String, u16)>,
        now: Now,
    ) -> Result<BrokerId, u64> {
        match self.least_loaded(brokers, now) {
            Some(id) if self.ready(id, now) => Ok(id),
            Some(_) => Err(u64::MAX),
            None => Err(self.next_reconnect_ns(now).unwrap_or(u64::MAX)),
        }
    }
    /// A broker to ask what any broker knows: connected and idle ones first, then the one with the shortest queue, then one that
    /// is being connected to, then one that may be connected to. Bootstrap servers stand in while `brokers` is empty, and when none
    /// of them can be tried now (KIP-899).
    fn least_loaded(&mut self, brokers: &BTreeMap<BrokerId, (String, u16)>, now: Now) -> Option<BrokerId> {
        let known: Vec<BrokerId> = brokers.keys().copied().collect();
        let bootstrap: Vec<BrokerId> = self.nodes.keys().copied().filter(|id| id.0 < BrokerId::NONE.0).collect();
        self.least_loaded_of(&known, now).or_else(|| self.least_loaded_of(&bootstrap, now))
    }
    fn least_loaded_of(&mut self, ids: &[BrokerId], now: Now) -> Option<BrokerId> {
        let mut ids = ids.to_vec();
        self.rng.shuffle(&mut ids);
        let rank = |id: &BrokerId| {
            let node = self.nodes.get(id)?;
            match node.state {
                State::Up(..) if node.in_flight.len() < self.max_in_flight => Some((0, node.in_flight.len())),
                State::Up(..) => None,
                State::Connecting(_) => Some((1, 0)),
                State::Idle => (now.mono_ns >= node.not_before_ns).then_some((2, 0)),
            }
        };
        ids.iter().filter_map(|id| Some((rank(id)?, *id))).min_by_key(|(rank, _)| *rank).map(|(_, id)| id)
    }
    /// The earliest time at which an idle broker that must wait may be connected to again.
    fn next_reconnect_ns(&self, now: Now) -> Option<u64> {
        let idle = self.nodes.values().filter(|n| matches!(n.state, State::Idle));
        idle.map(|n| n.not_before_ns).filter(|at| *at > now.mono_ns).min()
    }
}

impl<T> Node<T> {
    fn new(address: (String, u16)) -> Self {
        Self { address, state: State::Idle, in_flight: VecDeque::new(), failures: 0, not_before_ns: 0 }
    }

    /// Returns false if the connection is dead.
    fn poll(&mut self, id: BrokerId, cx: &mut Context<'_>, events: &mut Vec<Event<T>>) -> bool {
        let (link, up) = match &mut self.state {
            State::Idle => return false,
            State::Connecting(link) => (link, false),
            State::Up(link, _) => (link, true),
        };
        let mut alive = link.poll(cx);
        if !up && let Some(versions) = link.take_versions() {
            self.failures = 0;
            let State::Connecting(link) = std::mem::replace(&mut self.state, State::Idle) else {
                unreachable!("it was connecting a moment ago")
            };
            self.state = State::Up(link, versions);
        }
        while let State::Up(link, _) = &self.state
            && let Some(frame) = link.receive()
        {
            alive &= self.answered(id, frame, events);
        }
        if !alive {
            self.failures = if matches!(self.state, State::Up(..)) { 0 } else { self.failures.saturating_add(1) };
        }
        alive
    }

    /// Brokers answer in the order of requests; returns false if this one does not.
    fn answered(&mut self, node: BrokerId, frame: ResponseFrame, events: &mut Vec<Event<T>>) -> bool {
        match self.in_flight.pop_front() {
            Some(r) if r.correlation == frame.correlation_id => {
                events.push(Event::Answer(Answer { node, context: r.context, version: r.version, frame }));
                true
            }
            Some(r) => {
                self.in_flight.push_front(r);
                false
            }
            None => false,
        }
    }

    fn lose(&mut self, id: BrokerId, timed_out: bool, events: &mut Vec<Event<T>>) {
        self.state = State::Idle;
        let lost = self.in_flight.drain(..);
        events.extend(lost.map(|r| Event::Lost(Lost { node: id, context: r.context, timed_out })));
    }
}

/// Bootstrap servers have no id yet; theirs count down from -2.
fn bootstrap_id(index: usize) -> BrokerId {
    BrokerId(-2 - i32::try_from(index).expect("fewer than two thousand million bootstrap servers"))
}
