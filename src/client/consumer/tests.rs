//! Situations of a consumer, against a cluster that misbehaves on cue.

use super::{ConsumedRecord, Consumer, ConsumerError, Truncation};
use crate::base::random::Stream;
use crate::base::{Offset, TopicPartition};
use crate::client::config::ConsumerConfig;
use crate::client::testing::{self, Fault, Shared};
use crate::io::sim::{WorldConfig, run};
use crate::io::{clock, task, time};
use crate::log::batch::{BatchBuilder, BatchView, Stamp};
use std::time::Duration;

const TOPIC: &str = "UserEvents";

fn tp(partition: i32) -> TopicPartition {
    TopicPartition::new(TOPIC, partition)
}

fn consumer(settings: &[(&str, &str)]) -> Consumer {
    let mut cfg = ConsumerConfig::default();
    cfg.set("bootstrap.servers", "node1:9092,node2:9092").unwrap();
    for (key, value) in settings {
        cfg.set(key, value).unwrap();
    }
    Consumer::new(cfg).unwrap()
}

fn append(cluster: &Shared, partition: i32, values: impl IntoIterator<Item = String>, control: bool) {
    let mut batch = BatchBuilder::new();
    for value in values {
        batch.append(0, None, Some(value.as_bytes()), &[]);
    }
    let bytes = batch.build(Stamp { control, ..Stamp::default() });
    let mut cluster = cluster.lock();
    let partition = &mut cluster.topics.get_mut(TOPIC).unwrap()[partition as usize];
    partition.append(BatchView::parse(&bytes).unwrap()).unwrap();
}

fn play<F, Fut>(seed: u64, story: F)
where
    F: FnOnce(Shared) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let over = run(seed, WorldConfig::default(), move |world| async move {
        let (cluster, _hosts) = testing::start(&world, 2, TOPIC, 3).await;
        story(cluster).await;
    });
    over.outcome.unwrap();
}

/// Polls until `count` records have come.
async fn consume(consumer: &mut Consumer, count: usize) -> Vec<ConsumedRecord> {
    let mut records = Vec::new();
    let deadline = clock::now().after_ms(120_000);
    while records.len() < count {
        assert!(clock::now().mono_ns < deadline, "only {} of {count} came", records.len());
        records.extend(consumer.poll(Duration::from_secs(1)).await.unwrap());
    }
    records
}

fn numbers(range: std::ops::Range<i32>) -> impl Iterator<Item = String> {
    range.map(|i| i.to_string())
}

#[test]
fn from_the_earliest_offset_every_record_comes_once_and_in_order() {
    play(1, |cluster| async move {
        for batch in 0..30 {
            append(&cluster, batch % 3, numbers(batch * 100..batch * 100 + 100), false);
        }
        let mut consumer = consumer(&[("auto.offset.reset", "earliest"), ("max.poll.records", "70")]);
        consumer.assign((0..3).map(tp));
        let records = consume(&mut consumer, 3000).await;
        for partition in 0..3 {
            let offsets = records.iter().filter(|r| r.tp == tp(partition)).map(|r| r.offset.0);
            assert!(offsets.eq(0..1000), "partition {partition}");
            assert_eq!(consumer.position(&tp(partition)), Some(Offset(1000)));
        }
        assert!(consumer.poll(Duration::from_secs(2)).await.unwrap().is_empty());
    });
}

#[test]
fn from_the_latest_offset_only_new_records_come() {
    play(2, |cluster| async move {
        append(&cluster, 0, numbers(0..10), false);
        let mut consumer = consumer(&[]);
        consumer.assign([tp(0)]);
        assert!(consumer.poll(Duration::from_secs(1)).await.unwrap().is_empty());
        append(&cluster, 0, numbers(10..11), false);
        assert_eq!(consume(&mut consumer, 1).await[0].offset, Offset(10));
    });
}

