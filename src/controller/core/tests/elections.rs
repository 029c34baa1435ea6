//! Who leads when brokers come and go, and who stays eligible (KIP-966).

use super::cluster::{Cluster, b, config, ids};
use crate::base::{BrokerId, LeaderEpoch, PartitionEpoch};
use crate::controller::core::ControllerConfig;
use crate::controller::image::RecoveryState;

fn without_elr() -> ControllerConfig {
    ControllerConfig { eligible_leader_replicas: false, ..config() }
}

#[test]
fn a_dead_leader_is_replaced_by_the_first_assigned_replica_in_sync() {
    let mut cluster = Cluster::with_brokers(config(), [1, 2, 3]);
    cluster.create("t", &[&[1, 3, 2]], &[]);
    let before = cluster.partition("t");
    assert_eq!((before.leader, before.leader_epoch, before.isr), (b(1), LeaderEpoch(0), ids([1, 3, 2])));
    cluster.let_expire(1, [2, 3]);
    let after = cluster.partition("t");
    assert_eq!((after.leader, after.isr, after.elr), (b(3), ids([3, 2]), ids([])));
    assert_eq!((after.leader_epoch, after.partition_epoch), (LeaderEpoch(1), PartitionEpoch(1)));
}

#[test]
fn a_follower_that_dies_leaves_the_isr_and_the_leader_keeps_its_epoch() {
    let mut cluster = Cluster::with_brokers(config(), [1, 2, 3]);
    cluster.create("t", &[&[1, 2, 3]], &[]);
    cluster.let_expire(3, [1, 2]);
    let after = cluster.partition("t");
    assert_eq!((after.leader, after.isr), (b(1), ids([1, 2])));
    assert_eq!((after.leader_epoch, after.partition_epoch), (LeaderEpoch(0), PartitionEpoch(1)));
}

#[test]
fn whoever_leaves_an_isr_below_its_minimum_stays_eligible_until_it_is_large_enough_again() {
    let mut cluster = Cluster::with_brokers(config(), [1, 2, 3]);
    cluster.create("t", &[&[1, 2, 3]], &[]);
    cluster.let_expire(3, [1, 2]);
    assert_eq!(cluster.partition("t").elr, ids([]), "two are enough");
    cluster.let_expire(2, [1]);
    let alone = cluster.partition("t");
    assert_eq!((alone.isr, alone.elr), (ids([1]), ids([2])));
    cluster.beat(2);
    cluster.beat(3);
    cluster.alter(cluster.proposal("t", &[1, 3])).unwrap();
    let after = cluster.partition("t");
    assert_eq!((after.isr, after.elr), (ids([1, 3]), ids([])));
}

#[test]
fn an_eligible_replica_is_elected_once_the_isr_is_empty_and_becomes_the_whole_of_it() {
    let mut cluster = Cluster::with_brokers(config(), [1, 2, 3]);
    cluster.create("t", &[&[1, 2]], &[]);
    cluster.let_expire(2, [1, 3]);
    cluster.let_expire(1, [3]);
    let nobody = cluster.partition("t");
    assert_eq!((nobody.leader, nobody.isr.clone(), nobody.elr.clone()), (BrokerId::NONE, ids([]), ids([1, 2])));
    assert_eq!(nobody.last_known_elr, ids([1]));
    cluster.beat(2);
    let after = cluster.partition("t");
    assert_eq!((after.leader, after.isr, after.elr), (b(2), ids([2]), ids([1])));
    assert_eq!((after.recovery, after.last_known_elr), (RecoveryState::Recovered, ids([])));
}

#[test]
fn when_all_lost_power_the_last_known_leader_leads_again_and_recovers() {
    let mut cluster = Cluster::with_brokers(config(), [1, 2, 3]);
    cluster.create("t", &[&[1, 2]], &[]);
    cluster.let_expire(2, [1, 3]);
    cluster.let_expire(1, [3]);
    for id in [1, 2] {
        cluster.register(id, 2, -1).unwrap();
    }
    let lost = cluster.partition("t");
    assert_eq!((lost.leader, lost.isr, lost.elr), (BrokerId::NONE, ids([]), ids([])));
    cluster.beat(2);
    assert_eq!(cluster.partition("t").leader, BrokerId::NONE, "2 was not the last leader");
    cluster.beat(1);
    let after = cluster.partition("t");
    assert_eq!((after.leader, after.isr.clone(), after.recovery), (b(1), ids([1]), RecoveryState::Recovering));
    assert_eq!(after.last_known_elr, ids([]));
    cluster.alter(cluster.proposal("t", &[1])).unwrap();
    assert_eq!(cluster.partition("t").recovery, RecoveryState::Recovered);
}

#[test]
fn any_live_replica_leads_if_unclean_elections_are_allowed() {
    let mut cluster = Cluster::with_brokers(config(), [1, 2, 3]);
    cluster.create("t", &[&[1, 2]], &[("unclean.leader.election.enable", "true")]);
    cluster.let_expire(2, [1, 3]);
    cluster.register(2, 2, -1).unwrap();
    cluster.beat(2);
    cluster.let_expire(1, [2, 3]);
    let after = cluster.partition("t");
    assert_eq!((after.leader, after.isr, after.recovery), (b(2), ids([2]), RecoveryState::Recovering));
    assert_eq!(after.elr, ids([]));
}

#[test]
fn without_eligible_replicas_the_last_in_sync_replica_stays_in_the_isr_without_leading() {
    let mut cluster = Cluster::with_brokers(without_elr(), [1, 2, 3]);
    cluster.create("t", &[&[1, 2]], &[]);
    cluster.let_expire(2, [1, 3]);
    cluster.let_expire(1, [3]);
    let nobody = cluster.partition("t");
    assert_eq!((nobody.leader, nobody.isr, nobody.elr), (BrokerId::NONE, ids([1]), ids([])));
    cluster.beat(2);
    assert_eq!(cluster.partition("t").leader, BrokerId::NONE, "2 is not in sync");
    cluster.beat(1);
    let after = cluster.partition("t");
    assert_eq!((after.leader, after.isr, after.recovery), (b(1), ids([1]), RecoveryState::Recovered));
}

#[test]
fn a_leader_that_rebooted_before_anybody_noticed_leads_no_longer() {
    let mut cluster = Cluster::with_brokers(config(), [1, 2, 3]);
    cluster.create("t", &[&[1, 2, 3]], &[]);
    // Nobody ticks, so the session has run out but the broker is not fenced yet.
    cluster.now = crate::base::Now { mono_ns: cluster.now.after_ms(9_001), wall_ms: 0 };
    cluster.register(1, 2, -1).unwrap();
    let after = cluster.partition("t");
    assert_eq!((after.leader, after.isr), (b(2), ids([2, 3])));
}
