//! Codecs of our own for the two APIs that carry almost all traffic: Produce and Fetch.
//!
//! The messages have Kafka's names but only the fields that somebody here reads or sets; unknown tagged fields are passed over.
//! A decoder checks each claim as it goes, so its body needs no walk of [`super::guard`] before, and takes records as slices of the
//! frame. An encoder writes once to count and once into exactly as much memory.
//! `tests` holds all four against `kafka-protocol`: equal bytes out, equal fields in, and the same spoilt frames refused.

mod fetch_request;
mod fetch_response;
mod produce_request;
mod produce_response;
mod reader;
mod sink;
#[cfg(test)]
mod tests;

pub use fetch_request::{FetchPartition, FetchRequest, FetchTopic};
pub use fetch_response::{FetchResponse, FetchableTopic, PartitionData};
pub use produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
pub use produce_response::{PartitionProduceResponse, ProduceResponse, TopicProduceResponse};

use super::{CodecError, Rpc};
use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::StrBytes;
use reader::Reader;
use sink::{Counter, Sink};

/// Where a broker listens, as an answer names a new leader (KIP-951).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeEndpoint {
    /// The broker.
    pub node_id: i32,
    /// Its host.
    pub host: StrBytes,
    /// Its port.
    pub port: i32,
}

/// A leader and its epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaderIdAndEpoch {
    /// The leader.
    pub leader_id: i32,
    /// The epoch of its leadership.
    pub leader_epoch: i32,
}

/// A message that this room encodes and decodes.
trait Lean: Sized {
    /// The first and the last version.
    const VERSIONS: (i16, i16);
    /// From this version on, lengths are varints and structures end in tagged fields (KIP-482).
    const FLEXIBLE: i16;
    fn put<S: Sink>(&self, version: i16, sink: &mut S) -> Result<(), CodecError>;
    fn take(version: i16, reader: &mut Reader<'_>) -> Result<Self, CodecError>;

    fn check_version(version: i16) -> Result<(), CodecError> {
        let (min, max) = Self::VERSIONS;
        if (min..=max).contains(&version) {
            return Ok(());
        }
        Err(CodecError::Message(format!("version {version} does not exist")))
    }
    fn size(&self, version: i16) -> Result<usize, CodecError> {
        Self::check_version(version)?;
        let mut counter = Counter::default();
        self.put(version, &mut counter)?;
        Ok(counter.len)
    }
    fn decode(version: i16, body: &Bytes) -> Result<Self, CodecError> {
        Self::check_version(version)?;
        Self::take(version, &mut Reader::new(body, version >= Self::FLEXIBLE))
    }
}

macro_rules! rpc {
    ($api:ident: $request:ty, $response:ty) => {
        impl Rpc for $request {
            const API: i16 = ApiKey::$api as i16;
            type Answer = $response;
            fn flexible_headers(version: i16) -> (bool, bool) {
                let flexible = version >= <Self as Lean>::FLEXIBLE;
                (flexible, flexible)
            }
            fn request_size(&self, version: i16) -> Result<usize, CodecError> {
                self.size(version)
            }
            fn put_request(&self, version: i16, buf: &mut BytesMut) -> Result<(), CodecError> {
                self.put(version, buf)
            }
            fn take_request(version: i16, body: &Bytes) -> Result<Self, CodecError> {
                Self::decode(version, body)
            }
            fn answer_size(answer: &Self::Answer, version: i16) -> Result<usize, CodecError> {
                answer.size(version)
            }
            fn put_answer(answer: &Self::Answer, version: i16, buf: &mut BytesMut) -> Result<(), CodecError> {
                answer.put(version, buf)
            }
            fn take_answer(version: i16, body: &Bytes) -> Result<Self::Answer, CodecError> {
                <$response as Lean>::decode(version, body)
            }
        }
    };
}
rpc!(Fetch: FetchRequest, FetchResponse);
rpc!(Produce: ProduceRequest, ProduceResponse);

/// A field is set that the version does not have.
#[cold]
fn unavailable(field: &str, version: i16) -> CodecError {
    CodecError::Message(format!("version {version} has no {field}"))
}

fn put_endpoints<S: Sink>(endpoints: &[NodeEndpoint], sink: &mut S) {
    sink.count(true, endpoints.len());
    for e in endpoints {
        sink.i32(e.node_id);
        sink.string(true, &e.host);
        sink.i32(e.port);
        // No rack.
        sink.varint(0);
        sink.varint(0);
    }
}
/// The structure of a tagged field: all endpoints.
fn tag_endpoints<S: Sink>(endpoints: &[NodeEndpoint], tag: u32, sink: &mut S) {
    let mut counter = Counter::default();
    put_endpoints(endpoints, &mut counter);
    sink.varint(tag);
    sink.varint(counter.len as u32);
    put_endpoints(endpoints, sink);
}
fn take_endpoints(reader: &mut Reader<'_>) -> Result<Vec<NodeEndpoint>, CodecError> {
    let n = reader.count("node_endpoints")?;
    let mut endpoints = Vec::with_capacity(n.min(reader.left() / 11));
    for _ in 0..n {
        let (node_id, host, port) = (reader.i32("node_id")?, reader.string("host")?, reader.i32("port")?);
        reader.nullable_string("rack")?;
        reader.skip_tags()?;
        endpoints.push(NodeEndpoint { node_id, host, port });
    }
    Ok(endpoints)
}

/// The structure of a tagged field: a leader.
fn tag_leader<S: Sink>(leader: LeaderIdAndEpoch, tag: u32, sink: &mut S) {
    sink.varint(tag);
    sink.varint(9);
    sink.i32(leader.leader_id);
    sink.i32(leader.leader_epoch);
    sink.varint(0);
}
fn take_leader(reader: &mut Reader<'_>) -> Result<Option<LeaderIdAndEpoch>, CodecError> {
    let (leader_id, leader_epoch) = (reader.i32("leader_id")?, reader.i32("leader_epoch")?);
    reader.skip_tags()?;
    Ok(Some(LeaderIdAndEpoch { leader_id, leader_epoch }))
}
