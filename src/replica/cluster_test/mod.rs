//! Three replicas, a controller and a network that loses and reorders, all as data; properties of the whole.

mod controller;
mod node;

use std::collections::BTreeMap;

use kafka_protocol::ResponseError;
use proptest::prelude::*;

use super::tests::plain;
use super::*;
use crate::base::bugs::{Bug, plant};
use crate::base::random::Stream;
use crate::base::{BrokerEpoch, BrokerId, LeaderEpoch, Offset};
use controller::Controller;
use node::{Node, Stored};

#[derive(Clone, Debug)]
enum Message {
    Fetch { from: usize, asked: FetchPosition, epoch: BrokerEpoch },
    Answer { to: usize, asked: FetchPosition, result: Result<Read, ResponseError> },
    Propose { from: usize, epoch: BrokerEpoch, proposal: IsrProposal },
    Altered { to: usize, epoch: BrokerEpoch, id: u64, result: Result<IsrAnswer, ResponseError> },
}

#[derive(Clone, Debug)]
struct Read {
    high_watermark: Offset,
    diverging: Option<EpochEnd>,
    batches: Vec<Stored>,
}

struct World {
    now: u64,
    nodes: Vec<Node>,
    controller: Controller,
    network: Vec<Message>,
    sent: BTreeMap<u64, Stored>,
    acked: Vec<Stored>,
}

type Step = (u8, u8);

