//! OFFS: a fetched committed offset is that of the latest successful commit; no commit of a superseded generation changes
//! it; none is lost (KIP-447, KAFKA-2163; `OffsetMetadataManager`).
//!
//! No stricter: commits that overlap in time may take effect in either order, one whose outcome is unknown may take
//! effect at any time or never, and so may one that was refused after it was sent, because an earlier attempt may have been
//! stored and its answer lost, and an attempt that was lost before another one succeeded; an election that gave up what was committed, of the offsets topic or of the partition itself,
//! takes commits and positions with it; a member that finds nothing committed, or a position below the log start, starts where
//! `auto.offset.reset` says, and whoever finds that compaction has taken what it starts at reads on behind it; a consumer
//! that commits by itself may at any time have committed whatever it had polled, or the log start that it was reset to; a commit
//! that was under way when a generation began may still be of the old one; a group that was forgotten begins
//! with generation 1; and a commit is gone once its group has no members any more and its time is over (KIP-211), which the coordinator
//! tells when it writes so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::ground::Ground;
use super::groups::{Groups, Member};
use super::verdict::Findings;
use crate::base::{Offset, TopicPartition};
use crate::broker::probe::Event;
use crate::world::history::Op;
use crate::world::member::{Commit, MemberOp, Offsets, Part, Step};

/// Where coordinators keep what is committed.
const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// One commit of one partition; times are counts of what was told.
#[derive(Clone, Debug)]
struct Write {
    offset: Offset,
    asked: u64,
    /// When it was known to have succeeded; `None` while nobody knows.
    done: Option<u64>,
    by: Arc<str>,
}

struct Begun {
    told: u64,
    at_ns: u64,
}

struct Asked {
    at: u64,
    group: Arc<str>,
    /// Whose generations count: the group's, or those of this member (see [`scope`]).
    scope: Arc<str>,
    generation: i32,
    offsets: Offsets,
}

/// See the module.
#[derive(Default)]
pub(super) struct Offs {
    now: u64,
    writes: BTreeMap<(Arc<str>, TopicPartition), Vec<Write>>,
    asked: BTreeMap<(u32, u64), Asked>,
    /// Up to where members whose consumers commit by themselves have polled.
    polled: BTreeMap<(Arc<str>, TopicPartition), Offset>,
    /// When the consumer of a member last told of a commit of its own.
    told_at: BTreeMap<u32, u64>,
    /// Partitions that a member was assigned and has read nothing of yet: it starts where its group has committed.
    fresh: BTreeMap<(u32, TopicPartition), Asked>,
    /// The first that was heard of each generation, by its scope.
    begun: BTreeMap<(Arc<str>, i32), Begun>,
    /// When a coordinator last told that a commit's time was over.
    expired: BTreeMap<(Arc<str>, TopicPartition), u64>,
    /// Groups with members whose consumers commit by themselves.
    by_themselves: BTreeSet<Arc<str>>,
}

