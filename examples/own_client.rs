//! A test of a person's own client code against a simulated cluster: `cargo run --example own_client`.
//!
//! A ledger books transfers with idempotent writes, acknowledged by all in-sync replicas. While it does, the leader loses
//! power. The test asserts what the client itself promises, and asks the oracles for all that Kafka promises. Every seed is
//! another run; the same seed is the same run.

#[cfg(madsim)]
fn main() {
    let seed = std::env::args().nth(1).map_or(1, |seed| seed.parse().expect("a seed is a number"));
    let verdict = ledger::books_survive_a_power_cut(seed);
    println!("seed {seed}: {:?}, {} acknowledged, {} messages", verdict.outcome, verdict.acked, verdict.messages);
}

/// Without the simulation there is nothing to show.
#[cfg(not(madsim))]
fn main() {
    eprintln!("this build has no simulation: run without RUSTFLAGS");
    std::process::exit(2);
}

#[cfg(madsim)]
mod ledger {
    use std::time::Duration;

    use ktrial::base::TopicPartition;
    use ktrial::client::config::{ConsumerConfig, ProducerConfig};
    use ktrial::client::consumer::Consumer;
    use ktrial::client::producer::{Producer, Record};
    use ktrial::io::task::TaskSet;
    use ktrial::report::Verdict;
    use ktrial::trial::TrialCluster;

    const TOPIC: &str = "transfers";

    /// The test, for any seed.
    pub fn books_survive_a_power_cut(seed: u64) -> Verdict {
        let trial = ktrial::trial(seed).brokers(3).topic(TOPIC, 1).config("min.insync.replicas", 2).all_writes_noted();
        let verdict = trial.run(|cluster| async move {
            let of_client = cluster.clone();
            let writer = cluster.spawn("writer", || book(of_client, 100)).await;
            cluster.sleep(Duration::from_secs(2)).await;
            let leader = cluster.leader(TOPIC, 0).expect("somebody leads");
            cluster.power_cut(leader).await;
            let booked = writer.join().await;
            cluster.start(leader).await;

            let (of_client, count) = (cluster.clone(), booked.len());
            let reader = cluster.spawn("reader", move || read(of_client, count)).await;
            let found = reader.join().await;
            assert!(booked.iter().all(|transfer| found.contains(transfer)), "a transfer is missing");
        });
        verdict.assert_passed();
        verdict
    }

    /// Books transfers, one after the other; returns those that were acknowledged.
    async fn book(cluster: TrialCluster, count: usize) -> Vec<String> {
        let mut config = ProducerConfig::default();
        config.set("bootstrap.servers", &cluster.bootstrap()).expect("a known key");
        let mut tasks = TaskSet::new();
        let producer = Producer::start(config, &mut tasks).expect("settings that fit together");
        let (notes, mut booked) = (cluster.notes(), Vec::new());
        for n in 0..count {
            let transfer = format!("transfer {n}: 100 from alice to bob");
            notes.sent(TOPIC, 0, transfer.as_bytes());
            let value = Some(transfer.clone().into());
            let record = Record { topic: TOPIC.into(), partition: Some(0), value, ..Record::default() };
            match producer.send_wait(record).await {
                Ok(written) => {
                    notes.acked(TOPIC, 0, transfer.as_bytes(), written.offset.0);
                    booked.push(transfer);
                }
                Err(error) => notes.unknown(TOPIC, 0, transfer.as_bytes(), &error.to_string()),
            }
            cluster.sleep(Duration::from_millis(50)).await;
        }
        booked
    }

    /// Reads the ledger from its start until so many transfers have come.
    async fn read(cluster: TrialCluster, count: usize) -> Vec<String> {
        let mut config = ConsumerConfig::default();
        for (key, value) in [("bootstrap.servers", cluster.bootstrap().as_str()), ("auto.offset.reset", "earliest")] {
            config.set(key, value).expect("a known key");
        }
        let mut consumer = Consumer::new(config).expect("settings that fit together");
        consumer.assign([TopicPartition::new(TOPIC, 0)]);
        let (notes, mut found) = (cluster.notes(), Vec::new());
        while found.len() < count {
            for record in consumer.poll(Duration::from_secs(1)).await.expect("no error that a retry does not cure") {
                notes.read(0, TOPIC, 0, record.offset.0, record.value.as_deref());
                found.push(String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).into_owned());
            }
        }
        found
    }

    #[test]
    fn for_many_seeds() {
        (0..5).for_each(|seed| drop(books_survive_a_power_cut(seed)));
    }

    #[test]
    fn a_client_that_claims_too_much_is_found_out() {
        let verdict = ktrial::trial(1).topic(TOPIC, 1).run(|cluster| async move {
            let notes = cluster.notes();
            notes.sent(TOPIC, 0, b"never written");
            notes.acked(TOPIC, 0, b"never written", 0);
        });
        assert_eq!(verdict.violations.first().map(|v| v.property.as_str()), Some("ACK"), "{verdict:#?}");
    }

    #[test]
    #[should_panic(expected = "as it should")]
    fn an_assertion_in_the_story_fails_the_test() {
        drop(ktrial::trial(1).run(|cluster| async move {
            let client = cluster.spawn("mine", || async { panic!("as it should") }).await;
            client.join().await
        }));
    }
}