#[test]
fn control_batches_are_passed_over() {
    play(3, |cluster| async move {
        append(&cluster, 0, numbers(0..1), false);
        append(&cluster, 0, numbers(1..2), true);
        append(&cluster, 0, numbers(2..3), false);
        let mut consumer = consumer(&[("auto.offset.reset", "earliest")]);
        consumer.assign([tp(0)]);
        let offsets: Vec<i64> = consume(&mut consumer, 2).await.iter().map(|r| r.offset.0).collect();
        assert_eq!(offsets, [0, 2]);
        append(&cluster, 0, numbers(3..4), true);
        assert!(consumer.poll(Duration::from_secs(3)).await.unwrap().is_empty());
        assert_eq!(consumer.position(&tp(0)), Some(Offset(4)));
    });
}

#[test]
fn a_seek_goes_where_it_says_even_with_a_fetch_on_its_way() {
    play(4, |cluster| async move {
        append(&cluster, 0, numbers(0..100), false);
        let mut consumer = consumer(&[("auto.offset.reset", "earliest"), ("max.poll.records", "10")]);
        consumer.assign([tp(0)]);
        assert_eq!(consume(&mut consumer, 10).await.last().unwrap().offset, Offset(9));
        consumer.seek(&tp(0), Offset(50)).unwrap();
        assert_eq!(consume(&mut consumer, 10).await[0].offset, Offset(50));
        consumer.seek_to_beginning(&tp(0)).unwrap();
        assert_eq!(consume(&mut consumer, 10).await[0].offset, Offset(0));
        assert_eq!(consumer.seek(&tp(1), Offset(0)), Err(ConsumerError::NotAssigned(tp(1))));
    });
}

#[test]
fn below_the_log_start_the_reset_policy_decides() {
    play(5, |cluster| async move {
        append(&cluster, 0, numbers(0..10), false);
        append(&cluster, 0, numbers(10..20), false);
        cluster.lock().topics.get_mut(TOPIC).unwrap()[0].start = 10;
        let mut earliest = consumer(&[("auto.offset.reset", "earliest")]);
        earliest.assign([tp(0)]);
        earliest.seek(&tp(0), Offset(3)).unwrap();
        assert_eq!(consume(&mut earliest, 1).await[0].offset, Offset(10));
        let mut none = consumer(&[("auto.offset.reset", "none")]);
        none.assign([tp(0)]);
        let missing = |offset| Err(ConsumerError::OffsetOutOfRange { tp: tp(0), offset });
        assert_eq!(none.poll(Duration::from_secs(1)).await, missing(Offset::NONE));
        none.seek(&tp(0), Offset(3)).unwrap();
        assert_eq!(none.poll(Duration::from_secs(1)).await, missing(Offset(3)));
    });
}

#[test]
fn both_ends_of_the_log_can_be_asked_for() {
    play(6, |cluster| async move {
        append(&cluster, 0, numbers(0..10), false);
        append(&cluster, 1, numbers(0..5), false);
        cluster.lock().topics.get_mut(TOPIC).unwrap()[0].start = 4;
        let mut consumer = consumer(&[]);
        let partitions = [tp(0), tp(1)];
        assert_eq!(consumer.beginning_offsets(&partitions).await.unwrap(), [Offset(4), Offset(0)]);
        assert_eq!(consumer.end_offsets(&partitions).await.unwrap(), [Offset(10), Offset(5)]);
    });
}

#[test]
fn a_partition_with_nothing_new_does_not_hold_up_another_of_its_leader() {
    play(6, |cluster| async move {
        for value in numbers(0..40) {
            append(&cluster, 0, [value], false);
        }
        let settings = [("auto.offset.reset", "earliest"), ("max.partition.fetch.bytes", "1")];
        let mut consumer = consumer(&settings);
        consumer.assign((0..3).map(tp));
        let began = clock::now().mono_ns;
        assert_eq!(consume(&mut consumer, 40).await.len(), 40);
        let took_ms = (clock::now().mono_ns - began) / 1_000_000;
        assert!(took_ms < 5_000, "each of 40 fetches waited for the others' records: {took_ms} ms");
    });
}

