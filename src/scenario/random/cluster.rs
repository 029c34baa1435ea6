//! Topology, configuration and topics of a drawn scenario.

use crate::base::BrokerId;
use crate::base::random::Stream;
use crate::broker::config::KEYS;
use crate::scenario::model::{Cluster, Config, Controllers, Topic};

/// The most replicas of a partition.
const MAX_REPLICAS: u64 = 5;
/// The most partitions of all topics together.
const MAX_PARTITIONS: u32 = 50;

/// How many brokers, each as often as it stands here: clusters of three are what bugs were found in most, and others
/// hide others.
const BROKERS: [u32; 20] = [1, 2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 4, 4, 4, 5, 5, 5, 5, 6, 7];
/// How many controllers are nodes of their own, each as often as it stands here; with 0 every broker is one as well.
const CONTROLLERS: [u32; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 3, 3, 1, 5];
/// How many partitions a topic has.
const PARTITIONS: [u32; 14] = [1, 1, 2, 3, 3, 4, 6, 6, 6, 8, 9, 12, 16, 40];
/// How many replicas a partition has, if there are brokers enough.
const REPLICAS: [u64; 12] = [1, 2, 3, 3, 3, 3, 3, 3, 3, 3, 4, 5];
/// `min.cleanable.dirty.ratio`.
const RATIOS: [&str; 4] = ["0.0", "0.01", "0.1", "0.3"];
/// `min.insync.replicas`.
const MIN_ISR: [u64; 10] = [1, 2, 2, 2, 2, 2, 2, 2, 3, 3];

