//! Topics: created, deleted, described, grown.

use super::call::each;
use super::{Admin, AdminError, self_contained, wire_ids, wire_name};
use crate::base::{BrokerId, TopicId};
use crate::client::metadata::Topic;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_partitions_request::{CreatePartitionsAssignment, CreatePartitionsTopic};
use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest,
    DeleteTopicsResponse, MetadataRequest, MetadataResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A topic to create.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: Arc<str>,
    /// How many partitions; -1 for the broker's default, and if `assignments` are given.
    pub partitions: i32,
    /// How many replicas each has; -1 for the broker's default, and if `assignments` are given.
    pub replication_factor: i16,
    /// Which brokers hold which partition, the preferred leader first; empty to let the controller choose.
    pub assignments: Vec<Vec<BrokerId>>,
    /// Topic settings in Kafka's keys.
    pub configs: BTreeMap<String, String>,
}

/// A topic, as some broker sees it.
pub type TopicDescription = Topic;

/// A topic with its name and state, or why it could not be described.
pub type Described = (Arc<str>, Result<TopicDescription, ResponseError>);

impl Admin {
    /// Creates topics; the results are in the order of `topics`.
    ///
    /// # Errors
    /// [`AdminError`] if the call failed as a whole; otherwise each topic has its own result.
    pub async fn create_topics(&mut self, topics: &[NewTopic]) -> Result<Vec<Result<(), ResponseError>>, AdminError> {
        let names: Vec<Arc<str>> = topics.iter().map(|t| t.name.clone()).collect();
        let request = CreateTopicsRequest::default()
            .with_timeout_ms(self.timeout_ms())
            .with_topics(topics.iter().map(creatable).collect());
        self.call(&request, |response: CreateTopicsResponse| {
            let code =
                |name: &Arc<str>| response.topics.iter().find(|t| t.name.as_str() == &**name).map(|t| t.error_code);
            each(names.iter().map(code))
        })
        .await
    }

    /// Deletes topics; the results are in the order of `topics`.
    ///
    /// # Errors
    /// As [`Self::create_topics`].
    pub async fn delete_topics(&mut self, topics: &[Arc<str>]) -> Result<Vec<Result<(), ResponseError>>, AdminError> {
        let names: Vec<TopicName> = topics.iter().map(wire_name).collect();
        let states = names.iter().map(|name| DeleteTopicState::default().with_name(Some(name.clone())));
        let request = DeleteTopicsRequest::default().with_timeout_ms(self.timeout_ms()).with_topics(states.collect());
        self.call(&request, |response: DeleteTopicsResponse| {
            let named = |r: &&kafka_protocol::messages::delete_topics_response::DeletableTopicResult, name: &str| {
                r.name.as_ref().is_some_and(|n| n.as_str() == name)
            };
            each(topics.iter().map(|name| response.responses.iter().find(|r| named(r, name)).map(|r| r.error_code)))
        })
        .await
    }

    /// Describes these topics, or all of them; the results are in the order of their names.
    ///
    /// # Errors
    /// [`AdminError`] if the call failed as a whole; otherwise each topic has its own result.
    pub async fn describe_topics(&mut self, topics: Option<&[Arc<str>]>) -> Result<Vec<Described>, AdminError> {
        let names = topics.map(|names| {
            names.iter().map(|name| MetadataRequestTopic::default().with_name(Some(wire_name(name)))).collect()
        });
        let request = MetadataRequest::default().with_topics(names).with_allow_auto_topic_creation(false);
        self.call(&request, |response: MetadataResponse| {
            let seen = self_contained(&response);
            let one = |t: &kafka_protocol::messages::metadata_response::MetadataResponseTopic| {
                let name: Arc<str> = Arc::from(t.name.as_ref()?.as_str());
                let error = ResponseError::try_from_code(t.error_code);
                let known = seen.topic(&name).cloned().ok_or(ResponseError::UnknownTopicOrPartition);
                Some((name, error.map_or(known, Err)))
            };
            let mut described: Vec<Described> = response.topics.iter().filter_map(one).collect();
            described.sort_by(|a, b| a.0.cmp(&b.0));
            Ok(described)
        })
        .await
    }
    /// The id of a topic, if it exists.
    ///
    /// # Errors
    /// As [`Self::describe_topics`].
    pub async fn topic_id(&mut self, topic: &Arc<str>) -> Result<Option<TopicId>, AdminError> {
        let described = self.describe_topics(Some(std::slice::from_ref(topic))).await?;
        Ok(described.into_iter().find_map(|(_, result)| result.ok()).map(|t| t.id))
    }

    /// Adds partitions to a topic, up to `count` in all; `assignments` say where the new ones go, if not wherever the
    /// controller puts them.
    ///
    /// # Errors
    /// [`AdminError`]; INVALID_PARTITIONS if that is no increase.
    pub async fn create_partitions(
        &mut self,
        topic: &Arc<str>,
        count: i32,
        assignments: Option<&[Vec<BrokerId>]>,
    ) -> Result<(), AdminError> {
        let assigned = |ids: &Vec<BrokerId>| CreatePartitionsAssignment::default().with_broker_ids(wire_ids(ids));
        let wish = CreatePartitionsTopic::default()
            .with_name(wire_name(topic))
            .with_count(count)
            .with_assignments(assignments.map(|all| all.iter().map(assigned).collect()));
        let request = CreatePartitionsRequest::default().with_timeout_ms(self.timeout_ms()).with_topics(vec![wish]);
        let results = self
            .call(&request, |response: CreatePartitionsResponse| {
                each(response.results.iter().map(|r| Some(r.error_code)))
            })
            .await?;
        results.into_iter().collect::<Result<(), _>>().map_err(AdminError::Broker)
    }
}

fn creatable(topic: &NewTopic) -> CreatableTopic {
    let assignment = |(index, brokers): (i32, &Vec<BrokerId>)| {
        CreatableReplicaAssignment::default()
            .with_partition_index(index)
            .with_broker_ids(brokers.iter().map(|b| b.0.into()).collect())
    };
    let config = |(key, value): (&String, &String)| {
        CreatableTopicConfig::default()
            .with_name(StrBytes::from_string(key.clone()))
            .with_value(Some(StrBytes::from_string(value.clone())))
    };
    CreatableTopic::default()
        .with_name(wire_name(&topic.name))
        .with_num_partitions(if topic.assignments.is_empty() { topic.partitions } else { -1 })
        .with_replication_factor(if topic.assignments.is_empty() { topic.replication_factor } else { -1 })
        .with_assignments((0..).zip(&topic.assignments).map(assignment).collect())
        .with_configs(topic.configs.iter().map(config).collect())
}
