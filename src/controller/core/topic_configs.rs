//! Which configuration a topic may carry (Kafka's `TopicConfig`): an unknown key is refused, not stored.

enum Kind {
    /// A whole number, at least this.
    Number(i64),
    Bool,
    /// Anything.
    Text,
}

const KNOWN: &[(&str, Kind)] = &[
    ("cleanup.policy", Kind::Text),
    ("compression.type", Kind::Text),
    ("delete.retention.ms", Kind::Number(0)),
    ("file.delete.delay.ms", Kind::Number(0)),
    ("flush.messages", Kind::Number(1)),
    ("flush.ms", Kind::Number(0)),
    ("index.interval.bytes", Kind::Number(0)),
    ("max.compaction.lag.ms", Kind::Number(1)),
    ("max.message.bytes", Kind::Number(0)),
    ("message.timestamp.after.max.ms", Kind::Number(0)),
    ("message.timestamp.before.max.ms", Kind::Number(0)),
    ("message.timestamp.type", Kind::Text),
    ("min.cleanable.dirty.ratio", Kind::Text),
    ("min.compaction.lag.ms", Kind::Number(0)),
    ("min.insync.replicas", Kind::Number(1)),
    ("preallocate", Kind::Bool),
    ("retention.bytes", Kind::Number(-1)),
    ("retention.ms", Kind::Number(-1)),
    ("segment.bytes", Kind::Number(14)),
    ("segment.index.bytes", Kind::Number(4)),
    ("segment.jitter.ms", Kind::Number(0)),
    ("segment.ms", Kind::Number(1)),
    ("unclean.leader.election.enable", Kind::Bool),
];

/// Why a topic may not have this entry; `None` if it may.
pub(super) fn illegal(key: &str, value: &str) -> Option<String> {
    let Some((_, kind)) = KNOWN.iter().find(|(known, _)| *known == key) else {
        return Some(format!("Unknown topic config name: {key}"));
    };
    let fits = match kind {
        Kind::Number(min) => value.trim().parse::<i64>().is_ok_and(|n| n >= *min),
        Kind::Bool => matches!(value.trim(), "true" | "false"),
        Kind::Text => true,
    };
    (!fits).then(|| format!("Invalid value {value} for configuration {key}"))
}