#[test]
fn a_paused_partition_waits_and_holds_nobody_up() {
    play(8, |cluster| async move {
        for partition in 0..3 {
            append(&cluster, partition, numbers(0..20), false);
        }
        let mut consumer = consumer(&[("auto.offset.reset", "earliest"), ("max.poll.records", "5")]);
        consumer.assign((0..3).map(tp));
        // Something of every partition has been fetched, and perhaps of the paused one too.
        consume(&mut consumer, 5).await;
        let before = consumer.position(&tp(0)).unwrap_or(Offset::ZERO);
        consumer.pause(&[tp(0)]);
        let rest = 60 - 20 - if before == Offset::ZERO { 5 } else { 0 };
        assert!(consume(&mut consumer, rest).await.iter().all(|r| r.tp != tp(0)));
        append(&cluster, 1, numbers(20..21), false);
        assert_eq!(consume(&mut consumer, 1).await[0].tp, tp(1));
        assert!(consumer.poll(Duration::from_secs(2)).await.unwrap().is_empty());
        consumer.resume(&[tp(0)]);
        let offsets: Vec<i64> =
            consume(&mut consumer, 20 - before.0 as usize).await.iter().map(|r| r.offset.0).collect();
        assert!(offsets.into_iter().eq(before.0..20));
    });
}

#[test]
fn lag_is_what_the_leader_has_and_the_caller_has_not() {
    play(9, |cluster| async move {
        append(&cluster, 0, numbers(0..20), false);
        let mut consumer = consumer(&[("auto.offset.reset", "earliest"), ("max.poll.records", "5")]);
        consumer.assign([tp(0)]);
        assert_eq!(consumer.lag(&tp(0)), None);
        consume(&mut consumer, 5).await;
        assert_eq!(consumer.lag(&tp(0)), Some(15));
        consume(&mut consumer, 15).await;
        assert_eq!(consumer.lag(&tp(0)), Some(0));
        consumer.seek(&tp(0), Offset(7)).unwrap();
        assert_eq!(consumer.lag(&tp(0)), Some(13));
    });
}

#[test]
fn without_a_group_nothing_can_be_committed() {
    play(10, |_| async move {
        let mut consumer = consumer(&[]);
        let offsets = [(tp(0), crate::client::OffsetAndMetadata::new(Offset(1)))].into();
        assert_eq!(consumer.commit_sync(&offsets).await, Err(crate::client::CommitError::NoGroup));
        assert_eq!(consumer.committed(&[tp(0)]).await, Err(crate::client::CommitError::NoGroup));
        assert_eq!(consumer.group_metadata(), None);
        consumer.close().await;
    });
}

#[test]
fn a_leader_that_falls_silent_is_left_after_request_timeout() {
    play(7, |cluster| async move {
        cluster.lock().script = [Fault::Silence].into();
        append(&cluster, 0, numbers(0..1), false);
        let mut consumer = consumer(&[("auto.offset.reset", "earliest"), ("request.timeout.ms", "5000")]);
        consumer.assign([tp(0)]);
        let began = clock::now().mono_ms();
        consume(&mut consumer, 1).await;
        let took_ms = clock::now().mono_ms() - began;
        assert!((5_000..6_500).contains(&took_ms), "{took_ms} ms");
    });
}

/// Whatever the brokers do: polls never skip and never go back.
#[test]
fn through_all_chaos_nothing_is_skipped_or_repeated() {
    for seed in 0..30 {
        play(seed, move |cluster| async move {
            cluster.lock().chaos = Some(Stream::new(seed, "chaos"));
            let writer = cluster.clone();
            let writing = task::spawn("writer", async move {
                for batch in 0..60 {
                    append(&writer, batch % 3, numbers(batch * 5..batch * 5 + 5), false);
                    time::sleep(Duration::from_millis(50)).await;
                }
            });
            let mut consumer = consumer(&[
                ("auto.offset.reset", "earliest"),
                ("request.timeout.ms", "2000"),
                ("max.poll.records", "7"),
            ]);
            consumer.assign((0..3).map(tp));
            let records = consume(&mut consumer, 300).await;
            for partition in 0..3 {
                let offsets: Vec<i64> = records.iter().filter(|r| r.tp == tp(partition)).map(|r| r.offset.0).collect();
                assert_eq!(offsets, (0..100).collect::<Vec<_>>(), "seed {seed}, partition {partition}");
            }
            drop(writing);
        });
    }
}

