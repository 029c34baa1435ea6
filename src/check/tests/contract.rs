//! What a promise permits is told from a violation, and every permitted loss names its reason.

use super::*;
use crate::check::{Reason, WriterTraits};
use std::collections::BTreeMap;

fn promised(min_isr: usize, unclean: bool, elr: bool) -> Promises {
    let cluster = TopicPromises { min_isr: Some(min_isr), unclean: Some(unclean) };
    Promises { cluster, elr, ..Promises::default() }
}

fn acked_by(seq: u64, offset: i64, epoch: i32, promise: Promise) -> Op {
    Op::Acked { value: value(seq), tp: tp(), offset: Offset(offset), promise, sent_to: LeaderEpoch(epoch) }
}

impl Story {
    fn decide(&mut self, offset: i64, leader: i32, epoch: i32, isr: &[i32], recovering: bool) -> &mut Self {
        let facts = PartitionFacts { recovering, ..facts(leader, epoch, isr) };
        self.tell(2, Event::PartitionChanged { tp: tp(), facts, offset: Offset(offset) })
    }
    fn power_cut(&mut self, node: i32) -> &mut Self {
        self.court.node_down(BrokerId(node), true);
        self
    }
    fn register(&mut self, node: i32, epoch: i64) -> &mut Self {
        self.tell(2, Event::BrokerRegistered { broker: BrokerId(node), epoch: BrokerEpoch(epoch) })
    }
    /// Broker 1 leads alone, and what it wrote at offset 2 is committed by itself.
    fn alone(promises: Promises) -> Self {
        let mut s = Self::promised(promises);
        for node in 1..=3 {
            s.load(node, &[]);
        }
        s.elect(10, 1, 1, &[1, 2, 3]).lead(1, 1, 0);
        for node in 1..=3 {
            s.append(node, mark(0, 1, 100)).append(node, mark(1, 1, 101));
        }
        s.expose(1, 1, 2).decide(11, 1, 1, &[1], false).append(1, mark(2, 1, 102)).expose(1, 1, 3);
        s.client(sent(2)).client(acked_by(2, 2, 1, Promise::All)).client(read(0, 2, 2));
        s
    }
    /// As [`Story::alone`]; then broker 1 is gone and broker 2, who was not in sync, is elected.
    fn unclean(promises: Promises) -> Self {
        let mut s = Self::alone(promises);
        s.court.node_down(BrokerId(1), false);
        s.decide(12, -1, 2, &[], false).decide(20, 2, 3, &[2], true).lead(2, 3, 2);
        s.append(2, mark(2, 3, 202)).expose(2, 3, 3);
        s
    }
    /// The audit finds two records that nobody asks about, and then these.
    fn audit_after_two(&mut self, tail: &[(i64, Option<Value>)], end: i64) -> &mut Self {
        let mut records = vec![(0, Some(value(0))), (1, Some(value(1)))];
        records.extend(tail);
        self.client(sent(0)).client(sent(1)).audit(&records, end)
    }
    fn permits(&mut self, reasons: &[Reason]) {
        self.accepts();
        let found: Vec<_> = self.court.findings().permitted.iter().map(|p| p.reason).collect();
        assert_eq!(found, reasons, "{:#?}", self.court.findings().permitted);
        assert_eq!(self.court.findings().lost, reasons.len());
    }
}

#[test]
fn an_unclean_election_that_is_allowed_gives_up_what_the_new_leader_lacks_and_says_so() {
    let mut s = Story::unclean(promised(1, true, true));
    s.client(sent(3)).client(acked_by(3, 2, 3, Promise::All)).client(read(0, 2, 3)).client(read(1, 2, 3));
    s.audit_after_two(&[(2, Some(value(3)))], 3).permits(&[Reason::UncleanElection]);
    let detail = &s.court.findings().permitted[0].detail;
    assert!(detail.contains("broker 2") && detail.contains("epoch 3"), "{detail}");
    assert_eq!(s.court.take_restarts().len(), 1);
}

#[test]
fn an_unclean_election_that_is_not_allowed_is_named() {
    Story::unclean(promised(1, false, true)).violates("LC");
}

#[test]
fn what_is_acknowledged_after_an_unclean_election_must_stay() {
    let mut s = Story::unclean(promised(1, true, true));
    s.client(sent(3)).client(acked_by(3, 2, 3, Promise::All));
    s.audit(&[], 2).violates("ACK");
    assert_eq!((s.court.findings().lost, s.court.findings().permitted.len()), (2, 1));
    let mut s = Story::unclean(promised(1, true, true));
    s.tell(2, Event::LogTruncated { tp: tp(), to: Offset(2), start: Offset(0) }).lead(2, 3, 2).violates("LC");
}

