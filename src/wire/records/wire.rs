//! How the values in flexible records look as bytes, and the `record!` table in which records are written down.
//!
//! Reading believes no length: a claim is checked against the bytes that are left, and memory is reserved in step with what
//! has been read.

use crate::base::{BrokerEpoch, BrokerId, LeaderEpoch, PartitionEpoch, ProducerId};
use bytes::BufMut;
use std::sync::Arc;
use uuid::Uuid;

/// Bytes that are not a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The frame version is not 1.
    #[error("frame version {0} is not known")]
    FrameVersion(u32),
    /// A type of record that we do not know.
    #[error("metadata record type {0} is not known")]
    UnknownType(u32),
    /// A version of a record that we do not know.
    #[error("{record} has no version {version}")]
    UnknownVersion {
        /// The record's name.
        record: &'static str,
        /// The version that was claimed.
        version: u32,
    },
    /// The bytes end inside the record.
    #[error("the record is cut off")]
    Truncated,
    /// A length that the bytes do not cover.
    #[error("a length of {claimed} is claimed, {left} bytes are left")]
    Claim {
        /// The length.
        claimed: u32,
        /// What is left.
        left: usize,
    },
    /// A varint that does not end.
    #[error("a varint is longer than five bytes")]
    Varint,
    /// A string that is not UTF-8.
    #[error("a string is not UTF-8")]
    Utf8,
    /// Null where the schema allows none.
    #[error("null where a value must stand")]
    Null,
    /// A tagged field whose size is not that of its content.
    #[error("tagged field {0} has another size than it claims")]
    TagSize(u32),
    /// Bytes after the end of a record.
    #[error("{left} bytes of garbage after {record}")]
    Garbage {
        /// The record's name.
        record: &'static str,
        /// How many bytes.
        left: usize,
    },
    /// Not a quorum-state file, or not a control record.
    #[error("{0}")]
    Malformed(String),
}

/// Where a field stands: from which version on, and under which tag if it is a tagged one.
#[derive(Clone, Copy)]
pub(super) struct At {
    pub since: i16,
    pub tag: Option<u32>,
}

/// A value in a flexible record (KIP-482).
pub(super) trait Wire: Sized {
    fn put(&self, version: i16, out: &mut Vec<u8>);
    fn get(version: i16, input: &mut &[u8]) -> Result<Self, RecordError>;
}

