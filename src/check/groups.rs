//! What the members of consumer groups have told, group by group: who owns what, and what became of each record.
//!
//! Facts only; the properties are judged in files of their own.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use super::verdict::{Audit, Span};
use crate::base::{Offset, TopicPartition};
use crate::broker::probe::Event;
use crate::world::history::Op;
use crate::world::member::{Commit, Handled, MemberOp, Offsets, Part, Step};

/// One life of a member process, as far as it has told.
#[derive(Clone, Debug)]
pub struct Member {
    /// `NAME#i`.
    pub process: Arc<str>,
    /// The group.
    pub group: Arc<str>,
    /// What it has to do with the group.
    pub part: Part,
    /// It speaks the consumer protocol (KIP-848): its generation is a member epoch, of its own.
    pub consumer_protocol: bool,
    /// The process runs.
    pub alive: bool,
    /// The coordinator's name for it; empty before it has joined.
    pub id: Arc<str>,
    /// The last generation that it knows to be in; -1 before it has joined, and after it was expelled.
    pub generation: i32,
    /// What it believes to own.
    pub owned: BTreeSet<TopicPartition>,
    /// No rebalance is under way, as far as it knows.
    pub settled: bool,
}

/// What became of the records of one group.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// How often each record was processed.
    pub processed: BTreeMap<TopicPartition, BTreeMap<Offset, u32>>,
    /// How often each record has changed the store, or would have if the application has none.
    pub effects: BTreeMap<TopicPartition, BTreeMap<Offset, u32>>,
    /// Records that were passed over or written to the dead-letter topic.
    pub given_up: BTreeMap<TopicPartition, BTreeMap<Offset, Handled>>,
    /// What is committed, as the last commit that was answered and the last question have told.
    pub committed: BTreeMap<TopicPartition, Offset>,
    /// Partitions of which the coordinator has forgotten at some time what was committed, because its time was over (KIP-211): the next
    /// reader begins where `auto.offset.reset` says.
    pub expired: BTreeSet<TopicPartition>,
    /// Where commits stand of which an attempt was lost on its way: it may be stored over all later ones. A coordinator asks for
    /// member and generation alone (`GroupMetadataManager.storeOffsets`), and a member that lives stays in its generation.
    pub late: BTreeMap<TopicPartition, BTreeSet<Offset>>,
}

/// All groups of a run.
#[derive(Clone, Debug, Default)]
pub struct Groups {
    members: BTreeMap<u32, Member>,
    accounts: BTreeMap<Arc<str>, Account>,
    asked: BTreeMap<(u32, u64), Offsets>,
}