/// Ten records that were read, of which an unclean election gives up the last four, and five others in their place.
async fn truncated_below(cluster: &Shared, reset: &str) -> Consumer {
    for value in numbers(0..10) {
        append(cluster, 0, [value], false);
    }
    let mut consumer = consumer(&[("auto.offset.reset", "earliest")]);
    consumer.assign([tp(0)]);
    assert_eq!(consume(&mut consumer, 10).await.len(), 10);
    if reset == "none" {
        consumer = self::consumer(&[("auto.offset.reset", "none")]);
        consumer.assign([tp(0)]);
        consumer.seek(&tp(0), Offset(9)).unwrap();
        assert_eq!(consume(&mut consumer, 1).await[0].offset, Offset(9));
    }
    let next = testing::leader(cluster, &tp(0)).0 % 2 + 1;
    cluster.lock().topics.get_mut(TOPIC).unwrap()[0].lose(6, next);
    for value in numbers(100..105) {
        append(cluster, 0, [value], false);
    }
    consumer
}

#[test]
fn an_unclean_election_below_the_position_is_noticed_and_what_took_its_place_is_read() {
    play(20, |cluster| async move {
        let mut consumer = truncated_below(&cluster, "earliest").await;
        let records = consume(&mut consumer, 5).await;
        let read: Vec<_> = records.iter().map(|r| (r.offset.0, r.value.clone().unwrap())).collect();
        let expected: Vec<_> = (6..11).zip(numbers(100..105)).map(|(o, v)| (o, v.into())).collect();
        assert_eq!(read, expected, "from the first offset that may differ, not from where the position was");
        let told = Truncation { tp: tp(0), from: Offset(10), divergent: Some(Offset(6)) };
        assert_eq!(consumer.take_truncations(), [told]);
        assert!(consumer.take_truncations().is_empty());
    });
}

#[test]
fn without_a_reset_policy_the_application_is_told_of_a_truncation() {
    play(21, |cluster| async move {
        let mut consumer = truncated_below(&cluster, "none").await;
        let (mut told, deadline) = (None, clock::now().after_ms(60_000));
        while told.is_none() && clock::now().mono_ns < deadline {
            told = consumer.poll(Duration::from_secs(1)).await.err();
        }
        let truncated = ConsumerError::LogTruncation { tp: tp(0), offset: Offset(10), divergent: Some(Offset(6)) };
        assert_eq!(told, Some(truncated));
        assert_eq!(consumer.position(&tp(0)), Some(Offset(10)), "it stays until the application decides");
        consumer.seek(&tp(0), Offset(6)).unwrap();
        assert_eq!(consume(&mut consumer, 5).await.len(), 5);
    });
}

#[test]
fn a_new_leader_that_has_everything_is_read_on_from_and_is_asked_until_it_answers() {
    for error in [
        kafka_protocol::ResponseError::UnknownLeaderEpoch,
        kafka_protocol::ResponseError::FencedLeaderEpoch,
        kafka_protocol::ResponseError::OffsetNotAvailable,
    ] {
        play(22, move |cluster| async move {
            append(&cluster, 0, numbers(0..10), false);
            let mut consumer = consumer(&[("auto.offset.reset", "earliest")]);
            consumer.assign([tp(0)]);
            consume(&mut consumer, 10).await;
            let next = testing::leader(&cluster, &tp(0)).0 % 2 + 1;
            cluster.lock().topics.get_mut(TOPIC).unwrap()[0].lose(10, next);
            cluster.lock().refused_validations.extend([error; 3]);
            append(&cluster, 0, numbers(10..20), false);
            let offsets: Vec<i64> = consume(&mut consumer, 10).await.iter().map(|r| r.offset.0).collect();
            assert!(offsets.into_iter().eq(10..20));
            assert!(consumer.take_truncations().is_empty());
            assert!(cluster.lock().refused_validations.is_empty(), "the new leader was asked until it answered");
        });
    }
}
