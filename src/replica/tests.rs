//! Short stories about one replica at a time.

use kafka_protocol::ResponseError;

use super::*;
use crate::base::ProducerId;
use crate::base::{BrokerEpoch, BrokerId, LeaderEpoch, Now, Offset, PartitionEpoch};
use crate::log::producers::{ProducerBatch, ProducerStates};
use crate::log::state::LogState;

const ME: BrokerId = BrokerId(1);
const TWO: BrokerId = BrokerId(2);
const THREE: BrokerId = BrokerId(3);

fn brokers() -> BrokerTable {
    let mut table = BrokerTable::default();
    for id in [ME, TWO, THREE] {
        table.insert(id, BrokerLiveness { epoch: BrokerEpoch(10), fenced: false, shutting_down: false });
    }
    table
}

fn at(table: &BrokerTable, ms: u64) -> Ctx<'_> {
    let now = Now { mono_ns: ms * 1_000_000, wall_ms: ms as i64 };
    Ctx { now, brokers: table, broker_epoch: BrokerEpoch(10) }
}

fn state(leader: BrokerId, epoch: i32, partition_epoch: i32, isr: &[BrokerId]) -> PartitionState {
    PartitionState {
        leader,
        leader_epoch: LeaderEpoch(epoch),
        partition_epoch: PartitionEpoch(partition_epoch),
        replicas: vec![ME, TWO, THREE],
        isr: isr.to_vec(),
    }
}

fn replica() -> ReplicaCore {
    let config = ReplicaConfig { lag_time_max_ms: 1_000, min_insync_replicas: 2 };
    ReplicaCore::new(ME, config, LogState::default(), ProducerStates::new(), Offset(0))
}

fn leading(isr: &[BrokerId]) -> ReplicaCore {
    let mut core = replica();
    assert!(core.become_leader(&at(&brokers(), 0), &state(ME, 1, 1, isr), &mut Vec::new()));
    core
}

/// A batch of `count` records by nobody in particular.
pub(super) fn plain(count: i64) -> ProducerBatch {
    ProducerBatch {
        producer: ProducerId::NONE,
        epoch: -1,
        first_sequence: -1,
        last_sequence: -1,
        last_offset_delta: count as i32 - 1,
        timestamp: 0,
        control: false,
    }
}

fn span(base: i64, next: i64, epoch: i32) -> BatchSpan {
    BatchSpan { base: Offset(base), next: Offset(next), epoch: LeaderEpoch(epoch), producer: plain(next - base) }
}

fn admit(core: &mut ReplicaCore, acks: Acks, batch: &ProducerBatch) -> Appending {
    match core.append_as_leader(acks, batch) {
        Ok(Admission::Append(a)) => a,
        other => panic!("not appended: {other:?}"),
    }
}

fn append(core: &mut ReplicaCore, count: i64, out: &mut Vec<Output>) -> Appending {
    let a = admit(core, Acks::All, &plain(count));
    core.appended(&at(&brokers(), 0), a.generation, a.next, out);
    a
}

fn fetch_at(core: &mut ReplicaCore, ms: u64, id: BrokerId, offset: i64, out: &mut Vec<Output>) -> Serve {
    let fetch = FollowerFetch {
        id,
        broker_epoch: BrokerEpoch(10),
        leader_epoch: core.leader_epoch(),
        last_epoch: LeaderEpoch::NONE,
        offset: Offset(offset),
        log_start: Offset(0),
    };
    core.follower_fetch(&at(&brokers(), ms), &fetch, out).unwrap()
}

fn fetch(core: &mut ReplicaCore, id: BrokerId, offset: i64, out: &mut Vec<Output>) {
    fetch_at(core, 0, id, offset, out);
}

fn proposal(out: &[Output]) -> IsrProposal {
    let asked = out.iter().find_map(|o| if let Output::ProposeIsr(p) = o { Some(p.clone()) } else { None });
    asked.expect("an ISR change was asked for")
}

