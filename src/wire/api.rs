//! Which APIs each listener serves, in which versions, and which version our own nodes and clients speak.
//!
//! To serve one more API: add one line here and its two schemas to `codec/schema`. The low ends are as low as
//! `kafka-protocol` goes, so that old librdkafka clients negotiate happily.

use super::codec::Rpc;
use kafka_protocol::messages::ApiKey;
use kafka_protocol::messages::api_versions_response::ApiVersion;

/// The two listeners of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ListenerKind {
    /// Clients and other brokers (port 9092).
    Broker,
    /// The metadata quorum, and brokers that talk to the controller (port 9093).
    Controller,
}

/// One API that a listener serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Api {
    /// Its key.
    pub key: ApiKey,
    /// The oldest version that is answered.
    pub min: i16,
    /// The newest version that is answered.
    pub max: i16,
    /// The version that our own nodes and clients send.
    pub own: i16,
}

impl Api {
    /// True if `version` is answered.
    #[must_use]
    pub fn supports(&self, version: i16) -> bool {
        (self.min..=self.max).contains(&version)
    }
}

const fn api(key: ApiKey, min: i16, max: i16, own: i16) -> Api {
    Api { key, min, max, own }
}

const BROKER: &[Api] = &[
    //                           min max own
    api(ApiKey::Produce, /*       */ 3, 13, 13),
    api(ApiKey::Fetch, /*         */ 4, 18, 17),
    api(ApiKey::ListOffsets, /*   */ 1, 10, 10),
    api(ApiKey::Metadata, /*      */ 0, 13, 13),
    api(ApiKey::OffsetCommit, /*  */ 2, 9, 9),
    api(ApiKey::OffsetFetch, /*   */ 1, 9, 9),
    api(ApiKey::FindCoordinator, /**/ 0, 6, 6),
    api(ApiKey::JoinGroup, /*     */ 0, 9, 9),
    api(ApiKey::Heartbeat, /*     */ 0, 4, 4),
    api(ApiKey::LeaveGroup, /*    */ 0, 5, 5),
    api(ApiKey::SyncGroup, /*     */ 0, 5, 5),
    api(ApiKey::DescribeGroups, /**/ 0, 6, 6),
    api(ApiKey::ListGroups, /*    */ 0, 5, 5),
    api(ApiKey::ApiVersions, /*   */ 0, 4, 4),
    api(ApiKey::CreateTopics, /*  */ 2, 7, 7),
    api(ApiKey::DeleteTopics, /*  */ 1, 6, 6),
    api(ApiKey::DeleteRecords, /* */ 0, 2, 2),
    api(ApiKey::InitProducerId, /**/ 0, 5, 5),
    api(ApiKey::OffsetForLeaderEpoch, 2, 4, 4),
    api(ApiKey::DescribeConfigs, /**/ 1, 4, 4),
    api(ApiKey::AlterConfigs, /*  */ 0, 2, 2),
    api(ApiKey::DescribeLogDirs, /**/ 1, 4, 4),
    api(ApiKey::CreatePartitions, /**/ 0, 3, 3),
    api(ApiKey::DeleteGroups, /*  */ 0, 2, 2),
    api(ApiKey::ElectLeaders, /*  */ 0, 2, 2),
    api(ApiKey::IncrementalAlterConfigs, 0, 1, 1),
    api(ApiKey::AlterPartitionReassignments, 0, 1, 1),
    api(ApiKey::ListPartitionReassignments, 0, 0, 0),
    api(ApiKey::OffsetDelete, /*  */ 0, 0, 0),
    api(ApiKey::DescribeQuorum, /**/ 0, 2, 2),
    api(ApiKey::DescribeCluster, /**/ 0, 2, 2),
    api(ApiKey::UnregisterBroker, /**/ 0, 0, 0),
    api(ApiKey::ConsumerGroupHeartbeat, 0, 1, 1),
    api(ApiKey::ConsumerGroupDescribe, 0, 1, 1),
    api(ApiKey::DescribeTopicPartitions, 0, 0, 0),
];

