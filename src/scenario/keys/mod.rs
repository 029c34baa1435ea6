//! Every key of a scenario file: the one place that knows their names, their types, their defaults and what they mean.

mod expect;
mod faults;
mod groups;

use super::model::FIRST_CONTROLLER;
use super::shape::{Absent, ConfigScope, Key, Kind, Shape};
use expect::EXPECT;
pub use expect::PROPERTIES;
pub use faults::ACTIONS;
use faults::FAULT;
use groups::{EXPECTED_GROUP, GROUP};

const MAX: i64 = i32::MAX as i64;
/// The largest cluster that a scenario may ask for.
pub const MAX_BROKERS: i64 = 100;

const fn key(name: &'static str, kind: Kind, absent: Absent, doc: &'static str) -> Key {
    Key { name, kind, absent, doc }
}
const fn must(name: &'static str, kind: Kind, doc: &'static str) -> Key {
    key(name, kind, Absent::Refused, doc)
}
const fn may(name: &'static str, kind: Kind, doc: &'static str) -> Key {
    key(name, kind, Absent::Nothing, doc)
}
const fn or(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    key(name, kind, Absent::Default(default), doc)
}
const fn shape(name: &'static str, doc: &'static str, keys: &'static [Key]) -> Shape {
    Shape { name, doc, keys, exactly_one: &[] }
}
const fn list(of: &'static Kind) -> Kind {
    Kind::List(of, 0, usize::MAX)
}

/// The most controllers that are nodes of their own.
const MAX_CONTROLLERS: i64 = 9;

const BROKER: Kind = Kind::Integer(1, MAX_BROKERS);
/// A broker, or a separate controller.
const NODE: Kind = Kind::Integer(1, FIRST_CONTROLLER as i64 + MAX_CONTROLLERS - 1);
const TIMES: Kind = Kind::List(&Kind::Time, 2, 2);
const COUNTS: Kind = Kind::List(&Kind::Integer(0, i64::MAX), 2, 2);
const PERCENTS: Kind = Kind::List(&Kind::Number(0.0, 100.0), 2, 2);

/// The whole file.
pub static SCENARIO: Shape = shape(
    "scenario",
    "A cluster, what its clients do, what happens to it, and what must come of it.",
    &[
        must("name", Kind::Name, "Names the scenario in verdicts and reports."),
        or("story", Kind::Text, "\"\"", "What happens and why, in one paragraph."),
        or("cluster", Kind::Object(&CLUSTER), "{}", "The cluster under test."),
        or("topics", list(&Kind::Object(&TOPIC)), "[]", "The topics that exist before the clients start."),
        or("clients", list(&Kind::Object(&CLIENT)), "[]", "Who writes and who reads."),
        or("duration", Kind::Time, "\"60s\"", "Length of the chaos phase; afterwards everything is healed."),
        or("faults", list(&Kind::Object(&FAULT)), "[]", "What happens to the cluster, in any order."),
        or(
            "keep-budget",
            Kind::Bool,
            "false",
            "Faults that would exceed what the configuration promises to survive are left out.",
        ),
        or("expect", Kind::Object(&EXPECT), "{}", "What the run must show."),
    ],
);

static CLUSTER: Shape = shape(
    "cluster",
    "The cluster under test; its brokers are numbered from 1.",
    &[
        or("brokers", BROKER, "3", "How many brokers."),
        or(
            "controllers",
            Kind::OneOf(&[Kind::Choice(&["combined"]), Kind::Object(&CONTROLLERS)]),
            "\"combined\"",
            "Who votes in the metadata quorum: combined, every broker as well; or separate controllers.",
        ),
        or("config", Kind::Config(ConfigScope::Broker), "{}", "Configuration of every node, under Kafka's keys."),
        or("broker-config", Kind::BrokerConfig, "{}", "Configuration of single nodes by id; it wins over config."),
        or(
            "regions",
            Kind::Map(&Kind::List(&NODE, 1, (MAX_BROKERS + MAX_CONTROLLERS) as usize)),
            "{}",
            "The regions with their nodes; every node is in one, or there are none.",
        ),
        or(
            "region-latency",
            Kind::Map(&Kind::Map(&TIMES)),
            "{}",
            "One-way latency between two regions, least and most, the same both ways; 80 to 100 ms if it is not given.",
        ),
    ],
);

