//! The shell around the quorum core: drives [`crate::raft`] with time, peers and the metadata log, and hands what is
//! committed to the rest of the node. No Raft rule lives here.
//!
//! ```text
//! Quorum::start(config: QuorumConfig, disk: Disk, dir: &str, probe: Probe, tasks: &TaskSet) -> io::Result<Arc<Quorum>>
//! quorum.leader() -> (Option<BrokerId>, LeaderEpoch);  quorum.watch() -> LeaderWatch { async changed() -> (Option<BrokerId>, LeaderEpoch) }
//! quorum.propose(epoch: LeaderEpoch, records: &[MetadataRecord]) -> Result<Offset /* last */, NotLeader>     // sync, one atomic batch
//! quorum.resign(epoch);  async quorum.shutdown(Duration)
//! quorum.subscribe() -> CommittedReader { async next() -> QuorumEvent }
//! async quorum.handle_vote / handle_begin / handle_end / handle_fetch (decoded request) -> decoded response
//! ```

use std::collections::BTreeMap;

use crate::base::{BrokerId, LeaderEpoch};
use crate::raft::RaftConfig;

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
