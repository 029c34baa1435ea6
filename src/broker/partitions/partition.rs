//! One partition on this broker: a replica core and its log under one lock, which is never held across an await.
//!
//! Whatever the core puts out is carried out under that lock and in that order, so that memory, disk queue and probes
//! agree on what came first.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::api::{PartitionView, Role};
use super::content::LogSize;
use super::fetchers::FollowedPartition;
use super::shared::Shared;
use super::throttle::Throttled;
use crate::base::marks::{Mark, mark};
use crate::base::{BrokerId, LeaderEpoch, Offset, TopicId, TopicPartition};
use crate::broker::probe::{BatchMark, Event};
use crate::io::{task, time};
use crate::log::batch::BatchView;
use crate::log::compaction::{Swap, Swapped};
use crate::log::producers::ProducerBatch;
use crate::log::writer::{Completion, LogHandle, Op};
use crate::log::{LogConfig, LogReader, retention};
use crate::replica::{
    Acks, Admission, Ctx, FetchAnswer, FetchPosition, FetchToken, Output, PartitionState, ReplicaConfig, ReplicaCore,
    Verdict,
};

/// See the module.
#[derive(Debug)]
pub(super) struct Partition {
    pub tp: TopicPartition,
    pub topic_id: TopicId,
    pub throttled: Throttled,
    shared: Arc<Shared>,
    cell: Mutex<Cell>,
}

#[derive(Debug)]
struct Cell {
    config: ReplicaConfig,
    log_config: LogConfig,
    /// What metadata said last, kept for the moment when the log is open.
    state: Option<PartitionState>,
    open: Option<Open>,
    /// The partition has left this broker.
    stopped: bool,
}

#[derive(Debug)]
struct Open {
    core: ReplicaCore,
    log: LogHandle,
    /// Batches that are on their way to the page cache.
    marks: VecDeque<Incoming>,
    /// Whose fetcher reads for this replica.
    following: Option<BrokerId>,
    closed: Option<oneshot::Sender<()>>,
    /// The cleaner, which waits for its segments to be put in place.
    cleaner: Option<oneshot::Sender<bool>>,
    out: Vec<Output>,
}

/// A batch on its way to the page cache.
#[derive(Clone, Copy, Debug)]
pub(super) struct Incoming {
    pub mark: BatchMark,
    /// Its size, if it was copied from a leader's log; 0 if a producer sent it.
    pub copied: u64,
}

/// What a leader did with a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Appended {
    pub base: Offset,
    pub next: Offset,
    pub epoch: LeaderEpoch,
    pub log_start: Offset,
    /// True if the producer can be answered at once.
    pub done: bool,
}

