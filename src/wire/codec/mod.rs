//! Messages to bytes and back, headers included, without a panic or an allocation that a peer could force.
//!
//! `kafka-protocol` believes what a frame claims: it reserves memory for an array before it has seen one element. So every
//! body from a socket first passes [`guard::check`], which walks it along a schema and refuses claims that the frame does
//! not cover. What passes can be decoded at a cost in proportion to its size. Produce and Fetch, which carry almost all
//! traffic, have codecs of our own in [`lean`].
//! Nothing here reads or writes a socket.

pub mod guard;
pub mod lean;
mod rpc;
pub mod schema;

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;

use super::frame::PREFIX;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::{Encodable, HeaderVersion, StrBytes};
pub use rpc::Rpc;

/// Bytes that are no message, or a message that has no bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The frame is over before this part of it.
    #[error("the frame ends inside {0}")]
    Truncated(&'static str),
    /// A length that is negative or that the frame does not cover.
    #[error("{field} claims a length of {claimed}, {left} bytes are left")]
    Claim {
        /// The field with the claim.
        field: &'static str,
        /// The length that it claims.
        claimed: i64,
        /// The bytes that the frame still has.
        left: usize,
    },
    /// More array elements and tagged fields than one frame may have ([`guard::MAX_ELEMENTS`]).
    #[error("more than {} elements in one frame", guard::MAX_ELEMENTS)]
    TooManyElements,
    /// An API key that this codec has no schema for.
    #[error("API key {0} is not known")]
    UnknownApi(i16),
    /// The codec of the message refused it.
    #[error("{0}")]
    Message(String),
    /// A frame that would be longer than its length prefix can say.
    #[error("a frame of {0} bytes is too long")]
    TooLong(usize),
}

fn refused(error: impl std::fmt::Display) -> CodecError {
    CodecError::Message(error.to_string())
}

/// The header that opens every request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    /// Which API is asked.
    pub api: ApiKey,
    /// In which version; not yet checked against anything.
    pub version: i16,
    /// What the response must repeat.
    pub correlation_id: i32,
    /// What the client calls itself; empty if it does not say. Shares the frame's memory.
    pub client_id: StrBytes,
}

/// Splits a request frame (without its length prefix) into header and body.
///
/// # Errors
/// [`CodecError::UnknownApi`] if nobody knows the API: how long its header is cannot be told then. Others if the header is
/// cut off or malformed.
pub fn split_request(mut frame: Bytes) -> Result<(RequestHeader, Bytes), CodecError> {
    const HEADER: &str = "the request header";
    let truncated = |_| CodecError::Truncated(HEADER);
    let key = frame.try_get_i16().map_err(truncated)?;
    let api = ApiKey::try_from(key).map_err(|()| CodecError::UnknownApi(key))?;
    let version = frame.try_get_i16().map_err(truncated)?;
    let correlation_id = frame.try_get_i32().map_err(truncated)?;
    let client_id = match frame.try_get_i16().map_err(truncated)? {
        -1 => StrBytes::new(),
        n => match usize::try_from(n) {
            Ok(len) if len <= frame.len() => StrBytes::from_utf8(frame.split_to(len)).map_err(refused)?,
            _ => return Err(CodecError::Claim { field: "client_id", claimed: n.into(), left: frame.len() }),
        },
    };
    if api.request_header_version(version) >= 2 {
        guard::skip_tags(&mut frame)?;
    }
    Ok((RequestHeader { api, version, correlation_id, client_id }, frame))
}

/// Decodes the body of a request; whatever the bytes are, it neither panics nor allocates more than in proportion to them.
///
/// # Errors
/// If the bytes are not a message of that API and version.
pub fn decode_request<R: Rpc>(version: i16, body: &Bytes) -> Result<R, CodecError> {
    R::take_request(version, body)
}

/// A response frame whose correlation id is read and whose body is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseFrame {
    /// The request that this answers.
    pub correlation_id: i32,
    rest: Bytes,
}

