use super::control::{ControlRecord, LeaderChangeMessage, SnapshotFooterRecord, SnapshotHeaderRecord, Voter};
use super::*;
use crate::base::random::Stream;
use crate::base::{BrokerEpoch, BrokerId, LeaderEpoch, PartitionEpoch, ProducerId};
use proptest::prelude::*;
use std::sync::Arc;
use uuid::Uuid;

const TOPIC: Uuid = Uuid::from_u128(0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f);
const TOPIC_BYTES: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

fn ids(ids: &[i32]) -> Vec<BrokerId> {
    ids.iter().copied().map(BrokerId).collect()
}

/// The record has these bytes, and these bytes are the record.
fn golden(record: impl Into<MetadataRecord>, parts: &[&[u8]]) {
    let (record, bytes) = (record.into(), parts.concat());
    assert_eq!(record.encode(), bytes, "{}", record.name());
    assert_eq!(MetadataRecord::decode(&bytes), Ok(record));
}

#[test]
fn small_records_are_byte_for_byte_kafkas() {
    golden(NoOpRecord {}, &[&[1, 20, 0, 0]]);
    golden(EndTransactionRecord {}, &[&[1, 24, 0, 0]]);
    golden(BeginTransactionRecord { name: None }, &[&[1, 23, 0, 0]]);
    golden(BeginTransactionRecord { name: Some("ab".into()) }, &[&[1, 23, 0, 1, 0, 3, 3], b"ab"]);
    golden(AbortTransactionRecord { reason: Some("x".into()) }, &[&[1, 25, 0, 1, 0, 2, 2], b"x"]);
    golden(TopicRecord { name: "foo".into(), topic_id: TOPIC }, &[&[1, 2, 0, 4], b"foo", &TOPIC_BYTES, &[0]]);
    golden(RemoveTopicRecord { topic_id: TOPIC }, &[&[1, 9, 0], &TOPIC_BYTES, &[0]]);
    golden(FeatureLevelRecord { name: "a".into(), feature_level: 25 }, &[&[1, 12, 0, 2, b'a', 0, 25, 0]]);
    let epoch = BrokerEpoch(258);
    golden(FenceBrokerRecord { id: BrokerId(3), epoch }, &[&[1, 7, 0, 0, 0, 0, 3], &258i64.to_be_bytes(), &[0]]);
    golden(UnfenceBrokerRecord { id: BrokerId(3), epoch }, &[&[1, 8, 0, 0, 0, 0, 3], &258i64.to_be_bytes(), &[0]]);
    let gone = UnregisterBrokerRecord { broker_id: BrokerId(3), broker_epoch: epoch };
    golden(gone, &[&[1, 1, 0, 0, 0, 0, 3], &258i64.to_be_bytes(), &[0]]);
}

#[test]
fn a_config_may_be_deleted_by_null() {
    let record = ConfigRecord { resource_type: 2, resource_name: "t".into(), name: "k".into(), value: None };
    golden(record.clone(), &[&[1, 4, 0, 2, 2, b't', 2, b'k', 0, 0]]);
    golden(ConfigRecord { value: Some("v".into()), ..record }, &[&[1, 4, 0, 2, 2, b't', 2, b'k', 2, b'v', 0]]);
}

#[test]
fn a_block_of_producer_ids() {
    let record =
        ProducerIdsRecord { broker_id: BrokerId(1), broker_epoch: BrokerEpoch(2), next_producer_id: ProducerId(1000) };
    golden(record, &[&[1, 15, 0, 0, 0, 0, 1], &2i64.to_be_bytes(), &1000i64.to_be_bytes(), &[0]]);
}

fn partition() -> PartitionRecord {
    PartitionRecord {
        partition_id: 5,
        topic_id: TOPIC,
        replicas: ids(&[1, 2]),
        isr: ids(&[1]),
        leader: BrokerId(1),
        leader_epoch: LeaderEpoch(3),
        partition_epoch: PartitionEpoch(4),
        directories: vec![TOPIC, Uuid::nil()],
        ..PartitionRecord::default()
    }
}

