//! Every key of a scenario file: the one place that knows their names, their types, their defaults and what they mean.

use super::shape::{Absent, ConfigScope, Key, Kind, Shape};

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

const BROKER: Kind = Kind::Integer(1, MAX_BROKERS);
const TIMES: Kind = Kind::List(&Kind::Time, 2, 2);
const COUNTS: Kind = Kind::List(&Kind::Integer(0, i64::MAX), 2, 2);
const PERCENTS: Kind = Kind::List(&Kind::Number(0.0, 100.0), 2, 2);
const WHO: Kind = Kind::OneOf(&[Kind::Object(&TARGET), Kind::Choice(&["controller", "all-brokers"])]);

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
            "Power cuts and crashes that would exceed what the configuration promises to survive are left out.",
        ),
        or("expect", Kind::Object(&EXPECT), "{}", "What the run must show."),
    ],
);

static CLUSTER: Shape = shape(
    "cluster",
    "The cluster under test; its brokers are numbered from 1.",
    &[
        or("brokers", BROKER, "3", "How many brokers."),
        or("controllers", Kind::Choice(&["combined"]), "\"combined\"", "Every broker is a quorum voter as well."),
        or("config", Kind::Config(ConfigScope::Broker), "{}", "Configuration of every broker, under Kafka's keys."),
        or("broker-config", Kind::BrokerConfig, "{}", "Configuration of single brokers by id; it wins over config."),
    ],
);

static TOPIC: Shape = shape(
    "topic",
    "A topic that exists before the clients start.",
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
    ],
);

static CLIENT: Shape = Shape {
    name: "client",
    doc: "A group of equal client processes; exactly one of producer and consumer.",
    keys: &[
        must("name", Kind::Name, "Names the group; its processes are NAME#0, NAME#1..."),
        may("producer", Kind::Object(&PRODUCER), "Processes that write unique values."),
        may("consumer", Kind::Object(&CONSUMER), "A process that reads partitions given by hand."),
    ],
    exactly_one: &["producer", "consumer"],
};

static PRODUCER: Shape = shape(
    "producer",
    "Processes that write unique values at a fixed rate.",
    &[
        must("topic", Kind::Name, "Where to."),
        or("count", Kind::Integer(1, 1_000), "1", "How many processes."),
        or("rate", Kind::Integer(1, 100_000), "10", "Records per second of each process."),
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

/// The keys that say what a fault does.
pub const ACTIONS: &[&str] = &["power-cut", "crash", "stop", "start", "pause", "resume", "cut", "isolate", "heal"];

static FAULT: Shape = Shape {
    name: "fault",
    doc: "Something that happens to the cluster at a moment; exactly one action.",
    keys: &[
        must("at", Kind::Time, "When, from the start of the chaos phase."),
        may("power-cut", WHO, "The node is gone with all that was not on its disk; its peers hear nothing more."),
        may("crash", WHO, "The process dies; its kernel keeps the page cache and resets its connections."),
        may("stop", WHO, "The process is asked to end: it hands its leaderships over and closes its logs cleanly."),
        may("start", WHO, "A node that is down boots; one that is stopping boots once it has ended."),
        may("pause", WHO, "The process stands still (SIGSTOP) while its kernel goes on."),
        may("resume", WHO, "A paused process goes on."),
        may("cut", Kind::Object(&CUT), "Packets between two nodes are dropped."),
        may("isolate", WHO, "Packets between a node and all other nodes are dropped, both ways."),
        may("heal", Kind::Choice(&["all"]), "Ends every cut and isolate."),
    ],
    exactly_one: ACTIONS,
};

static TARGET: Shape = Shape {
    name: "target",
    doc: "Who is hit, resolved at that moment; exactly one key. The words controller and all-brokers stand alone.",
    keys: &[may("broker", BROKER, "This broker."), may("leader-of", Kind::Partition, "The leader of this partition.")],
    exactly_one: &["broker", "leader-of"],
};

static CUT: Shape = shape(
    "cut",
    "A cut between two nodes.",
    &[
        must("from", WHO, "One side."),
        must("to", WHO, "The other side."),
        or("one-way", Kind::Bool, "false", "Drop only packets from `from` to `to`."),
    ],
);

static EXPECT: Shape = shape(
    "expect",
    "What the run must show; everything is checked from measurement.",
    &[
        or(
            "violations",
            list(&Kind::Choice(PROPERTIES)),
            "[]",
            "Properties that must be violated; none but these may be.",
        ),
        or(
            "outages",
            list(&Kind::Object(&OUTAGE)),
            "[]",
            "A partition named here has exactly the outages listed for it, in their order.",
        ),
        or("no-outage", Kind::Bool, "false", "No partition has an outage other than those of outages."),
        or("states", list(&Kind::Object(&STATE)), "[]", "What the committed metadata says at given moments."),
        or("controller", list(&Kind::Object(&CONTROLLER)), "[]", "Who is the active controller at given moments."),
        or(
            "availability",
            list(&Kind::Object(&AVAILABILITY)),
            "[]",
            "Percent of the time in which partitions take writes.",
        ),
        may("lost", COUNTS, "How many acknowledged records are lost, permitted loss included."),
        may("duplicated", COUNTS, "How many records are in the log more than once."),
        or("fenced", list(&Kind::Object(&FENCED)), "[]", "When brokers are fenced."),
        or("rejoined", list(&Kind::Object(&REJOINED)), "[]", "When brokers are back in every ISR."),
    ],
);

/// The properties that the oracles judge; a scenario may expect the violation of any.
pub const PROPERTIES: &[&str] = &[
    "ACK",
    "LC",
    "LCC",
    "LM",
    "CR",
    "HW",
    "SISR",
    "DENSE",
    "ORDER",
    "NO-PHANTOM",
    "RAFT-LEADER",
    "RAFT-COMMIT",
    "META-PREFIX",
    "CTRL-STATE",
];

static OUTAGE: Shape = shape(
    "outage",
    "One outage of a partition, as long as the bounds say.",
    &[
        must("partition", Kind::Partition, "Where."),
        must("between", TIMES, "Its whole length."),
        may("undetected", TIMES, "The phase until the cluster noticed."),
        may("election", TIMES, "The phase until a leader could commit again."),
        may("clients", TIMES, "The phase until the clients were served."),
    ],
);

static STATE: Shape = shape(
    "state",
    "The state of a partition at a moment.",
    &[
        must("at", Kind::Time, "When."),
        must("partition", Kind::Partition, "Where."),
        may("leader", Kind::Integer(-1, MAX_BROKERS), "Its leader; -1 for none."),
        may("isr", list(&BROKER), "Its in-sync replicas, in any order."),
    ],
);

static CONTROLLER: Shape = Shape {
    name: "active controller",
    doc: "The active controller at a moment; exactly one of is and not.",
    keys: &[
        must("at", Kind::Time, "When."),
        may("is", BROKER, "Who it is."),
        may("not", BROKER, "Who it is not; some other node must be it."),
    ],
    exactly_one: &["is", "not"],
};

static AVAILABILITY: Shape = shape(
    "availability",
    "The availability of a partition.",
    &[must("partition", Kind::Partition, "Where."), must("between", PERCENTS, "In percent of the chaos phase.")],
);

static FENCED: Shape = shape(
    "fencing",
    "A moment at which a broker is fenced.",
    &[must("broker", BROKER, "Who."), must("between", TIMES, "When.")],
);

static REJOINED: Shape = shape(
    "rejoin",
    "A broker's return to the ISR of every partition that it has a replica of.",
    &[must("broker", BROKER, "Who."), must("between", TIMES, "When the last of its partitions has it back.")],
);
