//! The shell around the controller core: replays committed metadata, runs the core while this node leads the quorum,
//! and serves the controller's requests. No rule lives here; they live in [`crate::controller`].
//!
//! One task feeds the core with what the quorum commits and with time; requests reach it from the tasks of their
//! connections, through one mutex that is never held across an await. Answers leave through a channel per request.
//!
//! What is committed is told to the probe by whoever publishes it to this node's broker, with [`facts::tell`]: fencing and
//! partition changes of one batch must be seen together.

mod envelope;
pub mod facts;
mod handlers;
mod node;
mod state;

#[cfg(all(test, madsim))]
mod tests;

pub use node::{ControllerNode, MetadataLog};

use crate::base::BrokerId;
use crate::broker::config::BrokerConfig;
use crate::controller::ControllerConfig;

/// The controller's settings out of a node's configuration.
#[must_use]
pub fn controller_config(me: BrokerId, cluster_id: &str, config: &BrokerConfig) -> ControllerConfig {
    let at_least_zero = |n: i64| u64::try_from(n).unwrap_or(0);
    ControllerConfig {
        me,
        cluster_id: cluster_id.to_owned(),
        session_timeout_ms: at_least_zero(config.session_timeout_ms),
        max_idle_interval_ms: at_least_zero(config.metadata_max_idle_interval_ms),
        min_insync_replicas: usize::try_from(config.min_insync_replicas).unwrap_or(1),
        unclean_leader_election: config.unclean_leader_election,
        eligible_leader_replicas: config.eligible_leader_replicas,
        num_partitions: i32::try_from(config.num_partitions).unwrap_or(i32::MAX),
        default_replication_factor: i16::try_from(config.default_replication_factor).unwrap_or(i16::MAX),
    }
}
