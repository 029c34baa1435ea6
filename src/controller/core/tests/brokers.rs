//! Registration, sessions, fencing and shutdown.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{AllocateProducerIdsRequest, BrokerId as WireId, BrokerRegistrationRequest};
use kafka_protocol::protocol::StrBytes;

use super::cluster::{Cluster, b, config, ids, incarnation};
use crate::base::{BrokerId, LeaderEpoch, Offset};
use crate::controller::core::{METADATA_VERSION, METADATA_VERSION_4_1, Request, Response, broker_features};

#[test]
fn an_empty_log_starts_with_the_features_of_the_cluster() {
    let cluster = Cluster::new(config());
    assert_eq!(cluster.image.feature(METADATA_VERSION), Some(METADATA_VERSION_4_1));
    assert_eq!(cluster.image.feature("eligible.leader.replicas.version"), Some(1));
    let mut second = cluster;
    second.resign();
    let before = second.log.len();
    second.lead();
    assert_eq!(second.log.len(), before, "only an empty log is bootstrapped");
}

#[test]
fn the_broker_epoch_is_the_offset_at_which_the_registration_batch_starts() {
    let mut cluster = Cluster::with_brokers(config(), [1, 2]);
    cluster.create("t", &[&[1, 2]], &[]);
    cluster.let_expire(1, [2]);
    // Its unclean shutdown takes it out of the ELR, in a record before the registration itself.
    let start = cluster.image.next();
    let epoch = cluster.register(1, 2, -1).unwrap();
    assert_eq!(Offset(epoch.0), start);
    let broker = cluster.image.broker(b(1)).unwrap();
    assert_eq!((broker.epoch, broker.registered_at), (epoch, start.next()));
}

#[test]
fn a_new_broker_is_fenced_until_it_has_applied_its_own_registration() {
    let mut cluster = Cluster::new(config());
    cluster.register(1, 1, -1).unwrap();
    let registered_at = cluster.image.broker(b(1)).unwrap().registered_at;
    let behind = cluster.pulse(1).with_current_metadata_offset(registered_at.0 - 1);
    let answer = cluster.heartbeat(behind).unwrap();
    assert!(answer.is_fenced && !answer.is_caught_up);
    let wants_to_stay = cluster.pulse(1).with_want_fence(true);
    assert!(cluster.heartbeat(wants_to_stay).unwrap().is_fenced);
    let there = cluster.pulse(1).with_current_metadata_offset(registered_at.0);
    let answer = cluster.heartbeat(there).unwrap();
    assert!(!answer.is_fenced && answer.is_caught_up && !answer.should_shut_down);
    assert!(cluster.image.is_active(b(1)));
}

#[test]
fn a_second_process_with_the_id_of_a_live_broker_is_refused() {
    let mut cluster = Cluster::with_brokers(config(), [1]);
    cluster.pass(9_000);
    assert_eq!(cluster.register(1, 2, -1), Err(ResponseError::DuplicateBrokerRegistration));
    cluster.pass(1);
    assert!(cluster.register(1, 2, -1).is_ok(), "the session is over");
}

#[test]
fn the_same_incarnation_may_register_again_and_keeps_its_epoch() {
    let mut cluster = Cluster::with_brokers(config(), [1]);
    let epoch = cluster.epoch(1);
    cluster.pass(3_000);
    assert_eq!(cluster.register(1, 1, -1), Ok(epoch));
    assert!(cluster.image.is_active(b(1)), "it is not fenced by that");
}

#[test]
fn a_broker_of_another_cluster_or_without_the_features_is_refused() {
    let mut cluster = Cluster::new(config());
    let request = BrokerRegistrationRequest::default()
        .with_broker_id(WireId(1))
        .with_incarnation_id(incarnation(1, 1))
        .with_features(broker_features());
    let elsewhere = request.clone().with_cluster_id(StrBytes::from_static_str("elsewhere"));
    let Response::RegisterBroker(answer) = cluster.ask(Request::RegisterBroker(elsewhere)) else { panic!() };
    assert_eq!(answer.error_code, ResponseError::InconsistentClusterId.code());
    let old = request.with_cluster_id(StrBytes::from_static_str("straw")).with_features(Vec::new());
    let Response::RegisterBroker(answer) = cluster.ask(Request::RegisterBroker(old)) else { panic!() };
    assert_eq!(answer.error_code, ResponseError::UnsupportedVersion.code());
}

#[test]
fn a_silent_broker_is_fenced_after_its_session_and_not_before() {
    let mut cluster = Cluster::with_brokers(config(), [1, 2]);
    cluster.pass(8_999);
    cluster.beat(2);
    assert!(!cluster.image.broker(b(1)).unwrap().fenced);
    cluster.pass(2);
    assert!(cluster.image.broker(b(1)).unwrap().fenced);
    assert!(!cluster.image.broker(b(2)).unwrap().fenced);
}

