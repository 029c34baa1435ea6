//! The requests that wait, as data: who is to be told, and when each gives up. Kafka's purgatories.
//!
//! What a request waits for is known to the replica cores; they name it by token. One task serves all deadlines.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::ResponseError;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use super::api::ProduceOutcome;
use crate::base::Offset;
use crate::io::{clock, time};
use crate::replica::{FetchToken, ProduceResult, ProduceToken};

/// All waiting requests of a broker.
#[derive(Debug, Default)]
pub(super) struct Requests {
    table: Mutex<Table>,
    /// Rung when a deadline comes in that is earlier than the one that the alarm waits for.
    earlier: Notify,
}

#[derive(Debug, Default)]
struct Table {
    next_id: u64,
    produces: BTreeMap<u64, Produce>,
    fetches: BTreeMap<u64, Fetch>,
    /// Every waiting request, by deadline in monotonic nanoseconds.
    deadlines: BTreeSet<(u64, u64)>,
    armed: u64,
}

#[derive(Debug)]
struct Produce {
    deadline: u64,
    outcomes: Vec<ProduceOutcome>,
    /// Which of them are still open.
    open: Vec<bool>,
    reply: oneshot::Sender<Vec<ProduceOutcome>>,
}

#[derive(Debug)]
struct Fetch {
    deadline: u64,
    reply: oneshot::Sender<()>,
}

impl Requests {
    /// A produce waits for the outcomes that are `open`; the others stand already. Its tokens are (id, index).
    pub fn add_produce(
        &self,
        deadline: u64,
        outcomes: Vec<ProduceOutcome>,
        open: Vec<bool>,
    ) -> (u64, oneshot::Receiver<Vec<ProduceOutcome>>) {
        let (reply, answer) = oneshot::channel();
        let id = self.add(deadline, |table, id| {
            table.produces.insert(id, Produce { deadline, outcomes, open, reply });
        });
        (id, answer)
    }
    /// A fetch waits to be told to look again, at `deadline` at the latest.
    pub fn add_fetch(&self, deadline: u64) -> (FetchToken, oneshot::Receiver<()>) {
        let (reply, answer) = oneshot::channel();
        let id = self.add(deadline, |table, id| {
            table.fetches.insert(id, Fetch { deadline, reply });
        });
        (FetchToken(id), answer)
    }
    fn add(&self, deadline: u64, insert: impl FnOnce(&mut Table, u64)) -> u64 {
        let mut table = self.table.lock();
        table.next_id += 1;
        let id = table.next_id;
        insert(&mut table, id);
        table.deadlines.insert((deadline, id));
        if deadline < table.armed {
            table.armed = deadline;
            self.earlier.notify_one();
        }
        id
    }
    /// One partition of a produce is decided; the last one answers the request. Requests that are gone are ignored.
    pub fn produce_done(&self, token: ProduceToken, result: ProduceResult) {
        let mut table = self.table.lock();
        let Some(produce) = table.produces.get_mut(&token.request) else { return };
        let part = token.part as usize;
        produce.open[part] = false;
        if let Err(error) = result {
            produce.outcomes[part].refuse(error);
        }
        if produce.open.iter().all(|open| !open) {
            table.answer_produce(token.request);
        }
    }
    /// A fetch is to look again.
    pub fn fetch_ready(&self, token: FetchToken) {
        self.table.lock().answer_fetch(token.0);
    }
    /// A fetch is over.
    pub fn remove_fetch(&self, token: FetchToken) {
        self.table.lock().take_fetch(token.0);
    }
    /// Answers what has passed its deadline; to be called once per process, as a task.
    pub async fn run_deadlines(&self) {
        let mut alarm = time::sleep_until(u64::MAX);
        loop {
            let next = self.expire();
            alarm.reset(next);
            tokio::select! {
                biased;
                () = self.earlier.notified() => {}
                () = &mut alarm => {}
            }
        }
    }
    /// Answers everybody whose time is up, and returns the next deadline.
    fn expire(&self) -> u64 {
        let now = clock::now().mono_ns;
        let mut table = self.table.lock();
        while let Some(&(deadline, id)) = table.deadlines.first() {
            if deadline > now {
                break;
            }
            table.deadlines.pop_first();
            table.answer_produce(id);
            table.answer_fetch(id);
        }
        table.armed = table.deadlines.first().map_or(u64::MAX, |d| d.0);
        table.armed
    }
}

impl Table {
    /// Whatever is still open when a produce is answered has timed out.
    fn answer_produce(&mut self, id: u64) {
        let Some(mut produce) = self.produces.remove(&id) else { return };
        self.deadlines.remove(&(produce.deadline, id));
        for (outcome, open) in produce.outcomes.iter_mut().zip(produce.open) {
            if open {
                outcome.refuse(ResponseError::RequestTimedOut);
            }
        }
        // Whoever waited may have gone away with its connection.
        let _ = produce.reply.send(produce.outcomes);
    }
    fn answer_fetch(&mut self, id: u64) {
        if let Some(fetch) = self.take_fetch(id) {
            let _ = fetch.reply.send(());
        }
    }
    fn take_fetch(&mut self, id: u64) -> Option<Fetch> {
        let fetch = self.fetches.remove(&id)?;
        self.deadlines.remove(&(fetch.deadline, id));
        Some(fetch)
    }
}

impl ProduceOutcome {
    /// A refusal says nothing of offsets.
    pub(super) fn refuse(&mut self, error: ResponseError) {
        self.error = Some(error);
        self.base_offset = Offset::NONE;
        self.log_start = Offset::NONE;
    }
}
