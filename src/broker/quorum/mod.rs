//! The shell around the quorum core: drives [`crate::raft`] with time, peers and the metadata log, and hands what is
//! committed to the rest of the node. No Raft rule lives here.
//!
//! | file | holds |
//! |---|---|
//! | `driver` | the core behind its lock; outputs become writes, requests, answers, events |
//! | `peers` | one task for each voter: requests out, answers in |
//! | `rpc` | the core's vocabulary as Kafka's messages, and back |
//! | `serve` | requests of peers and observers |
//! | `state_file` | the `quorum-state` file |
//! | `committed` | what the rest of the node subscribes to |

mod committed;
mod driver;
mod peers;
mod rpc;
mod serve;
mod state_file;

use std::collections::BTreeMap;

pub use committed::{CommittedBatch, CommittedReader, QuorumEvent};
pub use driver::{LeaderWatch, Quorum};

use crate::base::{BrokerId, LeaderEpoch, TopicId};
use crate::raft::RaftConfig;

/// The name of the metadata log's topic.
pub const METADATA_TOPIC: &str = "__cluster_metadata";
/// Its directory, below the log directory.
pub const METADATA_DIR: &str = "__cluster_metadata-0";
/// The id of the metadata topic (Kafka's `Uuid.METADATA_TOPIC_ID`).
pub const METADATA_TOPIC_ID: TopicId = uuid::Uuid::from_u64_pair(0, 1);

/// Who the quorum is and how this node takes part in it.
#[derive(Clone, Debug)]
pub struct QuorumConfig {
    /// This node (`node.id`).
    pub me: BrokerId,
    /// The cluster's id; requests that carry another one are refused.
    pub cluster_id: String,
    /// Host and port of each voter's controller listener (`controller.quorum.voters`).
    pub voters: BTreeMap<BrokerId, (String, u16)>,
    /// The client id that this node shows to its peers.
    pub client_id: String,
    /// How long a connect may take, in milliseconds (`socket.connection.setup.timeout.ms`).
    pub connection_setup_timeout_ms: u64,
    /// The core's settings; its voters are those above.
    pub raft: RaftConfig,
}

/// This node does not lead the epoch in which it was asked to propose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this node does not lead quorum epoch {epoch}")]
pub struct NotLeader {
    /// The epoch that was asked for.
    pub epoch: LeaderEpoch,
}
