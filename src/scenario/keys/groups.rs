//! The keys of applications that are members of consumer groups, and of what must become of them.

use super::{COUNTS, MAX, TIMES, list, may, must, or, shape};
use crate::scenario::shape::{ConfigScope, Kind, Shape};

const OFFSETS: Kind = Kind::List(&Kind::Object(&PARTITION_OFFSETS), 0, usize::MAX);

pub(super) static GROUP: Shape = shape(
    "group",
    "An application: processes that share the partitions of topics and process every record.",
    &[
        may("id", Kind::Name, "Kafka's group.id; the client's name if left out."),
        must("topics", Kind::List(&Kind::Name, 1, usize::MAX), "Where from."),
        or("count", Kind::Integer(1, 1_000), "1", "How many processes."),
        may("start", Kind::Integer(0, 1_000), "How many run from the beginning; the others wait for a join. All."),
        or(
            "style",
            Kind::Choice(&["commit-then-process", "process-then-commit", "auto-commit"]),
            "\"process-then-commit\"",
            "When it commits.",
        ),
        may(
            "delivery",
            Kind::Choice(&["at-least-once", "at-most-once", "exactly-once"]),
            "What its owners believe that it does, which is then checked; by default what its style gives.",
        ),
        or(
            "hand-off",
            Kind::Bool,
            "false",
            "What was polled is handed to a task of its own, and polling goes on; only with style auto-commit.",
        ),
        or(
            "processing",
            Kind::OneOf(&[Kind::Time, TIMES]),
            "\"1ms\"",
            "How long each record takes: a time, or the least and the most.",
        ),
        or(
            "on-poison",
            Kind::Choice(&["crash", "skip", "dead-letter"]),
            "\"crash\"",
            "What it does with a record that it cannot process.",
        ),
        may("dead-letter-topic", Kind::Name, "Where such records go; stands only beside on-poison dead-letter."),
        or(
            "effect",
            Kind::Choice(&["none", "insert", "insert-transaction-id", "upsert", "check-then-act"]),
            "\"none\"",
            "What processing a record does to the application's store, a table with a primary key.",
        ),
        may("restart-after", Kind::Time, "A supervisor starts a process so long after it has died."),
        or("static-members", Kind::Bool, "false", "Each process has its name as its group.instance.id (KIP-345)."),
        or("config", Kind::Config(ConfigScope::Consumer), "{}", "Consumer configuration under Kafka's keys."),
    ],
);

pub(super) static EXPECTED_GROUP: Shape = shape(
    "expected group",
    "What must become of one consumer group.",
    &[
        must("id", Kind::Name, "Its id."),
        may("skipped", OFFSETS, "Exactly these offsets are committed past and never processed."),
        may("repeated", OFFSETS, "Exactly these offsets are processed more than once."),
        may("passed-over", OFFSETS, "Exactly these offsets are passed over because they cannot be processed."),
        may("dead-letters", OFFSETS, "Exactly these offsets go to the dead-letter topic, each with its headers."),
        may("skipped-count", COUNTS, "How many offsets are skipped."),
        may("repeated-count", COUNTS, "How many offsets are processed more than once."),
        may("processed", COUNTS, "How many records are processed, repetitions included."),
        may("crashes", COUNTS, "How often a process dies of a record."),
        may("expelled", COUNTS, "How often a member is expelled."),
        may("rebalances", COUNTS, "How many rebalances are completed."),
        may("stop-the-world", TIMES, "The longest time that a member which owned partitions owns none in a rebalance."),
        may("effects", COUNTS, "How many effects the records have on the store."),
        may("suppressed", COUNTS, "How many repetitions have no effect."),
        or("throughput", list(&Kind::Object(&THROUGHPUT)), "[]", "Records processed in 10 s."),
        or("lag", list(&Kind::Object(&LAG)), "[]", "How far it is behind at given moments."),
        or("owners", list(&Kind::Object(&OWNERS)), "[]", "Who owns partitions at given moments."),
        or("committed", list(&Kind::Object(&COMMITTED)), "[]", "What is committed at the end."),
        or("stuck", Kind::Bool, "false", "It never reaches the end, not even after healing."),
    ],
);

static PARTITION_OFFSETS: Shape = shape(
    "offsets",
    "Offsets of a partition.",
    &[must("partition", Kind::Partition, "Where."), must("offsets", COUNTS, "The first and the last, both included.")],
);

static THROUGHPUT: Shape = shape(
    "throughput",
    "How fast records are processed.",
    &[
        must("from", Kind::Time, "The beginning of the span."),
        must("to", Kind::Time, "Its end."),
        must("between", COUNTS, "Records in 10 s, as the mean over the span."),
    ],
);

static LAG: Shape = shape(
    "lag",
    "How far a group is behind at a moment.",
    &[must("at", Kind::Time, "When."), must("between", COUNTS, "Records that can be read and are not yet processed.")],
);

static OWNERS: Shape = shape(
    "owners",
    "Who owns partitions at a moment.",
    &[
        must("at", Kind::Time, "When."),
        may("busy", Kind::Integer(0, MAX), "How many members own partitions."),
        may("idle", Kind::Integer(0, MAX), "How many members own none."),
        may("partitions", Kind::Integer(0, MAX), "How many partitions have exactly one owner."),
    ],
);

static COMMITTED: Shape = shape(
    "commit",
    "What is committed of a partition at the end.",
    &[must("partition", Kind::Partition, "Where."), must("between", COUNTS, "The offset of the next record to come.")],
);
