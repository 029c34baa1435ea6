//! One connection, from its first request to its end.

use super::{Handler, Reply, Request, versions};
use crate::base::limits::SOCKET_REQUEST_MAX_BYTES;
use crate::io::net;
use crate::wire::api::{self, ListenerKind};
use crate::wire::codec::{self, CodecError};
use crate::wire::frame::FrameReader;
use bytes::Bytes;
use kafka_protocol::messages::ApiKey;
use std::io;
use std::sync::Arc;

/// What a connection knows of itself.
pub(super) struct Link<H> {
    pub listener: ListenerKind,
    pub handler: Arc<H>,
    pub peer: Arc<str>,
}

/// Why a connection is closed by us. Kafka, too, closes on what it cannot parse.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("{0}")]
    Codec(#[from] CodecError),
    #[error("{api:?} version {version} is not served here")]
    Unsupported { api: ApiKey, version: i16 },
}

impl<H: Handler> Link<H> {
    /// Serves the connection until either side ends it.
    pub(super) async fn serve(self, connection: net::Connection) {
        match self.requests(connection).await {
            Ok(()) => tracing::debug!(peer = %self.peer, "connection ended"),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                tracing::warn!(peer = %self.peer, %error, "connection closed: not a frame");
            }
            Err(error) => tracing::debug!(peer = %self.peer, %error, "connection lost"),
        }
    }

    async fn requests(&self, connection: net::Connection) -> io::Result<()> {
        let (reader, mut writer) = connection.split();
        let mut frames = FrameReader::new(reader, SOCKET_REQUEST_MAX_BYTES);
        while let Some(frame) = frames.recv().await? {
            let reply = match self.route(frame) {
                Ok(Routed::Answered(reply)) => reply,
                Ok(Routed::Ask(request)) => self.handler.handle(request).await,
                Err(refusal) => {
                    tracing::warn!(peer = %self.peer, %refusal, "connection closed: bad request");
                    return Ok(());
                }
            };
            match reply {
                Reply::Frame(frame) => writer.send(frame).await?,
                Reply::NoResponse => {}
                Reply::Close => return Ok(()),
            }
        }
        Ok(())
    }

    fn route(&self, frame: Bytes) -> Result<Routed, Refusal> {
        let (header, body) = codec::split_request(frame)?;
        if header.api == ApiKey::ApiVersions {
            return Ok(Routed::Answered(versions::answer(self.listener, &header, &body)?));
        }
        if !api::lookup(self.listener, header.api).is_some_and(|api| api.supports(header.version)) {
            return Err(Refusal::Unsupported { api: header.api, version: header.version });
        }
        Ok(Routed::Ask(Request {
            api: header.api,
            version: header.version,
            correlation_id: header.correlation_id,
            client_id: header.client_id,
            body,
            listener: self.listener,
            peer: self.peer.clone(),
        }))
    }
}

/// Where a request goes.
enum Routed {
    /// Nowhere: the server has answered.
    Answered(Reply),
    /// To the handler.
    Ask(Request),
}
