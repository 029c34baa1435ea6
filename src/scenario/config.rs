//! Which configuration keys exist: asked of those who obey them, so that no setting is accepted and then ignored.

use super::nearest::hint;
use super::shape::ConfigScope;
use crate::broker::config::{self, BrokerConfig};

/// The configuration keys of one sort of process.
#[derive(Clone, Copy, Debug)]
pub struct ConfigTable {
    /// Every key.
    pub keys: &'static [&'static str],
    /// Says why a value is wrong for a key that exists.
    pub check: fn(&str, &str) -> Result<(), String>,
}

/// The configuration keys of brokers, producers and consumers.
#[derive(Clone, Copy, Debug)]
pub struct ConfigTables {
    /// Brokers.
    pub broker: ConfigTable,
    /// Producers.
    pub producer: ConfigTable,
    /// Consumers.
    pub consumer: ConfigTable,
}

/// What [`BrokerConfig`] takes.
pub const BROKER: ConfigTable = ConfigTable { keys: config::KEYS, check: check_broker };

fn check_broker(key: &str, value: &str) -> Result<(), String> {
    BrokerConfig::default().set(key, value).map_err(|error| error.to_string())
}

impl ConfigTables {
    /// The table of a scope.
    #[must_use]
    pub fn of(&self, scope: ConfigScope) -> &ConfigTable {
        match scope {
            ConfigScope::Broker => &self.broker,
            ConfigScope::Producer => &self.producer,
            ConfigScope::Consumer => &self.consumer,
        }
    }
}

impl ConfigTable {
    /// Says why an entry is refused.
    ///
    /// # Errors
    /// An unknown key, with the nearest one, or a value that the key does not take.
    pub fn verify(&self, key: &str, value: &str) -> Result<(), String> {
        if self.keys.contains(&key) {
            (self.check)(key, value)
        } else {
            Err(format!("unknown config key {key:?}; {}", hint(key, self.keys.iter().copied())))
        }
    }
}
