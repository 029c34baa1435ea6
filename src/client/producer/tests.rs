//! Situations of a producer, against a cluster that misbehaves on cue.

use super::{Delivered, Producer, Record, RecordMetadata};
use crate::base::random::Stream;
use crate::base::{Offset, TopicPartition};
use crate::client::config::ProducerConfig;
use crate::client::testing::{self, Fault, Shared};
use crate::io::sim::{WorldConfig, run};
use crate::io::{task::TaskSet, time};
use bytes::Bytes;
use kafka_protocol::ResponseError;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

const TOPIC: &str = "UserEvents";

fn config(settings: &[(&str, &str)]) -> ProducerConfig {
    let mut cfg = ProducerConfig::default();
    cfg.set("bootstrap.servers", "node1:9092,node2:9092").unwrap();
    for (key, value) in settings {
        cfg.set(key, value).unwrap();
    }
    cfg
}

fn record(partition: i32, value: impl Into<String>) -> Record {
    let value = Some(Bytes::from(value.into()));
    Record { topic: TOPIC.into(), partition: Some(partition), value, ..Record::default() }
}

type Told = Arc<Mutex<Vec<(String, Delivered)>>>;

/// A stage with two brokers and one partition, for a story about one producer.
fn play<F, Fut>(seed: u64, settings: &'static [(&'static str, &'static str)], script: &[Fault], story: F)
where
    F: FnOnce(Producer, Shared, Told) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let script = script.to_vec();
    let over = run(seed, WorldConfig::default(), move |world| async move {
        let (cluster, _hosts) = testing::start(&world, 2, TOPIC, 3).await;
        cluster.lock().script = script.into();
        let mut tasks = TaskSet::new();
        let producer = Producer::start(config(settings), &mut tasks).unwrap();
        story(producer, cluster, Told::default()).await;
    });
    over.outcome.unwrap();
}

async fn send(producer: &Producer, told: &Told, partition: i32, value: impl Into<String>) {
    let value = value.into();
    let (told, name) = (told.clone(), value.clone());
    producer.send(record(partition, value), move |delivered| told.lock().push((name, delivered))).await;
}

fn log(cluster: &Shared, partition: i32) -> Vec<String> {
    cluster.lock().values(&TopicPartition::new(TOPIC, partition)).into_iter().map(|(_, value)| value).collect()
}

#[test]
fn records_arrive_in_order_and_each_is_told_its_offset() {
    play(1, &[], &[], |producer, cluster, told| async move {
        for i in 0..1000 {
            send(&producer, &told, 0, format!("{i}")).await;
        }
        producer.flush().await;
        assert_eq!(log(&cluster, 0), (0..1000).map(|i| i.to_string()).collect::<Vec<_>>());
        let told = told.lock();
        assert_eq!(told.len(), 1000);
        for (i, (_, delivered)) in told.iter().enumerate() {
            let RecordMetadata { tp, offset, .. } = delivered.result.as_ref().unwrap();
            assert_eq!((tp.partition, *offset), (0, Offset(i as i64)));
            assert!(delivered.attempts == 1 && delivered.first_sent_ns.unwrap() < delivered.done_ns);
        }
    });
}

#[test]
fn a_lost_response_is_retried_and_answered_with_the_old_offset() {
    play(2, &[], &[Fault::DropAfter], |producer, cluster, told| async move {
        send(&producer, &told, 0, "paid").await;
        producer.flush().await;
        assert_eq!(log(&cluster, 0), ["paid"]);
        let (_, delivered) = &told.lock()[0];
        assert_eq!(delivered.attempts, 2);
        assert_eq!(delivered.result.as_ref().unwrap().offset, Offset(0));
    });
}

#[test]
fn batches_behind_a_refused_one_wait_for_it() {
    // The first of several batches in flight is refused: the broker refuses the others as out of order, and all come again in order.
    play(3, &[("batch.size", "100"), ("linger.ms", "0")], &[], |producer, cluster, told| async move {
        // Metadata and a producer id first, so that all batches leave at once.
        producer.send_wait(record(1, "warm-up")).await.unwrap();
        cluster.lock().script = [Fault::Refuse(ResponseError::NotEnoughReplicas)].into();
        for i in 0..20 {
            send(&producer, &told, 0, format!("{i} {}", "x".repeat(80))).await;
        }
        producer.flush().await;
        assert!(told.lock().iter().all(|(_, d)| d.result.is_ok()));
        let order: Vec<String> = log(&cluster, 0).iter().map(|v| v.split(' ').next().unwrap().to_owned()).collect();
        assert_eq!(order, (0..20).map(|i| i.to_string()).collect::<Vec<_>>());
        assert!(cluster.lock().seen.iter().all(|(_, epoch, _)| *epoch == 0), "no epoch was bumped");
    });
}