static CONTROLLERS: Shape = shape(
    "controllers",
    "Controllers that are nodes of their own; brokers follow the metadata log as observers.",
    &[must("separate", Kind::Integer(1, MAX_CONTROLLERS), "How many; their ids are 1001, 1002...")],
);

static TOPIC: Shape = shape(
    "topic",
    "A topic.",
    &[
        must("name", Kind::Name, "Its name."),
        may("partitions", Kind::Integer(1, 10_000), "How many partitions; as many as assignment lists, else 1."),
        may(
            "replication-factor",
            Kind::Integer(1, MAX_BROKERS),
            "Replicas of each partition; as many as assignment lists, else 1.",
        ),
        may(
            "assignment",
            list(&Kind::List(&BROKER, 1, MAX_BROKERS as usize)),
            "The replicas of each partition, preferred leader first; left out, the controller chooses.",
        ),
        or("config", Kind::Config(ConfigScope::Topic), "{}", "Its own configuration; it wins over the brokers'."),
    ],
);

static CLIENT: Shape = Shape {
    name: "client",
    doc: "A set of equal client processes; exactly one of producer, consumer and group.",
    keys: &[
        must("name", Kind::Name, "Names the group; its processes are NAME#0, NAME#1..."),
        may("region", Kind::Name, "The region that its processes run in; that of broker 1 if left out."),
        may("producer", Kind::Object(&PRODUCER), "Processes that write unique values."),
        may("consumer", Kind::Object(&CONSUMER), "A process that reads partitions given by hand."),
        may("group", Kind::Object(&GROUP), "Processes that are members of a consumer group."),
    ],
    exactly_one: &[&["producer", "consumer", "group"]],
};

static PRODUCER: Shape = shape(
    "producer",
    "Processes that write unique values at a fixed rate.",
    &[
        must("topic", Kind::Name, "Where to."),
        or("count", Kind::Integer(1, 1_000), "1", "How many processes."),
        or("rate", Kind::Integer(1, 100_000), "10", "Records per second of each process."),
        may("records", Kind::Integer(1, i64::MAX), "After so many records each process is done."),
        or(
            "strategy",
            Kind::Choice(&["each-in-turn", "sticky", "keyed"]),
            "\"each-in-turn\"",
            "Which partition a record goes to: each in turn, or as Kafka's producer chooses without and with a key.",
        ),
        or("keys", Kind::Integer(1, 1_000_000), "100", "How many different keys the records bear, if they are keyed."),
        or("hot-key", Kind::Integer(0, 100), "0", "How many of a hundred records bear the first key on top."),
        or(
            "acks",
            Kind::OneOf(&[Kind::Choice(&["all", "1", "0", "-1"]), Kind::Integer(-1, 1)]),
            "\"all\"",
            "When a record counts as written: all, 1 or 0.",
        ),
        or("value-size", Kind::Size, "\"100B\"", "Bytes of each value, from 16B to 1MiB."),
        or("config", Kind::Config(ConfigScope::Producer), "{}", "Producer configuration under Kafka's keys."),
    ],
);

static CONSUMER: Shape = shape(
    "consumer",
    "A process that reads partitions without a group.",
    &[
        must("topic", Kind::Name, "Where from."),
        or(
            "assign",
            Kind::OneOf(&[Kind::Choice(&["all"]), Kind::List(&Kind::Integer(0, MAX), 1, usize::MAX)]),
            "\"all\"",
            "Which partitions: all, or a list of indexes.",
        ),
        or("config", Kind::Config(ConfigScope::Consumer), "{}", "Consumer configuration under Kafka's keys."),
    ],
);
