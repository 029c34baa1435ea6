//! What administrators ask for: elections, moves, growth, configuration.

use kafka_protocol::ResponseError as E;
use kafka_protocol::messages::alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
use kafka_protocol::messages::create_partitions_request::{CreatePartitionsAssignment, CreatePartitionsTopic};
use kafka_protocol::messages::elect_leaders_request::TopicPartitions;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::{
    AlterConfigsRequest, AlterPartitionReassignmentsRequest, BrokerId as WireId, CreatePartitionsRequest,
    ElectLeadersRequest, IncrementalAlterConfigsRequest, ListPartitionReassignmentsRequest, TopicName,
    UnregisterBrokerRequest,
};
use kafka_protocol::protocol::StrBytes;

use super::cluster::{Cluster, b, config, ids};
use crate::base::{BrokerId, LeaderEpoch};
use crate::controller::core::{ControllerConfig, Request, Response};
use crate::controller::image::{ConfigResource, RecoveryState};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

fn text(s: &str) -> StrBytes {
    StrBytes::from_string(s.to_owned())
}
fn name(s: &str) -> TopicName {
    TopicName(text(s))
}

impl Cluster {
    /// Asks for an election of partition 0.
    pub fn elect(&mut self, kind: i8, topic: &str) -> Result<(), E> {
        let wish = TopicPartitions::default().with_topic(name(topic)).with_partitions(vec![0]);
        let request = ElectLeadersRequest::default().with_election_type(kind).with_topic_partitions(Some(vec![wish]));
        let Response::ElectLeaders(r) = self.ask(Request::ElectLeaders(request)) else { panic!("another kind") };
        let code =
            if r.error_code == 0 { r.replica_election_results[0].partition_result[0].error_code } else { r.error_code };
        E::try_from_code(code).map_or(Ok(()), Err)
    }
    /// Moves partition 0, or cancels its move.
    pub fn reassign(&mut self, topic: &str, replicas: Option<&[i32]>) -> Result<(), E> {
        let replicas = replicas.map(|ids| ids.iter().map(|id| WireId(*id)).collect());
        let wish = ReassignablePartition::default().with_partition_index(0).with_replicas(replicas);
        let topic = ReassignableTopic::default().with_name(name(topic)).with_partitions(vec![wish]);
        let request = AlterPartitionReassignmentsRequest::default().with_topics(vec![topic]);
        let Response::AlterPartitionReassignments(r) = self.ask(Request::AlterPartitionReassignments(request)) else {
            panic!("another kind")
        };
        E::try_from_code(r.responses[0].partitions[0].error_code).map_or(Ok(()), Err)
    }
    /// Changes one configuration entry.
    pub fn configure(&mut self, kind: i8, resource: &str, op: i8, key: &str, value: Option<&str>) -> Result<(), E> {
        let entry =
            AlterableConfig::default().with_name(text(key)).with_config_operation(op).with_value(value.map(text));
        let resource = AlterConfigsResource::default()
            .with_resource_type(kind)
            .with_resource_name(text(resource))
            .with_configs(vec![entry]);
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
        let Response::IncrementalAlterConfigs(r) = self.ask(Request::IncrementalAlterConfigs(request)) else {
            panic!("another kind")
        };
        E::try_from_code(r.responses[0].error_code).map_or(Ok(()), Err)
    }
    fn entry(&self, resource: &ConfigResource, key: &str) -> Option<String> {
        self.image.config(resource)?.get(key).cloned()
    }
    fn moving(&mut self) -> usize {
        let request = ListPartitionReassignmentsRequest::default().with_topics(None);
        let Response::ListPartitionReassignments(r) = self.ask(Request::ListPartitionReassignments(request)) else {
            panic!("another kind")
        };
        r.topics.iter().map(|t| t.partitions.len()).sum()
    }
    fn grow(&mut self, topic: &str, count: i32, assignments: Option<&[&[i32]]>) -> Result<(), E> {
        let ids = |ids: &&[i32]| ids.iter().map(|id| WireId(*id)).collect();
        let assignments = assignments
            .map(|all| all.iter().map(|a| CreatePartitionsAssignment::default().with_broker_ids(ids(a))).collect());
        let wish =
            CreatePartitionsTopic::default().with_name(name(topic)).with_count(count).with_assignments(assignments);
        let request = CreatePartitionsRequest::default().with_topics(vec![wish]);
        let Response::CreatePartitions(r) = self.ask(Request::CreatePartitions(request)) else {
            panic!("another kind")
        };
        E::try_from_code(r.results[0].error_code).map_or(Ok(()), Err)
    }
}

