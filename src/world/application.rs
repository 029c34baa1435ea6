//! A process of an application that is a member of a consumer group: it polls, processes each record, and commits, in the
//! order that its style says, until it is asked to stop or dies of a record.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::Watcher;
use super::handler::{Dies, Handler, Handoff};
use super::history::Op;
use super::member::{Commit, MemberOp, Part, Step};
use super::reader::{read, truncations};
use super::store::Store;
use crate::base::TopicPartition;
use crate::client::config::{ConsumerConfig, GroupProtocol, ProducerConfig};
use crate::client::consumer::group::{CommitError, OffsetAndMetadata, Rebalance};
use crate::client::consumer::{ConsumedRecord, Consumer, ConsumerError};
use crate::io::task::{TaskSet, shutdown_requested};
use crate::io::{clock, time};
use kafka_protocol::ResponseError;

/// How long one poll waits for records.
const POLL_TIMEOUT: Duration = Duration::from_millis(500);

/// How long an application waits after a refused commit before it polls again: what it would be given is what it has just put back.
const PATIENCE: Duration = Duration::from_millis(100);

/// When an application commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// What a poll has returned is committed before it is processed.
    CommitThenProcess,
    /// What a poll has returned is committed once it is processed.
    ProcessThenCommit,
    /// The consumer commits by itself.
    AutoCommit,
}

/// What an application does with a record that it cannot process.
#[derive(Clone, Debug)]
pub enum OnPoison {
    /// Its process dies.
    Crash,
    /// It goes on with the next one.
    Skip,
    /// It writes the record to this topic and goes on.
    DeadLetter(Arc<str>, Box<ProducerConfig>),
}

/// What processing a record does to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    None,
    /// A new row at each processing.
    Insert,
    /// A row under the record's unique id; if there is one, nothing else happens.
    InsertTransactionId,
    /// The row under the record's key is added or overwritten.
    Upsert,
    /// A row is added after a look whether it is there.
    CheckThenAct,
}

/// What one process does.
#[derive(Clone, Debug)]
pub struct ApplicationPlan {
    /// Its number among all members and readers of the run.
    pub member: u32,
    /// Its name, `NAME#i`.
    pub process: Arc<str>,
    /// Its group.
    pub group: Arc<str>,
    /// Where it reads.
    pub topics: Vec<String>,
    /// When it commits.
    pub style: Style,
    /// What was polled is handed to a task of its own, and polling goes on.
    pub hand_off: bool,
    /// The least and the most that processing a record takes, in nanoseconds.
    pub processing_ns: (u64, u64),
    /// What it does with a record that it cannot process.
    pub on_poison: OnPoison,
    /// What processing does to the store.
    pub effect: Effect,
    /// The application's store.
    pub store: Store,
    /// The consumer's settings.
    pub config: ConsumerConfig,
}

/// Runs a process until it is asked to shut down, or dies; true if it was asked.
pub async fn run(plan: ApplicationPlan, watcher: Watcher) -> bool {
    let began = MemberOp::Began {
        process: plan.process.clone(),
        group: plan.group.clone(),
        part: if plan.style == Style::AutoCommit { Part::CommitsItself } else { Part::Joins },
    };
    watcher.record(Op::Member { member: plan.member, what: began });
    if plan.config.group_protocol == GroupProtocol::Consumer {
        watcher.record(Op::Member { member: plan.member, what: MemberOp::ConsumerProtocol });
    }
    let mut tasks = TaskSet::new();
    let mut app = match Application::new(plan, &watcher, &mut tasks) {
        Ok(app) => app,
        Err(error) => {
            tracing::error!(%error, "the settings of a client were refused");
            return true;
        }
    };
    match app.work().await {
        Ok(()) => {
            app.leave().await;
            true
        }
        Err(Dies) => {
            app.tell(MemberOp::Ended);
            false
        }
    }
}

struct Application {
    plan: ApplicationPlan,
    watcher: Watcher,
    consumer: Consumer,
    handler: Work,
    /// What is processed and not yet committed, because a rebalance was on.
    owed: BTreeMap<TopicPartition, OffsetAndMetadata>,
    /// How often it asked the coordinator for something.
    asked: u64,
}

