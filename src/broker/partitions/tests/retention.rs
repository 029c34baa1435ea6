//! Where logs begin: retention, DeleteRecords, and disks that give up.

use super::*;
use crate::io::sim::disk::DiskOp;

/// A topic whose segments hold few records.
async fn topic_of_small_segments(cluster: &Cluster, settings: &[(&str, &str)]) -> TopicId {
    let topic = cluster.create_topic("orders", 1);
    for (key, value) in [("segment.bytes", "300"), ("file.delete.delay.ms", "1000")].iter().chain(settings) {
        cluster.configure("orders", key, value);
    }
    sleep_ms(200).await;
    topic
}

async fn delete_records(cluster: &Cluster, offset: i64) -> DeleteRecordsOutcome {
    let part = DeleteRecordsPartition { topic: TopicRef::Name("orders".into()), partition: 0, offset: Offset(offset) };
    cluster.on(1, move |p| async move { p.delete_records(&[part], 5_000).await.remove(0) }).await
}

/// The names of a broker's files of the topic.
async fn files(cluster: &Cluster, id: i32) -> Vec<String> {
    cluster.on(id, |p| async move { p.logs.list_files("orders-0").await }).await
}

#[test]
fn old_segments_go_on_every_replica_and_whoever_was_away_starts_where_the_leader_starts() {
    tell(|cluster| async move {
        let topic = topic_of_small_segments(&cluster, &[("retention.bytes", "400"), ("retention.ms", "-1")]).await;
        for n in 0..4 {
            produce_ok(&cluster, 1, topic, &n.to_string()).await;
        }
        cluster.world.crash(cluster.host(3));
        cluster.fence(3, true);
        sleep_ms(3_500).await;
        for n in 4..40 {
            produce_ok(&cluster, 1, topic, &n.to_string()).await;
        }
        sleep_ms(40_000).await;
        let start = cluster.view(1).log_start;
        assert!(start > Offset(20) && start < Offset(40), "{start}");
        assert_eq!(cluster.view(2).log_start, start);
        let below = consume(&cluster, 1, topic, 3, 0).await;
        assert_eq!(below.error, Some(ResponseError::OffsetOutOfRange));
        let left = files(&cluster, 1).await;
        assert!(left.len() < 10 && left.iter().all(|f| !f.ends_with(".deleted")), "{left:?}");

        cluster.fence(3, false);
        cluster.world.start(cluster.host(3)).await;
        sleep_ms(5_000).await;
        let expected: Vec<_> = (start.0..40).map(|n| n.to_string()).collect();
        assert_eq!(cluster.view(3).log_start, start, "the rest of its old log is gone");
        for id in 1..=3 {
            assert_eq!(tail_of(&cluster, id).await, expected, "broker {id}");
        }
        assert_eq!(cluster.isr(topic), [1, 2, 3]);
    });
}

/// What a broker's log holds from its start on.
async fn tail_of(cluster: &Cluster, id: i32) -> Vec<String> {
    let partition = cluster.on(id, |p| async move { p.all().remove(0) }).await;
    let (mut from, end) = partition.look(|c| (c.log().log_start(), c.log().visible_end())).expect("open");
    let (reader, mut found) = (partition.reader().expect("open"), Vec::new());
    while from < end {
        let bytes = reader.read(from, 1 << 20, end, true).await.expect("readable");
        found.extend(values(&bytes));
        from = batches(&bytes).last().expect("a batch").expect("whole").next_offset();
    }
    found
}

#[test]
fn what_is_not_committed_stays_however_old_it_is() {
    tell(|cluster| async move {
        let topic = topic_of_small_segments(&cluster, &[("retention.ms", "1")]).await;
        cluster.world.isolate(cluster.host(1));
        for n in 0..10 {
            let part = ProducePartition { topic: TopicRef::Id(topic), partition: 0, records: batch(&n.to_string()) };
            cluster.on(1, |p| async move { p.produce(vec![part], 1, 1_000).await.remove(0) }).await;
        }
        sleep_ms(40_000).await;
        assert_eq!((cluster.view(1).log_start, cluster.view(1).log_end), (Offset(0), Offset(10)));
        cluster.world.heal_all();
        sleep_ms(10_000).await;
        assert_eq!(cluster.view(1).log_start, Offset(10), "committed, old, gone");
        assert_eq!(produce_ok(&cluster, 1, topic, "new").await, Offset(10));
    });
}

#[test]
fn delete_records_waits_for_the_followers_and_outlives_a_power_cut() {
    tell(|cluster| async move {
        let topic = topic_of_small_segments(&cluster, &[]).await;
        for n in 0..20 {
            produce_ok(&cluster, 1, topic, &n.to_string()).await;
        }
        let beyond = delete_records(&cluster, 21).await;
        assert_eq!(beyond.error, Some(ResponseError::OffsetOutOfRange));
        let deleted = delete_records(&cluster, 7).await;
        assert_eq!(deleted, DeleteRecordsOutcome { error: None, low: Offset(7) });
        for id in 1..=3 {
            assert_eq!(cluster.view(id).log_start, Offset(7), "broker {id}");
        }
        assert_eq!(consume(&cluster, 1, topic, 6, 0).await.error, Some(ResponseError::OffsetOutOfRange));
        sleep_ms(6_000).await;
        cluster.world.power_cut(cluster.host(2));
        cluster.world.start(cluster.host(2)).await;
        sleep_ms(3_000).await;
        assert_eq!(cluster.view(2).log_start, Offset(7));
        cluster.world.crash(cluster.host(3));
        let late = delete_records(&cluster, -1).await;
        assert_eq!(late.error, Some(ResponseError::RequestTimedOut), "a follower that is not fenced is waited for");
        cluster.fence(3, true);
        assert_eq!(delete_records(&cluster, -1).await.error, None);
        cluster.configure("orders", "cleanup.policy", "compact");
        sleep_ms(100).await;
        assert_eq!(delete_records(&cluster, -1).await.error, Some(ResponseError::PolicyViolation));
    });
}

#[test]
fn a_batch_that_no_segment_could_hold_is_refused() {
    tell(|cluster| async move {
        let topic = topic_of_small_segments(&cluster, &[("max.message.bytes", "500")]).await;
        let error = async |len: usize| produce(&cluster, 1, topic, &"x".repeat(len), 1_000).await.error;
        assert_eq!(error(600).await, Some(ResponseError::MessageTooLarge));
        assert_eq!(error(400).await, Some(ResponseError::RecordListTooLarge));
        assert_eq!(error(100).await, None);
    });
}

#[test]
fn a_disk_that_fails_takes_the_broker_down_without_a_mark() {
    for op in [DiskOp::Append, DiskOp::Sync] {
        tell(move |cluster| async move {
            let topic = topic_of_small_segments(&cluster, &[]).await;
            for n in 0..10 {
                produce_ok(&cluster, 1, topic, &n.to_string()).await;
            }
            cluster.world.fail_disk(cluster.host(2), op, 1);
            let tries = async {
                for n in 10..400 {
                    produce(&cluster, 1, topic, &n.to_string(), 500).await;
                    sleep_ms(200).await;
                    if !cluster.table.lock().running.contains_key(&2) {
                        return true;
                    }
                }
                false
            };
            assert!(tries.await, "{op:?}: the broker goes on with a broken disk");
            cluster.world.start(cluster.host(2)).await;
            sleep_ms(5_000).await;
            assert_eq!(cluster.table.lock().clean[&2], None, "{op:?}: that was no clean shutdown");
            assert_eq!(log_of(&cluster, 2).await, log_of(&cluster, 1).await);
        });
    }
}
