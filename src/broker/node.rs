//! One node: assembles quorum, controller, partitions and listeners, runs them, and takes them down in order.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::messages::{AlterPartitionRequest, AlterPartitionResponse};
use kafka_protocol::protocol::StrBytes;

use super::channel::ControllerChannel;
use super::controller::ControllerNode;
use super::groups::Groups;
use super::lifecycle::{Lifecycle, LifecycleError};
use super::metadata::MetadataCache;
use super::options::NodeOptions;
use super::partitions::{BoxFuture, ControllerRpc, Partitions, PartitionsConfig};
use super::probe::{Event, Probe};
use super::producer_ids::ProducerIds;
use super::publisher::Publisher;
use super::quorum::{Quorum, QuorumConfig};
use super::server;
use super::snapshot_generator::SnapshotGenerator;
use crate::base::{BrokerEpoch, BrokerId};
use crate::controller::ControllerConfig;
use crate::controller::image::Image;
use crate::group::GroupConfig;
use crate::io::disk::Disk;
use crate::io::net::Listener;
use crate::io::task::TaskSet;
use crate::log::LogConfig;
use crate::wire::api::ListenerKind;
use crate::wire::codec::lean::NodeEndpoint;

/// How long a stopping quorum member may take to hand over its leadership.
const RESIGN_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a node ended without being asked to.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// A disk or a socket failed.
    #[error("i/o error: {0}")]
    Io(#[from] io::Error),
    /// The log directory failed; with only one, a broker cannot go on.
    #[error("the log directory failed: {0}")]
    LogDirFailed(Arc<io::Error>),
    /// The node can no longer take part in the metadata quorum.
    #[error("the metadata quorum member failed: {0}")]
    Quorum(String),
    /// The controller would not have the broker.
    #[error(transparent)]
    Lifecycle(#[from] LifecycleError),
}

/// Everything that the handlers of one node share.
pub struct Node {
    pub(super) options: Arc<NodeOptions>,
    pub(super) metadata: Arc<MetadataCache>,
    pub(super) quorum: Arc<Quorum>,
    pub(super) controller: Option<Arc<ControllerNode>>,
    pub(super) partitions: Partitions,
    pub(super) groups: Arc<Groups>,
    pub(super) lifecycle: Lifecycle,
    pub(super) producer_ids: ProducerIds,
    pub(super) forwarding: ControllerChannel,
}

impl Node {
    /// Runs a node until `stop` ends (then it shuts down cleanly) or something fails that it cannot live without.
    ///
    /// Before a stopping node leaves the metadata quorum it waits for `leave`: brokers that stop together each need the
    /// controller to let them go.
    ///
    /// # Errors
    /// If a log or a listener cannot be opened, a log directory fails, or the controller refuses the broker.
    pub async fn run(
        options: NodeOptions,
        probe: Probe,
        stop: impl Future<Output = ()>,
        leave: impl Future<Output = ()>,
    ) -> Result<(), NodeError> {
        let options = Arc::new(options);
        let disk = Disk::mount(&options.log_dir)?;
        let mut tasks = TaskSet::new();
        let quorum = Quorum::start(quorum_config(&options), disk.clone(), "", probe.clone(), &mut tasks).await?;
        let channel = |purpose| ControllerChannel::new(purpose, &options, &quorum);
        let alter = Arc::new(AlterPartitionChannel { channel: channel("alter-partition"), options: options.clone() });
        let (partitions, previous_epoch) =
            Partitions::start(partitions_config(&options), disk, probe.clone(), alter, &mut tasks).await?;
        let controller = options
            .is_voter()
            .then(|| ControllerNode::start(controller_config(&options), quorum.clone(), probe.clone(), &mut tasks));
        let metadata = Arc::new(MetadataCache::default());
        let mut draw = crate::io::rng("incarnation");
        let incarnation = uuid::Uuid::from_u64_pair(draw.next_u64(), draw.next_u64());
        let groups = Groups::new(options.id, group_config(&options), partitions.clone());
        let generator = SnapshotGenerator::new(
            quorum.clone(),
            options.config.metadata_max_bytes_between_snapshots as u64,
            options.config.metadata_max_snapshot_interval_ms as u64,
        );
        let identity = (options.id, incarnation);
        let publisher = Publisher::new(&metadata, partitions.clone(), &groups, probe.clone(), identity, generator);
        tasks.spawn("metadata-publisher", publisher.run(quorum.subscribe()));
        let node = Arc::new(Self {
            lifecycle: Lifecycle::new(
                &options,
                channel("heartbeat"),
                &metadata,
                incarnation,
                previous_epoch.unwrap_or(BrokerEpoch::NONE),
            ),
            producer_ids: ProducerIds::new(options.id, channel("producer-ids")),
            forwarding: channel("forwarding"),
            options,
            metadata,
            quorum,
            controller,
            partitions,
            groups,
        });
        probe.tell(Event::Started);
        let result = node.serve(stop, leave, &mut tasks).await;
        drop(tasks);
        result
    }

    async fn serve(
        self: &Arc<Self>,
        stop: impl Future<Output = ()>,
        leave: impl Future<Output = ()>,
        tasks: &mut TaskSet,
    ) -> Result<(), NodeError> {
        tokio::pin!(stop);
        if let Some(address) = self.options.voters.get(&self.options.id) {
            let listener = Listener::bind(&address.host, address.port)?;
            server::serve(listener, ListenerKind::Controller, self.clone(), tasks);
        }
        let joined = tokio::select! {
            biased;
            () = &mut stop => None,
            failed = self.partitions.failed() => return Err(NodeError::LogDirFailed(failed)),
            reason = self.quorum.failed() => return Err(NodeError::Quorum(reason)),
            joined = self.join() => Some(joined?),
        };
        if joined.is_some() {
            let address = &self.options.broker_listener;
            let listener = Listener::bind(&address.host, address.port)?;
            server::serve(listener, ListenerKind::Broker, self.clone(), tasks);
            tokio::select! {
                biased;
                failed = self.partitions.failed() => return Err(NodeError::LogDirFailed(failed)),
                reason = self.quorum.failed() => return Err(NodeError::Quorum(reason)),
                () = self.lifecycle.run(stop) => {}
            }
        }
        leave.await;
        self.groups.stop();
        self.quorum.shutdown(RESIGN_TIMEOUT).await;
        self.partitions.shutdown().await?;
        Ok(())
    }

    /// Registers and catches up to the own registration; only then may clients come in.
    async fn join(&self) -> Result<(), NodeError> {
        let epoch = self.lifecycle.register().await?;
        self.partitions.set_broker_epoch(epoch);
        self.metadata.wait_until(|image| image.next().0 > epoch.0).await;
        tracing::info!(node = %self.options.id, %epoch, "registered");
        Ok(())
    }

    /// Where clients reach a broker.
    pub(super) fn address_of(&self, image: &Image, id: BrokerId) -> Option<(StrBytes, u16)> {
        let endpoint = image.broker(id)?.endpoints.first()?;
        Some((StrBytes::from_string(endpoint.host.to_string()), endpoint.port))
    }

    /// Ids and addresses of these brokers, each once.
    pub(super) fn endpoints_of(&self, brokers: &mut Vec<BrokerId>) -> Vec<NodeEndpoint> {
        brokers.sort_unstable();
        brokers.dedup();
        let image = self.metadata.image();
        let endpoint = |id: &BrokerId| {
            let (host, port) = self.address_of(&image, *id)?;
            Some(NodeEndpoint { node_id: id.0, host, port: port.into() })
        };
        brokers.iter().filter_map(endpoint).collect()
    }
}

/// The partitions' way to the controller.
struct AlterPartitionChannel {
    channel: ControllerChannel,
    options: Arc<NodeOptions>,
}

impl ControllerRpc for AlterPartitionChannel {
    fn alter_partition(&self, request: AlterPartitionRequest) -> BoxFuture<io::Result<AlterPartitionResponse>> {
        let channel = self.channel.clone();
        let timeout = Duration::from_millis(self.options.config.controller_socket_timeout_ms as u64);
        Box::pin(async move {
            let refused =
                |r: &AlterPartitionResponse| r.error_code == kafka_protocol::ResponseError::NotController.code();
            channel.call(&request, timeout, refused).await.map_err(|e| io::Error::new(io::ErrorKind::TimedOut, e))
        })
    }
}

fn partitions_config(options: &NodeOptions) -> PartitionsConfig {
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
        connection_setup_timeout_ms: c.socket_connection_setup_timeout_ms as u64,
        high_watermark_checkpoint_interval_ms: c.replica_hw_checkpoint_interval_ms as u64,
        producer_id_expiration_ms: c.producer_id_expiration_ms,
        // The disk is mounted at the log directory already.
        ..PartitionsConfig::new(options.id, "")
    }
}

fn group_config(options: &NodeOptions) -> GroupConfig {
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

fn controller_config(options: &NodeOptions) -> ControllerConfig {
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

fn quorum_config(options: &NodeOptions) -> QuorumConfig {
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
    }
}
