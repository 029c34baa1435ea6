use kafka_protocol::ResponseError::{InvalidProducerEpoch, OutOfOrderSequenceNumber};
use proptest::prelude::*;

use super::*;
use crate::log::batch::increment_sequence;

fn batch(producer: i64, epoch: i16, first: i32, count: i32) -> ProducerBatch {
    ProducerBatch {
        producer: ProducerId(producer),
        epoch,
        first_sequence: first,
        last_sequence: increment_sequence(first, count - 1),
        last_offset_delta: count - 1,
        timestamp: 1_000,
        control: false,
    }
}

#[test]
fn a_retry_of_the_last_five_batches_hears_its_old_offsets() {
    let mut states = ProducerStates::new();
    for i in 0..6 {
        states.record(&batch(1, 0, i * 2, 2), Offset(100 + i64::from(i) * 2));
    }
    assert_eq!(states.check(&batch(1, 0, 0, 2)), Err(OutOfOrderSequenceNumber), "the sixth-last is forgotten");
    let retried = Verdict::Duplicate { base: Offset(102), last: Offset(103), timestamp: 1_000 };
    assert_eq!(states.check(&batch(1, 0, 2, 2)), Ok(retried));
    assert_eq!(states.check(&batch(1, 0, 2, 1)), Err(OutOfOrderSequenceNumber), "another range is no retry");
    assert_eq!(states.check(&batch(1, 0, 12, 1)), Ok(Verdict::New));
    assert_eq!(states.check(&batch(1, 0, 13, 1)), Err(OutOfOrderSequenceNumber));
}

#[test]
fn a_new_epoch_starts_at_zero_and_fences_the_old_one() {
    let mut states = ProducerStates::new();
    states.record(&batch(1, 3, 0, 5), Offset(0));
    assert_eq!(states.check(&batch(1, 4, 5, 1)), Err(OutOfOrderSequenceNumber));
    assert_eq!(states.check(&batch(1, 4, 0, 1)), Ok(Verdict::New));
    states.record(&batch(1, 4, 0, 1), Offset(5));
    assert_eq!(states.check(&batch(1, 3, 5, 1)), Err(InvalidProducerEpoch));
}

#[test]
fn a_producer_without_state_may_start_anywhere() {
    assert_eq!(ProducerStates::new().check(&batch(7, 2, 4711, 3)), Ok(Verdict::New));
}

#[test]
fn sequences_wrap_to_zero() {
    let mut states = ProducerStates::new();
    states.record(&batch(1, 0, i32::MAX - 1, 2), Offset(0));
    assert_eq!(states.check(&batch(1, 0, 0, 1)), Ok(Verdict::New));
    states.record(&batch(1, 0, 0, 1), Offset(2));
    let across = batch(2, 0, i32::MAX, 3);
    assert_eq!(across.last_sequence, 1);
    states.record(&across, Offset(3));
    assert_eq!(states.check(&batch(2, 0, 2, 1)), Ok(Verdict::New));
}

#[test]
fn an_idle_producer_is_forgotten() {
    let mut states = ProducerStates::new();
    states.record(&batch(1, 0, 0, 1), Offset(0));
    assert_eq!(states.expire(1_999, 1_000), 0);
    assert_eq!(states.expire(2_000, 1_000), 1);
    assert_eq!(states.check(&batch(1, 0, 99, 1)), Ok(Verdict::New));
}

#[test]
fn a_cut_deeper_than_the_journal_says_so() {
    let mut states = ProducerStates::new();
    for i in 0..UNDO_LIMIT as i32 + 10 {
        states.record(&batch(1, 0, i, 1), Offset(i64::from(i)));
    }
    assert!(states.clone().truncate(Offset(10)));
    assert!(!states.truncate(Offset(9)));
}

/// The model: the whole history, replayed for each question.
fn replayed(history: &[(ProducerBatch, Offset)]) -> ProducerStates {
    let mut states = ProducerStates::new();
    for (batch, base) in history {
        states.record(batch, *base);
    }
    states
}

#[derive(Clone, Debug)]
enum Step {
    Append { producer: i64, epoch: i16, first: i32, count: i32, control: bool },
    Next { producer: i64, count: i32 },
    Truncate { back: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        1 => (0_i64..3, 0_i16..3, 0_i32..4, 1_i32..4, any::<bool>())
            .prop_map(|(producer, epoch, first, count, control)| Step::Append { producer, epoch, first, count, control }),
        4 => (0_i64..3, 1_i32..4).prop_map(|(producer, count)| Step::Next { producer, count }),
        1 => (0_usize..12).prop_map(|back| Step::Truncate { back }),
    ];
    prop::collection::vec(step, 1..60)
}

/// What these steps leave in a log.
fn history(steps: &[Step]) -> Vec<(ProducerBatch, Offset)> {
    let (mut states, mut history) = (ProducerStates::new(), Vec::new());
    for step in steps {
        let new = match *step {
            Step::Append { producer, epoch, first, count, control } => {
                // Epochs fall in no log: its leader refuses that.
                let epoch = states.last(ProducerId(producer)).map_or(epoch, |(known, _)| known.max(epoch));
                ProducerBatch { control, ..batch(producer, epoch, first, count) }
            }
            Step::Next { producer, count } => {
                let (epoch, last) = states.last(ProducerId(producer)).unwrap_or((0, -1));
                batch(producer, epoch, last + 1, count)
            }
            Step::Truncate { back } => {
                history.truncate(history.len().saturating_sub(back));
                states = replayed(&history);
                continue;
            }
        };
        let end =
            history.last().map_or(Offset::ZERO, |(b, base): &(ProducerBatch, Offset)| b.last_offset(*base).next());
        states.record(&new, end);
        history.push((new, end));
    }
    history
}

