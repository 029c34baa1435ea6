//! The records of `__consumer_offsets` that keep groups of the consumer protocol (KIP-848), after Kafka's schemas
//! `ConsumerGroup*Key` and `ConsumerGroup*Value`.
//!
//! The version of a key is its type, 3 to 8; keys are not flexible. Values are opened by their version, 0, and flexible. A key
//! without a value is a tombstone. What the records mean is the business of [`crate::group`].

use super::RecordError;
use super::wire::{Wire, record, take};
use crate::base::TopicId;
use bytes::{BufMut, Bytes};
use std::sync::Arc;

const VALUE_VERSION: i16 = 0;
/// The key types of this protocol.
pub const KEY_TYPES: std::ops::RangeInclusive<i16> = 3..=8;

record! {
    /// `ConsumerGroupMetadataValue`.
    GroupEpochValue {
        /// The group epoch.
        epoch: i32,
    }
}

record! {
    /// `ConsumerGroupPartitionMetadataValue`: the subscribed topics as the group knows them.
    PartitionMetadataValue {
        /// The topics.
        topics: Vec<TopicMetadata>,
    }
}

record! {
    /// One topic of a [`PartitionMetadataValue`].
    TopicMetadata {
        /// Its id.
        topic_id: TopicId,
        /// Its name.
        topic_name: Arc<str> = "".into(),
        /// How many partitions it has.
        num_partitions: i32,
        /// Where its partitions are; empty without racks.
        partition_metadata: Vec<PartitionRacks>,
    }
}

record! {
    /// The racks of one partition.
    PartitionRacks {
        /// The partition.
        partition: i32,
        /// Its racks.
        racks: Vec<Arc<str>>,
    }
}

record! {
    /// `ConsumerGroupMemberMetadataValue`. The tagged metadata of members that speak the classic protocol is passed over.
    MemberMetadataValue {
        /// `group.instance.id`.
        instance_id: Option<Arc<str>>,
        /// `client.rack`.
        rack_id: Option<Arc<str>>,
        /// `client.id`.
        client_id: Arc<str> = "".into(),
        /// Where it connects from.
        client_host: Arc<str> = "".into(),
        /// What it subscribes to.
        subscribed_topic_names: Vec<Arc<str>>,
        /// What it subscribes to by pattern.
        subscribed_topic_regex: Option<Arc<str>>,
        /// How long it may take to give partitions back, in milliseconds.
        rebalance_timeout_ms: i32 = -1,
        /// The assignor that it wants.
        server_assignor: Option<Arc<str>>,
    }
}

record! {
    /// `ConsumerGroupTargetAssignmentMetadataValue`.
    TargetEpochValue {
        /// The group epoch that the target assignment was computed for.
        assignment_epoch: i32,
    }
}

record! {
    /// `ConsumerGroupTargetAssignmentMemberValue`.
    TargetMemberValue {
        /// What the member shall own.
        topic_partitions: Vec<TopicPartitions>,
    }
}

record! {
    /// Partitions of one topic.
    TopicPartitions {
        /// The topic.
        topic_id: TopicId,
        /// Its partitions.
        partitions: Vec<i32>,
    }
}

record! {
    /// `ConsumerGroupCurrentMemberAssignmentValue`.
    CurrentAssignmentValue {
        /// The epoch that is expected of the member.
        member_epoch: i32,
        /// The epoch that it comes with if the answer with the present one was lost.
        previous_member_epoch: i32,
        /// `MemberState`.
        state: i8,
        /// What it owns.
        assigned_partitions: Vec<TopicPartitions>,
        /// What it must give back.
        partitions_pending_revocation: Vec<TopicPartitions>,
    }
}

/// A record of a group of the consumer protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConsumerGroupRecord {
    /// Key 3: the group and its epoch.
    Group(Arc<str>, Option<GroupEpochValue>),
    /// Key 4: the topics.
    Topics(Arc<str>, Option<PartitionMetadataValue>),
    /// Key 5: a member.
    Member(Arc<str>, Arc<str>, Option<MemberMetadataValue>),
    /// Key 6: the epoch of the target assignment.
    TargetEpoch(Arc<str>, Option<TargetEpochValue>),
    /// Key 7: the target assignment of a member.
    Target(Arc<str>, Arc<str>, Option<TargetMemberValue>),
    /// Key 8: what a member owns.
    Current(Arc<str>, Arc<str>, Option<CurrentAssignmentValue>),
}

