//! Which configuration keys exist: asked of those who obey them, so that no setting is accepted and then ignored.

use super::shape::ConfigScope;
use crate::base::nearest::hint;
use crate::broker::config::{self, BrokerConfig};
use crate::client::config::{ConsumerConfig, ProducerConfig};

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

/// What topics may set for themselves, under Kafka's names for topics, and the broker's key that each one overrides.
const TOPIC_KEYS: [(&str, &str); 2] = [
    ("min.insync.replicas", "min.insync.replicas"),
    ("unclean.leader.election.enable", "unclean.leader.election.enable"),
];

/// What brokers obey of a topic's own configuration.
pub const TOPIC: ConfigTable = ConfigTable {
    keys: || TOPIC_KEYS.iter().map(|(key, _)| *key).collect(),
    check: |key, value| {
        let broker = TOPIC_KEYS.iter().find(|(topic, _)| *topic == key).map_or(key, |(_, broker)| broker);
        BrokerConfig::default().set(broker, value).map_err(|error| error.to_string())
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
        if self.knows(key) {
            (self.check)(key, value)
        } else {
            Err(format!("unknown config key {key:?}; {}", hint(key, (self.keys)())))
        }
    }
    /// True if there is such a key.
    #[must_use]
    pub fn knows(&self, key: &str) -> bool {
        (self.keys)().contains(&key)
    }
}
