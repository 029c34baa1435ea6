//! The keys that say what a run must show.

use super::{BROKER, COUNTS, EXPECTED_GROUP, MAX_BROKERS, NODE, PERCENTS, TIMES, list, may, must, or, shape};
use crate::scenario::shape::{Kind, Shape};

pub(super) static EXPECT: Shape = shape(
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
        may(
            "permitted-loss",
            Kind::Map(&COUNTS),
            "How many acknowledged records the contract lets go, by reason; every other reason must take none.",
        ),
        may("duplicated", COUNTS, "How many records are in the log more than once."),
        may("skipped", COUNTS, "How many records readers missed because the log start had passed them."),
        may(
            "errors",
            Kind::Map(&COUNTS),
            "How many records were not acknowledged, by Kafka's error name; every other error must have hit none.",
        ),
        or("log-starts", list(&Kind::Object(&LOG_START)), "[]", "Where logs start after healing."),
        or(
            "metadata-loads",
            list(&Kind::Object(&LOAD)),
            "[]",
            "How brokers came to know the metadata when they last started.",
        ),
        or(
            "moves",
            list(&Kind::Object(&MOVE)),
            "[]",
            "A partition named here has exactly the moves listed for it, in their order.",
        ),
        or("spreads", list(&Kind::Object(&SPREAD)), "[]", "How the records of clients are spread over the partitions."),
        or("fenced", list(&Kind::Object(&FENCED)), "[]", "When brokers are fenced."),
        or("groups", list(&Kind::Object(&EXPECTED_GROUP)), "[]", "What becomes of consumer groups."),
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
    "OWN",
    "OFFS",
    "AT-LEAST-ONCE",
    "AT-MOST-ONCE",
    "EXACTLY-ONCE",
    "POLL",
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
        may("is", NODE, "Who it is."),
        may("not", NODE, "Who it is not; some other node must be it."),
    ],
    exactly_one: &[&["is", "not"]],
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

static LOG_START: Shape = shape(
    "log start",
    "The first offset that is left of a partition after healing.",
    &[must("partition", Kind::Partition, "Where."), must("between", COUNTS, "Which offset.")],
);

static LOAD: Shape = shape(
    "metadata load",
    "How a broker came to know the metadata when it last started.",
    &[
        must("broker", BROKER, "Who."),
        may("snapshot", COUNTS, "Records of the snapshot that it began with; 0 if there was none."),
        must("replayed", COUNTS, "Records that it replayed after that."),
        may("took", TIMES, "How long all of it took."),
    ],
);

static MOVE: Shape = shape(
    "move",
    "A reassignment that moves a partition to other brokers.",
    &[
        must("partition", Kind::Partition, "Which partition."),
        must("bytes", COUNTS, "Bytes of its log that the added replicas copy."),
        may("took", TIMES, "How long it takes until the old replicas are gone."),
        may("rate", COUNTS, "Bytes that are copied in a second, on the average of the move."),
    ],
);

static SPREAD: Shape = shape(
    "spread",
    "How the acknowledged records of a group of clients are spread over the partitions of its topic.",
    &[
        must("client", Kind::Name, "Which group."),
        may("least", PERCENTS, "Share of the partition that got least, in percent."),
        may("most", PERCENTS, "Share of the partition that got most, in percent."),
        may("split-keys", COUNTS, "How many keys are in more than one partition."),
    ],
);
