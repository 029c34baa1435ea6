//! The controller: the metadata image that every node replays ([`image`]) and the active controller's decisions ([`core`]),
//! and which configuration there is to decide on ([`configs`], [`throttled`]).
//!
//! Pure: no I/O, no `async`, no locks, no clock. What the controller decides leaves it as records for the metadata
//! log; nothing is answered before the log holds them. Sources: Kafka's `ReplicationControlManager`,
//! `ClusterControlManager`, `BrokerHeartbeatManager`, `PartitionChangeBuilder`; KIP-631, KIP-841, KIP-903, KIP-966.

pub mod configs;
pub mod core;
pub mod image;
pub mod throttled;

pub use self::core::{ControllerConfig, ControllerCore, Input, Output, Request, Response, Token};
pub use image::{
    Broker, BrokerEvent, Changes, ConfigResource, Endpoint, Image, Partition, RecoveryState, ReplayError, Topic,
};
