//! CreateTopics (Kafka's `ReplicationControlManager.createTopics`): all records of a request are one atomic batch.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::{CreateTopicsRequest, CreateTopicsResponse};
use kafka_protocol::protocol::StrBytes;

use super::placement::Placer;
use super::turn::{Refusal, Turn};
use super::{replicas, topic_names};
use crate::base::{BrokerId, LeaderEpoch, PartitionEpoch, TopicId};
use crate::controller::configs;
use crate::wire::records::{ConfigRecord, PartitionRecord, TopicRecord};

/// Partitions that one request may create: bounds the batch (Kafka's `MAX_RECORDS_PER_USER_OP`).
pub(super) const MAX_PARTITIONS: i32 = 10_000;

/// Creates what can be created, and answers each topic on its own.
pub(super) fn create(turn: &mut Turn<'_>, request: &CreateTopicsRequest) -> CreateTopicsResponse {
    let topics =
        if request.validate_only { turn.rehearse(|turn| create_all(turn, request)) } else { create_all(turn, request) };
    CreateTopicsResponse::default().with_topics(topics)
}

fn create_all(turn: &mut Turn<'_>, request: &CreateTopicsRequest) -> Vec<CreatableTopicResult> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for topic in &request.topics {
        *seen.entry(&topic.name).or_default() += 1;
    }
    let mut answered = BTreeSet::new();
    let mut budget = MAX_PARTITIONS;
    let mut results = Vec::new();
    for topic in request.topics.iter().filter(|t| answered.insert(&**t.name)) {
        let created = match seen.get(&**topic.name) {
            Some(1) => create_one(turn, topic, &mut budget),
            _ => Err((ResponseError::InvalidRequest, "Duplicate topic name.".to_owned())),
        };
        let result = created.unwrap_or_else(|(error, message)| {
            let message = Some(StrBytes::from_string(message));
            CreatableTopicResult::default().with_error_code(error.code()).with_error_message(message)
        });
        results.push(result.with_name(topic.name.clone()));
    }
    results
}

fn create_one(turn: &mut Turn<'_>, topic: &CreatableTopic, budget: &mut i32) -> Result<CreatableTopicResult, Refusal> {
    let name: &str = &topic.name;
    validate_name(turn, name)?;
    let configs = validate_configs(topic)?;
    let assignments = if topic.assignments.is_empty() { place(turn, topic, *budget)? } else { manual(turn, topic)? };
    let count = i32::try_from(assignments.len()).ok().filter(|n| n <= budget).ok_or_else(too_many)?;
    *budget -= count;
    let factor = assignments[0].len();
    let id = write_topic(turn, name, &configs, assignments);
    Ok(CreatableTopicResult::default()
        .with_topic_id(id)
        .with_num_partitions(count)
        .with_replication_factor(i16::try_from(factor).unwrap_or(i16::MAX))
        .with_configs(Some(Vec::new())))
}

fn validate_name(turn: &Turn<'_>, name: &str) -> Result<(), Refusal> {
    if name == topic_names::CLUSTER_METADATA {
        return Err((ResponseError::InvalidRequest, format!("Creation of internal topic {name} is prohibited.")));
    }
    if let Some(reason) = topic_names::illegal(name) {
        return Err((ResponseError::InvalidTopicException, reason));
    }
    if turn.image().topic(name).is_some() {
        return Err((ResponseError::TopicAlreadyExists, format!("Topic '{name}' already exists.")));
    }
    match topic_names::colliding(turn.image(), name) {
        Some(reason) => Err((ResponseError::InvalidTopicException, reason)),
        None => Ok(()),
    }
}

fn validate_configs(topic: &CreatableTopic) -> Result<BTreeMap<Arc<str>, Arc<str>>, Refusal> {
    let mut configs = BTreeMap::new();
    for config in &topic.configs {
        let refuse = |reason| Err((ResponseError::InvalidConfig, reason));
        let Some(value) = &config.value else {
            return refuse(format!("Null value not supported for topic configs: {}", &*config.name));
        };
        if let Some(reason) = configs::illegal(&config.name, value) {
            return refuse(reason);
        }
        configs.insert(Arc::from(&*config.name), Arc::from(&**value));
    }
    Ok(configs)
}

pub(super) fn too_many() -> Refusal {
    (ResponseError::PolicyViolation, "Unable to perform excessively large batch operation.".to_owned())
}

