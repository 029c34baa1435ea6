//! The controller role of a node: its core, its listener, and its registration at the active controller.

use std::io;
use std::sync::Arc;

use super::node::ControllerNode;
use super::registration;
use crate::broker::metadata::MetadataCache;
use crate::broker::node::Common;
use crate::broker::options::Address;
use crate::broker::quorum::Quorum;
use crate::broker::{server, settings};
use crate::io::net::Listener;
use crate::io::task::TaskSet;
use crate::wire::api::ListenerKind;

/// A node's controller and what it serves (Kafka's ControllerServer).
pub struct ControllerServer {
    quorum: Arc<Quorum>,
    controller: Arc<ControllerNode>,
    metadata: Arc<MetadataCache>,
    address: Address,
}

impl ControllerServer {
    /// Starts the controller of a voter, and the task that registers it; nobody can reach it yet.
    pub(in crate::broker) fn start(common: &Common, address: &Address, tasks: &mut TaskSet) -> Arc<Self> {
        let (config, quorum) = (settings::controller(&common.options), common.quorum.clone());
        let controller = ControllerNode::start(config, quorum.clone(), common.probe.clone(), tasks);
        tasks.spawn("controller-registration", registration::Registration::new(common, address).run());
        Arc::new(Self { quorum, controller, metadata: common.metadata.clone(), address: address.clone() })
    }

    /// Opens the listener.
    ///
    /// # Errors
    /// If the address is taken.
    pub(in crate::broker) fn serve(self: Arc<Self>, tasks: &mut TaskSet) -> io::Result<()> {
        let listener = Listener::bind(&self.address.host, self.address.port)?;
        server::serve(listener, ListenerKind::Controller, self, tasks);
        Ok(())
    }

    pub(in crate::broker) fn quorum(&self) -> &Quorum {
        &self.quorum
    }
    pub(in crate::broker) fn metadata(&self) -> &MetadataCache {
        &self.metadata
    }
    pub(in crate::broker) fn controller(&self) -> &ControllerNode {
        &self.controller
    }
}