impl Partition {
    pub fn new(
        shared: Arc<Shared>,
        tp: TopicPartition,
        topic_id: TopicId,
        config: ReplicaConfig,
        log_config: LogConfig,
    ) -> Self {
        let cell = Cell { config, log_config, state: None, open: None, stopped: false };
        Self { tp, topic_id, throttled: Throttled::default(), shared, cell: Mutex::new(cell) }
    }
    /// The log is open: the replica comes to life and takes the role that metadata has given it meanwhile.
    pub fn opened(self: &Arc<Self>, core: ReplicaCore, log: LogHandle) {
        let open =
            Open { core, log, marks: VecDeque::new(), following: None, closed: None, cleaner: None, out: Vec::new() };
        let brokers = self.shared.brokers.read();
        let ctx = self.shared.ctx(&brokers);
        let mut cell = self.cell.lock();
        if cell.stopped {
            return;
        }
        let (config, log_config, state) = (cell.config, cell.log_config, cell.state.clone());
        let open = cell.open.insert(open);
        open.core.reconfigure(&ctx, config, &mut open.out);
        self.submit(open, &ctx, Op::Configure(log_config));
        if let Some(state) = state {
            self.enter(open, &ctx, &state);
        }
    }
    /// Runs `f` on the core and carries out what it asks for. None while the log is not open.
    pub fn with<R>(self: &Arc<Self>, f: impl FnOnce(&mut ReplicaCore, &Ctx, &mut Vec<Output>) -> R) -> Option<R> {
        self.locked(|open, ctx| {
            let result = f(&mut open.core, ctx, &mut open.out);
            self.carry_out(open, ctx);
            result
        })
    }
    /// A waiting fetch watches no longer.
    pub fn unwatch(&self, token: FetchToken) {
        if let Some(open) = self.cell.lock().open.as_mut() {
            open.core.unwatch_fetch(token);
        }
    }
    /// Looks at the core. None while the log is not open.
    pub fn look<R>(&self, f: impl FnOnce(&ReplicaCore) -> R) -> Option<R> {
        self.cell.lock().open.as_ref().map(|open| f(&open.core))
    }
    /// The log's reader. None while the log is not open.
    pub fn reader(&self) -> Option<LogReader> {
        self.cell.lock().open.as_ref().map(|open| open.log.reader().clone())
    }
    fn locked<R>(&self, f: impl FnOnce(&mut Open, &Ctx) -> R) -> Option<R> {
        let brokers = self.shared.brokers.read();
        let ctx = self.shared.ctx(&brokers);
        let mut cell = self.cell.lock();
        cell.open.as_mut().map(|open| f(open, &ctx))
    }
    /// Takes the role that metadata gives to this replica.
    pub fn set_state(self: &Arc<Self>, state: PartitionState) {
        let brokers = self.shared.brokers.read();
        let ctx = self.shared.ctx(&brokers);
        let mut cell = self.cell.lock();
        if let Some(open) = cell.open.as_mut() {
            self.enter(open, &ctx, &state);
        }
        cell.state = Some(state);
    }
    /// The topic's settings changed.
    pub fn reconfigure(self: &Arc<Self>, config: ReplicaConfig, log_config: LogConfig) {
        {
            let mut cell = self.cell.lock();
            (cell.config, cell.log_config) = (config, log_config);
        }
        self.locked(|open, ctx| {
            open.core.reconfigure(ctx, config, &mut open.out);
            self.submit(open, ctx, Op::Configure(log_config));
            self.carry_out(open, ctx);
        });
    }
    /// The settings of the log.
    pub fn log_config(&self) -> LogConfig {
        self.cell.lock().log_config
    }
    /// Lets go of the oldest segments, as far as the topic's retention asks for it (`LogManager.cleanupLogs`).
    pub fn retain(self: &Arc<Self>) {
        let config = self.log_config();
        self.locked(|open, ctx| {
            let (segments, core) = (open.log.reader().segments(), &open.core);
            let (start, high_watermark) = (core.log().log_start(), core.high_watermark());
            let Some(plan) = retention::plan(&segments, &config, start, high_watermark, ctx.now.wall_ms) else {
                return;
            };
            mark(Mark::RetentionMovedStart);
            tracing::info!(partition = %self.tp, from = %start, to = %plan.start, "retention moves the log start");
            if plan.roll {
                self.submit(open, ctx, Op::Roll);
                self.snapshot_producers(open, ctx, open.core.log().log_end());
            }
            open.core.advance_log_start(plan.start, &mut open.out);
            if open.core.log().log_start() == start {
                // DeleteRecords has moved the start before; the segments below it have become deletable since.
                self.delete_below(open, ctx, start);
            }
            self.carry_out(open, ctx);
        });
    }
    /// Takes a producer's batch in as leader.
    ///
    /// # Errors
    /// NOT_LEADER_OR_FOLLOWER while the log is not open; those of [`ReplicaCore::append_as_leader`].
    pub fn append(self: &Arc<Self>, acks: Acks, batch: BatchView) -> Result<Appended, ResponseError> {
        self.append_in(None, acks, batch)
    }
    /// As [`Self::append`], but in one leadership alone.
    ///
    /// # Errors
    /// Also NOT_LEADER_OR_FOLLOWER in any other.
    pub fn append_in(
        self: &Arc<Self>,
        leadership: Option<LeaderEpoch>,
        acks: Acks,
        batch: BatchView,
    ) -> Result<Appended, ResponseError> {
        let appended = self.locked(|open, ctx| {
            if leadership.is_some_and(|epoch| epoch != open.core.leader_epoch()) {
                return Err(ResponseError::NotLeaderOrFollower);
            }
            let admission = open.core.append_as_leader(acks, &ProducerBatch::of(&batch))?;
            let (base, next) = match admission {
                Admission::Duplicate { base, next } => (base, next),
                Admission::Append(a) => {
                    let mark = BatchMark { base: a.base, next: a.next, epoch: a.epoch, crc: batch.crc() };
                    open.marks.push_back(Incoming { mark, copied: 0 });
                    let bytes = batch.stamped(a.base, a.epoch);
                    self.submit(open, ctx, Op::Append { bytes, generation: a.generation });
                    self.carry_out(open, ctx);
                    (a.base, a.next)
                }
            };
            let (epoch, log_start) = (open.core.leader_epoch(), open.core.log().log_start());
            Ok(Appended { base, next, epoch, log_start, done: open.core.is_done(next, acks) })
        });
        appended.unwrap_or(Err(ResponseError::NotLeaderOrFollower))
    }
    /// Takes a leader's answer in as follower; `bytes` holds the answer's batches, `marks` identify them.
    pub fn take_answer(
        self: &Arc<Self>,
        asked: &FetchPosition,
        answer: &FetchAnswer,
        marks: &[Incoming],
        bytes: impl FnOnce(usize) -> Bytes,
    ) -> Verdict {
        let verdict = self.locked(|open, ctx| {
            let verdict = open.core.fetch_answer(asked, answer, &mut open.out);
            self.carry_out(open, ctx);
            if let Verdict::Proceed { batches: batches @ 1.. } = verdict {
                open.marks.extend(&marks[..batches]);
                let generation = open.core.log().generation();
                self.submit(open, ctx, Op::Append { bytes: bytes(batches), generation });
                self.carry_out(open, ctx);
            }
            verdict
        });
        verdict.unwrap_or(Verdict::Stale)
    }
    /// What the writer has done.
    pub fn completed(self: &Arc<Self>, completion: Completion) {
        self.locked(|open, ctx| {
            self.complete(open, ctx, completion);
            self.carry_out(open, ctx);
            if let Some(leader) = open.following {
                self.shared.fetchers.ring(leader);
            }
        });
    }
    /// Leaves this broker: nothing is served from here on. Returns what waits for the log to be closed.
    pub fn stop(self: &Arc<Self>) -> Option<oneshot::Receiver<()>> {
        self.cell.lock().stopped = true;
        self.locked(|open, ctx| {
            self.unfollow(open);
            let failed = open.core.is_failed();
            open.core.stop(&mut open.out);
            self.carry_out(open, ctx);
            let (sender, receiver) = oneshot::channel();
            if !failed {
                open.closed = Some(sender);
                self.snapshot_producers(open, ctx, open.core.log().log_end());
                self.submit(open, ctx, Op::Close);
            }
            receiver
        })
    }
    /// Lets go of the log; its writer ends.
    pub fn close(&self) {
        self.cell.lock().open = None;
    }
    /// Asks for the log to be made durable.
    pub fn sync(self: &Arc<Self>) {
        self.locked(|open, ctx| {
            let generation = open.core.log().generation();
            self.submit(open, ctx, Op::Sync { generation });
            self.carry_out(open, ctx);
        });
    }
    /// Puts rewritten segments in place; true if that was done, false if the log has changed there or is closed.
    pub async fn swap(self: &Arc<Self>, swap: Swap) -> bool {
        let (sender, receiver) = oneshot::channel();
        self.locked(|open, ctx| {
            self.shared.probe.tell(Event::LogSwapping { tp: self.tp.clone(), next: swap.next() });
            open.cleaner = Some(sender);
            self.submit(open, ctx, Op::Swap(swap));
            self.carry_out(open, ctx);
        });
        receiver.await.unwrap_or(false)
    }
    /// A plain snapshot.
    pub fn view(&self) -> PartitionView {
        let cell = self.cell.lock();
        let core = cell.open.as_ref().map(|open| &open.core);
        let log = core.map(ReplicaCore::log);
        let at = |f: fn(&crate::log::state::LogState) -> Offset| log.map_or(Offset::ZERO, f);
        PartitionView {
            tp: self.tp.clone(),
            topic_id: self.topic_id,
            role: match core {
                Some(core) if core.is_leader() => Role::Leader,
                Some(core) if core.is_follower() => Role::Follower,
                _ => Role::Offline,
            },
            leader: core.map_or(BrokerId::NONE, ReplicaCore::leader),
            leader_epoch: core.map_or(LeaderEpoch::NONE, ReplicaCore::leader_epoch),
            log_start: at(crate::log::state::LogState::log_start),
            log_end: at(crate::log::state::LogState::visible_end),
            durable_end: at(crate::log::state::LogState::durable_end),
            high_watermark: core.map_or(Offset::ZERO, ReplicaCore::high_watermark),
            isr: core.map_or_else(Vec::new, |core| core.isr().to_vec()),
        }
    }
    /// How much the log holds; None while it is not open.
    pub fn size(&self) -> Option<LogSize> {
        let cell = self.cell.lock();
        let open = cell.open.as_ref()?;
        let bytes = open.log.reader().segments().iter().map(|segment| segment.size).sum();
        let lag = (open.core.high_watermark() - open.core.log().visible_end()).max(0);
        Some(LogSize { tp: self.tp.clone(), bytes, lag })
    }
    fn enter(self: &Arc<Self>, open: &mut Open, ctx: &Ctx, state: &PartitionState) {
        let (tp, probe) = (&self.tp, &self.shared.probe);
        if state.leader == self.shared.config.id {
            if open.core.become_leader(ctx, state, &mut open.out) {
                self.unfollow(open);
                let (epoch, log_end) = (open.core.leader_epoch(), open.core.log().log_end());
                let high_watermark = open.core.high_watermark();
                probe.tell(Event::LeaderStarted { tp: tp.clone(), epoch, log_end, high_watermark });
            }
        } else if open.core.become_follower(state, &mut open.out) {
            self.unfollow(open);
            let (epoch, leader) = (open.core.leader_epoch(), state.leader);
            probe.tell(Event::FollowerStarted { tp: tp.clone(), epoch, leader });
            if leader != BrokerId::NONE {
                open.following = Some(leader);
                let followed = FollowedPartition { partition: self.clone(), epoch };
                self.shared.fetchers.follow(&self.shared, leader, followed);
            }
        }
        self.carry_out(open, ctx);
    }
    fn unfollow(&self, open: &mut Open) {
        if let Some(leader) = open.following.take() {
            self.shared.fetchers.unfollow(leader, self.topic_id, self.tp.partition);
        }
    }
    fn carry_out(self: &Arc<Self>, open: &mut Open, ctx: &Ctx) {
        while !open.out.is_empty() {
            let mut out = std::mem::take(&mut open.out);
            for output in out.drain(..) {
                self.handle(open, ctx, output);
            }
            if open.out.is_empty() {
                open.out = out; // Keeps the allocation.
            }
        }
    }
    fn handle(self: &Arc<Self>, open: &mut Open, ctx: &Ctx, output: Output) {
        match output {
            Output::ProduceDone { token, result } => self.shared.requests.produce_done(token, result),
            Output::FetchReady(token) => self.shared.requests.fetch_ready(token),
            Output::ProposeIsr(proposal) => self.shared.isr.push(self, proposal),
            Output::Truncate { to, generation } => {
                self.truncated(open, to);
                self.submit(open, ctx, Op::Truncate { to, generation });
                self.write_epochs(open, ctx);
            }
            Output::TruncateFully { start, generation } => {
                self.truncated(open, start);
                self.submit(open, ctx, Op::TruncateFully { start, generation });
                self.write_epochs(open, ctx);
            }
            Output::LogStart(start) => {
                self.shared.probe.tell(Event::LogStart { tp: self.tp.clone(), start });
                self.delete_below(open, ctx, start);
            }
            Output::EpochsChanged => self.write_epochs(open, ctx),
            Output::HighWatermark(high_watermark) => self.shared.probe.tell(Event::HighWatermark {
                tp: self.tp.clone(),
                epoch: open.core.leader_epoch(),
                leading: open.core.is_leader(),
                high_watermark,
                log_end: open.core.log().visible_end(),
            }),
            Output::RebuildProducers => {
                drop(task::spawn("rebuild-producers", rebuild_producers(self.clone(), open.log.reader().clone())));
            }
        }
    }
    /// Lets go of the segments below `start`; their files are removed after `file.delete.delay.ms`.
    fn delete_below(self: &Arc<Self>, open: &mut Open, ctx: &Ctx, start: Offset) {
        self.submit(open, ctx, Op::DeleteBelow { start });
        let partition = Arc::downgrade(self);
        drop(task::spawn("file-delete", async move {
            let Some(delay) = partition.upgrade().map(|p| p.log_config().file_delete_delay_ms) else { return };
            time::sleep(Duration::from_millis(delay)).await;
            if let Some(partition) = partition.upgrade() {
                partition.locked(|open, ctx| {
                    partition.submit(open, ctx, Op::RemoveDoomed);
                    partition.carry_out(open, ctx);
                });
            }
        }));
    }
    fn truncated(&self, open: &mut Open, to: Offset) {
        open.marks.clear();
        let start = open.core.log().log_start();
        tracing::info!(partition = %self.tp, %to, "truncated");
        self.shared.probe.tell(Event::LogTruncated { tp: self.tp.clone(), to, start });
    }
    fn write_epochs(self: &Arc<Self>, open: &mut Open, ctx: &Ctx) {
        let entries = open.core.log().epochs().entries().to_vec();
        self.submit(open, ctx, Op::WriteEpochs { entries });
    }
    fn submit(self: &Arc<Self>, open: &mut Open, ctx: &Ctx, op: Op) {
        if let Some(completion) = open.log.submit(op) {
            self.complete(open, ctx, completion);
        }
    }
    /// Writes down what was known of the producers when the log ended at `at`. A queued step, like any other: a truncation
    /// that comes later comes after it.
    fn snapshot_producers(self: &Arc<Self>, open: &mut Open, ctx: &Ctx, at: Offset) {
        // Deeper than what can be taken back: the next segment has another.
        if let Some(states) = open.core.producers().as_of(at) {
            self.submit(open, ctx, Op::WriteProducers { at, content: states.to_snapshot() });
        }
    }
    fn complete(self: &Arc<Self>, open: &mut Open, ctx: &Ctx, completion: Completion) {
        match completion {
            Completion::Appended { generation, end, flushed, rolled } => {
                if generation == open.core.log().generation() {
                    if let Some(at) = rolled {
                        self.snapshot_producers(open, ctx, at);
                    }
                    self.tell_appended(open, end);
                    open.core.appended(ctx, generation, end, &mut open.out);
                    open.core.synced(generation, flushed);
                }
            }
            Completion::Synced { generation, end } => open.core.synced(generation, end),
            Completion::StartedAnew { generation } => open.core.started_anew(generation),
            Completion::Swapped { done } => {
                // The cleaner may have ended; the segments are in place all the same.
                let _ = open.cleaner.take().map(|cleaner| cleaner.send(done.is_some()));
                if let Some(Swapped { base, next, batches }) = done {
                    let batches = batches.iter().map(BatchMark::of).collect();
                    self.shared.probe.tell(Event::LogCompacted { tp: self.tp.clone(), base, next, batches });
                }
            }
            Completion::Closed { .. } => {
                // Nobody may wait any more; the log is closed all the same.
                let _ = open.closed.take().map(|closed| closed.send(()));
            }
            Completion::Failed { error } => {
                mark(Mark::LogFailed);
                open.core.fail(&mut open.out);
                (open.closed, open.cleaner) = (None, None);
                self.shared.fail(error);
            }
        }
    }
    fn tell_appended(&self, open: &mut Open, end: Offset) {
        let count = open.marks.partition_point(|m| m.mark.next <= end);
        if count > 0 {
            let copied = open.marks.range(..count).map(|m| m.copied).sum();
            let batches = open.marks.drain(..count).map(|m| m.mark).collect();
            self.shared.probe.tell(Event::LogAppended { tp: self.tp.clone(), batches, copied });
        }
    }
}

/// Reads the producers anew from the stored log, as often as the log moves on meanwhile.
async fn rebuild_producers(partition: Arc<Partition>, reader: LogReader) {
    loop {
        let Some((generation, end)) = partition.look(|core| (core.log().generation(), core.log().log_end())) else {
            return;
        };
        match reader.rebuild_producers(end).await {
            Ok(producers) => {
                if partition.with(|core, _, _| core.producers_rebuilt(generation, end, producers)) != Some(false) {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(partition = %partition.tp, %error, "producer states stay approximate");
                return;
            }
        }
    }
}
