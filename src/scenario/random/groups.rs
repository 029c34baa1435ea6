//! Consumer groups of a drawn scenario: applications that share topics, and what brokers are set to for them.
//!
//! Timeouts are short enough to run out within the chaos phase, and long enough for a group to get anywhere. Every
//! application claims what its style gives, so that each of its promises is judged.

use crate::base::random::Stream;
use crate::scenario::model::{Client, Cluster, Config, Effect, Group, OnPoison, Role, Style, Topic};
use crate::scenario::units::{Between, Millis};

/// Members of a group.
const MEMBERS: [u64; 10] = [1, 2, 2, 3, 3, 3, 4, 4, 5, 6];
/// How partitions are shared out.
const ASSIGNORS: [&str; 6] =
    ["range", "roundrobin", "sticky", "cooperative-sticky", "cooperative-sticky", "range,cooperative-sticky"];
/// When an application commits.
const STYLES: [Style; 6] = [
    Style::ProcessThenCommit,
    Style::ProcessThenCommit,
    Style::CommitThenProcess,
    Style::CommitThenProcess,
    Style::AutoCommit,
    Style::AutoCommit,
];
/// What those ask for whom the coordinator assigns to; none takes the coordinator's first.
const REMOTE_ASSIGNORS: [Option<&str>; 3] = [None, Some("uniform"), Some("range")];
/// What a consumer may not be told when the coordinator assigns.
const CLASSIC_ALONE: [&str; 3] = ["partition.assignment.strategy", "session.timeout.ms", "heartbeat.interval.ms"];
/// Replicas of the offsets topic, if there are brokers enough.
const REPLICAS: [u64; 10] = [1, 2, 3, 3, 3, 3, 3, 3, 4, 5];

/// What is drawn here.
#[derive(Default)]
pub(super) struct Drawn {
    /// What all brokers are set to.
    pub config: Config,
    /// The applications.
    pub clients: Vec<Client>,
}

/// One group or two, in every other scenario.
pub(super) fn groups(stream: &mut Stream, cluster: &Cluster, topics: &[Topic]) -> Drawn {
    if !stream.chance(1, 2) || topics.is_empty() {
        return Drawn::default();
    }
    let config = config(stream, cluster);
    let count = if stream.chance(1, 3) { 2 } else { 1 };
    let clients = (0..count).map(|n| Client {
        name: format!("group-{n}"),
        region: None,
        role: Role::Group(group(stream, topics)),
    });
    Drawn { clients: clients.collect(), config }
}

/// Lets a third of the groups speak the consumer protocol (KIP-848). Returns what brokers are set to for it: session and
/// heartbeat are theirs to say.
pub(super) fn next_generation(stream: &mut Stream, clients: &mut [Client]) -> Config {
    let mut config = Config::new();
    for client in clients {
        let Role::Group(group) = &mut client.role else { continue };
        if !stream.chance(1, 3) {
            continue;
        }
        group.config.retain(|key, _| !CLASSIC_ALONE.contains(&key.as_str()));
        group.config.insert("group.protocol".to_owned(), "consumer".to_owned());
        if let Some(assignor) = stream.pick(&REMOTE_ASSIGNORS) {
            group.config.insert("group.remote.assignor".to_owned(), (*assignor).to_owned());
        }
        let session = stream.between(1_500, 9_000);
        let mut set = |key: &str, value: u64| config.insert(key.to_owned(), value.to_string());
        set("group.consumer.session.timeout.ms", session);
        set("group.consumer.heartbeat.interval.ms", session / stream.between(3, 6));
    }
    config
}

/// Lets what is committed age within minutes in half of the scenarios with groups: clocks that jump make it old in no time.
pub(super) fn retention(stream: &mut Stream) -> Config {
    let mut config = Config::new();
    if stream.chance(1, 2) {
        let mut set = |key: &str, value: u64| config.insert(key.to_owned(), value.to_string());
        set("offsets.retention.minutes", stream.between(1, 10));
        set("offsets.retention.check.interval.ms", stream.between(300, 8_000));
    }
    config
}

fn config(stream: &mut Stream, cluster: &Cluster) -> Config {
    let mut config = Config::new();
    let mut set = |key: &str, value: u64| config.insert(key.to_owned(), value.to_string());
    set("offsets.topic.num.partitions", *stream.pick(&[1, 1, 2, 3, 5]));
    set("offsets.topic.replication.factor", (*stream.pick(&REPLICAS)).min(u64::from(cluster.brokers)));
    set("group.min.session.timeout.ms", 500);
    set("group.initial.rebalance.delay.ms", if stream.chance(1, 4) { 0 } else { stream.between(1, 3_000) });
    if stream.chance(1, 2) {
        // Small enough to roll: what coordinators load is compacted then.
        set("offsets.topic.segment.bytes", stream.between(4 << 10, 32 << 10));
        set("log.cleaner.backoff.ms", stream.between(200, 3_000));
    }
    if stream.chance(1, 2) {
        set("offsets.retention.check.interval.ms", stream.between(300, 8_000));
    }
    if stream.chance(1, 4) {
        set("offsets.commit.timeout.ms", stream.between(500, 5_000));
    }
    config
}

fn group(stream: &mut Stream, topics: &[Topic]) -> Group {
    let mut names: Vec<_> = topics.iter().map(|topic| topic.name.clone()).collect();
    stream.shuffle(&mut names);
    names.truncate(if stream.chance(1, 3) { 2 } else { 1 });
    let count = *stream.pick(&MEMBERS) as u32;
    // Those who do not start join in a storm, or never.
    let start = stream.chance(1, 4).then(|| stream.between(1, u64::from(count)) as u32);
    let most = Millis(stream.between(0, 3));
    Group {
        id: None,
        topics: names,
        count,
        start,
        style: *stream.pick(&STYLES),
        delivery: None,
        hand_off: false,
        processing: Between(Millis(0), most),
        on_poison: OnPoison::Crash,
        dead_letter_topic: None,
        effect: Effect::None,
        // A process whose instance was fenced is of no more use: somebody must start it again.
        restart_after: Some(Millis(stream.between(100, 5_000))),
        static_members: stream.chance(1, 4),
        config: consumer(stream),
    }
}

fn consumer(stream: &mut Stream) -> Config {
    let mut config = Config::new();
    let assignor = *stream.pick(&ASSIGNORS);
    config.insert("partition.assignment.strategy".to_owned(), assignor.to_owned());
    let mut set = |key: &str, value: u64| config.insert(key.to_owned(), value.to_string());
    let session = stream.between(1_500, 9_000);
    set("session.timeout.ms", session);
    set("heartbeat.interval.ms", session / stream.between(3, 6));
    // Never Kafka's own five minutes: so long a rebalance waits for its members, and a member for a coordinator that is
    // silent, which is longer than anybody waits for convergence.
    set("max.poll.interval.ms", stream.between(5_000, 30_000));
    set("auto.commit.interval.ms", stream.between(200, 5_000));
    if stream.chance(1, 3) {
        set("max.poll.records", stream.between(1, 100));
    }
    if stream.chance(1, 2) {
        set("request.timeout.ms", stream.between(2_000, 10_000));
    }
    if stream.chance(1, 2) {
        set("metadata.max.age.ms", stream.between(1_000, 30_000));
    }
    config
}
