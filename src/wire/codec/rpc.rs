//! What a connection must know of a request to carry it: its API, its bytes, and those of its answer.

use super::guard;
use super::{CodecError, refused, schema};
use bytes::{Bytes, BytesMut};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request};

/// A request and its answer. Every request of `kafka-protocol` is one; those of [`super::lean`] bring codecs of their own.
///
/// Whatever the bytes are, decoding neither panics nor allocates more than in proportion to them.
pub trait Rpc: Sized {
    /// The key of its API.
    const API: i16;
    /// The answer.
    type Answer;
    /// Whether the headers of request and answer end in tagged fields in this version.
    fn flexible_headers(version: i16) -> (bool, bool);
    /// How many bytes [`Self::put_request`] will write, at most a few more.
    ///
    /// # Errors
    /// As [`Self::put_request`].
    fn request_size(&self, version: i16) -> Result<usize, CodecError>;
    /// Writes the body of the request.
    ///
    /// # Errors
    /// If a field is set that `version` does not have.
    fn put_request(&self, version: i16, buf: &mut BytesMut) -> Result<(), CodecError>;
    /// Reads the body of a request.
    ///
    /// # Errors
    /// If the bytes are not such a request.
    fn take_request(version: i16, body: &Bytes) -> Result<Self, CodecError>;
    /// How many bytes [`Self::put_answer`] will write, at most a few more.
    ///
    /// # Errors
    /// As [`Self::put_answer`].
    fn answer_size(answer: &Self::Answer, version: i16) -> Result<usize, CodecError>;
    /// Writes the body of an answer.
    ///
    /// # Errors
    /// If a field is set that `version` does not have.
    fn put_answer(answer: &Self::Answer, version: i16, buf: &mut BytesMut) -> Result<(), CodecError>;
    /// Reads the body of an answer.
    ///
    /// # Errors
    /// If the bytes are not such an answer.
    fn take_answer(version: i16, body: &Bytes) -> Result<Self::Answer, CodecError>;
}

impl<R: Request> Rpc for R {
    const API: i16 = R::KEY;
    type Answer = R::Response;
    fn flexible_headers(version: i16) -> (bool, bool) {
        (R::header_version(version) >= 2, R::Response::header_version(version) >= 1)
    }
    fn request_size(&self, version: i16) -> Result<usize, CodecError> {
        self.compute_size(version).map_err(refused)
    }
    fn put_request(&self, version: i16, buf: &mut BytesMut) -> Result<(), CodecError> {
        self.encode(buf, version).map_err(refused)
    }
    fn take_request(version: i16, body: &Bytes) -> Result<Self, CodecError> {
        guard::check(schema::request(R::KEY)?, version, body)?;
        R::decode(&mut body.clone(), version).map_err(refused)
    }
    fn answer_size(answer: &Self::Answer, version: i16) -> Result<usize, CodecError> {
        answer.compute_size(version).map_err(refused)
    }
    fn put_answer(answer: &Self::Answer, version: i16, buf: &mut BytesMut) -> Result<(), CodecError> {
        answer.encode(buf, version).map_err(refused)
    }
    fn take_answer(version: i16, body: &Bytes) -> Result<Self::Answer, CodecError> {
        guard::check(schema::response(R::KEY)?, version, body)?;
        R::Response::decode(&mut body.clone(), version).map_err(refused)
    }
}