impl World {
    fn new() -> Self {
        let ids: Vec<_> = (1..=3).map(BrokerId).collect();
        let controller = Controller::new(ids.clone());
        let nodes = ids.into_iter().map(Node::new).collect();
        let mut world =
            Self { now: 0, nodes, controller, network: Vec::new(), sent: BTreeMap::new(), acked: Vec::new() };
        for n in 0..3 {
            let epoch = world.controller.brokers.get(world.nodes[n].id).expect("registered").epoch;
            world.start(n, epoch);
        }
        world
    }
    fn start(&mut self, n: usize, epoch: BrokerEpoch) {
        let mut out = Vec::new();
        self.nodes[n].start(epoch, &self.controller.log, self.now, &mut out);
        self.handle(n, out);
    }
    fn step(&mut self, (what, which): Step) {
        let (n, mut out) = (usize::from(which) % 3, Vec::new());
        match what {
            0..=29 => self.produce(n, 1 + i64::from(which >> 6)),
            30..=79 => self.nodes[n].flush_one(self.now, &mut out),
            80..=119 => self.send_fetch(n),
            120..=206 => self.deliver(usize::from(which)),
            207..=210 => self.lose(usize::from(which)),
            211..=232 => self.nodes[n].apply_next(&self.controller.log, self.now, &mut out),
            233..=238 => self.tick(u64::from(which)),
            239 => self.nodes[n].crash(),
            240..=243 => self.restart(n),
            244 => self.controller.fence(self.nodes[n].id, true),
            245..=250 => self.unfence(n),
            251 => self.controller.move_leader(),
            252..=255 => self.checkpoint(n),
        }
        self.handle(n, out);
    }
    fn produce(&mut self, n: usize, count: i64) {
        let (value, now, mut out) = (self.sent.len() as u64, self.now, Vec::new());
        let Some(Ok(Admission::Append(a))) =
            self.nodes[n].with(now, |core, _| core.append_as_leader(Acks::All, &plain(count)))
        else {
            return;
        };
        let span = BatchSpan { base: a.base, next: a.next, epoch: a.epoch, producer: plain(count) };
        let stored = Stored { span, value };
        self.sent.insert(value, stored);
        self.nodes[n].store(&[stored]);
        let token = ProduceToken { request: value, part: 0 };
        self.nodes[n].with(now, |core, _| core.await_produce(token, a.epoch, a.next, Acks::All, &mut out));
        self.handle(n, out);
    }
    fn send_fetch(&mut self, n: usize) {
        let node = &self.nodes[n];
        let mine =
            |m: &&Message| matches!(m, Message::Fetch { from, .. } | Message::Answer { to: from, .. } if *from == n);
        if self.network.iter().filter(mine).count() >= 2 {
            return; // One that is awaited, and one that was given up and may still arrive.
        }
        if let Some(asked) = node.core.as_ref().and_then(ReplicaCore::fetch_position) {
            self.network.push(Message::Fetch { from: n, asked, epoch: node.broker_epoch });
        }
    }
    fn deliver(&mut self, which: usize) {
        if self.network.is_empty() {
            return;
        }
        let at = which % self.network.len();
        match self.network.remove(at) {
            Message::Fetch { from, asked, epoch } => self.serve(from, asked, epoch),
            Message::Answer { to, asked, result } => self.take_answer(to, &asked, result),
            Message::Propose { from, epoch, proposal } => {
                let result = self.controller.alter(self.nodes[from].id, epoch, &proposal);
                self.network.push(Message::Altered { to: from, epoch, id: proposal.id, result });
            }
            Message::Altered { to, epoch, id, result } => self.altered(to, epoch, id, result),
        }
    }
    fn lose(&mut self, which: usize) {
        if self.network.is_empty() {
            return;
        }
        let at = which % self.network.len();
        match self.network.remove(at) {
            Message::Propose { from: n, epoch, proposal: IsrProposal { id, .. } }
            | Message::Altered { to: n, epoch, id, .. } => {
                self.altered(n, epoch, id, Err(ResponseError::NetworkException));
            }
            Message::Fetch { .. } | Message::Answer { .. } => {}
        }
    }
    fn altered(&mut self, n: usize, epoch: BrokerEpoch, id: u64, result: Result<IsrAnswer, ResponseError>) {
        if self.nodes[n].broker_epoch != epoch {
            return; // The incarnation that asked is gone.
        }
        let mut out = Vec::new();
        self.nodes[n].with(self.now, |core, ctx| core.isr_answer(ctx, id, result, &mut out));
        self.handle(n, out);
    }
    fn serve(&mut self, from: usize, asked: FetchPosition, epoch: BrokerEpoch) {
        let (to, id, mut out) = (asked.leader.0 as usize - 1, self.nodes[from].id, Vec::new());
        let FetchPosition { leader_epoch, last_epoch, offset, log_start, .. } = asked;
        let fetch = FollowerFetch { id, broker_epoch: epoch, leader_epoch, last_epoch, offset, log_start };
        let served = self.nodes[to]
            .with(self.now, |core, ctx| (core.follower_fetch(ctx, &fetch, &mut out), core.high_watermark()));
        let Some((served, high_watermark)) = served else { return };
        let result = served.map(|serve| match serve {
            Serve::Diverging(end) => Read { high_watermark, diverging: Some(end), batches: Vec::new() },
            Serve::Read { from, upto } => {
                let held = self.nodes[to].below(upto).iter().filter(|b| b.span.base >= from);
                Read { high_watermark, diverging: None, batches: held.take(3).copied().collect() }
            }
        });
        self.network.push(Message::Answer { to: from, asked, result });
        self.handle(to, out);
    }
    fn take_answer(&mut self, n: usize, asked: &FetchPosition, result: Result<Read, ResponseError>) {
        let error = result.as_ref().err().copied();
        let none = Read { high_watermark: Offset::NONE, diverging: None, batches: Vec::new() };
        let Read { high_watermark, diverging, batches } = result.unwrap_or(none);
        let spans: Vec<_> = batches.iter().map(|b| b.span).collect();
        let answer = FetchAnswer { error, high_watermark, log_start: Offset::ZERO, diverging, batches: &spans };
        let mut out = Vec::new();
        let verdict = self.nodes[n].with(self.now, |core, _| core.fetch_answer(asked, &answer, &mut out));
        assert_ne!(verdict, Some(Verdict::OutOfRange), "nothing was ever deleted");
        self.handle(n, out);
        if let Some(Verdict::Proceed { batches: taken }) = verdict {
            self.nodes[n].store(&batches[..taken]);
        }
    }
    fn tick(&mut self, ms: u64) {
        self.now += ms;
        for n in 0..3 {
            let mut out = Vec::new();
            self.nodes[n].with(self.now, |core, ctx| core.scan_isr(ctx, &mut out));
            self.handle(n, out);
        }
    }
    fn restart(&mut self, n: usize) {
        if self.nodes[n].core.is_none() {
            let epoch = self.controller.register(self.nodes[n].id);
            self.start(n, epoch);
        }
    }
    fn unfence(&mut self, n: usize) {
        if self.nodes[n].core.is_some() {
            self.controller.fence(self.nodes[n].id, false);
        }
    }
    fn checkpoint(&mut self, n: usize) {
        if let Some(core) = &self.nodes[n].core {
            self.nodes[n].checkpoint = core.high_watermark();
        }
    }
    fn handle(&mut self, n: usize, out: Vec<Output>) {
        for output in out {
            match output {
                Output::ProduceDone { token, result: Ok(()) } => self.acked.push(self.sent[&token.request]),
                Output::ProposeIsr(proposal) => {
                    let epoch = self.nodes[n].broker_epoch;
                    self.network.push(Message::Propose { from: n, epoch, proposal });
                }
                Output::Truncate { to, .. } => self.nodes[n].disk.retain(|b| b.span.next <= to),
                Output::TruncateFully { generation, .. } => {
                    self.nodes[n].disk.clear();
                    self.nodes[n].core.iter_mut().for_each(|core| core.started_anew(generation));
                }
                Output::ProduceDone { .. }
                | Output::FetchReady(_)
                | Output::LogStart(_)
                | Output::EpochsChanged
                | Output::RebuildProducers
                | Output::HighWatermark(_) => {}
            }
        }
    }
    /// What must hold at every moment, or what is wrong.
    fn check(&mut self) -> Result<(), String> {
        for node in &mut self.nodes {
            let Some(core) = &node.core else { continue };
            let (log, hw) = (core.log(), core.high_watermark());
            if !(log.log_start() <= hw && hw <= log.visible_end() && log.visible_end() <= log.log_end()) {
                return Err(format!("broker {}: high watermark {hw} outside {log:?}", node.id));
            }
            if node.watched.0 == core.leader_epoch() && hw < node.watched.1 {
                return Err(format!("broker {}: the high watermark fell from {} to {hw}", node.id, node.watched.1));
            }
            node.watched = (core.leader_epoch(), hw);
        }
        self.check_acked()?;
        self.check_log_matching()
    }
    /// Whoever may be elected holds everything that was acknowledged.
    fn check_acked(&self) -> Result<(), String> {
        for id in &self.controller.state.isr {
            let node = &self.nodes[id.0 as usize - 1];
            if let Some(lost) = self.acked.iter().find(|b| !node.holds(b)) {
                return Err(format!("in-sync replica {id} lacks the acknowledged {lost:?}"));
            }
        }
        Ok(())
    }
    fn check_log_matching(&self) -> Result<(), String> {
        let marks = self.nodes.iter().filter_map(|n| n.core.as_ref().map(|c| (n, c.high_watermark())));
        let up: Vec<_> = marks.collect();
        for (a, hw_a) in &up {
            for (b, hw_b) in &up {
                let end = *hw_a.min(hw_b);
                if a.below(end) != b.below(end) {
                    return Err(format!("brokers {} and {} differ below {end}", a.id, b.id));
                }
            }
        }
        Ok(())
    }
    /// Faults end; everything that can move moves. Then all replicas must agree.
    fn heal(&mut self) -> Result<(), String> {
        for round in 0..120 {
            for n in 0..3 {
                let mut out = Vec::new();
                self.restart(n);
                self.unfence(n);
                while self.nodes[n].applied < self.controller.log.len() {
                    self.nodes[n].apply_next(&self.controller.log, self.now, &mut out);
                }
                while !self.nodes[n].pending.is_empty() {
                    self.nodes[n].flush_one(self.now, &mut out);
                }
                self.handle(n, out);
                self.send_fetch(n);
            }
            while !self.network.is_empty() {
                self.deliver(0);
            }
            self.tick(if round < 60 { 400 } else { 10 });
            self.check()?;
        }
        self.check_converged()
    }
    fn check_converged(&self) -> Result<(), String> {
        let state = &self.controller.state;
        if state.leader == BrokerId::NONE || state.isr.len() != 3 {
            return Err(format!("no full ISR: {state:?}"));
        }
        for node in &self.nodes {
            let core = node.core.as_ref().expect("restarted");
            if node.disk != self.nodes[0].disk || core.high_watermark() != core.log().log_end() {
                return Err(format!("broker {} does not converge: {core:?}", node.id));
            }
        }
        Ok(())
    }
}

