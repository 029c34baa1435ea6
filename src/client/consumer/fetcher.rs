//! The consumer's conversation with the brokers: one fetch at a time per leader (Kafka's `Fetcher`). Offsets are looked up in `lookups`.

use super::positions::{Assigned, EARLIEST, LATEST, Lookup, Position};
use super::validation::{Asked, Truncation};
use super::{ConsumedRecord, ConsumerError};
use crate::base::{BrokerId, LeaderEpoch, Now, Offset, TopicPartition};
use crate::client::config::{ConsumerConfig, OffsetReset};
use crate::client::metadata::Metadata;
use crate::client::network::{Event, NetworkClient};
use crate::io;
use crate::wire::codec::lean::{FetchPartition, FetchRequest, FetchResponse, FetchTopic, PartitionData};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{ListOffsetsRequest, MetadataRequest, OffsetForLeaderEpochRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::task::Context;

/// What a request was for.
pub(super) enum Purpose {
    Metadata,
    /// The partitions, and the offsets that were asked for.
    Fetch(Vec<(TopicPartition, Offset)>),
    /// The partitions, which end of the log, and for whom.
    Offsets(Vec<(TopicPartition, i64, Asker)>),
    /// The positions that are in doubt.
    Validation(Vec<Asked>),
}

/// Who wants to know an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    /// A partition without a position.
    Reset,
    /// The caller.
    Caller,
}

/// The caller's question about one partition.
pub(super) struct Question {
    pub lookup: Lookup,
    pub answer: Option<Result<Offset, ResponseError>>,
}

pub(super) struct Fetcher {
    pub(super) cfg: ConsumerConfig,
    pub(super) network: NetworkClient<Purpose>,
    pub(super) metadata: Metadata,
    pub(super) assigned: BTreeMap<TopicPartition, Assigned>,
    pub(super) questions: BTreeMap<TopicPartition, Question>,
    /// Leaders with a fetch outstanding.
    fetching: BTreeSet<BrokerId>,
    /// Partitions with fetched records, in the order in which those came.
    arrived: VecDeque<TopicPartition>,
    pub(super) errors: VecDeque<ConsumerError>,
    /// What was found to be gone, until the caller asks.
    pub(super) truncations: Vec<Truncation>,
    /// Nothing is given out, because it is about to be given up.
    pub(super) held: bool,
    events: Vec<Event<Purpose>>,
}

/// Kafka's consumer does not limit its requests per connection; two per partition state is plenty.
const MAX_IN_FLIGHT: usize = 100;

impl Fetcher {
    pub fn new(cfg: ConsumerConfig) -> Self {
        Self {
            network: NetworkClient::new(
                cfg.common.clone(),
                MAX_IN_FLIGHT,
                io::rng(&format!("client {}", cfg.common.client_id)),
            ),
            metadata: Metadata::new(&cfg.common),
            cfg,
            assigned: BTreeMap::new(),
            questions: BTreeMap::new(),
            fetching: BTreeSet::new(),
            arrived: VecDeque::new(),
            errors: VecDeque::new(),
            truncations: Vec::new(),
            held: false,
            events: Vec::new(),
        }
    }

    pub fn assign(&mut self, partitions: BTreeSet<TopicPartition>) {
        let start = match self.cfg.group_id {
            Some(_) => Position::Committed,
            None => start_over(self.cfg.auto_offset_reset, Offset::NONE),
        };
        self.assigned.retain(|tp, _| partitions.contains(tp));
        for tp in partitions {
            self.metadata.want(&tp.topic);
            self.assigned.entry(tp).or_insert_with(|| Assigned::new(start));
        }
    }
    pub fn assignment(&self) -> impl Iterator<Item = &TopicPartition> {
        self.assigned.keys()
    }
    pub fn assigned(&mut self, tp: &TopicPartition) -> Result<&mut Assigned, ConsumerError> {
        self.assigned.get_mut(tp).ok_or_else(|| ConsumerError::NotAssigned(tp.clone()))
    }
    pub fn position(&self, tp: &TopicPartition) -> Option<Offset> {
        self.assigned.get(tp)?.offset()
    }

