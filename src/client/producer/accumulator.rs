//! Everything a producer knows, behind one lock: its metadata, its partitions' queues, its buffer and its identity.
//!
//! Pure: records come in from `send`, the sender takes requests out and puts answers in.

use super::batch::{Callback, Identity, ORDINAL_SPAN, Outcome, ProducerBatch};
use super::partitioner::{Sticky, partition_for_key};
use super::queue::{Judged, PartitionQueue, Readiness, Rules};
use super::record::Record;
use super::verdict::{self, Answer};
use crate::base::random::Stream;
use crate::base::{BrokerId, LeaderEpoch, Now, TopicPartition};
use crate::client::config::{ProducerConfig, exponential_backoff_ms};
use crate::client::metadata::Metadata;
use crate::wire::codec::lean::{PartitionProduceData, TopicProduceData};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::TopicName;
use kafka_protocol::protocol::StrBytes;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A batch that was sent: whose answer belongs to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub topic: usize,
    pub partition: usize,
    pub ordinal: u64,
}

/// A batch that is over and whose callbacks are still to be called.
pub(super) type Done = (TopicPartition, ProducerBatch, Outcome);

/// Why a record cannot be taken now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blocked {
    /// Its topic, or the partition that it names, is not known.
    Metadata,
    /// The buffer is full.
    Buffer,
    /// Never: it is larger than max.request.size.
    TooLarge,
    /// Never: the producer is closed, or its identity was refused.
    Over(ResponseError),
}

/// The producer id, on its way from nothing to known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Enrolment {
    /// Not idempotent.
    Unneeded,
    /// To be asked for, not before this monotonic time in nanoseconds; how often that failed.
    Wanted { not_before_ns: u64, failures: u32 },
    /// Asked for; how often that failed.
    Asked { failures: u32 },
    /// Known.
    Known(Identity),
    /// Refused for good.
    Refused(ResponseError),
}

struct TopicQueues {
    name: Arc<str>,
    wire_name: TopicName,
    sticky: Sticky,
    partitions: Vec<PartitionQueue>,
}

pub(super) struct Accumulator {
    pub rules: Rules,
    pub metadata: Metadata,
    pub enrolment: Enrolment,
    pub rng: Stream,
    cfg: ProducerConfig,
    topics: Vec<TopicQueues>,
    by_name: BTreeMap<Arc<str>, usize>,
    next_ordinal: u64,
    /// Batches whose callbacks have not all been called.
    incomplete: BTreeSet<u64>,
    buffered_bytes: u64,
    /// Where the last request to a broker had no room for more.
    resume_at: BTreeMap<BrokerId, (usize, usize)>,
    /// How many callers of `send` wait for room.
    pub starved: usize,
    pub flushing: usize,
    pub closing: bool,
}

impl Accumulator {
    pub fn new(cfg: ProducerConfig, rng: Stream) -> Self {
        let rules = Rules::new(&cfg);
        let enrolment = match rules.idempotent {
            true => Enrolment::Wanted { not_before_ns: 0, failures: 0 },
            false => Enrolment::Unneeded,
        };
        Self {
            rules,
            metadata: Metadata::new(&cfg.common),
            enrolment,
            rng,
            cfg,
            topics: Vec::new(),
            by_name: BTreeMap::new(),
            next_ordinal: 0,
            incomplete: BTreeSet::new(),
            buffered_bytes: 0,
            resume_at: BTreeMap::new(),
            starved: 0,
            flushing: 0,
            closing: false,
        }
    }

