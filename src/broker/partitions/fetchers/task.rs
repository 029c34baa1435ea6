//! One fetcher: connect, fetch, hand the answer on, again (`AbstractFetcherThread`).

use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::protocol::StrBytes;

use super::{FollowedPartition, Slots};
use crate::base::{BrokerId, LeaderEpoch};
use crate::broker::partitions::shared::Shared;
use crate::broker::partitions::throttle::Side;
use crate::io::{clock, time};
use crate::replica::{FetchPosition, ReplicaCore};
use crate::wire::api::own_version_of;
use crate::wire::codec::Rpc;
use crate::wire::codec::lean::{FetchPartition, FetchRequest, FetchResponse, FetchTopic};
use crate::wire::conn::{RpcConn, RpcError};

/// A partition and where it stands: what one fetch asked for it.
pub(super) struct Asked {
    pub followed: FollowedPartition,
    pub at: FetchPosition,
}

/// One fetcher's state between fetches.
pub(super) struct Fetcher {
    pub shared: Arc<Shared>,
    pub leader: BrokerId,
    pub slots: Arc<Slots>,
    conn: Option<RpcConn>,
    /// Which partition comes first in the next fetch, so that none starves when responses are full.
    rotation: usize,
}

/// Fetches from `leader` until it is aborted.
pub(super) async fn run(shared: Arc<Shared>, leader: BrokerId, slots: Arc<Slots>) {
    let mut fetcher = Fetcher { shared, leader, slots, conn: None, rotation: 0 };
    let (mut ready, mut asked) = (Vec::new(), Vec::new());
    loop {
        ready.clear();
        asked.clear();
        let next = fetcher.slots.ready(clock::now().mono_ns, &mut ready);
        asked.extend(ready.drain(..).filter_map(position));
        let held_back = fetcher.hold_back(&mut asked);
        if asked.is_empty() {
            fetcher.rest(if held_back { next.min(fetcher.after_throttle()) } else { next }).await;
            continue;
        }
        fetcher.rotate(&mut asked);
        if let Err(error) = fetcher.round(&asked).await {
            tracing::debug!(%leader, %error, "fetching failed");
            fetcher.conn = None;
            asked.iter().for_each(|a| fetcher.back_off(&a.followed));
        }
    }
}

/// Where a partition stands; None if metadata has moved it on or its disk is behind.
fn position(followed: FollowedPartition) -> Option<Asked> {
    let at = followed.partition.look(|core| core.fetch_position())??;
    (at.leader_epoch == followed.epoch).then_some(Asked { followed, at })
}

