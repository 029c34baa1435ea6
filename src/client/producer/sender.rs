//! The producer's one task: takes batches from the accumulator to their leaders and brings the answers back (Kafka's `Sender`).

use super::Shared;
use super::accumulator::{Accumulator, Done, Enrolment, Sent};
use super::batch::Identity;
use super::verdict::Answer;
use crate::base::{BrokerId, LeaderEpoch, Now, Offset, ProducerId};
use crate::client::config::Acks;
use crate::client::network::{Event, Lost, NetworkClient};
use crate::io::{clock, time};
use crate::wire::codec::lean::{PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceResponse};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, MetadataRequest};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// What a request was for.
pub(super) enum Purpose {
    Metadata,
    Enrolment,
    Produce(Vec<Sent>),
}

pub(super) struct Sender {
    shared: Arc<Shared>,
    network: NetworkClient<Purpose>,
    timer: time::Sleep,
    events: Vec<Event<Purpose>>,
    done: Vec<Done>,
}

impl Sender {
    pub fn new(shared: Arc<Shared>, network: NetworkClient<Purpose>) -> Self {
        Self { shared, network, timer: time::sleep_until(u64::MAX), events: Vec::new(), done: Vec::new() }
    }

    /// One turn: answers in, requests out, callbacks. Returns when to look again (monotonic nanoseconds), or [`None`] when all is over.
    fn turn(&mut self, cx: &mut Context<'_>) -> Option<u64> {
        loop {
            let now = clock::now();
            self.network.poll(cx, now, &mut self.events);
            let shared = self.shared.clone();
            let mut state = shared.state.lock();
            state.register(cx.waker());
            let accumulator = &mut state.accumulator;
            for event in std::mem::take(&mut self.events) {
                self.take(event, accumulator, now);
            }
            accumulator.tend(now, &mut self.done);
            if let Enrolment::Refused(error) = accumulator.enrolment {
                accumulator.fail_all(error, &mut self.done);
            }
            let wake_ns = self.send(accumulator, now);
            if state.force_closed {
                state.accumulator.fail_all(ResponseError::NetworkException, &mut self.done);
            }
            state.wake_ns = wake_ns;
            let over = if self.done.is_empty() {
                let over = state.over();
                drop(state);
                over
            } else {
                drop(state);
                self.call_back(now)
            };
            if over {
                return None;
            }
            // Writing rarely brings anything at once; only then there is reason for another turn.
            if !self.network.take_dirty() || !self.network.poll(cx, now, &mut self.events) {
                return Some(wake_ns);
            }
        }
    }

    fn take(&mut self, event: Event<Purpose>, accumulator: &mut Accumulator, now: Now) {
        let answer = match event {
            Event::Lost(lost) => return self.lost(lost, accumulator, now),
            Event::Disconnected => return accumulator.metadata.request_update(),
            Event::Answer(answer) => answer,
        };
        match &answer.context {
            Purpose::Metadata => {
                let response = answer.decode::<MetadataRequest>().1;
                self.network.refreshed(&mut accumulator.metadata, now, response.as_ref(), &mut self.events);
                accumulator.metadata_updated();
                self.shared.changed.notify_waiters();
            }
            Purpose::Enrolment => enrolled(answer.decode::<InitProducerIdRequest>().1, accumulator, now),
            Purpose::Produce(_) => {
                let (Purpose::Produce(sent), response) = answer.decode::<ProduceRequest>() else { return };
                self.produced(sent, response, accumulator, now);
            }
        }
    }
    fn lost(&mut self, lost: Lost<Purpose>, accumulator: &mut Accumulator, now: Now) {
        match lost.context {
            Purpose::Metadata => self.network.refreshed(&mut accumulator.metadata, now, None, &mut self.events),
            Purpose::Enrolment => enrolled(None, accumulator, now),
            Purpose::Produce(sent) => {
                accumulator.metadata.request_update();
                for sent in sent {
                    accumulator.answered(sent, &Answer::lost(lost.timed_out), now, &mut self.done);
                }
            }
        }
    }

    fn produced(
        &mut self,
        sent: Vec<Sent>,
        response: Option<ProduceResponse>,
        accumulator: &mut Accumulator,
        now: Now,
    ) {
        let response = response.unwrap_or_default();
        for endpoint in &response.node_endpoints {
            if let Ok(port) = u16::try_from(endpoint.port) {
                accumulator.metadata.add_broker(BrokerId(endpoint.node_id), endpoint.host.as_str(), port);
            }
        }
        if !response.node_endpoints.is_empty() {
            self.network.set_brokers(accumulator.metadata.brokers(), &mut self.events);
        }
        let mut answers = response.responses.iter().flat_map(|t| t.partition_responses.iter().map(move |p| (t, p)));
        for one in sent {
            let tp = accumulator.tp(one.topic, one.partition);
            let id = accumulator.metadata.topic(&tp.topic).map(|t| t.id);
            let name = accumulator.wire_name(one.topic);
            let belongs = |(topic, p): &(&TopicProduceResponse, &PartitionProduceResponse)| {
                let named = if topic.name.is_empty() { Some(topic.topic_id) == id } else { topic.name == **name };
                named && p.index == tp.partition
            };
            // Brokers answer in the order of the request; only others are searched for.
            let all = || response.responses.iter().flat_map(|t| t.partition_responses.iter().map(move |p| (t, p)));
            let found = answers.next().filter(belongs).or_else(|| all().find(belongs));
            let Some((_, p)) = found else {
                accumulator.answered(one, &Answer::lost(false), now, &mut self.done);
                continue;
            };
            accumulator.answered(one, &Answer::read(p), now, &mut self.done);
            if let Some(leader) = p.current_leader {
                let epoch = LeaderEpoch(leader.leader_epoch);
                accumulator.metadata.update_leader(&tp, BrokerId(leader.leader_id), epoch);
            }
        }
    }

