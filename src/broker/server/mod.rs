//! The server's end of every connection: one task that reads a request, has it handled, writes the response, and only then reads
//! the next, as Kafka mutes a channel while its request is processed. So responses leave in the order of their requests.
//!
//! The server answers ApiVersions itself and refuses what its listener does not serve. What a request means is the
//! [`Handler`]'s business.

mod connection;
#[cfg(all(test, madsim))]
mod tests;
mod versions;

use crate::io::net::Listener;
use crate::io::task::TaskSet;
use crate::io::time::sleep;
use crate::wire::api::ListenerKind;
use bytes::Bytes;
use connection::Link;
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::StrBytes;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// How long accepting rests after a failure, such as too many open files, that would only repeat at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A request that its listener serves, in a version that it serves. The body is not decoded yet
/// ([`crate::wire::codec::decode_request`]).
#[derive(Clone, Debug)]
pub struct Request {
    /// Which API is asked.
    pub api: ApiKey,
    /// In which version.
    pub version: i16,
    /// What the response must repeat.
    pub correlation_id: i32,
    /// What the client calls itself; empty if it does not say.
    pub client_id: StrBytes,
    /// The message, without its header.
    pub body: Bytes,
    /// The listener that it came in by.
    pub listener: ListenerKind,
    /// The address at the other end of the connection.
    pub peer: Arc<str>,
}

/// What becomes of a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// A whole frame with its length prefix ([`crate::wire::codec::encode_response`]).
    Frame(Bytes),
    /// Nothing is answered: a produce request with `acks=0`.
    NoResponse,
    /// The connection is closed, as when the request does not decode.
    Close,
}

/// Whoever knows what requests mean.
pub trait Handler: Send + Sync + 'static {
    /// Handles one request. The connection reads no further until this is done.
    fn handle(self: &Arc<Self>, request: Request) -> impl Future<Output = Reply> + Send;
}

/// Serves every connection that `listener` accepts, until `tasks` is dropped: then all its connections end with it.
pub fn serve<H: Handler>(listener: Listener, kind: ListenerKind, handler: Arc<H>, tasks: &mut TaskSet) {
    tasks.spawn("accept", accept(listener, kind, handler));
}

async fn accept<H: Handler>(listener: Listener, kind: ListenerKind, handler: Arc<H>) {
    // Belongs to this task, so that connections die with their listener.
    let mut connections = TaskSet::new();
    loop {
        match listener.accept().await {
            Ok(connection) => {
                let link = Link { listener: kind, handler: handler.clone(), peer: connection.peer().into() };
                connections.spawn("connection", link.serve(connection));
            }
            Err(error) => {
                tracing::warn!(%error, "no connection accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
