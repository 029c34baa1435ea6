//! What a client believes about the cluster: brokers, topics, leaders; and when to ask again.
//!
//! Pure: whoever owns a [`Metadata`] sends the requests. Per partition the newest leader epoch wins, so an answer of a
//! broker that is behind never undoes what a better informed one said (KIP-320; Kafka's `Metadata`).

use super::config::{CommonConfig, exponential_backoff_ms};
use crate::base::random::Stream;
use crate::base::time::NANOS_PER_MS;
use crate::base::{BrokerId, LeaderEpoch, Now, TopicId, TopicPartition};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{MetadataResponsePartition, MetadataResponseTopic};
use kafka_protocol::messages::{MetadataRequest, MetadataResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A partition, as the metadata shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its leader; [`BrokerId::NONE`] if it has none.
    pub leader: BrokerId,
    /// The epoch of that leadership.
    pub leader_epoch: LeaderEpoch,
    /// All replicas, the preferred one first.
    pub replicas: Vec<BrokerId>,
    /// The in-sync ones.
    pub isr: Vec<BrokerId>,
}

/// A topic, as the metadata shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its id; nil if the broker told none.
    pub id: TopicId,
    /// The partitions by index.
    pub partitions: Vec<Partition>,
}

/// A client's picture of the cluster.
#[derive(Debug)]
pub struct Metadata {
    brokers: BTreeMap<BrokerId, (String, u16)>,
    controller: BrokerId,
    topics: BTreeMap<Arc<str>, Topic>,
    /// Leader epochs that something else than metadata has told of, and that metadata has not reached yet.
    ahead: BTreeMap<TopicPartition, LeaderEpoch>,
    wanted: BTreeSet<Arc<str>>,
    updates: u64,
    schedule: Schedule,
}

/// When to ask.
#[derive(Debug)]
struct Schedule {
    needed: bool,
    /// Counts requests for an update, so that one that arrives while an answer is on its way is not forgotten.
    asked: u64,
    in_flight: Option<u64>,
    last_refresh_ns: Option<u64>,
    last_success_ns: Option<u64>,
    /// Refreshes in a row that failed or left something unanswered.
    futile: u32,
    backoff_ms: u64,
    max_age_ms: u64,
    retry_backoff_ms: (u64, u64),
}

impl Metadata {
    /// Knows nobody; the first request is due at once.
    #[must_use]
    pub fn new(cfg: &CommonConfig) -> Self {
        let schedule = Schedule {
            needed: true,
            asked: 0,
            in_flight: None,
            last_refresh_ns: None,
            last_success_ns: None,
            futile: 0,
            backoff_ms: 0,
            max_age_ms: cfg.metadata_max_age_ms,
            retry_backoff_ms: (cfg.retry_backoff_ms, cfg.retry_backoff_max_ms),
        };
        Self {
            brokers: BTreeMap::new(),
            controller: BrokerId::NONE,
            topics: BTreeMap::new(),
            ahead: BTreeMap::new(),
            wanted: BTreeSet::new(),
            updates: 0,
            schedule,
        }
    }