/// Who processes what was polled.
enum Work {
    /// The poll loop itself, before it polls again.
    Here(Box<Handler>),
    /// A task of the process, while polling goes on.
    HandedOff(Handoff),
}

impl Work {
    /// Ends when the task that processes has died of a record.
    async fn dies(&mut self) -> Dies {
        match self {
            Self::Here(_) => std::future::pending().await,
            Self::HandedOff(handoff) => handoff.dies().await,
        }
    }
    async fn take(&mut self, records: Vec<ConsumedRecord>) -> Result<(), Dies> {
        match self {
            Self::Here(handler) => handler.batch(records).await,
            Self::HandedOff(handoff) => handoff.take(records).await,
        }
    }
}

impl Application {
    fn new(
        plan: ApplicationPlan,
        watcher: &Watcher,
        tasks: &mut TaskSet,
    ) -> Result<Self, crate::client::config::ConfigError> {
        let mut consumer = Consumer::new(plan.config.clone())?;
        consumer.subscribe(plan.topics.clone());
        let handler = Handler::new(&plan, watcher, tasks)?;
        let handler = match plan.hand_off {
            false => Work::Here(Box::new(handler)),
            true => Work::HandedOff(Handoff::start(handler, tasks)),
        };
        Ok(Self { plan, watcher: watcher.clone(), consumer, handler, owed: BTreeMap::new(), asked: 0 })
    }

    fn tell(&self, what: MemberOp) {
        self.watcher.record(Op::Member { member: self.plan.member, what });
    }

    async fn work(&mut self) -> Result<(), Dies> {
        let stop = shutdown_requested();
        tokio::pin!(stop);
        loop {
            let polled = tokio::select! {
                biased;
                () = &mut stop => return Ok(()),
                Dies = self.handler.dies() => return Err(Dies),
                polled = self.consumer.poll(POLL_TIMEOUT) => polled,
            };
            self.tell_commits();
            truncations(self.plan.member, &mut self.consumer).for_each(|op| self.watcher.record(op));
            self.hear_rebalances().await;
            match polled {
                Ok(records) => self.batch(records).await?,
                // Fatal (`FencedInstanceIdException`): only a new process, which knows no member id, may join again.
                Err(ConsumerError::Group(ResponseError::FencedInstanceId)) => return Err(Dies),
                Err(error) => tracing::warn!(process = %self.plan.process, %error, "poll failed"),
            }
        }
    }

    /// Leaves the group in good order.
    async fn leave(self) {
        let Self { plan, watcher, consumer, .. } = self;
        consumer.close().await;
        watcher.record(Op::Member { member: plan.member, what: MemberOp::Ended });
    }

    /// What a listener does: partitions that are given back are committed while they may be, and what is lost is left to
    /// its new owner.
    async fn hear_rebalances(&mut self) {
        for rebalance in self.consumer.take_rebalances() {
            match &rebalance {
                Rebalance::Revoked(gone, _) if gone.iter().any(|tp| self.owed.contains_key(tp)) => {
                    self.commit(&self.owed.clone()).await;
                    self.owed.retain(|tp, _| !gone.contains(tp));
                }
                Rebalance::Lost(gone, _) => self.owed.retain(|tp, _| !gone.contains(tp)),
                _ => {}
            }
            self.tell(step(rebalance));
        }
    }

    /// What came of commits that the consumer made by itself.
    fn tell_commits(&mut self) {
        for (offsets, result) in self.consumer.take_commits() {
            let offsets = offsets.into_iter().map(|(tp, at)| (tp, at.offset)).collect();
            self.tell(MemberOp::CommittedItself { offsets, commit: outcome(&result, true) });
        }
    }

