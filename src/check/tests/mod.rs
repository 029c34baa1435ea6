//! Hand-made histories: each property accepts what Kafka permits and names what it does not.

mod compaction;
mod contract;
mod observers;
mod removal;
mod rewritten;

use super::verdict::Audit;
use super::{Court, Promises, QuorumTimeouts, TopicPromises};
use crate::base::{BrokerEpoch, BrokerId, LeaderEpoch, Offset, PartitionEpoch, TopicPartition};
use crate::broker::probe::{BatchMark, Event, PartitionFacts, RaftRole, SnapshotId};
use crate::world::history::{Op, Promise, Value};

fn tp() -> TopicPartition {
    TopicPartition::new("t", 0)
}

fn mark(base: i64, epoch: i32, crc: u32) -> BatchMark {
    BatchMark { base: Offset(base), next: Offset(base + 1), epoch: LeaderEpoch(epoch), crc }
}

fn value(seq: u64) -> Value {
    Value { writer: 0, seq }
}

/// A story told to a court, one short line per event.
struct Story {
    court: Court,
}

impl Story {
    fn new() -> Self {
        let voters = vec![BrokerId(1), BrokerId(2), BrokerId(3)];
        let cluster = TopicPromises { min_isr: Some(2), unclean: None };
        let quorum = QuorumTimeouts { election_ms: 1_000, fetch_ms: 2_000 };
        Self::promised(Promises { cluster, elr: true, voters, quorum, ..Promises::default() })
    }
    fn promised(promises: Promises) -> Self {
        Self { court: Court::new(promises) }
    }
    fn tell(&mut self, node: i32, event: Event) -> &mut Self {
        self.court.observe(0, BrokerId(node), &event);
        self
    }
    fn client(&mut self, op: Op) -> &mut Self {
        self.court.client(0, &op);
        self
    }
    fn load(&mut self, node: i32, batches: &[BatchMark]) -> &mut Self {
        let event =
            Event::LogLoaded { tp: tp(), start: Offset(0), high_watermark: Offset(0), batches: batches.to_vec() };
        self.tell(node, event)
    }
    fn append(&mut self, node: i32, batch: BatchMark) -> &mut Self {
        self.tell(node, Event::LogAppended { tp: tp(), batches: vec![batch], copied: 0 })
    }
    fn elect(&mut self, offset: i64, leader: i32, epoch: i32, isr: &[i32]) -> &mut Self {
        let facts = facts(leader, epoch, isr);
        self.tell(leader.max(1), Event::PartitionChanged { tp: tp(), facts, offset: Offset(offset) })
    }
    fn lead(&mut self, node: i32, epoch: i32, high_watermark: i64) -> &mut Self {
        let event = Event::LeaderStarted {
            tp: tp(),
            epoch: LeaderEpoch(epoch),
            log_end: Offset(9),
            high_watermark: Offset(high_watermark),
        };
        self.tell(node, event)
    }
    fn expose(&mut self, node: i32, epoch: i32, high_watermark: i64) -> &mut Self {
        let event = Event::HighWatermark {
            tp: tp(),
            epoch: LeaderEpoch(epoch),
            leading: true,
            high_watermark: Offset(high_watermark),
            log_end: Offset(9),
        };
        self.tell(node, event)
    }
    /// Three replicas hold two batches of epoch 1, led by broker 1, all of it committed.
    fn healthy() -> Self {
        let mut s = Self::new();
        for node in 1..=3 {
            s.load(node, &[]);
        }
        s.elect(10, 1, 1, &[1, 2, 3]).lead(1, 1, 0);
        for node in 1..=3 {
            s.append(node, mark(0, 1, 100)).append(node, mark(1, 1, 101));
        }
        s.expose(1, 1, 2);
        s
    }
    fn names(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.court.findings().violations.iter().map(|v| v.property).collect();
        names.dedup();
        names
    }
    fn accepts(&mut self) {
        self.court.quiet_point(0);
        assert!(self.court.findings().violations.is_empty(), "{:#?}", self.court.findings().violations);
    }
    fn violates(&mut self, property: &str) {
        self.court.quiet_point(0);
        assert!(self.names().contains(&property), "expected {property}, found {:?}", self.names());
    }
    fn audit(&mut self, records: &[(i64, Option<Value>)], end: i64) -> &mut Self {
        self.audit_from(0, records, end)
    }
    fn audit_from(&mut self, start: i64, records: &[(i64, Option<Value>)], end: i64) -> &mut Self {
        let audit = Audit {
            tp: tp(),
            start: Offset(start),
            end: Offset(end),
            leader: BrokerId(1),
            records: records.iter().map(|(o, v)| (Offset(*o), *v)).collect(),
            letters: Vec::new(),
        };
        self.court.audit(0, &audit);
        self
    }
}

