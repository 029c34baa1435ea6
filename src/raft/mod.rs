//! The pure core of the metadata quorum: Raft as KRaft has it (KIP-595), static voters, with pre-vote (KIP-996) and
//! check-quorum (KAFKA-15489). No I/O, no `async`, no clock: [`RaftCore::step`] takes what happened and says what is
//! to be done.
//!
//! # Transitions (after Kafka's `QuorumState`)
//! | from | to | when |
//! |---|---|---|
//! | Unattached | Unattached | a higher epoch is seen, or a vote is given |
//! | | Prospective | the election timeout expires |
//! | | Follower | a leader of this or a higher epoch is found |
//! | Prospective | Unattached | a higher epoch is seen; or the pre-vote is lost or times out and no leader was known |
//! | | Follower | a leader is found; or the pre-vote is lost or times out and a leader was known |
//! | | Candidate | a majority would vote for it |
//! | Candidate | Unattached | a higher epoch is seen |
//! | | Prospective | the election times out, or the pause after a lost one ends |
//! | | Follower | a leader of this or a higher epoch is found |
//! | | Leader | a majority voted for it, its own vote being durable |
//! | Leader | Unattached, Follower | a higher epoch is seen |
//! | | Resigned | a majority has not fetched for long, or it is told to resign |
//! | Follower | Unattached | a higher epoch is seen |
//! | | Prospective | the fetch timeout expires |
//! | | Follower | a leader of a higher epoch is found |
//! | Resigned | Unattached | a higher epoch is seen; or, in the next epoch, the election timeout expires |
//! | | Follower | a leader of a higher epoch is found |
//!
//! An observer is only ever Unattached or Follower, and no timeout moves it. A node that led starts as Resigned, one
//! that had voted for itself as Unattached with that vote: no epoch is ever led by two lives of a node.
//!
//! # What is durable when
//! * Nothing is sent and nothing is answered while a change of the quorum state is not yet durable.
//! * A leader counts its own log as far as it is synced; a voter's fetch, which acknowledges, waits for the sync of
//!   everything below it.
//! * The high watermark of a leader is unknown until a record of its own epoch is committed (Raft, section 5.4.2).
//! * A snapshot counts once it is durable: only then is the log thrown away that it takes the place of, and only then
//!   may the log before it go.
//!
//! # Snapshots (KIP-630)
//! A log that does not start at 0 starts at the end of a snapshot. Whoever fetches from before the log's start, or
//! diverges before it, is sent to the latest snapshot, loads it piece by piece, and starts anew at its end.

mod config;
mod core;
mod description;
mod election;
mod following;
mod leading;
mod message;
mod peers;
mod retention;
mod roles;
mod snapshots;
mod start;
#[cfg(test)]
mod tests;

pub use config::RaftConfig;
pub use core::RaftCore;
pub use description::{QuorumDescription, ReplicaDescription};
pub use message::{
    Answer, Batch, Body, Content, ElectionState, Input, Leadership, Output, ReadChunk, ReadRange, Reply, Request,
    RequestId, Response, SnapshotId, Token,
};
pub use retention::{Kept, Limits, oldest_wanted};
pub use roles::RoleKind;
pub use start::{NoSnapshot, Start, start_from};
