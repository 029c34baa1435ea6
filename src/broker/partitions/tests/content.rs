//! What a log directory is said to hold.

use super::*;
use crate::base::TopicPartition;

#[test]
fn sizes_grow_with_what_is_written_and_a_directory_that_is_lost_says_nothing() {
    tell(|cluster| async move {
        let topic = cluster.create_topic("orders", 1);
        sleep_ms(100).await;
        let look = |id: i32| cluster.on(id, |p| async move { p.content().await });
        let empty = look(1).await.expect("it is online");
        let sizes: Vec<_> = empty.logs.iter().map(|log| (log.tp.clone(), log.bytes, log.lag)).collect();
        assert_eq!(sizes, [(TopicPartition::new("orders", 0), 0, 0)]);
        produce_ok(&cluster, 1, topic, "a").await;
        sleep_ms(1_000).await;
        for id in 1..=3 {
            let content = look(id).await.expect("it is online");
            let [log] = &content.logs[..] else { panic!("{content:?}") };
            assert!(log.bytes > 60 && log.lag == 0, "broker {id}: {log:?}");
            assert!(content.volume.usable <= content.volume.total - log.bytes, "broker {id}: {content:?}");
        }
        let partitions = cluster.table.lock().running[&2].clone();
        partitions.shared.fail(std::sync::Arc::new(std::io::Error::other("the disk is gone")));
        assert_eq!(partitions.content().await, Err(ResponseError::KafkaStorageError));
    });
}
