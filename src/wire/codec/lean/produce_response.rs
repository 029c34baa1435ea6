//! `ProduceResponse`, versions 3 to 13.

use super::{
    CodecError, LeaderIdAndEpoch, Lean, NodeEndpoint, Reader, Sink, tag_endpoints, tag_leader, take_endpoints,
    take_leader,
};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

/// See Kafka's schema.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProduceResponse {
    /// The topics, in the order of the request.
    pub responses: Vec<TopicProduceResponse>,
    /// Where the leaders live that partitions name; sent from version 10 on.
    pub node_endpoints: Vec<NodeEndpoint>,
}

/// One topic's part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicProduceResponse {
    /// Its name; sent up to version 12.
    pub name: StrBytes,
    /// Its id; sent from version 13 on.
    pub topic_id: Uuid,
    /// Its partitions.
    pub partition_responses: Vec<PartitionProduceResponse>,
}

/// One partition's part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionProduceResponse {
    /// The partition's index.
    pub index: i32,
    /// What went wrong, or 0.
    pub error_code: i16,
    /// The first offset of the batch, or -1.
    pub base_offset: i64,
    /// The broker's append time in milliseconds since 1970, or -1.
    pub log_append_time_ms: i64,
    /// The log start, or -1; sent from version 5 on.
    pub log_start_offset: i64,
    /// Who leads instead; sent from version 10 on.
    pub current_leader: Option<LeaderIdAndEpoch>,
}

impl Lean for ProduceResponse {
    const VERSIONS: (i16, i16) = (3, 13);
    const FLEXIBLE: i16 = 9;

    fn put<S: Sink>(&self, version: i16, sink: &mut S) -> Result<(), CodecError> {
        let flexible = version >= Self::FLEXIBLE;
        sink.count(flexible, self.responses.len());
        for topic in &self.responses {
            topic.put(version, sink);
        }
        // No throttling.
        sink.i32(0);
        if version >= 10 && !self.node_endpoints.is_empty() {
            sink.varint(1);
            tag_endpoints(&self.node_endpoints, 0, sink);
        } else if flexible {
            sink.varint(0);
        }
        Ok(())
    }

    fn take(version: i16, reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let n = reader.count("responses")?;
        let mut responses = Vec::with_capacity(n.min(reader.left() / 6));
        for _ in 0..n {
            responses.push(TopicProduceResponse::take(version, reader)?);
        }
        reader.i32("throttle_time_ms")?;
        let mut node_endpoints = Vec::new();
        reader.tags(|reader, tag| {
            if version < 10 || tag != 0 {
                return Ok(false);
            }
            node_endpoints = take_endpoints(reader)?;
            Ok(true)
        })?;
        Ok(Self { responses, node_endpoints })
    }
}

impl TopicProduceResponse {
    fn put<S: Sink>(&self, version: i16, sink: &mut S) {
        let flexible = version >= ProduceResponse::FLEXIBLE;
        if version <= 12 {
            sink.string(flexible, &self.name);
        } else {
            sink.slice(self.topic_id.as_bytes());
        }
        sink.count(flexible, self.partition_responses.len());
        for partition in &self.partition_responses {
            partition.put(version, sink);
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
        let n = reader.count("partition_responses")?;
        let mut partition_responses = Vec::with_capacity(n.min(reader.left() / 22));
        for _ in 0..n {
            partition_responses.push(PartitionProduceResponse::take(version, reader)?);
        }
        reader.skip_tags()?;
        Ok(Self { name, topic_id, partition_responses })
    }
}

impl PartitionProduceResponse {
    fn put<S: Sink>(&self, version: i16, sink: &mut S) {
        let flexible = version >= ProduceResponse::FLEXIBLE;
        sink.i32(self.index);
        sink.i16(self.error_code);
        sink.i64(self.base_offset);
        sink.i64(self.log_append_time_ms);
        if version >= 5 {
            sink.i64(self.log_start_offset);
        }
        if version >= 8 {
            // No errors of single records, no message.
            sink.count(flexible, 0);
            sink.null_string(flexible);
        }
        match self.current_leader {
            Some(leader) if version >= 10 => {
                sink.varint(1);
                tag_leader(leader, 0, sink);
            }
            _ if flexible => sink.varint(0),
            _ => {}
        }
    }
    fn take(version: i16, reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let (index, error_code) = (reader.i32("index")?, reader.i16("error_code")?);
        let (base_offset, log_append_time_ms) = (reader.i64("base_offset")?, reader.i64("log_append_time_ms")?);
        let log_start_offset = if version >= 5 { reader.i64("log_start_offset")? } else { -1 };
        if version >= 8 {
            for _ in 0..reader.count("record_errors")? {
                reader.i32("batch_index")?;
                reader.nullable_string("batch_index_error_message")?;
                reader.skip_tags()?;
            }
            reader.nullable_string("error_message")?;
        }
        let mut current_leader = None;
        reader.tags(|reader, tag| {
            if version < 10 || tag != 0 {
                return Ok(false);
            }
            current_leader = take_leader(reader)?;
            Ok(true)
        })?;
        Ok(Self { index, error_code, base_offset, log_append_time_ms, log_start_offset, current_leader })
    }
}
