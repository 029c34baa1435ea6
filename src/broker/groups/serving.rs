//! The life of one coordinator as a task: load, then tell it what is committed and when time is up, until its leadership ends.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::ResponseError;

use super::Groups;
use super::shard::{Active, Inbox};
use crate::base::{LeaderEpoch, Now};
use crate::broker::partitions::Append;
use crate::broker::probe::Event;
use crate::group::{AppendId, Coordinator, LogRecord, Output};
use crate::io::{clock, time};
use crate::log::batch::{BatchBuilder, Stamp};

impl Groups {
    pub(super) async fn run(self: Arc<Self>, index: i32, epoch: LeaderEpoch, mut inbox: Inbox) {
        let loaded = tokio::select! {
            biased;
            () = self.over(index, epoch, &inbox) => None,
            loaded = self.load(index, epoch) => loaded,
        };
        let Some(core) = loaded else { return };
        if !self.install(index, epoch, core) {
            return;
        }
        let mut pending: Option<(AppendId, Append)> = None;
        let mut alarm = time::sleep_until(u64::MAX);
        while let Some(deadline) = self.arm(index, epoch) {
            alarm.reset(deadline);
            tokio::select! {
                biased;
                () = inbox.rung.notified() => {}
                (id, result) = settled(&mut pending) => {
                    pending = None;
                    self.settle(index, epoch, id, result);
                }
                // Batches of one partition are committed in their order, so one is waited for at a time.
                next = inbox.appends.recv(), if pending.is_none() => pending = next,
                () = &mut alarm => self.tick(index, epoch),
            }
        }
    }
    /// Ends when this leadership is over.
    async fn over(&self, index: i32, epoch: LeaderEpoch, inbox: &Inbox) {
        while self.table.lock().shards.get(&index).is_some_and(|s| s.epoch == epoch) {
            inbox.rung.notified().await;
        }
    }
    fn install(&self, index: i32, epoch: LeaderEpoch, mut core: Coordinator) -> bool {
        let mut table = self.table.lock();
        let topics = table.topics.clone();
        match table.shards.get_mut(&index).filter(|s| s.epoch == epoch) {
            Some(shard) => {
                core.set_topics(topics);
                tracing::info!(partition = index, %epoch, "group coordinator loaded");
                shard.active = Some(Active::new(core, shard.queue.clone()));
                true
            }
            None => false,
        }
    }
    /// Until when the task may sleep; None once the leadership is over.
    fn arm(&self, index: i32, epoch: LeaderEpoch) -> Option<u64> {
        let mut table = self.table.lock();
        let shard = table.shards.get_mut(&index).filter(|s| s.epoch == epoch)?;
        let active = shard.active.as_mut()?;
        active.armed = active.core.next_deadline();
        Some(active.armed)
    }
    fn tick(&self, index: i32, epoch: LeaderEpoch) {
        self.on_shard(index, epoch, |core, now, out| core.tick(now, out));
    }
    fn settle(&self, index: i32, epoch: LeaderEpoch, id: AppendId, result: Result<(), ResponseError>) {
        self.on_shard(index, epoch, |core, now, out| match result {
            Ok(()) => core.committed(now, id, out),
            // The batch is in the log, and may be lost with the leadership or be committed by the next leader, who will tell.
            Err(error) => tracing::debug!(?error, "a coordinator's append ends with its leadership"),
        });
    }
    fn on_shard(&self, index: i32, epoch: LeaderEpoch, act: impl FnOnce(&mut Coordinator, Now, &mut Vec<Output>)) {
        let mut table = self.table.lock();
        let Some(shard) = table.shards.get_mut(&index).filter(|s| s.epoch == epoch) else { return };
        let Some(active) = shard.active.as_mut() else { return };
        let (now, mut out) = (clock::now(), Vec::new());
        act(&mut active.core, now, &mut out);
        self.carry_out(active, index, epoch, now, out);
    }
    pub(super) fn carry_out(
        &self,
        active: &mut Active,
        index: i32,
        epoch: LeaderEpoch,
        now: Now,
        outputs: Vec<Output>,
    ) {
        let mut outputs = VecDeque::from(outputs);
        while let Some(output) = outputs.pop_front() {
            match output {
                Output::Reply(ticket, reply) => active.reply(ticket, reply),
                Output::Expired { group, offsets } => self.probe.tell(Event::OffsetsExpired { group, offsets }),
                Output::Append(id, records) => {
                    match self.partitions.append(&Self::tp(index), epoch, &batch(now, &records)) {
                        // The task has gone only if the leadership has, and then nobody waits.
                        Ok(append) => drop(active.queue.send((id, append))),
                        Err(error) => {
                            let mut more = Vec::new();
                            active.core.failed(now, id, error, &mut more);
                            outputs.extend(more);
                        }
                    }
                }
            }
        }
    }
}

async fn settled(pending: &mut Option<(AppendId, Append)>) -> (AppendId, Result<(), ResponseError>) {
    match pending {
        Some((id, append)) => (*id, append.await),
        None => std::future::pending().await,
    }
}

fn batch(now: Now, records: &[LogRecord]) -> Bytes {
    let mut builder = BatchBuilder::new();
    for record in records {
        builder.append(now.wall_ms, Some(&record.key), record.value.as_deref(), &[]);
    }
    builder.build(Stamp::default())
}
