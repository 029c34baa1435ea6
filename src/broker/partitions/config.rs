//! The settings of this room, with Kafka's names and defaults.

use crate::base::BrokerId;
use crate::log::LogConfig;
use crate::replica::QuotaWindows;

/// How a broker keeps and replicates its partitions.
#[derive(Clone, Debug)]
pub struct PartitionsConfig {
    /// `node.id`
    pub id: BrokerId,
    /// `log.dirs`: the one directory, on the node's disk, that holds a directory per partition.
    pub log_dir: String,
    /// The listener of other brokers through which this one fetches.
    pub listener: String,
    /// The settings of every log.
    pub log: LogConfig,
    /// `min.insync.replicas` where the topic has none of its own.
    pub min_insync_replicas: usize,
    /// `replica.lag.time.max.ms`; the ISR is scanned every half of it.
    pub replica_lag_time_max_ms: u64,
    /// `replica.fetch.wait.max.ms`
    pub replica_fetch_wait_max_ms: u64,
    /// `replica.fetch.min.bytes`
    pub replica_fetch_min_bytes: i32,
    /// `replica.fetch.max.bytes`, per partition.
    pub replica_fetch_max_bytes: i32,
    /// `replica.fetch.response.max.bytes`
    pub replica_fetch_response_max_bytes: i32,
    /// `replica.fetch.backoff.ms`
    pub replica_fetch_backoff_ms: u64,
    /// `replica.socket.timeout.ms`
    pub replica_socket_timeout_ms: u64,
    /// `replication.quota.window.num` and `replication.quota.window.size.seconds`
    pub quota_windows: QuotaWindows,
    /// `socket.connection.setup.timeout.ms`
    pub connection_setup_timeout_ms: u64,
    /// `replica.high.watermark.checkpoint.interval.ms`
    pub high_watermark_checkpoint_interval_ms: u64,
    /// `log.retention.check.interval.ms`
    pub retention_check_interval_ms: u64,
    /// `log.cleaner.enable`
    pub cleaner_enable: bool,
    /// `log.cleaner.backoff.ms`
    pub cleaner_backoff_ms: u64,
    /// `log.cleaner.dedupe.buffer.size`
    pub cleaner_dedupe_buffer_bytes: u64,
    /// `log.flush.offset.checkpoint.interval.ms`
    pub recovery_checkpoint_interval_ms: u64,
    /// How long an AlterPartition that failed waits before its next try (`AlterPartitionManager`).
    pub alter_partition_backoff_ms: u64,
    /// `producer.id.expiration.ms`
    pub producer_id_expiration_ms: i64,
}

impl PartitionsConfig {
    /// Kafka's defaults.
    #[must_use]
    pub fn new(id: BrokerId, log_dir: impl Into<String>) -> Self {
        Self {
            id,
            log_dir: log_dir.into(),
            listener: "PLAINTEXT".into(),
            log: LogConfig::default(),
            min_insync_replicas: 1,
            replica_lag_time_max_ms: 30_000,
            replica_fetch_wait_max_ms: 500,
            replica_fetch_min_bytes: 1,
            replica_fetch_max_bytes: 1024 * 1024,
            replica_fetch_response_max_bytes: 10 * 1024 * 1024,
            replica_fetch_backoff_ms: 1_000,
            replica_socket_timeout_ms: 30_000,
            quota_windows: QuotaWindows::default(),
            connection_setup_timeout_ms: 10_000,
            high_watermark_checkpoint_interval_ms: 5_000,
            retention_check_interval_ms: 300_000,
            cleaner_enable: true,
            cleaner_backoff_ms: 15_000,
            cleaner_dedupe_buffer_bytes: 128 * 1024 * 1024,
            recovery_checkpoint_interval_ms: 60_000,
            alter_partition_backoff_ms: 50,
            producer_id_expiration_ms: 24 * 60 * 60 * 1000,
        }
    }
}
