//! Situations among three brokers' partitions, in the simulated world.

mod cluster;
mod compaction;
mod content;
mod retention;
mod throttle;

use bytes::Bytes;
use kafka_protocol::ResponseError;

use self::cluster::{Cluster, batch, sleep_ms, tell};
use super::*;
use crate::base::{Offset, TopicId};
use crate::broker::probe::Event;
use crate::io::clock;
use crate::log::batch::batches;

async fn produce(cluster: &Cluster, to: i32, topic: TopicId, value: &str, timeout_ms: u64) -> ProduceOutcome {
    let part = ProducePartition { topic: TopicRef::Id(topic), partition: 0, records: batch(value) };
    cluster.on(to, move |p| async move { p.produce(vec![part], -1, timeout_ms).await.remove(0) }).await
}

async fn produce_ok(cluster: &Cluster, to: i32, topic: TopicId, value: &str) -> Offset {
    let outcome = produce(cluster, to, topic, value, 5_000).await;
    assert_eq!(outcome.error, None, "{value}");
    outcome.base_offset
}

async fn consume(cluster: &Cluster, from: i32, topic: TopicId, offset: i64, max_wait_ms: u64) -> FetchResult {
    let partition = FetchPartition {
        topic: TopicRef::Id(topic),
        partition: 0,
        offset: Offset(offset),
        current_leader_epoch: LeaderEpoch::NONE,
        last_fetched_epoch: LeaderEpoch::NONE,
        log_start: Offset::NONE,
        max_bytes: 1 << 20,
    };
    let spec = FetchSpec {
        fetcher: Fetcher::Consumer,
        max_wait_ms,
        min_bytes: 1,
        max_bytes: 1 << 20,
        partitions: vec![partition],
    };
    cluster.on(from, move |p| async move { p.fetch(spec).await.remove(0) }).await
}

fn values(records: &Bytes) -> Vec<String> {
    let mut found = Vec::new();
    for batch in batches(records) {
        let batch = batch.expect("a whole batch");
        for record in batch.records().expect("plain records") {
            let value = record.expect("a record").value.expect("a value");
            found.push(String::from_utf8(value.to_vec()).expect("text"));
        }
    }
    found
}

/// The log of a broker, told by its own high watermark.
async fn log_of(cluster: &Cluster, id: i32) -> Vec<String> {
    let partition = cluster.on(id, |p| async move { p.all().remove(0) }).await;
    let end = partition.look(|core| core.log().visible_end()).expect("open");
    let reader = partition.reader().expect("open");
    let (mut found, mut from) = (Vec::new(), Offset(0));
    while from < end {
        let bytes = reader.read(from, 1 << 20, end, true).await.expect("readable");
        found.extend(values(&bytes));
        from = batches(&bytes).last().expect("a batch").expect("whole").next_offset();
    }
    found
}

#[test]
fn what_is_acknowledged_is_on_all_replicas_and_can_be_read() {
    tell(|cluster| async move {
        let topic = cluster.create_topic("orders", 1);
        sleep_ms(100).await;
        for n in 0..20 {
            assert_eq!(produce_ok(&cluster, 1, topic, &n.to_string()).await, Offset(n));
        }
        let expected: Vec<_> = (0..20).map(|n| n.to_string()).collect();
        for id in 1..=3 {
            assert_eq!(log_of(&cluster, id).await, expected);
        }
        let mut read = Vec::new();
        while read.len() < 20 {
            let result = consume(&cluster, 1, topic, read.len() as i64, 500).await;
            assert_eq!(result.error, None);
            read.extend(values(&result.records));
        }
        assert_eq!(read, expected);
        assert_eq!(cluster.isr(topic), [1, 2, 3]);
        sleep_ms(600).await;
        assert_eq!(cluster.view(2).high_watermark, Offset(20));
    });
}

#[test]
fn a_consumer_that_waits_is_answered_when_something_comes_and_not_later_than_it_asked() {
    tell(|cluster| async move {
        let topic = cluster.create_topic("orders", 1);
        sleep_ms(100).await;
        let before = clock::now().mono_ms();
        assert!(consume(&cluster, 1, topic, 0, 300).await.records.is_empty());
        assert_eq!(clock::now().mono_ms() - before, 300);
        let other = cluster.clone();
        let producer = crate::io::task::spawn("producer", async move {
            sleep_ms(50).await;
            produce_ok(&other, 1, topic, "late").await
        });
        let before = clock::now().mono_ms();
        assert_eq!(values(&consume(&cluster, 1, topic, 0, 10_000).await.records), ["late"]);
        assert!(clock::now().mono_ms() - before < 100);
        producer.await.unwrap();
    });
}

