//! What consumer groups went through in the chaos phase: how long each rebalance stopped each member, how fast records
//! were processed, who owned partitions. Computed from the history alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::verdict::{GroupRecord, LetterRecord, Ownership, RebalanceRecord, SpanRecord};
use crate::base::TopicPartition;
use crate::base::time::NANOS_PER_MS;
use crate::check::groups::Groups;
use crate::check::verdict::{Findings, Letter, Span};
use crate::world::history::{Entry, Op};
use crate::world::member::{Handled, MemberOp, Step};

/// The length of one sample of throughput.
pub const THROUGHPUT_MS: u64 = 10_000;

/// Everything that is needed of a run.
pub struct Run<'a> {
    /// The groups, in the order in which they are told.
    pub groups: Vec<String>,
    /// Length of the chaos phase.
    pub duration_ms: u64,
    /// What was found.
    pub findings: &'a Findings,
    /// How far each group was behind.
    pub lags: &'a BTreeMap<String, Vec<(u64, u64)>>,
}

/// Measures every group of a run from its history.
#[must_use]
pub fn measure(run: &Run<'_>, history: impl Iterator<Item = Entry>) -> Vec<GroupRecord> {
    let bins = run.duration_ms.div_ceil(THROUGHPUT_MS) as usize;
    let mut measures: BTreeMap<String, Measure> =
        run.groups.iter().map(|group| (group.clone(), Measure::new(group, bins))).collect();
    let mut groups = Groups::default();
    for entry in history {
        groups.client(&entry.op);
        let Op::Member { member, what } = &entry.op else { continue };
        let Some(life) = groups.member(*member) else { continue };
        let at_ms = entry.at_ns / NANOS_PER_MS;
        if at_ms < run.duration_ms
            && let Some(measure) = measures.get_mut(&*life.group)
        {
            measure.take(at_ms, *member, what, &groups);
        }
    }
    let finish = |group: &String| {
        let measure = measures.remove(group).unwrap_or_else(|| Measure::new(group, bins));
        measure.finish(run, &groups)
    };
    run.groups.iter().map(finish).collect()
}

struct Measure {
    group: Arc<str>,
    record: GroupRecord,
    /// Since when a member that owned partitions owns none.
    stopped: BTreeMap<u32, u64>,
    /// Since when a partition that had an owner has none.
    unowned: BTreeMap<TopicPartition, u64>,
    /// Who had which partitions when that was looked at last.
    owned: BTreeSet<TopicPartition>,
    rebalances: BTreeMap<i32, RebalanceRecord>,
}

