//! AlterPartition: a leader proposes another ISR (Kafka's `ReplicationControlManager.alterPartition`; KIP-497, KIP-841,
//! KIP-903).

use std::collections::BTreeSet;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::alter_partition_request::{PartitionData, TopicData};
use kafka_protocol::messages::alter_partition_response::{PartitionData as PartitionResult, TopicData as TopicResult};
use kafka_protocol::messages::{AlterPartitionRequest, AlterPartitionResponse, BrokerId as WireBrokerId};

use super::turn::Turn;
use crate::base::bugs::{Bug, planted};
use crate::base::marks::{Mark, mark};
use crate::base::{BrokerEpoch, BrokerId, LeaderEpoch, PartitionEpoch, TopicId};
use crate::controller::image::{Broker, Partition, RecoveryState};

/// A proposed member of the ISR; epoch -1 skips the check of the epoch.
struct Member {
    id: BrokerId,
    epoch: BrokerEpoch,
}

/// Applies each proposal that holds, and answers each partition on its own.
pub(super) fn alter(
    turn: &mut Turn<'_>,
    request: &AlterPartitionRequest,
) -> Result<AlterPartitionResponse, ResponseError> {
    let sender = BrokerId(request.broker_id.0);
    turn.check_broker_epoch(sender, BrokerEpoch(request.broker_epoch))?;
    let topics = request.topics.iter().map(|topic| alter_topic(turn, sender, topic)).collect();
    Ok(AlterPartitionResponse::default().with_topics(topics))
}

fn alter_topic(turn: &mut Turn<'_>, sender: BrokerId, topic: &TopicData) -> TopicResult {
    let partitions = topic.partitions.iter().map(|data| {
        let altered = alter_partition(turn, sender, topic.topic_id, data);
        altered
            .unwrap_or_else(|error| PartitionResult::default().with_error_code(error.code()))
            .with_partition_index(data.partition_index)
    });
    TopicResult::default().with_topic_id(topic.topic_id).with_partitions(partitions.collect())
}

fn alter_partition(
    turn: &mut Turn<'_>,
    sender: BrokerId,
    id: TopicId,
    data: &PartitionData,
) -> Result<PartitionResult, ResponseError> {
    if turn.image().topic_by_id(id).is_none() {
        return Err(ResponseError::UnknownTopicId);
    }
    let index = data.partition_index;
    let (topic, partition) = turn.find(id, index).ok_or(ResponseError::UnknownTopicOrPartition)?;
    let isr = members(data);
    let recovery = validate(turn, sender, &partition, data, &isr)?;
    let mut change = turn.change(&topic, &partition);
    change.isr = isr.iter().map(|m| m.id).collect();
    change.recovery = recovery;
    if let Some(record) = change.build(id, index, |id| turn.image().is_active(id)) {
        turn.write(record);
    }
    let (_, now) = turn.find(id, index).expect("it was there before its change");
    if now.leader != sender {
        return Err(ResponseError::NewLeaderElected);
    }
    Ok(PartitionResult::default()
        .with_leader_id(WireBrokerId(now.leader.0))
        .with_leader_epoch(now.leader_epoch.0)
        .with_isr(now.isr.iter().map(|id| WireBrokerId(id.0)).collect())
        .with_leader_recovery_state(now.recovery.code())
        .with_partition_epoch(now.partition_epoch.0))
}

/// Version 3 names each member's epoch, version 2 does not.
fn members(data: &PartitionData) -> Vec<Member> {
    if data.new_isr_with_epochs.is_empty() {
        let old = data.new_isr.iter();
        return old.map(|id| Member { id: BrokerId(id.0), epoch: BrokerEpoch::NONE }).collect();
    }
    let new = data.new_isr_with_epochs.iter();
    new.map(|m| Member { id: BrokerId(m.broker_id.0), epoch: BrokerEpoch(m.broker_epoch) }).collect()
}

/// The checks, in Kafka's order: the sender must learn of a newer leadership before it hears of anything else.
fn validate(
    turn: &Turn<'_>,
    sender: BrokerId,
    partition: &Partition,
    data: &PartitionData,
    isr: &[Member],
) -> Result<RecoveryState, ResponseError> {
    let leader_epoch = LeaderEpoch(data.leader_epoch);
    let partition_epoch = PartitionEpoch(data.partition_epoch);
    // A sender that is ahead has heard of a newer controller.
    if leader_epoch > partition.leader_epoch || partition_epoch > partition.partition_epoch {
        return Err(ResponseError::NotController);
    }
    if leader_epoch < partition.leader_epoch {
        return Err(ResponseError::FencedLeaderEpoch);
    }
    if sender != partition.leader {
        return Err(ResponseError::InvalidRequest);
    }
    if partition_epoch < partition.partition_epoch {
        mark(Mark::StaleIsrChange);
        return Err(ResponseError::InvalidUpdateVersion);
    }
    let ids: BTreeSet<BrokerId> = isr.iter().map(|m| m.id).collect();
    let all_assigned = ids.iter().all(|id| partition.replicas.contains(id));
    if ids.len() != isr.len() || !all_assigned || !ids.contains(&sender) {
        return Err(ResponseError::InvalidRequest);
    }
    let recovery = RecoveryState::from_code(data.leader_recovery_state).ok_or(ResponseError::InvalidRequest)?;
    if recovery == RecoveryState::Recovering && (isr.len() > 1 || partition.recovery == RecoveryState::Recovered) {
        return Err(ResponseError::InvalidRequest);
    }
    if !isr.iter().all(|member| eligible(turn, member)) {
        mark(Mark::IneligibleReplica);
        return Err(ResponseError::IneligibleReplica);
    }
    Ok(recovery)
}

/// True if the member is registered with that epoch, unfenced and not shutting down: a fetch from before its reboot
/// says nothing about what it holds now (KIP-903).
fn eligible(turn: &Turn<'_>, member: &Member) -> bool {
    let same_life =
        |epoch| member.epoch == BrokerEpoch::NONE || member.epoch == epoch || planted(Bug::StaleBrokerEpochJoinsIsr);
    let active = |b: &Broker| b.is_active() || planted(Bug::FencedReplicaJoinsIsr);
    turn.image().broker(member.id).is_some_and(|b| active(b) && same_life(b.epoch))
}