fn facts(leader: i32, epoch: i32, isr: &[i32]) -> PartitionFacts {
    PartitionFacts {
        leader: BrokerId(leader),
        leader_epoch: LeaderEpoch(epoch),
        partition_epoch: PartitionEpoch(epoch),
        replicas: vec![BrokerId(1), BrokerId(2), BrokerId(3)],
        isr: isr.iter().copied().map(BrokerId).collect(),
        elr: Vec::new(),
        adding: Vec::new(),
        removing: Vec::new(),
        recovering: false,
    }
}

fn sent(seq: u64) -> Op {
    Op::Sent { value: value(seq), tp: tp() }
}
fn acked(seq: u64, offset: i64) -> Op {
    Op::Acked { value: value(seq), tp: tp(), offset: Offset(offset), promise: Promise::All, sent_to: LeaderEpoch(1) }
}
fn read(reader: u32, offset: i64, seq: u64) -> Op {
    Op::Read { reader, tp: tp(), offset: Offset(offset), value: Some(value(seq)) }
}
fn failed(seq: u64, definite: bool) -> Op {
    Op::Failed { value: value(seq), tp: tp(), definite, error: "gave up".into() }
}

#[test]
fn a_healthy_partition_is_accepted() {
    Story::healthy().accepts();
}

#[test]
fn a_complete_successor_is_accepted_though_the_old_leader_lags_behind() {
    let mut s = Story::healthy();
    s.append(2, mark(2, 2, 102)).elect(20, 2, 2, &[2, 3]).lead(2, 2, 2).accepts();
}

#[test]
fn lc_names_a_leader_that_lacks_what_was_committed() {
    let mut s = Story::healthy();
    s.tell(2, Event::LogTruncated { tp: tp(), to: Offset(1), start: Offset(0) });
    s.elect(20, 2, 2, &[2, 3]).lead(2, 2, 1).violates("LC");
}

#[test]
fn lcc_names_an_isr_member_that_lacks_what_was_committed_before_anything_is_lost() {
    let mut s = Story::healthy();
    s.append(1, mark(2, 1, 102)).append(2, mark(2, 1, 102)).expose(1, 1, 3).violates("LCC");
}

#[test]
fn lcc_passes_over_a_power_cut_replica_until_its_new_incarnation_has_registered() {
    let mut s = Story::healthy();
    s.court.node_down(BrokerId(3), true);
    s.tell(3, Event::Started).load(3, &[mark(0, 1, 100)]).elect(20, 1, 2, &[1, 2, 3]).accepts();
    s.tell(1, Event::BrokerRegistered { broker: BrokerId(3), epoch: BrokerEpoch(30) });
    s.elect(31, 1, 2, &[1, 2, 3]).violates("LCC");
}

#[test]
fn lcc_names_a_log_that_vanished_from_a_replica_but_not_that_of_a_deleted_partition() {
    let mut s = Story::healthy();
    s.tell(1, Event::PartitionRemoved { tp: tp(), offset: Offset(20) })
        .tell(3, Event::LogRemoved { tp: tp() })
        .accepts();
    let mut s = Story::healthy();
    s.tell(3, Event::LogRemoved { tp: tp() }).violates("LCC");
}

#[test]
fn lm_names_two_replicas_that_differ_below_both_high_watermarks() {
    let mut s = Story::new();
    for (node, crc) in [(1, 100), (2, 999)] {
        s.load(node, &[]).append(node, mark(0, 1, crc));
    }
    s.elect(10, 1, 1, &[1]).lead(1, 1, 0).expose(1, 1, 1);
    s.accepts();
    let follower = Event::HighWatermark {
        tp: tp(),
        epoch: LeaderEpoch(1),
        leading: false,
        high_watermark: Offset(1),
        log_end: Offset(1),
    };
    s.tell(2, follower).violates("LM");
}

#[test]
fn sisr_names_an_isr_member_that_disagrees_below_a_presumed_leaders_high_watermark() {
    let mut s = Story::healthy();
    s.tell(2, Event::LogTruncated { tp: tp(), to: Offset(1), start: Offset(0) }).violates("SISR");
}