const CONTROLLER: &[Api] = &[
    //                                min max own
    api(ApiKey::Fetch, /*              */ 4, 18, 17),
    api(ApiKey::ApiVersions, /*        */ 0, 4, 4),
    api(ApiKey::CreateTopics, /*       */ 2, 7, 7),
    api(ApiKey::DeleteTopics, /*       */ 1, 6, 6),
    api(ApiKey::AlterConfigs, /*       */ 0, 2, 2),
    api(ApiKey::CreatePartitions, /*   */ 0, 3, 3),
    api(ApiKey::ElectLeaders, /*       */ 0, 2, 2),
    api(ApiKey::IncrementalAlterConfigs, 0, 1, 1),
    api(ApiKey::AlterPartitionReassignments, 0, 1, 1),
    api(ApiKey::ListPartitionReassignments, 0, 0, 0),
    api(ApiKey::Vote, /*               */ 0, 2, 2),
    api(ApiKey::BeginQuorumEpoch, /*   */ 0, 1, 1),
    api(ApiKey::EndQuorumEpoch, /*     */ 0, 1, 1),
    api(ApiKey::DescribeQuorum, /*     */ 0, 2, 2),
    api(ApiKey::AlterPartition, /*     */ 2, 3, 3),
    api(ApiKey::Envelope, /*           */ 0, 0, 0),
    api(ApiKey::FetchSnapshot, /*      */ 0, 1, 1),
    api(ApiKey::DescribeCluster, /*    */ 0, 2, 2),
    api(ApiKey::BrokerRegistration, /* */ 0, 4, 4),
    api(ApiKey::BrokerHeartbeat, /*    */ 0, 1, 1),
    api(ApiKey::UnregisterBroker, /*   */ 0, 0, 0),
    api(ApiKey::AllocateProducerIds, /**/ 0, 0, 0),
    api(ApiKey::ControllerRegistration, 0, 0, 0),
];

/// Every API of a listener, by ascending key.
#[must_use]
pub fn table(listener: ListenerKind) -> &'static [Api] {
    match listener {
        ListenerKind::Broker => BROKER,
        ListenerKind::Controller => CONTROLLER,
    }
}

/// What a listener supports of one API; `None` if it does not serve it.
#[must_use]
pub fn lookup(listener: ListenerKind, key: ApiKey) -> Option<&'static Api> {
    table(listener).iter().find(|api| api.key == key)
}

/// The version that our own nodes and clients send. Both listeners pin the same one.
///
/// # Panics
/// If no listener serves the API: a mistake of ours, not of a peer.
#[must_use]
pub fn own_version(key: ApiKey) -> i16 {
    let api = lookup(ListenerKind::Broker, key).or_else(|| lookup(ListenerKind::Controller, key));
    api.unwrap_or_else(|| panic!("{key:?} is served by no listener")).own
}

/// [`own_version`] of a request type.
///
/// # Panics
/// As [`own_version`].
#[must_use]
pub fn own_version_of<R: Rpc>() -> i16 {
    own_version(ApiKey::try_from(R::API).expect("the key of a request type is one of the codec's"))
}

/// The table as an ApiVersions response lists it.
#[must_use]
pub fn advertised(listener: ListenerKind) -> Vec<ApiVersion> {
    let line = |api: &Api| {
        ApiVersion::default().with_api_key(api.key as i16).with_min_version(api.min).with_max_version(api.max)
    };
    table(listener).iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_supports_nothing_that_the_codec_cannot_read() {
        for listener in [ListenerKind::Broker, ListenerKind::Controller] {
            for api in table(listener) {
                let codec = api.key.valid_versions();
                assert!(codec.min <= api.min && api.max <= codec.max, "{api:?} against {codec}");
                assert!(api.supports(api.own), "we speak a version that we do not answer: {api:?}");
            }
            assert!(table(listener).is_sorted_by_key(|api| api.key as i16));
        }
    }

    #[test]
    fn both_listeners_pin_the_same_version() {
        for api in table(ListenerKind::Controller) {
            assert_eq!(own_version(api.key), api.own);
        }
    }

    #[test]
    fn an_old_librdkafka_finds_versions_that_it_knows() {
        // librdkafka 0.11 (2017): Produce 3, Fetch 4, ListOffsets 1, Metadata 2, ApiVersions 0.
        for (key, version) in [
            (ApiKey::Produce, 3),
            (ApiKey::Fetch, 4),
            (ApiKey::ListOffsets, 1),
            (ApiKey::Metadata, 2),
            (ApiKey::ApiVersions, 0),
        ] {
            assert!(lookup(ListenerKind::Broker, key).is_some_and(|api| api.supports(version)), "{key:?}");
        }
    }
}
