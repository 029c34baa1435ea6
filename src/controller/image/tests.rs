//! What replaying records makes of an image.

use std::sync::Arc;

use uuid::Uuid;

use super::{BrokerEvent, Changes, ConfigResource, Image};
use crate::base::{BrokerEpoch, BrokerId, LeaderEpoch, Offset, PartitionEpoch, ProducerId, TopicId, TopicPartition};
use crate::wire::records::{
    BeginTransactionRecord, BrokerRegistrationChangeRecord, ConfigRecord, FeatureLevelRecord, MetadataRecord,
    NoOpRecord, PartitionChangeRecord, PartitionRecord, ProducerIdsRecord, RegisterBrokerRecord,
    RegisterControllerRecord, RemoveTopicRecord, TopicRecord, UnregisterBrokerRecord,
};

const T: TopicId = Uuid::from_u128(1);

fn ids<const N: usize>(ids: [i32; N]) -> Vec<BrokerId> {
    ids.map(BrokerId).to_vec()
}

fn topic(name: &str, topic_id: TopicId) -> MetadataRecord {
    TopicRecord { name: name.into(), topic_id }.into()
}

fn partition(partition_id: i32) -> MetadataRecord {
    PartitionRecord {
        partition_id,
        topic_id: T,
        replicas: ids([1, 2]),
        isr: ids([1, 2]),
        leader: BrokerId(1),
        leader_epoch: LeaderEpoch(0),
        partition_epoch: PartitionEpoch(0),
        ..PartitionRecord::default()
    }
    .into()
}

fn registration(id: i32, life: u128, epoch: i64) -> MetadataRecord {
    RegisterBrokerRecord {
        broker_id: BrokerId(id),
        incarnation_id: Uuid::from_u128(life),
        broker_epoch: BrokerEpoch(epoch),
        ..RegisterBrokerRecord::default()
    }
    .into()
}

fn unfence(id: i32, epoch: i64) -> MetadataRecord {
    BrokerRegistrationChangeRecord {
        broker_id: BrokerId(id),
        broker_epoch: BrokerEpoch(epoch),
        fenced: -1,
        ..BrokerRegistrationChangeRecord::default()
    }
    .into()
}

/// Applies records one after the other and says what they touched.
fn replay(image: &mut Image, records: impl IntoIterator<Item = MetadataRecord>) -> Changes {
    let mut changes = Changes::default();
    for record in records {
        image.apply(image.next(), &record, &mut changes).expect("it fits");
    }
    changes
}

#[test]
fn a_reader_keeps_the_image_that_it_took() {
    let mut image = Image::default();
    replay(&mut image, [topic("t", T), partition(0)]);
    let taken = image.clone();
    let change = PartitionChangeRecord {
        topic_id: T,
        partition_id: 0,
        leader: BrokerId(2),
        isr: Some(ids([2])),
        ..PartitionChangeRecord::default()
    };
    let changes = replay(&mut image, [change.into()]);
    assert!(changes.partitions.contains(&(T, 0)));
    let tp = TopicPartition::new("t", 0);
    let (old, new) = (taken.partition(&tp).unwrap(), image.partition(&tp).unwrap());
    assert_eq!((old.leader, old.leader_epoch, old.isr.clone()), (BrokerId(1), LeaderEpoch(0), ids([1, 2])));
    assert_eq!((new.leader, new.leader_epoch, new.isr.clone()), (BrokerId(2), LeaderEpoch(1), ids([2])));
    assert_eq!(new.partition_epoch, PartitionEpoch(1));
}

#[test]
fn naming_the_same_leader_again_raises_its_epoch_and_naming_none_does_not() {
    let mut image = Image::default();
    replay(&mut image, [topic("t", T), partition(0)]);
    let change = PartitionChangeRecord { topic_id: T, partition_id: 0, ..PartitionChangeRecord::default() };
    let epochs = |image: &Image| {
        let p = image.partition_by_id(T, 0).unwrap();
        (p.leader_epoch.0, p.partition_epoch.0)
    };
    replay(&mut image, [change.clone().into()]);
    assert_eq!(epochs(&image), (0, 1));
    replay(&mut image, [PartitionChangeRecord { leader: BrokerId(1), ..change }.into()]);
    assert_eq!(epochs(&image), (1, 2));
}

