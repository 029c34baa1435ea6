//! Who writes and who reads in a drawn scenario. Everybody writes with `acks=all` and idempotence: in the budget of
//! faults nothing that they were promised may be lost.

use super::cluster::is_compacted;
use crate::base::random::Stream;
use crate::scenario::model::{Acks, Assign, Client, Config, Consumer, Producer, Role, Strategy, Topic, defaults};
use crate::scenario::units::Bytes;

/// Bytes that a value has.
const VALUES: [u64; 8] = [16, 100, 100, 200, 200, 500, 1_000, 2_000];
/// Bytes of values that the disks of a topic's replicas take in each second, and those of all topics together, at most: a process that
/// plays a seed must stay small, and what a broker can do wrong does not take large values at a high rate.
const BYTES_PER_S: (u64, u64) = (100_000, 120_000);

/// The clients of all topics.
pub(super) fn clients(stream: &mut Stream, topics: &[Topic]) -> Vec<Client> {
    let mut clients = Vec::new();
    // Records per second of all topics together.
    let rate = stream.between(50, 150);
    for topic in topics {
        let count = stream.between(1, 4);
        let rate = (rate / topics.len() as u64 / count).max(1) as u32;
        let name = format!("{}-writers", topic.name);
        let bytes_per_s = BYTES_PER_S.0.min(BYTES_PER_S.1 / topics.len() as u64);
        let producer = producer(stream, topic, (count as u32, rate), bytes_per_s);
        clients.push(Client { name, region: None, role: Role::Producer(producer) });
        for n in 0..stream.below(3) {
            let name = format!("{}-reader-{n}", topic.name);
            clients.push(Client { name, region: None, role: Role::Consumer(consumer(stream, topic)) });
        }
    }
    clients
}

/// Lets some producers give up within the chaos phase what waits too long: those whose requests run out of time soon, because
/// `delivery.timeout.ms` may not be less than `linger.ms` and `request.timeout.ms` together.
pub(super) fn patience(stream: &mut Stream, clients: &mut [Client]) {
    for client in clients {
        let Role::Producer(producer) = &mut client.role else { continue };
        let (impatient, more) = (stream.chance(1, 3), stream.between(200, 15_000));
        let request = producer.config.get("request.timeout.ms").and_then(|ms| ms.parse::<u64>().ok());
        if let (true, Some(request)) = (impatient, request) {
            producer.config.insert("delivery.timeout.ms".to_owned(), (request + more).to_string());
        }
    }
}

fn producer(stream: &mut Stream, topic: &Topic, (count, rate): (u32, u32), bytes_per_s: u64) -> Producer {
    let mut config = Config::new();
    let mut set = |key: &str, value: u64| config.insert(key.to_owned(), value.to_string());
    set("batch.size", stream.between(256, 8_192));
    if stream.chance(3, 4) {
        set("linger.ms", stream.between(0, 150));
    }
    if stream.chance(3, 4) {
        set("request.timeout.ms", stream.between(1_000, 10_000));
    }
    if stream.chance(1, 4) {
        set("max.in.flight.requests.per.connection", stream.between(1, 5));
    }
    if stream.chance(1, 2) {
        set("metadata.max.age.ms", stream.between(1_000, 30_000));
    }
    let copies = u64::from(count) * u64::from(rate) * u64::from(topic.replication_factor);
    let value_size = Bytes((*stream.pick(&VALUES)).min(bytes_per_s / copies.max(1)).max(VALUES[0]));
    let (strategy, keys, hot_key) = match is_compacted(topic) {
        true => (Strategy::Keyed, stream.between(2, 300) as u32, stream.below(3) as u32 * 20),
        false => (Strategy::default(), defaults::keys(), 0),
    };
    let (topic, records) = (topic.name.clone(), None);
    Producer { topic, count, rate, records, strategy, keys, hot_key, acks: Acks::All, value_size, config }
}

fn consumer(stream: &mut Stream, topic: &Topic) -> Consumer {
    let mut config = Config::new();
    let mut set = |key: &str, value: u64| config.insert(key.to_owned(), value.to_string());
    if stream.chance(1, 2) {
        set("fetch.max.wait.ms", stream.between(10, 1_000));
    }
    // Never both: a fetch that may not return as much as it waits for takes the whole fetch.max.wait.ms for each batch
    // (`DelayedFetch`), and a reader that is behind never reaches the end.
    match stream.below(4) {
        0 => drop(set("fetch.min.bytes", stream.between(1, 4_096))),
        1 => drop(set("max.partition.fetch.bytes", stream.between(1_024, 65_536))),
        _ => {}
    }
    if stream.chance(1, 2) {
        set("request.timeout.ms", stream.between(2_000, 10_000));
    }
    Consumer { topic: topic.name.clone(), assign: Assign::All, config }
}
