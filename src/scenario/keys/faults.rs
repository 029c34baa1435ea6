//! The keys of faults: when, whom, what.

use super::{BROKER, MAX, NODE, TOPIC, may, must, or, shape};
use crate::scenario::model::EventName;
use crate::scenario::shape::{ConfigScope, Kind, Shape};

const WORDS: Kind = Kind::Choice(&["controller", "voter", "any-broker", "all-brokers"]);
const WHO: Kind = Kind::OneOf(&[Kind::Object(&TARGET), WORDS]);
const GROUPS: Kind = Kind::List(&Kind::List(&Kind::OneOf(&[NODE, Kind::Text]), 1, usize::MAX), 2, usize::MAX);

/// The keys that say what a fault does.
pub const ACTIONS: &[&str] = &[
    "power-cut",
    "crash",
    "stop",
    "start",
    "wipe",
    "pause",
    "freeze",
    "resume",
    "cut",
    "isolate",
    "partition",
    "bridge",
    "heal",
    "slow-link",
    "lossy-link",
    "corrupt-frames",
    "clog",
    "reset-connections",
    "delay-request",
    "disk-stall",
    "disk-slow",
    "disk-error",
    "disk-full",
    "bit-rot",
    "misdirect",
    "clock-drift",
    "clock-step",
    "poison",
    "create-topic",
    "add-partitions",
    "move-leader",
    "elect-preferred",
    "set-config",
    "reassign",
    "join",
    "leave",
];

pub(super) static FAULT: Shape = Shape {
    name: "fault",
    doc: "Something that happens to the cluster; exactly one of at and after, and exactly one action.",
    keys: &[
        may("at", Kind::Time, "When, from the start of the chaos phase."),
        may("after", Kind::Object(&AFTER), "What it waits for; it never happens if that never comes about."),
        may("every", Kind::Time, "It happens again and again, so long after one another."),
        may("until", Kind::Time, "The moment after which it does not happen again."),
        may("for", Kind::Time, "How long it lasts; it then ends by itself: what is down starts, what is cut heals."),
        may("power-cut", WHO, "The node is gone with all that was not on its disk; its peers hear nothing more."),
        may("crash", WHO, "The process dies; its kernel keeps the page cache and resets its connections."),
        may("stop", WHO, "The process is asked to end: it hands its leaderships over and closes its logs cleanly."),
        may("start", WHO, "A node that is down boots; one that is stopping boots once it has ended."),
        may("wipe", WHO, "The process dies and the logs of its partitions are gone; metadata log and votes stay."),
        may("pause", WHO, "The process stands still (SIGSTOP) while its kernel goes on."),
        may("freeze", WHO, "The whole virtual machine stands still, its kernel too."),
        may("resume", WHO, "What was paused or frozen goes on."),
        may("cut", Kind::Object(&LINK), "Packets between two nodes are dropped."),
        may("isolate", WHO, "Packets between a node and all other nodes are dropped, both ways."),
        may("partition", Kind::Object(&PARTITION), "Packets between different groups are dropped."),
        may("bridge", Kind::Object(&BRIDGE), "As partition, but one broker goes on to reach everybody."),
        may("heal", Kind::Choice(&["all"]), "Every link works as at first: ends cuts, slowness, loss and clogs."),
        may("slow-link", Kind::Object(&SLOW_LINK), "A link takes longer or carries less."),
        may("lossy-link", Kind::Object(&LOSSY_LINK), "A link loses segments, which TCP sends again later."),
        may("corrupt-frames", Kind::Object(&CORRUPT_FRAMES), "Frames arrive with a flipped bit, past TCP's checksum."),
        may("clog", Kind::Object(&LINK), "A link holds everything back without losing it."),
        may("reset-connections", Kind::Object(&PAIR), "The connections between two nodes are reset."),
        may("delay-request", Kind::Object(&DELAY_REQUEST), "Requests arrive late, perhaps after their own retry."),
        may("disk-stall", WHO, "The disk answers no more; what was asked of it waits."),
        may("disk-slow", Kind::Object(&DISK_SLOW), "The disk is slow."),
        may("disk-error", Kind::Object(&DISK_ERROR), "Operations of the disk fail with EIO."),
        may("disk-full", Kind::Object(&DISK_FULL), "The disk has no room left: ENOSPC."),
        may("bit-rot", Kind::Object(&BIT_ROT), "Bits flip in what is durable of a partition's log."),
        may("misdirect", Kind::Object(&MISDIRECT), "A page of a partition's log is written in the place of another."),
        may("clock-drift", Kind::Object(&CLOCK_DRIFT), "The clocks run too fast or too slow."),
        may("clock-step", Kind::Object(&CLOCK_STEP), "The wall clock jumps."),
        may("poison", Kind::Object(&POISON), "A producer writes records that nobody can process."),
        may("create-topic", Kind::Object(&TOPIC), "An admin client creates a topic."),
        may("add-partitions", Kind::Object(&ADD_PARTITIONS), "An admin client adds partitions to a topic."),
        may("move-leader", Kind::Object(&MOVE_LEADER), "An admin client has another replica lead a partition."),
        may(
            "elect-preferred",
            Kind::OneOf(&[Kind::Choice(&["all"]), Kind::Object(&PARTITION_ONLY)]),
            "An admin client has preferred replicas elected, of one partition or of all.",
        ),
        may("set-config", Kind::Object(&SET_CONFIG), "An admin client changes dynamic configuration."),
        may("reassign", Kind::Object(&REASSIGN), "An admin client moves a partition to other brokers."),
        may(
            "join",
            Kind::Object(&COMER),
            "A broker comes to the cluster, or members of a group start that did not run.",
        ),
        may(
            "leave",
            Kind::Object(&COMER),
            "A broker that had joined is unregistered; members leave their group and end.",
        ),
    ],
    exactly_one: &[&["at", "after"], ACTIONS],
};