impl Fetcher {
    /// Leaves out what is throttled and not in sync while too much comes in; true if there was any
    /// (`ReplicaFetcherThread.shouldFollowerThrottle`).
    fn hold_back(&self, asked: &mut Vec<Asked>) -> bool {
        let before = asked.len();
        asked.retain(|Asked { followed, .. }| {
            let partition = &followed.partition;
            let in_sync = || partition.look(ReplicaCore::keeps_up) == Some(true);
            !self.shared.throttles.holds_back(Side::Follower, partition, in_sync)
        });
        asked.len() < before
    }
    async fn round(&mut self, asked: &[Asked]) -> Result<(), RpcError> {
        let request = self.request(asked);
        let response = self.call(&request).await?;
        self.take(asked, response).await
    }
    /// Sends a request to the leader, over a new connection if need be.
    pub async fn call<R: Rpc + Sync>(&mut self, request: &R) -> Result<R::Answer, RpcError> {
        let config = &self.shared.config;
        if self.conn.is_none() {
            let (host, port) = self.endpoint().ok_or_else(|| unreachable(self.leader))?;
            let timeout = Duration::from_millis(config.connection_setup_timeout_ms);
            let client = format!("broker-{}-fetcher-0", config.id);
            self.conn = Some(RpcConn::connect(&host, port, &client, timeout).await?);
        }
        let conn = self.conn.as_mut().expect("just connected");
        let timeout = Duration::from_millis(config.replica_socket_timeout_ms);
        conn.call(own_version_of::<R>(), request, timeout).await
    }
    fn endpoint(&self) -> Option<(Arc<str>, u16)> {
        let image = self.shared.image.read();
        let broker = image.broker(self.leader)?;
        let endpoint = broker.endpoint(&self.shared.config.listener).or(broker.endpoints.first())?;
        Some((endpoint.host.clone(), endpoint.port))
    }
    fn request(&self, asked: &[Asked]) -> FetchRequest {
        let config = &self.shared.config;
        let mut topics: Vec<FetchTopic> = Vec::new();
        for Asked { followed, at } in asked {
            let topic_id = followed.partition.topic_id;
            if topics.last().is_none_or(|t| t.topic_id != topic_id) {
                topics.push(FetchTopic { topic: StrBytes::new(), topic_id, partitions: Vec::new() });
            }
            let partition = FetchPartition {
                partition: followed.partition.tp.partition,
                current_leader_epoch: at.leader_epoch.0,
                fetch_offset: at.offset.0,
                last_fetched_epoch: at.last_epoch.0,
                log_start_offset: at.log_start.0,
                partition_max_bytes: config.replica_fetch_max_bytes,
            };
            topics.last_mut().expect("a topic was pushed").partitions.push(partition);
        }
        FetchRequest {
            replica_id: config.id.0,
            replica_epoch: self.shared.broker_epoch().0,
            max_wait_ms: i32::try_from(config.replica_fetch_wait_max_ms).unwrap_or(i32::MAX),
            min_bytes: config.replica_fetch_min_bytes,
            max_bytes: config.replica_fetch_response_max_bytes,
            topics,
        }
    }
    async fn take(&mut self, asked: &[Asked], response: FetchResponse) -> Result<(), RpcError> {
        if response.error_code != 0 {
            tracing::debug!(leader = %self.leader, code = response.error_code, "the fetch was refused");
            asked.iter().for_each(|a| self.back_off(&a.followed));
            return Ok(());
        }
        // The leader answers in the order of the request; `at` looks from there on and wraps around.
        let mut at = 0;
        for topic in response.responses {
            for partition in topic.partitions {
                let matches = |a: &Asked| {
                    a.followed.partition.topic_id == topic.topic_id
                        && a.followed.partition.tp.partition == partition.partition_index
                };
                let found = (at..asked.len()).chain(0..at).find(|i| matches(&asked[*i]));
                if let Some(found) = found {
                    at = found + 1;
                    self.take_partition(&asked[found], partition).await?;
                }
            }
        }
        Ok(())
    }
    fn rotate(&mut self, asked: &mut [Asked]) {
        let by = self.rotation % asked.len();
        self.rotation = self.rotation.wrapping_add(1);
        asked.rotate_left(by);
    }
    /// Waits until there may be something to fetch.
    async fn rest(&self, next: u64) {
        let mut alarm = time::sleep_until(next);
        tokio::select! {
            biased;
            () = self.slots.ring.notified() => {}
            () = &mut alarm => {}
        }
    }
    /// Leaves a partition alone for `replica.fetch.backoff.ms`.
    pub fn back_off(&self, followed: &FollowedPartition) {
        self.slots.delay(followed, clock::now().after_ms(self.shared.config.replica_fetch_backoff_ms));
    }
    /// When to look again after everything was held back: a throttle opens with time, and nobody rings then. Without any
    /// pause no time would pass.
    fn after_throttle(&self) -> u64 {
        clock::now().after_ms(self.shared.config.replica_fetch_backoff_ms.max(1))
    }
    /// Leaves a partition alone until metadata brings a newer leadership.
    pub fn park(&self, followed: &FollowedPartition, epoch: LeaderEpoch) {
        tracing::debug!(partition = %followed.partition.tp, %epoch, "the leader knows a newer epoch");
        self.slots.delay(followed, u64::MAX);
    }
}

fn unreachable(leader: BrokerId) -> RpcError {
    std::io::Error::new(std::io::ErrorKind::NotFound, format!("broker {leader} is not registered")).into()
}