impl Offs {
    pub(super) fn observe(&mut self, event: &Event) {
        let Event::OffsetsExpired { group, offsets } = event else { return };
        self.now += 1;
        let now = self.now;
        self.expired.extend(offsets.iter().map(|tp| ((group.clone(), tp.clone()), now)));
    }
    /// True if this commit's time may be over, so that nothing is committed.
    fn has_expired(&self, group: &Arc<str>, tp: &TopicPartition, commit: &Write) -> bool {
        self.expired.get(&(group.clone(), tp.clone())).is_some_and(|expired| *expired > commit.asked)
    }
    pub(super) fn client(&mut self, op: &Op, groups: &Groups, ground: &Ground, out: &mut Findings) {
        match op {
            Op::Member { member, what } => self.member(*member, what, groups, ground, out),
            Op::Read { reader, tp, offset, .. } => self.read(*reader, tp, *offset, groups, ground, out),
            _ => {}
        }
    }
    fn read(
        &mut self,
        reader: u32,
        tp: &TopicPartition,
        offset: Offset,
        groups: &Groups,
        ground: &Ground,
        out: &mut Findings,
    ) {
        let Some(life) = groups.member(reader) else { return };
        if life.part == Part::CommitsItself {
            let polled = self.polled.entry((life.group.clone(), tp.clone())).or_default();
            *polled = offset.next().max(*polled);
        }
        let Some(asked) = self.fresh.remove(&(reader, tp.clone())) else { return };
        let log_start = ground.partition(tp).map_or(Offset::ZERO, |p| p.log_start);
        // Without a commit, or with one that retention has overtaken, it is not the coordinator who says where to start.
        let given_up = offsets_given_up(ground) || ground.partition(tp).is_some_and(|p| !p.restarts.is_empty());
        let counts = |last: &Write| last.offset >= log_start && !self.has_expired(&asked.group, tp, last);
        let begins_there = self.settled(&asked, tp).is_some_and(counts);
        if !given_up && begins_there && !self.leads_to(&asked, tp, offset, ground) {
            self.told(&asked, tp, offset, (&life.process, log_start), out);
        }
    }
    /// True if a reader that was told of a commit may read `first` before anything else, because compaction or retention has taken
    /// all that lay between the two.
    fn leads_to(&self, asked: &Asked, tp: &TopicPartition, first: Offset, ground: &Ground) -> bool {
        let mut possible = self.possible(asked, tp).filter(|w| w.offset < first);
        possible.any(|w| ground.is_gone(tp, w.offset..first))
    }
    fn member(&mut self, member: u32, what: &MemberOp, groups: &Groups, ground: &Ground, out: &mut Findings) {
        let member = &member;
        let Some(life) = groups.member(*member) else { return };
        self.now += 1;
        let (at, group, scope) = (self.now, life.group.clone(), scope(life));
        if life.part == Part::CommitsItself {
            self.by_themselves.insert(group.clone());
        }
        match what {
            MemberOp::Rebalance { step: Step::Assigned, generation, partitions, ago_ns, .. } => {
                for tp in partitions {
                    let (group, scope) = (group.clone(), scope.clone());
                    let asked = Asked { at, group, scope, generation: -1, offsets: Vec::new() };
                    self.fresh.insert((*member, tp.clone()), asked);
                }
                self.begins(scope, *generation, out.at_ns.saturating_sub(*ago_ns));
            }
            MemberOp::Rebalance { step: Step::Revoked | Step::Lost, partitions, .. } => {
                self.fresh.retain(|(of, tp), _| of != member || !partitions.contains(tp));
            }
            MemberOp::Committing { ask, generation, offsets } => {
                for (tp, offset) in offsets {
                    let write = Write { offset: *offset, asked: at, done: None, by: life.process.clone() };
                    self.writes.entry((group.clone(), tp.clone())).or_default().push(write);
                }
                let asked = Asked { at, group, scope, generation: *generation, offsets: offsets.clone() };
                self.asked.insert((*member, *ask), asked);
            }
            MemberOp::Committed { ask, commit } => {
                let Some(asked) = self.asked.remove(&(*member, *ask)) else { return };
                self.settle(&asked, commit, &life.process, out);
            }
            MemberOp::CommittedItself { offsets, commit: Commit::Unknown(_) } => {
                let asked = self.told_at.get(member).copied().unwrap_or(0);
                for (tp, offset) in offsets {
                    let write = Write { offset: *offset, asked, done: None, by: life.process.clone() };
                    self.writes.entry((group.clone(), tp.clone())).or_default().push(write);
                }
            }
            MemberOp::CommittedItself { offsets, commit: Commit::Done } => {
                // It was asked for after the one before it was answered, and nobody knows when.
                let asked = self.told_at.insert(*member, at).unwrap_or(0);
                for (tp, offset) in offsets {
                    let writes = self.writes.entry((group.clone(), tp.clone())).or_default();
                    writes.retain(|w| w.done.is_none_or(|done| done > asked));
                    writes.push(Write { offset: *offset, asked, done: Some(at), by: life.process.clone() });
                }
            }
            MemberOp::AskingOffsets { ask } => {
                let asked = Asked { at, group, scope, generation: -1, offsets: Vec::new() };
                self.asked.insert((*member, *ask), asked);
            }
            MemberOp::ToldOffsets { ask, offsets } => {
                let Some(asked) = self.asked.remove(&(*member, *ask)) else { return };
                for (tp, offset) in offsets.iter().filter(|_| !offsets_given_up(ground)) {
                    let log_start = ground.partition(tp).map_or(Offset::ZERO, |p| p.log_start);
                    self.told(&asked, tp, *offset, (&life.process, log_start), out);
                }
            }
            _ => {}
        }
    }

    /// Somebody is in a generation. If a later one had begun before, the group was forgotten in between, and its generations begin
    /// again.
    fn begins(&mut self, scope: Arc<str>, generation: i32, at_ns: u64) {
        let is_later = |((of, number), begun): (&(Arc<str>, i32), &Begun)| {
            *of == scope && *number > generation && begun.at_ns < at_ns
        };
        if self.begun.iter().any(is_later) {
            self.begun.retain(|(of, _), begun| *of != scope || begun.at_ns >= at_ns);
        }
        self.begun.entry((scope, generation)).or_insert(Begun { told: self.now, at_ns });
    }