pub(super) fn put_varint(mut value: u32, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(super) fn get_varint(input: &mut &[u8]) -> Result<u32, RecordError> {
    let mut value = 0;
    for shift in [0, 7, 14, 21, 28] {
        let [byte] = take(input)?;
        value |= u32::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(RecordError::Varint)
}

pub(super) fn take<const N: usize>(input: &mut &[u8]) -> Result<[u8; N], RecordError> {
    let (head, rest) = input.split_first_chunk::<N>().ok_or(RecordError::Truncated)?;
    *input = rest;
    Ok(*head)
}

/// The length of a compact value, `None` for null. Everything counted has a byte at least.
fn get_len(input: &mut &[u8]) -> Result<Option<usize>, RecordError> {
    let Some(claimed) = get_varint(input)?.checked_sub(1) else { return Ok(None) };
    match usize::try_from(claimed).ok().filter(|n| *n <= input.len()) {
        Some(len) => Ok(Some(len)),
        None => Err(RecordError::Claim { claimed, left: input.len() }),
    }
}

fn put_len(len: usize, out: &mut Vec<u8>) {
    put_varint(u32::try_from(len + 1).expect("no record of ours holds four gigabytes"), out);
}

macro_rules! numbers {
    ($($t:ty),*) => {$(
        impl Wire for $t {
            fn put(&self, _: i16, out: &mut Vec<u8>) {
                out.put_slice(&self.to_be_bytes());
            }
            fn get(_: i16, input: &mut &[u8]) -> Result<Self, RecordError> {
                take(input).map(<$t>::from_be_bytes)
            }
        }
    )*};
}
numbers!(i8, i16, u16, i32, i64);

macro_rules! ids {
    ($($t:ident),*) => {$(
        impl Wire for $t {
            fn put(&self, version: i16, out: &mut Vec<u8>) {
                self.0.put(version, out);
            }
            fn get(version: i16, input: &mut &[u8]) -> Result<Self, RecordError> {
                Wire::get(version, input).map($t)
            }
        }
    )*};
}
ids!(BrokerId, LeaderEpoch, PartitionEpoch, BrokerEpoch, ProducerId);

impl Wire for bool {
    fn put(&self, _: i16, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
    fn get(_: i16, input: &mut &[u8]) -> Result<Self, RecordError> {
        take(input).map(|[byte]| byte != 0)
    }
}

impl Wire for Uuid {
    fn put(&self, _: i16, out: &mut Vec<u8>) {
        out.put_slice(self.as_bytes());
    }
    fn get(_: i16, input: &mut &[u8]) -> Result<Self, RecordError> {
        take(input).map(Uuid::from_bytes)
    }
}

impl Wire for Option<Arc<str>> {
    fn put(&self, _: i16, out: &mut Vec<u8>) {
        match self {
            None => out.push(0),
            Some(s) => {
                put_len(s.len(), out);
                out.put_slice(s.as_bytes());
            }
        }
    }
    fn get(_: i16, input: &mut &[u8]) -> Result<Self, RecordError> {
        let Some(len) = get_len(input)? else { return Ok(None) };
        let (text, rest) = input.split_at(len);
        *input = rest;
        std::str::from_utf8(text).map(|s| Some(s.into())).map_err(|_| RecordError::Utf8)
    }
}

impl Wire for Arc<str> {
    fn put(&self, _: i16, out: &mut Vec<u8>) {
        put_len(self.len(), out);
        out.put_slice(self.as_bytes());
    }
    fn get(version: i16, input: &mut &[u8]) -> Result<Self, RecordError> {
        Option::<Self>::get(version, input)?.ok_or(RecordError::Null)
    }
}

impl<T: Wire> Wire for Option<Vec<T>> {
    fn put(&self, version: i16, out: &mut Vec<u8>) {
        match self {
            None => out.push(0),
            Some(items) => items.put(version, out),
        }
    }
    fn get(version: i16, input: &mut &[u8]) -> Result<Self, RecordError> {
        let Some(len) = get_len(input)? else { return Ok(None) };
        let mut items = Vec::with_capacity(len.min(16));
        for _ in 0..len {
            items.push(T::get(version, input)?);
        }
        Ok(Some(items))
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn put(&self, version: i16, out: &mut Vec<u8>) {
        put_len(self.len(), out);
        self.iter().for_each(|item| item.put(version, out));
    }
    fn get(version: i16, input: &mut &[u8]) -> Result<Self, RecordError> {
        Option::<Self>::get(version, input)?.ok_or(RecordError::Null)
    }
}

/// Appends one tagged field.
pub(super) fn put_tagged<T: Wire>(tag: u32, value: &T, version: i16, out: &mut Vec<u8>) {
    put_varint(tag, out);
    let mut body = Vec::new();
    value.put(version, &mut body);
    put_varint(u32::try_from(body.len()).expect("no tagged field of ours holds four gigabytes"), out);
    out.put_slice(&body);
}

/// Reads the tagged fields that end a structure. `known` takes the ones that it knows and says so; the others are skipped.
pub(super) fn get_tagged(
    input: &mut &[u8],
    mut known: impl FnMut(u32, &mut &[u8]) -> Result<bool, RecordError>,
) -> Result<(), RecordError> {
    for _ in 0..get_varint(input)? {
        let tag = get_varint(input)?;
        let claimed = get_varint(input)?;
        let left = input.len();
        let size = usize::try_from(claimed).ok().filter(|n| *n <= left).ok_or(RecordError::Claim { claimed, left })?;
        let (mut field, rest) = input.split_at(size);
        *input = rest;
        if known(tag, &mut field)? && !field.is_empty() {
            return Err(RecordError::TagSize(tag));
        }
    }
    Ok(())
}

/// Writes down a record as Kafka's schema does: field by field, with the first version that has it, its tag and its default.
///
/// `name: Type [since 1 tag 2] = default`; what is left out is version 0, no tag, and `Default::default()`.
macro_rules! record {
    ($(#[$doc:meta])* $record:ident {}) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct $record {}

        impl crate::wire::records::wire::Wire for $record {
            fn put(&self, _: i16, out: &mut Vec<u8>) {
                crate::wire::records::wire::put_varint(0, out);
            }
            fn get(_: i16, input: &mut &[u8]) -> Result<Self, crate::wire::records::RecordError> {
                crate::wire::records::wire::get_tagged(input, |_, _| Ok(false))?;
                Ok(Self {})
            }
        }
    };
    ($(#[$doc:meta])* $record:ident {$(
        $(#[$fdoc:meta])* $field:ident : $type:ty $([$(since $since:literal)? $(tag $tag:literal)?])? $(= $default:expr)?,
    )*}) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $record {
            $($(#[$fdoc])* pub $field: $type,)*
        }

        impl Default for $record {
            /// Every field as Kafka's schema presets it.
            fn default() -> Self {
                Self { $($field: record!(@or $($default)?),)* }
            }
        }

        impl crate::wire::records::wire::Wire for $record {
            fn put(&self, version: i16, out: &mut Vec<u8>) {
                use crate::wire::records::wire::*;
                $(
                    let at = record!(@at $($($since)? ; $($tag)?)?);
                    if at.tag.is_none() && version >= at.since {
                        self.$field.put(version, out);
                    }
                )*
                let (mut tags, mut tagged) = (0, Vec::new());
                $(
                    let at = record!(@at $($($since)? ; $($tag)?)?);
                    if let Some(tag) = at.tag && version >= at.since {
                        let preset: $type = record!(@or $($default)?);
                        if self.$field != preset {
                            put_tagged(tag, &self.$field, version, &mut tagged);
                            tags += 1;
                        }
                    }
                )*
                put_varint(tags, out);
                out.append(&mut tagged);
            }
            fn get(version: i16, input: &mut &[u8]) -> Result<Self, crate::wire::records::RecordError> {
                use crate::wire::records::wire::*;
                let mut record = Self::default();
                $(
                    let at = record!(@at $($($since)? ; $($tag)?)?);
                    if at.tag.is_none() && version >= at.since {
                        record.$field = Wire::get(version, input)?;
                    }
                )*
                get_tagged(input, |tag, field| {
                    $(
                        let at = record!(@at $($($since)? ; $($tag)?)?);
                        if at.tag == Some(tag) && version >= at.since {
                            record.$field = Wire::get(version, field)?;
                            return Ok(true);
                        }
                    )*
                    Ok(false)
                })?;
                Ok(record)
            }
        }
    };
    (@or) => { Default::default() };
    (@or $default:expr) => { $default };
    (@at) => { At { since: 0, tag: None } };
    (@at ;) => { At { since: 0, tag: None } };
    (@at $since:literal ;) => { At { since: $since, tag: None } };
    (@at ; $tag:literal) => { At { since: 0, tag: Some($tag) } };
    (@at $since:literal ; $tag:literal) => { At { since: $since, tag: Some($tag) } };
}
pub(super) use record;
