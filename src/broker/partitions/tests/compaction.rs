//! Compacted topics: each replica cleans its own log, and whoever reads finds the same table.

use std::collections::BTreeMap;

use super::*;
use crate::log::batch::{BatchBuilder, Stamp};

async fn put(cluster: &Cluster, topic: TopicId, key: &str, value: Option<&str>) {
    let mut b = BatchBuilder::new();
    b.append(0, Some(key.as_bytes()), value.map(str::as_bytes), &[]);
    let records = b.build(Stamp::default());
    let part = ProducePartition { topic: TopicRef::Id(topic), partition: 0, records };
    let done = cluster.on(1, |p| async move { p.produce(vec![part], -1, 10_000).await.remove(0) }).await;
    assert_eq!(done.error, None);
}

/// What a broker's log says, record by record, and the table that it makes.
async fn table(cluster: &Cluster, id: i32) -> (usize, BTreeMap<String, String>) {
    let partition = cluster.on(id, |p| async move { p.all().remove(0) }).await;
    let end = partition.look(|c| c.log().visible_end()).expect("open");
    let (reader, mut from, mut count, mut table) = (partition.reader().expect("open"), Offset(0), 0, BTreeMap::new());
    while from < end {
        let bytes = reader.read(from, 1 << 20, end, true).await.expect("readable");
        for batch in batches(&bytes) {
            let batch = batch.expect("whole");
            for record in batch.records().expect("plain").map(|r| r.expect("whole")) {
                count += 1;
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
                match record.value {
                    Some(value) => drop(table.insert(text(record.key.expect("a key")), text(value))),
                    None => drop(table.remove(&text(record.key.expect("a key")))),
                }
            }
            from = batch.next_offset();
        }
    }
    (count, table)
}

#[test]
fn a_compacted_topic_says_the_same_on_every_replica_and_to_one_that_was_away() {
    tell(|cluster| async move {
        let topic = cluster.create_topic("orders", 1);
        let settings = [
            ("cleanup.policy", "compact"),
            ("segment.bytes", "300"),
            ("delete.retention.ms", "1000"),
            ("min.cleanable.dirty.ratio", "0.1"),
        ];
        for (key, value) in settings {
            cluster.configure("orders", key, value);
        }
        sleep_ms(200).await;
        for n in 0..10 {
            put(&cluster, topic, &format!("k{}", n % 4), Some(&n.to_string())).await;
        }
        cluster.world.crash(cluster.host(3));
        cluster.fence(3, true);
        sleep_ms(3_500).await;
        for n in 10..60 {
            put(&cluster, topic, &format!("k{}", n % 4), Some(&n.to_string())).await;
        }
        put(&cluster, topic, "k0", None).await;
        for n in 0..10 {
            put(&cluster, topic, "k1", Some(&n.to_string())).await;
        }
        sleep_ms(40_000).await;
        let expected: BTreeMap<String, String> =
            [("k1", "9"), ("k2", "58"), ("k3", "59")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        for id in [1, 2] {
            let (records, found) = table(&cluster, id).await;
            assert_eq!(found, expected, "broker {id}");
            assert!(records < 20, "broker {id} still holds {records} records");
        }
        cluster.world.power_cut(cluster.host(2));
        cluster.world.start(cluster.host(2)).await;
        cluster.fence(3, false);
        cluster.world.start(cluster.host(3)).await;
        sleep_ms(40_000).await;
        for id in 1..=3 {
            assert_eq!(table(&cluster, id).await.1, expected, "broker {id}");
            assert_eq!(cluster.view(id).log_end, cluster.view(1).log_end);
        }
        assert_eq!(cluster.isr(topic), [1, 2, 3]);
    });
}
