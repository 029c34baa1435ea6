//! The APIs that a fault may name, under Kafka's names: those that a broker serves on either listener.

use kafka_protocol::messages::ApiKey;

use crate::wire::api::{ListenerKind, table};

fn all() -> impl Iterator<Item = (String, ApiKey)> {
    let both = [ListenerKind::Broker, ListenerKind::Controller].into_iter().flat_map(|l| table(l).iter());
    both.map(|api| (format!("{:?}", api.key), api.key))
}

/// The number of the API with this name; `None` if nobody serves it.
#[must_use]
pub fn key(name: &str) -> Option<i16> {
    all().find(|(known, _)| known == name).map(|(_, key)| key as i16)
}

/// Every name, once.
#[must_use]
pub fn names() -> Vec<String> {
    let mut names: Vec<_> = all().map(|(name, _)| name).collect();
    names.sort_unstable();
    names.dedup();
    names
}
