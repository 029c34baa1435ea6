//! One broker of the pure world: a core, what its page cache holds, and its view of the metadata.

use std::collections::VecDeque;

use super::controller::Record;
use crate::base::{BrokerEpoch, BrokerId, LeaderEpoch, Now, Offset};
use crate::log::epochs::EpochCache;
use crate::log::producers::ProducerStates;
use crate::log::state::LogState;
use crate::replica::{BatchSpan, BrokerTable, Ctx, Output, ReplicaConfig, ReplicaCore};

pub const CONFIG: ReplicaConfig = ReplicaConfig { lag_time_max_ms: 1_000, min_insync_replicas: 2 };

/// A batch and the one value in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    pub span: BatchSpan,
    pub value: u64,
}

#[derive(Debug)]
pub struct Node {
    pub id: BrokerId,
    /// None while the process is down.
    pub core: Option<ReplicaCore>,
    pub disk: Vec<Stored>,
    pub epochs: EpochCache,
    pub checkpoint: Offset,
    /// Appends on their way to the page cache: generation and end.
    pub pending: VecDeque<(u64, Offset)>,
    pub broker_epoch: BrokerEpoch,
    pub brokers: BrokerTable,
    pub applied: usize,
    /// The leadership and high watermark that were last seen here.
    pub watched: (LeaderEpoch, Offset),
}

impl Node {
    pub fn new(id: BrokerId) -> Self {
        Self {
            id,
            core: None,
            disk: Vec::new(),
            epochs: EpochCache::default(),
            checkpoint: Offset::ZERO,
            pending: VecDeque::new(),
            broker_epoch: BrokerEpoch::NONE,
            brokers: BrokerTable::default(),
            applied: 0,
            watched: (LeaderEpoch::NONE, Offset::ZERO),
        }
    }
    /// Opens the log; metadata is caught up with in one step, before anything is served.
    pub fn start(&mut self, epoch: BrokerEpoch, log: &[Record], now: u64, out: &mut Vec<Output>) {
        let end = self.disk.last().map_or(Offset::ZERO, |b| b.span.next);
        let recovered = LogState::recovered(Offset::ZERO, end, self.epochs.clone());
        self.core = Some(ReplicaCore::new(self.id, CONFIG, recovered, ProducerStates::new(), self.checkpoint));
        self.broker_epoch = epoch;
        self.watched = (LeaderEpoch::NONE, Offset::ZERO);
        let mut last = None;
        for record in log {
            match record {
                Record::Partition(_) => last = Some(record),
                Record::Broker(id, b) => self.brokers.insert(*id, *b),
            }
        }
        self.applied = log.len();
        if let Some(record) = last {
            self.apply(record, now, out);
        }
    }
    /// The process dies; the page cache survives.
    pub fn crash(&mut self) {
        let Some(core) = self.core.take() else { return };
        let visible = core.log().visible_end();
        self.epochs = core.log().epochs().clone();
        self.epochs.truncate_from_end(visible);
        self.disk.retain(|b| b.span.next <= visible);
        self.pending.clear();
    }
    pub fn apply_next(&mut self, log: &[Record], now: u64, out: &mut Vec<Output>) {
        if self.core.is_some() && self.applied < log.len() {
            self.applied += 1;
            self.apply(&log[self.applied - 1], now, out);
        }
    }
    fn apply(&mut self, record: &Record, now: u64, out: &mut Vec<Output>) {
        match record {
            Record::Broker(id, b) => self.brokers.insert(*id, *b),
            Record::Partition(state) if state.leader == self.id => {
                self.with(now, |core, ctx| core.become_leader(ctx, state, out));
            }
            Record::Partition(state) => {
                self.with(now, |core, _| core.become_follower(state, out));
            }
        }
    }
    /// Runs `f` on the core if the process is up.
    pub fn with<T>(&mut self, now: u64, f: impl FnOnce(&mut ReplicaCore, &Ctx) -> T) -> Option<T> {
        let now = Now { mono_ns: now * 1_000_000, wall_ms: now as i64 };
        let ctx = Ctx { now, brokers: &self.brokers, broker_epoch: self.broker_epoch };
        self.core.as_mut().map(|core| f(core, &ctx))
    }
    /// The writer finishes its oldest append.
    pub fn flush_one(&mut self, now: u64, out: &mut Vec<Output>) {
        if let Some((generation, end)) = self.pending.pop_front() {
            self.with(now, |core, ctx| core.appended(ctx, generation, end, out));
        }
    }
    pub fn store(&mut self, batches: &[Stored]) {
        let Some(last) = batches.last() else { return };
        self.disk.extend(batches);
        let generation = self.core.as_ref().map_or(0, |c| c.log().generation());
        self.pending.push_back((generation, last.span.next));
    }
    pub fn holds(&self, batch: &Stored) -> bool {
        self.disk.contains(batch)
    }
    /// What this replica holds below `end`.
    pub fn below(&self, end: Offset) -> &[Stored] {
        &self.disk[..self.disk.partition_point(|b| b.span.next <= end)]
    }
}