    /// Puts a record into its partition's batch. Takes `callback` only if that succeeds, and then returns the monotonic time in
    /// nanoseconds by which the sender should have looked: [`None`] if nothing changed for it.
    pub fn append(
        &mut self,
        record: &Record,
        callback: &mut Option<Callback>,
        now: Now,
    ) -> Result<Option<u64>, Blocked> {
        if let Enrolment::Refused(error) = self.enrolment {
            return Err(Blocked::Over(error));
        }
        if self.closing {
            return Err(Blocked::Over(ResponseError::NetworkException));
        }
        let size = size_bound(record);
        if size > self.cfg.max_request_size as usize || size as u64 > self.cfg.buffer_memory {
            return Err(Blocked::TooLarge);
        }
        let topic = self.topic(&record.topic)?;
        let partition = self.partition(topic, record)?;
        if self.buffered_bytes + size as u64 > self.cfg.buffer_memory {
            return Err(Blocked::Buffer);
        }
        Ok(self.append_to(topic, partition, record, callback, size, now))
    }
    fn append_to(
        &mut self,
        topic: usize,
        partition: usize,
        record: &Record,
        callback: &mut Option<Callback>,
        size: usize,
        now: Now,
    ) -> Option<u64> {
        let batch_size = self.rules.batch_size;
        let timestamp = record.timestamp.unwrap_or(now.wall_ms);
        let TopicQueues { sticky, partitions, .. } = &mut self.topics[topic];
        let queue = &mut partitions[partition];
        let before = queue.last_mut().map_or(0, |b| b.size());
        let joined = queue.last_mut().is_some_and(|b| b.try_append(record, timestamp, callback, batch_size));
        if !joined {
            let ordinal = self.next_ordinal;
            self.next_ordinal += ORDINAL_SPAN;
            self.incomplete.insert(ordinal);
            let mut batch = ProducerBatch::new(ordinal, now.mono_ns, size.min(batch_size));
            assert!(batch.try_append(record, timestamp, callback, batch_size), "an empty batch takes any record");
            queue.push(batch);
        }
        let batch = queue.last_mut().expect("the record is in the last batch");
        let grown = if joined { batch.size() - before } else { batch.size() };
        batch.charged += grown;
        self.buffered_bytes += grown as u64;
        let full = queue.full(batch_size);
        if record.partition.is_none() {
            sticky.appended(grown, batch_size, full);
        }
        match (full, joined) {
            (true, _) => Some(0),
            (false, false) => Some(now.mono_ns.saturating_add(self.rules.linger_ns)),
            (false, true) => None,
        }
    }

    fn topic(&mut self, name: &Arc<str>) -> Result<usize, Blocked> {
        let topic = match self.by_name.get(name) {
            Some(topic) => *topic,
            None => {
                let wire_name = TopicName(StrBytes::from_string(name.to_string()));
                let queues =
                    TopicQueues { name: name.clone(), wire_name, sticky: Sticky::default(), partitions: Vec::new() };
                self.topics.push(queues);
                self.by_name.insert(name.clone(), self.topics.len() - 1);
                self.metadata.want(name);
                self.topics.len() - 1
            }
        };
        if self.topics[topic].partitions.is_empty() {
            self.grow(topic);
        }
        if self.topics[topic].partitions.is_empty() { Err(Blocked::Metadata) } else { Ok(topic) }
    }
    /// Makes queues for partitions that the metadata has come to know.
    fn grow(&mut self, topic: usize) {
        let queues = &mut self.topics[topic];
        let known = self.metadata.topic(&queues.name).map_or(0, |t| t.partitions.len());
        while queues.partitions.len() < known {
            queues.partitions.push(PartitionQueue::default());
        }
    }
    fn partition(&mut self, topic: usize, record: &Record) -> Result<usize, Blocked> {
        let TopicQueues { name, sticky, partitions, .. } = &mut self.topics[topic];
        if let Some(explicit) = record.partition {
            let index = usize::try_from(explicit).map_err(|_| Blocked::Metadata)?;
            return if index < partitions.len() { Ok(index) } else { Err(Blocked::Metadata) };
        }
        let keyed = record.key.as_deref().filter(|_| !self.cfg.partitioner_ignore_keys);
        let chosen = match keyed {
            Some(key) => partition_for_key(key, partitions.len()),
            None => {
                let known = self.metadata.topic(name).map_or(&[][..], |t| &t.partitions);
                let led = known.iter().zip(partitions.iter()).zip(0..).filter(|((known, _), _)| known.leader.0 >= 0);
                let queues = led.map(|((_, queue), index)| (index, queue.len()));
                sticky.choose(partitions.len(), queues, self.cfg.partitioner_adaptive, &mut self.rng)
            }
        };
        Ok(usize::try_from(chosen).expect("a partitioner chooses an index"))
    }
    /// Takes new metadata into account.
    pub fn metadata_updated(&mut self) {
        for topic in 0..self.topics.len() {
            self.grow(topic);
        }
    }

    /// The identity that new batches are written under.
    pub fn identity(&self) -> Option<Identity> {
        match self.enrolment {
            Enrolment::Known(identity) => Some(identity),
            _ => None,
        }
    }
    fn hurry(&self) -> bool {
        self.starved > 0 || self.flushing > 0 || self.closing
    }

    /// The leaders to which a batch may leave now, and the earliest time at which another one may. Asks for metadata where there is
    /// no leader.
    pub fn ready(&mut self, now: Now) -> (BTreeSet<BrokerId>, u64) {
        let (mut leaders, mut next, mut leaderless) = (BTreeSet::new(), u64::MAX, false);
        let (identity, hurry) = (self.identity(), self.hurry());
        for topic in &self.topics {
            let known = self.metadata.topic(&topic.name);
            for (index, queue) in topic.partitions.iter().enumerate().filter(|(_, q)| !q.is_empty()) {
                let (leader, epoch) = leader_of(&self.metadata, known, index);
                match queue.readiness(now, identity, epoch, hurry, &self.rules) {
                    Readiness::Now if leader == BrokerId::NONE => leaderless = true,
                    Readiness::Now => drop(leaders.insert(leader)),
                    Readiness::At(time) => next = next.min(time),
                    Readiness::Blocked => {}
                }
            }
        }
        if leaderless && !self.metadata.update_wanted() {
            self.metadata.request_update();
        }
        (leaders, next)
    }

