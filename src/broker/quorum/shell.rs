//! What changes together under one lock: the core, the log's bytes, requests that wait for their answer, and what
//! readers may see.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::batches::Batches;
use super::election_file::StoreBox;
use super::encode;
use super::peer::Mailbox;
use super::snapshots::{Op as SnapshotOp, OpQueue};
use crate::base::{BrokerId, LeaderEpoch, Now, Offset};
use crate::broker::probe::{BatchMark, Event, Probe, RaftRole};
use crate::io::watch;
use crate::log::writer::{Completion, LogHandle, Op};
use crate::raft::{
    Batch, Body, Content, Input, Leadership, Output, RaftCore, ReadRange, Reply, Request, RoleKind, SnapshotId, Token,
};

/// Why this node can take no further part, once it cannot.
pub(super) type Failure = Option<Arc<str>>;

/// A reply and the records that belong into it.
pub(super) struct Answered {
    pub(super) reply: Reply,
    pub(super) records: Records,
}

/// Records to send.
pub(super) enum Records {
    Here(Bytes),
    /// Committed ones that are no longer in memory.
    OnDisk(ReadRange),
}

pub(super) struct Shell {
    pub(super) core: RaftCore,
    pub(super) batches: Batches,
    /// The epoch that this node leads and where it starts.
    pub(super) leading: Option<(LeaderEpoch, Offset)>,
    /// When the clock task will bring the next tick.
    pub(super) armed: u64,
    log: LogHandle,
    probe: Probe,
    peers: BTreeMap<BrokerId, Arc<Mailbox>>,
    states: Arc<StoreBox>,
    snapshot_ops: Arc<OpQueue>,
    /// When the last record of each snapshot was written, in milliseconds since 1970.
    pub(super) snapshot_times: BTreeMap<SnapshotId, i64>,
    waiting: BTreeMap<Token, oneshot::Sender<Answered>>,
    next_token: u64,
    leadership: watch::Sender<Leadership>,
    news: watch::Sender<u64>,
    pub(super) failure: watch::Sender<Failure>,
    /// What the probe was told last.
    told_visible: Offset,
    told_durable: Offset,
    out: Vec<Output>,
}

