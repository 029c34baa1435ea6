//! Elections that somebody asks for, and those that the controller holds on its own when their time has come: back to
//! the preferred leaders (`auto.leader.rebalance.enable`), and out of the ISR where that is allowed (KIP-460; Kafka's
//! `ReplicationControlManager.electLeaders`, `maybeBalancePartitionLeaders`, `maybeElectUncleanLeaders`).
//!
//! As Kafka's KRaft controller this one moves every partition that is led by another than its preferred replica;
//! `leader.imbalance.per.broker.percentage` belonged to the controller before it.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use kafka_protocol::messages::{ElectLeadersRequest, ElectLeadersResponse, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::change::Election;
use super::turn::{Refusal, Turn};
use crate::base::TopicId;
use crate::controller::image::{Partition, Topic};

/// Elections in one go (Kafka's `maxElectionsPerImbalance`).
pub(super) const MAX_ELECTIONS: usize = 1_000;

/// Elects leaders of the partitions asked for, or of all; those of all that need no election are not told.
///
/// # Errors
/// INVALID_REQUEST for an unknown type of election.
pub(super) fn elect(turn: &mut Turn<'_>, request: &ElectLeadersRequest) -> Result<ElectLeadersResponse, ResponseError> {
    let election = match request.election_type {
        0 => Election::Preferred,
        1 => Election::Unclean,
        _ => return Err(ResponseError::InvalidRequest),
    };
    let results = match &request.topic_partitions {
        Some(topics) => topics
            .iter()
            .map(|t| {
                let results = t.partitions.iter().map(|index| (*index, elect_one(turn, &t.topic, *index, election)));
                told(t.topic.clone(), results)
            })
            .collect(),
        None => elect_all(turn, election),
    };
    Ok(ElectLeadersResponse::default().with_replica_election_results(results))
}

fn elect_all(turn: &mut Turn<'_>, election: Election) -> Vec<ReplicaElectionResult> {
    let topics: Vec<_> = turn.image().topics().map(|t| (t.name.clone(), t.partitions.len())).collect();
    let needed = |result: &(i32, Result<(), Refusal>)| !matches!(&result.1, Err((ResponseError::ElectionNotNeeded, _)));
    let elected = topics.into_iter().map(|(name, partitions)| {
        let results = (0..).take(partitions).map(|index| (index, elect_one(turn, &name, index, election)));
        told(TopicName(StrBytes::from_string(name.to_string())), results.filter(needed))
    });
    elected.collect()
}

fn told(topic: TopicName, results: impl Iterator<Item = (i32, Result<(), Refusal>)>) -> ReplicaElectionResult {
    let partitions = results.map(|(index, result)| {
        let answer = PartitionResult::default().with_partition_id(index);
        match result {
            Ok(()) => answer,
            Err((error, message)) => {
                answer.with_error_code(error.code()).with_error_message(Some(StrBytes::from_string(message)))
            }
        }
    });
    ReplicaElectionResult::default().with_topic(topic).with_partition_result(partitions.collect())
}

fn elect_one(turn: &mut Turn<'_>, topic: &str, index: i32, election: Election) -> Result<(), Refusal> {
    let unknown = || (ResponseError::UnknownTopicOrPartition, format!("No such partition as {topic}-{index}"));
    let id = turn.image().topic_id(topic).ok_or_else(unknown)?;
    let (topic, partition) = turn.find(id, index).ok_or_else(unknown)?;
    let (needed, unavailable) = match election {
        Election::Unclean => (!partition.has_leader(), ResponseError::EligibleLeadersNotAvailable),
        _ => (!is_balanced(&partition), ResponseError::PreferredLeaderNotAvailable),
    };
    if !needed {
        return Err((
            ResponseError::ElectionNotNeeded,
            format!("{} has the leader that is wished for.", topic.name_of(index)),
        ));
    }
    match try_elect(turn, &topic, index, &partition, election) {
        true => Ok(()),
        false => Err((unavailable, format!("No replica of {} may be elected.", topic.name_of(index)))),
    }
}

/// True if the election changed anything.
fn try_elect(turn: &mut Turn<'_>, topic: &Topic, index: i32, partition: &Partition, election: Election) -> bool {
    let mut change = turn.change(topic, partition);
    change.election = election;
    let record = change.build(topic.id, index, |id| turn.image().is_active(id));
    let changed = record.is_some();
    record.into_iter().for_each(|record| turn.write(record));
    changed
}

/// True if the preferred replica leads.
pub(super) fn is_balanced(partition: &Partition) -> bool {
    partition.replicas.first() == Some(&partition.leader)
}

/// Moves leaderships back to the preferred replicas; the number of changes, at most [`MAX_ELECTIONS`].
pub(super) fn balance(turn: &mut Turn<'_>) -> usize {
    elect_where(turn, Election::Preferred, |_, _, p| !is_balanced(p))
}

/// Elects anybody alive where there is no leader and the topic allows it; the number of changes, at most
/// [`MAX_ELECTIONS`].
pub(super) fn elect_unclean(turn: &mut Turn<'_>) -> usize {
    elect_where(turn, Election::Unclean, |turn, topic, p| {
        let config = turn.config;
        !p.has_leader() && turn.image().unclean_leader_election(&topic.name, config.me, config.unclean_leader_election)
    })
}

fn elect_where(
    turn: &mut Turn<'_>,
    election: Election,
    concerned: impl Fn(&Turn<'_>, &Topic, &Partition) -> bool,
) -> usize {
    let all = turn.image().topics().flat_map(|t| t.indexed().map(move |(index, p)| (t, index, p)));
    let picked: Vec<(TopicId, i32)> =
        all.filter(|(t, _, p)| concerned(turn, t, p)).map(|(t, index, _)| (t.id, index)).collect();
    let mut changes = 0;
    for (id, index) in picked {
        if changes == MAX_ELECTIONS {
            break;
        }
        let (topic, partition) = turn.find(id, index).expect("elections remove no partition");
        changes += usize::from(try_elect(turn, &topic, index, &partition, election));
    }
    changes
}