    /// One request's worth of batches for `node`: of each partition that it leads the first batch, lingering or not, if it may leave.
    pub fn drain(&mut self, node: BrokerId, now: Now) -> (Vec<TopicProduceData>, Vec<Sent>) {
        let (mut data, mut sent): (Vec<TopicProduceData>, Vec<Sent>) = (Vec::new(), Vec::new());
        let start = self.resume_at.remove(&node).unwrap_or((0, 0));
        let identity = self.identity();
        let mut room = self.cfg.max_request_size as usize;
        for (topic, partition) in self.from(start) {
            let TopicQueues { name, wire_name, partitions, .. } = &mut self.topics[topic];
            let queue = &mut partitions[partition];
            let known = self.metadata.topic(name);
            let (leader, epoch) = leader_of(&self.metadata, known, partition);
            if queue.is_empty() || leader != node {
                continue;
            }
            if queue.readiness(now, identity, epoch, true, &self.rules) != Readiness::Now {
                continue;
            }
            let size = queue.first_size();
            if size > room && !sent.is_empty() {
                self.resume_at.insert(node, (topic, partition));
                break;
            }
            room = room.saturating_sub(size);
            let batch = queue.send(now, identity, epoch, &self.rules);
            if sent.last().is_none_or(|last| last.topic != topic) {
                let id = known.map(|t| t.id).unwrap_or_default();
                data.push(TopicProduceData { name: wire_name.0.clone(), topic_id: id, partition_data: Vec::new() });
            }
            let records = PartitionProduceData { index: partition as i32, records: Some(batch.bytes()) };
            data.last_mut().expect("a topic was opened").partition_data.push(records);
            sent.push(Sent { topic, partition, ordinal: batch.ordinal });
        }
        (data, sent)
    }
    /// All partitions, beginning at `start` and coming round to it.
    fn from(&self, start: (usize, usize)) -> Vec<(usize, usize)> {
        let all = self.topics.iter().enumerate().flat_map(|(t, q)| (0..q.partitions.len()).map(move |p| (t, p)));
        let (before, mut order): (Vec<_>, Vec<_>) = all.partition(|at| *at < start);
        order.extend(before);
        order
    }

    /// Takes the answer about one batch.
    pub fn answered(&mut self, sent: Sent, answer: &Answer, now: Now, done: &mut Vec<Done>) {
        if let Some(error) = answer.error {
            let tp = self.tp(sent.topic, sent.partition);
            tracing::debug!(%tp, batch = sent.ordinal, ?error, log_start = %answer.log_start_offset, "a batch was refused");
        }
        let (base, max) = (self.cfg.common.retry_backoff_ms, self.cfg.common.retry_backoff_max_ms);
        let rng = &mut self.rng;
        let backoff = |failures| exponential_backoff_ms(base, max, failures, rng);
        let queue = &mut self.topics[sent.topic].partitions[sent.partition];
        match queue.answered(sent.ordinal, answer, now, &self.rules, backoff) {
            Judged::Done(batch, outcome) => done.push((self.tp(sent.topic, sent.partition), batch, outcome)),
            Judged::Split(ordinal) => drop(self.incomplete.insert(ordinal)),
            Judged::Again | Judged::Forgotten => {}
        }
        if answer.error.is_some_and(verdict::metadata_is_stale) {
            self.metadata.request_update();
        }
    }
    /// The names under which a batch's topic may be answered.
    pub fn wire_name(&self, topic: usize) -> &TopicName {
        &self.topics[topic].wire_name
    }
    pub fn tp(&self, topic: usize, partition: usize) -> TopicPartition {
        TopicPartition::new(self.topics[topic].name.clone(), partition as i32)
    }

