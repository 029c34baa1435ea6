//! AlterPartition: the checks in their order, and what an accepted proposal does.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::alter_partition_request::PartitionData;
use kafka_protocol::messages::{AlterPartitionRequest, BrokerId as WireId};

use super::cluster::{Cluster, b, config, ids};
use crate::base::{LeaderEpoch, PartitionEpoch};

fn three() -> Cluster {
    let mut cluster = Cluster::with_brokers(config(), [1, 2, 3]);
    cluster.create("t", &[&[1, 2, 3]], &[]);
    // 3 has left the ISR and is alive again.
    cluster.let_expire(3, [1, 2]);
    cluster.beat(3);
    cluster
}

fn data(request: &mut AlterPartitionRequest) -> &mut PartitionData {
    &mut request.topics[0].partitions[0]
}

#[test]
fn a_leader_takes_a_live_replica_back_into_the_isr() {
    let mut cluster = three();
    let result = cluster.alter(cluster.proposal("t", &[1, 2, 3])).unwrap();
    assert_eq!((result.leader_id.0, result.leader_epoch, result.partition_epoch), (1, 0, 2));
    let partition = cluster.partition("t");
    assert_eq!((partition.isr, partition.partition_epoch), (ids([1, 2, 3]), PartitionEpoch(2)));
    assert_eq!(partition.leader_epoch, LeaderEpoch(0));
}

#[test]
fn a_proposal_that_changes_nothing_is_answered_with_the_state_as_it_is() {
    let mut cluster = three();
    let (log, request) = (cluster.log.len(), cluster.proposal("t", &[1, 2]));
    assert_eq!(cluster.alter(request).unwrap().partition_epoch, 1);
    assert_eq!(cluster.log.len(), log);
}

#[test]
fn the_checks_come_in_kafkas_order() {
    use ResponseError as E;
    type Spoil = fn(&mut AlterPartitionRequest);
    // Each row breaks one more thing than the row below it, so it must be the one that is answered.
    let rows: [(Spoil, ResponseError); 9] = [
        (|r| r.broker_epoch += 1, E::StaleBrokerEpoch),
        (|r| r.topics[0].topic_id = uuid::Uuid::nil(), E::UnknownTopicId),
        (|r| data(r).partition_index = 9, E::UnknownTopicOrPartition),
        (|r| data(r).leader_epoch += 1, E::NotController),
        (|r| data(r).partition_epoch += 1, E::NotController),
        (|r| data(r).leader_epoch -= 1, E::FencedLeaderEpoch),
        (|r| data(r).partition_epoch -= 1, E::InvalidUpdateVersion),
        (|r| data(r).leader_recovery_state = 1, E::InvalidRequest),
        (|r| data(r).new_isr_with_epochs[1].broker_epoch += 1, E::IneligibleReplica),
    ];
    for (i, (_, error)) in rows.iter().enumerate() {
        let mut cluster = three();
        let mut request = cluster.proposal("t", &[1, 2, 3]);
        for (spoil, _) in rows[i..].iter().rev() {
            spoil(&mut request);
        }
        // Ahead and behind cancel each other out: where both apply the later row would be undone.
        match i {
            3 | 4 => {
                data(&mut request).leader_epoch = i32::from(i == 3);
                data(&mut request).partition_epoch = 1 + i32::from(i == 4);
            }
            _ => {}
        }
        assert_eq!(cluster.alter(request).unwrap_err(), *error, "row {i}");
    }
}

#[test]
fn only_the_leader_may_propose() {
    let mut cluster = three();
    let epoch = cluster.epoch(2);
    let request = cluster.proposal("t", &[1, 2, 3]).with_broker_id(WireId(2)).with_broker_epoch(epoch.0);
    assert_eq!(cluster.alter(request).unwrap_err(), ResponseError::InvalidRequest);
}

#[test]
fn an_isr_without_its_leader_with_strangers_or_with_doubles_is_refused() {
    for isr in [&[2, 3][..], &[1, 2, 9], &[1, 2, 2], &[]] {
        let mut cluster = three();
        let request = cluster.proposal("t", isr);
        assert_eq!(cluster.alter(request).unwrap_err(), ResponseError::InvalidRequest, "{isr:?}");
    }
}

#[test]
fn fenced_and_stopping_replicas_are_not_eligible() {
    let mut cluster = three();
    cluster.let_expire(3, [1, 2]);
    let request = cluster.proposal("t", &[1, 2, 3]);
    assert_eq!(cluster.alter(request).unwrap_err(), ResponseError::IneligibleReplica);

    let mut cluster = three();
    cluster.create("other", &[&[3, 1]], &[]);
    cluster.heartbeat(cluster.pulse(3).with_want_shut_down(true)).unwrap();
    assert!(cluster.image.broker(b(3)).unwrap().in_controlled_shutdown);
    let request = cluster.proposal("t", &[1, 2, 3]);
    assert_eq!(cluster.alter(request).unwrap_err(), ResponseError::IneligibleReplica);
}

#[test]
fn a_leader_that_shrinks_its_isr_keeps_its_epoch() {
    let mut cluster = three();
    let result = cluster.alter(cluster.proposal("t", &[1])).unwrap();
    assert_eq!((result.leader_epoch, result.partition_epoch), (0, 2));
    let partition = cluster.partition("t");
    assert_eq!((partition.isr, partition.elr), (ids([1]), ids([2])));
}

#[test]
fn a_recovering_leader_stays_alone_until_it_has_recovered() {
    let mut cluster = Cluster::with_brokers(config(), [1, 2, 3]);
    cluster.create("t", &[&[1, 2]], &[]);
    cluster.let_expire(2, [1, 3]);
    cluster.let_expire(1, [3]);
    for id in [1, 2] {
        cluster.register(id, 2, -1).unwrap();
        cluster.beat(id);
    }
    let mut recovering = cluster.proposal("t", &[1, 2]);
    data(&mut recovering).leader_recovery_state = 1;
    assert_eq!(cluster.alter(recovering).unwrap_err(), ResponseError::InvalidRequest);
    cluster.alter(cluster.proposal("t", &[1, 2])).unwrap();
    assert_eq!(cluster.partition("t").isr, ids([1, 2]));
}
