//! CreatePartitions: a topic grows (KIP-195; Kafka's `ReplicationControlManager.createPartitions`).

use std::collections::BTreeSet;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_partitions_request::{CreatePartitionsAssignment, CreatePartitionsTopic};
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse};
use kafka_protocol::protocol::StrBytes;

use super::create_topics::{MAX_PARTITIONS, too_many, validate_replicas, write_partitions};
use super::placement::Placer;
use super::turn::{Refusal, Turn};
use crate::base::BrokerId;

/// Adds what can be added, and answers each topic on its own.
pub(super) fn create(turn: &mut Turn<'_>, request: &CreatePartitionsRequest) -> CreatePartitionsResponse {
    let results =
        if request.validate_only { turn.rehearse(|turn| create_all(turn, request)) } else { create_all(turn, request) };
    CreatePartitionsResponse::default().with_results(results)
}

fn create_all(turn: &mut Turn<'_>, request: &CreatePartitionsRequest) -> Vec<CreatePartitionsTopicResult> {
    let mut answered = BTreeSet::new();
    let mut budget = MAX_PARTITIONS;
    let mut results = Vec::new();
    for topic in request.topics.iter().filter(|t| answered.insert(&**t.name)) {
        let once = request.topics.iter().filter(|other| other.name == topic.name).count() == 1;
        let created = match once {
            true => create_one(turn, topic, &mut budget),
            false => Err((ResponseError::InvalidRequest, "Duplicate topic name.".to_owned())),
        };
        let result = CreatePartitionsTopicResult::default().with_name(topic.name.clone());
        results.push(match created {
            Ok(()) => result,
            Err((error, message)) => {
                result.with_error_code(error.code()).with_error_message(Some(StrBytes::from_string(message)))
            }
        });
    }
    results
}

fn create_one(turn: &mut Turn<'_>, wish: &CreatePartitionsTopic, budget: &mut i32) -> Result<(), Refusal> {
    let topic = turn.image().topic(&wish.name).cloned();
    let topic = topic.ok_or((ResponseError::UnknownTopicOrPartition, format!("No such topic as {}", &*wish.name)))?;
    let present = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
    let additional = match wish.count.checked_sub(present) {
        Some(n) if n > 0 => n,
        Some(0) => {
            return Err((ResponseError::InvalidPartitions, format!("Topic already has {present} partition(s).")));
        }
        _ => {
            let reason = format!(
                "The topic {} currently has {present} partition(s); {} would not be an increase.",
                &*wish.name, wish.count
            );
            return Err((ResponseError::InvalidPartitions, reason));
        }
    };
    let factor = topic.replication_factor();
    let assignments = match &wish.assignments {
        Some(wished) => manual(turn, wished, present, additional, factor)?,
        None if additional > *budget => return Err(too_many()),
        None => place(turn, additional, factor)?,
    };
    *budget = budget.checked_sub(additional).filter(|left| *left >= 0).ok_or_else(too_many)?;
    write_partitions(turn, topic.id, present, assignments);
    Ok(())
}

fn manual(
    turn: &Turn<'_>,
    wished: &[CreatePartitionsAssignment],
    first: i32,
    additional: i32,
    factor: usize,
) -> Result<Vec<Vec<BrokerId>>, Refusal> {
    let invalid = |reason: String| (ResponseError::InvalidReplicaAssignment, reason);
    if usize::try_from(additional) != Ok(wished.len()) {
        return Err(invalid(format!(
            "Attempted to add {additional} additional partition(s), but only {} assignment(s) were specified.",
            wished.len()
        )));
    }
    let mut assignments = Vec::new();
    for (index, assignment) in (first..).zip(wished) {
        let replicas: Vec<BrokerId> = assignment.broker_ids.iter().map(|id| BrokerId(id.0)).collect();
        validate_replicas(turn, index, &replicas).map_err(invalid)?;
        if replicas.len() != factor {
            return Err(invalid(format!(
                "The manual partition assignment includes a partition with {} replica(s), but this is not consistent \
                 with previous partitions, which have {factor} replica(s).",
                replicas.len()
            )));
        }
        assignments.push(replicas);
    }
    Ok(assignments)
}

fn place(turn: &mut Turn<'_>, additional: i32, factor: usize) -> Result<Vec<Vec<BrokerId>>, Refusal> {
    let refused = |why| {
        let reason = format!("Unable to replicate the partition {factor} time(s): {why}");
        (ResponseError::InvalidReplicationFactor, reason)
    };
    let mut placer = Placer::new(&turn.image().clone(), turn.random);
    (0..additional).map(|_| placer.place(factor, turn.random).map_err(refused)).collect()
}
