//! The records of `__consumer_offsets`: a key and a value, each opened by its version (16 bits), after the schemas in Kafka's
//! `group-coordinator/src/main/resources/common/message`.
//!
//! The version of a key is its type: 0 and 1 an offset commit, 2 a group's metadata. Kafka writes both values in version 3, the
//! newest that is not flexible (`GroupCoordinatorRecordHelpers`), and reads 0 to 4; so do we. A key without a value is a
//! tombstone. Keys of other types are [`GroupKey::Unknown`]: those of the consumer protocol are read by [`super::consumer_groups`],
//! the rest (share groups) is passed over.

use super::RecordError;
use super::wire::{get_tagged, get_varint, put_varint, take};
use bytes::{BufMut, Bytes};
use std::sync::Arc;

const OFFSET_COMMIT_KEY: i16 = 1;
const GROUP_METADATA_KEY: i16 = 2;
/// What we write.
const VALUE_VERSION: i16 = 3;
/// The newest that we read, and the first whose lengths are varints.
const FLEXIBLE: i16 = 4;

/// What a record of `__consumer_offsets` is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupKey {
    /// `OffsetCommitKey`.
    OffsetCommit {
        /// The group.
        group: Arc<str>,
        /// The topic.
        topic: Arc<str>,
        /// The partition's index.
        partition: i32,
    },
    /// `GroupMetadataKey`.
    GroupMetadata {
        /// The group.
        group: Arc<str>,
    },
    /// A type that we do not know.
    Unknown(i16),
}

/// `OffsetCommitValue`: how far a group has come in one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetCommitValue {
    /// The next offset to consume.
    pub offset: i64,
    /// The leader epoch of the last consumed record, or -1.
    pub leader_epoch: i32,
    /// Whatever the consumer wanted to note.
    pub metadata: Arc<str>,
    /// When it was committed, in milliseconds since 1970.
    pub commit_timestamp: i64,
    /// When it expires, as clients of long ago could ask (version 1 alone has it), or -1.
    pub expire_timestamp: i64,
}

/// `GroupMetadataValue`: a group of the classic protocol, as it was when its generation began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupMetadataValue {
    /// What the members speak among themselves, `consumer` for consumers.
    pub protocol_type: Arc<str>,
    /// The generation.
    pub generation: i32,
    /// The chosen protocol; none if there are no members.
    pub protocol: Option<Arc<str>>,
    /// The member that computed the assignment.
    pub leader: Option<Arc<str>>,
    /// Since when the group is in its state, in milliseconds since 1970, or -1.
    pub current_state_timestamp: i64,
    /// The members.
    pub members: Vec<MemberMetadata>,
}

/// One member of a [`GroupMetadataValue`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberMetadata {
    /// The id that the coordinator gave it.
    pub member_id: Arc<str>,
    /// `group.instance.id` of a static member.
    pub group_instance_id: Option<Arc<str>>,
    /// `client.id`.
    pub client_id: Arc<str>,
    /// Where it connected from.
    pub client_host: Arc<str>,
    /// In milliseconds.
    pub rebalance_timeout: i32,
    /// In milliseconds.
    pub session_timeout: i32,
    /// What it said of itself under the chosen protocol.
    pub subscription: Bytes,
    /// What the leader assigned to it.
    pub assignment: Bytes,
}

impl GroupKey {
    /// The key's bytes.
    ///
    /// # Panics
    /// On [`GroupKey::Unknown`], which nobody writes, and on names beyond 32767 bytes, which no request can carry.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = Put::new(OFFSET_COMMIT_KEY);
        match self {
            Self::OffsetCommit { group, topic, partition } => {
                out.i16(OFFSET_COMMIT_KEY);
                out.text(group);
                out.text(topic);
                out.i32(*partition);
            }
            Self::GroupMetadata { group } => {
                out.i16(GROUP_METADATA_KEY);
                out.text(group);
            }
            Self::Unknown(kind) => panic!("a key of type {kind} is only ever read"),
        }
        out.bytes.into()
    }
    /// Reads a key.
    ///
    /// # Errors
    /// If the bytes are not exactly one key.
    pub fn decode(input: &[u8]) -> Result<Self, RecordError> {
        let mut get = Get::new(input)?;
        let key = match get.version {
            0 | OFFSET_COMMIT_KEY => {
                Self::OffsetCommit { group: get.text()?, topic: get.text()?, partition: get.i32()? }
            }
            GROUP_METADATA_KEY => Self::GroupMetadata { group: get.text()? },
            kind => return Ok(Self::Unknown(kind)),
        };
        get.end("the key")?;
        Ok(key)
    }
}

