//! Frames drawn from the schemas, whole and then spoilt: the codec reads the former to the last byte and survives the latter.

use super::guard::{self, Field, Kind, Schema};
use super::*;
use crate::base::random::Stream;
use crate::wire::api::{ListenerKind, table};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Message, Request, VersionRange};
use std::fmt::Debug;

/// One direction of one API.
struct Case {
    name: &'static str,
    key: ApiKey,
    versions: VersionRange,
    schema: &'static Schema,
    /// Decodes; what decodes must encode, and decode to the same again.
    decode: fn(i16, &Bytes) -> Result<(), CodecError>,
}

fn request<R: Request + PartialEq + Debug>(version: i16, body: &Bytes) -> Result<(), CodecError> {
    let message: R = decode_request(version, body)?;
    let frame = encode_request(7, "fuzz", version, &message).expect("what was decoded encodes");
    let (header, again) = split_request(frame.slice(4..)).expect("our own header is right");
    assert_eq!((header.api as i16, header.version, header.correlation_id), (R::KEY, version, 7));
    assert_eq!(decode_request::<R>(version, &again), Ok(message));
    Ok(())
}

fn response<R: Request>(version: i16, body: &Bytes) -> Result<(), CodecError>
where
    R::Response: PartialEq + Debug,
{
    let header_tags: &[u8] = if R::Response::header_version(version) >= 1 { &[0] } else { &[] };
    let rest = Bytes::from([header_tags, body].concat());
    let message = ResponseFrame { correlation_id: 7, rest }.decode::<R>(version)?;
    let frame = encode_response(7, version, &message).expect("what was decoded encodes");
    let again = ResponseFrame::read(frame.slice(4..)).expect("our own header is right");
    assert_eq!(again.decode::<R>(version), Ok(message));
    Ok(())
}

/// The versions that the codec knows of request and response.
fn both<R: Request>() -> VersionRange {
    R::VERSIONS.intersect(&R::Response::VERSIONS)
}

macro_rules! cases {
    ($($api:ident: $request:ident,)*) => {
        fn cases() -> Vec<Case> {
            vec![$(
                Case {
                    name: concat!(stringify!($api), " request"),
                    key: ApiKey::$api,
                    versions: both::<$request>(),
                    schema: schema::request(ApiKey::$api as i16).unwrap(),
                    decode: request::<$request>,
                },
                Case {
                    name: concat!(stringify!($api), " response"),
                    key: ApiKey::$api,
                    versions: both::<$request>(),
                    schema: schema::response(ApiKey::$api as i16).unwrap(),
                    decode: response::<$request>,
                },
            )*]
        }
    };
}
cases! {
    Produce: ProduceRequest,
    Fetch: FetchRequest,
    ListOffsets: ListOffsetsRequest,
    Metadata: MetadataRequest,
    ApiVersions: ApiVersionsRequest,
    CreateTopics: CreateTopicsRequest,
    DeleteTopics: DeleteTopicsRequest,
    DeleteRecords: DeleteRecordsRequest,
    OffsetForLeaderEpoch: OffsetForLeaderEpochRequest,
    InitProducerId: InitProducerIdRequest,
    FindCoordinator: FindCoordinatorRequest,
    JoinGroup: JoinGroupRequest,
    SyncGroup: SyncGroupRequest,
    Heartbeat: HeartbeatRequest,
    LeaveGroup: LeaveGroupRequest,
    OffsetCommit: OffsetCommitRequest,
    OffsetFetch: OffsetFetchRequest,
    DescribeGroups: DescribeGroupsRequest,
    ListGroups: ListGroupsRequest,
    DeleteGroups: DeleteGroupsRequest,
    OffsetDelete: OffsetDeleteRequest,
    ConsumerGroupHeartbeat: ConsumerGroupHeartbeatRequest,
    ConsumerGroupDescribe: ConsumerGroupDescribeRequest,
    Vote: VoteRequest,
    BeginQuorumEpoch: BeginQuorumEpochRequest,
    EndQuorumEpoch: EndQuorumEpochRequest,
    FetchSnapshot: FetchSnapshotRequest,
    AlterPartition: AlterPartitionRequest,
    Envelope: EnvelopeRequest,
    BrokerRegistration: BrokerRegistrationRequest,
    ControllerRegistration: ControllerRegistrationRequest,
    DescribeQuorum: DescribeQuorumRequest,
    BrokerHeartbeat: BrokerHeartbeatRequest,
    AllocateProducerIds: AllocateProducerIdsRequest,
    DescribeConfigs: DescribeConfigsRequest,
    AlterConfigs: AlterConfigsRequest,
    IncrementalAlterConfigs: IncrementalAlterConfigsRequest,
    CreatePartitions: CreatePartitionsRequest,
    ElectLeaders: ElectLeadersRequest,
    AlterPartitionReassignments: AlterPartitionReassignmentsRequest,
    ListPartitionReassignments: ListPartitionReassignmentsRequest,
    DescribeLogDirs: DescribeLogDirsRequest,
    DescribeCluster: DescribeClusterRequest,
    UnregisterBroker: UnregisterBrokerRequest,
    DescribeTopicPartitions: DescribeTopicPartitionsRequest,
}