    /// The live brokers, by id, with host and port.
    #[must_use]
    pub fn brokers(&self) -> &BTreeMap<BrokerId, (String, u16)> {
        &self.brokers
    }
    /// The broker that takes requests for the controller; [`BrokerId::NONE`] before the first answer.
    #[must_use]
    pub fn controller(&self) -> BrokerId {
        self.controller
    }
    /// A topic, once known.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<&Topic> {
        self.topics.get(name)
    }
    /// All known topics.
    #[must_use]
    pub fn topics(&self) -> &BTreeMap<Arc<str>, Topic> {
        &self.topics
    }
    /// The leader of a partition and its epoch, if there is one, its address is known, and no later epoch has been heard of.
    #[must_use]
    pub fn leader(&self, tp: &TopicPartition) -> Option<(BrokerId, LeaderEpoch)> {
        let p = self.topic(&tp.topic)?.partitions.get(usize::try_from(tp.partition).ok()?)?;
        let outdated = self.ahead.get(tp).is_some_and(|seen| *seen > p.leader_epoch);
        (!outdated && self.brokers.contains_key(&p.leader)).then_some((p.leader, p.leader_epoch))
    }
    /// How many answers have been taken in: a topic that is asked for and is not known after the next one does not exist.
    #[must_use]
    pub fn updates(&self) -> u64 {
        self.updates
    }
    /// The name of the topic with this id.
    #[must_use]
    pub fn topic_name(&self, id: TopicId) -> Option<&Arc<str>> {
        self.topics.iter().find(|(_, t)| t.id == id).map(|(name, _)| name)
    }

    /// Asks for `topic` from now on; true if it was not asked for before.
    pub fn want(&mut self, topic: &Arc<str>) -> bool {
        let new = !self.wanted.contains(topic) && self.wanted.insert(topic.clone());
        if new && !self.topics.contains_key(topic) {
            self.request_update();
        }
        new
    }
    /// Asks for exactly these topics from now on.
    pub fn want_only(&mut self, topics: impl IntoIterator<Item = Arc<str>>) {
        self.wanted = topics.into_iter().collect();
        self.topics.retain(|name, _| self.wanted.contains(name));
        if self.wanted.iter().any(|name| !self.topics.contains_key(name)) {
            self.request_update();
        }
    }
    /// True if an update was asked for and has not come.
    #[must_use]
    pub fn update_wanted(&self) -> bool {
        self.schedule.needed
    }
    /// Something turned out to be out of date: ask as soon as the backoff permits.
    pub fn request_update(&mut self) {
        self.schedule.needed = true;
        self.schedule.asked += 1;
    }

    /// When the next request is due, in monotonic nanoseconds; [`None`] while one is on its way.
    #[must_use]
    pub fn due_ns(&self) -> Option<u64> {
        let s = &self.schedule;
        if s.in_flight.is_some() {
            return None;
        }
        let allowed = s.last_refresh_ns.map_or(0, |at| at + s.backoff_ms * NANOS_PER_MS);
        let expires = s.last_success_ns.map_or(0, |at| at.saturating_add(s.max_age_ms.saturating_mul(NANOS_PER_MS)));
        Some(if s.needed { allowed } else { allowed.max(expires) })
    }
    /// The request to send now; the caller answers with [`Self::update`] or [`Self::failed`].
    #[must_use]
    pub fn request(&mut self) -> MetadataRequest {
        assert!(self.schedule.in_flight.is_none(), "one metadata request at a time");
        self.schedule.in_flight = Some(self.schedule.asked);
        let topics = self.wanted.iter().map(|name| {
            MetadataRequestTopic::default().with_name(Some(TopicName(StrBytes::from_string(name.to_string()))))
        });
        MetadataRequest::default().with_topics(Some(topics.collect())).with_allow_auto_topic_creation(true)
    }
    /// No answer came.
    pub fn failed(&mut self, now: Now, rng: &mut Stream) {
        self.schedule.needed = true;
        self.schedule.finish(now, false, rng);
    }

    /// Takes an answer in.
    pub fn update(&mut self, now: Now, answer: &MetadataResponse, rng: &mut Stream) {
        let asked = self.schedule.in_flight;
        self.updates += 1;
        if !answer.brokers.is_empty() {
            let address = |b: &kafka_protocol::messages::metadata_response::MetadataResponseBroker| {
                Some((BrokerId(b.node_id.0), (b.host.to_string(), u16::try_from(b.port).ok()?)))
            };
            self.brokers = answer.brokers.iter().filter_map(address).collect();
        }
        self.controller = BrokerId(answer.controller_id.0);
        let mut complete = !answer.brokers.is_empty();
        for topic in &answer.topics {
            complete &= self.update_topic(topic);
        }
        self.schedule.needed = !complete || asked.is_some_and(|asked| asked != self.schedule.asked);
        self.schedule.last_success_ns = Some(now.mono_ns);
        self.schedule.finish(now, complete, rng);
    }

    /// Returns false if the answer leaves something open, so that one must ask again.
    fn update_topic(&mut self, answer: &MetadataResponseTopic) -> bool {
        let Some(name) = answer.name.as_ref().map(|n| Arc::<str>::from(n.as_str())) else { return true };
        if let Some(error) = ResponseError::try_from_code(answer.error_code) {
            if error == ResponseError::UnknownTopicOrPartition || error == ResponseError::UnknownTopicId {
                self.topics.remove(&name);
                self.ahead.retain(|tp, _| tp.topic != name);
            }
            return !error.is_retriable();
        }
        let known = self.topics.get(&name).filter(|known| known.id == answer.topic_id);
        let mut partitions: Vec<&MetadataResponsePartition> = answer.partitions.iter().collect();
        partitions.sort_by_key(|p| p.partition_index);
        let dense = partitions.iter().enumerate().all(|(i, p)| usize::try_from(p.partition_index) == Ok(i));
        if !dense || known.is_some_and(|known| known.partitions.len() > partitions.len()) {
            return false;
        }
        let is_another = self.topics.get(&name).is_some_and(|before| before.id != answer.topic_id);
        let mut complete = true;
        let mut merged = Vec::with_capacity(partitions.len());
        for (i, p) in partitions.into_iter().enumerate() {
            let told = partition(p);
            complete &= p.error_code == 0 && told.leader != BrokerId::NONE;
            match known.and_then(|known| known.partitions.get(i)) {
                Some(newer) if newer.leader_epoch > told.leader_epoch => merged.push(newer.clone()),
                _ => merged.push(told),
            }
        }
        // Another topic of this name begins its epochs anew.
        let reached = |tp: &TopicPartition, seen| {
            let told = usize::try_from(tp.partition).ok().and_then(|index| merged.get(index));
            is_another || told.is_some_and(|p| p.leader_epoch >= seen)
        };
        self.ahead.retain(|tp, seen| tp.topic != name || !reached(tp, *seen));
        complete &= !self.ahead.keys().any(|tp| tp.topic == name);
        self.topics.insert(name, Topic { id: answer.topic_id, partitions: merged });
        complete
    }

    /// A committed offset bears this epoch: whoever leads in an earlier one leads no more, and knows nothing of it. Asked about a
    /// position of the later epoch, it would say that its log was truncated (Kafka's `Metadata.updateLastSeenEpochIfNewer`).
    pub fn saw_epoch(&mut self, tp: &TopicPartition, epoch: LeaderEpoch) {
        let index = usize::try_from(tp.partition).unwrap_or(usize::MAX);
        let told = self.topic(&tp.topic).and_then(|t| t.partitions.get(index)).map(|p| p.leader_epoch);
        let seen = told.max(self.ahead.get(tp).copied());
        if seen.is_none_or(|seen| epoch > seen) && epoch != LeaderEpoch::NONE {
            self.ahead.insert(tp.clone(), epoch);
            self.request_update();
        }
    }

    /// A produce or fetch response named a newer leader (KIP-951). Returns true if that was news.
    pub fn update_leader(&mut self, tp: &TopicPartition, leader: BrokerId, epoch: LeaderEpoch) -> bool {
        let partition =
            self.topics.get_mut(&tp.topic).and_then(|t| t.partitions.get_mut(usize::try_from(tp.partition).ok()?));
        match partition {
            Some(p) if leader.0 >= 0 && epoch > p.leader_epoch => {
                (p.leader, p.leader_epoch) = (leader, epoch);
                true
            }
            _ => false,
        }
    }
    /// Learns the address of a broker that a response named beside a newer leader (KIP-951).
    pub fn add_broker(&mut self, id: BrokerId, host: &str, port: u16) {
        self.brokers.insert(id, (host.to_owned(), port));
    }
}