#[test]
fn a_partition_without_and_with_eligible_leader_replicas() {
    let untagged: &[&[u8]] = &[
        &[1, 3, 2, 0, 0, 0, 5],
        &TOPIC_BYTES,
        &[3, 0, 0, 0, 1, 0, 0, 0, 2], // replicas
        &[2, 0, 0, 0, 1],             // isr
        &[1, 1],                      // removing, adding
        &[0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 4],
        &[3],
        &TOPIC_BYTES,
        &[0; 16],
    ];
    golden(partition(), &[&untagged.concat(), &[0]]);
    let elr = PartitionRecord {
        leader_recovery_state: 1,
        eligible_leader_replicas: Some(ids(&[2])),
        last_known_elr: Some(vec![]),
        ..partition()
    };
    golden(elr, &[&untagged.concat(), &[3], &[0, 1, 1], &[1, 5, 2, 0, 0, 0, 2], &[2, 1, 1]]);
}

#[test]
fn a_partition_of_version_0_has_no_directories() {
    let old =
        [&[1, 3, 0, 0, 0, 0, 5], &TOPIC_BYTES[..], &[1, 1, 1, 1], &[0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 4, 0]].concat();
    let expected = PartitionRecord { replicas: vec![], isr: vec![], directories: vec![], ..partition() };
    assert_eq!(MetadataRecord::decode(&old), Ok(expected.into()));
}

#[test]
fn a_partition_change_holds_only_what_changes() {
    let change = PartitionChangeRecord { partition_id: 5, topic_id: TOPIC, ..PartitionChangeRecord::default() };
    assert_eq!(change.leader, PartitionChangeRecord::SAME_LEADER);
    golden(change.clone(), &[&[1, 5, 2, 0, 0, 0, 5], &TOPIC_BYTES, &[0]]);
    let change = PartitionChangeRecord {
        isr: Some(ids(&[2, 3])),
        leader: BrokerId::NONE,
        leader_recovery_state: 0,
        eligible_leader_replicas: Some(ids(&[1])),
        last_known_elr: Some(vec![]),
        directories: Some(vec![TOPIC]),
        ..change
    };
    let tags: &[&[u8]] = &[
        &[6],
        &[0, 9, 3, 0, 0, 0, 2, 0, 0, 0, 3],
        &[1, 4, 255, 255, 255, 255],
        &[5, 1, 0],
        &[6, 5, 2, 0, 0, 0, 1],
        &[7, 1, 1],
        &[8, 17, 2],
        &TOPIC_BYTES,
    ];
    golden(change, &[&[1, 5, 2, 0, 0, 0, 5], &TOPIC_BYTES, &tags.concat()]);
}

fn registration() -> RegisterBrokerRecord {
    RegisterBrokerRecord {
        broker_id: BrokerId(1),
        incarnation_id: TOPIC,
        broker_epoch: BrokerEpoch(7),
        end_points: vec![EndPoint { name: "A".into(), host: "h".into(), port: 9092, security_protocol: 0 }],
        features: vec![Feature { name: "f".into(), min_supported_version: 1, max_supported_version: 2 }],
        log_dirs: vec![TOPIC],
        ..RegisterBrokerRecord::default()
    }
}

#[test]
fn a_broker_registers() {
    let body: &[&[u8]] = &[
        &[0, 0, 0, 1, 0], // id, not migrating
        &TOPIC_BYTES,
        &7i64.to_be_bytes(),
        &[2, 2, b'A', 2, b'h', 0x23, 0x84, 0, 0, 0], // one endpoint
        &[2, 2, b'f', 0, 1, 0, 2, 0],                // one feature
        &[0, 1, 0],                                  // no rack, fenced, not in controlled shutdown
        &[1, 0, 17, 2],
        &TOPIC_BYTES,
    ];
    golden(registration(), &[&[1, 0, 3], &body.concat()]);
}

#[test]
fn a_registration_changes() {
    let record = BrokerRegistrationChangeRecord {
        broker_id: BrokerId(1),
        broker_epoch: BrokerEpoch(7),
        fenced: -1,
        in_controlled_shutdown: 1,
        log_dirs: vec![],
    };
    golden(record, &[&[1, 17, 2, 0, 0, 0, 1], &7i64.to_be_bytes(), &[2, 0, 1, 255, 1, 1, 1]]);
}

