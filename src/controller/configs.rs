//! Which dynamic configuration topics and brokers may carry (Kafka's `LogConfig`, `DynamicBrokerConfig`): an unknown key is
//! refused, not stored.
//!
//! Most topic keys have a broker key that holds for topics without an entry of their own. Those broker keys, and the few
//! that belong to brokers alone, may be changed while brokers run.

use super::image::{
    FOLLOWER_THROTTLED_RATE, FOLLOWER_THROTTLED_REPLICAS, LEADER_THROTTLED_RATE, LEADER_THROTTLED_REPLICAS,
};
use super::throttled;

/// The type of a value, as DescribeConfigs names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A 32-bit number, at least this.
    Int(i64),
    /// A 64-bit number, at least this.
    Long(i64),
    /// A fraction between 0 and 1.
    Ratio,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Some of these words, with commas between them.
    Words(&'static [&'static str]),
    /// A list of throttled replicas.
    Replicas,
}

impl Kind {
    /// Kafka's code (`DescribeConfigsResponse.ConfigType`).
    #[must_use]
    pub fn code(self) -> i8 {
        match self {
            Self::Bool => 1,
            Self::Word(_) => 2,
            Self::Int(_) => 3,
            Self::Long(_) => 5,
            Self::Ratio => 6,
            Self::Words(_) | Self::Replicas => 7,
        }
    }

    /// True if values can be appended and subtracted.
    #[must_use]
    pub fn is_list(self) -> bool {
        matches!(self, Self::Words(_) | Self::Replicas)
    }

    fn fits(self, value: &str) -> bool {
        let value = value.trim();
        match self {
            Self::Bool => matches!(value, "true" | "false"),
            Self::Int(min) => value.parse::<i32>().is_ok_and(|n| i64::from(n) >= min),
            Self::Long(min) => value.parse::<i64>().is_ok_and(|n| n >= min),
            Self::Ratio => value.parse::<f64>().is_ok_and(|x| (0.0..=1.0).contains(&x)),
            Self::Word(words) => words.contains(&value),
            Self::Words(words) => !value.is_empty() && value.split(',').all(|w| words.contains(&w.trim())),
            Self::Replicas => throttled::is_list(value),
        }
    }
}

/// One key of a topic.
#[derive(Clone, Copy, Debug)]
pub struct TopicKey {
    /// Its name.
    pub name: &'static str,
    /// The type of its value.
    pub kind: Kind,
    /// The broker key that holds where a topic has no entry; none if there is only the default.
    pub broker_key: Option<&'static str>,
    /// Kafka's default.
    pub default: &'static str,
}

const fn key(name: &'static str, kind: Kind, broker_key: &'static str, default: &'static str) -> TopicKey {
    TopicKey { name, kind, broker_key: Some(broker_key), default }
}

/// A key of a topic that no broker key stands in for.
const fn own(name: &'static str, kind: Kind, default: &'static str) -> TopicKey {
    TopicKey { name, kind, broker_key: None, default }
}

const CLEANUP: Kind = Kind::Words(&["delete", "compact"]);
const COMPRESSION: Kind = Kind::Word(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]);
const TIMESTAMP: Kind = Kind::Word(&["CreateTime", "LogAppendTime"]);

/// Every key that a topic may carry, in the order of their names.
pub const TOPIC_KEYS: &[TopicKey] = &[
    key("cleanup.policy", CLEANUP, "log.cleanup.policy", "delete"),
    key("compression.type", COMPRESSION, "compression.type", "producer"),
    key("delete.retention.ms", Kind::Long(0), "log.cleaner.delete.retention.ms", "86400000"),
    key("file.delete.delay.ms", Kind::Long(0), "log.segment.delete.delay.ms", "60000"),
    key("flush.messages", Kind::Long(1), "log.flush.interval.messages", "9223372036854775807"),
    key("flush.ms", Kind::Long(0), "log.flush.interval.ms", "9223372036854775807"),
    own(FOLLOWER_THROTTLED_REPLICAS, Kind::Replicas, ""),
    key("index.interval.bytes", Kind::Int(0), "log.index.interval.bytes", "4096"),
    own(LEADER_THROTTLED_REPLICAS, Kind::Replicas, ""),
    key("max.compaction.lag.ms", Kind::Long(1), "log.cleaner.max.compaction.lag.ms", "9223372036854775807"),
    key("max.message.bytes", Kind::Int(0), "message.max.bytes", "1048588"),
    key("message.timestamp.after.max.ms", Kind::Long(0), "log.message.timestamp.after.max.ms", "3600000"),
    key("message.timestamp.before.max.ms", Kind::Long(0), "log.message.timestamp.before.max.ms", "9223372036854775807"),
    key("message.timestamp.type", TIMESTAMP, "log.message.timestamp.type", "CreateTime"),
    key("min.cleanable.dirty.ratio", Kind::Ratio, "log.cleaner.min.cleanable.ratio", "0.5"),
    key("min.compaction.lag.ms", Kind::Long(0), "log.cleaner.min.compaction.lag.ms", "0"),
    key("min.insync.replicas", Kind::Int(1), "min.insync.replicas", "1"),
    key("preallocate", Kind::Bool, "log.preallocate", "false"),
    key("retention.bytes", Kind::Long(-1), "log.retention.bytes", "-1"),
    key("retention.ms", Kind::Long(-1), "log.retention.ms", "604800000"),
    key("segment.bytes", Kind::Int(14), "log.segment.bytes", "1073741824"),
    key("segment.index.bytes", Kind::Int(4), "log.index.size.max.bytes", "10485760"),
    key("segment.jitter.ms", Kind::Long(0), "log.roll.jitter.ms", "0"),
    key("segment.ms", Kind::Long(1), "log.roll.ms", "604800000"),
    key("unclean.leader.election.enable", Kind::Bool, "unclean.leader.election.enable", "false"),
];

