//! The pure core of one partition replica: leading, following, the high watermark, the ISR, and who waits for them.
//!
//! Nothing here does I/O, is `async`, locks, or reads a clock: `now` and the registered brokers come in with each call
//! ([`Ctx`]), and whatever the shell has to do leaves as [`Output`], in order. Bytes never come in either: the shell
//! patches and stores batches where the core has put them, and reports them `appended`.
//!
//! | from | on | to |
//! |---|---|---|
//! | fresh, follower | metadata names this broker | leader |
//! | leader | metadata names another, or nobody | follower |
//! | fresh | metadata names another, or nobody | follower |
//! | any | the log fails | failed, for good |
//! | any | the partition leaves this broker | stopped, for good |
//!
//! Sources: Kafka's `Partition`, `Replica`, `AbstractFetcherThread`; KIP-101, KIP-279, KIP-320, KIP-497, KIP-595
//! (truncation on fetch), KIP-841, KIP-903, KIP-966, KIP-73 (the throttle). Deliberately absent: future replicas,
//! tiered storage, fetching from followers (KIP-392).

mod core;
mod follower;
mod isr;
mod leader;
mod progress;
mod purgatory;
mod quota;
mod serve;
pub mod types;

#[cfg(test)]
mod cluster_test;
#[cfg(test)]
mod tests;

pub use core::ReplicaCore;
pub use quota::{QuotaWindows, ReplicationQuota};
pub use types::{
    Acks, Admission, Appending, BatchSpan, BrokerLiveness, BrokerTable, Ctx, EpochEnd, FetchAnswer, FetchBound,
    FetchPosition, FetchToken, FollowerFetch, IsrAnswer, IsrProposal, Output, PartitionState, ProduceResult,
    ProduceToken, ReplicaConfig, Serve, Verdict,
};
