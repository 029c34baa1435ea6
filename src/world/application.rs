//! A process of an application that is a member of a consumer group: it polls, processes each record, and commits, in the
//! order that its style says, until it is asked to stop or dies of a record.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::Watcher;
use super::event::{self, Unprocessable};
use super::history::{Op, Value};
use super::member::{Commit, Handled, MemberOp, Part, Step};
use super::reader::read;
use super::store::Store;
use crate::base::TopicPartition;
use crate::base::random::Stream;
use crate::client::config::{ConsumerConfig, ProducerConfig};
use crate::client::consumer::group::{CommitError, OffsetAndMetadata, Rebalance};
use crate::client::consumer::{ConsumedRecord, Consumer};
use crate::client::producer::{Producer, Record};
use crate::io::task::{TaskSet, shutdown_requested};
use crate::io::{clock, rng, time};

/// The header of a dead letter that says why it is one.
pub const ERROR: &str = "error";
/// The header of a dead letter that says which topic it comes from.
pub const TOPIC: &str = "original_topic";
/// The header of a dead letter that says where in its partition it stood.
pub const OFFSET: &str = "original_offset";

/// How long one poll waits for records.
const POLL_TIMEOUT: Duration = Duration::from_millis(500);

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

/// Its process dies.
struct Dies;

struct Application {
    plan: ApplicationPlan,
    watcher: Watcher,
    consumer: Consumer,
    letters: Option<Producer>,
    random: Stream,
    /// How often it asked the coordinator for something.
    asked: u64,
    /// Rows that it has added under keys of its own.
    rows: u64,
}

impl Application {
    fn new(
        plan: ApplicationPlan,
        watcher: &Watcher,
        tasks: &mut TaskSet,
    ) -> Result<Self, crate::client::config::ConfigError> {
        let mut consumer = Consumer::new(plan.config.clone())?;
        consumer.subscribe(plan.topics.clone());
        let letters = match &plan.on_poison {
            OnPoison::DeadLetter(_, config) => Some(Producer::start((**config).clone(), tasks)?),
            OnPoison::Crash | OnPoison::Skip => None,
        };
        let random = rng("processing");
        Ok(Self { plan, watcher: watcher.clone(), consumer, letters, random, asked: 0, rows: 0 })
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
                polled = self.consumer.poll(POLL_TIMEOUT) => polled,
            };
            self.tell_commits();
            self.tell_rebalances();
            match polled {
                Ok(records) => self.batch(records).await?,
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

    fn tell_rebalances(&mut self) {
        for rebalance in self.consumer.take_rebalances() {
            self.tell(step(rebalance));
        }
    }

    /// What came of commits that the consumer made by itself.
    fn tell_commits(&mut self) {
        for (offsets, result) in self.consumer.take_commits() {
            let offsets = offsets.into_iter().map(|(tp, at)| (tp, at.offset)).collect();
            self.tell(MemberOp::CommittedItself { offsets, commit: outcome(result) });
        }
    }

    async fn batch(&mut self, records: Vec<ConsumedRecord>) -> Result<(), Dies> {
        if records.is_empty() {
            return Ok(());
        }
        for record in &records {
            self.watcher.record(read(self.plan.member, record.clone()));
        }
        let next = next_offsets(&records);
        if self.plan.style == Style::CommitThenProcess && !self.commit(&next).await {
            // Whoever owns them after the rebalance will process them, and that may be this process.
            self.rewind(&records);
            return Ok(());
        }
        for record in records {
            self.handle(record).await?;
        }
        if self.plan.style == Style::ProcessThenCommit {
            self.commit(&next).await;
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
            let commit = outcome(self.consumer.commit_sync(next).await);
            self.tell(MemberOp::Committed { ask, commit: commit.clone() });
            match commit {
                Commit::Done => return true,
                Commit::Refused(_) => return false,
                Commit::Unknown(_) => {}
            }
        }
    }

    async fn handle(&mut self, record: ConsumedRecord) -> Result<(), Dies> {
        let (low, high) = self.plan.processing_ns;
        time::sleep(Duration::from_nanos(self.random.between(low, high))).await;
        let how = match event::parse(record.value.as_deref()) {
            Ok(value) => {
                self.apply(&record, value).await;
                Handled::Processed
            }
            Err(error) => self.poisoned(&record, &error).await?,
        };
        self.tell(MemberOp::Handled { partition: record.tp, offset: record.offset, how });
        Ok(())
    }

    async fn apply(&mut self, record: &ConsumedRecord, value: Value) {
        let (store, id) = (self.plan.store.clone(), value.to_string());
        let changed = match self.plan.effect {
            Effect::None => return,
            Effect::Insert => {
                self.rows += 1;
                store.insert(&format!("{}-{}", self.plan.member, self.rows), &id).await.is_ok()
            }
            Effect::InsertTransactionId => store.insert(&id, "paid").await.is_ok(),
            Effect::Upsert => store.upsert(&id, "a new address").await,
            Effect::CheckThenAct if store.exists(&id).await => false,
            Effect::CheckThenAct => {
                store.upsert(&id, "ordered").await;
                true
            }
        };
        self.tell(MemberOp::Effect { partition: record.tp.clone(), offset: record.offset, changed });
    }

    async fn poisoned(&mut self, record: &ConsumedRecord, error: &Unprocessable) -> Result<Handled, Dies> {
        match self.plan.on_poison.clone() {
            OnPoison::Crash => {
                let (partition, error) = (record.tp.clone(), error.to_string().into());
                self.tell(MemberOp::Died { partition, offset: record.offset, error });
                Err(Dies)
            }
            OnPoison::Skip => Ok(Handled::PassedOver),
            OnPoison::DeadLetter(topic, _) => {
                self.bury(record, error, &topic).await;
                Ok(Handled::DeadLettered)
            }
        }
    }

    /// Writes a copy of the record to the dead-letter topic, as often as it takes.
    async fn bury(&mut self, record: &ConsumedRecord, error: &Unprocessable, topic: &Arc<str>) {
        let Some(letters) = self.letters.clone() else { return };
        let value = record.value.as_deref().and_then(Value::decode);
        let header = |name: &str, text: String| (name.into(), Some(Bytes::from(text)));
        let letter = Record {
            topic: topic.clone(),
            key: record.key.clone(),
            value: record.value.clone(),
            headers: vec![
                header(ERROR, error.to_string()),
                header(TOPIC, record.tp.topic.to_string()),
                header(OFFSET, record.offset.to_string()),
            ],
            ..Record::default()
        };
        self.tell(MemberOp::DeadLetter { value, topic: topic.clone() });
        while let Err(error) = letters.send_wait(letter.clone()).await {
            tracing::warn!(process = %self.plan.process, %error, "a dead letter was not written");
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

/// What became of a commit: only an answer that refuses it is definite.
fn outcome(result: Result<(), CommitError>) -> Commit {
    match result {
        Ok(()) => Commit::Done,
        Err(error @ (CommitError::Retriable(_) | CommitError::Timeout)) => Commit::Unknown(error.to_string().into()),
        Err(error) => Commit::Refused(error.to_string().into()),
    }
}
