//! A client's end of a connection: requests out, responses in, in order.
//!
//! [`RpcConn`] has one request in flight and is all that most callers need. A producer splits it and keeps several in flight.
//! Either way sending and receiving happen in the caller's own task, and one timer per connection serves every deadline.
//! There is no reconnecting here and no choice of versions: after any error the connection is of no more use.

use super::codec::{self, CodecError, ResponseFrame, Rpc};
use super::frame::FrameReader;
use crate::base::limits::SOCKET_REQUEST_MAX_BYTES;
use crate::io::net::{self, Writer};
use crate::io::{clock, time};
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Why a call has no response. Whether the request was carried out is unknown, unless it could not be encoded.
#[derive(Debug, thiserror::Error)]
pub enum RpcError {
    /// No response in time.
    #[error("no response in time")]
    Timeout,
    /// The connection broke, was closed, or could not be made.
    #[error("connection closed: {0}")]
    Closed(#[from] io::Error),
    /// A message that does not encode, or bytes that are no response.
    #[error("protocol error: {0}")]
    Protocol(#[from] CodecError),
    /// The response belongs to another request than the one that waits.
    #[error("response to request {got}, expected {expected}")]
    Correlation {
        /// The request that waits.
        expected: i32,
        /// What the response says.
        got: i32,
    },
}

/// A connection with one request in flight at most.
pub struct RpcConn {
    sender: RequestSender,
    receiver: ResponseReceiver,
    usable: bool,
}

impl RpcConn {
    /// Connects, within `timeout`, to a node that will see `client_id` in every header.
    ///
    /// # Errors
    /// [`RpcError::Closed`] if nobody answers there.
    pub async fn connect(host: &str, port: u16, client_id: &str, timeout: Duration) -> Result<Self, RpcError> {
        let (reader, writer) = net::connect(host, port, timeout).await?.split();
        let frames = FrameReader::new(reader, SOCKET_REQUEST_MAX_BYTES);
        Ok(Self {
            sender: RequestSender { writer, client_id: client_id.into(), next_correlation_id: 0 },
            receiver: ResponseReceiver { frames, timer: time::sleep_until(u64::MAX) },
            usable: true,
        })
    }

    /// Sends a request and waits for its response, `timeout` for both together.
    ///
    /// # Errors
    /// Any [`RpcError`]. After it, and after this future was dropped unfinished, every further call fails with
    /// [`RpcError::Closed`].
    pub async fn call<R: Rpc + Sync>(
        &mut self,
        version: i16,
        request: &R,
        timeout: Duration,
    ) -> Result<R::Answer, RpcError> {
        if !self.usable {
            return Err(io::Error::from(io::ErrorKind::NotConnected).into());
        }
        self.usable = false;
        let Self { sender, receiver: ResponseReceiver { frames, timer }, .. } = self;
        timer.reset(deadline(timeout));
        let exchange = async {
            let expected = sender.send(version, request).await?;
            let frame = next_response(frames).await?;
            match frame.correlation_id {
                got if got == expected => Ok(frame),
                got => Err(RpcError::Correlation { expected, got }),
            }
        };
        let frame = tokio::select! {
            biased;
            frame = exchange => frame?,
            () = timer => return Err(RpcError::Timeout),
        };
        let response = frame.decode::<R>(version)?;
        self.usable = true;
        Ok(response)
    }

    /// True until a call has failed.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.usable
    }

    /// The two halves, for several requests in flight. The broker answers in the order of the requests.
    #[must_use]
    pub fn split(self) -> (RequestSender, ResponseReceiver) {
        (self.sender, self.receiver)
    }
}

/// The half of a connection that requests leave by.
pub struct RequestSender {
    writer: Writer,
    client_id: Arc<str>,
    next_correlation_id: i32,
}

impl RequestSender {
    /// Sends a request, waiting while the peer takes nothing more, and returns its correlation id: 0, 1, 2 and so on.
    ///
    /// # Errors
    /// [`RpcError::Protocol`] if the request does not encode in that version, [`RpcError::Closed`] if the connection is gone.
    pub async fn send<R: Rpc + Sync>(&mut self, version: i16, request: &R) -> Result<i32, RpcError> {
        let id = self.next_correlation_id;
        let frame = codec::encode_request(id, &self.client_id, version, request)?;
        // As in Kafka's client, the numbers start over before they turn negative.
        self.next_correlation_id = id.checked_add(1).unwrap_or(0);
        self.writer.send(frame).await?;
        Ok(id)
    }
}

/// The half of a connection that responses arrive by.
pub struct ResponseReceiver {
    frames: FrameReader,
    timer: time::Sleep,
}

impl ResponseReceiver {
    /// Waits for the next response, until `deadline` (monotonic nanoseconds) if there is one. Who asked for what, the caller
    /// knows. Dropping this future loses nothing.
    ///
    /// # Errors
    /// [`RpcError::Timeout`], after which one may go on waiting; [`RpcError::Closed`] or [`RpcError::Protocol`], after which not.
    pub async fn recv(&mut self, deadline: Option<u64>) -> Result<ResponseFrame, RpcError> {
        let Self { frames, timer } = self;
        let Some(deadline) = deadline else { return next_response(frames).await };
        timer.reset(deadline);
        tokio::select! {
            biased;
            frame = next_response(frames) => frame,
            () = timer => Err(RpcError::Timeout),
        }
    }
}

async fn next_response(frames: &mut FrameReader) -> Result<ResponseFrame, RpcError> {
    match frames.recv().await? {
        Some(frame) => Ok(ResponseFrame::read(frame)?),
        None => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
    }
}

fn deadline(timeout: Duration) -> u64 {
    let ns = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
    clock::now().mono_ns.saturating_add(ns)
}
