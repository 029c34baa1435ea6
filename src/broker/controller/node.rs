//! The controller of one node: active or standing by.

use std::sync::Arc;

use kafka_protocol::messages::{DescribeQuorumRequest, DescribeQuorumResponse};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::state::State;
use crate::base::{LeaderEpoch, Now, Offset};
use crate::broker::probe::Probe;
use crate::broker::quorum::{CommittedReader, NotLeader, Quorum, QuorumEvent};
use crate::controller::image::{Image, ReplayError};
use crate::controller::{ControllerConfig, ControllerCore, Input, Request, Response};
use crate::io;
use crate::io::task::TaskSet;
use crate::wire::records::MetadataRecord;

/// What the controller needs of the quorum.
pub trait MetadataLog: Send + Sync {
    /// Appends `records` as one atomic batch of `epoch`; the offset of the last one.
    ///
    /// # Errors
    /// If this node does not lead `epoch`; nothing is appended then.
    fn propose(&self, epoch: LeaderEpoch, records: &[MetadataRecord]) -> Result<Offset, NotLeader>;
    /// Gives up the leadership of `epoch`, if it is held.
    fn resign(&self, epoch: LeaderEpoch);
    /// Describes the quorum, in the words of `version`.
    fn describe(&self, version: i16, request: &DescribeQuorumRequest) -> DescribeQuorumResponse;
}

impl MetadataLog for Quorum {
    fn propose(&self, epoch: LeaderEpoch, records: &[MetadataRecord]) -> Result<Offset, NotLeader> {
        Self::propose(self, epoch, records)
    }
    fn resign(&self, epoch: LeaderEpoch) {
        Self::resign(self, epoch);
    }
    fn describe(&self, version: i16, request: &DescribeQuorumRequest) -> DescribeQuorumResponse {
        Self::describe(self, version, request)
    }
}

/// The controller of this node.
pub struct ControllerNode {
    log: Arc<dyn MetadataLog>,
    probe: Probe,
    state: Mutex<State>,
    /// Rings when something is due before the task's timer.
    rearm: Notify,
}

impl ControllerNode {
    /// A controller that stands by; [`Self::committed`], [`Self::leading`] and [`Self::not_leading`] are to be told in
    /// the quorum's order.
    #[must_use]
    pub(super) fn new(config: ControllerConfig, log: Arc<dyn MetadataLog>, probe: Probe) -> Arc<Self> {
        let core = ControllerCore::new(config, io::rng("controller"));
        Arc::new(Self { log, probe, state: Mutex::new(State::new(core)), rearm: Notify::new() })
    }

    /// Runs the controller of a node that is a voter of `quorum`, until `tasks` end.
    pub fn start(config: ControllerConfig, quorum: Arc<Quorum>, probe: Probe, tasks: &mut TaskSet) -> Arc<Self> {
        let reader = quorum.subscribe();
        let node = Self::new(config, quorum, probe);
        tasks.spawn("controller", Arc::clone(&node).run(reader));
        node
    }

    /// True while this node is the active controller.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.epoch().is_some()
    }

    /// The quorum epoch in which this node is the active controller.
    #[must_use]
    pub fn epoch(&self) -> Option<LeaderEpoch> {
        self.state.lock().epoch()
    }

    /// The metadata as far as this node knows it to be committed.
    #[must_use]
    pub fn image(&self) -> Image {
        self.state.lock().image().clone()
    }

    /// DescribeQuorum. Errors of partitions: UNKNOWN_TOPIC_OR_PARTITION, NOT_LEADER_OR_FOLLOWER.
    #[must_use]
    pub fn describe_quorum(&self, version: i16, request: &DescribeQuorumRequest) -> DescribeQuorumResponse {
        self.log.describe(version, request)
    }

    /// Asks the active controller; NOT_CONTROLLER if this is none, or if it ceases to be one before it can answer.
    pub(super) async fn ask(&self, request: Request) -> Response {
        let answer = self.with(|state, now| state.ask(now, request, &*self.log));
        answer.await.expect("every request is answered")
    }

    /// A batch is committed that holds `records` and ends before `next`.
    ///
    /// # Errors
    /// If the batch does not follow from what came before.
    pub(super) fn committed(&self, records: &[(Offset, MetadataRecord)], next: Offset) -> Result<(), ReplayError> {
        self.with(|state, now| state.commit(now, records, next, &*self.log))
    }

    /// This node leads the quorum, everything before its term was told, and its next proposal gets offset `next`.
    pub(super) fn leading(&self, epoch: LeaderEpoch, next: Offset) {
        self.with(|state, now| state.lead(now, epoch, next, &*self.log));
    }

    /// This node leads the quorum no longer.
    pub(super) fn not_leading(&self) {
        self.with(|state, now| state.drive(now, Input::Resigned, &*self.log));
    }

    /// Feeds the core with what the quorum tells and with time, until the metadata log can no longer be followed.
    async fn run(self: Arc<Self>, mut reader: CommittedReader) {
        let clock = self.keep_time();
        let mut clock = std::pin::pin!(clock);
        loop {
            let event = tokio::select! {
                biased;
                event = reader.next() => event,
                () = &mut clock => unreachable!("time never ends"),
            };
            if let Err(error) = self.follow(event) {
                // Kafka's fault handler ends the process; the publisher of this node meets the same record.
                tracing::error!(%error, "this controller can no longer follow the metadata log");
                if let Some(epoch) = self.epoch() {
                    self.not_leading();
                    self.log.resign(epoch);
                }
                return;
            }
        }
    }

    fn follow(&self, event: QuorumEvent) -> Result<(), ReplayError> {
        match event {
            QuorumEvent::Snapshot(snapshot) => {
                let image = Image::from_records(&snapshot.records, snapshot.id.offset)?;
                self.with(|state, now| state.load(now, image, &*self.log));
            }
            QuorumEvent::Batch(batch) => self.committed(&batch.records, batch.next)?,
            // The record at the start of the epoch is the quorum's own.
            QuorumEvent::Leading { epoch, epoch_start } => self.leading(epoch, epoch_start.next()),
            QuorumEvent::NotLeading { .. } => self.not_leading(),
        }
        Ok(())
    }

    /// Keeps the core's deadlines; returns only when dropped.
    pub(super) async fn keep_time(&self) {
        let mut timer = io::time::sleep_until(u64::MAX);
        loop {
            let due = self.state.lock().arm();
            timer.reset(due.unwrap_or(u64::MAX));
            tokio::select! {
                biased;
                () = self.rearm.notified() => {}
                () = &mut timer, if due.is_some() => {
                    self.with(|state, now| state.drive(now, Input::Tick, &*self.log));
                }
            }
        }
    }

    /// Lets the core do something, then sees to what may have changed by it.
    fn with<R>(&self, act: impl FnOnce(&mut State, Now) -> R) -> R {
        let mut state = self.state.lock();
        let result = act(&mut state, io::clock::now());
        state.tell_activity(&self.probe);
        if state.must_rearm() {
            self.rearm.notify_one();
        }
        result
    }
}