impl Groups {
    /// A node stated a fact.
    pub fn observe(&mut self, event: &Event) {
        if let Event::OffsetsExpired { group, offsets } = event {
            self.accounts.entry(group.clone()).or_default().expired.extend(offsets.iter().cloned());
        }
    }
    /// A client did or was told something.
    pub fn client(&mut self, op: &Op) {
        let Op::Member { member, what } = op else { return };
        if let MemberOp::Began { process, group, part } = what {
            self.begin(*member, process, group, *part);
            return;
        }
        let Some(life) = self.members.get_mut(member) else { return };
        let account = self.accounts.entry(life.group.clone()).or_default();
        match what {
            MemberOp::ConsumerProtocol => life.consumer_protocol = true,
            MemberOp::Ended => {
                life.end();
            }
            MemberOp::Rebalance { step, partitions, member_id, generation, .. } => {
                life.take_step(*step, partitions, member_id, *generation);
            }
            MemberOp::Committing { ask, offsets, .. } => {
                self.asked.insert((*member, *ask), offsets.clone());
            }
            MemberOp::Committed { ask, commit } => {
                let offsets = self.asked.remove(&(*member, *ask)).unwrap_or_default();
                account.commit(&offsets, commit);
            }
            MemberOp::CommittedItself { offsets, commit } => account.commit(offsets, commit),
            MemberOp::ToldOffsets { offsets, .. } => account.committed.extend(offsets.iter().cloned()),
            MemberOp::Handled { partition, offset, how: Handled::Processed } => {
                count(&mut account.processed, partition, *offset);
            }
            MemberOp::Handled { partition, offset, how } => {
                account.given_up.entry(partition.clone()).or_default().insert(*offset, *how);
            }
            MemberOp::Effect { partition, offset, changed: true } => count(&mut account.effects, partition, *offset),
            _ => {}
        }
    }
    fn begin(&mut self, member: u32, process: &Arc<str>, group: &Arc<str>, part: Part) {
        // A process has one life at a time, whether or not the end of the last one was seen.
        for earlier in self.members.values_mut().filter(|m| m.process == *process) {
            earlier.end();
        }
        let life = Member {
            process: process.clone(),
            group: group.clone(),
            part,
            consumer_protocol: false,
            alive: true,
            id: "".into(),
            generation: -1,
            owned: BTreeSet::new(),
            settled: false,
        };
        self.members.insert(member, life);
        self.accounts.entry(group.clone()).or_default();
    }
    /// A life by its number.
    #[must_use]
    pub fn member(&self, number: u32) -> Option<&Member> {
        self.members.get(&number)
    }
    /// The lives that go on and are members of a group, or want to be.
    pub fn alive<'a>(&'a self, group: &'a str) -> impl Iterator<Item = &'a Member> {
        self.lives(group).map(|(_, member)| member)
    }
    /// As [`Self::alive`], by their numbers.
    pub fn lives<'a>(&'a self, group: &'a str) -> impl Iterator<Item = (u32, &'a Member)> {
        let lives = self.members.iter().map(|(number, member)| (*number, member));
        lives.filter(move |(_, m)| m.alive && m.part != Part::Asks && *m.group == *group)
    }
    /// True if a group has members, all in one generation and none in a rebalance, as far as they know.
    #[must_use]
    pub fn is_stable(&self, group: &str) -> bool {
        let mut members = self.alive(group);
        let Some(first) = members.next() else { return false };
        first.settled && members.all(|m| m.settled && m.generation == first.generation)
    }
    /// The committed offsets of all groups, added up.
    #[must_use]
    pub fn committed_in_all(&self) -> u64 {
        let all = self.accounts.values().flat_map(|account| account.committed.values());
        all.map(|offset| u64::try_from(offset.0).unwrap_or(0)).sum()
    }
    /// What became of the records of a group; `None` if nobody has begun to be its member.
    #[must_use]
    pub fn account(&self, group: &str) -> Option<&Account> {
        self.accounts.get(group)
    }
}

fn count(of: &mut BTreeMap<TopicPartition, BTreeMap<Offset, u32>>, tp: &TopicPartition, offset: Offset) {
    if !of.contains_key(tp) {
        of.insert(tp.clone(), BTreeMap::new());
    }
    if let Some(offsets) = of.get_mut(tp) {
        *offsets.entry(offset).or_default() += 1;
    }
}

impl Member {
    fn end(&mut self) {
        self.alive = false;
        self.owned.clear();
    }
    fn take_step(&mut self, step: Step, partitions: &[TopicPartition], id: &Arc<str>, generation: i32) {
        match step {
            Step::Preparing => self.settled = false,
            Step::Revoked => self.owned.retain(|tp| !partitions.contains(tp)),
            Step::Lost => {
                self.owned.retain(|tp| !partitions.contains(tp));
                (self.generation, self.settled) = (-1, false);
            }
            Step::Assigned => {
                self.owned.extend(partitions.iter().cloned());
                (self.id, self.generation, self.settled) = (id.clone(), generation, true);
            }
        }
    }
}

