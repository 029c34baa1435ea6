//! What is written to the metadata log and beside it, and to the internal topics: byte for byte as Kafka writes it.
//!
//! `kafka-protocol` has no schemas for these records, so they are written down here, once, in tables ([`metadata`]).
//! A record is framed by its frame version (1), its type and its version, three unsigned varints (Kafka's
//! `MetadataRecordSerde`). We write the newest version of each, which is what a cluster at metadata version 4.1 writes, and
//! read every older one. What a record means is no business of this room.

pub mod consumer_groups;
pub mod control;
pub mod groups;
pub mod metadata;
pub mod quorum_state;
mod wire;

#[cfg(test)]
mod tests;

pub use metadata::*;
pub use wire::RecordError;

use bytes::Bytes;
use wire::{Wire, get_varint, put_varint};

/// The version of the frame around a record.
const FRAME_VERSION: u32 = 1;

macro_rules! metadata_records {
    ($($(#[$doc:meta])* $variant:ident($record:ident) = $key:literal, newest $newest:literal;)*) => {
        /// A record of the metadata log.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum MetadataRecord {
            $(#[doc = concat!("[`", stringify!($record), "`], type ", $key, ".")] $variant($record),)*
        }

        impl MetadataRecord {
            /// The record's name, as Kafka's schema has it.
            #[must_use]
            pub fn name(&self) -> &'static str {
                match self { $(Self::$variant(_) => stringify!($record),)* }
            }
            /// The record with its frame.
            #[must_use]
            pub fn encode(&self) -> Bytes {
                let mut out = Vec::with_capacity(128);
                put_varint(FRAME_VERSION, &mut out);
                match self {$(
                    Self::$variant(record) => {
                        put_varint($key, &mut out);
                        put_varint($newest, &mut out);
                        record.put($newest, &mut out);
                    }
                )*}
                out.into()
            }
            fn decode_body(key: u32, version: u32, input: &mut &[u8]) -> Result<Self, RecordError> {
                match key {
                    $($key => {
                        let known = i16::try_from(version).ok().filter(|v| *v <= $newest);
                        let unknown = RecordError::UnknownVersion { record: stringify!($record), version };
                        $record::get(known.ok_or(unknown)?, input).map(Self::$variant)
                    })*
                    _ => Err(RecordError::UnknownType(key)),
                }
            }
        }

        $(impl From<$record> for MetadataRecord {
            fn from(record: $record) -> Self {
                Self::$variant(record)
            }
        })*
    };
}

metadata_records! {
    RegisterBroker(RegisterBrokerRecord) = 0, newest 3;
    UnregisterBroker(UnregisterBrokerRecord) = 1, newest 0;
    Topic(TopicRecord) = 2, newest 0;
    Partition(PartitionRecord) = 3, newest 2;
    Config(ConfigRecord) = 4, newest 0;
    PartitionChange(PartitionChangeRecord) = 5, newest 2;
    FenceBroker(FenceBrokerRecord) = 7, newest 0;
    UnfenceBroker(UnfenceBrokerRecord) = 8, newest 0;
    RemoveTopic(RemoveTopicRecord) = 9, newest 0;
    FeatureLevel(FeatureLevelRecord) = 12, newest 0;
    ProducerIds(ProducerIdsRecord) = 15, newest 0;
    BrokerRegistrationChange(BrokerRegistrationChangeRecord) = 17, newest 2;
    NoOp(NoOpRecord) = 20, newest 0;
    BeginTransaction(BeginTransactionRecord) = 23, newest 0;
    EndTransaction(EndTransactionRecord) = 24, newest 0;
    AbortTransaction(AbortTransactionRecord) = 25, newest 0;
    RegisterController(RegisterControllerRecord) = 27, newest 0;
}

impl MetadataRecord {
    /// Reads a record with its frame. Tagged fields that are not known are skipped.
    ///
    /// # Errors
    /// If the bytes are not exactly one record of a type and version that we know.
    pub fn decode(mut input: &[u8]) -> Result<Self, RecordError> {
        let input = &mut input;
        match get_varint(input)? {
            FRAME_VERSION => {}
            other => return Err(RecordError::FrameVersion(other)),
        }
        let key = get_varint(input)?;
        let version = get_varint(input)?;
        let record = Self::decode_body(key, version, input)?;
        match input.len() {
            0 => Ok(record),
            left => Err(RecordError::Garbage { record: record.name(), left }),
        }
    }
}
