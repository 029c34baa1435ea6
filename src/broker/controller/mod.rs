//! The shell around the controller core: replays committed metadata, runs the core while this node leads the quorum,
//! and serves the controller's requests. No rule lives here; they live in [`crate::controller`].
//!
//! One task feeds the core with what the quorum commits and with time; requests reach it from the tasks of their
//! connections, through one mutex that is never held across an await. Answers leave through a channel per request.
//!
//! The probe hears from here who is the active controller; what is committed it hears from the publisher of each node's
//! broker, so that the fencing and the partition changes of one batch are seen together.

mod envelope;
mod handlers;
mod node;
mod registration;
mod server;
mod state;

#[cfg(all(test, madsim))]
mod tests;

pub use node::{ControllerNode, MetadataLog};
pub use server::ControllerServer;
