//! A node's configuration: Apache Kafka's own keys, values and defaults (4.x), nothing under another name.
//!
//! Only keys that this broker obeys are listed; any other is refused, so that no setting is silently ignored.

use thiserror::Error;

use crate::group::Assignors;

/// Why a configuration entry was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// No such key here.
    #[error("unknown config key {key:?}")]
    UnknownKey {
        /// The key as given.
        key: String,
    },
    /// The value does not parse or lies outside its bounds.
    #[error("config key {key:?}: {value:?} is not {expected}")]
    BadValue {
        /// The key.
        key: String,
        /// The value as given.
        value: String,
        /// What would be right.
        expected: String,
    },
}

/// A type of configuration value.
trait Value: Sized + Copy {
    fn parse(text: &str) -> Option<Self>;
    fn show(self) -> String;
    const KIND: &'static str;
}

impl Value for i64 {
    fn parse(text: &str) -> Option<Self> {
        text.trim().parse().ok()
    }
    fn show(self) -> String {
        self.to_string()
    }
    const KIND: &'static str = "a whole number";
}

impl Value for bool {
    fn parse(text: &str) -> Option<Self> {
        match text.trim() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }
    fn show(self) -> String {
        self.to_string()
    }
    const KIND: &'static str = "true or false";
}

impl Value for Assignors {
    fn parse(text: &str) -> Option<Self> {
        Self::read(text)
    }
    fn show(self) -> String {
        self.text()
    }
    const KIND: &'static str = "uniform or range, or both in the order of preference";
}