/// A topic key by its name.
#[must_use]
pub fn topic_key(name: &str) -> Option<&'static TopicKey> {
    TOPIC_KEYS.iter().find(|k| k.name == name)
}

/// One key that brokers take while they run.
#[derive(Clone, Copy, Debug)]
pub struct BrokerKey {
    /// Its name.
    pub name: &'static str,
    /// The type of its value.
    pub kind: Kind,
    /// Kafka's default.
    pub default: &'static str,
}

/// The keys that belong to brokers alone.
const BROKER_KEYS: [BrokerKey; 2] = [
    BrokerKey { name: FOLLOWER_THROTTLED_RATE, kind: Kind::Long(0), default: "9223372036854775807" },
    BrokerKey { name: LEADER_THROTTLED_RATE, kind: Kind::Long(0), default: "9223372036854775807" },
];

/// Every key that brokers take while they run.
pub fn broker_keys() -> impl Iterator<Item = BrokerKey> {
    let behind = |k: &TopicKey| k.broker_key.map(|name| BrokerKey { name, kind: k.kind, default: k.default });
    BROKER_KEYS.into_iter().chain(TOPIC_KEYS.iter().filter_map(behind))
}

/// A key that brokers take while they run, by its name.
#[must_use]
pub fn broker_key(name: &str) -> Option<BrokerKey> {
    broker_keys().find(|k| k.name == name)
}

/// Why a topic may not have this entry; `None` if it may.
#[must_use]
pub fn illegal(key: &str, value: &str) -> Option<String> {
    let Some(known) = topic_key(key) else { return Some(format!("Unknown topic config name: {key}")) };
    unfit(known.kind, key, value)
}

/// Why brokers cannot take this entry while they run; `None` if they can.
#[must_use]
pub fn illegal_for_brokers(key: &str, value: &str) -> Option<String> {
    let Some(known) = broker_key(key) else {
        return Some(format!("Cannot update these configs dynamically: Set({key})"));
    };
    unfit(known.kind, key, value)
}

fn unfit(kind: Kind, key: &str, value: &str) -> Option<String> {
    (!kind.fits(value)).then(|| format!("Invalid value {value} for configuration {key}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_stands_once_in_order_and_its_default_is_legal() {
        assert!(TOPIC_KEYS.is_sorted_by(|a, b| a.name < b.name));
        for key in TOPIC_KEYS {
            assert_eq!(illegal(key.name, key.default), None);
        }
        let mut names: Vec<_> = broker_keys().map(|k| k.name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "a broker key stands behind two keys");
        for key in broker_keys() {
            assert_eq!(illegal_for_brokers(key.name, key.default), None);
        }
    }

    #[test]
    fn values_are_checked_by_their_kind() {
        let bad = [
            ("min.insync.replicas", "0"),
            ("min.insync.replicas", "two"),
            ("max.message.bytes", "2147483648"),
            ("retention.ms", "-2"),
            ("cleanup.policy", "compact,shred"),
            ("cleanup.policy", ""),
            ("message.timestamp.type", "createtime"),
            ("min.cleanable.dirty.ratio", "1.5"),
            ("unclean.leader.election.enable", "yes"),
            ("leader.replication.throttled.replicas", "0:1,1"),
            ("follower.replication.throttled.replicas", "*,0:1"),
            ("leader.replication.throttled.rate", "1000"),
            ("no.such.key", "1"),
        ];
        for (key, value) in bad {
            assert!(illegal(key, value).is_some(), "{key}={value}");
        }
        let good = [
            ("cleanup.policy", "compact,delete"),
            ("retention.ms", "-1"),
            ("min.insync.replicas", " 3 "),
            ("leader.replication.throttled.replicas", "*"),
            ("follower.replication.throttled.replicas", "0:1, 12:3"),
            ("follower.replication.throttled.replicas", ""),
        ];
        for (key, value) in good {
            assert_eq!(illegal(key, value), None, "{key}={value}");
        }
        assert!(illegal_for_brokers("node.id", "1").is_some() && illegal_for_brokers("log.roll.ms", "0").is_some());
        assert_eq!(illegal_for_brokers("log.roll.ms", "1"), None);
        for rate in ["-1", "fast", "9223372036854775808"] {
            assert!(illegal_for_brokers("leader.replication.throttled.rate", rate).is_some(), "{rate}");
        }
        assert_eq!(illegal_for_brokers("follower.replication.throttled.rate", "0"), None);
        assert!(illegal_for_brokers("leader.replication.throttled.replicas", "*").is_some(), "topics have that one");
    }
}