#[test]
fn a_deposed_leader_that_has_not_heard_of_an_unclean_election_may_go_on_acknowledging() {
    let mut s = Story::alone(promised(1, true, true));
    s.decide(20, 2, 2, &[2], true).append(1, mark(3, 1, 103)).expose(1, 1, 4);
    s.client(sent(3)).client(acked_by(3, 3, 1, Promise::All));
    s.lead(2, 2, 2).append(2, mark(2, 2, 202)).append(2, mark(3, 2, 203)).expose(2, 2, 4);
    s.client(sent(4)).client(sent(5)).client(acked_by(5, 3, 2, Promise::All));
    s.audit_after_two(&[(2, Some(value(4))), (3, Some(value(5)))], 4).permits(&[Reason::UncleanElection; 2]);
}

#[test]
fn an_elected_replica_may_get_more_until_it_hears_of_its_election() {
    let mut s = Story::alone(promised(1, true, true));
    s.decide(20, 2, 2, &[2], true).append(2, mark(2, 1, 102)).lead(2, 2, 3).expose(2, 2, 3);
    s.accepts();
    s.audit(&[], 2).violates("ACK");
}

#[test]
fn who_comes_back_after_an_unclean_election_must_truncate_before_it_takes_in_more() {
    let old = [mark(0, 1, 100), mark(1, 1, 101), mark(2, 1, 102)];
    let comes_back = |s: &mut Story| {
        let (start, high_watermark) = (Offset(0), Offset(3));
        s.tell(1, Event::LogLoaded { tp: tp(), start, high_watermark, batches: old.to_vec() });
        s.tell(1, Event::FollowerStarted { tp: tp(), epoch: LeaderEpoch(3), leader: BrokerId(2) });
    };
    let follows = |s: &mut Story| {
        s.append(2, mark(3, 3, 203)).expose(2, 3, 4).append(1, mark(3, 3, 203));
        let (epoch, high_watermark, log_end) = (LeaderEpoch(3), Offset(4), Offset(4));
        s.tell(1, Event::HighWatermark { tp: tp(), epoch, leading: false, high_watermark, log_end });
    };
    let mut s = Story::unclean(promised(1, true, true));
    comes_back(&mut s);
    s.accepts();
    follows(&mut s);
    s.violates("LM");
    let mut s = Story::unclean(promised(1, true, true));
    comes_back(&mut s);
    s.tell(1, Event::LogTruncated { tp: tp(), to: Offset(2), start: Offset(0) }).append(1, mark(2, 3, 202));
    follows(&mut s);
    s.accepts();
}

#[test]
fn one_unclean_election_allows_one_more_value_and_one_step_back_only() {
    let mut s = Story::unclean(promised(1, true, true));
    s.client(sent(3)).client(sent(4)).client(read(0, 2, 3)).accepts();
    s.client(read(0, 2, 3)).violates("POLL");
    let mut s = Story::unclean(promised(1, true, true));
    s.client(sent(3)).client(sent(4)).client(read(1, 2, 3)).client(read(2, 2, 4)).violates("CR");
}

/// Broker 1 was the last in ISR and ELR, and comes back without what was on its way to the disk.
fn last_in_sync(promises: Promises, loses: bool) -> Story {
    let mut s = Story::alone(promises);
    let batches = [mark(0, 1, 100), mark(1, 1, 101), mark(2, 1, 102)];
    s.power_cut(1).load(1, &batches[..if loses { 2 } else { 3 }]);
    s
}

#[test]
fn the_last_known_leader_may_lead_without_what_its_disk_lost() {
    let mut s = last_in_sync(promised(1, false, true), true);
    s.register(1, 15).decide(16, -1, 2, &[], false).decide(17, 1, 3, &[1], true).lead(1, 3, 2);
    s.audit(&[], 2).permits(&[Reason::LastKnownLeader]);
}

#[test]
fn the_last_known_leader_may_not_lose_what_its_disk_did_not() {
    let mut s = last_in_sync(promised(1, false, true), false);
    s.register(1, 15).decide(16, -1, 2, &[], false);
    s.tell(1, Event::LogTruncated { tp: tp(), to: Offset(2), start: Offset(0) });
    s.decide(17, 1, 3, &[1], true).lead(1, 3, 2).violates("LC");
}

#[test]
fn with_others_in_sync_or_eligible_nobody_leads_as_the_last_known_one() {
    let mut s = last_in_sync(promised(1, false, true), true);
    s.register(1, 15).decide(16, -1, 2, &[2], false).decide(17, 1, 3, &[1], true).lead(1, 3, 2).violates("LC");
}