impl ResponseFrame {
    /// Reads the correlation id of a response frame (without its length prefix).
    ///
    /// # Errors
    /// If the frame is shorter than that.
    pub fn read(mut frame: Bytes) -> Result<Self, CodecError> {
        let correlation_id = frame.try_get_i32().map_err(|_| CodecError::Truncated("the response header"))?;
        Ok(Self { correlation_id, rest: frame })
    }
    /// Decodes the body as the answer to `R` in `version`; as careful as [`decode_request`].
    ///
    /// # Errors
    /// If the bytes are not a response of that API and version.
    pub fn decode<R: Rpc>(self, version: i16) -> Result<R::Answer, CodecError> {
        let mut body = self.rest;
        let (_, flexible) = R::flexible_headers(version);
        if flexible {
            guard::skip_tags(&mut body)?;
        }
        R::take_answer(version, &body)
    }
}

/// A whole request frame with its length prefix, in one allocation.
///
/// # Errors
/// If a field is set that `version` does not have, or the frame would exceed 2 GiB.
pub fn encode_request<R: Rpc>(
    correlation_id: i32,
    client_id: &str,
    version: i16,
    request: &R,
) -> Result<Bytes, CodecError> {
    let (flexible, _) = R::flexible_headers(version);
    let id_len = i16::try_from(client_id.len()).map_err(|_| CodecError::TooLong(client_id.len()))?;
    let header = 2 + 2 + 4 + 2 + client_id.len() + usize::from(flexible);
    let mut buf = begin(header + request.request_size(version)?);
    buf.put_i16(R::API);
    buf.put_i16(version);
    buf.put_i32(correlation_id);
    buf.put_i16(id_len);
    buf.put_slice(client_id.as_bytes());
    if flexible {
        buf.put_u8(0);
    }
    request.put_request(version, &mut buf)?;
    finish(buf)
}

/// The answer to an `R` as a whole frame with its length prefix, in one allocation.
///
/// # Errors
/// If a field is set that `version` does not have, or the frame would exceed 2 GiB.
pub fn encode_answer<R: Rpc>(correlation_id: i32, version: i16, answer: &R::Answer) -> Result<Bytes, CodecError> {
    let (_, flexible) = R::flexible_headers(version);
    let mut buf = begin_response(correlation_id, flexible, R::answer_size(answer, version)?);
    R::put_answer(answer, version, &mut buf)?;
    finish(buf)
}

/// A whole response frame with its length prefix, in one allocation.
///
/// # Errors
/// If a field is set that `version` does not have, or the frame would exceed 2 GiB.
pub fn encode_response<M: Encodable + HeaderVersion>(
    correlation_id: i32,
    version: i16,
    response: &M,
) -> Result<Bytes, CodecError> {
    // The header of an ApiVersions response is never flexible, so that a client that knows no version can read it (KIP-511).
    let flexible = M::header_version(version) >= 1;
    let mut buf = begin_response(correlation_id, flexible, response.compute_size(version).map_err(refused)?);
    response.encode(&mut buf, version).map_err(refused)?;
    finish(buf)
}

fn begin_response(correlation_id: i32, flexible: bool, body: usize) -> BytesMut {
    let mut buf = begin(4 + usize::from(flexible) + body);
    buf.put_i32(correlation_id);
    if flexible {
        buf.put_u8(0);
    }
    buf
}

/// Room for a frame. The size may be an estimate, good enough to allocate once; the prefix says what was written.
fn begin(size: usize) -> BytesMut {
    let mut buf = BytesMut::with_capacity(PREFIX + size);
    buf.put_i32(0);
    buf
}

fn finish(mut buf: BytesMut) -> Result<Bytes, CodecError> {
    let len = buf.len() - PREFIX;
    let prefix = i32::try_from(len).map_err(|_| CodecError::TooLong(len))?;
    buf[..PREFIX].copy_from_slice(&prefix.to_be_bytes());
    Ok(buf.freeze())
}