impl Measure {
    fn new(group: &str, bins: usize) -> Self {
        let record = GroupRecord { id: group.to_owned(), throughput: vec![0; bins], ..GroupRecord::default() };
        Self {
            group: group.into(),
            record,
            stopped: BTreeMap::new(),
            unowned: BTreeMap::new(),
            owned: BTreeSet::new(),
            rebalances: BTreeMap::new(),
        }
    }
    fn take(&mut self, at_ms: u64, member: u32, what: &MemberOp, groups: &Groups) {
        match what {
            MemberOp::Handled { how: Handled::Processed, .. } => {
                self.record.processed += 1;
                if let Some(bin) = self.record.throughput.get_mut((at_ms / THROUGHPUT_MS) as usize) {
                    *bin += 1;
                }
            }
            MemberOp::Effect { changed: true, .. } => self.record.effects += 1,
            MemberOp::Effect { changed: false, .. } => self.record.suppressed += 1,
            MemberOp::Died { .. } => self.record.crashes += 1,
            MemberOp::Rebalance { step, partitions, generation, ago_ns, .. } => {
                let at_ms = at_ms.saturating_sub(ago_ns / NANOS_PER_MS);
                self.step(at_ms, member, (*step, partitions, *generation), groups);
            }
            MemberOp::Began { .. } => self.own(at_ms, groups),
            MemberOp::Ended => {
                self.stopped.remove(&member);
                self.own(at_ms, groups);
            }
            _ => {}
        }
    }
    fn step(
        &mut self,
        at_ms: u64,
        member: u32,
        (step, partitions, generation): (Step, &[TopicPartition], i32),
        groups: &Groups,
    ) {
        let Some(life) = groups.member(member) else { return };
        match step {
            Step::Preparing => return,
            Step::Lost | Step::Revoked => {
                self.record.expelled += u64::from(step == Step::Lost);
                if !partitions.is_empty() && life.owned.is_empty() {
                    self.stopped.entry(member).or_insert(at_ms);
                }
            }
            Step::Assigned => {
                let new =
                    || RebalanceRecord { at_ms, generation, stopped_ms: BTreeMap::new(), unowned_ms: BTreeMap::new() };
                let rebalance = self.rebalances.entry(generation).or_insert_with(new);
                rebalance.at_ms = rebalance.at_ms.max(at_ms);
                let stopped = self.stopped.remove(&member).map_or(0, |since| at_ms.saturating_sub(since));
                // Under the consumer protocol a member may be given partitions step by step in one epoch.
                let longest = rebalance.stopped_ms.entry(life.process.to_string()).or_default();
                *longest = stopped.max(*longest);
                for tp in partitions {
                    if let Some(since) = self.unowned.remove(tp) {
                        rebalance.unowned_ms.insert(tp.to_string(), at_ms.saturating_sub(since));
                    }
                }
            }
        }
        self.own(at_ms, groups);
    }
    /// Notes who owns partitions from now on.
    fn own(&mut self, at_ms: u64, groups: &Groups) {
        let mut owners: BTreeMap<&TopicPartition, u32> = BTreeMap::new();
        let (mut busy, mut idle) = (0, 0);
        for member in groups.alive(&self.group) {
            *(if member.owned.is_empty() { &mut idle } else { &mut busy }) += 1;
            member.owned.iter().for_each(|tp| *owners.entry(tp).or_default() += 1);
        }
        for tp in self.owned.iter().filter(|tp| !owners.contains_key(tp)) {
            self.unowned.entry(tp.clone()).or_insert(at_ms);
        }
        self.owned = owners.keys().map(|tp| (*tp).clone()).collect();
        let partitions = owners.values().filter(|n| **n == 1).count() as u32;
        self.record.owners.push(Ownership { at_ms, busy, idle, partitions });
    }
    fn finish(self, run: &Run<'_>, groups: &Groups) -> GroupRecord {
        let Self { group, mut record, rebalances, .. } = self;
        record.rebalances = rebalances.into_values().collect();
        if let Some(delivered) = run.findings.delivered.get(&*group) {
            record.skipped = spans(&delivered.skipped);
            record.repeated = spans(&delivered.repeated);
        }
        if let Some(account) = groups.account(&group) {
            record.passed_over = spans(&account.given_up(Handled::PassedOver));
            record.dead_letters = letters(&account.given_up(Handled::DeadLettered), run.findings);
            let committed = account.committed.iter().filter(|(_, offset)| offset.0 >= 0);
            record.committed = committed.map(|(tp, offset)| (tp.to_string(), offset.0)).collect();
        }
        let lags = run.lags.get(&*group).into_iter().flatten();
        record.lag = lags.filter(|(at, _)| *at <= run.duration_ms).copied().collect();
        record
    }
}

fn spans(spans: &[Span]) -> Vec<SpanRecord> {
    let one = |s: &Span| SpanRecord { partition: s.tp.to_string(), first: s.first.0, last: s.last.0 };
    spans.iter().map(one).collect()
}