#[test]
fn a_snapshot_has_the_bytes_that_kafka_writes() {
    let mut states = ProducerStates::new();
    states.record(&batch(7, 3, 10, 5), Offset(100));
    let file = states.to_snapshot();
    let body = [
        &[0, 0, 0, 1][..],
        &[0, 0, 0, 0, 0, 0, 0, 7],
        &[0, 3],
        &[0, 0, 0, 14],
        &[0, 0, 0, 0, 0, 0, 0, 104],
        &[0, 0, 0, 4],
        &[0, 0, 0, 0, 0, 0, 3, 232],
        &[0xff; 4],
        &[0xff; 8],
    ]
    .concat();
    assert_eq!(file[..2], [0, 1]);
    assert_eq!(file[2..6], crc32c::crc32c(&body).to_be_bytes());
    assert_eq!(file[6..], body);
    let back = ProducerStates::from_snapshot(&file, Offset(105)).unwrap();
    let retried = Verdict::Duplicate { base: Offset(100), last: Offset(104), timestamp: 1_000 };
    assert_eq!(back.check(&batch(7, 3, 10, 5)), Ok(retried), "the first sequence follows from the offsets");
    assert!(ProducerStates::from_snapshot(&file, Offset(104)).is_err(), "it speaks of what cannot be there");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Truncation by the journal gives what a replay of the shortened log gives.
    #[test]
    fn a_truncation_equals_a_replay_of_what_is_left(steps in steps()) {
        let mut states = ProducerStates::new();
        let mut history: Vec<(ProducerBatch, Offset)> = Vec::new();
        let mut end = Offset::ZERO;
        for step in steps {
            let new = match step {
                Step::Append { producer, epoch, first, count, control } =>
                    ProducerBatch { control, ..batch(producer, epoch, first, count) },
                Step::Next { producer, count } => {
                    let (epoch, last) = states.last(ProducerId(producer)).unwrap_or((0, -1));
                    batch(producer, epoch, if last < 0 { 0 } else { last + 1 }, count)
                }
                Step::Truncate { back } => {
                    history.truncate(history.len().saturating_sub(back));
                    end = history.last().map_or(Offset::ZERO, |(b, base)| b.last_offset(*base).next());
                    prop_assert!(states.truncate(end));
                    prop_assert_eq!(&states, &replayed(&history));
                    continue;
                }
            };
            states.record(&new, end);
            history.push((new, end));
            end = new.last_offset(end).next();
        }
        prop_assert_eq!(&states, &replayed(&history));
    }

    /// A snapshot and the batches that are left of the log say of every producer what the whole log says, wherever
    /// the snapshot was taken and however much below it is gone.
    #[test]
    fn a_snapshot_and_the_rest_of_the_log_know_what_the_whole_log_knew(
        steps in steps(), taken in 0_usize..60, gone in 0_usize..60,
    ) {
        let history = history(&steps);
        let taken = taken.min(history.len());
        let at = history[..taken].last().map_or(Offset::ZERO, |(b, base)| b.last_offset(*base).next());
        let file = replayed(&history).as_of(at).expect("the journal is long enough").to_snapshot();
        prop_assert_eq!(&file, &replayed(&history[..taken]).to_snapshot());
        let mut states = replayed(&history[gone.min(taken)..]);
        states.adopt(&ProducerStates::from_snapshot(&file, at).unwrap());
        prop_assert_eq!(states.to_snapshot(), replayed(&history).to_snapshot());
    }

    /// No damage to a snapshot goes unnoticed.
    #[test]
    fn a_damaged_snapshot_is_refused(steps in steps(), at in any::<prop::sample::Index>(), bit in 0_u32..8) {
        let history = history(&steps);
        let end = history.last().map_or(Offset::ZERO, |(b, base)| b.last_offset(*base).next());
        let mut file = replayed(&history).to_snapshot();
        prop_assert!(ProducerStates::from_snapshot(&file[..at.index(file.len())], end).is_err());
        let place = at.index(file.len());
        file[place] ^= 1 << bit;
        prop_assert!(ProducerStates::from_snapshot(&file, end).is_err());
    }

    /// Every one of the last five batches of a producer's epoch is recognized, whatever happens in between.
    #[test]
    fn the_window_holds_the_last_five(counts in prop::collection::vec((0_i64..3, 1_i32..5), 1..40)) {
        let mut states = ProducerStates::new();
        let mut sent: BTreeMap<i64, Vec<(ProducerBatch, Offset)>> = BTreeMap::new();
        let mut end = Offset::ZERO;
        for (producer, count) in counts {
            let list = sent.entry(producer).or_default();
            let first = list.last().map_or(i32::MAX - 3, |(b, _)| increment_sequence(b.last_sequence, 1));
            let next = batch(producer, 0, first, count);
            prop_assert_eq!(states.check(&next), Ok(Verdict::New));
            states.record(&next, end);
            list.push((next, end));
            end = end + i64::from(count);
            for (age, (old, base)) in list.iter().rev().enumerate() {
                let verdict = states.check(old);
                if age < BATCHES_TO_RETAIN {
                    let recognized = matches!(verdict, Ok(Verdict::Duplicate { base: b, .. }) if b == *base);
                    prop_assert!(recognized, "{:?}", verdict);
                } else {
                    prop_assert_eq!(verdict, Err(OutOfOrderSequenceNumber));
                }
            }
        }
    }
}
