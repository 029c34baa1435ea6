//! Replication that is throttled (KIP-73): a follower that has to catch up does so as fast as it may, and nobody else waits.

use super::*;

/// Bytes a second.
const RATE: u64 = 5_000;
/// Records that the follower has missed, of about a kilobyte each.
const MISSED: usize = 60;

/// A follower, broker 3, that was away for a while and has left the ISR.
async fn follower_behind(cluster: &Cluster) -> TopicId {
    let topic = cluster.create_topic("orders", 1);
    sleep_ms(100).await;
    produce_ok(cluster, 1, topic, "first").await;
    cluster.world.crash(cluster.host(3));
    cluster.fence(3, true);
    let outcome = produce(cluster, 1, topic, "second", 5_000).await;
    assert_eq!(outcome.error, None, "the ISR has shrunk");
    for _ in 0..MISSED {
        produce_ok(cluster, 1, topic, &"x".repeat(1_000)).await;
    }
    assert_eq!(cluster.isr(topic), [1, 2]);
    topic
}

/// Bytes that a broker has copied since it started last.
fn copied(cluster: &Cluster, by: i32) -> u64 {
    let of = |(node, event): &(BrokerId, Event)| match event {
        Event::LogAppended { copied, .. } if *node == BrokerId(by) => *copied,
        _ => 0,
    };
    cluster.table.lock().events.iter().map(of).sum()
}

/// What a throttle of [`RATE`] may have let through after so many seconds: the first window counts whole, and a response
/// may be too much.
fn allowed(seconds: u64) -> std::ops::Range<u64> {
    RATE * (seconds - 2)..RATE * (seconds + 1) + 6_000
}

#[test]
fn a_leader_sends_no_faster_than_it_may_to_whoever_is_not_in_sync_and_does_not_spin() {
    let messages = tell(|cluster| async move {
        let topic = follower_behind(&cluster).await;
        assert_eq!(copied(&cluster, 1), 0, "what producers send is not copied");
        cluster.configure("orders", "leader.replication.throttled.replicas", "0:1");
        cluster.configure_brokers("leader.replication.throttled.rate", &RATE.to_string());
        let before = copied(&cluster, 3);
        cluster.world.start(cluster.host(3)).await;
        sleep_ms(6_000).await;
        let moved = copied(&cluster, 3) - before;
        assert!(allowed(6).contains(&moved), "{moved} bytes in 6 s");
        assert_eq!(cluster.isr(topic), [1, 2]);
        let asked = clock::now().mono_ms();
        produce_ok(&cluster, 1, topic, "in between").await;
        assert!(clock::now().mono_ms() - asked < 100, "the follower that is in sync waits for nothing");
        sleep_ms(14_000).await;
        assert_eq!(cluster.isr(topic), [1, 2, 3]);
        assert_eq!(copied(&cluster, 3) - before, copied(&cluster, 2) - before, "all of it came, and came once");
    });
    assert!(messages < 1_500, "{messages} messages: somebody asks again and again");
}

#[test]
fn a_follower_takes_no_faster_than_it_may_until_the_throttle_is_lifted() {
    let messages = tell(|cluster| async move {
        let other = cluster.create_topic("other", 2);
        let topic = follower_behind(&cluster).await;
        for value in ["a", "b"] {
            produce(&cluster, 1, other, value, 5_000).await;
        }
        cluster.configure("orders", "follower.replication.throttled.replicas", "0:3,7:3");
        cluster.configure_brokers("follower.replication.throttled.rate", &RATE.to_string());
        let before = copied(&cluster, 3);
        cluster.world.start(cluster.host(3)).await;
        sleep_ms(6_000).await;
        let moved = copied(&cluster, 3) - before;
        assert!(allowed(6).contains(&moved), "{moved} bytes in 6 s");
        assert_eq!((cluster.isr(topic), cluster.isr(other)), (vec![1, 2], vec![1, 2, 3]), "only one is throttled");
        cluster.configure("orders", "follower.replication.throttled.replicas", "");
        sleep_ms(2_000).await;
        assert_eq!(cluster.isr(topic), [1, 2, 3]);
    });
    assert!(messages < 1_500, "{messages} messages: somebody asks again and again");
}

#[test]
fn a_rate_of_nothing_stops_the_copy_and_not_the_cluster() {
    tell(|cluster| async move {
        let topic = follower_behind(&cluster).await;
        cluster.configure("orders", "leader.replication.throttled.replicas", "*");
        cluster.configure_brokers("leader.replication.throttled.rate", "0");
        produce_ok(&cluster, 1, topic, "counted").await;
        let before = copied(&cluster, 3);
        cluster.world.start(cluster.host(3)).await;
        sleep_ms(5_000).await;
        assert_eq!((copied(&cluster, 3) - before, cluster.isr(topic)), (0, vec![1, 2]));
        cluster.configure_brokers("leader.replication.throttled.rate", "9223372036854775807");
        sleep_ms(2_000).await;
        assert_eq!(cluster.isr(topic), [1, 2, 3]);
    });
}