/// Broker 1 was away and is in sync again, but 2 leads.
fn led_by_another() -> Cluster {
    let mut cluster = Cluster::with_brokers(config(), [1, 2, 3]);
    cluster.create("t", &[&[1, 2, 3]], &[]);
    cluster.let_expire(1, [2, 3]);
    cluster.beat(1);
    cluster
}

#[test]
fn a_preferred_election_moves_the_leadership_back_once_the_preferred_replica_is_in_sync() {
    let mut cluster = led_by_another();
    assert_eq!(cluster.elect(0, "t"), Err(E::PreferredLeaderNotAvailable), "1 is not in sync");
    cluster.alter(cluster.proposal("t", &[1, 2, 3])).unwrap();
    assert_eq!(cluster.elect(0, "t"), Ok(()));
    let after = cluster.partition("t");
    assert_eq!((after.leader, after.leader_epoch, after.isr), (b(1), LeaderEpoch(2), ids([1, 2, 3])));
    assert_eq!(cluster.elect(0, "t"), Err(E::ElectionNotNeeded));
    assert_eq!(cluster.elect(0, "nope"), Err(E::UnknownTopicOrPartition));
    assert_eq!(cluster.elect(7, "t"), Err(E::InvalidRequest));
}

#[test]
fn leaderships_go_back_to_their_preferred_replicas_after_the_check_interval_unless_that_is_off() {
    for (interval, leader) in [(300_000, b(1)), (0, b(2))] {
        let config = ControllerConfig { leader_imbalance_check_interval_ms: interval, ..config() };
        let mut cluster = Cluster::with_brokers(config, [1, 2, 3]);
        cluster.create("t", &[&[1, 2, 3]], &[]);
        cluster.let_expire(1, [2, 3]);
        cluster.beat(1);
        cluster.alter(cluster.proposal("t", &[1, 2, 3])).unwrap();
        let beats = |cluster: &mut Cluster, seconds: u64| {
            for _ in 0..seconds / 5 {
                cluster.pass(5_000);
                for id in [1, 2, 3] {
                    cluster.beat(id);
                }
            }
        };
        beats(&mut cluster, 280);
        assert_eq!(cluster.partition("t").leader, b(2), "too early");
        beats(&mut cluster, 25);
        assert_eq!(cluster.partition("t").leader, leader, "interval {interval}");
    }
}

#[test]
fn an_unclean_election_takes_whoever_lives_when_nobody_may_lead() {
    let mut cluster = Cluster::with_brokers(config(), [1, 2, 3]);
    cluster.create("t", &[&[1, 2]], &[]);
    assert_eq!(cluster.elect(1, "t"), Err(E::ElectionNotNeeded));
    cluster.let_expire(2, [1, 3]);
    cluster.register(2, 2, -1).unwrap();
    cluster.let_expire(1, [3]);
    assert_eq!(cluster.elect(1, "t"), Err(E::EligibleLeadersNotAvailable), "both are dead");
    cluster.beat(2);
    assert_eq!(cluster.partition("t").leader, BrokerId::NONE, "2 may have lost what it held");
    assert_eq!(cluster.elect(1, "t"), Ok(()));
    let after = cluster.partition("t");
    assert_eq!((after.leader, after.isr, after.elr), (b(2), ids([2]), ids([])));
    assert_eq!(after.recovery, RecoveryState::Recovering);
}

#[test]
fn a_topic_that_comes_to_allow_unclean_elections_gets_its_leader_at_the_next_check() {
    let mut cluster = Cluster::with_brokers(config(), [1, 2, 3]);
    cluster.create("t", &[&[1, 2]], &[]);
    cluster.let_expire(2, [1, 3]);
    cluster.register(2, 2, -1).unwrap();
    cluster.let_expire(1, [3]);
    cluster.beat(2);
    cluster.configure(TOPIC, "t", SET, "unclean.leader.election.enable", Some("true")).unwrap();
    assert_eq!(cluster.partition("t").leader, BrokerId::NONE);
    for _ in 0..65 {
        cluster.pass(5_000);
        for id in [2, 3] {
            cluster.beat(id);
        }
    }
    assert_eq!(cluster.partition("t").leader, b(2));
}