#[test]
fn the_leader_moves_and_the_producer_follows() {
    play(4, &[], &[Fault::Move], |producer, cluster, told| async move {
        let tp = TopicPartition::new(TOPIC, 0);
        let before = testing::leader(&cluster, &tp);
        send(&producer, &told, 0, "moved").await;
        producer.flush().await;
        assert_ne!(testing::leader(&cluster, &tp), before);
        assert_eq!(log(&cluster, 0), ["moved"]);
        assert!(told.lock()[0].1.result.is_ok());
    });
}

#[test]
fn a_broker_that_falls_silent_costs_request_timeout_and_nothing_else() {
    play(5, &[("request.timeout.ms", "2000")], &[Fault::Silence], |producer, cluster, told| async move {
        send(&producer, &told, 0, "heard").await;
        producer.flush().await;
        assert_eq!(log(&cluster, 0), ["heard"]);
        let (_, delivered) = &told.lock()[0];
        let took_ms = (delivered.done_ns - delivered.first_sent_ns.unwrap()) / 1_000_000;
        assert!((2_000..3_000).contains(&took_ms), "{took_ms} ms");
    });
}

#[test]
fn a_broker_that_forgot_its_producers_makes_the_epoch_rise() {
    play(6, &[], &[], |producer, cluster, told| async move {
        producer.send_wait(record(0, "a")).await.unwrap();
        cluster.lock().topics.get_mut(TOPIC).unwrap()[0].forget_producers();
        cluster.lock().script = [Fault::Refuse(ResponseError::UnknownProducerId)].into();
        send(&producer, &told, 0, "b").await;
        send(&producer, &told, 1, "c").await;
        producer.flush().await;
        assert!(told.lock().iter().all(|(_, d)| d.result.is_ok()));
        assert_eq!(log(&cluster, 0), ["a", "b"]);
        assert_eq!(cluster.lock().seen.last().unwrap().1, 1, "epoch 1 from sequence 0");
    });
}

#[test]
fn a_record_that_is_too_large_fails_for_certain_and_the_next_one_goes_on() {
    play(7, &[], &[], |producer, cluster, told| async move {
        cluster.lock().max_batch_bytes = 2000;
        send(&producer, &told, 0, "x".repeat(5000)).await;
        send(&producer, &told, 0, "small").await;
        producer.flush().await;
        assert_eq!(log(&cluster, 0), ["small"]);
        let told = told.lock();
        let error = told.iter().find(|(v, _)| v != "small").unwrap().1.result.clone().unwrap_err();
        assert!(error.definite && error.error == ResponseError::MessageTooLarge);
    });
}

#[test]
fn a_batch_that_is_too_large_is_halved_until_it_fits() {
    play(8, &[], &[], |producer, cluster, told| async move {
        cluster.lock().max_batch_bytes = 400;
        for i in 0..40 {
            send(&producer, &told, 0, format!("{i} {}", "x".repeat(60))).await;
        }
        producer.flush().await;
        assert!(told.lock().iter().all(|(_, d)| d.result.is_ok()));
        let order: Vec<String> = log(&cluster, 0).iter().map(|v| v.split(' ').next().unwrap().to_owned()).collect();
        assert_eq!(order, (0..40).map(|i| i.to_string()).collect::<Vec<_>>());
    });
}