impl Account {
    fn commit(&mut self, offsets: &Offsets, commit: &Commit) {
        if commit.may_come_late() {
            for (tp, offset) in offsets {
                self.late.entry(tp.clone()).or_default().insert(*offset);
            }
        }
        if commit.is_done() {
            self.committed.extend(offsets.iter().cloned());
        }
    }
    /// True if a commit of this offset may be stored at any time, over later ones.
    #[must_use]
    pub fn may_fall_back_to(&self, tp: &TopicPartition, offset: Offset) -> bool {
        self.late.get(tp).is_some_and(|late| late.contains(&offset))
    }
    /// Records of a partition that are committed past and were never processed, nor given up for a reason; only those in
    /// `sure` are looked at, where every replica had the record and the log has never begun anew.
    #[must_use]
    pub fn skipped(&self, audit: &Audit, sure: &Range<Offset>) -> Vec<Span> {
        let committed = self.committed.get(&audit.tp).copied().unwrap_or(Offset::ZERO).min(sure.end);
        let dealt = |offset: &Offset| {
            self.processed.get(&audit.tp).is_some_and(|p| p.contains_key(offset))
                || self.given_up.get(&audit.tp).is_some_and(|p| p.contains_key(offset))
        };
        let below = audit
            .records
            .iter()
            .map(|(offset, _)| *offset)
            .filter(|offset| sure.start <= *offset && *offset < committed);
        spans(&audit.tp, below.filter(|offset| !dealt(offset)))
    }
    /// The offset after the last record of a partition that was dealt with; 0 if none was.
    #[must_use]
    pub fn next(&self, tp: &TopicPartition) -> Offset {
        let processed = self.processed.get(tp).and_then(|p| p.last_key_value()).map(|(offset, _)| offset.next());
        let given_up = self.given_up.get(tp).and_then(|p| p.last_key_value()).map(|(offset, _)| offset.next());
        processed.max(given_up).unwrap_or(Offset::ZERO)
    }
    /// The offset from which on the group certainly has something left to read: behind what was dealt with, or behind a commit of which
    /// nobody knows whether it is stored. Who commits first may have given up what that covers.
    #[must_use]
    pub fn may_have_reached(&self, tp: &TopicPartition) -> Offset {
        let late = self.late.get(tp).and_then(|offsets| offsets.last()).copied();
        self.next(tp).max(late.unwrap_or(Offset::ZERO))
    }
    /// Records that were processed more than once.
    #[must_use]
    pub fn repeated(&self, tp: &TopicPartition) -> Vec<Span> {
        more_than_once(&self.processed, tp)
    }
    /// Records whose effect happened more than once.
    #[must_use]
    pub fn effects_repeated(&self, tp: &TopicPartition) -> Vec<Span> {
        more_than_once(&self.effects, tp)
    }
    /// Records of all partitions that were given up in this way.
    #[must_use]
    pub fn given_up(&self, how: Handled) -> Vec<Span> {
        let of = |(tp, offsets): (&TopicPartition, &BTreeMap<Offset, Handled>)| {
            spans(tp, offsets.iter().filter(|(_, h)| **h == how).map(|(offset, _)| *offset))
        };
        self.given_up.iter().flat_map(of).collect()
    }
}

fn more_than_once(of: &BTreeMap<TopicPartition, BTreeMap<Offset, u32>>, tp: &TopicPartition) -> Vec<Span> {
    let offsets = of.get(tp).into_iter().flatten();
    spans(tp, offsets.filter(|(_, n)| **n > 1).map(|(offset, _)| *offset))
}

/// Rising offsets as spans without gaps.
fn spans(tp: &TopicPartition, offsets: impl Iterator<Item = Offset>) -> Vec<Span> {
    let mut out: Vec<Span> = Vec::new();
    for offset in offsets {
        match out.last_mut() {
            Some(span) if span.last.next() == offset => span.last = offset,
            _ => out.push(Span { tp: tp.clone(), first: offset, last: offset }),
        }
    }
    out
}
