//! One partition's queue against a log that keeps Kafka's rules, through any order of sends, losses, refusals and retries.

use super::batch::{Callback, Identity, ORDINAL_SPAN, Outcome, ProducerBatch};
use super::queue::{Judged, PartitionQueue, Readiness, Rules};
use super::record::Record;
use super::verdict::Answer;
use crate::base::bugs::{Bug, plant};
use crate::base::random::Stream;
use crate::base::time::NANOS_PER_MS;
use crate::base::{LeaderEpoch, Now, Offset, ProducerId};
use crate::client::config::Acks;
use crate::client::testing::Partition;
use crate::log::batch::BatchView;
use bytes::Bytes;
use kafka_protocol::ResponseError;
use proptest::prelude::*;
use std::collections::VecDeque;

fn refused(error: ResponseError) -> Answer {
    Answer { error: Some(error), lost: false, ..Answer::lost(false) }
}

/// One step of a story; what cannot be done now is passed over.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The application sends a record.
    Record,
    /// The sender takes what is ready to the wire.
    Send,
    /// The broker takes the oldest request, and its answer arrives.
    Answer,
    /// The broker takes the oldest request and refuses it.
    Refuse(ResponseError),
    /// The broker takes this many requests, then the connection is lost with all answers.
    Lose(usize),
    /// The connection is lost, and the broker has yet to come to its requests.
    Strand,
    /// The broker comes to the oldest request of a connection that was lost.
    Late,
    /// Time passes.
    Wait(u64),
}

struct Stage {
    queue: PartitionQueue,
    rules: Rules,
    identity: Identity,
    now: Now,
    records: u64,
    wire: Vec<(u64, Bytes)>,
    stranded: VecDeque<Bytes>,
    log: Partition,
    done: Vec<(ProducerBatch, Outcome)>,
}

impl Stage {
    fn new() -> Self {
        let rules = Rules {
            acks: Acks::All,
            idempotent: true,
            batch_size: 1,
            linger_ns: 0,
            delivery_timeout_ns: 5_000 * NANOS_PER_MS,
            retries: u32::MAX,
        };
        Self {
            queue: PartitionQueue::default(),
            rules,
            identity: Identity { id: ProducerId(7), epoch: 0 },
            now: Now::default(),
            records: 0,
            wire: Vec::new(),
            stranded: VecDeque::new(),
            log: Partition::new(1),
            done: Vec::new(),
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Record => {
                self.records += 1;
                let value = Some(Bytes::from(format!("{:06}", self.records)));
                let mut callback: Option<Callback> = Some(Box::new(|_| ()));
                let mut batch = ProducerBatch::new(self.records * ORDINAL_SPAN, self.now.mono_ns, 100);
                assert!(batch.try_append(&Record { value, ..Record::default() }, 0, &mut callback, 1));
                self.queue.push(batch);
            }
            Step::Send => self.send(),
            Step::Answer => self.serve(None),
            Step::Refuse(error) => self.serve(Some(error)),
            Step::Lose(taken) => {
                for (i, (ordinal, bytes)) in std::mem::take(&mut self.wire).into_iter().enumerate() {
                    if i < taken {
                        let _ = self.log.append(BatchView::parse(&bytes).unwrap());
                    }
                    self.tell(ordinal, &Answer::lost(false));
                }
            }
            Step::Strand => {
                for (ordinal, bytes) in std::mem::take(&mut self.wire) {
                    self.stranded.push_back(bytes);
                    self.tell(ordinal, &Answer::lost(true));
                }
            }
            Step::Late => {
                if let Some(bytes) = self.stranded.pop_front() {
                    let _ = self.log.append(BatchView::parse(&bytes).unwrap());
                }
            }
            Step::Wait(ms) => self.now.mono_ns += ms * NANOS_PER_MS,
        }
        self.tend();
    }
    fn send(&mut self) {
        let (identity, leader) = (Some(self.identity), LeaderEpoch(0));
        while self.wire.len() < 5
            && self.queue.readiness(self.now, identity, leader, true, &self.rules) == Readiness::Now
        {
            let batch = self.queue.send(self.now, identity, leader, &self.rules);
            self.wire.push((batch.ordinal, batch.bytes()));
        }
    }
    fn serve(&mut self, refusal: Option<ResponseError>) {
        if self.wire.is_empty() {
            return;
        }
        let (ordinal, bytes) = self.wire.remove(0);
        let result = match refusal {
            Some(error) => Err(error),
            None => self.log.append(BatchView::parse(&bytes).unwrap()),
        };
        let base_offset = Offset(result.unwrap_or(-1));
        let answer = Answer {
            error: result.err(),
            base_offset,
            log_append_time: None,
            log_start_offset: Offset::ZERO,
            lost: false,
        };
        self.tell(ordinal, &answer);
    }
    fn tell(&mut self, ordinal: u64, answer: &Answer) {
        match self.queue.answered(ordinal, answer, self.now, &self.rules, |_| 100) {
            Judged::Done(batch, outcome) => self.done.push((batch, outcome)),
            Judged::Split(_) => panic!("batches of one record are not split"),
            Judged::Again | Judged::Forgotten => {}
        }
    }
    /// What the accumulator does at each turn.
    fn tend(&mut self) {
        self.queue.expire(self.now, &self.rules, &mut self.done);
        self.queue.resolve();
        if self.queue.bump_is_safe() {
            self.identity.epoch += 1;
            self.queue.renumber(self.identity);
        }
    }
    /// A quiet world: everything that still can be delivered is.
    fn settle(&mut self) {
        for _ in 0..2_000 {
            self.step(Step::Wait(10));
            self.step(Step::Send);
            self.step(Step::Answer);
            self.step(Step::Late);
        }
    }

