//! A small world for quorum cores: a lossy network, disks with a page cache, crashes. Driven by one seed; time is
//! simulated.

use std::collections::BTreeMap;

use bytes::Bytes;
use kafka_protocol::ResponseError;

use super::disk::{Snapshot, Snapshots, Tail};
use super::judge::{Judge, Verdict};
use crate::base::random::Stream;
use crate::base::time::NANOS_PER_MS;
use crate::base::{BrokerId, Now, Offset};
use crate::raft::{
    Answer, Batch, Body, Content, ElectionState, Input, Output, RaftConfig, RaftCore, ReadRange, Reply, Request,
    RequestId, Response, RoleKind, SnapshotId, Token,
};

/// What the network and the disks do to everybody, as chances out of 100 and times in milliseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Weather {
    pub(super) loss: u64,
    pub(super) duplicates: u64,
    pub(super) delay_ms: u64,
    pub(super) disk_ms: u64,
}

pub(super) const FAIR: Weather = Weather { loss: 0, duplicates: 0, delay_ms: 2, disk_ms: 2 };

/// More than any quorum has to do, however short the delays.
const STEPS: u64 = 2_000;
const STEPS_PER_MS: u64 = 2;

enum Event {
    Request {
        from: BrokerId,
        id: RequestId,
        to: BrokerId,
        request: Request,
    },
    Answer {
        to: BrokerId,
        life: u32,
        id: RequestId,
        answer: Answer,
    },
    /// The page cache, the device or the quorum-state file did what was asked, if the node still lives.
    Disk {
        node: BrokerId,
        life: u32,
        done: Done,
    },
    Failed {
        to: BrokerId,
        life: u32,
        id: RequestId,
    },
}

enum Done {
    Appended {
        generation: u64,
        end: Offset,
    },
    Synced {
        generation: u64,
        end: Offset,
    },
    Stored {
        sequence: u64,
        state: ElectionState,
    },
    Snapshot {
        id: SnapshotId,
        content: Snapshot,
    },
    /// The log was thrown away, durably.
    StartedAnew {
        at: Offset,
    },
}

/// One machine: a core while it runs, and a disk that outlives it.
pub(super) struct Node {
    pub(super) core: Option<RaftCore>,
    pub(super) life: u32,
    /// The page cache.
    pub(super) log: Tail,
    /// The device.
    pub(super) durable: Tail,
    /// The device's snapshots.
    pub(super) snapshots: Snapshots,
    download: Vec<u8>,
    /// Snapshots of a leader that were loaded, in all lives.
    pub(super) loaded: u32,
    state: Option<ElectionState>,
    storing: bool,
    /// The quorum state to store once the one under way is durable: the latest takes the place of earlier ones.
    store_next: Option<(u64, ElectionState)>,
    disk_free_at: u64,
    pub(super) slow_disk_ms: u64,
    tokens: BTreeMap<Token, (BrokerId, u32, RequestId)>,
    pub(super) elections: u32,
}

pub(super) struct World {
    pub(super) now: u64,
    sequence: u64,
    events: BTreeMap<(u64, u64), Event>,
    pub(super) nodes: BTreeMap<BrokerId, Node>,
    pub(super) weather: Weather,
    /// Cut off: messages from or to these are lost.
    pub(super) cut: Vec<(BrokerId, BrokerId)>,
    pub(super) config: RaftConfig,
    stream: Stream,
    pub(super) judge: Judge,
    proposals: u64,
}