    /// Records that have arrived, or an error that concerns the caller; [`None`] if there is neither.
    pub fn take_records(&mut self) -> Result<Option<Vec<ConsumedRecord>>, ConsumerError> {
        if self.held {
            return Ok(None);
        }
        let max = self.cfg.max_poll_records as usize;
        let mut records = Vec::new();
        let mut paused = VecDeque::new();
        while records.len() < max
            && let Some(tp) = self.arrived.pop_front()
        {
            let Some(assigned) = self.assigned.get_mut(&tp) else { continue };
            if assigned.paused {
                paused.push_back(tp);
                continue;
            }
            if let Err(error) = assigned.take(&tp, max, &mut records) {
                self.errors.push_back(error);
            }
            if assigned.has_buffered() {
                self.arrived.push_front(tp);
            }
        }
        self.arrived.append(&mut paused);
        if !records.is_empty() {
            return Ok(Some(records));
        }
        let missing = self.assigned.iter().find_map(|(tp, a)| match a.position {
            Position::Missing(offset) => Some(ConsumerError::OffsetOutOfRange { tp: tp.clone(), offset }),
            _ => None,
        });
        self.errors.pop_front().or(missing).map_or(Ok(None), Err)
    }

    /// Asks for one end of the log of these partitions; forgets earlier questions.
    pub fn ask(&mut self, partitions: &[TopicPartition], which: i64) {
        let question = || Question { lookup: Lookup::new(which), answer: None };
        for tp in partitions {
            self.metadata.want(&tp.topic);
        }
        self.questions = partitions.iter().map(|tp| (tp.clone(), question())).collect();
    }
    /// The answers to what was asked, once all are there.
    pub fn told(&mut self, partitions: &[TopicPartition]) -> Option<Result<Vec<Offset>, ConsumerError>> {
        let answer = |tp: &TopicPartition| {
            let answer = self.questions.get(tp)?.answer?;
            Some(answer.map_err(|error| ConsumerError::Broker { tp: tp.clone(), error }))
        };
        partitions.iter().map(answer).collect()
    }

    /// Takes in what arrived and sends what is due; returns when to turn again (monotonic nanoseconds) if nothing else happens before.
    pub fn turn(&mut self, cx: &mut Context<'_>, now: Now) -> u64 {
        loop {
            self.network.poll(cx, now, &mut self.events);
            for event in std::mem::take(&mut self.events) {
                self.take(event, now);
            }
            // Metadata last: the others may find that they need it.
            let next_ns = [
                self.look_up(now),
                self.fetch(now),
                self.network.refresh(&mut self.metadata, now, Purpose::Metadata),
                self.network.next_deadline_ns().unwrap_or(u64::MAX),
            ];
            // Writing rarely brings anything at once; only then there is reason for another turn.
            if !self.network.take_dirty() || !self.network.poll(cx, now, &mut self.events) {
                return next_ns.into_iter().min().unwrap_or(u64::MAX);
            }
        }
    }

    fn take(&mut self, event: Event<Purpose>, now: Now) {
        match event {
            Event::Answer(answer) => match &answer.context {
                Purpose::Metadata => {
                    let response = answer.decode::<MetadataRequest>().1;
                    self.network.refreshed(&mut self.metadata, now, response.as_ref(), &mut self.events);
                }
                Purpose::Fetch(_) => {
                    self.fetching.remove(&answer.node);
                    if let (Purpose::Fetch(asked), response) = answer.decode::<FetchRequest>() {
                        self.fetched(asked, response, now);
                    }
                }
                Purpose::Offsets(_) => {
                    if let (Purpose::Offsets(asked), response) = answer.decode::<ListOffsetsRequest>() {
                        let topics = response.map(|r| r.topics).unwrap_or_default();
                        self.looked_up(asked, now, |tp| {
                            let topic = topics.iter().find(|t| t.name.as_str() == &*tp.topic)?;
                            topic.partitions.iter().find(|p| p.partition_index == tp.partition)
                        });
                    }
                }
                Purpose::Validation(_) => {
                    if let (Purpose::Validation(asked), response) = answer.decode::<OffsetForLeaderEpochRequest>() {
                        let topics = response.map(|r| r.topics).unwrap_or_default();
                        self.validated(asked, now, |tp| {
                            let topic = topics.iter().find(|t| t.topic.as_str() == &*tp.topic)?;
                            topic.partitions.iter().find(|p| p.partition == tp.partition)
                        });
                    }
                }
            },
            Event::Disconnected => self.metadata.request_update(),
            Event::Lost(lost) => match lost.context {
                Purpose::Metadata => self.network.refreshed(&mut self.metadata, now, None, &mut self.events),
                Purpose::Fetch(asked) => {
                    self.fetching.remove(&lost.node);
                    self.metadata.request_update();
                    for (tp, _) in asked {
                        self.retry_later(&tp, now);
                    }
                }
                Purpose::Offsets(asked) => {
                    self.metadata.request_update();
                    self.looked_up(asked, now, |_| None);
                }
                Purpose::Validation(asked) => {
                    self.metadata.request_update();
                    self.validated(asked, now, |_| None);
                }
            },
        }
    }

