//! Hand-made histories of consumer groups: each property accepts what Kafka permits and names what it does not.

use super::verdict::{Audit, Letter};
use super::{Application, Court, Delivery, Promises};
use crate::base::{BrokerId, Offset, TopicPartition};
use crate::broker::probe::Event;
use crate::world::history::{Op, Value};
use crate::world::member::{Commit, Handled, MemberOp, Part, Step};

fn tp(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

fn value(offset: i64) -> Value {
    Value { writer: 0, seq: offset as u64 }
}

/// A story of one group, told to a court.
struct Story {
    court: Court,
    asks: u64,
    now_ns: u64,
}

impl Story {
    fn of(delivery: Delivery, has_store: bool) -> Self {
        let app = Application { group: "g".into(), topics: vec!["t".into()], delivery, has_store };
        let promises = Promises { voters: vec![BrokerId(1)], applications: vec![app], ..Promises::default() };
        Self { court: Court::new(promises), asks: 0, now_ns: 0 }
    }
    fn new() -> Self {
        Self::of(Delivery::AtLeastOnce, false)
    }
    fn tell(&mut self, member: u32, what: MemberOp) -> &mut Self {
        self.court.client(self.now_ns, &Op::Member { member, what });
        self
    }
    fn observes(&mut self, event: Event) -> &mut Self {
        self.court.observe(self.now_ns, BrokerId(1), &event);
        self
    }
    fn begin(&mut self, member: u32) -> &mut Self {
        let process = format!("m#{member}").into();
        self.tell(member, MemberOp::Began { process, group: "g".into(), part: Part::Joins })
    }
    fn step(&mut self, member: u32, step: Step, generation: i32, partitions: &[i32]) -> &mut Self {
        self.step_ago(member, step, generation, partitions, 0)
    }
    fn step_ago(&mut self, member: u32, step: Step, generation: i32, partitions: &[i32], ago_ns: u64) -> &mut Self {
        let partitions = partitions.iter().map(|p| tp(*p)).collect();
        let member_id = format!("id-{member}").into();
        self.tell(member, MemberOp::Rebalance { step, partitions, member_id, generation, ago_ns })
    }
    fn asks_to_commit(&mut self, member: u32, generation: i32, offset: i64) -> u64 {
        self.asks += 1;
        let offsets = vec![(tp(0), Offset(offset))];
        self.tell(member, MemberOp::Committing { ask: self.asks, generation, offsets });
        self.asks
    }
    fn answer(&mut self, member: u32, ask: u64, commit: Commit) -> &mut Self {
        self.tell(member, MemberOp::Committed { ask, commit })
    }
    fn commit(&mut self, member: u32, generation: i32, offset: i64) -> &mut Self {
        let ask = self.asks_to_commit(member, generation, offset);
        self.answer(member, ask, Commit::Done)
    }
    fn is_told(&mut self, member: u32, offset: i64) -> &mut Self {
        self.asks += 1;
        let (ask, offsets) = (self.asks, vec![(tp(0), Offset(offset))]);
        self.tell(member, MemberOp::AskingOffsets { ask }).tell(member, MemberOp::ToldOffsets { ask, offsets })
    }
    fn read(&mut self, member: u32, offset: i64) -> &mut Self {
        let op = Op::Read { reader: member, tp: tp(0), offset: Offset(offset), value: Some(value(offset)) };
        self.court.client(0, &Op::Sent { value: value(offset), tp: tp(0) });
        self.court.client(0, &op);
        self
    }
    fn handle(&mut self, member: u32, offset: i64, how: Handled) -> &mut Self {
        self.tell(member, MemberOp::Handled { partition: tp(0), offset: Offset(offset), how })
    }
    fn process(&mut self, member: u32, offsets: &[i64]) -> &mut Self {
        for offset in offsets {
            self.handle(member, *offset, Handled::Processed);
        }
        self
    }
    fn effect(&mut self, offset: i64, changed: bool) -> &mut Self {
        self.tell(1, MemberOp::Effect { partition: tp(0), offset: Offset(offset), changed })
    }
    /// Reads back a log of `end` records.
    fn audit(&mut self, end: i64) -> &mut Self {
        for offset in 0..end {
            self.court.client(0, &Op::Sent { value: value(offset), tp: tp(0) });
        }
        let records = (0..end).map(|offset| (Offset(offset), Some(value(offset)))).collect();
        let (start, leader) = (Offset(0), BrokerId(1));
        let audit = Audit { tp: tp(0), start, end: Offset(end), leader, records, letters: Vec::new() };
        self.court.audit(0, &audit);
        self
    }
    fn accepts(&mut self) -> &mut Self {
        assert!(self.court.findings().violations.is_empty(), "{:#?}", self.court.findings().violations);
        self
    }
    /// The evidence of the first violation, which must be of this property.
    fn violates(&mut self, property: &str) -> String {
        let first = self.court.findings().violations.first();
        let first = first.unwrap_or_else(|| panic!("expected {property}, found nothing"));
        assert_eq!(first.property, property, "{first:?}");
        first.evidence.clone()
    }
}

/// Members 1 and 2 own partitions 0 and 1 in generation 1.
fn two_members() -> Story {
    let mut s = Story::new();
    s.begin(1).begin(2).step(1, Step::Assigned, 1, &[0]).step(2, Step::Assigned, 1, &[1]);
    s
}

#[test]
fn own_names_two_owners_in_one_generation() {
    let mut s = two_members();
    s.accepts();
    s.step(2, Step::Revoked, 1, &[1]).step(2, Step::Assigned, 2, &[0]);
    // The first member has not heard of generation 2 yet.
    s.accepts();
    s.step(1, Step::Assigned, 2, &[]).step(2, Step::Assigned, 3, &[]).accepts();
    s.step(1, Step::Assigned, 3, &[]);
    assert_eq!(s.violates("OWN"), "group g: both m#2 and m#1 own t-0 in generation 2");
}

#[test]
fn own_accepts_members_of_a_forgotten_group_beside_those_of_its_successor() {
    // Member 1 is cut off and expelled; so was member 2, who comes back, and generations begin again with 1.
    let mut s = two_members();
    s.step(2, Step::Lost, 1, &[1]).step(2, Step::Assigned, 1, &[0, 1]).step(2, Step::Assigned, 2, &[]);
    s.step(1, Step::Lost, 1, &[0]).step(1, Step::Assigned, 3, &[]).accepts();
    let mut s = two_members();
    s.step(2, Step::Lost, 1, &[1]).step(2, Step::Assigned, 1, &[0, 1]).step(2, Step::Assigned, 2, &[]);
    s.tell(1, MemberOp::Ended).step(2, Step::Assigned, 3, &[]).accepts();
}

#[test]
fn own_accepts_a_partition_that_was_given_back_lost_or_left_by_the_dead() {
    for end in [Step::Revoked, Step::Lost] {
        let mut s = two_members();
        s.step(1, end, 1, &[0]).step(1, Step::Assigned, 2, &[]).step(2, Step::Assigned, 2, &[0]).accepts();
    }
    let mut s = two_members();
    s.tell(1, MemberOp::Ended).step(2, Step::Assigned, 1, &[0]).accepts();
    // Nobody saw the end of this one, but its process has begun anew.
    let mut s = two_members();
    let began = MemberOp::Began { process: "m#1".into(), group: "g".into(), part: Part::Joins };
    s.tell(3, began).step(2, Step::Assigned, 1, &[0]).accepts();
}

/// The same two, under the consumer protocol.
fn two_next() -> Story {
    let mut s = Story::new();
    s.begin(1).tell(1, MemberOp::ConsumerProtocol).begin(2).tell(2, MemberOp::ConsumerProtocol);
    s.step(1, Step::Assigned, 1, &[0]).step(2, Step::Assigned, 2, &[1]);
    s
}

#[test]
fn own_names_a_partition_that_was_given_away_before_it_was_given_back() {
    let mut s = two_next();
    s.step(2, Step::Assigned, 3, &[0]).step(1, Step::Revoked, 1, &[0]).step(1, Step::Assigned, 1, &[]).accepts();
    s.step(1, Step::Assigned, 3, &[]).accepts();
    s.step(2, Step::Assigned, 4, &[]);
    assert_eq!(s.violates("OWN"), "group g: m#2 owned t-0 in epoch 3 before m#1 had given it back");
}

#[test]
fn own_accepts_what_is_given_back_first_and_what_an_expelled_member_gives_back_late() {
    let mut s = two_next();
    s.step(1, Step::Revoked, 1, &[0]).step(1, Step::Assigned, 1, &[]);
    s.step(2, Step::Assigned, 3, &[0]).step(1, Step::Assigned, 3, &[]).accepts();
    let mut s = two_next();
    s.step(2, Step::Assigned, 3, &[0]).step(1, Step::Revoked, 1, &[0]);
    s.step(1, Step::Lost, 1, &[]).step(1, Step::Assigned, 4, &[]).accepts();
    // Who was expelled hears late, and of an epoch that came before the one in which the other gives back.
    let mut s = two_next();
    s.step(1, Step::Assigned, 9, &[1]).step(1, Step::Revoked, 9, &[1]).step(1, Step::Assigned, 10, &[]);
    s.step(2, Step::Assigned, 7, &[]).accepts().step(2, Step::Lost, 7, &[1]).step(2, Step::Assigned, 11, &[]).accepts();
    // This time it is the other who was expelled before, and has not heard of it.
    let mut s = two_next();
    s.step(1, Step::Assigned, 3, &[1]).step(1, Step::Revoked, 3, &[1]).step(1, Step::Assigned, 4, &[]);
    s.step(2, Step::Lost, 2, &[1]).step(2, Step::Assigned, 5, &[1]).accepts();
}

#[test]
fn offs_judges_members_of_the_consumer_protocol_by_their_own_epoch() {
    let mut s = two_next();
    s.commit(1, 1, 5).is_told(1, 5).accepts();
    s.step(1, Step::Assigned, 2, &[]).commit(1, 1, 7);
    assert!(s.violates("OFFS").contains("in generation 1 after generation 2 had begun"));
}

#[test]
fn offs_accepts_the_latest_commit_and_names_an_older_one_and_a_lost_one() {
    let mut s = two_members();
    s.is_told(2, -1).commit(1, 1, 5).is_told(2, 5).commit(1, 1, 8).is_told(2, 8).accepts();
    s.is_told(2, 5);
    let evidence = s.violates("OFFS");
    assert_eq!(evidence, "group g: m#2 was told that 5 is committed for t-0, but 8 was committed last, by m#1");
    let mut s = two_members();
    s.commit(1, 1, 5).is_told(2, -1);
    assert!(s.violates("OFFS").contains("told that nothing is committed"));
}

#[test]
fn offs_accepts_whatever_an_unknown_or_overlapping_commit_may_have_done() {
    let mut s = two_members();
    s.commit(1, 1, 5);
    let ask = s.asks_to_commit(1, 1, 8);
    s.is_told(2, 5).is_told(2, 8).answer(1, ask, Commit::Unknown("no answer".into()));
    s.commit(1, 1, 9).is_told(2, 9).is_told(2, 8).accepts();
    let ask = s.asks_to_commit(1, 1, 30);
    s.answer(1, ask, Commit::Refused("not a member".into())).is_told(2, 30);
    s.violates("OFFS");
}

#[test]
fn offs_accepts_a_lost_attempt_that_is_stored_after_all() {
    let mut s = two_members();
    let ask = s.asks_to_commit(1, 1, 5);
    s.answer(1, ask, Commit::Repeated).is_told(2, 5).commit(1, 1, 8).is_told(2, 8).is_told(2, 5).accepts();
    s.is_told(2, 4);
    s.violates("OFFS");
    // What a consumer committed by itself is not sent again, but may be late as well.
    let mut s = two_members();
    let own = |offset, commit| MemberOp::CommittedItself { offsets: vec![(tp(0), Offset(offset))], commit };
    s.tell(1, own(5, Commit::Unknown("no answer".into()))).tell(1, own(8, Commit::Done)).is_told(2, 5).accepts();
    s.is_told(2, 4);
    s.violates("OFFS");
}

#[test]
fn offs_accepts_that_nothing_is_committed_any_more_once_its_time_was_over() {
    let expired = || Event::OffsetsExpired { group: "g".into(), offsets: vec![tp(0)] };
    let mut s = two_members();
    s.commit(1, 1, 5).observes(expired()).is_told(2, -1).is_told(2, 5).accepts();
    s.is_told(2, 4);
    s.violates("OFFS");
    // What is committed afterwards is not gone with it.
    let mut s = two_members();
    s.commit(1, 1, 5).observes(expired()).commit(1, 1, 8).is_told(2, -1);
    s.violates("OFFS");
}

#[test]
fn offs_accepts_commits_in_the_first_generation_of_a_group_that_was_forgotten() {
    let mut s = two_members();
    s.now_ns = 1_000;
    s.step(1, Step::Assigned, 2, &[]).step(1, Step::Lost, 2, &[]).step(2, Step::Lost, 1, &[]);
    s.now_ns = 2_000;
    s.step(1, Step::Assigned, 1, &[0]).commit(1, 1, 5).accepts();
    // Whoever is told of its generation late, and was in it before the next began, is of the past.
    let mut s = two_members();
    s.now_ns = 1_000;
    s.step(1, Step::Assigned, 2, &[]);
    s.now_ns = 2_000;
    s.step_ago(2, Step::Assigned, 1, &[], 1_500).commit(2, 1, 6);
    assert!(s.violates("OFFS").contains("in generation 1 after generation 2 had begun"));
}

#[test]
fn offs_names_a_commit_of_a_superseded_generation() {
    let mut s = two_members();
    let ask = s.asks_to_commit(1, 1, 5);
    // It was under way when the next generation began.
    s.step(2, Step::Assigned, 2, &[0]).answer(1, ask, Commit::Done).accepts();
    let refused = s.asks_to_commit(1, 1, 6);
    s.answer(1, refused, Commit::Refused("not a member".into())).accepts();
    s.commit(1, 1, 6);
    let evidence = s.violates("OFFS");
    assert_eq!(evidence, "group g: m#1 committed t-0 at 6 in generation 1 after generation 2 had begun");
}

#[test]
fn offs_names_a_member_that_starts_elsewhere_than_its_group_has_committed() {
    let mut s = two_members();
    s.read(1, 0).read(1, 1).commit(1, 1, 2).tell(1, MemberOp::Ended);
    s.step(2, Step::Assigned, 2, &[0]).read(2, 2).accepts();
    s.step(2, Step::Revoked, 2, &[0]).step(2, Step::Assigned, 3, &[0]).read(2, 3);
    s.violates("OFFS");
}

#[test]
fn offs_lets_a_member_begin_behind_what_was_compacted_and_no_further() {
    let begins_at = |offset: i64| {
        let mut s = Story::new();
        s.begin(1).step(1, Step::Assigned, 1, &[0]).read(1, 0).commit(1, 1, 3).tell(1, MemberOp::Ended);
        let compacted = Event::LogCompacted { tp: tp(0), base: Offset(0), next: Offset(6), batches: Vec::new() };
        s.court.observe(0, BrokerId(1), &compacted);
        s.begin(2).step(2, Step::Assigned, 2, &[0]).read(2, offset);
        s
    };
    begins_at(3).accepts();
    begins_at(6).accepts();
    begins_at(7).violates("OFFS");
    begins_at(2).violates("OFFS");
}

#[test]
fn offs_lets_a_consumer_that_commits_by_itself_commit_whatever_it_has_read() {
    let auto = || {
        let mut s = Story::new();
        s.tell(1, MemberOp::Began { process: "m#1".into(), group: "g".into(), part: Part::CommitsItself });
        s.begin(2).step(1, Step::Assigned, 1, &[0]).read(1, 0).read(1, 1).read(1, 2);
        let offsets = vec![(tp(0), Offset(2))];
        s.tell(1, MemberOp::CommittedItself { offsets, commit: Commit::Done });
        s
    };
    auto().is_told(2, 2).is_told(2, 3).accepts();
    auto().is_told(2, 1).violates("OFFS");
    auto().is_told(2, 4).violates("OFFS");
}

#[test]
fn poll_is_judged_within_one_assignment() {
    let mut s = two_members();
    s.read(1, 0).read(1, 1).step(1, Step::Revoked, 1, &[0]).step(1, Step::Assigned, 2, &[0]).read(1, 0).accepts();
    s.read(1, 2);
    s.violates("POLL");
}

#[test]
fn at_least_once_names_exactly_the_skipped_offsets() {
    let mut s = two_members();
    s.process(1, &[0, 1, 2, 3]).commit(1, 1, 4).audit(6).accepts();
    let mut s = two_members();
    s.commit(1, 1, 10).process(1, &[0, 1]).tell(1, MemberOp::Ended).audit(12);
    assert_eq!(s.violates("AT-LEAST-ONCE"), "group g: t-0 offsets 2 to 9 never processed, though 10 is committed");
    let delivered = &s.court.findings().delivered["g"];
    assert_eq!((delivered.skipped.len(), delivered.repeated.len()), (1, 0));
}

#[test]
fn at_least_once_does_not_ask_for_what_a_cleaner_may_have_taken_from_the_leader() {
    let compacted_below = |next: i64| {
        let mut s = Story::new();
        s.begin(1).step(1, Step::Assigned, 1, &[0]).process(1, &[0, 1, 3]).commit(1, 1, 4);
        let compacted = Event::LogCompacted { tp: tp(0), base: Offset(0), next: Offset(next), batches: Vec::new() };
        s.court.observe(0, BrokerId(1), &compacted);
        s.audit(4);
        s
    };
    compacted_below(3).accepts();
    compacted_below(2).violates("AT-LEAST-ONCE");
}

#[test]
fn at_least_once_accepts_repetitions_and_records_that_were_given_up() {
    let mut s = two_members();
    s.process(1, &[0, 1]).process(2, &[0, 1]);
    s.handle(2, 2, Handled::PassedOver).handle(2, 3, Handled::DeadLettered).commit(2, 1, 4).audit(4).accepts();
}

#[test]
fn at_most_once_names_exactly_the_repeated_offsets_and_accepts_skips() {
    let mut s = Story::of(Delivery::AtMostOnce, false);
    s.begin(1).commit(1, -1, 9).process(1, &[0, 1]).audit(9).accepts();
    let mut s = Story::of(Delivery::AtMostOnce, false);
    s.begin(1).begin(2).process(1, &[0, 1, 2]).process(2, &[1, 2, 3]).commit(2, -1, 4).audit(4);
    assert_eq!(s.violates("AT-MOST-ONCE"), "group g: t-0 offsets 1 to 2 processed again");
    // A lost attempt to commit 1 was stored over the commit of 3.
    let mut s = Story::of(Delivery::AtMostOnce, false);
    let ask = s.begin(1).begin(2).asks_to_commit(1, -1, 1);
    s.answer(1, ask, Commit::Repeated).commit(1, -1, 3).process(1, &[0, 1, 2]);
    s.commit(2, -1, 3).process(2, &[1, 2]).audit(3).accepts();
}

#[test]
fn whoever_processes_at_most_once_begins_anew_where_the_commit_was_too_old_to_be_kept() {
    let mut s = Story::of(Delivery::AtMostOnce, false);
    let expired = Event::OffsetsExpired { group: "g".into(), offsets: vec![tp(0)] };
    s.begin(1).commit(1, -1, 2).process(1, &[0, 1]).observes(expired).process(1, &[0, 1]).audit(2).accepts();
}

#[test]
fn who_commits_first_may_have_come_as_far_as_a_commit_of_unknown_outcome() {
    let mut s = Story::of(Delivery::AtMostOnce, false);
    let ask = s.begin(1).commit(1, -1, 2).process(1, &[0, 1]).asks_to_commit(1, -1, 3);
    let reached = |s: &Story| s.court.groups().account("g").map(|account| account.may_have_reached(&tp(0)));
    assert_eq!(reached(&s), Some(Offset(2)));
    s.answer(1, ask, Commit::Unknown("no answer".into()));
    assert_eq!(reached(&s), Some(Offset(3)));
    s.process(1, &[2, 3]);
    assert_eq!(reached(&s), Some(Offset(4)));
}

#[test]
fn exactly_once_is_about_effects_where_there_is_a_store() {
    let mut s = Story::of(Delivery::ExactlyOnce, true);
    s.begin(1).process(1, &[0, 0]).effect(0, true).effect(0, false).commit(1, -1, 1).audit(1).accepts();
    let mut s = Story::of(Delivery::ExactlyOnce, true);
    s.begin(1).process(1, &[0, 0]).effect(0, true).effect(0, true).commit(1, -1, 1).audit(1);
    assert_eq!(s.violates("EXACTLY-ONCE"), "group g: t-0 offset 0 had its effect again");
    let mut s = Story::of(Delivery::ExactlyOnce, false);
    s.begin(1).process(1, &[0]).commit(1, -1, 2).audit(2);
    assert_eq!(s.violates("EXACTLY-ONCE"), "group g: t-0 offset 1 never processed");
}

#[test]
fn a_dead_letter_is_a_copy_and_no_phantom_nor_a_duplicate() {
    let dead = TopicPartition::new("dead", 0);
    let audit = |letters: Vec<Letter>| Audit {
        tp: dead.clone(),
        start: Offset(0),
        end: Offset(2),
        leader: BrokerId(1),
        records: vec![(Offset(0), Some(value(0))), (Offset(1), Some(value(0)))],
        letters,
    };
    let letter = |at: i64| Letter {
        at: (dead.clone(), Offset(at)),
        error: Some("malformed".into()),
        topic: Some("t".into()),
        offset: Some("0".into()),
    };
    let mut s = two_members();
    s.read(1, 0).tell(1, MemberOp::DeadLetter { value: Some(value(0)), topic: "dead".into() });
    s.court.audit(0, &audit(vec![letter(0), letter(1)]));
    s.accepts();
    s.court.audit(0, &audit(Vec::new()));
    s.violates("DENSE");
    let mut s = two_members();
    s.read(1, 0).court.audit(0, &audit(vec![letter(0), letter(1)]));
    s.violates("NO-PHANTOM");
}
