//! Leaders elected, and partitions moved to other brokers.

use super::call::{each, whole};
use super::{Admin, AdminError, wire_ids, wire_name};
use crate::base::{BrokerId, TopicPartition};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
use kafka_protocol::messages::elect_leaders_request::TopicPartitions;
use kafka_protocol::messages::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, ElectLeadersRequest, ElectLeadersResponse,
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
};
use std::collections::BTreeMap;

/// What kind of leader is wished for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Election {
    /// The first of the replicas.
    Preferred,
    /// Anybody alive, where there is no leader.
    Unclean,
}

/// A partition on its way to other brokers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reassignment {
    /// All replicas while it moves.
    pub replicas: Vec<BrokerId>,
    /// Those that are being added.
    pub adding: Vec<BrokerId>,
    /// Those that go in the end.
    pub removing: Vec<BrokerId>,
}

impl Admin {
    /// Elects a leader of a partition.
    ///
    /// # Errors
    /// [`AdminError`]; ELECTION_NOT_NEEDED, PREFERRED_LEADER_NOT_AVAILABLE or ELIGIBLE_LEADERS_NOT_AVAILABLE as the
    /// controller says.
    pub async fn elect_leader(&mut self, tp: &TopicPartition, election: Election) -> Result<(), AdminError> {
        let wish = TopicPartitions::default().with_topic(wire_name(&tp.topic)).with_partitions(vec![tp.partition]);
        let request = ElectLeadersRequest::default()
            .with_election_type(i8::from(election == Election::Unclean))
            .with_topic_partitions(Some(vec![wish]))
            .with_timeout_ms(self.timeout_ms());
        let judge = |response: ElectLeadersResponse| {
            whole(response.error_code)?;
            let partitions = response.replica_election_results.iter().flat_map(|t| &t.partition_result);
            each(partitions.map(|p| Some(p.error_code)))
        };
        let results = self.call(&request, judge).await?;
        results.into_iter().collect::<Result<(), _>>().map_err(AdminError::Broker)
    }

    /// Moves partitions to other brokers, the preferred leader first; `None` cancels a move. The results are in the
    /// order of the partitions.
    ///
    /// # Errors
    /// [`AdminError`] if the call failed as a whole; otherwise each partition has its own result.
    pub async fn alter_reassignments(
        &mut self,
        wishes: &BTreeMap<TopicPartition, Option<Vec<BrokerId>>>,
    ) -> Result<Vec<Result<(), ResponseError>>, AdminError> {
        let topic = |(tp, replicas): (&TopicPartition, &Option<Vec<BrokerId>>)| {
            let partition = ReassignablePartition::default()
                .with_partition_index(tp.partition)
                .with_replicas(replicas.as_deref().map(wire_ids));
            ReassignableTopic::default().with_name(wire_name(&tp.topic)).with_partitions(vec![partition])
        };
        let request = AlterPartitionReassignmentsRequest::default()
            .with_timeout_ms(self.timeout_ms())
            .with_topics(wishes.iter().map(topic).collect());
        self.call(&request, |response: AlterPartitionReassignmentsResponse| {
            whole(response.error_code)?;
            each(response.responses.iter().flat_map(|t| &t.partitions).map(|p| Some(p.error_code)))
        })
        .await
    }

    /// The partitions that are on their way to other brokers.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn list_reassignments(&mut self) -> Result<BTreeMap<TopicPartition, Reassignment>, AdminError> {
        let request = ListPartitionReassignmentsRequest::default().with_timeout_ms(self.timeout_ms()).with_topics(None);
        self.call(&request, |response: ListPartitionReassignmentsResponse| {
            whole(response.error_code)?;
            let ids = |ids: &[kafka_protocol::messages::BrokerId]| ids.iter().map(|id| BrokerId(id.0)).collect();
            let mut moving = BTreeMap::new();
            for topic in &response.topics {
                for p in &topic.partitions {
                    let reassignment = Reassignment {
                        replicas: ids(&p.replicas),
                        adding: ids(&p.adding_replicas),
                        removing: ids(&p.removing_replicas),
                    };
                    moving.insert(TopicPartition::new(topic.name.as_str(), p.partition_index), reassignment);
                }
            }
            Ok(moving)
        })
        .await
    }
}
