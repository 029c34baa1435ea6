//! `FetchRequest`, versions 4 to 18.

use super::{CodecError, Lean, Reader, Sink, unavailable};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

/// See Kafka's schema. Every fetch is a full one: there are no fetch sessions (KIP-227).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchRequest {
    /// The fetching replica, -1 for a consumer.
    pub replica_id: i32,
    /// The replica's broker epoch, -1 if it names none.
    pub replica_epoch: i64,
    /// How long to wait for `min_bytes`, in milliseconds.
    pub max_wait_ms: i32,
    /// Below this the fetch waits.
    pub min_bytes: i32,
    /// For the whole response.
    pub max_bytes: i32,
    /// The topics, each at most once.
    pub topics: Vec<FetchTopic>,
}

/// One topic's part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchTopic {
    /// Its name; sent up to version 12.
    pub topic: StrBytes,
    /// Its id; sent from version 13 on.
    pub topic_id: Uuid,
    /// Its partitions.
    pub partitions: Vec<FetchPartition>,
}

/// One partition's part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchPartition {
    /// The partition's index.
    pub partition: i32,
    /// The leader epoch that the fetcher believes in, or -1.
    pub current_leader_epoch: i32,
    /// The first offset wanted.
    pub fetch_offset: i64,
    /// The epoch of the last record that the fetcher has, or -1.
    pub last_fetched_epoch: i32,
    /// The fetching replica's log start, or -1.
    pub log_start_offset: i64,
    /// At most so many bytes of this partition.
    pub partition_max_bytes: i32,
}

/// A session that is none: the fetch is full and opens no session.
const SESSION: (i32, i32) = (0, -1);
const REPLICA_STATE: u32 = 1;

impl Lean for FetchRequest {
    const VERSIONS: (i16, i16) = (4, 18);
    const FLEXIBLE: i16 = 12;

    fn put<S: Sink>(&self, version: i16, sink: &mut S) -> Result<(), CodecError> {
        let flexible = version >= Self::FLEXIBLE;
        if version <= 14 {
            sink.i32(self.replica_id);
        }
        sink.i32(self.max_wait_ms);
        sink.i32(self.min_bytes);
        sink.i32(self.max_bytes);
        sink.i8(0);
        if version >= 7 {
            sink.i32(SESSION.0);
            sink.i32(SESSION.1);
        }
        sink.count(flexible, self.topics.len());
        self.topics.iter().try_for_each(|topic| topic.put(version, sink))?;
        if version >= 7 {
            sink.count(flexible, 0);
        }
        if version >= 11 {
            sink.string(flexible, "");
        }
        if version >= 15 && (self.replica_id, self.replica_epoch) != (-1, -1) {
            sink.varint(1);
            sink.varint(REPLICA_STATE);
            sink.varint(13);
            sink.i32(self.replica_id);
            sink.i64(self.replica_epoch);
            sink.varint(0);
        } else if flexible {
            sink.varint(0);
        }
        Ok(())
    }

    fn take(version: i16, reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut replica = (if version <= 14 { reader.i32("replica_id")? } else { -1 }, -1);
        let (max_wait_ms, min_bytes) = (reader.i32("max_wait_ms")?, reader.i32("min_bytes")?);
        let max_bytes = reader.i32("max_bytes")?;
        reader.i8("isolation_level")?;
        if version >= 7 {
            reader.i32("session_id")?;
            reader.i32("session_epoch")?;
        }
        let n = reader.count("topics")?;
        let mut topics = Vec::with_capacity(n.min(reader.left() / 6));
        for _ in 0..n {
            topics.push(FetchTopic::take(version, reader)?);
        }
        if version >= 7 {
            for _ in 0..reader.count("forgotten_topics_data")? {
                forgotten(version, reader)?;
            }
        }
        if version >= 11 {
            reader.string("rack_id")?;
        }
        reader.tags(|reader, tag| {
            match tag {
                0 => drop(reader.nullable_string("cluster_id")?),
                REPLICA_STATE if version >= 15 => {
                    replica = (reader.i32("replica_id")?, reader.i64("replica_epoch")?);
                    reader.skip_tags()?;
                }
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        let (replica_id, replica_epoch) = replica;
        Ok(Self { replica_id, replica_epoch, max_wait_ms, min_bytes, max_bytes, topics })
    }
}

impl FetchTopic {
    fn put<S: Sink>(&self, version: i16, sink: &mut S) -> Result<(), CodecError> {
        let flexible = version >= FetchRequest::FLEXIBLE;
        if version <= 12 {
            sink.string(flexible, &self.topic);
        } else {
            sink.slice(self.topic_id.as_bytes());
        }
        sink.count(flexible, self.partitions.len());
        self.partitions.iter().try_for_each(|partition| partition.put(version, sink))?;
        if flexible {
            sink.varint(0);
        }
        Ok(())
    }
    fn take(version: i16, reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let (mut topic, mut topic_id) = (StrBytes::new(), Uuid::nil());
        if version <= 12 {
            topic = reader.string("topic")?;
        } else {
            topic_id = reader.uuid("topic_id")?;
        }
        let n = reader.count("partitions")?;
        let mut partitions = Vec::with_capacity(n.min(reader.left() / 16));
        for _ in 0..n {
            partitions.push(FetchPartition::take(version, reader)?);
        }
        reader.skip_tags()?;
        Ok(Self { topic, topic_id, partitions })
    }
}

impl FetchPartition {
    fn put<S: Sink>(&self, version: i16, sink: &mut S) -> Result<(), CodecError> {
        sink.i32(self.partition);
        if version >= 9 {
            sink.i32(self.current_leader_epoch);
        }
        sink.i64(self.fetch_offset);
        if version >= 12 {
            sink.i32(self.last_fetched_epoch);
        } else if self.last_fetched_epoch != -1 {
            return Err(unavailable("last_fetched_epoch", version));
        }
        if version >= 5 {
            sink.i64(self.log_start_offset);
        }
        sink.i32(self.partition_max_bytes);
        if version >= FetchRequest::FLEXIBLE {
            sink.varint(0);
        }
        Ok(())
    }
    fn take(version: i16, reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let partition = reader.i32("partition")?;
        let current_leader_epoch = if version >= 9 { reader.i32("current_leader_epoch")? } else { -1 };
        let fetch_offset = reader.i64("fetch_offset")?;
        let last_fetched_epoch = if version >= 12 { reader.i32("last_fetched_epoch")? } else { -1 };
        let log_start_offset = if version >= 5 { reader.i64("log_start_offset")? } else { -1 };
        let partition_max_bytes = reader.i32("partition_max_bytes")?;
        reader.tags(|reader, tag| {
            match tag {
                0 if version >= 17 => drop(reader.uuid("replica_directory_id")?),
                1 if version >= 18 => drop(reader.i64("high_watermark")?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(Self {
            partition,
            current_leader_epoch,
            fetch_offset,
            last_fetched_epoch,
            log_start_offset,
            partition_max_bytes,
        })
    }
}

/// A topic that leaves a session: we have none.
fn forgotten(version: i16, reader: &mut Reader<'_>) -> Result<(), CodecError> {
    if version <= 12 {
        reader.string("topic")?;
    } else {
        reader.uuid("topic_id")?;
    }
    for _ in 0..reader.count("partitions")? {
        reader.i32("partitions")?;
    }
    reader.skip_tags()
}
