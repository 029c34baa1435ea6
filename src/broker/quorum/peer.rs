//! One task per peer: connects, carries one request at a time, and brings its outcome back to the core.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Quorum;
use super::messages;
use crate::base::BrokerId;
use crate::io::time;
use crate::raft::{Answer, Input, Request, RequestId};
use crate::wire::conn::RpcConn;

/// Kafka's `reconnect.backoff.ms` of the quorum's network client.
const RECONNECT_BACKOFF: Duration = Duration::from_millis(50);
/// Kafka's `reconnect.backoff.max.ms` of the quorum's network client.
const RECONNECT_BACKOFF_MAX: Duration = Duration::from_millis(500);

/// The request that a peer is to be sent; a later one takes the place of an earlier one.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    latest: Mutex<Option<(RequestId, Request)>>,
    wake: Notify,
}

impl Mailbox {
    pub(super) fn put(&self, id: RequestId, request: Request) {
        *self.latest.lock() = Some((id, request));
        self.wake.notify_one();
    }
    fn take(&self) -> Option<(RequestId, Request)> {
        self.latest.lock().take()
    }
    async fn filled(&self) {
        while self.latest.lock().is_none() {
            self.wake.notified().await;
        }
    }
}

/// The task of one peer.
pub(super) async fn run(quorum: Arc<Quorum>, peer: BrokerId, mailbox: Arc<Mailbox>) {
    let timeout = Duration::from_millis(quorum.config.raft.request_timeout_ms);
    let (host, port) = quorum.config.voters[&peer].clone();
    let mut connection: Option<RpcConn> = None;
    let mut pause = RECONNECT_BACKOFF;
    loop {
        mailbox.filled().await;
        let Some(conn) = connection.as_mut().filter(|conn| conn.is_usable()) else {
            // A newer request does not hurry the connection; whichever is the latest then goes out.
            match RpcConn::connect(&host, port, &quorum.config.client_id, timeout).await {
                Ok(conn) => {
                    connection = Some(conn);
                    pause = RECONNECT_BACKOFF;
                }
                Err(error) => {
                    tracing::debug!(peer = peer.0, %error, "no connection to a voter");
                    if let Some((id, _)) = mailbox.take() {
                        quorum.feed(Input::Failed { id });
                    }
                    time::sleep(pause).await;
                    pause = (pause * 2).min(RECONNECT_BACKOFF_MAX);
                }
            }
            continue;
        };
        let Some((id, request)) = mailbox.take() else { continue };
        let outcome: Option<Answer> = tokio::select! {
            biased;
            // The core no longer waits for this one: the connection goes with it, for its answer may take long.
            () = mailbox.filled() => None,
            answer = messages::call(conn, &quorum.config, peer, &request, timeout) => Some(answer),
        }
        .and_then(|answer| answer.inspect_err(|error| tracing::debug!(peer = peer.0, %error, "no answer")).ok());
        if outcome.is_none() {
            connection = None;
        }
        quorum.feed(outcome.map_or(Input::Failed { id }, |answer| Input::Response { id, answer }));
    }
}