#[test]
fn acks_all_waits_for_every_in_sync_replica() {
    let (mut core, mut out) = (leading(&[ME, TWO, THREE]), Vec::new());
    let a = append(&mut core, 5, &mut out);
    let token = ProduceToken { request: 7, part: 0 };
    core.await_produce(token, a.epoch, a.next, Acks::All, &mut out);
    fetch(&mut core, TWO, 5, &mut out);
    assert_eq!(out, []);
    fetch(&mut core, THREE, 5, &mut out);
    assert_eq!(out, [Output::HighWatermark(Offset(5)), Output::ProduceDone { token, result: Ok(()) }]);
}

#[test]
fn acks_one_waits_for_the_page_cache_only() {
    let (mut core, mut out) = (leading(&[ME, TWO, THREE]), Vec::new());
    let a = admit(&mut core, Acks::Leader, &plain(5));
    let token = ProduceToken { request: 7, part: 0 };
    core.await_produce(token, a.epoch, a.next, Acks::Leader, &mut out);
    assert_eq!(out, []);
    core.appended(&at(&brokers(), 0), a.generation, a.next, &mut out);
    assert_eq!(out, [Output::ProduceDone { token, result: Ok(()) }]);
}

#[test]
fn below_the_minimum_nothing_is_appended_and_the_high_watermark_stands() {
    let (mut core, mut out) = (leading(&[ME]), Vec::new());
    assert_eq!(core.append_as_leader(Acks::All, &plain(1)), Err(ResponseError::NotEnoughReplicas));
    let a = admit(&mut core, Acks::Leader, &plain(1));
    core.appended(&at(&brokers(), 0), a.generation, a.next, &mut out);
    assert_eq!(core.high_watermark(), Offset(0));
}

#[test]
fn a_pending_newcomer_counts_for_the_high_watermark_until_the_controller_refuses_it() {
    let (mut core, mut out) = (leading(&[ME, TWO]), Vec::new());
    fetch(&mut core, THREE, 0, &mut out);
    let asked = proposal(&out);
    assert_eq!(asked.isr.iter().map(|m| m.0).collect::<Vec<_>>(), [ME, TWO, THREE]);
    append(&mut core, 5, &mut out);
    fetch_at(&mut core, 5_000, TWO, 5, &mut out);
    assert_eq!(core.high_watermark(), Offset(0));
    core.isr_answer(&at(&brokers(), 5_000), asked.id, Err(ResponseError::IneligibleReplica), &mut out);
    core.scan_isr(&at(&brokers(), 5_000), &mut out);
    assert_eq!(core.high_watermark(), Offset(5));
}

#[test]
fn an_older_answer_does_not_settle_a_newer_question() {
    let (mut core, mut out) = (leading(&[ME, TWO]), Vec::new());
    let table = brokers();
    fetch(&mut core, THREE, 0, &mut out);
    let first = proposal(&out);
    core.become_leader(&at(&table, 0), &state(ME, 1, 2, &[ME, TWO]), &mut out);
    out.clear();
    fetch(&mut core, THREE, 0, &mut out);
    assert_ne!(proposal(&out).id, first.id);
    let answer = IsrAnswer { leader_epoch: LeaderEpoch(1), partition_epoch: PartitionEpoch(3), isr: vec![ME] };
    core.isr_answer(&at(&table, 0), first.id, Ok(answer), &mut out);
    assert_eq!(core.isr(), [ME, TWO]);
}

#[test]
fn metadata_that_only_repeats_an_answer_does_not_forget_the_next_question() {
    let (mut core, mut out) = (leading(&[ME]), Vec::new());
    let table = brokers();
    fetch(&mut core, TWO, 0, &mut out);
    let answer = IsrAnswer { leader_epoch: LeaderEpoch(1), partition_epoch: PartitionEpoch(2), isr: vec![ME, TWO] };
    core.isr_answer(&at(&table, 0), proposal(&out).id, Ok(answer), &mut out);
    out.clear();
    fetch(&mut core, THREE, 0, &mut out);
    let asked = proposal(&out);
    core.become_leader(&at(&table, 0), &state(ME, 1, 2, &[ME, TWO]), &mut out);
    let answer =
        IsrAnswer { leader_epoch: LeaderEpoch(1), partition_epoch: PartitionEpoch(3), isr: vec![ME, TWO, THREE] };
    core.isr_answer(&at(&table, 0), asked.id, Ok(answer), &mut out);
    assert_eq!(core.isr(), [ME, TWO, THREE]);
}

