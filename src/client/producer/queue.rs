//! One partition's batches: those that wait, those on the wire, and the sequences that keep them in order.
//!
//! Pure. Kafka spreads this over `RecordAccumulator` and `TransactionManager`. What must hold:
//! - batches wait in the order of their ordinals, and sequences follow that order;
//! - a batch that has been sent keeps its sequence, because the broker may have appended it, until the epoch is bumped (KIP-360);
//! - a batch that is sent again goes alone: the next one leaves when it has been answered. So does the first batch under an identity.
//!   A broker without state for a producer takes any sequence, and a broker may have lost its state, so a second batch could overtake a
//!   first one that was refused (KAFKA-14359, which Kafka's own client runs into, because it holds back only batches that have a
//!   sequence already);
//! - an idempotent batch that is too large is split only if it is known not to be in the log, which it may be if `max.message.bytes` has
//!   changed since. Kafka splits it all the same, and its halves, which no broker knows again, can be written twice;
//! - the epoch is bumped for a partition only while nothing of it is on the wire and its first batch is known not to be in the log, now
//!   and later: a broker goes on with the requests of a connection that is over, one after the other. A batch that was once sent without
//!   an answer is therefore given up, with an unknown outcome, where it would have to be renumbered. Kafka's `canRetry` is laxer: it
//!   renumbers what may be in the log or still come into it, and can write it twice.

use super::batch::{Identity, Outcome, ProducerBatch};
use super::record::SendError;
use super::verdict::{self, Answer};
use crate::base::bugs::{Bug, planted};
use crate::base::marks::{Mark, mark};
use crate::base::time::NANOS_PER_MS;
use crate::base::{LeaderEpoch, Now, Offset};
use crate::client::config::Acks;
use crate::log::batch::increment_sequence;
use kafka_protocol::ResponseError;
use std::collections::VecDeque;

/// What all partitions of a producer go by.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub acks: Acks,
    pub idempotent: bool,
    pub batch_size: usize,
    pub linger_ns: u64,
    pub delivery_timeout_ns: u64,
    pub retries: u32,
}

/// When a partition's first batch may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    Now,
    /// At this monotonic time in nanoseconds.
    At(u64),
    /// Not before something happens.
    Blocked,
}

/// What an answer meant.
pub(super) enum Judged {
    /// The batch is over.
    Done(ProducerBatch, Outcome),
    /// It will be sent again.
    Again,
    /// It was too large and became two; the second one's ordinal.
    Split(u64),
    /// It had been given up before.
    Forgotten,
}

#[derive(Default)]
pub(super) struct PartitionQueue {
    /// In the order of ordinals; those with a sequence stand before those without.
    waiting: VecDeque<ProducerBatch>,
    /// Sent and not answered, in the order of ordinals.
    on_wire: Vec<ProducerBatch>,
    /// Whose sequences these are.
    identity: Option<Identity>,
    next_sequence: i32,
    /// The last batch that was acknowledged in this identity: its ordinal and the sequence that follows it.
    last_acked: Option<(u64, i32)>,
    /// A batch was given up after it had been sent; this is the sequence that follows it.
    unresolved: Option<i32>,
    bump_wanted: bool,
}

impl PartitionQueue {
    /// The batch that new records go to, if it has begun.
    pub fn last_mut(&mut self) -> Option<&mut ProducerBatch> {
        self.waiting.back_mut()
    }
    pub fn push(&mut self, batch: ProducerBatch) {
        assert!(self.waiting.back().is_none_or(|last| last.ordinal < batch.ordinal), "ordinals ascend");
        self.waiting.push_back(batch);
    }
    pub fn len(&self) -> usize {
        self.waiting.len()
    }
    /// Bytes of the first batch.
    pub fn first_size(&self) -> usize {
        self.waiting.front().map_or(0, ProducerBatch::size)
    }
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
    /// True if a batch will never take another record.
    pub fn full(&self, batch_size: usize) -> bool {
        self.waiting.len() > 1 || self.waiting.front().is_some_and(|b| b.size() >= batch_size || b.attempts > 0)
    }

    /// When the first batch may leave for the leader of epoch `leader`. `hurry` forgets lingering.
    pub fn readiness(
        &self,
        now: Now,
        identity: Option<Identity>,
        leader: LeaderEpoch,
        hurry: bool,
        rules: &Rules,
    ) -> Readiness {
        let Some(front) = self.waiting.front() else { return Readiness::Blocked };
        if rules.idempotent && !self.sequence_permits(front, identity) {
            return Readiness::Blocked;
        }
        let backing_off = front.attempts > 0 && front.retry_at_ns > now.mono_ns && leader <= front.sent_to;
        let lingered = front.created_ns.saturating_add(rules.linger_ns);
        match () {
            () if backing_off => Readiness::At(front.retry_at_ns),
            () if hurry || self.full(rules.batch_size) || lingered <= now.mono_ns => Readiness::Now,
            () => Readiness::At(lingered),
        }
    }
    fn sequence_permits(&self, front: &ProducerBatch, identity: Option<Identity>) -> bool {
        let Some(identity) = identity else { return false };
        match front.sequence() {
            // Sent before: in its turn, and while a bump is due only to learn what became of it.
            Some(_) => {
                let next = self.on_wire.first().is_none_or(|b| b.ordinal > front.ordinal);
                next && (!self.bump_wanted || front.unsettled)
            }
            None => {
                let settled = self.unresolved.is_none() && !self.bump_wanted;
                let retried = self.on_wire.iter().any(|b| b.attempts > 1);
                let known = self.identity == Some(identity) && self.last_acked.is_some();
                settled && (self.on_wire.is_empty() || known && !retried)
            }
        }
    }

