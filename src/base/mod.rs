//! The ground floor: ids, time, seeded random streams, planted bugs, limits and hints.
//!
//! Nothing here does I/O or knows a protocol; everything here may be used by every other room.

pub mod bugs;
pub mod ids;
pub mod limits;
pub mod marks;
pub mod nearest;
pub mod random;
pub mod time;

pub use ids::{BrokerEpoch, BrokerId, LeaderEpoch, Offset, PartitionEpoch, ProducerId, TopicId, TopicPartition};
pub use time::Now;