#[test]
fn hw_may_start_lower_in_a_new_leadership_but_never_falls_within_one() {
    let mut s = Story::healthy();
    s.lead(1, 2, 1).accepts();
    s.expose(1, 2, 2).expose(1, 2, 1).violates("HW");
}

#[test]
fn ack_names_an_acknowledgement_ahead_of_the_high_watermark() {
    let mut s = Story::healthy();
    s.client(sent(1)).client(acked(1, 1)).accepts();
    s.client(sent(2)).client(acked(2, 2)).violates("ACK");
}

#[test]
fn ack_names_a_lost_value_and_who_holds_what() {
    let mut s = Story::healthy();
    s.client(sent(0)).client(sent(1)).client(acked(0, 0)).client(acked(1, 1));
    s.audit(&[(0, Some(value(0)))], 1).violates("ACK");
    let evidence = &s.court.findings().violations[0].evidence;
    assert!(evidence.contains("w0:1") && evidence.contains("broker 2 holds 0..2"), "{evidence}");
    assert_eq!(s.court.findings().lost, 1);
}

#[test]
fn a_loss_is_permitted_when_enough_holders_lost_the_record_to_storage_faults() {
    let mut s = Story::healthy();
    s.client(sent(0)).client(sent(1)).client(acked(0, 0)).client(acked(1, 1));
    for node in [2, 3] {
        s.court.node_down(BrokerId(node), true);
        s.tell(node, Event::Started).load(node, &[mark(0, 1, 100)]);
    }
    s.audit(&[(0, Some(value(0)))], 1);
    let f = s.court.findings();
    assert_eq!((f.lost, f.permitted.len(), f.violations.len()), (1, 1, 0), "{f:#?}");
}

#[test]
fn one_storage_fault_permits_no_loss_with_min_isr_two() {
    let mut s = Story::healthy();
    s.client(sent(1)).client(acked(1, 1));
    s.court.node_down(BrokerId(2), true);
    s.tell(2, Event::Started).load(2, &[mark(0, 1, 100)]);
    s.audit(&[(0, Some(value(0)))], 1);
    assert!(s.names().contains(&"ACK"));
}

#[test]
fn cr_names_a_value_that_changed_under_its_readers() {
    let mut s = Story::healthy();
    s.client(sent(0)).client(sent(1)).client(read(0, 0, 0)).client(read(1, 0, 0)).accepts();
    s.client(read(2, 0, 1)).violates("CR");
}

#[test]
fn poll_names_skips_and_steps_back_but_not_a_new_position() {
    let mut s = Story::healthy();
    s.client(sent(0)).client(sent(1)).client(read(0, 0, 0)).client(read(0, 1, 1));
    s.client(Op::Positioned { reader: 0, tp: tp(), offset: Offset(0) }).client(read(0, 0, 0)).accepts();
    s.client(read(0, 0, 0)).violates("POLL");
    let mut s = Story::healthy();
    s.client(sent(0)).client(sent(1)).client(sent(2)).client(read(0, 0, 0)).client(read(0, 2, 2)).violates("POLL");
}

/// Broker 2 led alone and holds another batch at offset 1 than was committed there later; the leader's retention has reached
/// `start`, and 2 is taken into the ISR.
fn overtaken_by_retention(start: i64) -> Story {
    let mut s = Story::new();
    for (node, crc) in [(1, 101), (2, 999)] {
        s.load(node, &[]).append(node, mark(0, 1, 100)).append(node, mark(1, 2, crc));
    }
    s.elect(10, 1, 2, &[1]).lead(1, 2, 0).expose(1, 2, 2);
    s.tell(1, Event::LogStart { tp: tp(), start: Offset(start) });
    s.tell(2, Event::FollowerStarted { tp: tp(), epoch: LeaderEpoch(2), leader: BrokerId(1) });
    s.elect(11, 1, 2, &[1, 2]);
    s
}

#[test]
fn lcc_asks_for_nothing_that_retention_has_taken_and_for_all_above() {
    overtaken_by_retention(2).accepts();
    overtaken_by_retention(1).violates("LCC");
}

#[test]
fn dense_asks_for_nothing_that_retention_takes_during_the_audit() {
    let audited = |start: i64| {
        let mut s = Story::healthy();
        s.tell(1, Event::LogStart { tp: tp(), start: Offset(start) });
        s.client(sent(0)).audit(&[(0, Some(value(0)))], 2);
        s
    };
    audited(2).accepts();
    audited(0).violates("DENSE");
}

