//! DeleteTopics, by name or by id (Kafka's `ControllerApis.deleteTopics`).

use std::collections::BTreeSet;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::turn::Turn;
use crate::base::TopicId;
use crate::wire::records::RemoveTopicRecord;

/// What a request names a topic by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Key<'a> {
    Name(&'a TopicName),
    Id(TopicId),
}

/// Deletes what exists, and answers each topic on its own.
pub(super) fn delete(turn: &mut Turn<'_>, request: &DeleteTopicsRequest) -> DeleteTopicsResponse {
    let mut results = Vec::new();
    let mut keys: Vec<Key<'_>> = request.topic_names.iter().map(Key::Name).collect();
    for topic in &request.topics {
        match (&topic.name, topic.topic_id.is_nil()) {
            (Some(name), true) => keys.push(Key::Name(name)),
            (None, false) => keys.push(Key::Id(topic.topic_id)),
            (name, _) => {
                let result = DeletableTopicResult::default().with_name(name.clone()).with_topic_id(topic.topic_id);
                results.push(refuse(result, ResponseError::InvalidRequest));
            }
        }
    }
    let mut answered = BTreeSet::new();
    for key in &keys {
        if answered.insert(*key) {
            let once = keys.iter().filter(|other| *other == key).count() == 1;
            results.push(delete_one(turn, *key, once));
        }
    }
    DeleteTopicsResponse::default().with_responses(results)
}

fn delete_one(turn: &mut Turn<'_>, key: Key<'_>, once: bool) -> DeletableTopicResult {
    let (found, result, unknown) = match key {
        Key::Name(name) => (
            turn.image().topic(name).cloned(),
            DeletableTopicResult::default().with_name(Some(name.clone())),
            ResponseError::UnknownTopicOrPartition,
        ),
        Key::Id(id) => (
            turn.image().topic_by_id(id).cloned(),
            DeletableTopicResult::default().with_name(None).with_topic_id(id),
            ResponseError::UnknownTopicId,
        ),
    };
    if !once {
        return refuse(result, ResponseError::InvalidRequest);
    }
    let Some(topic) = found else { return refuse(result, unknown) };
    turn.write(RemoveTopicRecord { topic_id: topic.id });
    let name = StrBytes::from_string(topic.name.to_string());
    result.with_name(Some(TopicName(name))).with_topic_id(topic.id)
}

fn refuse(result: DeletableTopicResult, error: ResponseError) -> DeletableTopicResult {
    result.with_error_code(error.code())
}
