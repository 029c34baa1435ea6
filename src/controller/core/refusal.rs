//! Refusing a request as a whole: each API has its own place for the error.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{
    AllocateProducerIdsResponse, AlterPartitionReassignmentsResponse, AlterPartitionResponse, BrokerHeartbeatResponse,
    BrokerRegistrationResponse, ControllerRegistrationResponse, CreateTopicsRequest, CreateTopicsResponse,
    DeleteTopicsRequest, DeleteTopicsResponse, ElectLeadersResponse, ListPartitionReassignmentsResponse,
    UnregisterBrokerResponse,
};

use super::types::{Request, Response};

impl Request {
    /// The answer that refuses this request with `error`.
    #[must_use]
    pub fn refuse(&self, error: ResponseError) -> Response {
        let code = error.code();
        match self {
            Self::RegisterBroker(_) => Response::RegisterBroker(registration(code)),
            Self::RegisterController(_) => Response::RegisterController(controller_registration(code)),
            Self::Heartbeat(_) => Response::Heartbeat(heartbeat(code)),
            Self::AlterPartition(_) => {
                Response::AlterPartition(AlterPartitionResponse::default().with_error_code(code))
            }
            Self::AllocateProducerIds(_) => Response::AllocateProducerIds(producer_ids(code)),
            Self::CreateTopics(request) => Response::CreateTopics(create_topics(request, code)),
            Self::DeleteTopics(request) => Response::DeleteTopics(delete_topics(request, code)),
            Self::CreatePartitions(request) => Response::CreatePartitions(admin::create_partitions(request, code)),
            Self::ElectLeaders(request) => Response::ElectLeaders(admin::elect_leaders(request, code)),
            Self::AlterConfigs(request) => Response::AlterConfigs(admin::alter_configs(request, code)),
            Self::IncrementalAlterConfigs(request) => {
                Response::IncrementalAlterConfigs(admin::incremental_alter_configs(request, code))
            }
            Self::AlterPartitionReassignments(_) => Response::AlterPartitionReassignments(
                AlterPartitionReassignmentsResponse::default().with_error_code(code),
            ),
            Self::ListPartitionReassignments(_) => Response::ListPartitionReassignments(
                ListPartitionReassignmentsResponse::default().with_error_code(code),
            ),
            Self::UnregisterBroker(_) => {
                Response::UnregisterBroker(UnregisterBrokerResponse::default().with_error_code(code))
            }
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
            Self::RegisterController(_) => Self::RegisterController(controller_registration(code)),
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
            Self::CreatePartitions(mut response) => {
                response.results.iter_mut().for_each(|r| r.error_code = code);
                Self::CreatePartitions(response)
            }
            Self::AlterConfigs(mut response) => {
                response.responses.iter_mut().for_each(|r| r.error_code = code);
                Self::AlterConfigs(response)
            }
            Self::IncrementalAlterConfigs(mut response) => {
                response.responses.iter_mut().for_each(|r| r.error_code = code);
                Self::IncrementalAlterConfigs(response)
            }
            Self::ElectLeaders(_) => Self::ElectLeaders(ElectLeadersResponse::default().with_error_code(code)),
            Self::AlterPartitionReassignments(_) => {
                Self::AlterPartitionReassignments(AlterPartitionReassignmentsResponse::default().with_error_code(code))
            }
            Self::ListPartitionReassignments(_) => {
                Self::ListPartitionReassignments(ListPartitionReassignmentsResponse::default().with_error_code(code))
            }
            Self::UnregisterBroker(_) => {
                Self::UnregisterBroker(UnregisterBrokerResponse::default().with_error_code(code))
            }
        }
    }
}

fn registration(code: i16) -> BrokerRegistrationResponse {
    BrokerRegistrationResponse::default().with_error_code(code).with_broker_epoch(-1)
}

fn controller_registration(code: i16) -> ControllerRegistrationResponse {
    ControllerRegistrationResponse::default().with_error_code(code)
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

/// Requests for topics and configurations that name each what they concern.
mod admin {
    use kafka_protocol::messages::alter_configs_response::AlterConfigsResourceResponse as LegacyAnswer;
    use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
    use kafka_protocol::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
    use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse as Answer;
    use kafka_protocol::messages::{
        AlterConfigsRequest, AlterConfigsResponse, CreatePartitionsRequest, CreatePartitionsResponse,
        ElectLeadersRequest, ElectLeadersResponse, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
    };

    pub fn create_partitions(request: &CreatePartitionsRequest, code: i16) -> CreatePartitionsResponse {
        let topics = request.topics.iter();
        let refuse = |name| CreatePartitionsTopicResult::default().with_name(name).with_error_code(code);
        CreatePartitionsResponse::default().with_results(topics.map(|t| refuse(t.name.clone())).collect())
    }

    /// Version 0 has no error of its own, so each partition has it too.
    pub fn elect_leaders(request: &ElectLeadersRequest, code: i16) -> ElectLeadersResponse {
        let refused = request.topic_partitions.iter().flatten().map(|t| {
            let partitions = t.partitions.iter();
            let refuse = |id| PartitionResult::default().with_partition_id(id).with_error_code(code);
            ReplicaElectionResult::default()
                .with_topic(t.topic.clone())
                .with_partition_result(partitions.map(|id| refuse(*id)).collect())
        });
        ElectLeadersResponse::default().with_error_code(code).with_replica_election_results(refused.collect())
    }

    pub fn alter_configs(request: &AlterConfigsRequest, code: i16) -> AlterConfigsResponse {
        let refused = request.resources.iter().map(|r| {
            let answer = LegacyAnswer::default().with_resource_type(r.resource_type);
            answer.with_resource_name(r.resource_name.clone()).with_error_code(code)
        });
        AlterConfigsResponse::default().with_responses(refused.collect())
    }

    pub fn incremental_alter_configs(
        request: &IncrementalAlterConfigsRequest,
        code: i16,
    ) -> IncrementalAlterConfigsResponse {
        let refused = request.resources.iter().map(|r| {
            let answer = Answer::default().with_resource_type(r.resource_type);
            answer.with_resource_name(r.resource_name.clone()).with_error_code(code)
        });
        IncrementalAlterConfigsResponse::default().with_responses(refused.collect())
    }
}
