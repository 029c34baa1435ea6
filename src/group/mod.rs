//! The group coordinator (Kafka's `GroupCoordinator`) of the classic protocol and, in [`consumer`], of the consumer protocol
//! (KIP-848): one [`Coordinator`] for each partition of `__consumer_offsets`, with the groups whose ids hash to it.
//!
//! Pure: requests and time come in, [`Output`]s leave. What must be in the log before it is said leaves as [`Output::Append`] and
//! is said once [`Coordinator::committed`] tells that the high watermark has passed it. What a client is told of committed offsets
//! is thus always a prefix of the log: a coordinator that takes over and replays it says the same.
//!
//! | from | event | to |
//! |---|---|---|
//! | Empty | a member joins | PreparingRebalance, for group.initial.rebalance.delay.ms and as much again for each late comer |
//! | PreparingRebalance | all have joined, or the rebalance timeout is over (who has not joined is out) | CompletingRebalance |
//! | PreparingRebalance | as above and nobody is left | Empty |
//! | CompletingRebalance | the leader's assignment is committed | Stable |
//! | CompletingRebalance | it is not committed in time; a member joins anew, leaves, dies or does not sync | PreparingRebalance |
//! | Stable | a member joins, leaves or dies, changes its subscription; the leader joins anew | PreparingRebalance |
//! | Empty | deleted, or its last offset expired | Dead, and gone once the tombstones are committed |
//!
//! What must not enter: I/O, clocks, the log's own rules, assignors of the classic protocol (its members assign among themselves),
//! transactions.

mod admin;
mod classic;
mod config;
mod consumer;
mod coordinator;
mod expiry;
mod join;
mod member;
mod membership;
mod offsets;
mod protocol;
mod replay;
mod statics;
mod sync;
#[cfg(test)]
mod tests;
mod turn;
mod types;

pub use classic::{CommittedOffset, State};
pub use config::GroupConfig;
pub use consumer::{Assignor, Assignors, ConsumerState, TopicInfo, Topics};
pub use coordinator::Coordinator;
pub use types::{AppendId, Caller, LogRecord, Output, Reply, Ticket};
