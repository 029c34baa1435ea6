//! A node's way to the active controller (Kafka's NodeToControllerChannelManager): finds it, connects, asks again.
//!
//! Each purpose has a channel of its own, so that a slow answer to one never delays another.

use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::protocol::Request;
use tokio::sync::Mutex;

use super::options::NodeOptions;
use super::quorum::Quorum;
use crate::base::BrokerId;
use crate::io::{clock, time};
use crate::wire::api;
use crate::wire::conn::RpcConn;

/// Pause before the controller is asked again after a failure (Kafka's `retry.backoff.ms` of this channel).
const RETRY_BACKOFF: Duration = Duration::from_millis(50);

/// No controller answered in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no active controller answered in time")]
pub struct NoController;

struct Link {
    conn: Option<(BrokerId, RpcConn)>,
}

/// One channel; cheap to clone, one request at a time.
#[derive(Clone)]
pub struct ControllerChannel {
    name: Arc<str>,
    options: Arc<NodeOptions>,
    quorum: Arc<Quorum>,
    link: Arc<Mutex<Link>>,
}

impl ControllerChannel {
    /// A channel that calls itself `purpose` towards the controller.
    #[must_use]
    pub fn new(purpose: &str, options: &Arc<NodeOptions>, quorum: &Arc<Quorum>) -> Self {
        Self {
            name: format!("node-{}-{purpose}", options.id).into(),
            options: options.clone(),
            quorum: quorum.clone(),
            link: Arc::new(Mutex::new(Link { conn: None })),
        }
    }

    /// Sends `request` to the active controller and waits for its answer, at most `timeout` in all. `refused` says of
    /// an answer that whoever gave it is not the controller (NOT_CONTROLLER): another one is asked then.
    ///
    /// # Errors
    /// [`NoController`] if nobody answered in time. Whether the request took effect is unknown then.
    pub async fn call<R: Request + Sync>(
        &self,
        request: &R,
        timeout: Duration,
        refused: impl Fn(&R::Response) -> bool,
    ) -> Result<R::Response, NoController> {
        let mut link = self.link.lock().await;
        let deadline = clock::now().mono_ns + timeout.as_nanos() as u64;
        loop {
            let left = deadline.saturating_sub(clock::now().mono_ns);
            if left == 0 {
                return Err(NoController);
            }
            match self.attempt(&mut link, request, Duration::from_nanos(left)).await {
                Some(response) if !refused(&response) => return Ok(response),
                Some(_) => link.conn = None,
                None => {}
            }
            time::sleep(RETRY_BACKOFF).await;
        }
    }

    async fn attempt<R: Request + Sync>(&self, link: &mut Link, request: &R, left: Duration) -> Option<R::Response> {
        let (leader, _) = self.quorum.leader();
        let leader = leader?;
        if link.conn.as_ref().is_none_or(|(id, _)| *id != leader) {
            link.conn = None;
            let address = self.options.voters.get(&leader)?;
            let setup = Duration::from_millis(self.options.config.socket_connection_setup_timeout_ms as u64).min(left);
            let conn = RpcConn::connect(&address.host, address.port, &self.name, setup).await;
            link.conn = Some((leader, conn.ok()?));
        }
        // A request to a controller that has lost its leadership would wait for nothing: give up when the quorum moves on.
        let (_, conn) = link.conn.as_mut()?;
        let version = api::own_version(kafka_protocol::messages::ApiKey::try_from(R::KEY).ok()?);
        let limit = left.min(Duration::from_millis(self.options.config.controller_socket_timeout_ms as u64));
        let moved = leader_moved(&self.quorum, leader);
        let answer = tokio::select! {
            biased;
            answer = conn.call(version, request, limit) => answer.ok(),
            () = moved => None,
        };
        if answer.is_none() {
            link.conn = None;
        }
        answer
    }
}

/// Ends when the quorum's leader, as this node knows it, is no longer `leader`.
async fn leader_moved(quorum: &Quorum, leader: BrokerId) {
    let mut watch = quorum.watch();
    loop {
        let (now, _) = watch.changed().await;
        if now.is_some_and(|n| n != leader) {
            return;
        }
    }
}
