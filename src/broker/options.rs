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
    /// The listener for clients and other brokers; it is bound and advertised under this address.
    pub broker_listener: Address,
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
    /// True if this node votes in the metadata quorum and so runs a controller.
    #[must_use]
    pub fn is_voter(&self) -> bool {
        self.voters.contains_key(&self.id)
    }
}