static AFTER: Shape = Shape {
    name: "milestone",
    doc: "What a fault waits for; exactly one of acked, consumed, processed, committed and event.",
    keys: &[
        may("acked", Kind::Integer(1, i64::MAX), "So many records were acknowledged in all."),
        may("consumed", Kind::Integer(1, i64::MAX), "So many records were read by clients in all."),
        may("processed", Kind::Integer(1, i64::MAX), "So many records were processed by members of groups in all."),
        may("committed", Kind::Integer(1, i64::MAX), "The committed offsets of all groups amount to so much in all."),
        may("event", Kind::Choice(EventName::NAMES), "The first such event since the chaos phase began."),
        may("partition", Kind::Partition, "Only an event of this partition counts."),
        may("broker", NODE, "Only an event of this node counts: it is elected, comes, goes, cuts its log."),
        may("group", Kind::Name, "Only an event of this consumer group counts."),
        or("delay", Kind::Time, "\"0s\"", "How long after that."),
    ],
    exactly_one: &[&["acked", "consumed", "processed", "committed", "event"]],
};

static TARGET: Shape = Shape {
    name: "target",
    doc: "Who is hit, resolved at that moment; exactly one key. The words controller, voter, any-broker and all-brokers \
          stand alone.",
    keys: &[
        may("broker", BROKER, "This broker."),
        may("node", NODE, "This node, be it a broker or a separate controller (1001, 1002...)."),
        may("client", Kind::Text, "These clients: all of a group by its NAME, or one of them by NAME#i."),
        may("leader-of", Kind::Partition, "The leader of this partition."),
        may("follower-of", Kind::Partition, "One of this partition's replicas that does not lead it."),
        may("isr-member-of", Kind::Partition, "One of the members of this partition's ISR."),
        may("coordinator-of", Kind::Name, "The broker that coordinates this consumer group."),
        may("region", Kind::Name, "Every node of this region."),
    ],
    exactly_one: &[&[
        "broker",
        "node",
        "client",
        "leader-of",
        "follower-of",
        "isr-member-of",
        "coordinator-of",
        "region",
    ]],
};

static LINK: Shape = shape(
    "link",
    "A link between two nodes.",
    &[
        must("from", WHO, "One side."),
        must("to", WHO, "The other side."),
        or("one-way", Kind::Bool, "false", "Only the way from `from` to `to`."),
    ],
);

static PAIR: Shape = shape("pair", "Two nodes.", &[must("from", WHO, "One side."), must("to", WHO, "The other side.")]);

static PARTITION: Shape = shape(
    "network partition",
    "Groups that do not reach one another; whoever is in none reaches everybody.",
    &[must("groups", GROUPS, "Each a list of node ids and client names.")],
);

static BRIDGE: Shape = shape(
    "bridge",
    "Groups that do not reach one another, and a node that reaches them all.",
    &[
        must("groups", GROUPS, "Each a list of node ids and client names."),
        must("over", NODE, "The node that reaches everybody; it is in no group."),
    ],
);

static SLOW_LINK: Shape = shape(
    "slow link",
    "A link that takes longer or carries less; what is left out stays as it was.",
    &[
        must("from", WHO, "One side."),
        must("to", WHO, "The other side."),
        or("one-way", Kind::Bool, "false", "Only the way from `from` to `to`."),
        may("latency", Kind::Time, "What everything takes at least."),
        may("jitter", Kind::Time, "Up to so much more."),
        may("bandwidth", Kind::Size, "Bytes per second."),
    ],
);

static LOSSY_LINK: Shape = shape(
    "lossy link",
    "A link that loses segments.",
    &[
        must("from", WHO, "One side."),
        must("to", WHO, "The other side."),
        or("one-way", Kind::Bool, "false", "Only the way from `from` to `to`."),
        must("percent", Kind::Number(0.0, 100.0), "How many of a hundred segments are lost."),
    ],
);

