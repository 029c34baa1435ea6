//! `FetchResponse`, versions 4 to 18.

use super::{
    CodecError, LeaderIdAndEpoch, Lean, NodeEndpoint, Reader, Sink, tag_endpoints, tag_leader, take_endpoints,
    take_leader,
};
use bytes::Bytes;
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

/// See Kafka's schema.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FetchResponse {
    /// What is wrong with the request as a whole; sent from version 7 on.
    pub error_code: i16,
    /// The topics, in the order of the request.
    pub responses: Vec<FetchableTopic>,
    /// Where the leaders live that partitions name; sent from version 16 on.
    pub node_endpoints: Vec<NodeEndpoint>,
}

/// One topic's part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchableTopic {
    /// Its name; sent up to version 12.
    pub topic: StrBytes,
    /// Its id; sent from version 13 on.
    pub topic_id: Uuid,
    /// Its partitions.
    pub partitions: Vec<PartitionData>,
}

/// One partition's part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionData {
    /// The partition's index.
    pub partition_index: i32,
    /// What went wrong, or 0.
    pub error_code: i16,
    /// The high watermark, or -1.
    pub high_watermark: i64,
    /// The last stable offset, or -1.
    pub last_stable_offset: i64,
    /// The log start, or -1; sent from version 5 on.
    pub log_start_offset: i64,
    /// Epoch and end offset at which the follower's log leaves the leader's; sent from version 12 on.
    pub diverging_epoch: Option<(i32, i64)>,
    /// Who leads instead; sent from version 12 on.
    pub current_leader: Option<LeaderIdAndEpoch>,
    /// Whole batches as they are stored.
    pub records: Bytes,
}

/// The least bytes that a partition takes.
const LEAST: usize = 30;

impl Lean for FetchResponse {
    const VERSIONS: (i16, i16) = (4, 18);
    const FLEXIBLE: i16 = 12;

    fn put<S: Sink>(&self, version: i16, sink: &mut S) -> Result<(), CodecError> {
        let flexible = version >= Self::FLEXIBLE;
        // No throttling.
        sink.i32(0);
        if version >= 7 {
            sink.i16(self.error_code);
            // No session (KIP-227).
            sink.i32(0);
        }
        sink.count(flexible, self.responses.len());
        for topic in &self.responses {
            topic.put(version, sink);
        }
        if version >= 16 && !self.node_endpoints.is_empty() {
            sink.varint(1);
            tag_endpoints(&self.node_endpoints, 0, sink);
        } else if flexible {
            sink.varint(0);
        }
        Ok(())
    }

    fn take(version: i16, reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        reader.i32("throttle_time_ms")?;
        let mut error_code = 0;
        if version >= 7 {
            error_code = reader.i16("error_code")?;
            reader.i32("session_id")?;
        }
        let n = reader.count("responses")?;
        let mut responses = Vec::with_capacity(n.min(reader.left() / 6));
        for _ in 0..n {
            responses.push(FetchableTopic::take(version, reader)?);
        }
        let mut node_endpoints = Vec::new();
        reader.tags(|reader, tag| {
            if version < 16 || tag != 0 {
                return Ok(false);
            }
            node_endpoints = take_endpoints(reader)?;
            Ok(true)
        })?;
        Ok(Self { error_code, responses, node_endpoints })
    }
}

impl FetchableTopic {
    fn put<S: Sink>(&self, version: i16, sink: &mut S) {
        let flexible = version >= FetchResponse::FLEXIBLE;
        if version <= 12 {
            sink.string(flexible, &self.topic);
        } else {
            sink.slice(self.topic_id.as_bytes());
        }
        sink.count(flexible, self.partitions.len());
        for partition in &self.partitions {
            partition.put(version, sink);
        }
        if flexible {
            sink.varint(0);
        }
    }
    fn take(version: i16, reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let (mut topic, mut topic_id) = (StrBytes::new(), Uuid::nil());
        if version <= 12 {
            topic = reader.string("topic")?;
        } else {
            topic_id = reader.uuid("topic_id")?;
        }
        let n = reader.count("partitions")?;
        let mut partitions = Vec::with_capacity(n.min(reader.left() / LEAST));
        for _ in 0..n {
            partitions.push(PartitionData::take(version, reader)?);
        }
        reader.skip_tags()?;
        Ok(Self { topic, topic_id, partitions })
    }
}

impl PartitionData {
    fn put<S: Sink>(&self, version: i16, sink: &mut S) {
        let flexible = version >= FetchResponse::FLEXIBLE;
        sink.i32(self.partition_index);
        sink.i16(self.error_code);
        sink.i64(self.high_watermark);
        sink.i64(self.last_stable_offset);
        if version >= 5 {
            sink.i64(self.log_start_offset);
        }
        // No aborted transactions.
        sink.count(flexible, 0);
        if version >= 11 {
            // No preferred read replica.
            sink.i32(-1);
        }
        sink.blob(flexible, &self.records);
        if !flexible {
            return;
        }
        sink.varint(u32::from(self.diverging_epoch.is_some()) + u32::from(self.current_leader.is_some()));
        if let Some((epoch, end_offset)) = self.diverging_epoch {
            sink.varint(0);
            sink.varint(13);
            sink.i32(epoch);
            sink.i64(end_offset);
            sink.varint(0);
        }
        if let Some(leader) = self.current_leader {
            tag_leader(leader, 1, sink);
        }
    }
    fn take(version: i16, reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let (partition_index, error_code) = (reader.i32("partition_index")?, reader.i16("error_code")?);
        let (high_watermark, last_stable_offset) = (reader.i64("high_watermark")?, reader.i64("last_stable_offset")?);
        let log_start_offset = if version >= 5 { reader.i64("log_start_offset")? } else { -1 };
        for _ in 0..reader.nullable_count("aborted_transactions")?.unwrap_or(0) {
            reader.i64("producer_id")?;
            reader.i64("first_offset")?;
            reader.skip_tags()?;
        }
        if version >= 11 {
            reader.i32("preferred_read_replica")?;
        }
        let records = reader.nullable_blob("records")?.unwrap_or_default();
        let (mut diverging_epoch, mut current_leader) = (None, None);
        reader.tags(|reader, tag| {
            match tag {
                0 => {
                    diverging_epoch = Some((reader.i32("epoch")?, reader.i64("end_offset")?));
                    reader.skip_tags()?;
                }
                1 => current_leader = take_leader(reader)?,
                2 => {
                    reader.i64("end_offset")?;
                    reader.i32("epoch")?;
                    reader.skip_tags()?;
                }
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(Self {
            partition_index,
            error_code,
            high_watermark,
            last_stable_offset,
            log_start_offset,
            diverging_epoch,
            current_leader,
            records,
        })
    }
}