impl Shell {
    pub(super) fn new(
        core: RaftCore,
        (log, batches): (LogHandle, Batches),
        probe: Probe,
        peers: BTreeMap<BrokerId, Arc<Mailbox>>,
        states: Arc<StoreBox>,
        (snapshot_ops, snapshot_times): (Arc<OpQueue>, BTreeMap<SnapshotId, i64>),
    ) -> Self {
        let (told_visible, told_durable) = (core.log().visible_end(), core.log().durable_end());
        let leadership = watch::Sender::new(core.leadership());
        Self {
            core,
            batches,
            leading: None,
            armed: u64::MAX,
            log,
            probe,
            peers,
            states,
            snapshot_ops,
            snapshot_times,
            waiting: BTreeMap::new(),
            next_token: 0,
            leadership,
            news: watch::Sender::new(0),
            failure: watch::Sender::new(None),
            told_visible,
            told_durable,
            out: Vec::new(),
        }
    }
    /// The ends of leadership, news and failure that others watch.
    pub(super) fn watches(&self) -> (watch::Receiver<Leadership>, watch::Receiver<u64>, watch::Receiver<Failure>) {
        (self.leadership.subscribe(), self.news.subscribe(), self.failure.subscribe())
    }
    /// Tells what recovery found.
    pub(super) fn loaded(&self, batches: Vec<BatchMark>) {
        let start = self.core.log().log_start();
        let snapshots = self.core.snapshots().map(|(id, _)| id).collect();
        self.probe.tell(Event::RaftLoaded { start, batches, snapshots });
    }
    /// A snapshot is durable.
    pub(super) fn snapshot_stored(&mut self, now: Now, snapshot: SnapshotId, size: u64, append_time_ms: i64) {
        self.probe.tell(Event::SnapshotStored { snapshot });
        self.snapshot_times.insert(snapshot, append_time_ms);
        self.feed(now, Input::SnapshotStored { snapshot, size });
        if let Some(latest) = self.core.latest_snapshot() {
            self.batches.forget_below(latest.offset);
        }
    }
    /// A peer asks; the answer comes through the channel, or the channel closes if this node has failed.
    pub(super) fn ask(&mut self, now: Now, request: Request) -> oneshot::Receiver<Answered> {
        let (answer, receiver) = oneshot::channel();
        let token = Token(self.next_token);
        self.next_token += 1;
        self.waiting.insert(token, answer);
        if let Request::Fetch { replica: voter, epoch, .. } | Request::FetchSnapshot { replica: voter, epoch, .. } =
            request
            && self.leading.is_some_and(|(led, _)| led == epoch)
        {
            self.probe.tell(Event::RaftFetched { voter, epoch });
        }
        self.feed(now, Input::Request { token, request });
        receiver
    }
    pub(super) fn on_disk(&mut self, now: Now, completion: Completion) {
        match completion {
            Completion::Appended { generation, end, .. } => self.feed(now, Input::Appended { generation, end }),
            Completion::Synced { generation, end } => self.feed(now, Input::Synced { generation, end }),
            // The metadata log is not compacted: snapshots stand for what was.
            // A snapshot, stored before, is what the log starts at.
            Completion::StartedAnew { .. } | Completion::Closed { .. } | Completion::Swapped { .. } => {}
            Completion::Failed { error } => self.fail(&format!("the metadata log failed: {error}")),
        }
    }
    /// Gives the core an input and does what it asks for, until nothing is left that is done at once.
    pub(super) fn feed(&mut self, now: Now, input: Input) {
        if self.failure.borrow().is_some() {
            return;
        }
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let mut out = std::mem::take(&mut self.out);
            self.core.step(now, input, &mut out);
            self.tell_log();
            // A step of the log that is done at once is the next input, after all others that are so.
            let mut done = Vec::new();
            for output in out.drain(..) {
                self.carry_out(now, output, &mut done);
            }
            self.out = out;
            inputs.splice(0..0, done.into_iter().rev());
        }
        if self.core.is_shutting_down() {
            self.tell_readers();
        }
    }
    fn carry_out(&mut self, now: Now, output: Output, done: &mut Vec<Input>) {
        match output {
            Output::Send { to, id, request } => {
                if let Some(mailbox) = self.peers.get(&to) {
                    mailbox.put(id, request);
                }
            }
            Output::Reply { token, reply } => self.answer(token, reply),
            Output::StoreQuorumState { sequence, state } => self.states.put(sequence, state),
            Output::Append { generation, batch } => self.append(now, generation, batch, done),
            Output::Sync { generation, .. } => self.submit(Op::Sync { generation }, done),
            Output::Truncate { generation, end } => {
                self.batches.truncate(end);
                self.told_visible = self.told_visible.min(end);
                self.told_durable = self.told_durable.min(end);
                self.probe.tell(Event::RaftTruncated { to: end });
                self.submit(Op::Truncate { to: end, generation }, done);
            }
            Output::WriteChunk { snapshot: id, position, bytes } => {
                self.snapshot_ops.put(SnapshotOp::Append { id, position, bytes });
            }
            Output::FinishSnapshot { snapshot: id, size } => self.snapshot_ops.put(SnapshotOp::Finish { id, size }),
            Output::LoadSnapshot { generation, snapshot } => {
                tracing::info!(%snapshot, "the metadata log starts anew at the end of a snapshot");
                self.batches.start_anew(snapshot.offset);
                (self.told_visible, self.told_durable) = (snapshot.offset, snapshot.offset);
                self.probe.tell(Event::RaftStartedAnew { snapshot });
                self.submit(Op::TruncateFully { start: snapshot.offset, generation }, done);
            }
            Output::DeleteSnapshot { snapshot: id } => {
                self.snapshot_times.remove(&id);
                self.probe.tell(Event::SnapshotDeleted { snapshot: id });
                self.snapshot_ops.put(SnapshotOp::Delete { id });
            }
            Output::DeleteBelow { start } => self.submit(Op::DeleteBelow { start }, done),
            Output::HighWatermark { high_watermark } => {
                self.probe.tell(Event::RaftCommitted { high_watermark });
                self.tell_readers();
            }
            Output::RoleChanged { role, epoch, leader } => self.role_changed(role, epoch, leader),
            Output::BecameLeader { epoch, epoch_start } => {
                self.leading = Some((epoch, epoch_start));
                self.tell_readers();
            }
            Output::LostLeadership { .. } => {
                self.leading = None;
                self.tell_readers();
            }
            Output::Voted { epoch, candidate } => {
                self.probe.tell(Event::RaftVoted { epoch, candidate });
                if self.core.role() == RoleKind::Unattached && self.core.leadership().epoch == epoch {
                    self.probe.tell(Event::RaftRole { epoch, role: RaftRole::Voted, leader: None });
                }
            }
            Output::Fatal { reason } => self.fail(&reason),
        }
    }
    /// Removes the files of segments that retention has let go of.
    pub(super) fn remove_doomed(&mut self) {
        if self.failure.borrow().is_none() {
            // This step has no completion, but a disk that fails at once is told of.
            let mut none = Vec::new();
            self.submit(Op::RemoveDoomed, &mut none);
        }
    }
    fn append(&mut self, now: Now, generation: u64, batch: Batch, done: &mut Vec<Input>) {
        let bytes = match &batch.content {
            Content::Encoded(bytes) => bytes.clone(),
            Content::LeaderChange { leader, voters, granting } => {
                encode::leader_change(*leader, voters, granting, batch.base, batch.epoch, now.wall_ms)
            }
        };
        self.batches.push(bytes.clone());
        self.submit(Op::Append { bytes, generation }, done);
    }
    fn submit(&mut self, op: Op, done: &mut Vec<Input>) {
        match self.log.submit(op) {
            Some(Completion::Appended { generation, end, .. }) => done.push(Input::Appended { generation, end }),
            Some(Completion::Synced { generation, end }) => done.push(Input::Synced { generation, end }),
            Some(Completion::Failed { error }) => self.fail(&format!("the metadata log failed: {error}")),
            Some(Completion::StartedAnew { .. } | Completion::Closed { .. } | Completion::Swapped { .. }) | None => {}
        }
    }
    fn answer(&mut self, token: Token, reply: Reply) {
        let records = match reply.body {
            Body::Fetch { records: ReadRange { from, to }, .. } => {
                let here = self.batches.start();
                if from < to && from < here {
                    // What is committed does not change any more: it can be read later.
                    Records::OnDisk(ReadRange { from, to: to.min(here) })
                } else {
                    Records::Here(self.batches.read(from, to, self.core.config().fetch_max_bytes))
                }
            }
            _ => Records::Here(Bytes::new()),
        };
        if let Some(waiting) = self.waiting.remove(&token) {
            // Whoever asked may be gone; then nobody misses the answer.
            waiting.send(Answered { reply, records }).ok();
        }
    }
    fn role_changed(&mut self, role: RoleKind, epoch: LeaderEpoch, leader: Option<BrokerId>) {
        tracing::info!(?role, epoch = epoch.0, leader = leader.map(|l| l.0), "quorum role");
        let role = match role {
            RoleKind::Unattached => RaftRole::Unattached,
            RoleKind::Prospective => RaftRole::Prospective,
            RoleKind::Candidate => RaftRole::Candidate,
            RoleKind::Leader => RaftRole::Leader,
            RoleKind::Follower => RaftRole::Follower,
            RoleKind::Resigned => RaftRole::Resigned,
        };
        self.probe.tell(Event::RaftRole { epoch, role, leader });
        let now = Leadership { leader, epoch };
        self.leadership.send_if_modified(|known| std::mem::replace(known, now) != now);
        self.tell_readers();
    }
    /// Tells the probe how far the log got, before anything that follows from it.
    fn tell_log(&mut self) {
        let log = self.core.log();
        let (visible, durable) = (log.visible_end(), log.durable_end());
        if visible > self.told_visible {
            let batches = self.batches.marks(self.told_visible, visible);
            self.told_visible = visible;
            self.probe.tell(Event::RaftAppended { batches });
        }
        if durable > self.told_durable {
            self.told_durable = durable;
            self.probe.tell(Event::RaftSynced { end: durable });
        }
    }
    fn tell_readers(&self) {
        self.news.send_modify(|n| *n += 1);
    }
    /// Takes no further part.
    pub(super) fn fail(&mut self, reason: &str) {
        if self.failure.borrow().is_none() {
            tracing::error!(reason, "the quorum node stops");
            self.failure.send_modify(|failure| *failure = Some(reason.into()));
        }
        self.leading = None;
        self.waiting.clear();
        self.tell_readers();
    }
}
