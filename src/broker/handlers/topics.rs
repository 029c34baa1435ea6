//! CreateTopics and DeleteTopics: a broker wraps them in an Envelope for the active controller (KIP-590).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{
    ApiKey, CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest, DeleteTopicsResponse, EnvelopeRequest,
    EnvelopeResponse, TopicName,
};
use kafka_protocol::protocol::Request as Rpc;

use super::super::node::Node;
use crate::io::time;
use crate::wire::{api, codec};

/// How long an automatic creation may hold a Metadata request.
const AUTO_CREATE_TIMEOUT: Duration = Duration::from_secs(5);

impl Node {
    pub(super) async fn forward_create_topics(
        self: &Arc<Self>,
        request: CreateTopicsRequest,
        version: i16,
    ) -> CreateTopicsResponse {
        let timeout = timeout(request.timeout_ms);
        match self.forward(version, &request, timeout).await {
            Some(response) => response,
            None => {
                let failed = |t: &CreatableTopic| {
                    CreatableTopicResult::default()
                        .with_name(t.name.clone())
                        .with_error_code(ResponseError::RequestTimedOut.code())
                };
                CreateTopicsResponse::default().with_topics(request.topics.iter().map(failed).collect())
            }
        }
    }

    pub(super) async fn forward_delete_topics(
        self: &Arc<Self>,
        request: DeleteTopicsRequest,
        version: i16,
    ) -> DeleteTopicsResponse {
        let timeout = timeout(request.timeout_ms);
        if let Some(response) = self.forward(version, &request, timeout).await {
            return response;
        }
        let failed = DeletableTopicResult::default().with_error_code(ResponseError::RequestTimedOut.code());
        let by_name = request.topic_names.iter().map(|n| failed.clone().with_name(Some(n.clone())));
        let by_state =
            request.topics.iter().map(|t| failed.clone().with_name(t.name.clone()).with_topic_id(t.topic_id));
        DeleteTopicsResponse::default().with_responses(by_name.chain(by_state).collect())
    }

    /// Creates topics that a client asked for, with the broker's defaults, and waits until this broker knows them.
    pub(super) async fn auto_create(self: &Arc<Self>, names: Vec<TopicName>) {
        let topic = |name: TopicName| {
            CreatableTopic::default().with_name(name).with_num_partitions(-1).with_replication_factor(-1)
        };
        self.create(names.into_iter().map(topic).collect()).await;
    }

    /// Creates topics and waits until this broker knows them.
    pub(super) async fn create(self: &Arc<Self>, topics: Vec<CreatableTopic>) {
        let request =
            CreateTopicsRequest::default().with_topics(topics).with_timeout_ms(AUTO_CREATE_TIMEOUT.as_millis() as i32);
        let version = api::own_version(ApiKey::CreateTopics);
        let Some(response) = self.forward(version, &request, AUTO_CREATE_TIMEOUT).await else { return };
        let response: CreateTopicsResponse = response;
        let created: Vec<_> = response.topics.iter().filter(|t| t.error_code == 0).map(|t| t.name.clone()).collect();
        let known = self.metadata.wait_until(|image| created.iter().all(|n| image.topic(n.as_str()).is_some()));
        // Too late is no error: the client is told that the topic is unknown and asks again.
        let _ = time::timeout(AUTO_CREATE_TIMEOUT, known).await;
    }

    /// Asks the controller; `None` if it did not answer in time.
    pub(super) async fn forward<R: Rpc + Sync>(
        &self,
        version: i16,
        request: &R,
        timeout: Duration,
    ) -> Option<R::Response> {
        let frame = codec::encode_request(0, "forwarded", version, request).ok()?;
        let host = self.options.broker_listener.as_ref().map_or("", |address| &address.host);
        let envelope = EnvelopeRequest::default()
            .with_request_data(frame.slice(crate::wire::frame::PREFIX..))
            .with_client_host_address(address_bytes(host));
        let refused = |r: &EnvelopeResponse| r.error_code == ResponseError::NotController.code();
        let response = self.forwarding.call(&envelope, timeout, refused).await.ok()?;
        if response.error_code != 0 {
            tracing::warn!(code = response.error_code, "the controller refused an envelope");
            return None;
        }
        codec::ResponseFrame::read(response.response_data?).ok()?.decode::<R>(version).ok()
    }
}

pub(super) fn timeout(ms: i32) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0).max(1))
}

/// The address as the bytes of `InetAddress`; an unresolved name travels as 0.0.0.0.
fn address_bytes(host: &str) -> Bytes {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => Bytes::copy_from_slice(&ip.octets()),
        Ok(IpAddr::V6(ip)) => Bytes::copy_from_slice(&ip.octets()),
        Err(_) => Bytes::from_static(&[0; 4]),
    }
}