/// Draws a message that follows a schema.
struct Draw<'a> {
    random: &'a mut Stream,
    version: i16,
    flexible: bool,
    out: Vec<u8>,
}

impl Draw<'_> {
    fn message(random: &mut Stream, schema: &Schema, version: i16) -> Vec<u8> {
        let mut draw = Draw { random, version, flexible: version >= schema.flexible, out: Vec::new() };
        draw.fields(schema.fields);
        draw.out
    }
    fn fields(&mut self, fields: &[Field]) {
        let version = self.version;
        for field in fields.iter().filter(|f| f.tag.is_none() && f.is_in(version)) {
            self.value(&field.kind);
        }
        if self.flexible {
            self.tags(fields);
        }
    }
    fn tags(&mut self, fields: &[Field]) {
        let chosen: Vec<_> = fields
            .iter()
            .filter(|f| f.tag.is_some() && f.is_in(self.version))
            .filter(|_| self.random.chance(1, 2))
            .collect();
        let unknown = self.random.chance(1, 4);
        self.varint(chosen.len() as u32 + u32::from(unknown));
        for field in chosen {
            self.varint(field.tag.unwrap());
            let outer = std::mem::take(&mut self.out);
            self.value(&field.kind);
            let body = std::mem::replace(&mut self.out, outer);
            self.varint(body.len() as u32);
            self.out.extend(body);
        }
        if unknown {
            self.varint(1000);
            self.varint(300);
            self.out.extend([0xab; 300]);
        }
    }
    fn value(&mut self, kind: &Kind) {
        match kind {
            Kind::Fixed(len) => self.bytes(*len),
            Kind::Str => {
                let n = self.random.below(20) as usize;
                if self.flexible {
                    self.varint(n as u32 + 1)
                } else {
                    self.out.put_i16(n as i16)
                }
                let text = (0..n).map(|_| b'a' + self.random.below(26) as u8).collect::<Vec<_>>();
                self.out.extend(text);
            }
            Kind::Blob => {
                let n = self.count(300);
                self.bytes(n);
            }
            Kind::Values(of) => (0..self.count(4)).for_each(|_| self.value(of)),
            Kind::Structs(fields) => (0..self.count(4)).for_each(|_| self.fields(fields)),
            Kind::Struct(fields) => self.fields(fields),
            Kind::Nullable(fields) => {
                if self.random.chance(1, 2) {
                    self.out.push(1);
                    self.fields(fields);
                } else {
                    self.out.push(0xff);
                }
            }
        }
    }
    fn count(&mut self, below: u64) -> usize {
        let n = self.random.below(below) as usize;
        if self.flexible {
            self.varint(n as u32 + 1)
        } else {
            self.out.put_i32(n as i32)
        }
        n
    }
    fn varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.out.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.out.push(value as u8);
    }
    fn bytes(&mut self, n: usize) {
        let random = &mut *self.random;
        self.out.extend((0..n).map(|_| random.below(256) as u8));
    }
}