#[test]
fn a_partition_is_moved_once_its_new_replicas_are_in_sync() {
    let mut cluster = Cluster::with_brokers(config(), [1, 2, 3, 4, 5]);
    cluster.create("t", &[&[1, 2, 3]], &[]);
    cluster.reassign("t", Some(&[4, 5, 3])).unwrap();
    let moving = cluster.partition("t");
    assert_eq!(moving.replicas, ids([4, 5, 3, 1, 2]));
    assert_eq!((moving.adding_replicas, moving.removing_replicas), (ids([4, 5]), ids([1, 2])));
    assert_eq!((moving.leader, moving.leader_epoch, moving.isr), (b(1), LeaderEpoch(0), ids([1, 2, 3])));
    assert_eq!(cluster.moving(), 1);
    cluster.alter(cluster.proposal("t", &[1, 2, 3, 4])).unwrap();
    assert_eq!(cluster.moving(), 1, "5 is missing");
    // The leader is one of those that go: its proposal ends its own leadership.
    assert_eq!(cluster.alter(cluster.proposal("t", &[1, 2, 3, 4, 5])).unwrap_err(), E::NewLeaderElected);
    let moved = cluster.partition("t");
    assert_eq!((moved.replicas, moved.isr), (ids([4, 5, 3]), ids([3, 4, 5])));
    assert_eq!((moved.adding_replicas, moved.removing_replicas, moved.elr), (ids([]), ids([]), ids([])));
    assert_eq!((moved.leader, moved.leader_epoch), (b(4), LeaderEpoch(1)));
    assert_eq!(cluster.moving(), 0);
}

#[test]
fn a_replica_that_is_taken_away_is_fenced_by_a_new_epoch_of_the_same_leader() {
    let mut cluster = Cluster::with_brokers(config(), [1, 2, 3]);
    cluster.create("t", &[&[1, 2, 3]], &[]);
    cluster.reassign("t", Some(&[1, 2])).unwrap();
    let after = cluster.partition("t");
    assert_eq!((after.replicas, after.isr), (ids([1, 2]), ids([1, 2])));
    assert_eq!((after.leader, after.leader_epoch), (b(1), LeaderEpoch(1)));
}

#[test]
fn a_cancelled_move_goes_back_to_the_replicas_that_there_were() {
    let mut cluster = Cluster::with_brokers(config(), [1, 2, 3, 4]);
    cluster.create("t", &[&[1, 2, 3]], &[]);
    assert_eq!(cluster.reassign("t", None), Err(E::NoReassignmentInProgress));
    cluster.reassign("t", Some(&[4, 2, 3])).unwrap();
    cluster.reassign("t", None).unwrap();
    let back = cluster.partition("t");
    assert_eq!((back.replicas, back.isr, back.leader), (ids([2, 3, 1]), ids([1, 2, 3]), b(1)));
    assert_eq!((back.adding_replicas, back.removing_replicas), (ids([]), ids([])));
}

#[test]
fn a_move_that_cannot_be_is_refused() {
    let mut cluster = Cluster::with_brokers(config(), [1, 2, 3]);
    cluster.create("t", &[&[1, 2]], &[]);
    for replicas in [&[][..], &[1, 9], &[1, 1]] {
        assert_eq!(cluster.reassign("t", Some(replicas)), Err(E::InvalidReplicaAssignment), "{replicas:?}");
    }
    assert_eq!(cluster.reassign("nope", Some(&[1])), Err(E::UnknownTopicOrPartition));
}

#[test]
fn a_topic_grows_by_placement_or_by_hand_and_never_shrinks() {
    let mut cluster = Cluster::with_brokers(config(), [1, 2, 3]);
    cluster.create("t", &[&[1, 2]], &[]);
    assert_eq!(cluster.grow("t", 1, None), Err(E::InvalidPartitions));
    assert_eq!(cluster.grow("t", 0, None), Err(E::InvalidPartitions));
    assert_eq!(cluster.grow("t", 20_000, None), Err(E::PolicyViolation));
    assert_eq!(cluster.grow("nope", 2, None), Err(E::UnknownTopicOrPartition));
    assert_eq!(cluster.grow("t", 3, Some(&[&[2, 3]])), Err(E::InvalidReplicaAssignment), "one of two");
    assert_eq!(cluster.grow("t", 2, Some(&[&[2, 3, 1]])), Err(E::InvalidReplicaAssignment), "three of two");
    cluster.grow("t", 2, Some(&[&[3, 2]])).unwrap();
    cluster.grow("t", 4, None).unwrap();
    let topic = cluster.image.topic("t").unwrap();
    assert_eq!(topic.partitions.len(), 4);
    assert_eq!((topic.partitions[1].leader, topic.partitions[1].replicas.clone()), (b(3), ids([3, 2])));
    assert!(topic.partitions.iter().all(|p| p.replicas.len() == 2 && p.has_leader()));
}