#[test]
fn a_removed_topic_leaves_with_its_partitions_and_configuration() {
    let mut image = Image::default();
    let config = ConfigRecord {
        resource_type: 2,
        resource_name: "t".into(),
        name: "retention.ms".into(),
        value: Some("1".into()),
    };
    let removal = RemoveTopicRecord { topic_id: T };
    let changes = replay(&mut image, [topic("t", T), config.into(), partition(0), removal.into()]);
    assert!(changes.partitions.is_empty(), "what is gone was not changed");
    assert_eq!(changes.removed_topics[&T].partitions.len(), 1);
    assert!(image.topic("t").is_none() && image.topic_by_id(T).is_none());
    assert!(image.config(&ConfigResource::Topic("t".into())).is_none());
    // The name is free again, under another id.
    replay(&mut image, [topic("t", Uuid::from_u128(2))]);
    assert_eq!(image.topics().map(|t| t.id).collect::<Vec<_>>(), [Uuid::from_u128(2)]);
}

#[test]
fn the_life_of_a_broker_is_told_in_order() {
    let (id, first, second) = (BrokerId(1), BrokerEpoch(0), BrokerEpoch(2));
    let mut image = Image::default();
    let changes = replay(&mut image, [registration(1, 1, 0), unfence(1, 0), registration(1, 2, 2)]);
    let expected = [
        BrokerEvent::Registered(id, first),
        BrokerEvent::Fenced(id),
        BrokerEvent::Unfenced(id),
        BrokerEvent::Registered(id, second),
        BrokerEvent::Fenced(id),
    ];
    assert_eq!(changes.broker_events, expected);
    let broker = image.broker(id).unwrap();
    assert_eq!((broker.fenced, broker.registered_at), (true, Offset(2)));
    let gone = UnregisterBrokerRecord { broker_id: id, broker_epoch: second };
    replay(&mut image, [gone.into()]);
    assert!(image.broker(id).is_none() && !image.is_active(id));
}

#[test]
fn a_configuration_of_a_topic_never_asks_for_more_replicas_than_it_has() {
    let mut image = Image::default();
    let config = ConfigRecord {
        resource_type: 2,
        resource_name: "t".into(),
        name: "min.insync.replicas".into(),
        value: Some("5".into()),
    };
    replay(&mut image, [topic("t", T), config.clone().into(), partition(0)]);
    let name: Arc<str> = "t".into();
    assert_eq!(image.min_insync_replicas(&name, BrokerId(0), 2, 1), 2);
    replay(&mut image, [ConfigRecord { value: None, ..config }.into()]);
    assert_eq!(image.min_insync_replicas(&name, BrokerId(0), 2, 1), 1);
}

#[test]
fn records_that_cannot_follow_are_refused_and_change_nothing() {
    let mut image = Image::default();
    let ids = ProducerIdsRecord { next_producer_id: ProducerId(1000), ..ProducerIdsRecord::default() };
    replay(&mut image, [topic("t", T), partition(0), registration(1, 1, 2), ids.clone().into()]);
    let rows: [MetadataRecord; 9] = [
        topic("t", Uuid::from_u128(9)),
        topic("u", T),
        partition(0),
        partition(2),
        unfence(1, 7),
        unfence(9, 0),
        PartitionChangeRecord { topic_id: T, partition_id: 1, ..PartitionChangeRecord::default() }.into(),
        ids.into(),
        BeginTransactionRecord::default().into(),
    ];
    for record in rows {
        let before = image.clone();
        let error = image.apply(image.next(), &record, &mut Changes::default()).unwrap_err();
        assert_eq!((error.offset, error.record), (before.next(), record.name()));
        assert_eq!(image, before);
    }
    let twice = image.apply(Offset(0), &NoOpRecord {}.into(), &mut Changes::default());
    assert!(twice.is_err(), "an offset is applied once");
}