static CORRUPT_FRAMES: Shape = shape(
    "corrupt frames",
    "A link on which frames are damaged where their receiver can see it.",
    &[
        must("from", WHO, "One side."),
        must("to", WHO, "The other side."),
        or("one-way", Kind::Bool, "false", "Only what goes from `from` to `to`."),
        must("percent", Kind::Number(0.0, 100.0), "How many of a hundred frames are damaged."),
    ],
);

static DELAY_REQUEST: Shape = shape(
    "delayed request",
    "Requests that are held back on their way.",
    &[
        must("api", Kind::Name, "Kafka's name of the API, like Produce."),
        must("from", WHO, "Who sends them."),
        must("to", WHO, "To whom."),
        must("by", Kind::Time, "How long each is held back, and with it what follows on its connection."),
        or("count", Kind::Integer(1, MAX), "1", "How many requests."),
    ],
);

static DISK_SLOW: Shape = shape(
    "slow disk",
    "A disk that is slow.",
    &[
        must("on", WHO, "Whose."),
        or("latency", Kind::Time, "\"100ms\"", "What every operation takes more."),
        may("bandwidth", Kind::Size, "Bytes per second."),
    ],
);

static DISK_ERROR: Shape = shape(
    "disk error",
    "A disk whose operations fail.",
    &[
        must("on", WHO, "Whose."),
        must("op", Kind::Choice(&["read", "append", "sync"]), "Which operations."),
        or("count", Kind::Integer(1, MAX), "1", "How many of them."),
    ],
);

static DISK_FULL: Shape = shape(
    "full disk",
    "A disk without room.",
    &[must("on", WHO, "Whose."), or("left", Kind::Size, "\"0B\"", "How much room is left.")],
);

static BIT_ROT: Shape = shape(
    "bit rot",
    "Bits of what is durable flip.",
    &[
        must("on", WHO, "Whose disk."),
        may("partition", Kind::Partition, "In whose log; in one that the node has a replica of, if left out."),
        or("bits", Kind::Integer(1, 1_000_000), "1", "How many."),
    ],
);

static MISDIRECT: Shape = shape(
    "misdirected write",
    "A page that is written in the place of another.",
    &[
        must("on", WHO, "Whose disk."),
        may("partition", Kind::Partition, "In whose log; in one that the node has a replica of, if left out."),
    ],
);

static POISON: Shape = shape(
    "poison",
    "Records that nobody can process.",
    &[
        must("by", WHO, "The producer that writes them."),
        must("kind", Kind::Choice(&["malformed-json", "handler-error"]), "What is wrong with them."),
        may(
            "record",
            Kind::Integer(0, i64::MAX),
            "The first of them, in the producer's own count from 0; the next one.",
        ),
        or("count", Kind::Integer(1, MAX), "1", "How many, one after the other."),
    ],
);

static CLOCK_DRIFT: Shape = shape(
    "clock drift",
    "Clocks at a wrong rate.",
    &[
        must("on", WHO, "Whose."),
        must("ppm", Kind::Integer(-500_000, 500_000), "Parts per million too fast, or too slow if negative."),
    ],
);

static CLOCK_STEP: Shape = shape(
    "clock step",
    "A wall clock that jumps.",
    &[must("on", WHO, "Whose."), must("by", Kind::Shift, "How far; backward if negative.")],
);

static ADD_PARTITIONS: Shape = shape(
    "more partitions",
    "A topic that gets more partitions, wherever the controller puts them.",
    &[must("topic", Kind::Name, "Which."), must("total", Kind::Integer(2, 10_000), "How many it has then.")],
);

static MOVE_LEADER: Shape = shape(
    "move of a leader",
    "A replica that becomes the preferred one of its partition, and is elected if it is in sync.",
    &[must("partition", Kind::Partition, "Which partition."), must("to", BROKER, "The replica.")],
);

static PARTITION_ONLY: Shape =
    shape("one partition", "One partition.", &[must("partition", Kind::Partition, "Which.")]);

static SET_CONFIG: Shape = shape(
    "dynamic configuration",
    "Entries that a topic, a broker or all brokers (if neither is given) get while they run.",
    &[
        may("topic", Kind::Name, "A topic's."),
        may("broker", BROKER, "A broker's."),
        must("config", Kind::Config(ConfigScope::Dynamic), "The entries, under Kafka's keys; null deletes one."),
    ],
);

static REASSIGN: Shape = shape(
    "reassignment",
    "A partition that moves to other brokers.",
    &[
        must("partition", Kind::Partition, "Which."),
        must("replicas", Kind::List(&BROKER, 1, 100), "All replicas that it has then, preferred leader first."),
    ],
);

static COMER: Shape = Shape {
    name: "who joins or leaves",
    doc: "Who joins or leaves; exactly one of broker and client.",
    keys: &[
        may("broker", BROKER, "A broker, which is no part of the cluster before it joins."),
        may("client", Kind::Text, "Members of a group: all of a client by its NAME, or one of them by NAME#i."),
    ],
    exactly_one: &[&["broker", "client"]],
};
