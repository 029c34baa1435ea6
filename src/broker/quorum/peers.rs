//! One task for each other voter: what the core sends goes out, what comes back goes in. A newer request replaces one
//! that is still under way.

use std::sync::Weak;
use std::time::Duration;

use kafka_protocol::messages::ApiKey;
use tokio::sync::mpsc::UnboundedReceiver;

use super::driver::Quorum;
use super::rpc::{self, Message};
use crate::base::BrokerId;
use crate::raft::{Answer, Input, Request, RequestId};
use crate::wire::api;
use crate::wire::conn::RpcConn;

/// Raft fetches tell the high watermark that they know (KIP-1166), which Fetch has from this version on.
pub(super) const FETCH_VERSION: i16 = 18;

/// One peer's mailbox and connection.
pub(super) struct Peer {
    pub(super) id: BrokerId,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) client_id: String,
    pub(super) cluster_id: String,
    pub(super) setup_timeout: Duration,
    pub(super) request_timeout: Duration,
    pub(super) max_bytes: usize,
    pub(super) quorum: Weak<Quorum>,
}

impl Peer {
    /// Runs until the quorum is gone.
    pub(super) async fn run(self, mut mailbox: UnboundedReceiver<(RequestId, Request)>) {
        let mut conn: Option<RpcConn> = None;
        let mut next = mailbox.recv().await;
        while let Some((id, request)) = next.take() {
            let (outcome, replaced) = {
                let exchange = self.exchange(&mut conn, &request);
                tokio::select! {
                    biased;
                    outcome = exchange => (outcome, None),
                    newer = mailbox.recv() => (None, newer),
                }
            };
            if outcome.is_none() {
                conn = None;
            }
            let Some(quorum) = self.quorum.upgrade() else { return };
            quorum.step(match outcome {
                Some(answer) => Input::Response { id, answer },
                None => Input::Failed { id },
            });
            drop(quorum);
            next = match replaced {
                Some(newer) => Some(newer),
                None => mailbox.recv().await,
            };
            // Of several that wait, only the last one counts.
            while let Ok(newer) = mailbox.try_recv() {
                next = Some(newer);
            }
        }
    }

    async fn exchange(&self, conn: &mut Option<RpcConn>, request: &Request) -> Option<Answer> {
        if conn.as_ref().is_none_or(|c| !c.is_usable()) {
            let setup = self.setup_timeout.min(self.request_timeout);
            *conn = Some(RpcConn::connect(&self.host, self.port, &self.client_id, setup).await.ok()?);
        }
        let conn = conn.as_mut()?;
        let timeout = self.request_timeout;
        match rpc::request(request, self.id, &self.cluster_id, self.max_bytes) {
            Message::Vote(r) => {
                conn.call(api::own_version(ApiKey::Vote), &r, timeout).await.ok().map(rpc::vote_answer)
            }
            Message::Begin(r) => {
                conn.call(api::own_version(ApiKey::BeginQuorumEpoch), &r, timeout).await.ok().map(rpc::begin_answer)
            }
            Message::End(r) => {
                conn.call(api::own_version(ApiKey::EndQuorumEpoch), &r, timeout).await.ok().map(rpc::end_answer)
            }
            Message::Fetch(r) => conn.call(FETCH_VERSION, &r, timeout).await.ok().and_then(rpc::fetch_answer),
        }
    }
}
