//! Creating and deleting topics.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::{CreateTopicsRequest, DeleteTopicsRequest, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::cluster::{Cluster, b, config, ids, named};
use crate::base::BrokerId;
use crate::controller::core::{Request, Response};

fn name(text: &'static str) -> TopicName {
    TopicName(StrBytes::from_static_str(text))
}

#[test]
fn replicas_and_leaderships_are_spread_evenly() {
    let mut cluster = Cluster::with_brokers(config(), [1, 2, 3, 4]);
    let result = cluster.create_topic(named("t", 8, 3));
    assert_eq!((result.error_code, result.num_partitions, result.replication_factor), (0, 8, 3));
    let topic = cluster.image.topic("t").unwrap();
    assert_eq!(topic.id, result.topic_id);
    let mut leads: BTreeMap<BrokerId, usize> = BTreeMap::new();
    for partition in &topic.partitions {
        *leads.entry(partition.leader).or_default() += 1;
        assert_eq!(partition.replicas.iter().collect::<BTreeSet<_>>().len(), 3, "no broker twice");
        assert_eq!((partition.leader, &partition.isr), (partition.replicas[0], &partition.replicas));
    }
    assert_eq!(leads.into_values().collect::<Vec<_>>(), [2, 2, 2, 2]);
}

#[test]
fn a_fenced_broker_may_be_a_replica_but_neither_leads_nor_is_in_sync() {
    let mut cluster = Cluster::with_brokers(config(), [1, 2]);
    cluster.register(3, 1, -1).unwrap();
    cluster.create_topic(named("t", 6, 3));
    for partition in &cluster.image.topic("t").unwrap().partitions {
        assert_eq!(partition.replicas.len(), 3);
        assert!(!partition.isr.contains(&b(3)) && partition.leader != b(3));
        assert_eq!(partition.isr.len(), 2);
    }
}

#[test]
fn a_topic_that_asks_for_the_impossible_is_refused_with_kafkas_errors() {
    use ResponseError as E;
    let long = "x".repeat(250);
    let rows: Vec<(CreatableTopic, ResponseError)> = vec![
        (named("a b", 1, 1), E::InvalidTopicException),
        (named("", 1, 1), E::InvalidTopicException),
        (named("..", 1, 1), E::InvalidTopicException),
        (named(&long, 1, 1), E::InvalidTopicException),
        (named("there_is", 1, 1), E::InvalidTopicException),
        (named("there.is", 1, 1), E::TopicAlreadyExists),
        (named("__cluster_metadata", 1, 1), E::InvalidRequest),
        (named("t", 1, 0), E::InvalidReplicationFactor),
        (named("t", 1, -2), E::InvalidReplicationFactor),
        (named("t", 1, 4), E::InvalidReplicationFactor),
        (named("t", 0, 1), E::InvalidPartitions),
        (named("t", -2, 1), E::InvalidPartitions),
        (named("t", i32::MAX, 1), E::PolicyViolation),
    ];
    let mut cluster = Cluster::with_brokers(config(), [1, 2, 3]);
    assert_eq!(cluster.create_topic(named("there.is", 1, 1)).error_code, 0);
    let log = cluster.log.len();
    for (topic, error) in rows {
        let asked = topic.clone();
        assert_eq!(cluster.create_topic(topic).error_code, error.code(), "{asked:?}");
    }
    assert_eq!(cluster.create("t", &[&[1, 9]], &[]).error_code, E::InvalidReplicaAssignment.code());
    assert_eq!(cluster.create("t", &[&[1, 1]], &[]).error_code, E::InvalidReplicaAssignment.code());
    assert_eq!(cluster.create("t", &[&[1, 2], &[1]], &[]).error_code, E::InvalidReplicaAssignment.code());
    assert_eq!(cluster.create("t", &[&[]], &[]).error_code, E::InvalidReplicaAssignment.code());
    assert_eq!(cluster.create("t", &[&[1]], &[("no.such.key", "1")]).error_code, E::InvalidConfig.code());
    assert_eq!(cluster.create("t", &[&[1]], &[("min.insync.replicas", "0")]).error_code, E::InvalidConfig.code());
    assert_eq!(cluster.log.len(), log, "nothing was written");
}

#[test]
fn defaults_fill_in_what_is_not_said() {
    let mut cluster = Cluster::with_brokers(config(), [1, 2, 3]);
    let result = cluster.create_topic(named("t", -1, -1));
    assert_eq!((result.error_code, result.num_partitions, result.replication_factor), (0, 1, 3));
}