impl OffsetCommitValue {
    /// The value's bytes, in version 1 if it has an expiry, else in version 3.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let version = if self.expire_timestamp == -1 { VALUE_VERSION } else { 1 };
        let mut out = Put::new(version);
        out.i16(version);
        out.i64(self.offset);
        if version >= 3 {
            out.i32(self.leader_epoch);
        }
        out.text(&self.metadata);
        out.i64(self.commit_timestamp);
        if version == 1 {
            out.i64(self.expire_timestamp);
        }
        out.bytes.into()
    }
    /// Reads a value of any version from 0 to 4. The topic id that version 4 may carry is passed over.
    ///
    /// # Errors
    /// If the bytes are not exactly one value of a version that we know.
    pub fn decode(input: &[u8]) -> Result<Self, RecordError> {
        let mut get = Get::versioned(input, "OffsetCommitValue")?;
        let value = Self {
            offset: get.i64()?,
            leader_epoch: if get.version >= 3 { get.i32()? } else { -1 },
            metadata: get.text()?,
            commit_timestamp: get.i64()?,
            expire_timestamp: if get.version == 1 { get.i64()? } else { -1 },
        };
        get.tags()?;
        get.end("OffsetCommitValue")?;
        Ok(value)
    }
}

impl GroupMetadataValue {
    /// The value's bytes, in version 3.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = Put::new(VALUE_VERSION);
        out.i16(VALUE_VERSION);
        out.text(&self.protocol_type);
        out.i32(self.generation);
        out.opt_text(self.protocol.as_deref());
        out.opt_text(self.leader.as_deref());
        out.i64(self.current_state_timestamp);
        out.i32(self.members.len() as i32);
        for member in &self.members {
            out.text(&member.member_id);
            out.opt_text(member.group_instance_id.as_deref());
            out.text(&member.client_id);
            out.text(&member.client_host);
            out.i32(member.rebalance_timeout);
            out.i32(member.session_timeout);
            out.blob(&member.subscription);
            out.blob(&member.assignment);
        }
        out.bytes.into()
    }
    /// Reads a value of any version from 0 to 4. What an old version does not say of time is -1; a rebalance timeout that it does
    /// not say is the session timeout (`GroupMetadataManager.readGroupMessageValue`).
    ///
    /// # Errors
    /// If the bytes are not exactly one value of a version that we know.
    pub fn decode(input: &[u8]) -> Result<Self, RecordError> {
        let mut get = Get::versioned(input, "GroupMetadataValue")?;
        let mut value = Self {
            protocol_type: get.text()?,
            generation: get.i32()?,
            protocol: get.opt_text()?,
            leader: get.opt_text()?,
            current_state_timestamp: if get.version >= 2 { get.i64()? } else { -1 },
            members: Vec::new(),
        };
        for _ in 0..get.count()? {
            value.members.push(get.member()?);
        }
        get.tags()?;
        get.end("GroupMetadataValue")?;
        Ok(value)
    }
}

struct Put {
    bytes: Vec<u8>,
    flexible: bool,
}

impl Put {
    fn new(version: i16) -> Self {
        Self { bytes: Vec::with_capacity(64), flexible: version >= FLEXIBLE }
    }
    fn i16(&mut self, value: i16) {
        self.bytes.put_i16(value);
    }
    fn i32(&mut self, value: i32) {
        self.bytes.put_i32(value);
    }
    fn i64(&mut self, value: i64) {
        self.bytes.put_i64(value);
    }
    fn text(&mut self, text: &str) {
        self.opt_text(Some(text));
    }
    fn opt_text(&mut self, text: Option<&str>) {
        let len = text.map(|t| i16::try_from(t.len()).expect("a text of a request is below 32 KiB"));
        match (len, self.flexible) {
            (len, true) => put_varint(len.map_or(0, |n| n as u32 + 1), &mut self.bytes),
            (len, false) => self.i16(len.unwrap_or(-1)),
        }
        self.bytes.put_slice(text.unwrap_or_default().as_bytes());
    }
    fn blob(&mut self, blob: &[u8]) {
        let len = i32::try_from(blob.len()).expect("what came in a request is below 2 GiB");
        self.i32(len);
        self.bytes.put_slice(blob);
    }
}

struct Get<'a> {
    version: i16,
    input: &'a [u8],
}

