//! What an application does with a record: it takes its time, changes the store, and gives up what it cannot process.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::Watcher;
use super::application::{ApplicationPlan, Effect, OnPoison};
use super::event::{self, Unprocessable};
use super::history::{Op, Value};
use super::member::{Handled, MemberOp};
use crate::base::random::Stream;
use crate::client::config::ConfigError;
use crate::client::consumer::ConsumedRecord;
use crate::client::producer::{Producer, Record};
use crate::io::task::TaskSet;
use crate::io::{rng, time};

/// The header of a dead letter that says why it is one.
pub const ERROR: &str = "error";
/// The header of a dead letter that says which topic it comes from.
pub const TOPIC: &str = "original_topic";
/// The header of a dead letter that says where in its partition it stood.
pub const OFFSET: &str = "original_offset";

/// How many records may wait for the task that processes them.
const QUEUE: usize = 1_000;

/// The process dies of a record.
pub(super) struct Dies;

/// Whoever processes records, one after the other.
pub(super) struct Handler {
    plan: ApplicationPlan,
    watcher: Watcher,
    letters: Option<Producer>,
    random: Stream,
    /// Rows that it has added under keys of its own.
    rows: u64,
}

impl Handler {
    pub fn new(plan: &ApplicationPlan, watcher: &Watcher, tasks: &mut TaskSet) -> Result<Self, ConfigError> {
        let letters = match &plan.on_poison {
            OnPoison::DeadLetter(_, config) => Some(Producer::start((**config).clone(), tasks)?),
            OnPoison::Crash | OnPoison::Skip => None,
        };
        let random = rng("processing");
        Ok(Self { plan: plan.clone(), watcher: watcher.clone(), letters, random, rows: 0 })
    }
    fn tell(&self, what: MemberOp) {
        self.watcher.record(Op::Member { member: self.plan.member, what });
    }
    /// Processes records in their order.
    pub async fn batch(&mut self, records: Vec<ConsumedRecord>) -> Result<(), Dies> {
        for record in records {
            self.handle(record).await?;
        }
        Ok(())
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

/// A task that processes what a poll loop hands to it.
pub(super) struct Handoff {
    records: mpsc::Sender<ConsumedRecord>,
    dead: mpsc::Receiver<Dies>,
}

impl Handoff {
    /// The task lives in `tasks`.
    pub fn start(mut handler: Handler, tasks: &mut TaskSet) -> Self {
        let (records, mut taken) = mpsc::channel(QUEUE);
        let (dies, dead) = mpsc::channel(1);
        tasks.spawn("handler", async move {
            while let Some(record) = taken.recv().await {
                if let Err(death) = handler.handle(record).await {
                    // Nobody listens only if the process has ended by itself.
                    drop(dies.send(death).await);
                    return;
                }
            }
        });
        Self { records, dead }
    }
    /// Ends when the task has died of a record.
    pub async fn dies(&mut self) -> Dies {
        match self.dead.recv().await {
            Some(death) => death,
            None => std::future::pending().await,
        }
    }
    /// Hands records over, as far as there is room for them.
    pub async fn take(&mut self, records: Vec<ConsumedRecord>) -> Result<(), Dies> {
        for record in records {
            self.records.send(record).await.map_err(|_| Dies)?;
        }
        Ok(())
    }
}