#[test]
fn a_topics_configuration_is_kept_and_goes_with_it() {
    let mut cluster = Cluster::with_brokers(config(), [1, 2, 3]);
    let result = cluster.create("t", &[&[1, 2, 3]], &[("min.insync.replicas", "3"), ("retention.ms", "5")]);
    assert_eq!(result.error_code, 0);
    let topic = cluster.image.topic("t").unwrap().name.clone();
    assert_eq!(cluster.image.topic_config(&topic, "retention.ms"), Some("5"));
    cluster.let_expire(3, [1, 2]);
    assert_eq!(cluster.partition("t").elr, ids([3]), "its own minimum is 3");
    let request = DeleteTopicsRequest::default().with_topic_names(vec![name("t")]);
    cluster.ask(Request::DeleteTopics(request));
    assert_eq!(cluster.image.topic_config(&topic, "retention.ms"), None);
}

#[test]
fn a_rehearsal_answers_like_the_real_thing_and_changes_nothing() {
    let mut cluster = Cluster::with_brokers(config(), [1, 2, 3]);
    let log = cluster.log.len();
    let topics = vec![named("t", 2, 3), named("t", 1, 1), named("u", 1, 9)];
    let request = CreateTopicsRequest::default().with_topics(topics).with_validate_only(true);
    let Response::CreateTopics(answer) = cluster.ask(Request::CreateTopics(request)) else { panic!() };
    let codes: Vec<_> = answer.topics.iter().map(|t| (t.name.to_string(), t.error_code)).collect();
    let expected = [
        ("t".to_owned(), ResponseError::InvalidRequest.code()),
        ("u".to_owned(), ResponseError::InvalidReplicationFactor.code()),
    ];
    assert_eq!(codes, expected);
    let request = CreateTopicsRequest::default().with_topics(vec![named("t", 2, 3)]).with_validate_only(true);
    let Response::CreateTopics(answer) = cluster.ask(Request::CreateTopics(request)) else { panic!() };
    assert_eq!((answer.topics[0].error_code, answer.topics[0].num_partitions), (0, 2));
    assert_eq!(cluster.log.len(), log);
    assert!(cluster.image.topic("t").is_none());
    assert_eq!(cluster.create_topic(named("t", 2, 3)).error_code, 0, "the rehearsal left nothing behind");
}

#[test]
fn topics_are_deleted_by_name_and_by_id_each_once() {
    use ResponseError as E;
    let mut cluster = Cluster::with_brokers(config(), [1, 2, 3]);
    for topic in ["a", "b", "c"] {
        assert_eq!(cluster.create_topic(named(topic, 1, 1)).error_code, 0);
    }
    let id = cluster.image.topic_id("b").unwrap();
    let by = |name: Option<TopicName>, id| DeleteTopicState::default().with_name(name).with_topic_id(id);
    let request = DeleteTopicsRequest::default().with_topics(vec![
        by(Some(name("a")), uuid::Uuid::nil()),
        by(None, id),
        by(Some(name("c")), uuid::Uuid::nil()),
        by(Some(name("c")), uuid::Uuid::nil()),
        by(Some(name("d")), uuid::Uuid::nil()),
        by(None, uuid::Uuid::from_u64_pair(1, 1)),
        by(None, uuid::Uuid::nil()),
    ]);
    let Response::DeleteTopics(answer) = cluster.ask(Request::DeleteTopics(request)) else { panic!() };
    let mut codes: Vec<_> = answer.responses.iter().map(|r| r.error_code).collect();
    codes.sort_unstable();
    let mut expected = [
        0,
        0,
        E::InvalidRequest.code(),
        E::InvalidRequest.code(),
        E::UnknownTopicOrPartition.code(),
        E::UnknownTopicId.code(),
    ];
    expected.sort_unstable();
    assert_eq!(codes, expected);
    assert!(cluster.image.topic("a").is_none() && cluster.image.topic_by_id(id).is_none());
    assert!(cluster.image.topic("c").is_some(), "what is named twice stays");
}

#[test]
fn racks_are_spread_before_brokers() {
    use super::super::placement::Placer;
    use crate::base::random::Stream;
    use crate::controller::image::{Changes, Image};
    use crate::wire::records::RegisterBrokerRecord;
    let mut image = Image::default();
    for (offset, (id, rack)) in (0..).zip([(1, "a"), (2, "a"), (3, "b"), (4, "b"), (5, "c"), (6, "c")]) {
        let record = RegisterBrokerRecord {
            broker_id: b(id),
            rack: Some(rack.into()),
            fenced: false,
            ..RegisterBrokerRecord::default()
        };
        image.apply(crate::base::Offset(offset), &record.into(), &mut Changes::default()).unwrap();
    }
    let mut random = Stream::new(3, "placement");
    let mut placer = Placer::new(&image, &mut random);
    for _ in 0..50 {
        let replicas = placer.place(3, &mut random).unwrap();
        let racks: BTreeSet<i32> = replicas.iter().map(|id| (id.0 + 1) / 2).collect();
        assert_eq!(racks.len(), 3, "{replicas:?}");
    }
}
