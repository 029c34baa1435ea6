//! A node's configuration, as each of its parts takes it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::options::NodeOptions;
use super::partitions::PartitionsConfig;
use super::quorum::QuorumConfig;
use crate::base::time::NANOS_PER_MS;
use crate::controller::ControllerConfig;
use crate::group::GroupConfig;
use crate::log::LogConfig;
use crate::replica::QuotaWindows;

pub(super) fn partitions(options: &NodeOptions) -> PartitionsConfig {
    let c = &options.config;
    PartitionsConfig {
        log: LogConfig {
            segment_bytes: c.log_segment_bytes as u32,
            segment_ms: c.log_roll_ms as u64,
            index_interval_bytes: c.log_index_interval_bytes as u32,
            flush_messages: c.log_flush_interval_messages as u64,
            max_message_bytes: c.message_max_bytes as u32,
            retention_ms: c.log_retention_ms,
            retention_bytes: c.log_retention_bytes,
            file_delete_delay_ms: c.log_segment_delete_delay_ms as u64,
            ..LogConfig::default()
        },
        retention_check_interval_ms: c.log_retention_check_interval_ms as u64,
        cleaner_enable: c.log_cleaner_enable,
        cleaner_backoff_ms: c.log_cleaner_backoff_ms as u64,
        cleaner_dedupe_buffer_bytes: c.log_cleaner_dedupe_buffer_size as u64,
        min_insync_replicas: c.min_insync_replicas as usize,
        replica_lag_time_max_ms: c.replica_lag_time_max_ms as u64,
        replica_fetch_wait_max_ms: c.replica_fetch_wait_max_ms as u64,
        replica_fetch_min_bytes: c.replica_fetch_min_bytes as i32,
        replica_fetch_max_bytes: c.replica_fetch_max_bytes as i32,
        replica_fetch_backoff_ms: c.replica_fetch_backoff_ms as u64,
        replica_socket_timeout_ms: c.replica_socket_timeout_ms as u64,
        quota_windows: QuotaWindows {
            count: c.replication_quota_window_num as u64,
            length_ns: c.replication_quota_window_size_seconds as u64 * 1_000 * NANOS_PER_MS,
        },
        connection_setup_timeout_ms: c.socket_connection_setup_timeout_ms as u64,
        high_watermark_checkpoint_interval_ms: c.replica_hw_checkpoint_interval_ms as u64,
        producer_id_expiration_ms: c.producer_id_expiration_ms,
        // The disk is mounted at the log directory already.
        ..PartitionsConfig::new(options.id, "")
    }
}

pub(super) fn groups(options: &NodeOptions) -> GroupConfig {
    let c = &options.config;
    GroupConfig {
        min_session_timeout_ms: c.group_min_session_timeout_ms as i32,
        max_session_timeout_ms: c.group_max_session_timeout_ms as i32,
        initial_rebalance_delay_ms: c.group_initial_rebalance_delay_ms as u64,
        max_size: c.group_max_size as usize,
        offset_metadata_max_bytes: c.offset_metadata_max_bytes as usize,
        offsets_retention_ms: c.offsets_retention_minutes * 60_000,
        offsets_retention_check_interval_ms: c.offsets_retention_check_interval_ms as u64,
        commit_timeout_ms: c.offsets_commit_timeout_ms as u64,
        consumer_session_timeout_ms: c.group_consumer_session_timeout_ms as u64,
        consumer_heartbeat_interval_ms: c.group_consumer_heartbeat_interval_ms as i32,
        consumer_max_size: c.group_consumer_max_size as usize,
        assignors: c.group_consumer_assignors,
    }
}

pub(super) fn controller(options: &NodeOptions) -> ControllerConfig {
    let c = &options.config;
    ControllerConfig {
        me: options.id,
        cluster_id: options.cluster_id.clone(),
        session_timeout_ms: c.session_timeout_ms as u64,
        max_idle_interval_ms: c.metadata_max_idle_interval_ms as u64,
        min_insync_replicas: c.min_insync_replicas as usize,
        unclean_leader_election: c.unclean_leader_election,
        leader_imbalance_check_interval_ms: match c.auto_leader_rebalance {
            true => c.leader_imbalance_check_interval_seconds as u64 * 1_000,
            false => 0,
        },
        unclean_election_interval_ms: c.unclean_election_interval_ms as u64,
        eligible_leader_replicas: c.eligible_leader_replicas,
        num_partitions: c.num_partitions as i32,
        default_replication_factor: c.default_replication_factor as i16,
    }
}

pub(super) fn quorum(options: &NodeOptions) -> QuorumConfig {
    let c = &options.config;
    let mut raft = crate::raft::RaftConfig::new(options.voters.keys().copied());
    raft.election_timeout_ms = c.quorum_election_timeout_ms as u64;
    raft.fetch_timeout_ms = c.quorum_fetch_timeout_ms as u64;
    raft.election_backoff_max_ms = c.quorum_election_backoff_max_ms as u64;
    raft.append_linger_ms = c.quorum_append_linger_ms as u64;
    raft.request_timeout_ms = c.quorum_request_timeout_ms as u64;
    raft.retry_backoff_ms = c.quorum_retry_backoff_ms as u64;
    QuorumConfig {
        me: options.id,
        cluster_id: options.cluster_id.clone(),
        voters: options.voters.iter().map(|(id, a)| (*id, (a.host.clone(), a.port))).collect::<BTreeMap<_, _>>(),
        client_id: format!("raft-client-{}", options.id),
        raft,
        log: LogConfig {
            segment_bytes: c.metadata_log_segment_bytes as u32,
            segment_ms: c.metadata_log_segment_ms as u64,
            ..LogConfig::default()
        },
        retention: crate::raft::Limits {
            max_bytes: c.metadata_max_retention_bytes,
            max_ms: c.metadata_max_retention_ms,
        },
        clean_interval: Duration::from_millis(c.metadata_cleaner_interval_ms as u64),
    }
}
