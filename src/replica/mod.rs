//! The pure core of one partition replica: leading, following, the high watermark, the ISR, and who waits for them.
//!
//! Nothing here does I/O, is `async`, locks, or reads a clock: `now` and the registered brokers come in with each call
//! ([`Ctx`]), and whatever the shell has to do leaves as [`Output`]. Sources: Kafka's `Partition`, `Replica`,
//! `AbstractFetcherThread`; KIP-101, KIP-279, KIP-320, KIP-497, KIP-595 (truncation on fetch), KIP-841, KIP-903, KIP-966.

pub mod types;

pub use types::{
    BrokerLiveness, BrokerTable, Ctx, EpochEnd, FetchBound, FetchToken, IsrAnswer, IsrProposal, Output, PartitionState,
    ProduceResult, ProduceToken, ReplicaConfig,
};