fn value<T: Wire>(value: Option<&T>) -> Option<Bytes> {
    value.map(|value| {
        let mut out = Vec::with_capacity(64);
        out.put_i16(VALUE_VERSION);
        value.put(VALUE_VERSION, &mut out);
        out.into()
    })
}

fn read<T: Wire>(record: &'static str, input: Option<&[u8]>) -> Result<Option<T>, RecordError> {
    let Some(mut input) = input else { return Ok(None) };
    let version = take(&mut input).map(i16::from_be_bytes)?;
    if version != VALUE_VERSION {
        return Err(RecordError::UnknownVersion { record, version: version as u16 as u32 });
    }
    let value = T::get(version, &mut input)?;
    match input.len() {
        0 => Ok(Some(value)),
        left => Err(RecordError::Garbage { record, left }),
    }
}

fn text(input: &mut &[u8]) -> Result<Arc<str>, RecordError> {
    let len = take(input).map(i16::from_be_bytes)?;
    let len = usize::try_from(len).map_err(|_| RecordError::Null)?;
    let Some((head, rest)) = input.split_at_checked(len) else {
        return Err(RecordError::Claim { claimed: len as u32, left: input.len() });
    };
    *input = rest;
    std::str::from_utf8(head).map(Into::into).map_err(|_| RecordError::Utf8)
}

