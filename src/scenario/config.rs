//! Which configuration keys exist: asked of those who obey them, so that no setting is accepted and then ignored.

use super::shape::ConfigScope;
use crate::base::nearest::hint;
use crate::broker::config::{self, BrokerConfig};
use crate::client::config::{ConsumerConfig, ProducerConfig};
use crate::controller::configs;

/// The configuration keys of one sort of process.
#[derive(Clone, Copy, Debug)]
pub struct ConfigTable {
    /// Every key that a scenario may set.
    pub keys: fn() -> Vec<&'static str>,
    /// Says why a value is wrong for a key that exists.
    pub check: fn(&str, &str) -> Result<(), String>,
}

/// What brokers obey.
pub const BROKER: ConfigTable = ConfigTable {
    keys: || config::KEYS.to_vec(),
    check: |key, value| BrokerConfig::default().set(key, value).map_err(|error| error.to_string()),
};

/// What brokers obey of a topic's own configuration; a topic may carry more, but nothing would come of it.
const TOPIC_KEYS: &[&str] = &[
    "cleanup.policy",
    "delete.retention.ms",
    "file.delete.delay.ms",
    "flush.messages",
    "follower.replication.throttled.replicas",
    "index.interval.bytes",
    "leader.replication.throttled.replicas",
    "max.compaction.lag.ms",
    "max.message.bytes",
    "min.cleanable.dirty.ratio",
    "min.compaction.lag.ms",
    "min.insync.replicas",
    "retention.bytes",
    "retention.ms",
    "segment.bytes",
    "segment.index.bytes",
    "segment.ms",
    "unclean.leader.election.enable",
];

/// What topics may set for themselves.
pub const TOPIC: ConfigTable =
    ConfigTable { keys: || TOPIC_KEYS.to_vec(), check: |key, value| configs::illegal(key, value).map_or(Ok(()), Err) };

/// What brokers obey of the dynamic configuration of all of them or of one.
const DYNAMIC_BROKER_KEYS: &[&str] = &[
    "follower.replication.throttled.rate",
    "leader.replication.throttled.rate",
    "message.max.bytes",
    "min.insync.replicas",
    "unclean.leader.election.enable",
];

/// What can be set for brokers while they run.
pub const DYNAMIC_BROKER: ConfigTable = ConfigTable {
    keys: || DYNAMIC_BROKER_KEYS.to_vec(),
    check: |key, value| configs::illegal_for_brokers(key, value).map_or(Ok(()), Err),
};

/// What can be set while brokers run, for topics or for brokers.
pub const DYNAMIC: ConfigTable = ConfigTable {
    keys: || {
        let own = DYNAMIC_BROKER_KEYS.iter().filter(|key| !TOPIC_KEYS.contains(key));
        TOPIC_KEYS.iter().chain(own).copied().collect()
    },
    check: |key, value| match TOPIC.knows(key) {
        true => (TOPIC.check)(key, value),
        false => (DYNAMIC_BROKER.check)(key, value),
    },
};

/// What producers obey.
pub const PRODUCER: ConfigTable = ConfigTable {
    keys: || without_own(ProducerConfig::keys()),
    check: |key, value| ProducerConfig::default().set(key, value).map_err(|error| error.to_string()),
};

/// What consumers obey.
pub const CONSUMER: ConfigTable = ConfigTable {
    keys: || without_own(ConsumerConfig::keys()),
    check: |key, value| ConsumerConfig::default().set(key, value).map_err(|error| error.to_string()),
};

/// Client configuration that the scenario itself provides, from the cluster and from the fields of the client.
const OWN: [&str; 3] = ["bootstrap.servers", "client.id", "acks"];

fn without_own(mut keys: Vec<&'static str>) -> Vec<&'static str> {
    keys.retain(|key| !OWN.contains(key));
    keys
}

/// The table of a scope.
#[must_use]
pub fn table(scope: ConfigScope) -> ConfigTable {
    match scope {
        ConfigScope::Broker => BROKER,
        ConfigScope::Topic => TOPIC,
        ConfigScope::Dynamic => DYNAMIC,
        ConfigScope::Producer => PRODUCER,
        ConfigScope::Consumer => CONSUMER,
    }
}

impl ConfigTable {
    /// Says why an entry is refused.
    ///
    /// # Errors
    /// An unknown key, with the nearest one, or a value that the key does not take.
    pub fn verify(&self, key: &str, value: &str) -> Result<(), String> {
        self.verify_key(key)?;
        (self.check)(key, value)
    }
    /// Says why an entry may not even be deleted.
    ///
    /// # Errors
    /// An unknown key, with the nearest one.
    pub fn verify_key(&self, key: &str) -> Result<(), String> {
        if self.knows(key) {
            return Ok(());
        }
        Err(format!("unknown config key {key:?}; {}", hint(key, (self.keys)())))
    }
    /// True if there is such a key.
    #[must_use]
    pub fn knows(&self, key: &str) -> bool {
        (self.keys)().contains(&key)
    }
}
