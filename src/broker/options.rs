//! Everything that a node is told when it starts.

use std::collections::BTreeMap;

use super::config::BrokerConfig;
use crate::base::BrokerId;

/// Where a node can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Host name or IP address.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl Address {
    /// An address.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port }
    }
}

/// The identity, the peers and the settings of one node.
#[derive(Clone, Debug)]
pub struct NodeOptions {
    /// `node.id`.
    pub id: BrokerId,
    /// `cluster.id`.
    pub cluster_id: String,
    /// The listener for clients and other brokers; it is bound and advertised under this address. None if
    /// `process.roles` is `controller` alone.
    pub broker_listener: Option<Address>,
    /// Every voter's controller listener (`controller.quorum.voters`), this node's own among them if it votes.
    pub voters: BTreeMap<BrokerId, Address>,
    /// `log.dirs`: one directory on the node's disk.
    pub log_dir: String,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// Everything else.
    pub config: BrokerConfig,
}

impl NodeOptions {
    /// Where this node's controller listens; None if `process.roles` is `broker` alone. Whoever votes in the metadata
    /// quorum runs a controller, and nobody else does: voters are static.
    #[must_use]
    pub fn controller_listener(&self) -> Option<&Address> {
        self.voters.get(&self.id)
    }
}