macro_rules! config {
    ($($(#[$doc:meta])* $field:ident: $ty:ty = $default:expr, $key:literal $(, $min:literal ..= $max:expr)?;)*) => {
        /// Every setting of a node, with Kafka's defaults.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct BrokerConfig { $($(#[$doc])* pub $field: $ty,)* }
        impl Default for BrokerConfig {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }
        /// Every key that [`BrokerConfig::set`] takes.
        pub const KEYS: &[&str] = &[$($key,)*];
        impl BrokerConfig {
            /// Sets one entry from its Kafka key; the value is plain text, in the unit that the key names.
            ///
            /// # Errors
            /// An unknown key, or a value of the wrong type or out of bounds; nothing is changed then.
            pub fn set(&mut self, key: &str, value: &str) -> Result<(), ConfigError> {
                match key {
                    $($key => {
                        let bad = |expected: String| ConfigError::BadValue {
                            key: key.to_owned(), value: value.to_owned(), expected,
                        };
                        let parsed = <$ty as Value>::parse(value)
                            .ok_or_else(|| bad(<$ty as Value>::KIND.to_owned()))?;
                        $(if !($min..=$max).contains(&parsed) {
                            return Err(bad(format!("between {} and {}", $min, $max)));
                        })?
                        self.$field = parsed;
                        Ok(())
                    })*
                    _ => Err(ConfigError::UnknownKey { key: key.to_owned() }),
                }
            }
            /// All entries as Kafka would describe them: key and value.
            #[must_use]
            pub fn entries(&self) -> Vec<(&'static str, String)> {
                vec![$(($key, Value::show(self.$field)),)*]
            }
        }
    };
}

const MAX: i64 = i32::MAX as i64;

config! {
    /// Members that must hold an `acks=all` batch before it counts as committed.
    min_insync_replicas: i64 = 1, "min.insync.replicas", 1 ..= MAX;
    /// Elect a replica from outside the ISR when nothing else is left.
    unclean_leader_election: bool = false, "unclean.leader.election.enable";
    /// Move leaderships back to the preferred replicas from time to time.
    auto_leader_rebalance: bool = true, "auto.leader.rebalance.enable";
    /// How long a partition may be led by another than its preferred replica before it is moved back, in seconds.
    leader_imbalance_check_interval_seconds: i64 = 300, "leader.imbalance.check.interval.seconds", 1 ..= MAX;
    /// How long a partition is without a leader before an unclean election that its topic allows is tried, in ms.
    unclean_election_interval_ms: i64 = 300_000, "unclean.leader.election.interval.ms", 1 ..= MAX;
    /// Keep track of eligible leader replicas (KIP-966).
    eligible_leader_replicas: bool = true, "eligible.leader.replicas.enable";
    /// How often a broker tells the controller that it lives, in ms.
    heartbeat_interval_ms: i64 = 2_000, "broker.heartbeat.interval.ms", 1 ..= MAX;
    /// How long the controller waits for a heartbeat before it fences the broker, in ms.
    session_timeout_ms: i64 = 9_000, "broker.session.timeout.ms", 1 ..= MAX;
    /// How long a starting broker tries to register before it gives up, in ms.
    initial_registration_timeout_ms: i64 = 60_000, "initial.broker.registration.timeout.ms", 1 ..= MAX;
    /// A stopping broker asks the controller to move its leaderships first.
    controlled_shutdown: bool = true, "controlled.shutdown.enable";
    /// A follower that has not caught up for this long leaves the ISR, in ms.
    replica_lag_time_max_ms: i64 = 30_000, "replica.lag.time.max.ms", 1 ..= MAX;
    /// How long a leader may hold a follower's fetch that has nothing to answer, in ms.
    replica_fetch_wait_max_ms: i64 = 500, "replica.fetch.wait.max.ms", 0 ..= MAX;
    /// Bytes that a follower's fetch waits for.
    replica_fetch_min_bytes: i64 = 1, "replica.fetch.min.bytes", 0 ..= MAX;
    /// Bytes that a follower asks for, per partition.
    replica_fetch_max_bytes: i64 = 1_048_576, "replica.fetch.max.bytes", 1 ..= MAX;
    /// Pause of a fetcher after an error, in ms.
    replica_fetch_backoff_ms: i64 = 1_000, "replica.fetch.backoff.ms", 0 ..= MAX;
    /// How long a fetcher waits for an answer before it gives up the connection, in ms.
    replica_socket_timeout_ms: i64 = 30_000, "replica.socket.timeout.ms", 1 ..= MAX;
    /// How many windows the rate of throttled replication is taken over.
    replication_quota_window_num: i64 = 11, "replication.quota.window.num", 1 ..= MAX;
    /// How long each of them is, in seconds.
    replication_quota_window_size_seconds: i64 = 1, "replication.quota.window.size.seconds", 1 ..= MAX;
    /// How often high watermarks are written to their checkpoint, in ms.
    replica_hw_checkpoint_interval_ms: i64 = 5_000, "replica.high.watermark.checkpoint.interval.ms", 1 ..= MAX;
    /// How long a broker waits for the controller's answer, in ms.
    controller_socket_timeout_ms: i64 = 30_000, "controller.socket.timeout.ms", 1 ..= MAX;
    /// How long a connect may take, in ms.
    socket_connection_setup_timeout_ms: i64 = 10_000, "socket.connection.setup.timeout.ms", 1 ..= MAX;
    /// How long a voter waits in an election; as much again is added at random, in ms.
    quorum_election_timeout_ms: i64 = 1_000, "controller.quorum.election.timeout.ms", 1 ..= MAX;
    /// A follower that hears nothing from the leader for this long starts an election, in ms.
    quorum_fetch_timeout_ms: i64 = 2_000, "controller.quorum.fetch.timeout.ms", 1 ..= MAX;
    /// Upper bound of the pause after a lost election, in ms.
    quorum_election_backoff_max_ms: i64 = 1_000, "controller.quorum.election.backoff.max.ms", 0 ..= MAX;
    /// How long the quorum leader gathers records into one batch, in ms.
    quorum_append_linger_ms: i64 = 25, "controller.quorum.append.linger.ms", 0 ..= MAX;
    /// How long a quorum request may take, in ms.
    quorum_request_timeout_ms: i64 = 2_000, "controller.quorum.request.timeout.ms", 1 ..= MAX;
    /// Pause before a quorum request is tried again, in ms.
    quorum_retry_backoff_ms: i64 = 20, "controller.quorum.retry.backoff.ms", 0 ..= MAX;
    /// An idle controller writes a no-op record this often, in ms; 0 never.
    metadata_max_idle_interval_ms: i64 = 500, "metadata.max.idle.interval.ms", 0 ..= MAX;
    /// Bytes of metadata records after which a snapshot is written.
    metadata_max_bytes_between_snapshots: i64 = 20_971_520, "metadata.log.max.record.bytes.between.snapshots",
        1 ..= i64::MAX;
    /// Time after which a snapshot of the metadata is written, in ms; 0 never.
    metadata_max_snapshot_interval_ms: i64 = 3_600_000, "metadata.log.max.snapshot.interval.ms", 0 ..= i64::MAX;
    /// Bytes after which a segment of the metadata log is rolled.
    metadata_log_segment_bytes: i64 = 1_073_741_824, "metadata.log.segment.bytes", 12 ..= MAX;
    /// Age after which a segment of the metadata log is rolled, in ms.
    metadata_log_segment_ms: i64 = 604_800_000, "metadata.log.segment.ms", 1 ..= i64::MAX;
    /// Bytes of metadata log and snapshots that are kept; below 0 there is no limit.
    metadata_max_retention_bytes: i64 = 104_857_600, "metadata.max.retention.bytes", -1 ..= i64::MAX;
    /// Age of metadata snapshots that are kept, in ms; below 0 there is no limit.
    metadata_max_retention_ms: i64 = 604_800_000, "metadata.max.retention.ms", -1 ..= i64::MAX;
    /// How often metadata that is kept too long is looked for, in ms. Kafka has this minute in its code
    /// (`RaftMetadataLogCleanerManager`); the key is internal.
    metadata_cleaner_interval_ms: i64 = 60_000, "internal.metadata.cleaner.interval.ms", 1 ..= i64::MAX;
    /// Bytes after which a log segment is rolled.
    log_segment_bytes: i64 = 1_073_741_824, "log.segment.bytes", 1_024 ..= MAX;
    /// Age after which a log segment is rolled, in ms.
    log_roll_ms: i64 = 604_800_000, "log.roll.ms", 1 ..= i64::MAX;
    /// Age after which a log segment is deleted, in ms; -1 never.
    log_retention_ms: i64 = 604_800_000, "log.retention.ms", -1 ..= i64::MAX;
    /// Bytes of a log beyond which its oldest segments are deleted; -1 never.
    log_retention_bytes: i64 = -1, "log.retention.bytes", -1 ..= i64::MAX;
    /// How often logs are looked through for segments to delete, in ms.
    log_retention_check_interval_ms: i64 = 300_000, "log.retention.check.interval.ms", 1 ..= i64::MAX;
    /// How long the files of a deleted segment stay, in ms.
    log_segment_delete_delay_ms: i64 = 60_000, "log.segment.delete.delay.ms", 0 ..= i64::MAX;
    /// Compact the logs whose topics ask for it.
    log_cleaner_enable: bool = true, "log.cleaner.enable";
    /// How long the cleaner waits when no log is due, in ms.
    log_cleaner_backoff_ms: i64 = 15_000, "log.cleaner.backoff.ms", 0 ..= i64::MAX;
    /// Bytes for the keys of one cleaning, 24 for each.
    log_cleaner_dedupe_buffer_size: i64 = 134_217_728, "log.cleaner.dedupe.buffer.size", 1 ..= i64::MAX;
    /// Bytes between two entries of the offset index.
    log_index_interval_bytes: i64 = 4_096, "log.index.interval.bytes", 0 ..= MAX;
    /// Records of a log that may be off the device; an append that would leave more waits until they are on it.
    log_flush_interval_messages: i64 = i64::MAX, "log.flush.interval.messages", 1 ..= i64::MAX;
    /// The largest record batch that is accepted, in bytes.
    message_max_bytes: i64 = 1_048_588, "message.max.bytes", 0 ..= MAX;
    /// A producer that was silent for this long is forgotten, in ms.
    producer_id_expiration_ms: i64 = 86_400_000, "producer.id.expiration.ms", 1 ..= MAX;
    /// Partitions of a topic that is created without a number.
    num_partitions: i64 = 1, "num.partitions", 1 ..= MAX;
    /// Replicas of a topic that is created without a number.
    default_replication_factor: i64 = 1, "default.replication.factor", 1 ..= 32_767;
    /// A client that asks for a topic which does not exist creates it.
    auto_create_topics: bool = true, "auto.create.topics.enable";
    /// Partitions of `__consumer_offsets` when it is created.
    offsets_topic_num_partitions: i64 = 50, "offsets.topic.num.partitions", 1 ..= MAX;
    /// Replicas of each of them.
    offsets_topic_replication_factor: i64 = 3, "offsets.topic.replication.factor", 1 ..= 32_767;
    /// Bytes after which a segment of it is rolled, and can be compacted later.
    offsets_topic_segment_bytes: i64 = 104_857_600, "offsets.topic.segment.bytes", 1 ..= MAX;
    /// How long the offsets of a group without members are kept, in minutes.
    offsets_retention_minutes: i64 = 10_080, "offsets.retention.minutes", 1 ..= MAX;
    /// How often the coordinator looks for offsets whose time is over, in ms.
    offsets_retention_check_interval_ms: i64 = 600_000, "offsets.retention.check.interval.ms", 1 ..= i64::MAX;
    /// How long a commit waits for the replicas of the offsets topic, in ms.
    offsets_commit_timeout_ms: i64 = 5_000, "offsets.commit.timeout.ms", 1 ..= MAX;
    /// Bytes of metadata that a commit may carry.
    offset_metadata_max_bytes: i64 = 4_096, "offset.metadata.max.bytes", 0 ..= MAX;
    /// How long an empty group waits for more members before its first rebalance, in ms.
    group_initial_rebalance_delay_ms: i64 = 3_000, "group.initial.rebalance.delay.ms", 0 ..= MAX;
    /// The shortest session that a member may ask for, in ms.
    group_min_session_timeout_ms: i64 = 6_000, "group.min.session.timeout.ms", 0 ..= MAX;
    /// The longest session that a member may ask for, in ms.
    group_max_session_timeout_ms: i64 = 1_800_000, "group.max.session.timeout.ms", 0 ..= MAX;
    /// Members of a group.
    group_max_size: i64 = MAX, "group.max.size", 1 ..= MAX;
    /// After this silence a member of the consumer protocol is fenced, in ms.
    group_consumer_session_timeout_ms: i64 = 45_000, "group.consumer.session.timeout.ms", 1 ..= MAX;
    /// How often members of the consumer protocol are told to show that they live, in ms.
    group_consumer_heartbeat_interval_ms: i64 = 5_000, "group.consumer.heartbeat.interval.ms", 1 ..= MAX;
    /// Members of a group of the consumer protocol.
    group_consumer_max_size: i64 = MAX, "group.consumer.max.size", 1 ..= MAX;
    /// The coordinator's own assignors; the first is for members that ask for none.
    group_consumer_assignors: Assignors = Assignors::default(), "group.consumer.assignors";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kafkas_own_keys_are_taken_and_others_refused() {
        let mut config = BrokerConfig::default();
        config.set("min.insync.replicas", "2").unwrap();
        config.set("unclean.leader.election.enable", "true").unwrap();
        assert_eq!((config.min_insync_replicas, config.unclean_leader_election), (2, true));
        let unknown = config.set("min.insync.replica", "2").unwrap_err();
        assert_eq!(unknown.to_string(), r#"unknown config key "min.insync.replica""#);
    }

    #[test]
    fn a_value_of_the_wrong_type_or_out_of_bounds_changes_nothing() {
        let mut config = BrokerConfig::default();
        for (key, value) in
            [("min.insync.replicas", "two"), ("min.insync.replicas", "0"), ("controlled.shutdown.enable", "1")]
        {
            let error = config.set(key, value).unwrap_err();
            assert!(matches!(error, ConfigError::BadValue { .. }), "{error}");
        }
        assert_eq!(config, BrokerConfig::default());
    }

    #[test]
    fn every_key_is_listed_once_and_describes_itself() {
        let config = BrokerConfig::default();
        let mut keys: Vec<_> = config.entries().into_iter().map(|(k, _)| k).collect();
        assert_eq!(keys, KEYS);
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), KEYS.len());
        let mut copy = BrokerConfig::default();
        for (key, value) in config.entries() {
            copy.set(key, &value).unwrap();
        }
        assert_eq!(copy, config);
    }
}