    fn settle(&mut self, asked: &Asked, commit: &Commit, by: &str, out: &mut Findings) {
        for (tp, offset) in &asked.offsets {
            let Some(writes) = self.writes.get_mut(&(asked.group.clone(), tp.clone())) else { continue };
            match commit {
                Commit::Unknown(_) => {}
                Commit::Refused(_) => writes.retain(|w| w.asked != asked.at),
                Commit::Done | Commit::Repeated => {
                    let mine = writes.iter_mut().find(|w| w.asked == asked.at && w.offset == *offset);
                    let lost = mine.as_deref().filter(|_| commit.may_come_late()).cloned();
                    if let Some(mine) = mine {
                        mine.done = Some(self.now);
                    }
                    writes.extend(lost);
                    // What was over before this one began cannot be the latest any more.
                    writes.retain(|w| w.done.is_none_or(|done| done > asked.at));
                }
            }
        }
        let newer = self.begun.range((asked.scope.clone(), asked.generation + 1)..(asked.scope.clone(), i32::MAX));
        let before = newer.filter(|(_, begun)| begun.told < asked.at).map(|((_, generation), _)| *generation).next();
        if let (true, Some(newer), true) = (commit.is_done(), before, asked.generation >= 0) {
            let what: Vec<_> = asked.offsets.iter().map(|(tp, offset)| format!("{tp} at {offset}")).collect();
            out.report(
                "OFFS",
                None,
                format!(
                    "group {}: {by} committed {} in generation {} after generation {newer} had begun",
                    asked.group,
                    what.join(", "),
                    asked.generation
                ),
            );
        }
    }

    /// The commit that was over last before the question; whatever had ended before it began was dropped.
    fn settled(&self, asked: &Asked, tp: &TopicPartition) -> Option<&Write> {
        let writes = self.writes.get(&(asked.group.clone(), tp.clone()))?;
        writes.iter().filter(|w| w.done.is_some_and(|done| done < asked.at)).max_by_key(|w| w.asked)
    }

    /// The commits that may be the latest for whoever asks then.
    fn possible(&self, asked: &Asked, tp: &TopicPartition) -> impl Iterator<Item = &Write> {
        let last = self.settled(asked, tp).map(|last| last.asked);
        let writes = self.writes.get(&(asked.group.clone(), tp.clone())).into_iter().flatten();
        writes.filter(move |w| last.is_none_or(|last| w.done.is_none_or(|done| done > last)))
    }

    fn told(
        &self,
        asked: &Asked,
        tp: &TopicPartition,
        told: Offset,
        (to, log_start): (&str, Offset),
        out: &mut Findings,
    ) {
        let last = self.settled(asked, tp);
        let polled = self.polled.get(&(asked.group.clone(), tp.clone())).copied().unwrap_or(Offset::NONE);
        let upto = if self.by_themselves.contains(&asked.group) { polled.max(log_start) } else { Offset::NONE };
        let is_gone = last.is_none_or(|last| self.has_expired(&asked.group, tp, last));
        let by_itself = told <= upto && last.is_none_or(|last| told >= last.offset);
        let allowed =
            by_itself || (told == Offset::NONE && is_gone) || self.possible(asked, tp).any(|w| w.offset == told);
        if !allowed {
            let committed = last.map_or("nothing was committed".to_owned(), |w| {
                format!("{} was committed last, by {}", w.offset, w.by)
            });
            let told = if told == Offset::NONE { "nothing".to_owned() } else { told.to_string() };
            out.report(
                "OFFS",
                None,
                format!("group {}: {to} was told that {told} is committed for {tp}, but {committed}", asked.group),
            );
        }
    }
}

/// Whose generations make a commit of an older one void: those of the group; under the consumer protocol those of the member itself,
/// whose epoch is its own (`ConsumerGroup.validateOffsetCommit` compares with the member's epoch, KIP-848).
fn scope(life: &Member) -> Arc<str> {
    if life.consumer_protocol { format!("{} {}", life.group, life.process).into() } else { life.group.clone() }
}

/// True if an election has given up what was committed in the topic that keeps the commits.
fn offsets_given_up(ground: &Ground) -> bool {
    let mut kept = ground.partitions().filter(|(tp, _)| &*tp.topic == OFFSETS_TOPIC);
    kept.any(|(_, p)| !p.restarts.is_empty())
}
