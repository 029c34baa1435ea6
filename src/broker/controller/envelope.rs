//! Envelope: a client's request that a broker forwards (KIP-590).
//!
//! If the inner request finds no active controller, the envelope itself says NOT_CONTROLLER, so that the broker looks for
//! the new one instead of passing the error on.

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{
    AlterConfigsResponse, ApiKey, CreatePartitionsResponse, CreateTopicsResponse, DeleteTopicsResponse,
    DescribeQuorumResponse, EnvelopeRequest, EnvelopeResponse, IncrementalAlterConfigsResponse,
};
use kafka_protocol::protocol::{Encodable, HeaderVersion, Request};

use super::ControllerNode;
use crate::wire::api::{ListenerKind, lookup};
use crate::wire::codec::{CodecError, RequestHeader, decode_request, encode_response, split_request};
use crate::wire::frame::PREFIX;

impl ControllerNode {
    /// Envelope. Errors of its own: NOT_CONTROLLER; INVALID_REQUEST if there is no request inside that may be forwarded;
    /// UNSUPPORTED_VERSION.
    pub async fn envelope(&self, request: EnvelopeRequest) -> EnvelopeResponse {
        match self.forwarded(request.request_data).await {
            Ok(data) => EnvelopeResponse::default().with_response_data(Some(data)),
            Err(error) => EnvelopeResponse::default().with_response_data(None).with_error_code(error.code()),
        }
    }

    async fn forwarded(&self, frame: Bytes) -> Result<Bytes, ResponseError> {
        let (header, body) = split_request(frame).map_err(malformed)?;
        let api = lookup(ListenerKind::Controller, header.api).ok_or(ResponseError::InvalidRequest)?;
        if !api.supports(header.version) {
            return Err(ResponseError::UnsupportedVersion);
        }
        let (header, body) = (&header, &body);
        match header.api {
            ApiKey::CreateTopics => {
                let codes = |r: &CreateTopicsResponse| r.topics.iter().map(|t| t.error_code).collect();
                serve(header, body, |r| self.create_topics(r), codes).await
            }
            ApiKey::DeleteTopics => {
                let codes = |r: &DeleteTopicsResponse| r.responses.iter().map(|t| t.error_code).collect();
                serve(header, body, |r| self.delete_topics(r), codes).await
            }
            ApiKey::CreatePartitions => {
                let codes = |r: &CreatePartitionsResponse| r.results.iter().map(|t| t.error_code).collect();
                serve(header, body, |r| self.create_partitions(r), codes).await
            }
            ApiKey::AlterConfigs => {
                let codes = |r: &AlterConfigsResponse| r.responses.iter().map(|t| t.error_code).collect();
                serve(header, body, |r| self.alter_configs(r), codes).await
            }
            ApiKey::IncrementalAlterConfigs => {
                let codes = |r: &IncrementalAlterConfigsResponse| r.responses.iter().map(|t| t.error_code).collect();
                serve(header, body, |r| self.incremental_alter_configs(r), codes).await
            }
            ApiKey::ElectLeaders => serve(header, body, |r| self.elect_leaders(r), |r| vec![r.error_code]).await,
            ApiKey::AlterPartitionReassignments => {
                serve(header, body, |r| self.alter_partition_reassignments(r), |r| vec![r.error_code]).await
            }
            ApiKey::ListPartitionReassignments => {
                serve(header, body, |r| self.list_partition_reassignments(r), |r| vec![r.error_code]).await
            }
            ApiKey::DescribeQuorum => {
                let codes = |r: &DescribeQuorumResponse| {
                    let partitions = r.topics.iter().flat_map(|t| &t.partitions);
                    partitions.map(|p| p.error_code).chain([r.error_code]).collect()
                };
                let version = header.version;
                serve(header, body, |r| async move { self.describe_quorum(version, &r) }, codes).await
            }
            ApiKey::UnregisterBroker => {
                serve(header, body, |r| self.unregister_broker(r), |r| vec![r.error_code]).await
            }
            _ => Err(ResponseError::InvalidRequest),
        }
    }
}

/// Decodes the inner request, lets `answer` answer it and encodes the answer; `codes` are the errors that stand in it.
async fn serve<R, F>(
    header: &RequestHeader,
    body: &Bytes,
    answer: impl FnOnce(R) -> F,
    codes: impl FnOnce(&R::Response) -> Vec<i16>,
) -> Result<Bytes, ResponseError>
where
    R: Request,
    F: Future<Output = R::Response>,
{
    let response = answer(decode_request(header.version, body).map_err(malformed)?).await;
    answered(codes(&response).into_iter())?;
    encoded(header, &response)
}

/// NOT_CONTROLLER if the request found no active controller.
fn answered(mut codes: impl Iterator<Item = i16>) -> Result<(), ResponseError> {
    let error = ResponseError::NotController;
    if codes.any(|code| code == error.code()) { Err(error) } else { Ok(()) }
}

/// The response with its header, as it would stand in a frame.
fn encoded<M: Encodable + HeaderVersion>(header: &RequestHeader, response: &M) -> Result<Bytes, ResponseError> {
    let frame = encode_response(header.correlation_id, header.version, response).map_err(|error| {
        tracing::error!(%error, "a response does not fit the version of its request");
        ResponseError::UnknownServerError
    })?;
    Ok(frame.slice(PREFIX..))
}

fn malformed(error: CodecError) -> ResponseError {
    tracing::warn!(%error, "an envelope holds no request");
    ResponseError::InvalidRequest
}