#[test]
fn a_controller_registers() {
    let record = RegisterControllerRecord {
        controller_id: BrokerId(2),
        incarnation_id: TOPIC,
        ..RegisterControllerRecord::default()
    };
    golden(record.clone(), &[&[1, 27, 0, 0, 0, 0, 2], &TOPIC_BYTES, &[0, 1, 1, 0]]);
    let end_point = EndPoint { name: "CONTROLLER".into(), host: "c".into(), port: 0xfffe, security_protocol: 0 };
    let feature = Feature { name: "mv".into(), min_supported_version: 7, max_supported_version: 27 };
    let full = RegisterControllerRecord { end_points: vec![end_point], features: vec![feature], ..record };
    let tail: [&[u8]; 5] = [
        &[0, 2, 11],
        b"CONTROLLER",
        // Host, port, security protocol and the end of the listener's fields; then one feature.
        &[2, b'c', 0xff, 0xfe, 0, 0, 0],
        &[2, 3, b'm', b'v', 0, 7, 0, 27, 0],
        &[0],
    ];
    golden(full, &[&[1, 27, 0, 0, 0, 0, 2], &TOPIC_BYTES, &tail.concat()]);
}

#[test]
fn a_leader_change_is_byte_for_byte_kafkas() {
    let voter = Voter::default().with_voter_id(3);
    let message = LeaderChangeMessage::default().with_leader_id(3.into()).with_voters(vec![voter.clone()]);
    let (key, value) = ControlRecord::LeaderChange(message.clone()).encode().unwrap();
    assert_eq!(&*key, [0, 0, 0, 2]);
    assert_eq!(&*value, [0, 0, 0, 0, 0, 3, 2, 0, 0, 0, 3, 0, 1, 0]);
    assert_eq!(ControlRecord::decode(&key, value), Ok(ControlRecord::LeaderChange(message.clone())));

    let named = message.with_version(1).with_granting_voters(vec![voter.with_voter_directory_id(TOPIC)]);
    let (key, value) = ControlRecord::LeaderChange(named.clone()).encode().unwrap();
    assert_eq!(ControlRecord::decode(&key, value), Ok(ControlRecord::LeaderChange(named)));
}

#[test]
fn a_snapshot_has_two_ends_and_unknown_control_records_are_named() {
    let header = ControlRecord::SnapshotHeader(SnapshotHeaderRecord::default().with_last_contained_log_timestamp(5));
    let (key, value) = header.encode().unwrap();
    assert_eq!((&*key, &*value), (&[0, 0, 0, 3][..], &[0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0][..]));
    assert_eq!(ControlRecord::decode(&key, value), Ok(header));
    let footer = ControlRecord::SnapshotFooter(SnapshotFooterRecord::default());
    let (key, value) = footer.encode().unwrap();
    assert_eq!((&*key, &*value), (&[0, 0, 0, 4][..], &[0, 0, 0][..]));
    assert_eq!(ControlRecord::decode(&key, value), Ok(footer));
    assert_eq!(ControlRecord::decode(&[0, 0, 0, 6], Bytes::new()), Ok(ControlRecord::Unknown(6)));
    assert!(ControlRecord::decode(&[0, 0, 0], Bytes::new()).is_err());
    let bomb = Bytes::from_static(&[0, 0, 0, 0, 0, 3, 255, 255, 255, 255, 15]);
    assert!(ControlRecord::decode(&[0, 0, 0, 2], bomb).is_err());
}

#[test]
fn what_is_not_known_is_named() {
    assert_eq!(MetadataRecord::decode(&[0, 20, 0, 0]), Err(RecordError::FrameVersion(0)));
    assert_eq!(MetadataRecord::decode(&[1, 21, 0, 0]), Err(RecordError::UnknownType(21)));
    let unknown = RecordError::UnknownVersion { record: "TopicRecord", version: 1 };
    assert_eq!(MetadataRecord::decode(&[1, 2, 1, 0]), Err(unknown));
    assert_eq!(MetadataRecord::decode(&[1, 20, 0, 0, 9]), Err(RecordError::Garbage { record: "NoOpRecord", left: 1 }));
    assert_eq!(MetadataRecord::decode(&[]), Err(RecordError::Truncated));
}

#[test]
fn unknown_tags_are_skipped_and_null_has_its_place() {
    assert_eq!(MetadataRecord::decode(&[1, 20, 0, 1, 99, 2, 7, 7]), Ok(NoOpRecord {}.into()));
    assert_eq!(MetadataRecord::decode(&[1, 12, 0, 0, 0, 1, 0]), Err(RecordError::Null));
    assert_eq!(MetadataRecord::decode(&[1, 23, 0, 1, 0, 4, 3, b'a', b'b', 0]), Err(RecordError::TagSize(0)));
}