    /// Takes the first batch, which must be ready, to the wire.
    pub fn send(&mut self, now: Now, identity: Option<Identity>, leader: LeaderEpoch, rules: &Rules) -> &ProducerBatch {
        let mut batch = self.waiting.pop_front().expect("a ready partition has a batch");
        if batch.attempts == 0 {
            batch.seal(rules.idempotent.then(|| self.assign(identity, batch.count())));
        }
        if batch.attempts > 0 {
            mark(Mark::BatchSentAgain);
        }
        batch.attempts += 1;
        batch.first_sent_ns.get_or_insert(now.mono_ns);
        batch.sent_to = leader;
        let at = self.on_wire.partition_point(|b| b.ordinal < batch.ordinal);
        self.on_wire.insert(at, batch);
        &self.on_wire[at]
    }
    fn assign(&mut self, identity: Option<Identity>, count: i32) -> (Identity, i32) {
        let identity = identity.expect("an idempotent producer sends under its identity");
        if self.identity != Some(identity) {
            (self.identity, self.next_sequence, self.last_acked) = (Some(identity), 0, None);
        }
        let base = self.next_sequence;
        self.next_sequence = increment_sequence(base, count);
        (identity, base)
    }

    /// Takes a broker's answer, or its absence, about the batch with this ordinal; `backoff_ms` gives the pause before attempt n + 1.
    pub fn answered(
        &mut self,
        ordinal: u64,
        answer: &Answer,
        now: Now,
        rules: &Rules,
        backoff_ms: impl FnOnce(u32) -> u64,
    ) -> Judged {
        let Some(at) = self.on_wire.iter().position(|b| b.ordinal == ordinal) else { return Judged::Forgotten };
        let mut batch = self.on_wire.remove(at);
        let Some(error) = answer.error.filter(|e| *e != ResponseError::DuplicateSequenceNumber) else {
            return self.acked(batch, answer);
        };
        batch.astray |= answer.lost;
        if verdict::may_have_appended(error, rules.acks) {
            (batch.maybe_written, batch.unsettled) = (true, true);
        } else if verdict::log_lacks_batch(error) {
            batch.unsettled = batch.astray;
        }
        let known = !rules.idempotent || !batch.unsettled;
        if error == ResponseError::MessageTooLarge && batch.can_split() && known {
            return self.requeue_halves(batch.split());
        }
        let expired = now.mono_ns >= batch.created_ns.saturating_add(rules.delivery_timeout_ns);
        let again = !expired && batch.attempts <= rules.retries && self.may_retry(&batch, error, answer, rules);
        if again && !self.must_give_up(&batch, error) {
            batch.retry_at_ns = now.after_ms(backoff_ms(batch.attempts - 1));
            self.requeue(batch);
            return Judged::Again;
        }
        if rules.idempotent {
            self.bump_wanted = true;
        }
        let definite = !batch.maybe_written;
        Judged::Done(batch, Outcome::Failed(SendError { error, definite }))
    }
    fn acked(&mut self, batch: ProducerBatch, answer: &Answer) -> Judged {
        if let (Some((identity, _)), Some(next)) = (batch.sequence(), batch.next_sequence())
            && self.identity == Some(identity)
        {
            self.last_acked = self.last_acked.max(Some((batch.ordinal, next)));
        }
        // A duplicate that the broker remembers is answered as a success; one that it has forgotten has no offset (KIP-360).
        let base_offset = if answer.error.is_some() { Offset::NONE } else { answer.base_offset };
        Judged::Done(batch, Outcome::Acked { base_offset, log_append_time: answer.log_append_time })
    }
    fn requeue_halves(&mut self, (first, second): (ProducerBatch, ProducerBatch)) -> Judged {
        mark(Mark::BatchSplit);
        let ordinal = second.ordinal;
        self.requeue(first);
        self.requeue(second);
        Judged::Split(ordinal)
    }
    fn requeue(&mut self, batch: ProducerBatch) {
        let at = self.waiting.partition_point(|b| b.ordinal < batch.ordinal);
        self.waiting.insert(at, batch);
    }