    /// Sends a fetch to every leader that has none outstanding and of whose records none are waiting for the caller, and
    /// asks new leaders first whether they have what was consumed; returns when a partition that must wait may be asked
    /// for again.
    fn fetch(&mut self, now: Now) -> u64 {
        let mut next_ns = u64::MAX;
        let mut wanted: BTreeMap<BrokerId, Vec<(TopicPartition, Offset, LeaderEpoch)>> = BTreeMap::new();
        let mut leaderless = false;
        // A fetch without the partition that the caller is about to want more of would hold up the next one with it,
        // for fetch.max.wait.ms if the others have nothing (KAFKA-17182).
        let waiting = |assigned: &Assigned| assigned.has_buffered() && !assigned.paused;
        let buffered: BTreeSet<BrokerId> = (self.assigned.iter().filter(|(_, assigned)| waiting(assigned)))
            .filter_map(|(tp, _)| Some(self.metadata.leader(tp)?.0))
            .collect();
        let mut doubtful: BTreeMap<BrokerId, Vec<Asked>> = BTreeMap::new();
        for (tp, assigned) in &mut self.assigned {
            let Position::At(offset) = assigned.position else { continue };
            let Some((leader, epoch)) = self.metadata.leader(tp) else {
                leaderless |= !assigned.has_buffered() && !assigned.paused;
                continue;
            };
            if assigned.meet(epoch) {
                match assigned.validation.filter(|v| !v.asked) {
                    Some(v) if v.not_before_ns > now.mono_ns => next_ns = next_ns.min(v.not_before_ns),
                    Some(_) => {
                        let asked = Asked { tp: tp.clone(), offset, epoch: assigned.epoch, leader: epoch };
                        doubtful.entry(leader).or_default().push(asked);
                    }
                    None => {}
                }
                continue;
            }
            if assigned.has_buffered() || assigned.paused {
                continue;
            }
            if assigned.not_before_ns > now.mono_ns && epoch <= assigned.asked {
                next_ns = next_ns.min(assigned.not_before_ns);
            } else if !self.fetching.contains(&leader) && !buffered.contains(&leader) {
                wanted.entry(leader).or_default().push((tp.clone(), offset, epoch));
            }
        }
        if leaderless && !self.metadata.update_wanted() {
            self.metadata.request_update();
        }
        for (leader, asked) in doubtful {
            if self.network.ready(leader, now) {
                self.send_validation(leader, asked, now);
            } else {
                next_ns = next_ns.min(self.network.not_before_ns(leader).unwrap_or(u64::MAX));
            }
        }
        for (leader, partitions) in wanted {
            if self.network.ready(leader, now) {
                self.send_fetch(leader, partitions, now);
            } else {
                next_ns = next_ns.min(self.network.not_before_ns(leader).unwrap_or(u64::MAX));
            }
        }
        next_ns
    }
    fn send_fetch(&mut self, leader: BrokerId, partitions: Vec<(TopicPartition, Offset, LeaderEpoch)>, now: Now) {
        let mut topics: Vec<FetchTopic> = Vec::new();
        let mut last: Option<&Arc<str>> = None;
        for (tp, offset, epoch) in &partitions {
            if last.is_none_or(|topic| *topic != tp.topic) {
                last = Some(&tp.topic);
                let topic_id = self.metadata.topic(&tp.topic).map(|t| t.id).unwrap_or_default();
                topics.push(FetchTopic { topic: wire_name(&tp.topic).0, topic_id, partitions: Vec::new() });
            }
            let partition = FetchPartition {
                partition: tp.partition,
                current_leader_epoch: epoch.0,
                fetch_offset: offset.0,
                last_fetched_epoch: -1,
                log_start_offset: -1,
                partition_max_bytes: self.cfg.max_partition_fetch_bytes as i32,
            };
            topics.last_mut().expect("a topic was opened").partitions.push(partition);
        }
        let request = FetchRequest {
            replica_id: -1,
            replica_epoch: -1,
            max_wait_ms: self.cfg.fetch_max_wait_ms as i32,
            min_bytes: self.cfg.fetch_min_bytes as i32,
            max_bytes: self.cfg.fetch_max_bytes as i32,
            topics,
        };
        for (tp, _, epoch) in &partitions {
            if let Some(assigned) = self.assigned.get_mut(tp) {
                assigned.asked = *epoch;
            }
        }
        let asked = partitions.into_iter().map(|(tp, offset, _)| (tp, offset)).collect();
        if let Err(Purpose::Fetch(asked)) = self.network.send(leader, now, &request, Purpose::Fetch(asked)) {
            asked.iter().for_each(|(tp, _)| self.retry_later(tp, now));
        } else {
            self.fetching.insert(leader);
        }
    }
    fn fetched(&mut self, asked: Vec<(TopicPartition, Offset)>, response: Option<FetchResponse>, now: Now) {
        let response = response.unwrap_or_default();
        for endpoint in &response.node_endpoints {
            if let Ok(port) = u16::try_from(endpoint.port) {
                self.metadata.add_broker(BrokerId(endpoint.node_id), endpoint.host.as_str(), port);
            }
        }
        if !response.node_endpoints.is_empty() {
            self.network.set_brokers(self.metadata.brokers(), &mut self.events);
        }
        for (tp, offset) in asked {
            let id = self.metadata.topic(&tp.topic).map(|t| t.id);
            let topic = response.responses.iter().find(|t| match t.topic.is_empty() {
                true => Some(t.topic_id) == id,
                false => t.topic.as_str() == &*tp.topic,
            });
            let answer = topic.and_then(|t| t.partitions.iter().find(|p| p.partition_index == tp.partition));
            match answer {
                Some(answer) => self.fetched_partition(&tp, offset, answer, now),
                None => {
                    if ResponseError::try_from_code(response.error_code).is_some() {
                        self.metadata.request_update();
                    }
                    self.retry_later(&tp, now);
                }
            }
        }
    }
    fn fetched_partition(&mut self, tp: &TopicPartition, offset: Offset, answer: &PartitionData, now: Now) {
        if let Some(leader) = answer.current_leader {
            self.metadata.update_leader(tp, BrokerId(leader.leader_id), LeaderEpoch(leader.leader_epoch));
        }
        let Some(assigned) = self.assigned.get_mut(tp) else { return };
        let current = assigned.offset() == Some(offset) && assigned.validation.is_none();
        let Some(error) = ResponseError::try_from_code(answer.error_code) else {
            assigned.failures = 0;
            assigned.high_watermark = Some(Offset(answer.high_watermark)).filter(|hw| hw.0 >= 0);
            if !answer.records.is_empty() {
                assigned.fetched(offset, answer.records.clone());
                self.arrived.push_back(tp.clone());
            }
            return;
        };
        if !current {
            return;
        }
        match error {
            ResponseError::OffsetOutOfRange => {
                tracing::debug!(%tp, %offset, "position outside the log");
                assigned.position = start_over(self.cfg.auto_offset_reset, offset);
            }
            error if error.is_retriable() || error == ResponseError::UnknownServerError => {
                self.metadata.request_update();
                self.retry_later(tp, now);
            }
            error => {
                self.errors.push_back(ConsumerError::Broker { tp: tp.clone(), error });
                self.retry_later(tp, now);
            }
        }
    }
    fn retry_later(&mut self, tp: &TopicPartition, now: Now) {
        if let Some(assigned) = self.assigned.get_mut(tp) {
            assigned.not_before_ns = now.after_ms(self.network.retry_backoff_ms(assigned.failures));
            assigned.failures = assigned.failures.saturating_add(1);
        }
    }
}

pub(super) fn start_over(policy: OffsetReset, was: Offset) -> Position {
    match policy {
        OffsetReset::Earliest => Position::Lookup(Lookup::new(EARLIEST)),
        OffsetReset::Latest => Position::Lookup(Lookup::new(LATEST)),
        OffsetReset::None => Position::Missing(was),
    }
}

pub(super) fn wire_name(topic: &Arc<str>) -> TopicName {
    TopicName(StrBytes::from_string(topic.to_string()))
}
