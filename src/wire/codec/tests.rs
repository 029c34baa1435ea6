use super::*;
use kafka_protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, MetadataRequest, ProduceRequest, VoteRequest, VoteResponse,
};

#[test]
fn a_plain_request_looks_as_the_protocol_guide_says() {
    let request = MetadataRequest::default().with_topics(None).with_allow_auto_topic_creation(false);
    let frame = encode_request(258, "me", 4, &request).unwrap();
    let expected: &[u8] = &[
        0, 0, 0, 17, // length
        0, 3, 0, 4, 0, 0, 1, 2, // Metadata, version 4, correlation id
        0, 2, b'm', b'e', // client id
        255, 255, 255, 255, // all topics
        0,   // no automatic creation
    ];
    assert_eq!(frame, expected);
}

#[test]
fn a_flexible_request_ends_its_header_in_tags() {
    let frame = encode_request(1, "", 2, &VoteRequest::default()).unwrap();
    let (header, body) = split_request(frame.slice(4..)).unwrap();
    assert_eq!((header.api, header.version, &*header.client_id), (ApiKey::Vote, 2, ""));
    assert_eq!(frame[14], 0, "no tags in the header");
    assert_eq!(decode_request::<VoteRequest>(2, &body), Ok(VoteRequest::default()));
}

#[test]
fn the_header_of_an_api_versions_response_is_never_flexible() {
    let versions = encode_response(5, 3, &ApiVersionsResponse::default()).unwrap();
    assert_eq!(versions[4..10], [0, 0, 0, 5, 0, 0], "correlation id, then the error code at once");
    let vote = encode_response(5, 0, &VoteResponse::default()).unwrap();
    assert_eq!(vote[4..11], [0, 0, 0, 5, 0, 0, 0], "correlation id, no tags, then the error code");
    let back = ResponseFrame::read(versions.slice(4..)).unwrap();
    assert_eq!(back.decode::<ApiVersionsRequest>(3), Ok(ApiVersionsResponse::default()));
}

#[test]
fn a_client_may_have_no_name_and_unknown_header_tags() {
    let frame: &[u8] = &[0, 52, 0, 2, 0, 0, 0, 9, 255, 255, 1, 7, 2, 1, 1, 99];
    let (header, body) = split_request(Bytes::from_static(frame)).unwrap();
    assert_eq!((header.api, header.correlation_id, &*header.client_id), (ApiKey::Vote, 9, ""));
    assert_eq!(&*body, [99]);
}

#[test]
fn an_unknown_api_and_a_cut_header_are_errors() {
    let unknown = Bytes::from_static(&[3, 231, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(split_request(unknown), Err(CodecError::UnknownApi(999)));
    let whole = encode_request(1, "name", 13, &MetadataRequest::default()).unwrap().slice(4..);
    for end in 0..15 {
        assert!(split_request(whole.slice(..end)).is_err(), "{end}");
    }
}

#[test]
fn an_array_of_two_billion_is_refused_before_memory_is_reserved() {
    // Produce v3: no transactional id, acks, timeout, then the claim.
    let body: &[u8] = &[255, 255, 0, 1, 0, 0, 0, 9, 0x7f, 0xff, 0xff, 0xff];
    let refused = decode_request::<ProduceRequest>(3, &Bytes::from_static(body));
    assert_eq!(refused, Err(CodecError::Claim { field: "topic_data", claimed: i32::MAX.into(), left: 0 }));
    // The same in a flexible version.
    let body: &[u8] = &[0, 0, 1, 0, 0, 0, 9, 255, 255, 255, 255, 15, 1];
    let refused = decode_request::<ProduceRequest>(9, &Bytes::from_static(body));
    assert!(matches!(refused, Err(CodecError::Claim { field: "topic_data", left: 1, .. })), "{refused:?}");
}

#[test]
fn a_frame_full_of_tiny_elements_is_refused() {
    let mut body = vec![0u8; 4 + 2 * (guard::MAX_ELEMENTS + 1)];
    body[..4].copy_from_slice(&(guard::MAX_ELEMENTS as i32 + 1).to_be_bytes());
    assert_eq!(decode_request::<MetadataRequest>(1, &body.into()), Err(CodecError::TooManyElements));
}

#[test]
fn a_known_tag_must_be_as_long_as_it_says() {
    // FetchRequest v12, tag 0 (cluster id "a") that claims three bytes but is two, so that the codec and a skipper disagree.
    let mut body = vec![0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1];
    body.extend([1, 0, 3, 2, b'a', 0]);
    let refused = decode_request::<kafka_protocol::messages::FetchRequest>(12, &body.into());
    assert!(matches!(refused, Err(CodecError::Claim { field: "cluster_id", claimed: 3, .. })), "{refused:?}");
}
