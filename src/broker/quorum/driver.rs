//! The core behind its lock. Each input is stepped with everything that follows from it at once; outputs become writes,
//! requests, answers and events, in the core's order.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, oneshot, watch};

use super::committed::CommittedReader;
use super::peers::Peer;
use super::{METADATA_DIR, NotLeader, QuorumConfig, state_file};
use crate::base::{BrokerId, LeaderEpoch, Offset};
use crate::broker::probe::{BatchMark, Event, Probe, RaftRole};
use crate::io::disk::Disk;
use crate::io::task::TaskSet;
use crate::io::{clock, time};
use crate::log::batch::{BatchBuilder, BatchView, Stamp};

use crate::log::recovery::{self, OpenOptions};
use crate::log::writer::{Completion, LogHandle, Op};
use crate::log::{BatchInfo, LogConfig, LogReader};
use crate::raft::{
    Batch, Content, ElectionState, Input, Output, RaftCore, Reply, Request, RequestId, RoleKind, Token,
};
use crate::wire::records::MetadataRecord;
use crate::wire::records::control::{ControlRecord, LeaderChangeMessage, Voter};

/// The quorum as this node takes part in it.
pub struct Quorum {
    pub(super) config: QuorumConfig,
    pub(super) log: LogReader,
    /// The high watermark, the role or the leader changed.
    pub(super) advanced: Notify,
    inner: Mutex<Inner>,
    probe: Probe,
    leader: watch::Sender<(Option<BrokerId>, LeaderEpoch)>,
    /// The driver's deadline moved.
    rearm: Notify,
    failure: watch::Sender<Option<String>>,
}

struct Inner {
    core: RaftCore,
    log: LogHandle,
    store: UnboundedSender<(u64, ElectionState)>,
    peers: BTreeMap<BrokerId, UnboundedSender<(RequestId, Request)>>,
    waiting: BTreeMap<Token, oneshot::Sender<(Reply, u64)>>,
    next_token: u64,
    leading: Option<(LeaderEpoch, Offset)>,
    deadline: Option<u64>,
}

/// Follows who leads.
pub struct LeaderWatch(watch::Receiver<(Option<BrokerId>, LeaderEpoch)>);

impl LeaderWatch {
    /// Waits until leader or epoch are others than when this was last asked.
    pub async fn changed(&mut self) -> (Option<BrokerId>, LeaderEpoch) {
        if self.0.changed().await.is_err() {
            // The quorum is gone, and its node with it: nothing will ever change.
            std::future::pending::<()>().await;
        }
        *self.0.borrow_and_update()
    }
}

fn mark(info: BatchInfo) -> BatchMark {
    BatchMark { base: info.base, next: info.next, epoch: info.epoch, crc: info.crc }
}

impl Quorum {
    /// Opens the metadata log and joins the quorum.
    ///
    /// # Errors
    /// Those of the disk; `InvalidData` if the quorum state is malformed.
    pub async fn start(config: QuorumConfig, disk: Disk, probe: Probe, tasks: &mut TaskSet) -> io::Result<Arc<Self>> {
        let options = OpenOptions::default();
        let (store, found) = recovery::open(&disk, METADATA_DIR, LogConfig::default(), options).await?;
        let stored = state_file::read(&disk).await?;
        let batches = found.batches.iter().copied().map(mark).collect();
        probe.tell(Event::RaftLoaded { start: found.state.log_start(), batches });
        let core = RaftCore::new(
            config.raft.clone(),
            config.me,
            stored,
            found.state,
            crate::io::rng("raft-jitter"),
            clock::now(),
        );
        let home: Arc<OnceLock<Weak<Self>>> = Arc::default();
        let completed = home.clone();
        let log = LogHandle::start(store, move |completion| {
            if let Some(quorum) = completed.get().and_then(Weak::upgrade) {
                quorum.completed(completion);
            }
        });
        let (store, states) = unbounded_channel();
        let leadership = core.leadership();
        let inner = Inner {
            core,
            log: log.clone(),
            store,
            peers: BTreeMap::new(),
            waiting: BTreeMap::new(),
            next_token: 0,
            leading: None,
            deadline: None,
        };
        let quorum = Arc::new(Self {
            log: log.reader().clone(),
            advanced: Notify::new(),
            inner: Mutex::new(inner),
            probe,
            leader: watch::Sender::new((leadership.leader, leadership.epoch)),
            rearm: Notify::new(),
            failure: watch::Sender::new(None),
            config,
        });
        home.set(Arc::downgrade(&quorum)).ok();
        quorum.spawn_peers(tasks);
        tasks.spawn("quorum-state", store_states(Arc::downgrade(&quorum), disk, states));
        tasks.spawn("quorum-timer", drive(quorum.clone()));
        quorum.step(Input::Tick);
        Ok(quorum)
    }