impl Schedule {
    fn finish(&mut self, now: Now, satisfied: bool, rng: &mut Stream) {
        self.in_flight = None;
        self.last_refresh_ns = Some(now.mono_ns);
        self.futile = if satisfied { 0 } else { self.futile.saturating_add(1) };
        let (base, max) = self.retry_backoff_ms;
        self.backoff_ms = exponential_backoff_ms(base, max, self.futile.saturating_sub(1), rng);
    }
}

fn partition(p: &MetadataResponsePartition) -> Partition {
    let ids = |ids: &[kafka_protocol::messages::BrokerId]| ids.iter().map(|id| BrokerId(id.0)).collect();
    Partition {
        leader: BrokerId(p.leader_id.0),
        leader_epoch: LeaderEpoch(p.leader_epoch),
        replicas: ids(&p.replica_nodes),
        isr: ids(&p.isr_nodes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::messages::metadata_response::MetadataResponseBroker;

    fn answer(leader: i32, epoch: i32) -> MetadataResponse {
        let broker = |id: i32| {
            MetadataResponseBroker::default()
                .with_node_id(id.into())
                .with_host(StrBytes::from_string(format!("node{id}")))
                .with_port(9092)
        };
        let partition = MetadataResponsePartition::default().with_leader_id(leader.into()).with_leader_epoch(epoch);
        let topic = MetadataResponseTopic::default()
            .with_name(Some(TopicName(StrBytes::from_static_str("UserEvents"))))
            .with_partitions(vec![partition]);
        MetadataResponse::default().with_brokers(vec![broker(1), broker(2)]).with_topics(vec![topic])
    }
    fn at_ms(ms: u64) -> Now {
        Now { mono_ns: ms * NANOS_PER_MS, wall_ms: 0 }
    }
    fn fresh() -> (Metadata, Stream, TopicPartition) {
        let mut metadata = Metadata::new(&CommonConfig::default());
        let tp = TopicPartition::new("UserEvents", 0);
        metadata.want(&tp.topic);
        (metadata, Stream::new(1, "client"), tp)
    }

    #[test]
    fn a_broker_that_is_behind_does_not_undo_a_newer_leadership() {
        let (mut metadata, mut rng, tp) = fresh();
        metadata.update(at_ms(1), &answer(2, 5), &mut rng);
        metadata.update(at_ms(2), &answer(1, 4), &mut rng);
        assert_eq!(metadata.leader(&tp), Some((BrokerId(2), LeaderEpoch(5))));
        assert!(!metadata.update_leader(&tp, BrokerId(1), LeaderEpoch(5)));
        assert!(metadata.update_leader(&tp, BrokerId(1), LeaderEpoch(6)));
        assert_eq!(metadata.leader(&tp), Some((BrokerId(1), LeaderEpoch(6))));
    }

    #[test]
    fn who_leads_in_an_epoch_that_has_been_outrun_is_no_leader() {
        let (mut metadata, mut rng, tp) = fresh();
        metadata.update(at_ms(1), &answer(1, 0), &mut rng);
        metadata.saw_epoch(&tp, LeaderEpoch(0));
        assert!(!metadata.update_wanted(), "that is no news");
        metadata.saw_epoch(&tp, LeaderEpoch(2));
        assert!(metadata.update_wanted());
        assert_eq!(metadata.leader(&tp), None);
        let _ = metadata.request();
        metadata.update(at_ms(2), &answer(1, 1), &mut rng);
        assert_eq!(metadata.leader(&tp), None, "whoever answered is behind too");
        assert!(metadata.update_wanted());
        metadata.update(at_ms(3), &answer(2, 2), &mut rng);
        assert_eq!(metadata.leader(&tp), Some((BrokerId(2), LeaderEpoch(2))));
        assert!(!metadata.update_wanted());
        metadata.saw_epoch(&tp, LeaderEpoch::NONE);
        assert_eq!(metadata.leader(&tp), Some((BrokerId(2), LeaderEpoch(2))));
    }

    #[test]
    fn the_epochs_of_a_topic_that_is_gone_count_no_more() {
        let (mut metadata, mut rng, tp) = fresh();
        metadata.update(at_ms(1), &answer(1, 0), &mut rng);
        metadata.saw_epoch(&tp, LeaderEpoch(9));
        let mut another = answer(2, 0);
        another.topics[0].topic_id = TopicId::from_u128(7);
        metadata.update(at_ms(2), &another, &mut rng);
        assert_eq!(metadata.leader(&tp), Some((BrokerId(2), LeaderEpoch(0))));
        metadata.saw_epoch(&tp, LeaderEpoch(9));
        another.topics[0].error_code = ResponseError::UnknownTopicOrPartition.code();
        metadata.update(at_ms(3), &another, &mut rng);
        another.topics[0].error_code = 0;
        metadata.update(at_ms(4), &another, &mut rng);
        assert_eq!(metadata.leader(&tp), Some((BrokerId(2), LeaderEpoch(0))));
    }

    #[test]
    fn metadata_is_asked_for_by_need_after_a_backoff_and_by_age_without_need() {
        let (mut metadata, mut rng, _) = fresh();
        assert_eq!(metadata.due_ns(), Some(0), "nothing is known: at once");
        let _ = metadata.request();
        assert_eq!(metadata.due_ns(), None, "one request at a time");
        metadata.update(at_ms(10), &answer(1, 0), &mut rng);
        assert_eq!(metadata.due_ns(), Some(at_ms(300_010).mono_ns));
        metadata.request_update();
        let due = metadata.due_ns().unwrap();
        assert!((at_ms(90).mono_ns..=at_ms(130).mono_ns).contains(&due), "{due}");
    }

    #[test]
    fn a_leaderless_partition_is_asked_about_again_and_ever_more_patiently() {
        let (mut metadata, mut rng, tp) = fresh();
        for _ in 0..6 {
            let _ = metadata.request();
            metadata.update(at_ms(0), &answer(-1, 7), &mut rng);
        }
        assert_eq!(metadata.leader(&tp), None);
        assert!(metadata.due_ns().unwrap() >= at_ms(800).mono_ns);
    }

    #[test]
    fn a_wish_that_comes_while_an_answer_is_on_its_way_is_kept() {
        let (mut metadata, mut rng, _) = fresh();
        let _ = metadata.request();
        metadata.want(&Arc::from("Payments"));
        metadata.update(at_ms(10), &answer(1, 0), &mut rng);
        assert!(metadata.due_ns().unwrap() < at_ms(200).mono_ns);
    }
}