#[test]
fn a_new_controller_starts_every_session_afresh() {
    let mut cluster = Cluster::with_brokers(config(), [1]);
    cluster.pass(8_000);
    cluster.resign();
    cluster.lead();
    cluster.pass(8_000);
    assert!(!cluster.image.broker(b(1)).unwrap().fenced);
    cluster.pass(2_000);
    assert!(cluster.image.broker(b(1)).unwrap().fenced);
}

#[test]
fn a_heartbeat_of_an_earlier_life_is_stale() {
    let mut cluster = Cluster::with_brokers(config(), [1]);
    let old = cluster.pulse(1);
    cluster.let_expire(1, []);
    cluster.join(1, 2);
    assert_eq!(cluster.heartbeat(old).unwrap_err(), ResponseError::StaleBrokerEpoch);
}

#[test]
fn a_leader_that_wants_to_shut_down_goes_once_the_others_know_their_new_leaders() {
    let mut cluster = Cluster::with_brokers(config(), [1, 2, 3]);
    cluster.create("t", &[&[1, 2, 3]], &[]);
    for id in [2, 3] {
        cluster.beat(id);
    }
    let stop = |c: &mut Cluster| c.heartbeat(c.pulse(1).with_want_shut_down(true)).unwrap();
    let answer = stop(&mut cluster);
    assert!(!answer.should_shut_down && !answer.is_fenced);
    let partition = cluster.partition("t");
    assert_eq!((partition.leader, partition.isr), (b(2), ids([2, 3])));
    assert!(!stop(&mut cluster).should_shut_down, "nobody has heard of it yet");
    for id in [2, 3] {
        cluster.beat(id);
    }
    let answer = stop(&mut cluster);
    assert!(answer.should_shut_down && answer.is_fenced);
    assert!(cluster.image.broker(b(1)).unwrap().fenced);
}

#[test]
fn a_broker_that_leads_nothing_may_go_at_once() {
    let mut cluster = Cluster::with_brokers(config(), [1, 2, 3]);
    cluster.create("t", &[&[1, 2, 3]], &[]);
    let answer = cluster.heartbeat(cluster.pulse(3).with_want_shut_down(true)).unwrap();
    assert!(answer.should_shut_down);
    assert_eq!(cluster.partition("t").isr, ids([1, 2]));
}

#[test]
fn after_a_clean_shutdown_a_broker_stays_eligible_and_after_an_unclean_one_it_does_not() {
    for (clean, elr) in [(true, ids([2])), (false, ids([]))] {
        let mut cluster = Cluster::with_brokers(config(), [1, 2]);
        cluster.create("t", &[&[1, 2]], &[]);
        let marker = if clean { cluster.epoch(2).0 } else { -1 };
        cluster.let_expire(2, [1]);
        assert_eq!(cluster.partition("t").elr, ids([2]));
        cluster.register(2, 2, marker).unwrap();
        assert_eq!(cluster.partition("t").elr, elr, "clean: {clean}");
    }
}

#[test]
fn blocks_of_producer_ids_never_overlap_and_stale_brokers_get_none() {
    let mut cluster = Cluster::with_brokers(config(), [1, 2]);
    let mut block = |id: i32, epoch: i64| {
        let request = AllocateProducerIdsRequest::default().with_broker_id(WireId(id)).with_broker_epoch(epoch);
        let Response::AllocateProducerIds(r) = cluster.ask(Request::AllocateProducerIds(request)) else { panic!() };
        (r.error_code, r.producer_id_start.0, r.producer_id_len)
    };
    let stale = ResponseError::StaleBrokerEpoch.code();
    assert_eq!(block(1, 77).0, stale);
    let epochs = [1, 2].map(|id| cluster.epoch(id).0);
    let mut block = |id: i32, epoch: i64| {
        let request = AllocateProducerIdsRequest::default().with_broker_id(WireId(id)).with_broker_epoch(epoch);
        let Response::AllocateProducerIds(r) = cluster.ask(Request::AllocateProducerIds(request)) else { panic!() };
        (r.error_code, r.producer_id_start.0, r.producer_id_len)
    };
    assert_eq!(block(1, epochs[0]), (0, 0, 1000));
    assert_eq!(block(2, epochs[1]), (0, 1000, 1000));
    assert_eq!(block(1, epochs[0]), (0, 2000, 1000));
}

#[test]
fn a_broker_in_controlled_shutdown_does_not_block_its_next_life() {
    let mut cluster = Cluster::with_brokers(config(), [1, 2, 3]);
    cluster.create("t", &[&[1, 2, 3]], &[]);
    cluster.heartbeat(cluster.pulse(1).with_want_shut_down(true)).unwrap();
    assert!(cluster.register(1, 2, -1).is_ok());
    let partition = cluster.partition("t");
    assert_eq!((partition.leader, partition.leader_epoch), (b(2), LeaderEpoch(1)));
    assert_ne!(partition.leader, BrokerId::NONE);
}