fn run(steps: &[Step]) -> Result<World, String> {
    let mut world = World::new();
    for step in steps {
        world.step(*step);
        world.check()?;
    }
    world.heal()?;
    Ok(world)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn under_clean_elections_nothing_acknowledged_is_lost(steps in prop::collection::vec(any::<Step>(), 0..600)) {
        if let Err(wrong) = run(&steps) {
            return Err(TestCaseError::fail(wrong));
        }
    }
}

fn random_steps(seed: u64) -> Vec<Step> {
    let mut stream = Stream::new(seed, "schedule");
    (0..600).map(|_| (stream.below(256) as u8, stream.below(256) as u8)).collect()
}

#[test]
fn the_schedules_are_eventful() {
    let (mut acked, mut epochs, mut isr_changes) = (0, 0, 0);
    for seed in 0..100 {
        let world = run(&random_steps(seed)).unwrap();
        acked += world.acked.len();
        epochs += i64::from(world.controller.state.leader_epoch.0);
        isr_changes += i64::from(world.controller.state.partition_epoch.0);
        assert!(world.controller.state.leader_epoch > LeaderEpoch(0));
    }
    assert!(acked > 400 && epochs > 400 && isr_changes > 1_000, "{acked} {epochs} {isr_changes}");
}

/// The first of a thousand random schedules in which a planted bug shows.
fn first_failure(bug: Bug) -> Option<(u64, String)> {
    plant(&[bug]);
    let found = (0..1_000).find_map(|seed| run(&random_steps(seed)).err().map(|wrong| (seed, wrong)));
    plant(&[]);
    found
}

#[test]
fn acknowledging_before_the_isr_has_it_is_caught() {
    let (_, wrong) = first_failure(Bug::AckBeforeIsr).expect("the planted bug shows");
    assert!(wrong.contains("acknowledged"), "{wrong}");
}

#[test]
fn truncating_to_the_high_watermark_is_caught() {
    let (_, wrong) = first_failure(Bug::TruncateToHighWatermark).expect("the planted bug shows");
    assert!(wrong.contains("acknowledged") || wrong.contains("differ"), "{wrong}");
}

#[test]
fn an_epoch_lookup_that_forgets_the_epoch_is_caught() {
    let (_, wrong) = first_failure(Bug::EpochLookupWithoutEpoch).expect("the planted bug shows");
    assert!(wrong.contains("acknowledged") || wrong.contains("differ"), "{wrong}");
}

#[test]
fn joining_the_isr_below_the_start_of_the_leadership_is_caught() {
    let (_, wrong) = first_failure(Bug::IsrJoinBelowEpochStart).expect("the planted bug shows");
    assert!(wrong.contains("acknowledged") || wrong.contains("differ"), "{wrong}");
}