/// Two brokers, one of them unfenced, a controller, a topic, a config, producer ids and a feature.
fn rich() -> Image {
    let mut image = Image::default();
    let feature = |name: &str, feature_level| FeatureLevelRecord { name: name.into(), feature_level };
    let ids = ProducerIdsRecord { next_producer_id: ProducerId(1000), ..ProducerIdsRecord::default() };
    let records: [MetadataRecord; 10] = [
        feature("eligible.leader.replicas.version", 1).into(),
        feature("metadata.version", 27).into(),
        registration(1, 7, 2),
        registration(2, 8, 3),
        unfence(2, 3),
        controller(9),
        topic("t", T),
        partition(0),
        ConfigRecord {
            resource_type: 2,
            resource_name: "t".into(),
            name: "min.insync.replicas".into(),
            value: Some("2".into()),
        }
        .into(),
        ids.into(),
    ];
    replay(&mut image, records);
    image
}

fn controller(life: u64) -> MetadataRecord {
    RegisterControllerRecord {
        controller_id: BrokerId(1001),
        incarnation_id: uuid::Uuid::from_u64_pair(1001, life),
        ..RegisterControllerRecord::default()
    }
    .into()
}

#[test]
fn the_latest_registration_of_a_controller_stands() {
    let mut image = rich();
    replay(&mut image, [controller(10)]);
    let registered: Vec<_> = image.controllers().map(|c| c.incarnation_id).collect();
    assert_eq!(registered, [uuid::Uuid::from_u64_pair(1001, 10)]);
}

#[test]
fn a_snapshot_makes_the_image_that_it_was_made_of() {
    let image = rich();
    let loaded = Image::from_records(&image.records(), image.next()).unwrap();
    assert_eq!(loaded.next(), image.next());
    assert_eq!((loaded.records(), loaded.digest()), (image.records(), image.digest()));
    // Only what a broker must have replayed is not the same: all of a snapshot counts as its last record.
    assert_eq!(loaded.changes_since(&image).brokers.len(), 2);
    assert!(loaded.changes_since(&image).partitions.is_empty());
    assert!(loaded.changes_since(&image).controllers.is_empty());
    let controllers = loaded.changes_since(&Image::default()).controllers;
    assert_eq!(controllers.into_iter().collect::<Vec<_>>(), [BrokerId(1001)]);
}

#[test]
fn a_snapshot_stands_in_kafkas_order_with_the_metadata_version_first() {
    let names: Vec<_> = rich().records().iter().map(MetadataRecord::name).collect();
    let expected = [
        "FeatureLevelRecord",
        "FeatureLevelRecord",
        "RegisterBrokerRecord",
        "RegisterBrokerRecord",
        "RegisterControllerRecord",
        "TopicRecord",
        "PartitionRecord",
        "ConfigRecord",
        "ProducerIdsRecord",
    ];
    assert_eq!(names, expected);
    let MetadataRecord::FeatureLevel(first) = &rich().records()[0] else { panic!("no feature") };
    assert_eq!(&*first.name, "metadata.version");
}

#[test]
fn what_a_snapshot_changes_is_what_the_records_between_changed() {
    let old = rich();
    let mut new = old.clone();
    replay(&mut new, [unfence(1, 2), partition(1)]);
    let changes = new.changes_since(&old);
    assert_eq!(changes.broker_events, [BrokerEvent::Unfenced(BrokerId(1))]);
    assert_eq!(changes.partitions.iter().copied().collect::<Vec<_>>(), [(T, 1)]);
    replay(&mut new, [RemoveTopicRecord { topic_id: T }.into()]);
    let changes = new.changes_since(&old);
    assert_eq!((changes.removed_topics.len(), changes.partitions.len(), changes.configs.len()), (1, 0, 1));
}