#[test]
fn a_refusal_until_the_delivery_timeout_is_definite_and_a_lost_answer_is_not() {
    let settings = &[("delivery.timeout.ms", "3000"), ("request.timeout.ms", "1000")];
    play(9, settings, &[], |producer, cluster, told| async move {
        cluster.lock().script = vec![Fault::Refuse(ResponseError::NotEnoughReplicas); 100].into();
        send(&producer, &told, 0, "refused").await;
        producer.flush().await;
        cluster.lock().script = vec![Fault::AnswerAfter(ResponseError::NotEnoughReplicasAfterAppend); 100].into();
        send(&producer, &told, 0, "appended").await;
        producer.flush().await;
        let outcome = |i: usize| told.lock()[i].1.result.clone().unwrap_err();
        assert!(outcome(0).definite && !outcome(1).definite);
        assert_eq!(log(&cluster, 0), ["appended"]);
    });
}

#[test]
fn without_metadata_send_gives_up_after_max_block() {
    play(10, &[("max.block.ms", "1500")], &[], |producer, _, told| async move {
        let unknown = Record { topic: "Nobody".into(), value: Some(Bytes::from("?")), ..Record::default() };
        let error = producer.send_wait(unknown).await.unwrap_err();
        assert_eq!((error.error, error.definite), (ResponseError::RequestTimedOut, true));
        assert!(told.lock().is_empty());
    });
}

#[test]
fn a_full_buffer_holds_send_back_and_lets_it_go_again() {
    play(
        11,
        &[("buffer.memory", "2000"), ("linger.ms", "10000"), ("delivery.timeout.ms", "60000")],
        &[],
        |producer, cluster, told| async move {
            for i in 0..100 {
                send(&producer, &told, 0, format!("{i} {}", "x".repeat(500))).await;
            }
            producer.flush().await;
            assert_eq!(log(&cluster, 0).len(), 100);
        },
    );
}

#[test]
fn acks_0_hears_nothing_and_knows_no_offset() {
    play(12, &[("acks", "0")], &[], |producer, cluster, _| async move {
        let told = producer.send_wait(record(0, "shouted")).await.unwrap();
        assert_eq!(told.offset, Offset::NONE);
        time::sleep(Duration::from_secs(1)).await;
        assert_eq!(log(&cluster, 0), ["shouted"]);
    });
}

#[test]
fn a_closed_producer_sends_what_it_has_and_takes_no_more() {
    play(13, &[("linger.ms", "5000")], &[], |producer, cluster, told| async move {
        send(&producer, &told, 0, "last").await;
        producer.close(Duration::from_secs(10)).await;
        assert_eq!(log(&cluster, 0), ["last"]);
        assert!(producer.send_wait(record(0, "late")).await.unwrap_err().definite);
    });
}

/// Whatever the brokers do: the log holds each value at most once, in the order of sending; what was acknowledged lies where it was said
/// to lie; what failed for certain is not there.
#[test]
fn through_all_chaos_order_and_uniqueness_hold() {
    const SETTINGS: &[(&str, &str)] =
        &[("request.timeout.ms", "1000"), ("delivery.timeout.ms", "6000"), ("batch.size", "120"), ("linger.ms", "2")];
    for seed in 0..60 {
        play(seed, SETTINGS, &[], move |producer, cluster, told| async move {
            cluster.lock().chaos = Some(Stream::new(seed, "chaos"));
            for i in 0..300 {
                send(&producer, &told, i % 3, format!("{i:05}")).await;
                if i % 7 == 0 {
                    time::sleep(Duration::from_millis(20)).await;
                }
            }
            producer.flush().await;
            let told = told.lock();
            assert_eq!(told.len(), 300, "every record was told its fate");
            for partition in 0..3 {
                judge(&cluster, partition, &told, seed);
            }
        });
    }
}

fn judge(cluster: &Shared, partition: i32, told: &[(String, Delivered)], seed: u64) {
    let values = cluster.lock().values(&TopicPartition::new(TOPIC, partition));
    assert!(values.is_sorted_by(|a, b| a.1 < b.1), "seed {seed}, partition {partition}: {values:?}");
    for (value, delivered) in told.iter().filter(|(v, _)| v.parse::<i32>().unwrap() % 3 == partition) {
        let at = values.iter().find(|(_, v)| v == value).map(|(offset, _)| *offset);
        match &delivered.result {
            Ok(metadata) => assert_eq!(at, Some(metadata.offset.0), "seed {seed}: {value}"),
            Err(error) if error.definite => assert_eq!(at, None, "seed {seed}: {value} failed for certain"),
            Err(_) => {}
        }
    }
}