/// A setting that is drawn: its key, how many times in a hundred it is, and from where to where.
struct Knob(&'static str, u64, u64, u64);

/// The settings besides those that hang together. A key that the brokers do not know is drawn and left out, so that the
/// other draws stay what they are when it comes to be known.
const KNOBS: [Knob; 19] = [
    Knob("replica.lag.time.max.ms", 70, 1_500, 15_000),
    Knob("replica.fetch.wait.max.ms", 50, 20, 600),
    Knob("replica.fetch.backoff.ms", 50, 50, 1_000),
    Knob("replica.fetch.max.bytes", 50, 1_024, 32_768),
    Knob("replica.high.watermark.checkpoint.interval.ms", 60, 200, 16_000),
    Knob("log.index.interval.bytes", 40, 256, 8_192),
    Knob("controller.quorum.append.linger.ms", 30, 0, 50),
    Knob("controller.quorum.election.backoff.max.ms", 30, 100, 2_000),
    Knob("metadata.max.idle.interval.ms", 20, 200, 2_000),
    Knob("metadata.log.max.record.bytes.between.snapshots", 70, 2_048, 16_384),
    Knob("metadata.log.segment.bytes", 60, 4_096, 24_576),
    Knob("metadata.max.retention.bytes", 40, 4_096, 32_768),
    Knob("replica.socket.timeout.ms", 50, 2_000, 20_000),
    Knob("controller.socket.timeout.ms", 50, 2_000, 20_000),
    Knob("log.retention.bytes", 25, 20_000, 120_000),
    Knob("log.retention.ms", 25, 3_000, 30_000),
    Knob("log.retention.check.interval.ms", 75, 300, 5_000),
    Knob("log.segment.delete.delay.ms", 50, 0, 5_000),
    Knob("internal.metadata.cleaner.interval.ms", 60, 500, 20_000),
];

/// The brokers.
pub(super) fn cluster(stream: &mut Stream) -> Cluster {
    Cluster { brokers: *stream.pick(&BROKERS), ..Cluster::default() }
}

/// Who votes in the metadata quorum.
pub(super) fn controllers(stream: &mut Stream) -> Controllers {
    match *stream.pick(&CONTROLLERS) {
        0 => Controllers::Combined,
        separate => Controllers::Separate(separate),
    }
}

/// What all nodes are set to.
pub(super) fn config(stream: &mut Stream) -> Config {
    let mut config = Config::new();
    let mut set = |key: &str, drawn: bool, value: u64| {
        if drawn && KEYS.contains(&key) {
            config.insert(key.to_owned(), value.to_string());
        }
    };
    set("min.insync.replicas", true, *stream.pick(&MIN_ISR));
    // Segments small enough to roll, and larger than any batch of the drawn producers.
    set("log.segment.bytes", stream.chance(95, 100), stream.between(12 << 10, 40 << 10));
    let (session, drawn) = (stream.between(1_500, 9_000), stream.chance(75, 100));
    set("broker.session.timeout.ms", drawn, session);
    set("broker.heartbeat.interval.ms", drawn, session / stream.between(3, 5));
    let (fetch, drawn) = (stream.between(600, 3_000), stream.chance(50, 100));
    set("controller.quorum.fetch.timeout.ms", drawn, fetch);
    set("controller.quorum.request.timeout.ms", drawn, fetch);
    set("controller.quorum.election.timeout.ms", drawn, stream.between(300, 1_500));
    for Knob(key, percent, low, high) in KNOBS {
        set(key, stream.chance(percent, 100), stream.between(low, high));
    }
    config
}

/// The topics, with their replicas assigned so that the fault budget is known beforehand.
pub(super) fn topics(stream: &mut Stream, cluster: &Cluster) -> Vec<Topic> {
    let mut left = MAX_PARTITIONS;
    let mut topics = Vec::new();
    for n in 0..=stream.below(3).min(stream.below(3)) {
        let partitions = (*stream.pick(&PARTITIONS)).min(left);
        let replicas = (*stream.pick(&REPLICAS)).min(MAX_REPLICAS).min(u64::from(cluster.brokers));
        if partitions > 0 {
            let assignment = (0..partitions).map(|_| replicas_of(stream, cluster, replicas as usize)).collect();
            let (name, replication_factor) = (format!("t{n}"), replicas as u32);
            topics.push(Topic { name, partitions, replication_factor, assignment, config: Config::new() });
        }
        left -= partitions;
    }
    topics
}

/// Lets the cleaner compact some of the topics, in a third of all scenarios; returns what brokers are set to for that.
pub(super) fn compaction(stream: &mut Stream, topics: &mut [Topic]) -> Config {
    let mut config = Config::new();
    if !stream.chance(1, 3) {
        return config;
    }
    for topic in topics {
        if stream.chance(2, 3) {
            topic.config = compacted(stream);
        }
    }
    config.insert("log.cleaner.backoff.ms".to_owned(), stream.between(100, 3_000).to_string());
    if stream.chance(1, 3) {
        // Room for so few keys that one cleaning does not come to the end of what is dirty.
        config.insert("log.cleaner.dedupe.buffer.size".to_owned(), (24 * stream.between(20, 200)).to_string());
    }
    config
}

fn compacted(stream: &mut Stream) -> Config {
    let mut config = Config::new();
    let mut set = |key: &str, value: &str| config.insert(key.to_owned(), value.to_owned());
    let also_deleted = stream.chance(1, 4);
    set("cleanup.policy", if also_deleted { "compact,delete" } else { "compact" });
    // As in `config`: larger than any batch of the drawn producers.
    set("segment.bytes", &stream.between(12 << 10, 20 << 10).to_string());
    let ratio = stream.pick(&RATIOS);
    set("min.cleanable.dirty.ratio", ratio);
    for (key, low, high) in
        [("delete.retention.ms", 100, 20_000), ("min.compaction.lag.ms", 100, 5_000), ("segment.ms", 1_000, 20_000)]
    {
        if stream.chance(1, 3) {
            set(key, &stream.between(low, high).to_string());
        }
    }
    config
}

/// True if the cleaner compacts a topic: its records must bear keys.
pub(super) fn is_compacted(topic: &Topic) -> bool {
    topic.config.get("cleanup.policy").is_some_and(|policy| policy.contains("compact"))
}

fn replicas_of(stream: &mut Stream, cluster: &Cluster, count: usize) -> Vec<BrokerId> {
    let mut ids: Vec<_> = cluster.ids().collect();
    stream.shuffle(&mut ids);
    ids.truncate(count);
    ids
}
