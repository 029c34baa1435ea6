//! Control records of the metadata log: who became leader, and the two ends of a snapshot.
//!
//! The key is a version and a type (`ControlRecordType`), the value one of `kafka-protocol`'s own structures.

use super::RecordError;
use crate::wire::codec::{guard, schema};
use bytes::{Buf, BufMut, Bytes, BytesMut};
pub use kafka_protocol::messages::leader_change_message::Voter;
pub use kafka_protocol::messages::{LeaderChangeMessage, SnapshotFooterRecord, SnapshotHeaderRecord};
use kafka_protocol::protocol::{Decodable, Encodable};

const KEY_VERSION: i16 = 0;
const LEADER_CHANGE: i16 = 2;
const SNAPSHOT_HEADER: i16 = 3;
const SNAPSHOT_FOOTER: i16 = 4;

/// A control record of the metadata log.
#[derive(Clone, Debug, PartialEq)]
pub enum ControlRecord {
    /// The first record of a leader's epoch.
    LeaderChange(LeaderChangeMessage),
    /// The first record of a snapshot.
    SnapshotHeader(SnapshotHeaderRecord),
    /// The last record of a snapshot: without it the snapshot is not whole.
    SnapshotFooter(SnapshotFooterRecord),
    /// A type that we do not know: to be passed over, as Kafka does.
    Unknown(i16),
}

impl ControlRecord {
    /// Key and value of the record. The version inside the message is the one that it is written in.
    ///
    /// # Errors
    /// If the message claims a version that it does not have, or is of an unknown type.
    pub fn encode(&self) -> Result<(Bytes, Bytes), RecordError> {
        let (kind, value) = match self {
            Self::LeaderChange(m) => (LEADER_CHANGE, encode(m, m.version)?),
            Self::SnapshotHeader(m) => (SNAPSHOT_HEADER, encode(m, m.version)?),
            Self::SnapshotFooter(m) => (SNAPSHOT_FOOTER, encode(m, m.version)?),
            Self::Unknown(kind) => return Err(malformed(format!("control record type {kind} is not known"))),
        };
        let mut key = BytesMut::with_capacity(4);
        key.put_i16(KEY_VERSION);
        key.put_i16(kind);
        Ok((key.freeze(), value))
    }

    /// Reads a control record.
    ///
    /// # Errors
    /// If key or value are malformed.
    pub fn decode(mut key: &[u8], value: Bytes) -> Result<Self, RecordError> {
        let version = key.try_get_i16().map_err(|_| RecordError::Truncated)?;
        if version < 0 {
            return Err(malformed(format!("control record key version {version}")));
        }
        match key.try_get_i16().map_err(|_| RecordError::Truncated)? {
            LEADER_CHANGE => decode(value, &schema::quorum::LEADER_CHANGE_MESSAGE).map(Self::LeaderChange),
            SNAPSHOT_HEADER => decode(value, &schema::quorum::SNAPSHOT_HEADER_RECORD).map(Self::SnapshotHeader),
            SNAPSHOT_FOOTER => decode(value, &schema::quorum::SNAPSHOT_FOOTER_RECORD).map(Self::SnapshotFooter),
            kind => Ok(Self::Unknown(kind)),
        }
    }
}

fn malformed(why: impl ToString) -> RecordError {
    RecordError::Malformed(why.to_string())
}

fn encode<M: Encodable>(message: &M, version: i16) -> Result<Bytes, RecordError> {
    let mut out = BytesMut::with_capacity(message.compute_size(version).map_err(malformed)?);
    message.encode(&mut out, version).map_err(malformed)?;
    Ok(out.freeze())
}

/// Every one of these messages opens with the version that it is written in.
fn decode<M: Decodable>(mut value: Bytes, schema: &guard::Schema) -> Result<M, RecordError> {
    let version = value.clone().try_get_i16().map_err(|_| RecordError::Truncated)?;
    guard::check(schema, version, &value).map_err(malformed)?;
    M::decode(&mut value, version).map_err(malformed)
}