/// What was read back of the records that were written to a dead-letter topic: each with a letter that names its topic
/// and offset.
fn letters(buried: &[Span], findings: &Findings) -> Vec<LetterRecord> {
    let mut unread: Vec<&Letter> = findings.letters.iter().collect();
    let mut out = Vec::new();
    for span in buried {
        for offset in span.first.0..=span.last.0 {
            let names = |letter: &&Letter| {
                letter.topic.as_deref() == Some(&*span.tp.topic)
                    && letter.offset.as_deref() == Some(offset.to_string().as_str())
            };
            let Some(place) = unread.iter().position(names) else { continue };
            let letter = unread.remove(place);
            out.push(LetterRecord {
                from: span.tp.to_string(),
                partition: letter.at.0.to_string(),
                offset: letter.at.1.0,
                error: letter.error.clone().unwrap_or_default(),
                original_topic: letter.topic.clone().unwrap_or_default(),
                original_offset: offset,
            });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Offset;
    use crate::world::member::Part;

    /// A group of two members over 20 s, of which the second joins at 5 s.
    fn story(cooperative: bool) -> Vec<Entry> {
        let tp = |n| TopicPartition::new("t", n);
        let mut out = Vec::new();
        let mut tell = |at_ms: u64, member: u32, what: MemberOp| {
            out.push(Entry { at_ns: at_ms * NANOS_PER_MS, op: Op::Member { member, what } });
        };
        let began = |n: u32| MemberOp::Began { process: format!("m#{n}").into(), group: "g".into(), part: Part::Joins };
        let step = |step, generation, partitions: &[i32]| MemberOp::Rebalance {
            step,
            partitions: partitions.iter().map(|n| tp(*n)).collect(),
            member_id: "id".into(),
            generation,
            ago_ns: 0,
        };
        let handled =
            |n, offset| MemberOp::Handled { partition: tp(n), offset: Offset(offset), how: Handled::Processed };
        tell(0, 1, began(1));
        tell(100, 1, step(Step::Assigned, 1, &[0, 1]));
        tell(1_000, 1, handled(0, 0));
        tell(5_000, 2, began(2));
        tell(5_500, 1, step(Step::Revoked, 1, if cooperative { &[1] } else { &[0, 1] }));
        tell(8_000, 2, step(Step::Assigned, 2, &[1]));
        tell(8_200, 1, step(Step::Assigned, 2, if cooperative { &[] } else { &[0] }));
        tell(12_000, 2, handled(1, 0));
        tell(12_001, 2, MemberOp::Died { partition: tp(1), offset: Offset(1), error: "poison".into() });
        tell(12_002, 2, MemberOp::Ended);
        tell(25_000, 1, handled(1, 0));
        out
    }

    fn measured(history: Vec<Entry>) -> GroupRecord {
        let (findings, lags) = (Findings::default(), BTreeMap::new());
        let run = Run { groups: vec!["g".into()], duration_ms: 20_000, findings: &findings, lags: &lags };
        measure(&run, history.into_iter()).remove(0)
    }

    #[test]
    fn an_eager_rebalance_stops_whoever_owned_partitions_and_a_cooperative_one_does_not() {
        let stopped = |cooperative| measured(story(cooperative)).rebalances[1].stopped_ms.clone();
        assert_eq!(stopped(false), [("m#1".to_owned(), 2_700), ("m#2".to_owned(), 0)].into());
        assert_eq!(stopped(true), [("m#1".to_owned(), 0), ("m#2".to_owned(), 0)].into());
        let unowned = |cooperative| measured(story(cooperative)).rebalances[1].unowned_ms.clone();
        assert_eq!(unowned(false), [("t-0".to_owned(), 2_700), ("t-1".to_owned(), 2_500)].into());
        assert_eq!(unowned(true), [("t-1".to_owned(), 2_500)].into());
    }

    #[test]
    fn what_happens_in_the_chaos_phase_is_counted() {
        let record = measured(story(false));
        assert_eq!((record.processed, record.crashes), (2, 1));
        assert_eq!(record.throughput, [1, 1]);
        assert_eq!(record.rebalances.len(), 2);
        assert_eq!((record.rebalances[1].at_ms, record.rebalances[1].generation), (8_200, 2));
        let at = |ms| record.owners.iter().rfind(|o| o.at_ms <= ms).map(|o| (o.busy, o.idle, o.partitions));
        assert_eq!(at(4_000), Some((1, 0, 2)));
        assert_eq!(at(6_000), Some((0, 2, 0)));
        assert_eq!(at(9_000), Some((2, 0, 2)));
        assert_eq!(at(20_000), Some((1, 0, 1)));
    }
}