#[test]
fn dense_names_a_value_at_two_offsets() {
    let mut s = Story::healthy();
    s.client(sent(0)).audit(&[(0, Some(value(0))), (1, Some(value(0)))], 2).violates("DENSE");
    assert_eq!(s.court.findings().duplicated, 1);
}

#[test]
fn a_reader_may_skip_only_what_lies_below_a_log_start() {
    let log_start = |start| Event::LogStart { tp: tp(), start: Offset(start) };
    let mut s = Story::healthy();
    s.client(sent(0)).client(sent(1)).client(acked(0, 0)).client(acked(1, 1)).client(read(0, 0, 0));
    s.client(Op::Positioned { reader: 1, tp: tp(), offset: Offset(0) }).tell(1, log_start(1)).client(read(1, 1, 1));
    s.accepts();
    let audit = Audit {
        tp: tp(),
        start: Offset(1),
        end: Offset(2),
        leader: BrokerId(1),
        records: vec![(Offset(1), Some(value(1)))],
        letters: Vec::new(),
    };
    s.court.audit(0, &audit);
    s.accepts();
    assert_eq!(s.court.findings().lost, 0);
    let mut s = Story::healthy();
    s.client(sent(1)).client(acked(1, 1)).court.audit(0, &audit);
    s.violates("ACK");
}

#[test]
fn hw_names_a_log_start_beyond_the_high_watermark() {
    let mut s = Story::healthy();
    s.append(1, mark(2, 1, 102));
    s.tell(1, Event::LogStart { tp: tp(), start: Offset(3) }).violates("HW");
}

#[test]
fn a_log_start_inside_a_batch_leaves_a_replica_complete() {
    let wide = BatchMark { base: Offset(0), next: Offset(4), epoch: LeaderEpoch(1), crc: 9 };
    let mut s = Story::new();
    for node in 1..=3 {
        s.load(node, &[wide]);
    }
    s.elect(10, 1, 1, &[1, 2, 3]).lead(1, 1, 0).expose(1, 1, 4);
    s.tell(1, Event::LogStart { tp: tp(), start: Offset(2) });
    let loaded = Event::LogLoaded { tp: tp(), start: Offset(2), high_watermark: Offset(4), batches: vec![wide] };
    s.tell(1, loaded).elect(11, 1, 2, &[1, 2, 3]).lead(1, 2, 4).accepts();
}

#[test]
fn order_names_values_that_overtook_each_other_but_not_gaps() {
    let mut s = Story::healthy();
    s.client(sent(0)).client(sent(2)).audit(&[(0, Some(value(0))), (1, Some(value(2)))], 2).accepts();
    let mut s = Story::healthy();
    s.client(sent(0)).client(sent(2)).audit(&[(0, Some(value(2))), (1, Some(value(0)))], 2).violates("ORDER");
}

#[test]
fn no_phantom_accepts_unknown_outcomes_and_names_definite_failures_that_are_read() {
    let mut s = Story::healthy();
    s.client(sent(0)).client(failed(0, false)).client(read(0, 0, 0)).accepts();
    s.client(sent(1)).client(failed(1, true)).client(read(0, 1, 1)).violates("NO-PHANTOM");
}

#[test]
fn no_phantom_names_values_that_nobody_sent() {
    let mut s = Story::healthy();
    s.client(read(0, 0, 7)).violates("NO-PHANTOM");
}

#[test]
fn ctrl_state_names_a_fenced_isr_member_once_the_batch_has_applied() {
    let mut s = Story::healthy();
    s.tell(1, Event::BrokerFenced { broker: BrokerId(2) });
    s.accepts();
    commit_metadata(&mut s, 21);
    s.tell(1, Event::MetadataApplied { next: Offset(21) }).violates("CTRL-STATE");
}

#[test]
fn ctrl_state_names_a_leader_outside_the_isr() {
    let mut s = Story::healthy();
    s.elect(20, 1, 2, &[2, 3]);
    commit_metadata(&mut s, 21);
    s.tell(1, Event::MetadataApplied { next: Offset(21) }).violates("CTRL-STATE");
}

/// Three voters hold and commit one metadata batch up to `end`.
fn commit_metadata(s: &mut Story, end: i64) {
    let batch = BatchMark { base: Offset(0), next: Offset(end), epoch: LeaderEpoch(1), crc: 5 };
    for node in 1..=3 {
        s.tell(node, Event::RaftAppended { batches: vec![batch] });
        s.tell(node, Event::RaftSynced { end: Offset(end) });
    }
    s.tell(1, Event::RaftCommitted { high_watermark: Offset(end) });
}

