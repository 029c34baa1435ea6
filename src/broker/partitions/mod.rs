//! The partitions on this broker (Kafka's ReplicaManager): logs, leading, following, and the requests that wait.
//!
//! Rules live in [`crate::replica`]; this room does their I/O. What it offers, on a cheap clone of `Partitions`:
//!
//! ```text
//! Partitions::start(cfg: PartitionsConfig, disk: Disk, probe: Probe, controller: Arc<dyn ControllerRpc>) -> io::Result<(Partitions, TaskSet)>
//! fn set_broker_epoch(&self, BrokerEpoch)                      // after each registration; fetches carry it
//! fn apply(&self, &Image, &Changes)                            // never waits
//! fn produce(&self, Vec<ProducePartition>, acks: i16, timeout_ms: u64) -> impl Future<Output = Vec<ProduceOutcome>>
//! fn fetch(&self, FetchSpec) -> impl Future<Output = Vec<FetchResult>>
//! async fn list_offset(&self, &TopicRef, i32, Fetcher, current_leader_epoch, OffsetQuery) -> Result<OffsetAnswer, ResponseError>
//! fn offset_for_leader_epoch(&self, &TopicRef, i32, current_leader_epoch, LeaderEpoch) -> Result<EpochEnd, ResponseError>
//! fn views(&self) -> Vec<PartitionView>
//! async fn shutdown(&self) -> io::Result<()>                   // flush, checkpoint, clean-shutdown marker
//! ```

pub mod api;

pub use api::{
    BoxFuture, ControllerRpc, FetchPartition, FetchResult, FetchSpec, Fetcher, OffsetAnswer, OffsetQuery,
    PartitionView, ProduceOutcome, ProducePartition, Role, TopicRef,
};