/// Spoils a message as a bad wire or a bad peer would: flips, cuts, doubles, and claims of huge lengths.
fn spoil(random: &mut Stream, body: &mut Vec<u8>) {
    for _ in 0..random.between(1, 4) {
        let at = random.below(body.len() as u64 + 1) as usize;
        match random.below(5) {
            0 if at < body.len() => body[at] ^= 1 << random.below(8),
            1 => body.truncate(at),
            2 => {
                const BOMBS: [&[u8]; 3] = [&[0xff; 5], &[0xff, 0xff, 0xff, 0xff, 0x0f], &[0x7f, 0xff, 0xff, 0xff]];
                let bomb = *random.pick::<&[u8]>(&BOMBS);
                body.splice(at..body.len().min(at + bomb.len()), bomb.iter().copied());
            }
            3 => body.splice(at..at, [0, 0, 0]).for_each(drop),
            _ => {
                let tail = body[at..].to_vec();
                body.extend(tail);
            }
        }
    }
}

#[test]
fn everything_that_a_listener_serves_is_fuzzed() {
    let fuzzed = |key: ApiKey, version| {
        let hits = cases().into_iter().filter(|c| c.key == key && (c.versions.min..=c.versions.max).contains(&version));
        hits.count() == 2
    };
    for listener in [ListenerKind::Broker, ListenerKind::Controller] {
        for api in table(listener) {
            assert!(fuzzed(api.key, api.min) && fuzzed(api.key, api.max), "{api:?} is served but not fuzzed");
        }
    }
}

#[test]
fn what_a_schema_describes_is_read_to_the_last_byte_in_every_version() {
    let mut random = Stream::new(1, "codec");
    for case in cases() {
        let versions = case.versions;
        for version in versions.min..=versions.max {
            for _ in 0..30 {
                let body = Bytes::from(Draw::message(&mut random, case.schema, version));
                let context = format!("{} v{version}: {body:02x?}", case.name);
                assert_eq!(guard::check(case.schema, version, &body), Ok(0), "{context}");
                assert_eq!((case.decode)(version, &body), Ok(()), "{context}");
                // The codec needs the last byte, so it reads as far as the guard.
                let cut = body.slice(..body.len().saturating_sub(1));
                assert!(body.is_empty() || guard::check(case.schema, version, &cut).is_err(), "{context}");
            }
        }
    }
}

#[test]
fn spoilt_messages_are_refused_or_read_but_never_panic() {
    let mut random = Stream::new(2, "codec");
    let (mut refused, mut read) = (0, 0);
    for case in cases() {
        let versions = case.versions;
        for version in versions.min - 1..=versions.max + 1 {
            for _ in 0..300 {
                let mut body = Draw::message(&mut random, case.schema, version);
                spoil(&mut random, &mut body);
                match (case.decode)(version, &body.into()) {
                    Ok(()) => read += 1,
                    Err(_) => refused += 1,
                }
            }
        }
    }
    assert!(refused > 1_000 && read > 1_000, "the spoiling is neither too mild nor too hard: {refused} {read}");
}

#[test]
fn noise_is_refused_or_read_but_never_panics() {
    let mut random = Stream::new(3, "codec");
    for case in cases() {
        let versions = case.versions;
        for _ in 0..1_000 {
            let version = random.between(0, versions.max as u64) as i16;
            let body: Vec<u8> = (0..random.below(80)).map(|_| random.below(256) as u8).collect();
            let _ = (case.decode)(version, &body.clone().into());
            let _ = split_request(body.into());
        }
    }
}