#[test]
fn meta_prefix_names_applied_but_uncommitted_metadata() {
    let mut s = Story::new();
    commit_metadata(&mut s, 4);
    s.tell(2, Event::MetadataApplied { next: Offset(4) }).accepts();
    s.tell(2, Event::MetadataApplied { next: Offset(5) }).violates("META-PREFIX");
}

#[test]
fn raft_leader_names_two_leaders_two_votes_and_falling_epochs() {
    let role = |epoch| Event::RaftRole { epoch: LeaderEpoch(epoch), role: RaftRole::Leader, leader: None };
    Story::new().tell(1, role(1)).tell(2, role(2)).accepts();
    Story::new().tell(1, role(1)).tell(2, role(1)).violates("RAFT-LEADER");
    Story::new().tell(1, role(2)).tell(1, role(1)).violates("RAFT-LEADER");
    let vote = |candidate| Event::RaftVoted { epoch: LeaderEpoch(3), candidate: BrokerId(candidate) };
    Story::new().tell(1, vote(2)).tell(1, vote(2)).accepts();
    Story::new().tell(1, vote(2)).tell(1, vote(3)).violates("RAFT-LEADER");
}

#[test]
fn raft_commit_names_a_commit_without_a_durable_majority() {
    let mut s = Story::new();
    let batch = mark(0, 1, 5);
    for node in 1..=2 {
        s.tell(node, Event::RaftAppended { batches: vec![batch] });
    }
    s.tell(1, Event::RaftSynced { end: Offset(1) });
    s.tell(1, Event::RaftCommitted { high_watermark: Offset(1) }).violates("RAFT-COMMIT");
}

#[test]
fn raft_commit_names_two_records_at_one_committed_offset() {
    let mut s = Story::new();
    commit_metadata(&mut s, 1);
    s.tell(3, Event::RaftTruncated { to: Offset(0) });
    s.tell(3, Event::RaftAppended { batches: vec![mark(0, 2, 6)] });
    s.tell(3, Event::RaftCommitted { high_watermark: Offset(1) }).violates("RAFT-COMMIT");
}

#[test]
fn raft_commit_counts_a_snapshot_as_what_it_covers_and_names_one_that_ends_elsewhere() {
    let mut s = Story::new();
    commit_metadata(&mut s, 6);
    let snapshot = |offset, epoch| SnapshotId { offset: Offset(offset), epoch: LeaderEpoch(epoch) };
    s.tell(2, Event::SnapshotStored { snapshot: snapshot(6, 1) });
    s.tell(2, Event::RaftStartedAnew { snapshot: snapshot(6, 1) });
    let nothing = |snapshots| Event::RaftLoaded { start: Offset(6), batches: vec![], snapshots };
    s.tell(3, nothing(vec![snapshot(6, 1)]));
    assert!(s.names().is_empty(), "found {:?}", s.names());
    s.tell(3, Event::SnapshotStored { snapshot: snapshot(5, 1) }).violates("RAFT-COMMIT");
    let mut s = Story::new();
    commit_metadata(&mut s, 6);
    s.tell(2, Event::SnapshotStored { snapshot: snapshot(6, 2) }).violates("RAFT-COMMIT");
}

#[test]
fn raft_commit_names_logs_thrown_away_without_a_snapshot() {
    let mut s = Story::new();
    commit_metadata(&mut s, 6);
    let nothing = |snapshots| Event::RaftLoaded { start: Offset(6), batches: vec![], snapshots };
    s.tell(2, nothing(vec![]));
    s.tell(3, nothing(vec![])).violates("RAFT-COMMIT");
}

#[test]
fn meta_prefix_names_metadata_that_differs_at_one_offset() {
    let mut s = Story::new();
    commit_metadata(&mut s, 6);
    s.tell(1, Event::MetadataDigest { next: Offset(6), digest: 7 });
    s.tell(2, Event::MetadataDigest { next: Offset(6), digest: 7 });
    s.tell(3, Event::MetadataDigest { next: Offset(6), digest: 8 }).violates("META-PREFIX");
}