    /// Kafka's `TransactionManager.canRetry`: a gap before a batch cures itself if an earlier batch is still to come; otherwise the log
    /// has lost something, and the epoch must be bumped.
    fn may_retry(&mut self, batch: &ProducerBatch, error: ResponseError, answer: &Answer, rules: &Rules) -> bool {
        let Some((_, base)) = batch.sequence().filter(|_| rules.idempotent) else { return error.is_retriable() };
        match error {
            ResponseError::UnknownProducerId => {
                self.bump_wanted |= answer.log_start_offset != Offset::NONE;
                true
            }
            ResponseError::OutOfOrderSequenceNumber => {
                self.bump_wanted |= match self.unresolved {
                    Some(next) => next == base,
                    None => self.follows_last_acked(base),
                };
                true
            }
            _ => error.is_retriable(),
        }
    }
    /// The epoch is about to be bumped, and an attempt in this one may still be appended.
    fn must_give_up(&self, batch: &ProducerBatch, error: ResponseError) -> bool {
        self.bump_wanted && batch.astray && verdict::log_lacks_batch(error)
    }
    fn follows_last_acked(&self, sequence: i32) -> bool {
        self.last_acked.map_or(0, |(_, next)| next) == sequence
    }

    /// Gives up what has waited for delivery.timeout.ms, oldest first.
    pub fn expire(&mut self, now: Now, rules: &Rules, done: &mut Vec<(ProducerBatch, Outcome)>) {
        let expired = |b: &ProducerBatch| now.mono_ns >= b.created_ns.saturating_add(rules.delivery_timeout_ns);
        while let Some(sent) = self.on_wire.first().filter(|b| expired(b)) {
            self.unresolved = sent.next_sequence();
            let mut batch = self.on_wire.remove(0);
            batch.maybe_written = true;
            done.push(given_up(batch));
        }
        while let Some(waiting) = self.waiting.front().filter(|b| expired(b)) {
            self.unresolved = waiting.next_sequence().or(self.unresolved);
            done.extend(self.waiting.pop_front().map(given_up));
        }
    }
    /// When the next batch will have waited for delivery.timeout.ms.
    pub fn expires_ns(&self, rules: &Rules) -> Option<u64> {
        let oldest = self.on_wire.first().into_iter().chain(self.waiting.front()).map(|b| b.created_ns).min();
        oldest.map(|created| created.saturating_add(rules.delivery_timeout_ns))
    }
    /// Gives up everything, with this error.
    pub fn fail_all(&mut self, error: ResponseError, done: &mut Vec<(ProducerBatch, Outcome)>) {
        for sent in &mut self.on_wire {
            sent.maybe_written = true;
        }
        for batch in self.on_wire.drain(..).chain(self.waiting.drain(..)) {
            let definite = !batch.maybe_written;
            done.push((batch, Outcome::Failed(SendError { error, definite })));
        }
    }

    /// Decides about batches that were given up after they had been sent (Kafka's `maybeResolveSequences`).
    pub fn resolve(&mut self) {
        let outstanding = !self.on_wire.is_empty() || self.waiting.front().is_some_and(|b| b.sequence().is_some());
        if self.unresolved.is_some() && !outstanding {
            self.unresolved = None;
            self.bump_wanted |= !self.follows_last_acked(self.next_sequence);
        }
    }
    /// True if this partition needs a new epoch, and renumbering its batches cannot write one of them twice.
    pub fn bump_is_safe(&self) -> bool {
        let first_unsettled = self.waiting.front().is_some_and(|b| b.sequence().is_some() && b.unsettled);
        self.bump_wanted && self.on_wire.is_empty() && !first_unsettled
    }
    /// Starts over at sequence 0 under a new identity, keeping the order.
    pub fn renumber(&mut self, identity: Identity) {
        assert!(self.on_wire.is_empty(), "a batch on the wire keeps its sequence");
        if planted(Bug::SequenceReassignedOutOfOrder) {
            let sent = self.waiting.iter().take_while(|b| b.sequence().is_some()).count();
            self.waiting.make_contiguous()[..sent].reverse();
        }
        let mut next = 0;
        for batch in self.waiting.iter_mut().take_while(|b| b.sequence().is_some()) {
            batch.seal(Some((identity, next)));
            next = increment_sequence(next, batch.count());
        }
        *self = Self {
            waiting: std::mem::take(&mut self.waiting),
            identity: Some(identity),
            next_sequence: next,
            ..Self::default()
        };
    }
}

fn given_up(batch: ProducerBatch) -> (ProducerBatch, Outcome) {
    let definite = !batch.maybe_written;
    (batch, Outcome::Failed(SendError { error: ResponseError::RequestTimedOut, definite }))
}

impl Rules {
    /// As a producer's settings say.
    pub fn new(cfg: &crate::client::config::ProducerConfig) -> Self {
        Self {
            acks: cfg.acks,
            idempotent: cfg.idempotent(),
            batch_size: cfg.batch_size as usize,
            linger_ns: cfg.linger_ms.saturating_mul(NANOS_PER_MS),
            delivery_timeout_ns: cfg.delivery_timeout_ms.saturating_mul(NANOS_PER_MS),
            retries: cfg.retries,
        }
    }
}