    fn spawn_peers(self: &Arc<Self>, tasks: &mut TaskSet) {
        for (id, (host, port)) in self.config.voters.iter().filter(|(id, _)| **id != self.config.me) {
            let (send, mailbox) = unbounded_channel();
            self.inner.lock().peers.insert(*id, send);
            let peer = Peer {
                id: *id,
                host: host.clone(),
                port: *port,
                client_id: self.config.client_id.clone(),
                cluster_id: self.config.cluster_id.clone(),
                setup_timeout: Duration::from_millis(self.config.connection_setup_timeout_ms),
                request_timeout: Duration::from_millis(self.config.raft.request_timeout_ms),
                max_bytes: self.config.raft.fetch_max_bytes,
                quorum: Arc::downgrade(self),
            };
            tasks.spawn("quorum-peer", peer.run(mailbox));
        }
    }

    /// The leader, if one is known, and the epoch.
    #[must_use]
    pub fn leader(&self) -> (Option<BrokerId>, LeaderEpoch) {
        *self.leader.borrow()
    }
    /// Follows changes of the leader.
    #[must_use]
    pub fn watch(&self) -> LeaderWatch {
        let mut receiver = self.leader.subscribe();
        receiver.mark_unchanged();
        LeaderWatch(receiver)
    }
    /// Subscribes to everything committed, from the start of the log.
    #[must_use]
    pub fn subscribe(self: &Arc<Self>) -> CommittedReader {
        CommittedReader::new(self.clone())
    }
    /// Waits until the quorum cannot go on, because of a disk or of broken promises; the node has to stop then.
    pub async fn failed(&self) -> String {
        let mut failure = self.failure.subscribe();
        loop {
            if let Some(reason) = failure.borrow_and_update().clone() {
                return reason;
            }
            if failure.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
    pub(super) fn fail(&self, reason: String) {
        tracing::error!(node = %self.config.me, reason, "the quorum member fails");
        self.failure.send_if_modified(|f| f.replace(reason).is_none());
    }

    /// Proposes records as one atomic batch of `epoch`; returns the offset of the last one. They count once they are
    /// committed.
    ///
    /// # Errors
    /// [`NotLeader`] if this node does not lead that epoch; nothing was proposed then.
    pub fn propose(&self, epoch: LeaderEpoch, records: &[MetadataRecord]) -> Result<Offset, NotLeader> {
        assert!(!records.is_empty(), "a proposal holds records");
        let mut inner = self.inner.lock();
        let base = inner.core.proposal_offset(epoch).ok_or(NotLeader { epoch })?;
        let mut builder = BatchBuilder::new();
        let now = clock::now().wall_ms;
        for record in records {
            builder.append(now, None, Some(&record.encode()), &[]);
        }
        let next = base + records.len() as i64;
        let bytes = builder.build(Stamp { base_offset: base, leader_epoch: epoch, ..Stamp::default() });
        let batch = Batch { base, next, epoch, content: Content::Encoded(bytes) };
        self.step_locked(&mut inner, Input::Propose { batch });
        Ok(next - 1)
    }
    /// Gives up the leadership of `epoch`, if this node has it.
    pub fn resign(&self, epoch: LeaderEpoch) {
        self.step(Input::Resign { epoch });
    }
    /// Gives up leadership and waits until the peers know it, at most `timeout`.
    pub async fn shutdown(&self, timeout: Duration) {
        self.step(Input::Shutdown);
        let quiet = async {
            loop {
                let advanced = self.advanced.notified();
                if self.inner.lock().core.is_quiet() {
                    return;
                }
                advanced.await;
            }
        };
        // Too late is no harm: the others find out by their timeouts.
        let _ = time::timeout(timeout, quiet).await;
    }

    /// Everything below is committed, and the term that this node leads, if it does.
    pub(super) fn progress(&self) -> (Offset, Option<(LeaderEpoch, Offset)>) {
        let inner = self.inner.lock();
        (inner.core.high_watermark().unwrap_or(Offset::ZERO), inner.leading)
    }
    /// Which truncation the log has seen last.
    pub(super) fn generation(&self) -> u64 {
        self.inner.lock().core.log().generation()
    }
    /// Asks the core on behalf of a peer; None if the node goes down first. With the answer comes the generation of the
    /// log that it speaks of.
    pub(super) async fn request(&self, request: Request) -> Option<(Reply, u64)> {
        let answer = {
            let mut inner = self.inner.lock();
            let token = Token(inner.next_token);
            inner.next_token += 1;
            let (send, answer) = oneshot::channel();
            inner.waiting.insert(token, send);
            self.step_locked(&mut inner, Input::Request { token, request });
            answer
        };
        answer.await.ok()
    }
    /// Steps the core.
    pub(super) fn step(&self, input: Input) {
        let mut inner = self.inner.lock();
        self.step_locked(&mut inner, input);
    }
    fn completed(&self, completion: Completion) {
        if let Some(input) = self.completion(completion) {
            self.step(input);
        }
    }
    fn completion(&self, completion: Completion) -> Option<Input> {
        match completion {
            Completion::Appended { generation, end } => Some(Input::Appended { generation, end }),
            Completion::Synced { generation, end } => {
                self.probe.tell(Event::RaftSynced { end });
                Some(Input::Synced { generation, end })
            }
            Completion::Closed { .. } => None,
            Completion::Failed { error } => {
                self.fail(format!("the metadata log failed: {error}"));
                None
            }
        }
    }

    fn step_locked(&self, inner: &mut Inner, input: Input) {
        let now = clock::now();
        let mut inputs = VecDeque::from([input]);
        let mut outputs = Vec::new();
        while let Some(input) = inputs.pop_front() {
            inner.core.step(now, input, &mut outputs);
            for output in outputs.drain(..) {
                inputs.extend(self.perform(inner, output));
            }
        }
        let deadline = inner.core.next_deadline();
        if inner.deadline != deadline {
            let sooner = deadline.is_some_and(|d| inner.deadline.is_none_or(|old| d < old));
            inner.deadline = deadline;
            if sooner {
                self.rearm.notify_one();
            }
        }
    }

    /// Does what the core wants done; returns what became true on the spot.
    fn perform(&self, inner: &mut Inner, output: Output) -> Option<Input> {
        match output {
            Output::Send { to, id, request } => {
                if let Some(peer) = inner.peers.get(&to) {
                    peer.send((id, request)).ok();
                }
            }
            Output::Reply { token, reply } => {
                let generation = inner.core.log().generation();
                if let Some(waiting) = inner.waiting.remove(&token) {
                    waiting.send((reply, generation)).ok();
                }
            }
            Output::StoreQuorumState { sequence, state } => {
                inner.store.send((sequence, state)).ok();
            }
            Output::Append { generation, batch } => return self.append(inner, generation, batch),
            Output::Sync { generation, .. } => {
                let done = inner.log.submit(Op::Sync { generation });
                return done.and_then(|c| self.completion(c));
            }
            Output::Truncate { generation, end } => {
                self.probe.tell(Event::RaftTruncated { to: end });
                let done = inner.log.submit(Op::Truncate { to: end, generation });
                // What stays was in the page cache before; the cut itself is never waited for.
                return done.and_then(|c| self.completion(c)).or(Some(Input::Appended { generation, end }));
            }
            Output::HighWatermark { high_watermark } => {
                self.probe.tell(Event::RaftCommitted { high_watermark });
                self.advanced.notify_waiters();
            }
            Output::RoleChanged { role, epoch, leader } => {
                self.probe.tell(Event::RaftRole { epoch, role: role_of(role), leader });
                let known = inner.core.leadership();
                self.leader.send_if_modified(|l| {
                    let changed = *l != (known.leader, known.epoch);
                    *l = (known.leader, known.epoch);
                    changed
                });
                self.advanced.notify_waiters();
            }
            Output::BecameLeader { epoch, epoch_start } => {
                inner.leading = Some((epoch, epoch_start));
                self.advanced.notify_waiters();
            }
            Output::LostLeadership { .. } => {
                inner.leading = None;
                self.advanced.notify_waiters();
            }
            Output::Voted { epoch, candidate } => self.probe.tell(Event::RaftVoted { epoch, candidate }),
            Output::Fatal { reason } => self.fail(reason),
        }
        None
    }

    fn append(&self, inner: &mut Inner, generation: u64, batch: Batch) -> Option<Input> {
        let bytes = match batch.content {
            Content::Encoded(bytes) => bytes,
            Content::LeaderChange { leader, voters, granting } => {
                leader_change(batch.base, batch.epoch, leader, &voters, &granting)
            }
        };
        match BatchView::parse(&bytes) {
            Ok(view) => self.probe.tell(Event::RaftAppended { batches: vec![mark(BatchInfo::of(&view))] }),
            Err(error) => {
                self.fail(format!("a metadata batch that does not parse: {error}"));
                return None;
            }
        }
        let done = inner.log.submit(Op::Append { bytes, generation });
        done.and_then(|c| self.completion(c))
    }
}

/// The control batch that opens a leadership.
fn leader_change(
    base: Offset,
    epoch: LeaderEpoch,
    leader: BrokerId,
    voters: &[BrokerId],
    granting: &[BrokerId],
) -> bytes::Bytes {
    let voter = |id: &BrokerId| Voter::default().with_voter_id(id.0);
    let message = LeaderChangeMessage::default()
        .with_leader_id(leader.0.into())
        .with_voters(voters.iter().map(voter).collect())
        .with_granting_voters(granting.iter().map(voter).collect());
    let (key, value) = ControlRecord::LeaderChange(message).encode().expect("our own control record encodes");
    let mut builder = BatchBuilder::new();
    builder.append(clock::now().wall_ms, Some(&key), Some(&value), &[]);
    builder.build(Stamp { base_offset: base, leader_epoch: epoch, control: true, ..Stamp::default() })
}

fn role_of(role: RoleKind) -> RaftRole {
    match role {
        RoleKind::Unattached => RaftRole::Unattached,
        RoleKind::Prospective => RaftRole::Prospective,
        RoleKind::Candidate => RaftRole::Candidate,
        RoleKind::Leader => RaftRole::Leader,
        RoleKind::Follower => RaftRole::Follower,
        RoleKind::Resigned => RaftRole::Resigned,
    }
}

/// Ticks the core at its deadlines.
async fn drive(quorum: Arc<Quorum>) {
    loop {
        let deadline = quorum.inner.lock().deadline;
        let rearmed = quorum.rearm.notified();
        match deadline {
            None => rearmed.await,
            Some(deadline) => tokio::select! {
                biased;
                () = rearmed => {}
                () = time::sleep_until(deadline) => quorum.step(Input::Tick),
            },
        }
    }
}

/// Makes quorum states durable, the latest of those that wait.
async fn store_states(
    quorum: Weak<Quorum>,
    disk: Disk,
    mut states: tokio::sync::mpsc::UnboundedReceiver<(u64, ElectionState)>,
) {
    while let Some(mut latest) = states.recv().await {
        while let Ok(newer) = states.try_recv() {
            latest = newer;
        }
        let written = state_file::write(&disk, &latest.1).await;
        let Some(quorum) = quorum.upgrade() else { return };
        match written {
            Ok(()) => quorum.step(Input::Stored { sequence: latest.0 }),
            Err(error) => return quorum.fail(format!("the quorum state could not be stored: {error}")),
        }
    }
}