/// Replicas of each partition by placement.
fn place(turn: &mut Turn<'_>, topic: &CreatableTopic, budget: i32) -> Result<Vec<Vec<BrokerId>>, Refusal> {
    let invalid_factor = |reason| (ResponseError::InvalidReplicationFactor, reason);
    let factor = match topic.replication_factor {
        -1 => turn.config.default_replication_factor,
        n => n,
    };
    let factor = usize::try_from(factor).ok().filter(|n| *n > 0).ok_or_else(|| {
        invalid_factor("Replication factor must be larger than 0, or -1 to use the default value.".to_owned())
    })?;
    let count = match topic.num_partitions {
        -1 => turn.config.num_partitions,
        n if n > 0 => n,
        _ => {
            let reason = "Number of partitions was set to an invalid non-positive value.".to_owned();
            return Err((ResponseError::InvalidPartitions, reason));
        }
    };
    if count > budget {
        return Err(too_many());
    }
    let mut placer = Placer::new(&turn.image().clone(), turn.random);
    let mut assignments = Vec::new();
    for _ in 0..count {
        let replicas = placer.place(factor, turn.random);
        assignments.push(
            replicas
                .map_err(|why| invalid_factor(format!("Unable to replicate the partition {factor} time(s): {why}")))?,
        );
    }
    Ok(assignments)
}

/// Replicas of each partition as the user wants them.
fn manual(turn: &Turn<'_>, topic: &CreatableTopic) -> Result<Vec<Vec<BrokerId>>, Refusal> {
    if topic.replication_factor != -1 || topic.num_partitions != -1 {
        let reason = "A manual partition assignment was specified, but the replication factor or the number of \
                      partitions was not set to -1.";
        return Err((ResponseError::InvalidRequest, reason.to_owned()));
    }
    let invalid = |reason: String| (ResponseError::InvalidReplicaAssignment, reason);
    let mut by_index: BTreeMap<i32, Vec<BrokerId>> = BTreeMap::new();
    for assignment in &topic.assignments {
        let index = assignment.partition_index;
        let replicas: Vec<BrokerId> = assignment.broker_ids.iter().map(|id| BrokerId(id.0)).collect();
        validate_replicas(turn, index, &replicas).map_err(invalid)?;
        if by_index.insert(index, replicas).is_some() {
            return Err(invalid(format!("Found multiple manual partition assignments for partition {index}")));
        }
    }
    if !by_index.keys().copied().eq((0..).take(by_index.len())) {
        return Err(invalid("partitions should be a consecutive 0-based integer sequence".to_owned()));
    }
    let assignments: Vec<_> = by_index.into_values().collect();
    if assignments.iter().any(|replicas| replicas.len() != assignments[0].len()) {
        return Err(invalid("The manual partition assignment gives partitions different numbers of replicas.".into()));
    }
    Ok(assignments)
}

/// A manual assignment of a new partition.
pub(super) fn validate_replicas(turn: &Turn<'_>, index: i32, replicas: &[BrokerId]) -> Result<(), String> {
    replicas::validate(turn.image(), replicas)?;
    if !replicas.iter().any(|id| turn.image().is_active(*id)) {
        return Err(format!(
            "All brokers specified in the manual partition assignment for partition {index} are fenced or in \
             controlled shutdown."
        ));
    }
    Ok(())
}

/// The topic comes first, then its configuration, then its partitions: whoever creates a log knows its settings.
fn write_topic(
    turn: &mut Turn<'_>,
    name: &str,
    configs: &BTreeMap<Arc<str>, Arc<str>>,
    assignments: Vec<Vec<BrokerId>>,
) -> TopicId {
    let name: Arc<str> = name.into();
    let topic_id = new_topic_id(turn);
    turn.write(TopicRecord { name: Arc::clone(&name), topic_id });
    for (key, value) in configs {
        turn.write(ConfigRecord {
            resource_type: 2,
            resource_name: Arc::clone(&name),
            name: Arc::clone(key),
            value: Some(Arc::clone(value)),
        });
    }
    write_partitions(turn, topic_id, 0, assignments);
    topic_id
}

/// New partitions of a topic, numbered from `first`; whoever is alive is in sync, and the first of them leads.
pub(super) fn write_partitions(turn: &mut Turn<'_>, topic_id: TopicId, first: i32, assignments: Vec<Vec<BrokerId>>) {
    for (partition_id, replicas) in (first..).zip(assignments) {
        let isr: Vec<BrokerId> = replicas.iter().copied().filter(|id| turn.image().is_active(*id)).collect();
        turn.write(PartitionRecord {
            partition_id,
            topic_id,
            leader: isr[0],
            isr,
            directories: vec![TopicId::nil(); replicas.len()],
            replicas,
            leader_epoch: LeaderEpoch(0),
            partition_epoch: PartitionEpoch(0),
            ..PartitionRecord::default()
        });
    }
}

fn new_topic_id(turn: &mut Turn<'_>) -> TopicId {
    loop {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&turn.random.next_u64().to_be_bytes());
        bytes[8..].copy_from_slice(&turn.random.next_u64().to_be_bytes());
        let id = uuid::Builder::from_random_bytes(bytes).into_uuid();
        if turn.image().topic_by_id(id).is_none() {
            return id;
        }
    }
}