#[test]
fn a_silent_member_is_asked_out_after_the_lag_time_and_not_before() {
    let (mut core, mut out) = (leading(&[ME, TWO, THREE]), Vec::new());
    append(&mut core, 5, &mut out);
    fetch_at(&mut core, 900, TWO, 5, &mut out);
    out.clear();
    core.scan_isr(&at(&brokers(), 1_000), &mut out);
    assert_eq!(out, []);
    core.scan_isr(&at(&brokers(), 1_001), &mut out);
    assert_eq!(proposal(&out).isr.iter().map(|m| m.0).collect::<Vec<_>>(), [ME, TWO]);
    out.clear();
    core.scan_isr(&at(&brokers(), 9_000), &mut out);
    assert_eq!(out, [], "one question at a time");
}

#[test]
fn a_fenced_or_reborn_follower_may_not_join() {
    let (mut core, mut out, mut table) = (leading(&[ME, TWO]), Vec::new(), brokers());
    let reborn = BrokerLiveness { epoch: BrokerEpoch(99), fenced: false, shutting_down: false };
    table.insert(THREE, reborn);
    let fetch = FollowerFetch {
        id: THREE,
        broker_epoch: BrokerEpoch(10),
        leader_epoch: LeaderEpoch(1),
        last_epoch: LeaderEpoch::NONE,
        offset: Offset(0),
        log_start: Offset(0),
    };
    let stale = core.follower_fetch(&at(&table, 0), &fetch, &mut out);
    assert_eq!(stale, Err(ResponseError::NotLeaderOrFollower));
    table.insert(THREE, BrokerLiveness { fenced: true, ..reborn });
    let fenced = FollowerFetch { broker_epoch: BrokerEpoch(99), ..fetch };
    assert!(core.follower_fetch(&at(&table, 0), &fenced, &mut out).is_ok());
    assert_eq!(out, []);
}

#[test]
fn a_replica_behind_the_start_of_the_leadership_does_not_join() {
    let mut log = LogState::default();
    log.append(LeaderEpoch(0), Offset(0), Offset(10));
    log.appended(0, Offset(10));
    let mut core = ReplicaCore::new(ME, ReplicaConfig::default(), log, ProducerStates::new(), Offset(0));
    let mut out = Vec::new();
    core.become_leader(&at(&brokers(), 0), &state(ME, 1, 1, &[ME, TWO]), &mut out);
    out.clear();
    fetch(&mut core, THREE, 5, &mut out);
    assert_eq!(out, []);
    fetch(&mut core, THREE, 10, &mut out);
    assert_eq!(proposal(&out).isr.len(), 3);
}

#[test]
fn a_new_leader_answers_no_offset_query_until_its_high_watermark_reaches_its_start() {
    let mut log = LogState::default();
    log.append(LeaderEpoch(0), Offset(0), Offset(10));
    log.appended(0, Offset(10));
    let mut core = ReplicaCore::new(ME, ReplicaConfig::default(), log, ProducerStates::new(), Offset(4));
    let mut out = Vec::new();
    core.become_leader(&at(&brokers(), 0), &state(ME, 1, 1, &[ME, TWO]), &mut out);
    assert_eq!(core.latest_offset(LeaderEpoch(1), false), Err(ResponseError::OffsetNotAvailable));
    assert_eq!(core.latest_offset(LeaderEpoch(1), true), Ok(Offset(10)));
    fetch(&mut core, TWO, 10, &mut out);
    assert_eq!(core.latest_offset(LeaderEpoch(1), false), Ok(Offset(10)));
}

#[test]
fn a_stale_or_premature_epoch_is_refused_before_anything_else() {
    let core = leading(&[ME, TWO]);
    assert_eq!(core.check_leading(LeaderEpoch(0)), Err(ResponseError::FencedLeaderEpoch));
    assert_eq!(core.check_leading(LeaderEpoch(2)), Err(ResponseError::UnknownLeaderEpoch));
    assert_eq!(core.check_leading(LeaderEpoch(1)), Ok(()));
    assert_eq!(replica().check_leading(LeaderEpoch::NONE), Err(ResponseError::NotLeaderOrFollower));
}