    /// Sends what may be sent; returns when to look again.
    fn send(&mut self, accumulator: &mut Accumulator, now: Now) -> u64 {
        let enrolment_ns = self.enrol(accumulator, now);
        let batches_ns = self.send_batches(accumulator, now);
        // Metadata last: the others may find that they need it.
        let metadata_ns = self.network.refresh(&mut accumulator.metadata, now, Purpose::Metadata);
        let deadline_ns = self.network.next_deadline_ns().unwrap_or(u64::MAX);
        [metadata_ns, enrolment_ns, batches_ns, deadline_ns, accumulator.expires_ns()]
            .into_iter()
            .min()
            .unwrap_or(u64::MAX)
    }
    fn enrol(&mut self, accumulator: &mut Accumulator, now: Now) -> u64 {
        let due = accumulator.enrolment_due_ns();
        let Enrolment::Wanted { failures, .. } = accumulator.enrolment else { return due };
        if due > now.mono_ns {
            return due;
        }
        match self.network.ready_least_loaded(accumulator.metadata.brokers(), now) {
            Ok(node) => {
                let request = InitProducerIdRequest::default()
                    .with_transactional_id(None)
                    .with_transaction_timeout_ms(i32::MAX)
                    .with_producer_id((-1).into())
                    .with_producer_epoch(-1);
                match self.network.send(node, now, &request, Purpose::Enrolment) {
                    Ok(()) => accumulator.enrolment = Enrolment::Asked { failures },
                    Err(_) => accumulator.enrolment_failed(ResponseError::UnsupportedVersion, failures, now),
                }
                accumulator.enrolment_due_ns()
            }
            Err(retry_ns) => retry_ns,
        }
    }
    fn send_batches(&mut self, accumulator: &mut Accumulator, now: Now) -> u64 {
        loop {
            let (leaders, mut next_ns) = accumulator.ready(now);
            let mut progress = false;
            for leader in leaders {
                if self.network.ready(leader, now) {
                    progress |= self.send_to(leader, accumulator, now);
                } else if let Some(retry_ns) = self.network.not_before_ns(leader) {
                    next_ns = next_ns.min(retry_ns);
                }
            }
            if !progress {
                return next_ns;
            }
        }
    }
    fn send_to(&mut self, leader: BrokerId, accumulator: &mut Accumulator, now: Now) -> bool {
        let (data, sent) = accumulator.drain(leader, now);
        if sent.is_empty() {
            return false;
        }
        let acks = accumulator.rules.acks;
        let timeout_ms = accumulator.request_timeout_ms();
        let request = ProduceRequest { transactional_id: None, acks: acks.code(), timeout_ms, topic_data: data };
        let unsent = if acks == Acks::None {
            let answer = match self.network.send_unanswered(leader, &request) {
                true => Answer::unasked(),
                false => Answer::unsent(),
            };
            sent.into_iter().for_each(|one| accumulator.answered(one, &answer, now, &mut self.done));
            return true;
        } else {
            self.network.send(leader, now, &request, Purpose::Produce(sent)).err()
        };
        if let Some(Purpose::Produce(sent)) = unsent {
            sent.into_iter().for_each(|one| accumulator.answered(one, &Answer::unsent(), now, &mut self.done));
        }
        true
    }

    /// Calls the callbacks of what is done, without the lock. Returns true if all is over then.
    fn call_back(&mut self, now: Now) -> bool {
        let freed: Vec<(u64, usize)> = self.done.iter().map(|(_, batch, _)| (batch.ordinal, batch.charged)).collect();
        for (tp, batch, outcome) in self.done.drain(..) {
            batch.complete(&tp, &outcome, now.mono_ns);
        }
        let mut state = self.shared.state.lock();
        for (ordinal, bytes) in freed {
            state.accumulator.completed(ordinal, bytes);
        }
        let (awaited, over) = (state.accumulator.awaited(), state.over());
        drop(state);
        if awaited {
            self.shared.changed.notify_waiters();
        }
        over
    }
}

/// Runs until the producer is closed.
impl Future for Sender {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let Some(wake_ns) = self.turn(cx) else {
                self.shared.state.lock().dead = true;
                self.shared.changed.notify_waiters();
                return Poll::Ready(());
            };
            self.timer.reset(wake_ns);
            if Pin::new(&mut self.timer).poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

fn enrolled(answer: Option<InitProducerIdResponse>, accumulator: &mut Accumulator, now: Now) {
    let Enrolment::Asked { failures } = accumulator.enrolment else { return };
    let error = match &answer {
        Some(answer) => ResponseError::try_from_code(answer.error_code),
        None => Some(ResponseError::NetworkException),
    };
    match (answer, error) {
        (Some(a), None) => accumulator.adopt(Identity { id: ProducerId(a.producer_id.0), epoch: a.producer_epoch }),
        (_, error) => {
            let error = error.unwrap_or(ResponseError::NetworkException);
            accumulator.enrolment_failed(error, failures, now);
        }
    }
}

impl Answer {
    /// Nothing was asked (`acks=0`): the batch counts as written, nobody knows where.
    fn unasked() -> Self {
        let none = Offset::NONE;
        Self { error: None, base_offset: none, log_append_time: None, log_start_offset: none, lost: false }
    }
    /// The request could not be encoded for this broker.
    fn unsent() -> Self {
        Self { error: Some(ResponseError::UnsupportedVersion), ..Self::unasked() }
    }
}