#[test]
fn a_lower_minimum_of_the_isr_clears_the_eligible_replicas_and_a_higher_one_adds_none() {
    for cluster_wide in [false, true] {
        let mut cluster = Cluster::with_brokers(config(), [1, 2, 3]);
        cluster.create("t", &[&[1, 2, 3]], &[]);
        cluster.let_expire(3, [1, 2]);
        cluster.let_expire(2, [1]);
        assert_eq!(cluster.partition("t").elr, ids([2]));
        let (kind, resource) = if cluster_wide { (BROKER, "") } else { (TOPIC, "t") };
        cluster.configure(kind, resource, SET, "min.insync.replicas", Some("1")).unwrap();
        assert_eq!(cluster.partition("t").elr, ids([]), "one is enough");
        cluster.configure(kind, resource, SET, "min.insync.replicas", Some("3")).unwrap();
        assert_eq!(cluster.partition("t").elr, ids([]), "2 may be behind by now");
    }
}

#[test]
fn with_eligible_replicas_the_minimum_belongs_to_the_cluster_and_to_topics() {
    let key = "min.insync.replicas";
    let mut cluster = Cluster::with_brokers(config(), [1]);
    assert_eq!(cluster.entry(&ConfigResource::ClusterDefault, key).as_deref(), Some("2"), "written at the start");
    assert_eq!(cluster.configure(BROKER, "1", SET, key, Some("1")), Err(E::InvalidConfig));
    assert_eq!(cluster.configure(BROKER, "", DELETE, key, None), Err(E::InvalidConfig));
    let off = ControllerConfig { eligible_leader_replicas: false, ..config() };
    let mut cluster = Cluster::with_brokers(off, [1]);
    assert_eq!(cluster.entry(&ConfigResource::ClusterDefault, key), None);
    cluster.configure(BROKER, "1", SET, key, Some("1")).unwrap();
    cluster.configure(BROKER, "1", DELETE, key, None).unwrap();
}

#[test]
fn entries_are_set_deleted_appended_and_subtracted() {
    let mut cluster = Cluster::with_brokers(config(), [1, 2, 3]);
    cluster.create("t", &[&[1, 2]], &[("retention.ms", "5")]);
    let topic = ConfigResource::Topic("t".into());
    cluster.configure(TOPIC, "t", SET, "retention.ms", Some("7")).unwrap();
    assert_eq!(cluster.entry(&topic, "retention.ms").as_deref(), Some("7"));
    cluster.configure(TOPIC, "t", DELETE, "retention.ms", None).unwrap();
    assert_eq!(cluster.entry(&topic, "retention.ms"), None);
    cluster.configure(TOPIC, "t", APPEND, "cleanup.policy", Some("compact")).unwrap();
    assert_eq!(cluster.entry(&topic, "cleanup.policy").as_deref(), Some("delete,compact"));
    cluster.configure(TOPIC, "t", SUBTRACT, "cleanup.policy", Some("delete")).unwrap();
    assert_eq!(cluster.entry(&topic, "cleanup.policy").as_deref(), Some("compact"));
}

#[test]
fn a_throttle_is_set_by_lists_of_replicas_and_by_rates_of_brokers() {
    let mut cluster = Cluster::with_brokers(config(), [1, 2, 3]);
    cluster.create("t", &[&[1, 2]], &[]);
    let (topic, list) = (ConfigResource::Topic("t".into()), "leader.replication.throttled.replicas");
    cluster.configure(TOPIC, "t", APPEND, list, Some("0:1")).unwrap();
    cluster.configure(TOPIC, "t", APPEND, list, Some("0:2,0:1")).unwrap();
    assert_eq!(cluster.entry(&topic, list).as_deref(), Some("0:1,0:2"));
    assert_eq!(cluster.configure(TOPIC, "t", APPEND, list, Some("*")), Err(E::InvalidConfig), "all of them or some");
    cluster.configure(TOPIC, "t", SUBTRACT, list, Some("0:1,0:2")).unwrap();
    assert_eq!(cluster.entry(&topic, list).as_deref(), Some(""));
    cluster.configure(TOPIC, "t", SET, "follower.replication.throttled.replicas", Some("*")).unwrap();
    let rate = "follower.replication.throttled.rate";
    cluster.configure(BROKER, "", SET, rate, Some("1000")).unwrap();
    cluster.configure(BROKER, "2", SET, rate, Some("0")).unwrap();
    assert_eq!(cluster.image.broker_config(BrokerId(2), rate), Some("0"));
    assert_eq!(cluster.image.broker_config(BrokerId(1), rate), Some("1000"));
    cluster.configure(BROKER, "2", DELETE, rate, None).unwrap();
    assert_eq!(cluster.image.broker_config(BrokerId(2), rate), Some("1000"));
    assert_eq!(cluster.configure(BROKER, "2", SET, rate, Some("-1")), Err(E::InvalidRequest));
    assert_eq!(cluster.configure(TOPIC, "t", SET, rate, Some("1")), Err(E::InvalidConfig), "topics have no rate");
    assert_eq!(cluster.configure(BROKER, "", APPEND, rate, Some("1")), Err(E::InvalidConfig));
}