#[test]
fn who_waits_at_a_deposed_leader_is_sent_away() {
    let (mut core, mut out) = (leading(&[ME, TWO]), Vec::new());
    let a = append(&mut core, 5, &mut out);
    let token = ProduceToken { request: 1, part: 2 };
    core.await_produce(token, a.epoch, a.next, Acks::All, &mut out);
    assert!(core.watch_fetch(FetchToken(3), FetchBound::HighWatermark, Offset(0)));
    out.clear();
    assert!(core.become_follower(&state(TWO, 2, 2, &[TWO]), &mut out));
    let refused = Output::ProduceDone { token, result: Err(ResponseError::NotLeaderOrFollower) };
    assert_eq!(out, [refused, Output::FetchReady(FetchToken(3))]);
}

#[test]
fn a_deposed_leader_without_a_record_of_its_epoch_finds_its_way_back() {
    let (mut old, mut new, mut out) = (replica(), replica(), Vec::new());
    let table = brokers();
    old.become_leader(&at(&table, 0), &state(ME, 1, 1, &[ME, TWO]), &mut out);
    append(&mut old, 5, &mut out);
    new.become_follower(&state(TWO, 1, 1, &[]), &mut out);
    let asked = new.fetch_position().unwrap();
    let batches = [span(0, 5, 1)];
    let answer = FetchAnswer {
        error: None,
        high_watermark: Offset(0),
        log_start: Offset(0),
        diverging: None,
        batches: &batches,
    };
    assert_eq!(new.fetch_answer(&asked, &answer, &mut out), Verdict::Proceed { batches: 1 });
    new.appended(&at(&table, 0), 0, Offset(5), &mut out);
    // Epoch 2 leads for a moment and appends nothing; then the other side leads epoch 3.
    old.become_leader(&at(&table, 0), &state(ME, 2, 2, &[ME, TWO]), &mut out);
    new.become_leader(&at(&table, 0), &PartitionState { leader: ME, ..state(ME, 3, 3, &[ME, TWO]) }, &mut out);
    old.become_follower(&state(TWO, 3, 3, &[]), &mut out);
    let asked = old.fetch_position().unwrap();
    assert_eq!(asked.last_epoch, LeaderEpoch(2));
    let request = FollowerFetch {
        id: TWO,
        broker_epoch: BrokerEpoch(10),
        leader_epoch: LeaderEpoch(3),
        last_epoch: asked.last_epoch,
        offset: asked.offset,
        log_start: Offset(0),
    };
    let Serve::Diverging(end) = new.follower_fetch(&at(&table, 0), &request, &mut out).unwrap() else {
        panic!("epoch 2 is unknown to the new leader");
    };
    let answer = FetchAnswer { diverging: Some(end), batches: &[], ..answer };
    old.fetch_answer(&asked, &answer, &mut out);
    let next = old.fetch_position().unwrap();
    assert_eq!((next.offset, next.last_epoch), (Offset(5), LeaderEpoch(1)));
}

#[test]
fn a_follower_far_behind_starts_anew_at_the_leaders_log_start() {
    let (mut core, mut out) = (replica(), Vec::new());
    core.become_follower(&state(TWO, 1, 1, &[]), &mut out);
    let asked = core.fetch_position().unwrap();
    let refusal = FetchAnswer {
        error: Some(ResponseError::OffsetOutOfRange),
        high_watermark: Offset::NONE,
        log_start: Offset::NONE,
        diverging: None,
        batches: &[],
    };
    assert_eq!(core.fetch_answer(&asked, &refusal, &mut out), Verdict::OutOfRange);
    assert!(core.reset_to_leader(&asked, Offset(100), Offset(200), &mut out));
    // As long as the old log may come back, nothing is asked for from the new one's end.
    assert_eq!((core.fetch_position(), core.high_watermark()), (None, Offset(100)));
    core.started_anew(core.log().generation());
    assert_eq!(core.fetch_position().unwrap().offset, Offset(100));
    // The leader's log start cuts through the batch 95..105, which comes whole.
    let asked = core.fetch_position().unwrap();
    let batches = [span(95, 105, 1)];
    let answer = FetchAnswer {
        error: None,
        high_watermark: Offset(105),
        log_start: Offset(100),
        diverging: None,
        batches: &batches,
    };
    assert_eq!(core.fetch_answer(&asked, &answer, &mut out), Verdict::Proceed { batches: 1 });
    assert_eq!((core.log().log_start(), core.log().log_end()), (Offset(95), Offset(105)));
}