    /// Gives up what is overdue, settles open questions about sequences and bumps the epoch where that is due and safe.
    pub fn tend(&mut self, now: Now, done: &mut Vec<Done>) {
        let mut over = Vec::new();
        for topic in &mut self.topics {
            for (index, queue) in topic.partitions.iter_mut().enumerate() {
                queue.expire(now, &self.rules, &mut over);
                let tp = || TopicPartition::new(topic.name.clone(), index as i32);
                done.extend(over.drain(..).map(|(batch, outcome)| (tp(), batch, outcome)));
                queue.resolve();
            }
        }
        self.bump_epoch(now);
    }
    /// The epoch is counted up by the producer itself; only when it is used up, a new id is asked for (KIP-360).
    fn bump_epoch(&mut self, now: Now) {
        let Enrolment::Known(identity) = self.enrolment else { return };
        let due = |queue: &PartitionQueue| queue.bump_is_safe();
        if !self.topics.iter().flat_map(|t| &t.partitions).any(due) {
            return;
        }
        let Some(epoch) = identity.epoch.checked_add(1) else {
            self.enrolment = Enrolment::Wanted { not_before_ns: now.mono_ns, failures: 0 };
            return;
        };
        self.adopt(Identity { id: identity.id, epoch });
    }
    /// Writes under `identity` from now on.
    pub fn adopt(&mut self, identity: Identity) {
        self.enrolment = Enrolment::Known(identity);
        tracing::debug!(id = %identity.id, epoch = identity.epoch, "the producer writes under a new identity");
        for queue in self.topics.iter_mut().flat_map(|t| &mut t.partitions).filter(|q| q.bump_is_safe()) {
            queue.renumber(identity);
        }
    }
    /// The producer id could not be had this time.
    pub fn enrolment_failed(&mut self, error: ResponseError, failures: u32, now: Now) {
        let (base, max) = (self.cfg.common.retry_backoff_ms, self.cfg.common.retry_backoff_max_ms);
        self.enrolment = if error.is_retriable() {
            let pause = exponential_backoff_ms(base, max, failures, &mut self.rng);
            Enrolment::Wanted { not_before_ns: now.after_ms(pause), failures: failures + 1 }
        } else {
            Enrolment::Refused(error)
        };
    }

    /// When a batch will have waited for delivery.timeout.ms.
    pub fn expires_ns(&self) -> u64 {
        let queues = self.topics.iter().flat_map(|t| &t.partitions);
        queues.filter_map(|q| q.expires_ns(&self.rules)).min().unwrap_or(u64::MAX)
    }
    /// Gives everything up.
    pub fn fail_all(&mut self, error: ResponseError, done: &mut Vec<Done>) {
        let mut over = Vec::new();
        for topic in &mut self.topics {
            for (index, queue) in topic.partitions.iter_mut().enumerate() {
                queue.fail_all(error, &mut over);
                let tp = || TopicPartition::new(topic.name.clone(), index as i32);
                done.extend(over.drain(..).map(|(batch, outcome)| (tp(), batch, outcome)));
            }
        }
    }

    /// The callbacks of a batch have been called: its memory is free again.
    pub fn completed(&mut self, ordinal: u64, bytes: usize) {
        self.incomplete.remove(&ordinal);
        self.buffered_bytes = self.buffered_bytes.saturating_sub(bytes as u64);
    }
    /// True if somebody waits for batches to be completed.
    pub fn awaited(&self) -> bool {
        self.hurry()
    }
    /// What the next batch will be called: everything before it is older.
    pub fn next_ordinal(&self) -> u64 {
        self.next_ordinal
    }
    /// True if every batch older than `ordinal` is complete.
    pub fn complete_before(&self, ordinal: u64) -> bool {
        self.incomplete.first().is_none_or(|oldest| *oldest >= ordinal)
    }
    /// How long a broker may wait for its followers, in milliseconds.
    pub fn request_timeout_ms(&self) -> i32 {
        i32::try_from(self.cfg.common.request_timeout_ms).unwrap_or(i32::MAX)
    }
    /// When the producer id should be asked for; [`u64::MAX`] if it need not.
    pub fn enrolment_due_ns(&self) -> u64 {
        match self.enrolment {
            Enrolment::Wanted { not_before_ns, .. } => not_before_ns,
            _ => u64::MAX,
        }
    }
}

fn leader_of(
    metadata: &Metadata,
    known: Option<&crate::client::metadata::Topic>,
    partition: usize,
) -> (BrokerId, LeaderEpoch) {
    match known.and_then(|t| t.partitions.get(partition)) {
        Some(p) if metadata.brokers().contains_key(&p.leader) => (p.leader, p.leader_epoch),
        Some(p) => (BrokerId::NONE, p.leader_epoch),
        None => (BrokerId::NONE, LeaderEpoch::NONE),
    }
}

/// An upper bound of what a record adds to a batch, alone in it.
fn size_bound(record: &Record) -> usize {
    const OVERHEAD: usize = crate::log::batch::HEADER_LEN + 21;
    let len = |bytes: &Option<bytes::Bytes>| bytes.as_ref().map_or(0, bytes::Bytes::len) + 5;
    let headers: usize = record.headers.iter().map(|(key, value)| key.len() + 5 + len(value)).sum();
    OVERHEAD + len(&record.key) + len(&record.value) + headers
}