#[test]
fn a_wish_that_cannot_be_is_refused_and_changes_nothing() {
    let mut cluster = Cluster::with_brokers(config(), [1, 2, 3]);
    cluster.create("t", &[&[1, 2]], &[]);
    let rows = [
        (TOPIC, "nope", SET, "retention.ms", Some("1"), E::UnknownTopicOrPartition),
        (BROKER, "9", SET, "log.roll.ms", Some("1"), E::BrokerIdNotRegistered),
        (BROKER, "one", SET, "log.roll.ms", Some("1"), E::InvalidRequest),
        (8, "", SET, "log.roll.ms", Some("1"), E::InvalidRequest),
        (TOPIC, "t", SET, "retention.ms", None, E::InvalidRequest),
        (TOPIC, "t", 9, "retention.ms", Some("1"), E::InvalidRequest),
        (TOPIC, "t", APPEND, "retention.ms", Some("1"), E::InvalidConfig),
        (TOPIC, "t", SET, "retention.ms", Some("soon"), E::InvalidConfig),
        (TOPIC, "t", SET, "retention", Some("1"), E::InvalidConfig),
        (BROKER, "1", SET, "broker.session.timeout.ms", Some("1"), E::InvalidRequest),
    ];
    for (kind, resource, op, key, value, error) in rows {
        let log = cluster.log.len();
        assert_eq!(cluster.configure(kind, resource, op, key, value), Err(error), "{resource} {key} {value:?}");
        assert_eq!(cluster.log.len(), log);
    }
}

#[test]
fn the_old_way_replaces_all_entries_and_a_rehearsal_changes_nothing() {
    use kafka_protocol::messages::alter_configs_request::{AlterConfigsResource, AlterableConfig};
    let mut cluster = Cluster::with_brokers(config(), [1, 2, 3]);
    cluster.create("t", &[&[1, 2]], &[("retention.ms", "5"), ("segment.ms", "9")]);
    let entry = AlterableConfig::default().with_name(text("segment.ms")).with_value(Some(text("10")));
    let resource = AlterConfigsResource::default()
        .with_resource_type(TOPIC)
        .with_resource_name(text("t"))
        .with_configs(vec![entry]);
    let request = AlterConfigsRequest::default().with_resources(vec![resource]);
    let topic = ConfigResource::Topic("t".into());
    for (rehearsal, retention, segment) in [(true, Some("5"), "9"), (false, None, "10")] {
        let request = request.clone().with_validate_only(rehearsal);
        let Response::AlterConfigs(r) = cluster.ask(Request::AlterConfigs(request)) else { panic!("another kind") };
        assert_eq!(r.responses[0].error_code, 0);
        assert_eq!(cluster.entry(&topic, "retention.ms").as_deref(), retention);
        assert_eq!(cluster.entry(&topic, "segment.ms").as_deref(), Some(segment));
    }
}

#[test]
fn a_broker_that_is_unregistered_is_forgotten_and_may_come_back_as_a_new_one() {
    let mut cluster = Cluster::with_brokers(config(), [1, 2, 3]);
    cluster.create("t", &[&[1, 2, 3]], &[]);
    let unregister = |cluster: &mut Cluster| {
        let request = UnregisterBrokerRequest::default().with_broker_id(WireId(1));
        let Response::UnregisterBroker(r) = cluster.ask(Request::UnregisterBroker(request)) else {
            panic!("another kind")
        };
        r.error_code
    };
    let pulse = cluster.pulse(1);
    assert_eq!(unregister(&mut cluster), 0);
    let after = cluster.partition("t");
    assert_eq!((after.leader, after.isr), (b(2), ids([2, 3])));
    assert!(cluster.image.broker(b(1)).is_none());
    assert_eq!(unregister(&mut cluster), E::BrokerIdNotRegistered.code());
    assert_eq!(cluster.heartbeat(pulse).unwrap_err(), E::StaleBrokerEpoch);
    cluster.join(1, 2);
    assert_eq!(cluster.partition("t").isr, ids([2, 3]), "it is not in sync by that");
}