/// What a voter says of itself at a moment, in seconds.
fn quorum_role(s: &mut Story, at_s: u64, node: i32, role: RaftRole, epoch: i32, leader: Option<i32>) {
    let event = Event::RaftRole { epoch: LeaderEpoch(epoch), role, leader: leader.map(BrokerId) };
    s.court.observe(at_s * 1_000_000_000, BrokerId(node), &event);
}
/// Voter 1 leads in epoch 1 and the others follow.
fn quorum_of_three() -> Story {
    let mut s = Story::new();
    quorum_role(&mut s, 1, 1, RaftRole::Leader, 1, Some(1));
    quorum_role(&mut s, 1, 2, RaftRole::Follower, 1, Some(1));
    quorum_role(&mut s, 1, 3, RaftRole::Follower, 1, Some(1));
    s
}

#[test]
fn nobody_campaigns_against_a_leader_whom_the_others_follow() {
    let mut s = quorum_of_three();
    quorum_role(&mut s, 20, 3, RaftRole::Candidate, 2, None);
    s.violates("RAFT-STABLE");
}

#[test]
fn whoever_lost_its_leader_may_have_promised_its_vote() {
    let mut s = quorum_of_three();
    quorum_role(&mut s, 19, 2, RaftRole::Prospective, 1, Some(1));
    quorum_role(&mut s, 20, 2, RaftRole::Follower, 1, Some(1));
    quorum_role(&mut s, 21, 3, RaftRole::Candidate, 2, None);
    s.accepts();
    // A dead leader is no reason to be content.
    let mut s = quorum_of_three();
    s.court.node_down(BrokerId(1), false);
    quorum_role(&mut s, 20, 3, RaftRole::Candidate, 2, None);
    s.accepts();
    // Neither is one that stands still, and a candidate that stood still holds old promises.
    for node in [1, 3] {
        let mut s = quorum_of_three();
        s.court.node_stands(19_000_000_000, BrokerId(node), true);
        s.court.node_stands(20_000_000_000, BrokerId(node), false);
        quorum_role(&mut s, 20, 3, RaftRole::Candidate, 2, None);
        s.accepts();
    }
}

#[test]
fn a_leader_that_no_majority_fetches_from_has_to_resign() {
    let fetched = |s: &mut Story, at_s: u64, voter: i32| {
        let event = Event::RaftFetched { voter: BrokerId(voter), epoch: LeaderEpoch(1) };
        s.court.observe(at_s * 1_000_000_000, BrokerId(1), &event);
    };
    let mut s = quorum_of_three();
    fetched(&mut s, 20, 2);
    s.court.quiet_point(27_000_000_000);
    s.accepts();
    // One that stood still is judged from when it went on.
    s.court.node_stands(27_000_000_000, BrokerId(1), true);
    s.court.quiet_point(90_000_000_000);
    s.court.node_stands(90_000_000_000, BrokerId(1), false);
    s.court.quiet_point(97_000_000_000);
    s.accepts();
    let mut resigned = quorum_of_three();
    quorum_role(&mut resigned, 5, 1, RaftRole::Resigned, 1, None);
    resigned.court.quiet_point(90_000_000_000);
    resigned.accepts();
    s.court.quiet_point(98_000_000_000);
    assert_eq!(s.names(), ["RAFT-STABLE"]);
}

#[test]
fn what_retention_has_taken_from_the_leader_is_not_compared() {
    let leave = |start: i64| {
        let mut s = Story::healthy();
        // Broker 3 returns with what an earlier leader never committed in the place of the last batch.
        s.load(3, &[mark(0, 1, 100), mark(1, 0, 666)]);
        s.tell(1, Event::LogStart { tp: tp(), start: Offset(start) });
        let (epoch, high_watermark, log_end) = (LeaderEpoch(1), Offset(2), Offset(2));
        s.tell(3, Event::HighWatermark { tp: tp(), epoch, leading: false, high_watermark, log_end });
        s
    };
    leave(1).violates("LM");
    let mut gone = leave(2);
    gone.tell(3, Event::LogStart { tp: tp(), start: Offset(2) });
    gone.accepts();
}

#[test]
fn a_log_that_begins_anew_takes_its_high_watermark_along() {
    let begun_anew = |told: bool| {
        let mut s = Story::healthy();
        s.load(3, &[mark(0, 1, 100)]);
        if told {
            let (epoch, high_watermark, log_end) = (LeaderEpoch(1), Offset(2), Offset(2));
            s.tell(3, Event::HighWatermark { tp: tp(), epoch, leading: false, high_watermark, log_end });
        }
        s.tell(3, Event::LogTruncated { tp: tp(), to: Offset(2), start: Offset(2) });
        s
    };
    begun_anew(true).accepts();
    begun_anew(false).violates("HW");
}
