//! The features of the cluster: what a new one starts with, and what a broker must support to join.

use kafka_protocol::messages::broker_registration_request::Feature;
use kafka_protocol::protocol::StrBytes;

use super::alter_configs;
use super::turn::Turn;
use crate::controller::image::MIN_INSYNC_REPLICAS;
use crate::wire::records::{ConfigRecord, FeatureLevelRecord};

/// The feature that names the version of the metadata log.
pub const METADATA_VERSION: &str = "metadata.version";
/// The feature that turns on eligible leader replicas (KIP-966).
pub const ELIGIBLE_LEADER_REPLICAS: &str = "eligible.leader.replicas.version";
/// `metadata.version` of Apache Kafka 4.1 (4.1-IV1).
pub const METADATA_VERSION_4_1: i16 = 27;

/// `metadata.version` of 3.7-IV0, the first that knows registrations of controllers (KIP-919).
pub const METADATA_VERSION_3_7: i16 = 15;

/// The ranges that our brokers support: what they send when they register.
#[must_use]
pub fn broker_features() -> Vec<Feature> {
    // 7 is 3.3-IV3, the first one that KRaft upgrades from in 4.x.
    [(METADATA_VERSION, 7, METADATA_VERSION_4_1), (ELIGIBLE_LEADER_REPLICAS, 0, 1)]
        .into_iter()
        .map(|(name, min, max)| {
            let name = StrBytes::from_static_str(name);
            Feature::default().with_name(name).with_min_supported_version(min).with_max_supported_version(max)
        })
        .collect()
}

/// Writes what an empty metadata log starts with (Kafka's `ActivationRecordsGenerator`), as one atomic batch.
pub(super) fn bootstrap(turn: &mut Turn<'_>) {
    turn.write(FeatureLevelRecord { name: METADATA_VERSION.into(), feature_level: METADATA_VERSION_4_1 });
    if turn.config.eligible_leader_replicas {
        turn.write(FeatureLevelRecord { name: ELIGIBLE_LEADER_REPLICAS.into(), feature_level: 1 });
        // Whoever counts eligible replicas must know the minimum that the whole cluster keeps.
        turn.write(ConfigRecord {
            resource_type: alter_configs::BROKER,
            resource_name: "".into(),
            name: MIN_INSYNC_REPLICAS.into(),
            value: Some(turn.config.min_insync_replicas.to_string().into()),
        });
    }
}

/// True if a broker with these ranges can run at the cluster's levels. A feature that it does not name it knows only
/// at its oldest level: 1 for `metadata.version`, 0 (off) for any other.
pub(super) fn supported(turn: &Turn<'_>, ranges: &[Feature]) -> bool {
    turn.image().features().all(|(name, level)| match ranges.iter().find(|f| &*f.name == name) {
        Some(f) => (f.min_supported_version..=f.max_supported_version).contains(&level),
        None => level == i16::from(name == METADATA_VERSION),
    })
}
