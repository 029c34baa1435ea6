//! The admin client (Kafka's `AdminClient`): asks brokers for what administrators want, trying again until the call's timeout.
//!
//! Brokers pass what concerns the controller on to it, so any broker will do. A create whose answer was lost is tried again like every
//! other call, and may then report `TopicAlreadyExists`, as with Kafka's own client.
//!
//! | file | calls |
//! |---|---|
//! | [`topics`] | create, delete, describe, add partitions |
//! | [`partitions`] | elect leaders, move partitions |
//! | [`configs`] | alter and describe configuration |
//! | [`cluster`] | describe the cluster, unregister a broker |
//! | [`quorum`] | describe the metadata quorum |
//! | [`log_dirs`] | describe the log directories of a broker |

mod call;
pub mod cluster;
pub mod configs;
pub mod log_dirs;
pub mod partitions;
pub mod quorum;
pub mod topics;

pub use cluster::ClusterDescription;
pub use configs::{Entry, Resource};
pub use log_dirs::{LogDir, ReplicaInfo};
pub use partitions::{Election, Reassignment};
pub use quorum::{QuorumInfo, QuorumReplica};
pub use topics::{Described, NewTopic, TopicDescription};

use super::config::{AdminConfig, ConfigError};
use super::metadata::Metadata;
use super::network::{Event, NetworkClient};
use crate::base::{BrokerId, Now};
use crate::io::{self, time};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{MetadataResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use std::sync::Arc;

/// Why a call failed as a whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdminError {
    /// No definite answer within default.api.timeout.ms; `last` is the last error that a broker gave for trying again.
    #[error("no definite answer within default.api.timeout.ms (last error: {last:?})")]
    Timeout {
        /// What was tried again.
        last: Option<ResponseError>,
    },
    /// What a broker answered for good, or after all `retries`.
    #[error("{0:?}")]
    Broker(ResponseError),
}

/// An admin client. Nothing happens between calls: there is no task behind it.
pub struct Admin {
    cfg: AdminConfig,
    network: NetworkClient<Purpose>,
    metadata: Metadata,
    timer: time::Sleep,
    events: Vec<Event<Purpose>>,
    calls: u64,
}

/// What a request was for.
enum Purpose {
    Metadata,
    /// The call with this number; answers to abandoned ones are ignored.
    Call(u64),
}

impl Admin {
    /// An admin client; it connects at the first call.
    ///
    /// # Errors
    /// `bootstrap.servers` is empty.
    pub fn new(cfg: AdminConfig) -> Result<Self, ConfigError> {
        if cfg.common.bootstrap_servers.is_empty() {
            return Err(ConfigError::Contradiction("bootstrap.servers names nobody"));
        }
        Ok(Self {
            network: NetworkClient::new(cfg.common.clone(), 1, io::rng(&format!("client {}", cfg.common.client_id))),
            metadata: Metadata::new(&cfg.common),
            timer: time::sleep_until(u64::MAX),
            events: Vec::new(),
            calls: 0,
            cfg,
        })
    }

    fn timeout_ms(&self) -> i32 {
        i32::try_from(self.cfg.common.request_timeout_ms).unwrap_or(i32::MAX)
    }
}

/// One answer seen for itself, without what was known before.
fn self_contained(response: &MetadataResponse) -> Metadata {
    let mut rng = crate::base::random::Stream::new(0, "unused");
    let mut seen = Metadata::new(&super::config::CommonConfig::default());
    seen.update(Now::default(), response, &mut rng);
    seen
}

fn wire_name(topic: &Arc<str>) -> TopicName {
    TopicName(StrBytes::from_string(topic.to_string()))
}

fn wire_ids(ids: &[BrokerId]) -> Vec<kafka_protocol::messages::BrokerId> {
    ids.iter().map(|id| id.0.into()).collect()
}