impl<'a> Get<'a> {
    fn new(mut input: &'a [u8]) -> Result<Self, RecordError> {
        let version = take(&mut input).map(i16::from_be_bytes)?;
        Ok(Self { version, input })
    }
    fn versioned(input: &'a [u8], record: &'static str) -> Result<Self, RecordError> {
        let get = Self::new(input)?;
        match get.version {
            0..=FLEXIBLE => Ok(get),
            version => Err(RecordError::UnknownVersion { record, version: version as u16 as u32 }),
        }
    }
    fn flexible(&self) -> bool {
        self.version >= FLEXIBLE
    }
    fn i32(&mut self) -> Result<i32, RecordError> {
        take(&mut self.input).map(i32::from_be_bytes)
    }
    fn i64(&mut self) -> Result<i64, RecordError> {
        take(&mut self.input).map(i64::from_be_bytes)
    }
    /// A claimed length, `None` for null; it is not longer than what is left.
    fn len(&mut self, short: bool) -> Result<Option<usize>, RecordError> {
        let claimed = match (self.flexible(), short) {
            (true, _) => i64::from(get_varint(&mut self.input)?) - 1,
            (false, true) => i64::from(take(&mut self.input).map(i16::from_be_bytes)?),
            (false, false) => i64::from(self.i32()?),
        };
        if claimed < 0 {
            return Ok(None);
        }
        let left = self.input.len();
        match usize::try_from(claimed).ok().filter(|n| *n <= left) {
            Some(len) => Ok(Some(len)),
            None => Err(RecordError::Claim { claimed: claimed as u32, left }),
        }
    }
    fn slice(&mut self, len: usize) -> &'a [u8] {
        let (head, rest) = self.input.split_at(len);
        self.input = rest;
        head
    }
    fn opt_text(&mut self) -> Result<Option<Arc<str>>, RecordError> {
        let Some(len) = self.len(true)? else { return Ok(None) };
        std::str::from_utf8(self.slice(len)).map(|s| Some(s.into())).map_err(|_| RecordError::Utf8)
    }
    fn text(&mut self) -> Result<Arc<str>, RecordError> {
        // The version of an offset key is below every flexible one, so keys read as they are written.
        self.opt_text()?.ok_or(RecordError::Null)
    }
    fn blob(&mut self) -> Result<Bytes, RecordError> {
        let len = self.len(false)?.ok_or(RecordError::Null)?;
        Ok(Bytes::copy_from_slice(self.slice(len)))
    }
    fn count(&mut self) -> Result<usize, RecordError> {
        self.len(false)?.ok_or(RecordError::Null)
    }
    fn member(&mut self) -> Result<MemberMetadata, RecordError> {
        let (member_id, since) = (self.text()?, self.version);
        let group_instance_id = if since >= 3 { self.opt_text()? } else { None };
        let (client_id, client_host) = (self.text()?, self.text()?);
        let rebalance_timeout = if since >= 1 { Some(self.i32()?) } else { None };
        let session_timeout = self.i32()?;
        let member = MemberMetadata {
            member_id,
            group_instance_id,
            client_id,
            client_host,
            rebalance_timeout: rebalance_timeout.unwrap_or(session_timeout),
            session_timeout,
            subscription: self.blob()?,
            assignment: self.blob()?,
        };
        self.tags()?;
        Ok(member)
    }
    fn tags(&mut self) -> Result<(), RecordError> {
        if self.flexible() { get_tagged(&mut self.input, |_, _| Ok(false)) } else { Ok(()) }
    }
    fn end(&self, record: &'static str) -> Result<(), RecordError> {
        match self.input.len() {
            0 => Ok(()),
            left => Err(RecordError::Garbage { record, left }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn commit() -> OffsetCommitValue {
        OffsetCommitValue {
            offset: 510,
            leader_epoch: 7,
            metadata: "m".into(),
            commit_timestamp: 0x0102,
            expire_timestamp: -1,
        }
    }
    fn member() -> MemberMetadata {
        MemberMetadata {
            member_id: "a-1".into(),
            group_instance_id: None,
            client_id: "a".into(),
            client_host: "/h".into(),
            rebalance_timeout: 300,
            session_timeout: 45,
            subscription: Bytes::from_static(&[9]),
            assignment: Bytes::from_static(&[8, 8]),
        }
    }
    fn group() -> GroupMetadataValue {
        GroupMetadataValue {
            protocol_type: "consumer".into(),
            generation: 2,
            protocol: Some("range".into()),
            leader: Some("a-1".into()),
            current_state_timestamp: 5,
            members: vec![member()],
        }
    }

    #[test]
    fn keys_are_byte_for_byte_kafkas() {
        let key = GroupKey::OffsetCommit { group: "g".into(), topic: "tt".into(), partition: 3 };
        assert_eq!(key.encode(), &b"\0\x01\0\x01g\0\x02tt\0\0\0\x03"[..]);
        assert_eq!(GroupKey::decode(&key.encode()), Ok(key.clone()));
        assert_eq!(GroupKey::decode(b"\0\0\0\x01g\0\x02tt\0\0\0\x03"), Ok(key), "version 0 says the same");
        let key = GroupKey::GroupMetadata { group: "g".into() };
        assert_eq!(key.encode(), &b"\0\x02\0\x01g"[..]);
        assert_eq!(GroupKey::decode(&key.encode()), Ok(key));
        assert_eq!(GroupKey::decode(b"\0\x03\0\x01g"), Ok(GroupKey::Unknown(3)));
    }

    #[test]
    fn an_offset_commit_is_byte_for_byte_kafkas() {
        let bytes = b"\0\x03\0\0\0\0\0\0\x01\xfe\0\0\0\x07\0\x01m\0\0\0\0\0\0\x01\x02";
        assert_eq!(commit().encode(), &bytes[..]);
        assert_eq!(OffsetCommitValue::decode(bytes), Ok(commit()));
        let old = OffsetCommitValue { leader_epoch: -1, expire_timestamp: 9, ..commit() };
        let bytes = b"\0\x01\0\0\0\0\0\0\x01\xfe\0\x01m\0\0\0\0\0\0\x01\x02\0\0\0\0\0\0\0\x09";
        assert_eq!(old.encode(), &bytes[..]);
        assert_eq!(OffsetCommitValue::decode(bytes), Ok(old));
        let newest = b"\0\x04\0\0\0\0\0\0\x01\xfe\0\0\0\x07\x02m\0\0\0\0\0\0\x01\x02\0";
        assert_eq!(OffsetCommitValue::decode(newest), Ok(commit()));
    }

    #[test]
    fn a_group_is_byte_for_byte_kafkas() {
        let head = b"\0\x03\0\x08consumer\0\0\0\x02\0\x05range\0\x03a-1\0\0\0\0\0\0\0\x05\0\0\0\x01";
        let tail = b"\0\x03a-1\xff\xff\0\x01a\0\x02/h\0\0\x01\x2c\0\0\0\x2d\0\0\0\x01\x09\0\0\0\x02\x08\x08";
        let bytes = [&head[..], &tail[..]].concat();
        assert_eq!(group().encode(), bytes);
        assert_eq!(GroupMetadataValue::decode(&bytes), Ok(group()));
        let empty = GroupMetadataValue { current_state_timestamp: -1, ..GroupMetadataValue::default() };
        let bytes = b"\0\x03\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0";
        assert_eq!(empty.encode(), &bytes[..]);
        assert_eq!(GroupMetadataValue::decode(bytes), Ok(empty));
    }

    #[test]
    fn a_group_of_an_old_version_waits_as_long_as_its_session() {
        let bytes = b"\0\0\0\x01c\0\0\0\x02\xff\xff\xff\xff\0\0\0\x01\0\x01m\0\x01a\0\x01h\0\0\0\x2d\0\0\0\0\0\0\0\0";
        let value = GroupMetadataValue::decode(bytes).unwrap();
        assert_eq!((value.members[0].rebalance_timeout, value.members[0].session_timeout), (45, 45));
        assert_eq!(value.current_state_timestamp, -1);
    }

    #[test]
    fn whatever_is_cut_off_or_claims_too_much_is_refused() {
        let whole = group().encode();
        for end in 0..whole.len() {
            assert!(GroupMetadataValue::decode(&whole[..end]).is_err(), "{end}");
        }
        assert!(GroupMetadataValue::decode(&[&whole[..], &[0]].concat()).is_err());
        assert!(OffsetCommitValue::decode(b"\0\x05").is_err());
        assert!(OffsetCommitValue::decode(b"\xff\xff").is_err());
    }

    proptest! {
        #[test]
        fn noise_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..80), version in 0u8..6) {
            let bytes = [&[0, version], &bytes[..]].concat();
            let _ = (GroupKey::decode(&bytes), OffsetCommitValue::decode(&bytes), GroupMetadataValue::decode(&bytes));
        }
    }
}
