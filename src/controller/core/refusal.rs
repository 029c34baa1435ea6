//! Refusing a request as a whole: each API has its own place for the error.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{
    AllocateProducerIdsResponse, AlterPartitionResponse, BrokerHeartbeatResponse, BrokerRegistrationResponse,
    CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest, DeleteTopicsResponse,
};

use super::types::{Request, Response};

impl Request {
    /// The answer that refuses this request with `error`.
    #[must_use]
    pub fn refuse(&self, error: ResponseError) -> Response {
        let code = error.code();
        match self {
            Self::RegisterBroker(_) => Response::RegisterBroker(registration(code)),
            Self::Heartbeat(_) => Response::Heartbeat(heartbeat(code)),
            Self::AlterPartition(_) => {
                Response::AlterPartition(AlterPartitionResponse::default().with_error_code(code))
            }
            Self::AllocateProducerIds(_) => Response::AllocateProducerIds(producer_ids(code)),
            Self::CreateTopics(request) => Response::CreateTopics(create_topics(request, code)),
            Self::DeleteTopics(request) => Response::DeleteTopics(delete_topics(request, code)),
        }
    }
}

impl Response {
    /// This answer turned into a refusal of what was asked: its records will never be committed by this controller.
    #[must_use]
    pub(super) fn turned_down(self, error: ResponseError) -> Self {
        let code = error.code();
        match self {
            Self::RegisterBroker(_) => Self::RegisterBroker(registration(code)),
            Self::Heartbeat(_) => Self::Heartbeat(heartbeat(code)),
            Self::AlterPartition(_) => Self::AlterPartition(AlterPartitionResponse::default().with_error_code(code)),
            Self::AllocateProducerIds(_) => Self::AllocateProducerIds(producer_ids(code)),
            Self::CreateTopics(response) => {
                let topics = response.topics.into_iter().map(|t| creation(t.name, code)).collect();
                Self::CreateTopics(CreateTopicsResponse::default().with_topics(topics))
            }
            Self::DeleteTopics(response) => {
                let topics = response.responses.into_iter();
                let topics = topics.map(|t| deletion(t.name, t.topic_id, code)).collect();
                Self::DeleteTopics(DeleteTopicsResponse::default().with_responses(topics))
            }
        }
    }
}

fn registration(code: i16) -> BrokerRegistrationResponse {
    BrokerRegistrationResponse::default().with_error_code(code).with_broker_epoch(-1)
}

fn heartbeat(code: i16) -> BrokerHeartbeatResponse {
    BrokerHeartbeatResponse::default().with_error_code(code).with_is_fenced(true)
}

fn producer_ids(code: i16) -> AllocateProducerIdsResponse {
    AllocateProducerIdsResponse::default().with_error_code(code)
}

fn creation(name: kafka_protocol::messages::TopicName, code: i16) -> CreatableTopicResult {
    CreatableTopicResult::default().with_name(name).with_error_code(code)
}

fn create_topics(request: &CreateTopicsRequest, code: i16) -> CreateTopicsResponse {
    let topics = request.topics.iter().map(|t| creation(t.name.clone(), code)).collect();
    CreateTopicsResponse::default().with_topics(topics)
}

fn deletion(name: Option<kafka_protocol::messages::TopicName>, id: uuid::Uuid, code: i16) -> DeletableTopicResult {
    DeletableTopicResult::default().with_name(name).with_topic_id(id).with_error_code(code)
}

fn delete_topics(request: &DeleteTopicsRequest, code: i16) -> DeleteTopicsResponse {
    let named = request.topics.iter().map(|t| deletion(t.name.clone(), t.topic_id, code));
    let old = request.topic_names.iter().map(|name| deletion(Some(name.clone()), uuid::Uuid::nil(), code));
    DeleteTopicsResponse::default().with_responses(named.chain(old).collect())
}
