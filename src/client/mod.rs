//! Producer, consumer and admin client, as a user of Kafka's Java client knows them.
//!
//! A client is a state machine around one [`network::NetworkClient`], and whoever polls it drives everything: the producer
//! has one task (its sender), a consumer with a `group.id` has one for its membership, other consumers and the admin client
//! have none. This room knows `io`, `wire` and `log::batch`; it never learns what a broker is made of. Transactions are not
//! here yet.
//!
//! ```text
//! Producer::start(ProducerConfig, &mut io::task::TaskSet) -> Result<Producer, ConfigError>        (Clone; Send + Sync)
//!   async send(&self, Record, impl FnOnce(Delivered) + Send + 'static)    waits only for metadata or buffer room (max.block.ms);
//!   async send_wait(&self, Record) -> Delivery                            every record's callback is called exactly once
//!   async flush(&self);  async close(&self, Duration)
//! Consumer::new(ConsumerConfig) -> Result<Consumer, ConfigError>
//!   assign(&mut self, Vec<TopicPartition>); seek(&mut self, &TopicPartition, Offset) -> Result<(), ConsumerError>
//!   seek_to_beginning / seek_to_end (&mut self, &TopicPartition); position(&self, &TopicPartition) -> Option<Offset>
//!   async poll(&mut self, Duration) -> Result<Vec<ConsumedRecord>, ConsumerError>
//!   async beginning_offsets / end_offsets (&mut self, &[TopicPartition]) -> Result<Vec<Offset>, ConsumerError>
//!   pause / resume (&mut self, &[TopicPartition]); lag(&self, &TopicPartition) -> Option<i64>
//!   subscribe(&mut self, topics); take_rebalances(&mut self) -> Vec<Rebalance>; group_metadata(&self) -> Option<GroupMetadata>
//!   async commit_sync(&mut self, &offsets) -> Result<(), CommitError>; commit_async(&mut self, offsets); take_commits(&mut self)
//!   async committed(&mut self, &[TopicPartition]) -> Result<_, CommitError>; async close(self)
//! Admin::new(AdminConfig) -> Result<Admin, ConfigError>
//!   async create_topics(&mut self, Vec<NewTopic>) / delete_topics(&mut self, Vec<Arc<str>>) -> Result<Vec<Result<(), ResponseError>>, AdminError>
//!   async describe_cluster(&mut self) / describe_topics(&mut self, Option<Vec<Arc<str>>>) -> Result<_, AdminError>
//! ```

pub mod admin;
pub mod config;
pub mod consumer;
mod link;
pub mod metadata;
mod network;
pub mod producer;
#[cfg(all(test, madsim))]
mod testing;

pub use admin::{Admin, AdminError, NewTopic};
pub use config::{AdminConfig, ConfigError, ConsumerConfig, ProducerConfig};
pub use consumer::group::{CommitError, GroupMetadata, OffsetAndMetadata, Rebalance, Stamp};
pub use consumer::{ConsumedRecord, Consumer, ConsumerError};
pub use producer::{Delivered, Delivery, Producer, Record, RecordMetadata, SendError};