impl ConsumerGroupRecord {
    /// The bytes of key and value; no value is a tombstone.
    ///
    /// # Panics
    /// On names beyond 32767 bytes, which no request can carry.
    #[must_use]
    pub fn encode(&self) -> (Bytes, Option<Bytes>) {
        let (kind, group, member, value) = match self {
            Self::Group(group, v) => (3, group, None, value(v.as_ref())),
            Self::Topics(group, v) => (4, group, None, value(v.as_ref())),
            Self::Member(group, member, v) => (5, group, Some(member), value(v.as_ref())),
            Self::TargetEpoch(group, v) => (6, group, None, value(v.as_ref())),
            Self::Target(group, member, v) => (7, group, Some(member), value(v.as_ref())),
            Self::Current(group, member, v) => (8, group, Some(member), value(v.as_ref())),
        };
        let mut key = Vec::with_capacity(64);
        key.put_i16(kind);
        for name in std::iter::once(group).chain(member) {
            key.put_i16(i16::try_from(name.len()).expect("a text of a request is below 32 KiB"));
            key.put_slice(name.as_bytes());
        }
        (key.into(), value)
    }
    /// Reads a record whose key is of one of these types.
    ///
    /// # Errors
    /// If key or value are not exactly one of them.
    pub fn decode(mut key: &[u8], value: Option<&[u8]>) -> Result<Self, RecordError> {
        let key = &mut key;
        let kind = take(key).map(i16::from_be_bytes)?;
        let group = text(key)?;
        let member = if matches!(kind, 5 | 7 | 8) { text(key)? } else { "".into() };
        if !key.is_empty() {
            return Err(RecordError::Garbage { record: "the key", left: key.len() });
        }
        Ok(match kind {
            3 => Self::Group(group, read("ConsumerGroupMetadataValue", value)?),
            4 => Self::Topics(group, read("ConsumerGroupPartitionMetadataValue", value)?),
            5 => Self::Member(group, member, read("ConsumerGroupMemberMetadataValue", value)?),
            6 => Self::TargetEpoch(group, read("ConsumerGroupTargetAssignmentMetadataValue", value)?),
            7 => Self::Target(group, member, read("ConsumerGroupTargetAssignmentMemberValue", value)?),
            8 => Self::Current(group, member, read("ConsumerGroupCurrentMemberAssignmentValue", value)?),
            kind => return Err(RecordError::UnknownType(kind as u16 as u32)),
        })
    }
    /// The group that it is about.
    #[must_use]
    pub fn group(&self) -> &Arc<str> {
        match self {
            Self::Group(group, _) | Self::Topics(group, _) | Self::TargetEpoch(group, _) => group,
            Self::Member(group, ..) | Self::Target(group, ..) | Self::Current(group, ..) => group,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(record: &ConsumerGroupRecord) -> (Vec<u8>, Option<Vec<u8>>) {
        let (key, value) = record.encode();
        assert_eq!(ConsumerGroupRecord::decode(&key, value.as_deref()), Ok(record.clone()));
        (key.to_vec(), value.map(|v| v.to_vec()))
    }
    fn id(n: u8) -> TopicId {
        TopicId::from_bytes([n; 16])
    }

    #[test]
    fn keys_and_numbers_are_byte_for_byte_kafkas() {
        let epoch = ConsumerGroupRecord::Group("g".into(), Some(GroupEpochValue { epoch: 5 }));
        assert_eq!(bytes(&epoch), (b"\0\x03\0\x01g".to_vec(), Some(b"\0\0\0\0\0\x05\0".to_vec())));
        let target = ConsumerGroupRecord::TargetEpoch("g".into(), Some(TargetEpochValue { assignment_epoch: 258 }));
        assert_eq!(bytes(&target), (b"\0\x06\0\x01g".to_vec(), Some(b"\0\0\0\0\x01\x02\0".to_vec())));
        assert_eq!(bytes(&ConsumerGroupRecord::Topics("g".into(), None)), (b"\0\x04\0\x01g".to_vec(), None));
        let gone = ConsumerGroupRecord::Current("g".into(), "mm".into(), None);
        assert_eq!(bytes(&gone), (b"\0\x08\0\x01g\0\x02mm".to_vec(), None));
    }

    #[test]
    fn a_member_is_byte_for_byte_kafkas() {
        let value = MemberMetadataValue {
            instance_id: Some("i".into()),
            client_id: "c".into(),
            client_host: "/h".into(),
            subscribed_topic_names: vec!["t".into()],
            rebalance_timeout_ms: 300,
            ..MemberMetadataValue::default()
        };
        let (key, value) = bytes(&ConsumerGroupRecord::Member("g".into(), "m".into(), Some(value)));
        assert_eq!(key, b"\0\x05\0\x01g\0\x01m");
        // Version, instance, no rack, client, host, one topic, no pattern, timeout, no assignor, no tags.
        assert_eq!(value.unwrap(), b"\0\0\x02i\0\x02c\x03/h\x02\x02t\0\0\0\x01\x2c\0\0");
    }

    #[test]
    fn assignments_are_byte_for_byte_kafkas() {
        let of = |n, partitions: &[i32]| TopicPartitions { topic_id: id(n), partitions: partitions.to_vec() };
        let target = TargetMemberValue { topic_partitions: vec![of(7, &[0, 2])] };
        let (_, value) = bytes(&ConsumerGroupRecord::Target("g".into(), "m".into(), Some(target)));
        let one = [&[7; 16][..], b"\x03\0\0\0\0\0\0\0\x02\0"].concat();
        assert_eq!(value.unwrap(), [&b"\0\0\x02"[..], &one, b"\0"].concat());
        let current = CurrentAssignmentValue {
            member_epoch: 3,
            previous_member_epoch: 2,
            state: 1,
            assigned_partitions: vec![of(7, &[0, 2])],
            partitions_pending_revocation: Vec::new(),
        };
        let (_, value) = bytes(&ConsumerGroupRecord::Current("g".into(), "m".into(), Some(current)));
        assert_eq!(value.unwrap(), [&b"\0\0\0\0\0\x03\0\0\0\x02\x01\x02"[..], &one, b"\x01\0"].concat());
        let topic =
            TopicMetadata { topic_id: id(9), topic_name: "t".into(), num_partitions: 6, partition_metadata: vec![] };
        let topics = PartitionMetadataValue { topics: vec![topic] };
        let (_, value) = bytes(&ConsumerGroupRecord::Topics("g".into(), Some(topics)));
        assert_eq!(value.unwrap(), [&b"\0\0\x02"[..], &[9; 16], b"\x02t\0\0\0\x06\x01\0\0"].concat());
    }

    #[test]
    fn whatever_is_cut_off_is_refused() {
        let value = CurrentAssignmentValue { member_epoch: 3, ..CurrentAssignmentValue::default() };
        let (key, value) = ConsumerGroupRecord::Current("g".into(), "m".into(), Some(value)).encode();
        let value = value.unwrap();
        for end in 0..value.len() {
            assert!(ConsumerGroupRecord::decode(&key, Some(&value[..end])).is_err(), "{end}");
        }
        for end in 0..key.len() {
            assert!(ConsumerGroupRecord::decode(&key[..end], Some(&value)).is_err(), "{end}");
        }
    }

    proptest! {
        #[test]
        fn noise_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..80), kind in 3u8..9) {
            let key = [&[0, kind, 0, 1, b'g', 0, 1, b'm'], &bytes[..]].concat();
            let short = &key[..if matches!(kind, 5 | 7 | 8) { 8 } else { 5 }];
            let _ = ConsumerGroupRecord::decode(&key, Some(&bytes));
            let value = [&[0, 0], &bytes[..]].concat();
            let _ = ConsumerGroupRecord::decode(short, Some(&value));
        }
    }
}
