//! One node: whatever roles it plays (`process.roles`), assembled, run, and taken down in order.
//!
//! Both roles share the metadata quorum and what is replayed of it ([`Common`], Kafka's SharedServer). A broker adds
//! partitions, groups and a life at the controller; a controller adds its core and its listener
//! ([`ControllerServer`]). A node that is a broker alone follows the metadata log as an observer.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::messages::{AlterPartitionRequest, AlterPartitionResponse};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::channel::ControllerChannel;
use super::controller::ControllerServer;
use super::groups::Groups;
use super::lifecycle::{Lifecycle, LifecycleError};
use super::metadata::MetadataCache;
use super::options::{Address, NodeOptions};
use super::partitions::{BoxFuture, ControllerRpc, Partitions};
use super::probe::{Event, Probe};
use super::producer_ids::ProducerIds;
use super::publisher::{BrokerSide, Publisher};
use super::quorum::Quorum;
use super::snapshot_generator::SnapshotGenerator;
use super::{server, settings};
use crate::base::{BrokerEpoch, BrokerId};
use crate::controller::image::Image;
use crate::io::disk::Disk;
use crate::io::net::Listener;
use crate::io::task::TaskSet;
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

/// What both roles of a node rest on.
pub(super) struct Common {
    pub(super) options: Arc<NodeOptions>,
    pub(super) metadata: Arc<MetadataCache>,
    pub(super) quorum: Arc<Quorum>,
    pub(super) probe: Probe,
    /// Drawn anew at each start of the process.
    pub(super) incarnation: Uuid,
}

impl Common {
    /// A way to the active controller that calls itself `purpose`.
    pub(super) fn channel(&self, purpose: &str) -> ControllerChannel {
        ControllerChannel::new(purpose, &self.options, &self.quorum)
    }
    fn start_publisher(&self, broker: Option<BrokerSide>, tasks: &mut TaskSet) {
        let config = &self.options.config;
        let generator = SnapshotGenerator::new(
            self.quorum.clone(),
            config.metadata_max_bytes_between_snapshots as u64,
            config.metadata_max_snapshot_interval_ms as u64,
        );
        let publisher = Publisher::new(&self.metadata, broker, self.probe.clone(), generator);
        tasks.spawn("metadata-publisher", publisher.run(self.quorum.subscribe()));
    }
}

/// Everything that the handlers of a broker share.
pub struct Node {
    pub(super) options: Arc<NodeOptions>,
    pub(super) metadata: Arc<MetadataCache>,
    pub(super) partitions: Partitions,
    pub(super) groups: Arc<Groups>,
    pub(super) lifecycle: Lifecycle,
    pub(super) producer_ids: ProducerIds,
    pub(super) forwarding: ControllerChannel,
    quorum: Arc<Quorum>,
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
        let quorum = Quorum::start(settings::quorum(&options), disk.clone(), "", probe.clone(), &mut tasks).await?;
        let mut draw = crate::io::rng("incarnation");
        let incarnation = Uuid::from_u64_pair(draw.next_u64(), draw.next_u64());
        let common = Common { options, metadata: Arc::default(), quorum, probe, incarnation };
        let (node, side) = match &common.options.broker_listener {
            Some(address) => {
                let (node, side) = Self::load(&common, disk, &mut tasks).await?;
                (Some((node, address.clone())), Some(side))
            }
            None => (None, None),
        };
        let controller =
            common.options.controller_listener().map(|address| ControllerServer::start(&common, address, &mut tasks));
        common.start_publisher(side, &mut tasks);
        common.probe.tell(Event::Started);
        if let Some(controller) = controller {
            controller.serve(&mut tasks)?;
        }
        let result = match node {
            Some((node, address)) => node.serve(&address, stop, leave, &mut tasks).await,
            None => without_broker(&common.quorum, stop, leave).await,
        };
        drop(tasks);
        result
    }

    /// Opens the partitions and puts a broker together that does not serve yet.
    async fn load(common: &Common, disk: Disk, tasks: &mut TaskSet) -> Result<(Arc<Self>, BrokerSide), NodeError> {
        let Common { options, metadata, quorum, probe, incarnation } = common;
        let channel = common.channel("alter-partition");
        let alter = Arc::new(AlterPartitionChannel { channel, options: options.clone() });
        let (partitions, previous_epoch) =
            Partitions::start(settings::partitions(options), disk, probe.clone(), alter, tasks).await?;
        let groups = Groups::new(options.id, settings::groups(options), partitions.clone(), probe.clone());
        let side = BrokerSide::new(partitions.clone(), &groups, (options.id, *incarnation));
        let previous_epoch = previous_epoch.unwrap_or(BrokerEpoch::NONE);
        let node = Self {
            lifecycle: Lifecycle::new(
                options,
                common.channel("heartbeat"),
                metadata,
                (*incarnation, previous_epoch),
                probe.clone(),
            ),
            producer_ids: ProducerIds::new(options.id, common.channel("producer-ids")),
            forwarding: common.channel("forwarding"),
            options: options.clone(),
            metadata: metadata.clone(),
            partitions,
            groups,
            quorum: quorum.clone(),
        };
        Ok((Arc::new(node), side))
    }

    async fn serve(
        self: &Arc<Self>,
        address: &Address,
        stop: impl Future<Output = ()>,
        leave: impl Future<Output = ()>,
        tasks: &mut TaskSet,
    ) -> Result<(), NodeError> {
        tokio::pin!(stop);
        let joined = tokio::select! {
            biased;
            () = &mut stop => None,
            failed = self.partitions.failed() => return Err(NodeError::LogDirFailed(failed)),
            reason = self.quorum.failed() => return Err(NodeError::Quorum(reason)),
            joined = self.join() => Some(joined?),
        };
        if joined.is_some() {
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

/// The rest of the life of a node that is a controller alone.
async fn without_broker(
    quorum: &Quorum,
    stop: impl Future<Output = ()>,
    leave: impl Future<Output = ()>,
) -> Result<(), NodeError> {
    tokio::select! {
        biased;
        reason = quorum.failed() => return Err(NodeError::Quorum(reason)),
        () = stop => {}
    }
    leave.await;
    quorum.shutdown(RESIGN_TIMEOUT).await;
    Ok(())
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