#[test]
fn without_elr_the_last_in_sync_replica_leads_again_and_with_it_never() {
    let again = |elr| {
        let mut s = last_in_sync(promised(1, false, elr), true);
        s.register(1, 15).decide(16, -1, 2, &[1], false).decide(17, 1, 3, &[1], false).lead(1, 3, 2);
        s
    };
    again(false).audit(&[], 2).permits(&[Reason::LastInSyncReplica]);
    // A single copy was promised, so its loss is no violation; which rule allows it differs.
    again(true).audit(&[], 2).permits(&[Reason::StorageFaults]);
    let mut s = last_in_sync(promised(2, false, true), true);
    s.register(1, 15).decide(16, -1, 2, &[1], false).decide(17, 1, 3, &[1], false).lead(1, 3, 2).violates("LC");
}

#[test]
fn a_record_that_came_back_counts_as_held() {
    let mut s = Story::healthy();
    s.client(sent(1)).client(acked(1, 1));
    for node in [2, 3] {
        s.power_cut(node).tell(node, Event::Started).load(node, &[mark(0, 1, 100)]);
    }
    s.append(3, mark(1, 1, 101));
    s.audit(&[], 1).violates("ACK");
}

#[test]
fn a_topic_may_promise_otherwise_than_its_cluster() {
    let own = TopicPromises { min_isr: Some(1), unclean: Some(true) };
    let topics = [("t".to_owned(), own)].into();
    Story::unclean(Promises { topics, ..promised(2, false, true) }).accepts();
    let mut s = Story::alone(promised(1, false, true));
    s.court.configured(Some("t"), "unclean.leader.election.enable", Some("true"), false);
    s.decide(20, 2, 2, &[2], true).lead(2, 2, 2).accepts();
    let mut s = Story::alone(promised(1, true, true));
    s.court.configured(Some("t"), "unclean.leader.election.enable", Some("false"), true);
    s.decide(20, 2, 2, &[2], true).lead(2, 2, 2).violates("LC");
}

#[test]
fn a_deleted_entry_gives_way_to_the_level_above_it() {
    let own = TopicPromises { min_isr: Some(2), unclean: Some(true) };
    let topics = || BTreeMap::from([("t".to_owned(), own)]);
    let mut asked = Promises { topics: topics(), ..promised(1, false, true) };
    asked.configured(Some("t"), "min.insync.replicas", None, false);
    asked.configured(Some("t"), "unclean.leader.election.enable", None, false);
    assert_eq!((asked.rules("t").min_isr, asked.rules("t").unclean), (1, true), "either may hold");
    asked.configured(Some("t"), "min.insync.replicas", None, true);
    asked.configured(Some("t"), "unclean.leader.election.enable", None, true);
    assert_eq!((asked.rules("t").min_isr, asked.rules("t").unclean), (1, false));

    let mut least = Promises { topics: topics(), ..promised(3, false, true) };
    least.configured(Some("t"), "min.insync.replicas", None, true);
    assert_eq!(least.rules("t").min_isr, 2, "what was acknowledged before stands on two copies");
    least.configured(None, "min.insync.replicas", Some("1"), false);
    assert_eq!(least.rules("t").min_isr, 1, "the topic follows its cluster");

    let files = TopicPromises { min_isr: Some(1), unclean: Some(false) };
    let mut all = Promises { files, ..promised(1, true, true) };
    all.configured(None, "unclean.leader.election.enable", None, false);
    assert!(all.rules("t").unclean, "it may still hold");
    all.configured(None, "unclean.leader.election.enable", None, true);
    assert!(!all.rules("t").unclean);
}

#[test]
fn acks_one_may_be_told_the_offset_of_another_value_in_a_later_epoch_only() {
    let story = |epoch| {
        let mut s = Story::healthy();
        s.lead(2, 2, 2).client(sent(2)).client(sent(3));
        s.client(acked_by(2, 2, 1, Promise::Leader)).client(acked_by(3, 2, epoch, Promise::Leader));
        s
    };
    story(2).audit_after_two(&[(2, Some(value(3)))], 3).permits(&[Reason::AcksOne]);
    story(1).violates("ACK");
}

#[test]
fn acks_zero_loses_what_is_in_no_log() {
    let mut s = Story::healthy();
    for seq in [0, 1] {
        s.client(sent(seq)).client(acked_by(seq, -1, -1, Promise::Nothing));
    }
    s.audit(&[(0, Some(value(1)))], 1).permits(&[Reason::AcksZero]);
}

#[test]
fn only_an_idempotent_producer_promises_order_and_no_duplicates() {
    let audit = |idempotent| {
        let mut s = Story::healthy();
        s.court.writer_begins(0, WriterTraits { idempotent, ordered: idempotent });
        s.client(sent(0)).client(sent(1));
        s.audit(&[(0, Some(value(1))), (1, Some(value(0))), (2, Some(value(0)))], 3);
        assert_eq!(s.court.findings().duplicated, 1);
        s
    };
    audit(false).accepts();
    assert_eq!(audit(true).names(), ["DENSE", "ORDER"]);
}