#[test]
fn a_dead_follower_leaves_the_isr_and_comes_back_when_it_lives_again() {
    tell(|cluster| async move {
        let topic = cluster.create_topic("orders", 1);
        sleep_ms(100).await;
        produce_ok(&cluster, 1, topic, "a").await;
        cluster.world.crash(cluster.host(3));
        cluster.fence(3, true);
        let slow = produce(&cluster, 1, topic, "b", 500).await;
        assert_eq!(slow.error, Some(ResponseError::RequestTimedOut));
        sleep_ms(3_500).await;
        assert_eq!(cluster.isr(topic), [1, 2]);
        produce_ok(&cluster, 1, topic, "c").await;
        cluster.world.start(cluster.host(3)).await;
        sleep_ms(2_000).await;
        assert_eq!(cluster.isr(topic), [1, 2, 3]);
        assert_eq!(log_of(&cluster, 3).await, ["a", "b", "c"]);
        assert_eq!(cluster.table.lock().clean[&3], None, "a crash is no clean shutdown");
    });
}

#[test]
fn a_deposed_leader_cuts_off_what_nobody_else_has() {
    tell(|cluster| async move {
        let topic = cluster.create_topic("orders", 1);
        sleep_ms(100).await;
        produce_ok(&cluster, 1, topic, "a").await;
        cluster.world.isolate(cluster.host(1));
        let part = ProducePartition { topic: TopicRef::Id(topic), partition: 0, records: batch("lost") };
        let lonely = cluster.on(1, |p| async move { p.produce(vec![part], 1, 1_000).await.remove(0) }).await;
        assert_eq!(lonely.error, None, "acks=1 asks nobody else");
        cluster.elect(topic, 2, &[2, 3]);
        sleep_ms(50).await;
        assert_eq!(produce_ok(&cluster, 2, topic, "b").await, Offset(1));
        cluster.world.heal_all();
        sleep_ms(6_000).await;
        for id in 1..=3 {
            assert_eq!(log_of(&cluster, id).await, ["a", "b"], "broker {id}");
        }
        assert_eq!(cluster.isr(topic), [1, 2, 3]);
        let cut = |e: &(BrokerId, Event)| matches!(e, (BrokerId(1), Event::LogTruncated { to: Offset(1), .. }));
        assert!(cluster.table.lock().events.iter().any(cut));
    });
}

#[test]
fn a_produce_that_waits_at_a_deposed_leader_is_sent_to_the_new_one() {
    tell(|cluster| async move {
        let topic = cluster.create_topic("orders", 1);
        sleep_ms(100).await;
        cluster.world.isolate(cluster.host(1));
        let other = cluster.clone();
        drop(crate::io::task::spawn("election", async move {
            sleep_ms(200).await;
            other.elect(topic, 2, &[2, 3]);
        }));
        let outcome = produce(&cluster, 1, topic, "a", 30_000).await;
        assert_eq!(outcome.error, Some(ResponseError::NotLeaderOrFollower));
        let late = produce(&cluster, 1, topic, "a", 30_000).await;
        assert_eq!(late.current_leader, Some((BrokerId(2), LeaderEpoch(1))));
    });
}

#[test]
fn a_topic_that_is_created_again_starts_empty() {
    tell(|cluster| async move {
        let old = cluster.create_topic("orders", 1);
        sleep_ms(100).await;
        produce_ok(&cluster, 1, old, "old").await;
        cluster.delete_topic(old);
        let new = cluster.create_topic("orders", 2);
        sleep_ms(500).await;
        assert_eq!(produce_ok(&cluster, 1, new, "new").await, Offset(0));
        for id in 1..=3 {
            assert_eq!(log_of(&cluster, id).await, ["new"]);
        }
        let gone = consume(&cluster, 1, old, 0, 0).await;
        assert_eq!(gone.error, Some(ResponseError::UnknownTopicId));
    });
}

#[test]
fn a_clean_shutdown_leaves_a_mark_and_everything_else() {
    tell(|cluster| async move {
        let topic = cluster.create_topic("orders", 1);
        sleep_ms(100).await;
        produce_ok(&cluster, 1, topic, "a").await;
        sleep_ms(600).await;
        let (host, epoch) = (cluster.host(2), cluster.table.lock().epochs[&2]);
        cluster.world.request_shutdown(host);
        cluster.world.exited(host).await;
        cluster.world.power_cut(host);
        cluster.world.start(host).await;
        sleep_ms(300).await;
        assert_eq!(cluster.table.lock().clean[&2], Some(epoch));
        assert_eq!(log_of(&cluster, 2).await, ["a"]);
        assert_eq!(cluster.view(2).high_watermark, Offset(1));
    });
}

#[test]
fn a_follower_that_lost_its_unsynced_log_fetches_it_again() {
    tell(|cluster| async move {
        let topic = cluster.create_topic("orders", 1);
        sleep_ms(100).await;
        for n in 0..50 {
            produce_ok(&cluster, 1, topic, &n.to_string()).await;
        }
        cluster.world.power_cut(cluster.host(3));
        sleep_ms(1_000).await;
        cluster.world.start(cluster.host(3)).await;
        sleep_ms(5_000).await;
        let expected: Vec<_> = (0..50).map(|n| n.to_string()).collect();
        assert_eq!(log_of(&cluster, 3).await, expected);
        assert_eq!(cluster.isr(topic), [1, 2, 3]);
    });
}