impl World {
    pub(super) fn new(seed: u64, voters: i32, observers: i32) -> Self {
        let mut world = Self {
            now: 0,
            sequence: 0,
            events: BTreeMap::new(),
            nodes: BTreeMap::new(),
            weather: FAIR,
            cut: Vec::new(),
            config: RaftConfig::new((0..voters).map(BrokerId)),
            stream: Stream::new(seed, "raft-world"),
            judge: Judge::default(),
            proposals: 0,
        };
        for id in (0..voters + observers).map(BrokerId) {
            let node = Node {
                core: None,
                life: 0,
                log: Tail::default(),
                durable: Tail::default(),
                snapshots: Snapshots::new(),
                download: Vec::new(),
                loaded: 0,
                state: None,
                storing: false,
                store_next: None,
                disk_free_at: 0,
                slow_disk_ms: 0,
                tokens: BTreeMap::new(),
                elections: 0,
            };
            world.nodes.insert(id, node);
        }
        world
    }
    pub(super) fn start(&mut self, id: BrokerId) -> Verdict {
        let (now, jitter) = (self.clock(), Stream::new(self.stream.next_u64(), "jitter"));
        let config = self.config.clone();
        let node = self.nodes.get_mut(&id).expect("a known node");
        if node.core.is_some() {
            return Ok(());
        }
        node.life += 1;
        // Recovery makes durable what it keeps.
        let log = node.log.recover(&mut node.snapshots)?;
        node.durable = node.log.clone();
        let sizes = node.snapshots.iter().map(|(id, content)| (*id, content.encode().len() as u64)).collect();
        node.core = Some(RaftCore::new(config, id, node.state, log, sizes, jitter, now));
        self.step(id, Input::Tick)
    }
    pub(super) fn start_all(&mut self) -> Verdict {
        for id in self.ids() {
            self.start(id)?;
        }
        Ok(())
    }
    /// The process dies; with `power`, so does its page cache.
    pub(super) fn crash(&mut self, id: BrokerId, power: bool) {
        let pending: Vec<_> = self.pending_states(id);
        let renamed: Vec<_> = self.pending_snapshots(id);
        let stream = &mut self.stream;
        let node = self.nodes.get_mut(&id).expect("a known node");
        if node.core.take().is_none() {
            return;
        }
        node.tokens.clear();
        node.disk_free_at = self.now;
        (node.storing, node.store_next) = (false, None);
        // A rename under way may have reached the device or not.
        let landed = stream.below(pending.len() as u64 + 1) as usize;
        if landed > 0 {
            node.state = Some(pending[landed - 1]);
        }
        for (id, content) in renamed {
            if stream.chance(1, 2) {
                node.snapshots.insert(id, content);
            }
        }
        if power {
            node.log.lose_power(&node.durable, stream);
        }
    }
    fn pending_snapshots(&self, id: BrokerId) -> Vec<(SnapshotId, Snapshot)> {
        let Some(node) = self.nodes.get(&id) else { return Vec::new() };
        let mine = self.events.values().filter_map(|event| match event {
            Event::Disk { node: at, life, done: Done::Snapshot { id: snapshot, content } }
                if *at == id && *life == node.life =>
            {
                Some((*snapshot, content.clone()))
            }
            _ => None,
        });
        mine.collect()
    }
    fn pending_states(&self, id: BrokerId) -> Vec<ElectionState> {
        let Some(node) = self.nodes.get(&id) else { return Vec::new() };
        let mine = self.events.values().filter_map(|event| match event {
            Event::Disk { node: at, life, done: Done::Stored { state, .. } } if *at == id && *life == node.life => {
                Some(*state)
            }
            _ => None,
        });
        mine.collect()
    }
    pub(super) fn ids(&self) -> Vec<BrokerId> {
        self.nodes.keys().copied().collect()
    }
    pub(super) fn clock(&self) -> Now {
        Now { mono_ns: self.now, wall_ms: 0 }
    }
    pub(super) fn leader(&self) -> Option<BrokerId> {
        let leads =
            |node: &Node| node.core.as_ref().filter(|c| c.role() == RoleKind::Leader).map(|c| c.leadership().epoch);
        self.nodes.iter().filter_map(|(id, node)| Some((leads(node)?, *id))).max().map(|(_, id)| id)
    }
    pub(super) fn core(&self, id: BrokerId) -> &RaftCore {
        self.nodes[&id].core.as_ref().expect("a running node")
    }
    /// Proposes a batch at `id`, if it leads; returns where the batch ends.
    pub(super) fn propose(&mut self, id: BrokerId) -> Result<Option<Offset>, String> {
        let Some(core) = &self.nodes[&id].core else { return Ok(None) };
        let epoch = core.leadership().epoch;
        let Some(base) = core.proposal_offset(epoch) else { return Ok(None) };
        self.proposals += 1;
        let next = base + 1 + self.stream.below(3) as i64;
        let content = Content::Encoded(Bytes::copy_from_slice(&self.proposals.to_le_bytes()));
        self.step(id, Input::Propose { batch: Batch { base, next, epoch, content } })?;
        Ok(Some(next))
    }
    /// `id` writes a snapshot of what it knows to be committed, or of a part of it.
    pub(super) fn snapshot(&mut self, id: BrokerId) -> Verdict {
        let node = &self.nodes[&id];
        let Some(committed) = node.core.as_ref().and_then(RaftCore::high_watermark) else { return Ok(()) };
        let mut content = node.contents();
        content.0.retain(|b| b.next <= committed);
        if self.stream.chance(1, 3) {
            let kept = self.stream.below(content.0.len() as u64 + 1) as usize;
            content.0.truncate(kept);
        }
        let Some(snapshot) = content.id().filter(|s| s.offset > node.log.start) else { return Ok(()) };
        self.disk(id, Done::Snapshot { id: snapshot, content });
        Ok(())
    }
    /// Retention at `id`: what comes before one of its snapshots may go.
    pub(super) fn clean(&mut self, id: BrokerId) -> Verdict {
        let known: Vec<_> = self.nodes[&id].snapshots.keys().copied().collect();
        if self.nodes[&id].core.is_none() || known.is_empty() {
            return Ok(());
        }
        let before = *self.stream.pick(&known);
        self.step(id, Input::Clean { before })
    }
    /// Lets `ms` milliseconds pass.
    pub(super) fn run(&mut self, ms: u64) -> Verdict {
        let until = self.now + ms * NANOS_PER_MS;
        let mut happened = 0;
        loop {
            happened += 1;
            if happened > STEPS + ms * STEPS_PER_MS {
                return Err(format!("more than {happened} things happen in {ms} ms: somebody spins"));
            }
            let due = |(id, node): (&BrokerId, &Node)| Some((node.core.as_ref()?.next_deadline()?, *id));
            let wake = self.nodes.iter().filter_map(due).min();
            let event = self.events.first_key_value().map(|(&key, _)| key);
            match (event, wake) {
                (Some(key), wake) if key.0 <= until && wake.is_none_or(|(at, _)| key.0 <= at) => {
                    self.now = self.now.max(key.0);
                    let event = self.events.remove(&key).expect("the first event");
                    self.happen(event)?;
                }
                (_, Some((at, id))) if at <= until => {
                    self.now = self.now.max(at);
                    self.step(id, Input::Tick)?;
                }
                _ => break,
            }
        }
        self.now = until;
        let logs: Vec<_> = self.nodes.values().filter(|n| n.core.is_some()).map(|n| n.contents().0).collect();
        Judge::logs_match(&logs)
    }
    fn happen(&mut self, event: Event) -> Verdict {
        match event {
            Event::Request { from, id, to, request } => {
                let token = Token(self.sequence);
                self.sequence += 1;
                let life = self.nodes[&from].life;
                let node = self.nodes.get_mut(&to).expect("a known node");
                if node.core.is_none() {
                    return self.step(from, Input::Failed { id });
                }
                node.tokens.insert(token, (from, life, id));
                self.step(to, Input::Request { token, request })
            }
            Event::Answer { to, life, id, answer } if self.nodes[&to].life == life => {
                self.step(to, Input::Response { id, answer })
            }
            Event::Failed { to, life, id } if self.nodes[&to].life == life => self.step(to, Input::Failed { id }),
            Event::Disk { node, life, done } if self.nodes[&node].life == life => self.disk_done(node, done),
            _ => Ok(()),
        }
    }
    fn disk_done(&mut self, id: BrokerId, done: Done) -> Verdict {
        let node = self.nodes.get_mut(&id).expect("a known node");
        if node.core.is_none() {
            return Ok(());
        }
        let input = match done {
            Done::Appended { generation, end } => Input::Appended { generation, end },
            Done::Synced { generation, end } => {
                let current = node.core.as_ref().is_some_and(|c| c.log().generation() == generation);
                if current {
                    node.durable = node.log.up_to(end);
                }
                Input::Synced { generation, end }
            }
            Done::StartedAnew { at } => {
                if node.log.start == at {
                    node.durable = Tail { start: at, batches: Vec::new() };
                }
                return Ok(());
            }
            Done::Snapshot { id: snapshot, content } => {
                let size = content.encode().len() as u64;
                self.judge.snapshot(id, snapshot, &content.0)?;
                node.snapshots.insert(snapshot, content);
                Input::SnapshotStored { snapshot, size }
            }
            Done::Stored { sequence, state } => {
                node.state = Some(state);
                node.storing = false;
                if let Some((sequence, state)) = node.store_next.take() {
                    self.store(id, sequence, state);
                }
                Input::Stored { sequence }
            }
        };
        self.step(id, input)
    }
    /// Gives `id` an input and does what it asks for.
    pub(super) fn step(&mut self, id: BrokerId, input: Input) -> Verdict {
        let now = self.clock();
        let mut out = Vec::new();
        if let Some(core) = self.nodes.get_mut(&id).and_then(|node| node.core.as_mut()) {
            core.step(now, input, &mut out);
        }
        for output in out {
            self.carry_out(id, output)?;
        }
        Ok(())
    }
    fn carry_out(&mut self, id: BrokerId, output: Output) -> Verdict {
        let life = self.nodes[&id].life;
        match output {
            Output::Send { to, id: request_id, request } => self.post_request(id, to, request_id, &request),
            Output::Reply { token, reply } => self.post_answer(id, token, reply)?,
            Output::StoreQuorumState { sequence, state } => self.store(id, sequence, state),
            Output::Append { generation, batch } => {
                let end = batch.next;
                self.node(id).log.batches.push(batch);
                self.disk(id, Done::Appended { generation, end });
            }
            Output::Sync { generation, end } => self.disk(id, Done::Synced { generation, end }),
            Output::Truncate { generation, end } => {
                self.node(id).log.batches.retain(|b| b.next <= end);
                assert_eq!(generation, self.core(id).log().generation());
            }
            Output::WriteChunk { snapshot: _, position, bytes } => {
                let download = &mut self.node(id).download;
                download.truncate(position as usize);
                assert_eq!(download.len(), position as usize, "a piece is missing");
                download.extend_from_slice(&bytes);
            }
            Output::FinishSnapshot { snapshot, size } => {
                let bytes = std::mem::take(&mut self.node(id).download);
                assert_eq!(bytes.len() as u64, size);
                let content = Snapshot::decode(&bytes).ok_or("a download is no snapshot")?;
                self.disk(id, Done::Snapshot { id: snapshot, content });
            }
            Output::LoadSnapshot { snapshot, .. } => {
                let node = self.node(id);
                node.log = Tail { start: snapshot.offset, batches: Vec::new() };
                node.loaded += 1;
                self.disk(id, Done::StartedAnew { at: snapshot.offset });
            }
            Output::DeleteSnapshot { snapshot } => {
                self.node(id).snapshots.remove(&snapshot);
            }
            Output::DeleteBelow { start } => {
                let node = self.node(id);
                node.log.batches.retain(|b| b.base >= start);
                node.log.start = start;
            }
            Output::HighWatermark { high_watermark } => {
                let voters = self.config.voters.len();
                let disks: Vec<_> = self.nodes.values().take(voters).map(|n| n.durable_contents().0).collect();
                self.judge.commits((id, life), high_watermark, &self.nodes[&id].contents().0, &disks)?;
            }
            Output::RoleChanged { role, epoch, .. } => {
                self.judge.plays(id, life, role, epoch)?;
                if role == RoleKind::Candidate {
                    self.nodes.get_mut(&id).expect("a known node").elections += 1;
                }
            }
            Output::BecameLeader { epoch, .. } => self.judge.leads(id, life, epoch, &self.nodes[&id].contents().0)?,
            Output::Voted { epoch, candidate } => self.judge.votes(id, epoch, candidate)?,
            Output::LostLeadership { .. } => {}
            Output::Fatal { reason } => return Err(reason),
        }
        Ok(())
    }
    fn node(&mut self, id: BrokerId) -> &mut Node {
        self.nodes.get_mut(&id).expect("a known node")
    }
    fn store(&mut self, id: BrokerId, sequence: u64, state: ElectionState) {
        let node = self.nodes.get_mut(&id).expect("a known node");
        if node.storing {
            node.store_next = Some((sequence, state));
        } else {
            node.storing = true;
            self.disk(id, Done::Stored { sequence, state });
        }
    }
    fn disk(&mut self, id: BrokerId, done: Done) {
        let node = self.nodes.get_mut(&id).expect("a known node");
        let appended = matches!(done, Done::Appended { .. });
        let latency = if appended { 0 } else { self.stream.below(self.weather.disk_ms + 1) + node.slow_disk_ms };
        node.disk_free_at = node.disk_free_at.max(self.now) + latency * NANOS_PER_MS + 1000;
        let (at, life) = (node.disk_free_at, node.life);
        self.at(at, Event::Disk { node: id, life, done });
    }
    fn at(&mut self, at: u64, event: Event) {
        self.sequence += 1;
        self.events.insert((at, self.sequence), event);
    }
    fn delay(&mut self) -> u64 {
        let long = self.stream.chance(1, 10);
        let ms = self.stream.between(1, self.weather.delay_ms.max(1)) * if long { 10 } else { 1 };
        self.now + ms * NANOS_PER_MS
    }
    fn lost(&mut self, a: BrokerId, b: BrokerId) -> bool {
        let cut = self.cut.iter().any(|&(x, y)| (x, y) == (a, b));
        cut || self.stream.chance(self.weather.loss, 100)
    }
    fn post_request(&mut self, from: BrokerId, to: BrokerId, id: RequestId, request: &Request) {
        let life = self.nodes[&from].life;
        if self.lost(from, to) {
            if self.stream.chance(1, 2) {
                let at = self.delay();
                self.at(at, Event::Failed { to: from, life, id });
            }
            return;
        }
        let copies = 1 + u64::from(self.stream.chance(self.weather.duplicates, 100));
        for _ in 0..copies {
            let at = self.delay();
            self.at(at, Event::Request { from, id, to, request: request.clone() });
        }
    }
    fn post_answer(&mut self, from: BrokerId, token: Token, reply: Reply) -> Verdict {
        let node = self.nodes.get_mut(&from).expect("a known node");
        let (to, life, id) = node.tokens.remove(&token).ok_or_else(|| format!("{token:?} is answered twice"))?;
        let answer = read(reply, node);
        if !self.lost(from, to) {
            let copies = 1 + u64::from(self.stream.chance(self.weather.duplicates, 100));
            for _ in 0..copies {
                let at = self.delay();
                self.at(at, Event::Answer { to, life, id, answer: answer.clone() });
            }
        }
        Ok(())
    }
}

