//! The server's own answer: which APIs a listener serves (KIP-35, KIP-511).

use super::Reply;
use crate::wire::api::{self, ListenerKind};
use crate::wire::codec::{self, CodecError, RequestHeader};
use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{ApiKey, ApiVersionsRequest, ApiVersionsResponse};

/// Answers an ApiVersions request.
///
/// A client asks this before it knows what we speak, so one that is newer than we are is answered in version 0, with our versions
/// of this API, and asks again.
pub(super) fn answer(listener: ListenerKind, header: &RequestHeader, body: &Bytes) -> Result<Reply, CodecError> {
    let ours = api::lookup(listener, ApiKey::ApiVersions).expect("every listener serves ApiVersions");
    let (version, response) = if ours.supports(header.version) {
        let request = codec::decode_request::<ApiVersionsRequest>(header.version, body)?;
        (header.version, response(listener, header.version, &request))
    } else {
        let line = ApiVersion::default()
            .with_api_key(ApiKey::ApiVersions as i16)
            .with_min_version(ours.min)
            .with_max_version(ours.max);
        (0, refusal(ResponseError::UnsupportedVersion).with_api_keys(vec![line]))
    };
    codec::encode_response(header.correlation_id, version, &response).map(Reply::Frame)
}

fn response(listener: ListenerKind, version: i16, request: &ApiVersionsRequest) -> ApiVersionsResponse {
    let named = [&request.client_software_name, &request.client_software_version].iter().all(|s| is_software_name(s));
    if version >= 3 && !named {
        return refusal(ResponseError::InvalidRequest);
    }
    ApiVersionsResponse::default().with_api_keys(api::advertised(listener))
}

fn refusal(error: ResponseError) -> ApiVersionsResponse {
    ApiVersionsResponse::default().with_error_code(error.code())
}

/// Letters and digits, with dashes and dots between them (Kafka's `SOFTWARE_NAME_VERSION_PATTERN`).
fn is_software_name(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    edge(name.chars().next()) && edge(name.chars().next_back()) && name.chars().all(inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::protocol::StrBytes;

    fn ask(version: i16, request: &ApiVersionsRequest) -> ApiVersionsResponse {
        // A client that is too new for us has no schema here: its body is whatever it is.
        let body = match codec::encode_request(9, "me", version, request) {
            Ok(frame) => codec::split_request(frame.slice(4..)).unwrap().1,
            Err(_) => Bytes::from_static(&[1, 2, 3]),
        };
        let header = RequestHeader { api: ApiKey::ApiVersions, version, correlation_id: 9, client_id: StrBytes::new() };
        let Ok(Reply::Frame(frame)) = answer(ListenerKind::Broker, &header, &body) else {
            panic!("version {version} has no answer")
        };
        let answered_in = if (0..=4).contains(&version) { version } else { 0 };
        let frame = codec::ResponseFrame::read(frame.slice(4..)).unwrap();
        assert_eq!(frame.correlation_id, 9);
        frame.decode::<ApiVersionsRequest>(answered_in).unwrap()
    }

    fn named(name: &'static str, version: &'static str) -> ApiVersionsRequest {
        ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from_static_str(name))
            .with_client_software_version(StrBytes::from_static_str(version))
    }

    #[test]
    fn every_version_is_told_the_whole_table() {
        for version in 0..=4 {
            let request = if version >= 3 { named("librdkafka", "2.3.0-x") } else { ApiVersionsRequest::default() };
            let response = ask(version, &request);
            assert_eq!(response.error_code, 0);
            assert_eq!(response.api_keys, api::advertised(ListenerKind::Broker));
        }
    }

    #[test]
    fn a_client_from_the_future_learns_what_to_fall_back_to() {
        for version in [5, 99, -1] {
            let response = ask(version, &ApiVersionsRequest::default());
            assert_eq!(response.error_code, ResponseError::UnsupportedVersion.code());
            let [line] = &response.api_keys[..] else { panic!("{:?}", response.api_keys) };
            assert_eq!((line.api_key, line.min_version, line.max_version), (18, 0, 4));
        }
    }

    #[test]
    fn a_client_with_a_strange_name_is_refused() {
        for (name, version) in [("", "1"), ("a b", "1"), ("-a", "1"), ("a", "1."), ("ä", "1")] {
            assert_eq!(ask(3, &named(name, version)).error_code, ResponseError::InvalidRequest.code(), "{name}");
        }
    }
}