    /// Ordinals in the log, in order.
    fn logged(&self) -> Vec<u64> {
        let value = |bytes: &Bytes| {
            let batch = BatchView::parse(bytes).unwrap();
            let record = batch.records().unwrap().next().unwrap().unwrap();
            std::str::from_utf8(record.value.unwrap()).unwrap().parse().unwrap()
        };
        self.log.batches.iter().map(value).collect()
    }
    fn judge(&self) -> Result<(), TestCaseError> {
        let logged = self.logged();
        prop_assert!(logged.is_sorted_by(|a, b| a < b), "each once and in order: {:?}", logged);
        prop_assert_eq!(self.done.len() as u64, self.records, "every batch has an outcome");
        for (batch, outcome) in &self.done {
            let record = batch.ordinal / ORDINAL_SPAN;
            let at = logged.iter().position(|r| *r == record).map(|at| at as i64);
            match outcome {
                Outcome::Acked { base_offset, .. } => prop_assert_eq!(at, Some(base_offset.0), "record {}", record),
                Outcome::Failed(e) if e.definite => prop_assert_eq!(at, None, "record {}", record),
                Outcome::Failed(_) => {}
            }
        }
        Ok(())
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Record),
        6 => Just(Step::Send),
        8 => Just(Step::Answer),
        1 => Just(Step::Refuse(ResponseError::NotEnoughReplicas)),
        1 => Just(Step::Refuse(ResponseError::InvalidRecord)),
        1 => Just(Step::Refuse(ResponseError::MessageTooLarge)),
        2 => (0usize..5).prop_map(Step::Lose),
        1 => Just(Step::Strand),
        2 => Just(Step::Late),
        3 => (1u64..300).prop_map(Step::Wait),
        1 => Just(Step::Wait(2_600)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn order_and_uniqueness_hold_whatever_is_lost_or_refused(steps in prop::collection::vec(step(), 1..120)) {
        let mut stage = Stage::new();
        steps.into_iter().for_each(|step| stage.step(step));
        stage.settle();
        stage.judge()?;
    }
}

#[test]
fn an_unknown_outcome_is_settled_before_the_batches_behind_a_failed_one_are_renumbered() {
    let mut stage = Stage::new();
    let play = |stage: &mut Stage, steps: &[Step]| steps.iter().for_each(|s| stage.step(*s));
    play(&mut stage, &[Step::Record, Step::Send, Step::Answer]);
    play(&mut stage, &[Step::Record, Step::Record, Step::Send]);
    // The second record fails for good; of the third its leader does not say whether it has appended it.
    let unknown = Step::Refuse(ResponseError::NotLeaderOrFollower);
    play(&mut stage, &[Step::Refuse(ResponseError::InvalidRecord), unknown]);
    stage.settle();
    assert_eq!(stage.logged(), [1, 3]);
    assert_eq!(stage.identity.epoch, 1);
}

#[test]
fn a_batch_that_may_yet_be_appended_under_its_old_epoch_is_not_written_under_a_new_one() {
    let mut stage = Stage::new();
    let play = |stage: &mut Stage, steps: &[Step]| steps.iter().for_each(|s| stage.step(*s));
    play(&mut stage, &[Step::Record, Step::Send, Step::Answer]);
    // Two requests are stranded. The first batch is given up; the second is sent again and overtakes both.
    play(&mut stage, &[Step::Record, Step::Wait(4_000), Step::Record, Step::Send, Step::Strand, Step::Wait(1_100)]);
    play(&mut stage, &[Step::Send, Step::Answer, Step::Late, Step::Late, Step::Record]);
    stage.settle();
    assert_eq!(stage.logged(), [1, 2, 3, 4]);
    stage.judge().expect("each once and in order");
}

#[test]
fn no_batch_overtakes_one_that_is_sent_again_to_a_broker_that_has_lost_its_state() {
    let mut stage = Stage::new();
    let play = |stage: &mut Stage, steps: &[Step]| steps.iter().for_each(|s| stage.step(*s));
    play(&mut stage, &[Step::Record, Step::Send, Step::Answer]);
    let refused = Step::Refuse(ResponseError::NotEnoughReplicas);
    play(&mut stage, &[Step::Record, Step::Send, refused, Step::Wait(100), Step::Send]);
    // The second record is on its way for the second time, the third for the first time if it may leave.
    play(&mut stage, &[Step::Record, Step::Send]);
    stage.log = Partition::new(1);
    play(&mut stage, &[refused, Step::Answer]);
    stage.settle();
    assert_eq!(stage.logged(), [2, 3]);
}

#[test]
fn a_batch_that_is_too_large_is_split_unless_it_may_be_in_the_log() {
    let refused_after = |before: Answer| {
        let mut stage = Stage::new();
        let mut batch = ProducerBatch::new(ORDINAL_SPAN, 0, 100);
        for value in ["1", "2"] {
            let record = Record { value: Some(value.into()), ..Record::default() };
            let mut callback: Option<Callback> = Some(Box::new(|_| ()));
            assert!(batch.try_append(&record, 0, &mut callback, 1_000));
        }
        stage.queue.push(batch);
        stage.step(Step::Send);
        stage.tell(ORDINAL_SPAN, &before);
        stage.step(Step::Wait(100));
        stage.step(Step::Send);
        let refusal = refused(ResponseError::MessageTooLarge);
        stage.queue.answered(ORDINAL_SPAN, &refusal, stage.now, &stage.rules, |_| 100)
    };
    assert!(matches!(refused_after(refused(ResponseError::NotEnoughReplicas)), Judged::Split(_)));
    let Judged::Done(_, Outcome::Failed(error)) = refused_after(Answer::lost(true)) else { panic!("it is over") };
    assert_eq!((error.error, error.definite), (ResponseError::MessageTooLarge, false));
}

/// Steps as [`step`] draws them, from a seed.
fn drawn(seed: u64) -> Vec<Step> {
    let mut dice = Stream::new(seed, "producer queue");
    let mut one = || match dice.below(31) {
        0..6 => Step::Record,
        6..12 => Step::Send,
        12..20 => Step::Answer,
        20 => Step::Refuse(ResponseError::NotEnoughReplicas),
        21 => Step::Refuse(ResponseError::InvalidRecord),
        22..24 => Step::Lose(dice.below(5) as usize),
        24..27 => Step::Wait(dice.between(1, 300)),
        27 => Step::Strand,
        28..30 => Step::Late,
        _ => Step::Wait(2_600),
    };
    (0..120).map(|_| one()).collect()
}

/// The first of so many stories in which `bug` breaks what [`Stage::judge`] asks for.
fn first_broken(bug: Option<Bug>, seeds: u64) -> Option<u64> {
    plant(bug.as_slice());
    let broken = (0..seeds).find(|seed| {
        let mut stage = Stage::new();
        drawn(*seed).into_iter().for_each(|step| stage.step(step));
        stage.settle();
        stage.judge().is_err()
    });
    plant(&[]);
    broken
}

#[test]
fn batches_that_are_numbered_anew_in_another_order_are_caught() {
    assert_eq!(first_broken(None, 100), None);
    let found = first_broken(Some(Bug::SequenceReassignedOutOfOrder), 100);
    assert!(found.is_some_and(|seed| seed < 50), "{found:?}");
}