/// One record of every type, with every field set.
fn full_records() -> Vec<MetadataRecord> {
    let text = |s: &str| Some(Arc::<str>::from(s));
    let change = PartitionChangeRecord {
        partition_id: 1,
        topic_id: TOPIC,
        isr: Some(ids(&[1, 2])),
        leader: BrokerId(2),
        replicas: Some(ids(&[1, 2, 3])),
        removing_replicas: Some(ids(&[3])),
        adding_replicas: Some(ids(&[])),
        leader_recovery_state: 1,
        eligible_leader_replicas: Some(ids(&[3])),
        last_known_elr: Some(ids(&[1])),
        directories: Some(vec![TOPIC]),
    };
    vec![
        RegisterBrokerRecord { rack: text("r"), ..registration() }.into(),
        UnregisterBrokerRecord::default().into(),
        TopicRecord { name: "topic".into(), topic_id: TOPIC }.into(),
        PartitionRecord { eligible_leader_replicas: Some(ids(&[2])), last_known_elr: Some(vec![]), ..partition() }
            .into(),
        ConfigRecord { resource_type: 2, resource_name: "t".into(), name: "k".into(), value: text("v") }.into(),
        change.into(),
        FenceBrokerRecord::default().into(),
        UnfenceBrokerRecord::default().into(),
        RemoveTopicRecord { topic_id: TOPIC }.into(),
        FeatureLevelRecord { name: "metadata.version".into(), feature_level: 27 }.into(),
        ProducerIdsRecord::default().into(),
        BrokerRegistrationChangeRecord { fenced: 1, log_dirs: vec![TOPIC], ..Default::default() }.into(),
        NoOpRecord {}.into(),
        BeginTransactionRecord { name: text("topics") }.into(),
        EndTransactionRecord {}.into(),
        AbortTransactionRecord { reason: text("failover") }.into(),
        RegisterControllerRecord { end_points: registration().end_points, ..Default::default() }.into(),
    ]
}

#[test]
fn every_prefix_of_every_record_is_refused() {
    for record in full_records() {
        let bytes = record.encode();
        assert_eq!(MetadataRecord::decode(&bytes), Ok(record.clone()));
        for end in 0..bytes.len() {
            assert!(MetadataRecord::decode(&bytes[..end]).is_err(), "{} cut at {end}", record.name());
        }
    }
}

#[test]
fn spoilt_records_never_panic() {
    let mut random = Stream::new(1, "records");
    for record in full_records() {
        for _ in 0..3_000 {
            let mut bytes = record.encode().to_vec();
            for _ in 0..random.between(1, 3) {
                let at = random.below(bytes.len() as u64) as usize;
                bytes[at] = *random.pick(&[0, 1, 0x7f, 0x80, 0xff, random.clone().next_u64() as u8]);
            }
            // What still decodes is a record, and comes back as it is.
            if let Ok(read) = MetadataRecord::decode(&bytes) {
                assert_eq!(MetadataRecord::decode(&read.encode()), Ok(read));
            }
        }
    }
}

fn any_ids() -> impl Strategy<Value = Vec<BrokerId>> {
    prop::collection::vec(any::<i32>().prop_map(BrokerId), 0..5)
}

proptest! {
    #[test]
    fn any_partition_comes_back(
        (partition_id, leader, epoch, partition_epoch) in any::<(i32, i32, i32, i32)>(),
        (replicas, isr, adding_replicas) in (any_ids(), any_ids(), any_ids()),
        (elr, last) in (prop::option::of(any_ids()), prop::option::of(any_ids())),
        (topic, dirs, leader_recovery_state) in any::<(u128, Vec<u128>, i8)>(),
    ) {
        let record = MetadataRecord::from(PartitionRecord {
            partition_id,
            topic_id: Uuid::from_u128(topic),
            replicas,
            isr,
            removing_replicas: vec![],
            adding_replicas,
            leader: BrokerId(leader),
            leader_recovery_state,
            leader_epoch: LeaderEpoch(epoch),
            partition_epoch: PartitionEpoch(partition_epoch),
            directories: dirs.into_iter().map(Uuid::from_u128).collect(),
            eligible_leader_replicas: elr,
            last_known_elr: last,
        });
        prop_assert_eq!(MetadataRecord::decode(&record.encode()), Ok(record));
    }

    #[test]
    fn any_config_comes_back(resource_type: i8, resource_name: String, name: String, value: Option<String>) {
        let value = value.map(Into::into);
        let record = MetadataRecord::from(ConfigRecord {
            resource_type, resource_name: resource_name.into(), name: name.into(), value,
        });
        prop_assert_eq!(MetadataRecord::decode(&record.encode()), Ok(record));
    }
}