#[test]
fn a_batch_of_an_epoch_that_the_follower_has_not_heard_of_is_left_alone() {
    let (mut core, mut out) = (replica(), Vec::new());
    core.become_follower(&state(TWO, 1, 1, &[]), &mut out);
    let asked = core.fetch_position().unwrap();
    let batches = [span(0, 3, 1), span(3, 4, 2)];
    let answer = FetchAnswer {
        error: None,
        high_watermark: Offset(4),
        log_start: Offset(0),
        diverging: None,
        batches: &batches,
    };
    assert_eq!(core.fetch_answer(&asked, &answer, &mut out), Verdict::Proceed { batches: 1 });
    assert_eq!(core.fetch_position(), None, "the batch is not in the page cache yet");
    core.appended(&at(&brokers(), 0), core.log().generation(), Offset(3), &mut out);
    assert_eq!((core.fetch_position().unwrap().offset, core.high_watermark()), (Offset(3), Offset(3)));
}

#[test]
fn a_retry_is_answered_with_its_old_offsets_and_a_gap_is_refused() {
    let (mut core, mut out) = (leading(&[ME, TWO]), Vec::new());
    let sequenced = |first: i32, count: i32| ProducerBatch {
        producer: ProducerId(9),
        epoch: 0,
        first_sequence: first,
        last_sequence: first + count - 1,
        ..plain(i64::from(count))
    };
    append(&mut core, 3, &mut out);
    admit(&mut core, Acks::All, &sequenced(0, 2));
    let retried = core.append_as_leader(Acks::All, &sequenced(0, 2));
    assert_eq!(retried, Ok(Admission::Duplicate { base: Offset(3), next: Offset(5) }));
    let gap = core.append_as_leader(Acks::All, &sequenced(7, 2));
    assert_eq!(gap, Err(ResponseError::OutOfOrderSequenceNumber));
    assert_eq!(core.log().log_end(), Offset(5));
}

#[test]
fn a_follower_keeps_up_once_nothing_committed_is_missing_and_an_empty_answer_changes_nothing() {
    let (mut core, mut out) = (replica(), Vec::new());
    core.become_follower(&state(TWO, 1, 1, &[]), &mut out);
    assert!(!core.keeps_up(), "nothing is known yet");
    let answer = |high_watermark, batches: &[BatchSpan], core: &mut ReplicaCore| {
        let (high_watermark, log_start) = (Offset(high_watermark), Offset(0));
        let answer = FetchAnswer { error: None, high_watermark, log_start, diverging: None, batches };
        let asked = core.fetch_position().unwrap();
        core.fetch_answer(&asked, &answer, &mut Vec::new());
        core.appended(&at(&brokers(), 0), core.log().generation(), core.log().log_end(), &mut Vec::new());
    };
    answer(8, &[], &mut core);
    assert!(!core.keeps_up(), "eight are missing");
    answer(8, &[span(0, 5, 1)], &mut core);
    assert!(!core.keeps_up(), "three are missing");
    answer(8, &[span(5, 10, 1)], &mut core);
    assert!(core.keeps_up());
    answer(12, &[], &mut core);
    assert!(core.keeps_up(), "an answer that was held back brings nothing");
    answer(15, &[span(10, 12, 1)], &mut core);
    assert!(!core.keeps_up());
    answer(15, &[span(12, 15, 1)], &mut core);
    core.become_follower(&state(THREE, 2, 2, &[]), &mut out);
    assert!(!core.keeps_up(), "another leader may have more");
}
