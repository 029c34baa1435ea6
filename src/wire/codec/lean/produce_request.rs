//! `ProduceRequest`, versions 3 to 13.

use super::{CodecError, Lean, Reader, Sink};
use bytes::Bytes;
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

/// See Kafka's schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProduceRequest {
    /// The transaction, if there is one.
    pub transactional_id: Option<StrBytes>,
    /// -1 for all in-sync replicas, 1 for the leader, 0 for none.
    pub acks: i16,
    /// How long to wait for `acks`, in milliseconds.
    pub timeout_ms: i32,
    /// The topics, each at most once.
    pub topic_data: Vec<TopicProduceData>,
}

/// One topic's part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicProduceData {
    /// Its name; sent up to version 12.
    pub name: StrBytes,
    /// Its id; sent from version 13 on.
    pub topic_id: Uuid,
    /// Its partitions.
    pub partition_data: Vec<PartitionProduceData>,
}

/// One partition's part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionProduceData {
    /// The partition's index.
    pub index: i32,
    /// Its record batch.
    pub records: Option<Bytes>,
}

impl Lean for ProduceRequest {
    const VERSIONS: (i16, i16) = (3, 13);
    const FLEXIBLE: i16 = 9;

    fn put<S: Sink>(&self, version: i16, sink: &mut S) -> Result<(), CodecError> {
        let flexible = version >= Self::FLEXIBLE;
        match &self.transactional_id {
            Some(id) => sink.string(flexible, id),
            None => sink.null_string(flexible),
        }
        sink.i16(self.acks);
        sink.i32(self.timeout_ms);
        sink.count(flexible, self.topic_data.len());
        for topic in &self.topic_data {
            topic.put(version, sink);
        }
        if flexible {
            sink.varint(0);
        }
        Ok(())
    }

    fn take(version: i16, reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let transactional_id = reader.nullable_string("transactional_id")?;
        let (acks, timeout_ms) = (reader.i16("acks")?, reader.i32("timeout_ms")?);
        let n = reader.count("topic_data")?;
        let mut topic_data = Vec::with_capacity(n.min(reader.left() / 6));
        for _ in 0..n {
            topic_data.push(TopicProduceData::take(version, reader)?);
        }
        reader.skip_tags()?;
        Ok(Self { transactional_id, acks, timeout_ms, topic_data })
    }
}

impl TopicProduceData {
    fn put<S: Sink>(&self, version: i16, sink: &mut S) {
        let flexible = version >= ProduceRequest::FLEXIBLE;
        if version <= 12 {
            sink.string(flexible, &self.name);
        } else {
            sink.slice(self.topic_id.as_bytes());
        }
        sink.count(flexible, self.partition_data.len());
        for partition in &self.partition_data {
            sink.i32(partition.index);
            match &partition.records {
                Some(records) => sink.blob(flexible, records),
                None if flexible => sink.varint(0),
                None => sink.i32(-1),
            }
            if flexible {
                sink.varint(0);
            }
        }
        if flexible {
            sink.varint(0);
        }
    }
    fn take(version: i16, reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let (mut name, mut topic_id) = (StrBytes::new(), Uuid::nil());
        if version <= 12 {
            name = reader.string("name")?;
        } else {
            topic_id = reader.uuid("topic_id")?;
        }
        let n = reader.count("partition_data")?;
        let mut partition_data = Vec::with_capacity(n.min(reader.left() / 5));
        for _ in 0..n {
            let (index, records) = (reader.i32("index")?, reader.nullable_blob("records")?);
            reader.skip_tags()?;
            partition_data.push(PartitionProduceData { index, records });
        }
        reader.skip_tags()?;
        Ok(Self { name, topic_id, partition_data })
    }
}
