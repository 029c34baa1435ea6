//! The producer: records go into per-partition batches, one sender task carries them to the partitions' leaders.

mod record;

pub use record::{Delivered, Delivery, Header, Record, RecordMetadata, SendError};