impl Node {
    /// All that this node stands for: its snapshot and what follows.
    pub(super) fn contents(&self) -> Snapshot {
        self.log.after(&self.snapshots)
    }
    /// What it would stand for after a power cut.
    fn durable_contents(&self) -> Snapshot {
        let (mut snapshots, mut log) = (self.snapshots.clone(), self.durable.clone());
        match log.recover(&mut snapshots) {
            Ok(_) => log.after(&snapshots),
            Err(_) => Snapshot::default(),
        }
    }
}

fn read(reply: Reply, node: &Node) -> Answer {
    let Response { current, mut error, body } = reply;
    let body = match body {
        Body::Vote { granted } => Body::Vote { granted },
        Body::BeginQuorumEpoch => Body::BeginQuorumEpoch,
        Body::EndQuorumEpoch => Body::EndQuorumEpoch,
        Body::Fetch { high_watermark, diverging, snapshot, records: ReadRange { from, to } } => {
            let log = &node.log.batches;
            let records = log.iter().filter(|b| b.base >= from && b.next <= to).cloned().collect();
            Body::Fetch { high_watermark, diverging, snapshot, records }
        }
        Body::FetchSnapshot { snapshot, size, position, chunk } => {
            let bytes = node.snapshots.get(&snapshot).map(Snapshot::encode);
            if error.is_none() && bytes.is_none() {
                error = Some(ResponseError::SnapshotNotFound);
            }
            let bytes = bytes.unwrap_or_default();
            let from = (position as usize).min(bytes.len());
            let to = (from + chunk.max_bytes).min(bytes.len());
            let chunk = Bytes::copy_from_slice(&bytes[from..to]);
            Body::FetchSnapshot { snapshot, size, position, chunk }
        }
    };
    Response { current, error, body }
}