    async fn batch(&mut self, records: Vec<ConsumedRecord>) -> Result<(), Dies> {
        if records.is_empty() {
            // What a rebalance has kept from being committed does not wait for more records.
            if !self.owed.is_empty() {
                self.commit(&self.owed.clone()).await;
            }
            return Ok(());
        }
        for record in &records {
            self.watcher.record(read(self.plan.member, record.clone()));
        }
        let next = next_offsets(&records);
        if self.plan.style == Style::CommitThenProcess && !self.commit(&next).await {
            // Whoever owns them after the rebalance will process them, and that may be this process.
            self.rewind(&records);
            time::sleep(PATIENCE).await;
            return Ok(());
        }
        self.handler.take(records).await?;
        if self.plan.style == Style::ProcessThenCommit {
            self.owed.extend(next);
            self.commit(&self.owed.clone()).await;
        }
        Ok(())
    }

    /// Goes back to the first of these records in each partition that is still assigned.
    fn rewind(&mut self, records: &[ConsumedRecord]) {
        let mut first = BTreeMap::new();
        for record in records {
            first.entry(record.tp.clone()).or_insert(record.offset);
        }
        for (tp, offset) in first {
            if self.consumer.seek(&tp, offset).is_ok() {
                self.watcher.record(Op::Positioned { reader: self.plan.member, tp, offset });
            }
        }
    }

    /// True if the coordinator has it; false if it refused. What nobody knows is tried again.
    async fn commit(&mut self, next: &BTreeMap<TopicPartition, OffsetAndMetadata>) -> bool {
        loop {
            self.asked += 1;
            let (ask, generation) = (self.asked, self.consumer.group_metadata().map_or(-1, |m| m.generation));
            let offsets = next.iter().map(|(tp, next)| (tp.clone(), next.offset)).collect();
            self.tell(MemberOp::Committing { ask, generation, offsets });
            let asked_ns = clock::now().mono_ns;
            let result = self.consumer.commit_sync(next).await;
            let was_sent = clock::now().mono_ns > asked_ns;
            let repeated = result.is_ok() && self.consumer.commit_was_repeated();
            let commit = if repeated { Commit::Repeated } else { outcome(&result, was_sent) };
            self.tell(MemberOp::Committed { ask, commit });
            match result {
                Ok(()) => {
                    self.owed.retain(|tp, owed| next.get(tp) != Some(owed));
                    return true;
                }
                Err(CommitError::Retriable(_) | CommitError::Timeout) => {}
                Err(_) => return false,
            }
        }
    }
}

/// The offset after the last record of each partition.
fn next_offsets(records: &[ConsumedRecord]) -> BTreeMap<TopicPartition, OffsetAndMetadata> {
    let next = |record: &ConsumedRecord| OffsetAndMetadata {
        offset: record.offset.next(),
        leader_epoch: Some(record.leader_epoch),
        metadata: String::new(),
    };
    records.iter().map(|record| (record.tp.clone(), next(record))).collect()
}

/// What a listener heard, for the history.
fn step(rebalance: Rebalance) -> MemberOp {
    let now_ns = clock::now().mono_ns;
    let (step, partitions, stamp) = match rebalance {
        Rebalance::JoinPrepared(stamp) => (Step::Preparing, Vec::new(), stamp),
        Rebalance::Revoked(partitions, stamp) => (Step::Revoked, partitions, stamp),
        Rebalance::Lost(partitions, stamp) => (Step::Lost, partitions, stamp),
        Rebalance::Assigned(partitions, stamp) => (Step::Assigned, partitions, stamp),
    };
    let (member_id, generation, ago_ns) = (stamp.member_id, stamp.generation, now_ns.saturating_sub(stamp.mono_ns));
    MemberOp::Rebalance { step, partitions, member_id, generation, ago_ns }
}

/// What became of a commit. A refusal is definite only of one that was never sent: it is sent again when an answer was
/// lost, and what is refused then may have been stored at first.
fn outcome(result: &Result<(), CommitError>, was_sent: bool) -> Commit {
    match result {
        Ok(()) => Commit::Done,
        Err(error) if was_sent => Commit::Unknown(error.to_string().into()),
        Err(error) => Commit::Refused(error.to_string().into()),
    }
}
