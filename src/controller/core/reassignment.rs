//! Moving a partition to other brokers: AlterPartitionReassignments (KIP-455; Kafka's `ReplicationControlManager`,
//! `PartitionReassignmentReplicas`, `PartitionReassignmentRevert`).
//!
//! A reassignment keeps the old replicas and adds the new ones. Once all that shall stay are in sync, the next change of
//! the partition drops the others. A cancelled one goes back to the replicas that there were.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::alter_partition_reassignments_request::ReassignablePartition;
use kafka_protocol::messages::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use kafka_protocol::messages::{AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse};
use kafka_protocol::protocol::StrBytes;

use super::change::Election;
use super::replicas;
use super::turn::{Refusal, Turn};
use crate::base::{BrokerId, TopicId};
use crate::controller::image::{Partition, RecoveryState};

/// Replicas and ISR after a reassignment that may end now; `None` if there is none or it goes on.
pub(super) fn completed(
    replicas: &[BrokerId],
    adding: &[BrokerId],
    removing: &[BrokerId],
    isr: &[BrokerId],
) -> Option<(Vec<BrokerId>, Vec<BrokerId>)> {
    if adding.is_empty() && removing.is_empty() {
        return None;
    }
    let staying =
        |ids: &[BrokerId]| -> Vec<BrokerId> { ids.iter().copied().filter(|id| !removing.contains(id)).collect() };
    let (replicas, isr) = (staying(replicas), staying(isr));
    let in_sync = replicas.iter().all(|id| isr.contains(id));
    (in_sync && !replicas.is_empty()).then_some((replicas, isr))
}

/// Starts, changes or cancels reassignments, and answers each partition on its own.
pub(super) fn alter(
    turn: &mut Turn<'_>,
    request: &AlterPartitionReassignmentsRequest,
) -> AlterPartitionReassignmentsResponse {
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|wish| {
            let answer = ReassignablePartitionResponse::default().with_partition_index(wish.partition_index);
            match alter_one(turn, &topic.name, wish, request.allow_replication_factor_change) {
                Ok(()) => answer,
                Err((error, message)) => {
                    answer.with_error_code(error.code()).with_error_message(Some(StrBytes::from_string(message)))
                }
            }
        });
        ReassignableTopicResponse::default().with_name(topic.name.clone()).with_partitions(partitions.collect())
    });
    AlterPartitionReassignmentsResponse::default()
        .with_allow_replication_factor_change(request.allow_replication_factor_change)
        .with_responses(topics.collect())
}

fn alter_one(
    turn: &mut Turn<'_>,
    topic: &str,
    wish: &ReassignablePartition,
    may_change_factor: bool,
) -> Result<(), Refusal> {
    let index = wish.partition_index;
    let unknown = || (ResponseError::UnknownTopicOrPartition, format!("Unable to find partition {topic}:{index}."));
    let id = turn.image().topic_id(topic).ok_or_else(unknown)?;
    let (_, partition) = turn.find(id, index).ok_or_else(unknown)?;
    match &wish.replicas {
        None => cancel(turn, topic, id, index, &partition),
        Some(target) => {
            let target: Vec<BrokerId> = target.iter().map(|id| BrokerId(id.0)).collect();
            start(turn, id, index, &partition, target, may_change_factor)
        }
    }
}

/// The partition shall have these replicas; a reassignment that is under way goes there instead.
fn start(
    turn: &mut Turn<'_>,
    id: TopicId,
    index: i32,
    partition: &Partition,
    target: Vec<BrokerId>,
    may_change_factor: bool,
) -> Result<(), Refusal> {
    let invalid = |reason| (ResponseError::InvalidReplicaAssignment, reason);
    replicas::validate(turn.image(), &target).map_err(invalid)?;
    // What a reassignment under way will end with.
    let factor = partition.replicas.iter().filter(|id| !partition.removing_replicas.contains(id)).count();
    if !may_change_factor && target.len() != factor {
        let reason = format!("The replication factor is changed from {factor} to {}", target.len());
        return Err((ResponseError::InvalidReplicationFactor, reason));
    }
    // Adding and removing are told in the order of the ids.
    let missing = |from: &[BrokerId], among: &[BrokerId]| -> Vec<BrokerId> {
        let mut ids: Vec<_> = from.iter().copied().filter(|id| !among.contains(id)).collect();
        ids.sort_unstable();
        ids
    };
    let current = &partition.replicas;
    let (removing, adding) = (missing(current, &target), missing(&target, current));
    let (topic, _) = turn.find(id, index).expect("it was found before");
    let mut change = turn.change(&topic, partition);
    change.election = Election::Online;
    change.replicas = target.into_iter().chain(removing.iter().copied()).collect();
    // What is empty stays as an earlier reassignment has left it, as in Kafka.
    if !removing.is_empty() {
        change.removing = removing;
    }
    if !adding.is_empty() {
        change.adding = adding;
    }
    if let Some(record) = change.build(id, index, |id| turn.image().is_active(id)) {
        turn.write(record);
    }
    Ok(())
}

/// The replicas before the reassignment.
fn original(partition: &Partition) -> Vec<BrokerId> {
    partition.replicas.iter().copied().filter(|id| !partition.adding_replicas.contains(id)).collect()
}

fn cancel(turn: &mut Turn<'_>, name: &str, id: TopicId, index: i32, partition: &Partition) -> Result<(), Refusal> {
    if partition.adding_replicas.is_empty() && partition.removing_replicas.is_empty() {
        return Err((ResponseError::NoReassignmentInProgress, "No partition reassignment is in progress.".to_owned()));
    }
    let (topic, _) = turn.find(id, index).expect("it was found before");
    let mut change = turn.change(&topic, partition);
    change.replicas = original(partition);
    change.isr.retain(|id| !partition.adding_replicas.contains(id));
    if change.isr.is_empty() {
        if change.election != Election::Unclean {
            let reason = format!(
                "Unable to revert partition assignment for {name}:{index} because it would require an unclean leader \
                 election."
            );
            return Err((ResponseError::InvalidReplicaAssignment, reason));
        }
        // Without eligible leader replicas somebody must stand in the ISR, alive or not.
        let live = change.replicas.iter().copied().find(|id| turn.image().is_active(*id));
        let stands = live.or_else(|| change.replicas.first().copied().filter(|_| !change.elr_enabled));
        if let Some(id) = stands {
            change.isr = vec![id];
            change.recovery = RecoveryState::Recovering;
        }
    }
    change.adding.clear();
    change.removing.clear();
    if let Some(record) = change.build(id, index, |id| turn.image().is_active(id)) {
        turn.write(record);
    }
    Ok(())
}
