//! A consumer's part in a group, of the classic or the consumer protocol: membership, rebalances, committed offsets.
//!
//! | file | what |
//! |---|---|
//! | [`types`] | what the application hears and commits |
//! | `membership`, `joining`, `heartbeat`, `offsets` | the state machine (pure) |
//! | `membership::next`, `member::reconcile` | what is different with `group.protocol=consumer` (KIP-848) |
//! | `protocol`, `assignor` | what members say to each other, and how the leader shares partitions out (pure) |
//! | `driver` | the task that talks to the coordinator, also while the application is busy |
//! | `member` | the application's side, inside poll: gives partitions up, takes them over, commits by itself |
//!
//! What must not enter: fetching; and the broker's side, which is the room [`crate::group`] with the shells around it.

mod assignor;
mod driver;
mod heartbeat;
mod joining;
pub(super) mod member;
mod membership;
mod offsets;
mod protocol;
#[cfg(test)]
mod tests;
pub mod types;

pub(super) use member::Member;
pub use types::{CommitError, GroupMetadata, OffsetAndMetadata, Rebalance, Stamp};
