//! Fetch: look, read, and if that is too little wait for something to move and look again (`ReplicaManager.fetchMessages`,
//! `DelayedFetch`).

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::ResponseError;

use super::Partitions;
use super::api::{FetchPartition, FetchResult, FetchSpec, Fetcher};
use super::partition::Partition;
use super::throttle::Side;
use crate::base::Offset;
use crate::io::clock;
use crate::replica::{FetchBound, FetchToken, FollowerFetch, ReplicaCore, Serve};

/// What one look at all partitions gave.
struct Look {
    results: Vec<FetchResult>,
    /// How far each partition could be read; None where there is nothing to wait for.
    seen: Vec<Option<Offset>>,
    bytes: usize,
    /// An error or a divergence is told at once.
    urgent: bool,
}

impl Partitions {
    /// Answers a fetch as soon as there are `min_bytes`, an error or a divergence, or `max_wait_ms` has passed. Results
    /// stand at the indexes of their requests.
    pub async fn fetch(&self, spec: FetchSpec) -> Vec<FetchResult> {
        let deadline = clock::now().after_ms(spec.max_wait_ms);
        let found: Vec<_> = spec.partitions.iter().map(|p| self.find(&p.topic, p.partition)).collect();
        let mut first = true;
        loop {
            let look = self.look(&spec, &found, first).await;
            let enough = look.urgent || look.bytes >= spec.min_bytes || spec.partitions.is_empty();
            if enough || clock::now().mono_ns >= deadline {
                self.count_throttled(&spec, &found, &look.results);
                return look.results;
            }
            first = false;
            self.wait_for_news(&spec, &found, &look.seen, deadline).await;
        }
    }
    /// What goes to replicas counts against the throttle of those that are throttled, in sync or not.
    fn count_throttled(
        &self,
        spec: &FetchSpec,
        found: &[Result<Arc<Partition>, ResponseError>],
        results: &[FetchResult],
    ) {
        if let Fetcher::Replica { .. } = spec.fetcher {
            for (partition, result) in found.iter().zip(results) {
                if let Ok(partition) = partition {
                    self.shared.throttles.record(Side::Leader, partition, result.records.len());
                }
            }
        }
    }
    /// True if a follower gets nothing for now: throttled, not in sync, and too much has gone out
    /// (`ReplicaManager.shouldLeaderThrottle`).
    fn holds_back(&self, spec: &FetchSpec, partition: &Partition, core: &ReplicaCore) -> bool {
        let Fetcher::Replica { id, .. } = spec.fetcher else { return false };
        self.shared.throttles.holds_back(Side::Leader, partition, || core.isr().contains(&id))
    }
    async fn look(&self, spec: &FetchSpec, found: &[Result<Arc<Partition>, ResponseError>], first: bool) -> Look {
        let count = found.len();
        let mut look =
            Look { results: Vec::with_capacity(count), seen: Vec::with_capacity(count), bytes: 0, urgent: false };
        for (p, partition) in spec.partitions.iter().zip(found) {
            let (result, seen) = match partition {
                Ok(partition) => self.look_at(spec, p, partition, look.bytes, first).await,
                Err(error) => (FetchResult::refused(*error), None),
            };
            look.bytes += result.records.len();
            look.urgent |= result.error.is_some() || result.diverging.is_some();
            look.results.push(self.with_leader_hint(p, result));
            look.seen.push(seen);
        }
        look
    }
    async fn look_at(
        &self,
        spec: &FetchSpec,
        p: &FetchPartition,
        partition: &Arc<Partition>,
        bytes: usize,
        first: bool,
    ) -> (FetchResult, Option<Offset>) {
        let served = partition.with(|core, ctx, out| {
            let serve = match spec.fetcher {
                Fetcher::Consumer => core.consumer_fetch(p.current_leader_epoch, p.last_fetched_epoch, p.offset),
                Fetcher::Replica { .. } if !first => core.serve_follower(&follower_fetch(spec, p)),
                Fetcher::Replica { .. } => core.follower_fetch(ctx, &follower_fetch(spec, p), out),
            };
            (serve, self.holds_back(spec, partition, core), FetchResult::found(core))
        });
        let Some((serve, held_back, mut result)) = served else {
            return (FetchResult::refused(ResponseError::NotLeaderOrFollower), None);
        };
        match serve {
            Err(error) => (FetchResult::refused(error), None),
            Ok(Serve::Diverging(end)) => {
                result.diverging = Some(end);
                (result, None)
            }
            Ok(Serve::Read { from, upto }) => {
                let room = spec.max_bytes.saturating_sub(bytes);
                if !held_back && from < upto && (room > 0 || bytes == 0) {
                    let limit = room.min(usize::try_from(p.max_bytes).unwrap_or(0));
                    match self.read(partition, from, limit, upto, bytes == 0).await {
                        Ok(records) => result.records = records,
                        Err(error) => return (FetchResult::refused(error), None),
                    }
                }
                (result, Some(upto))
            }
        }
    }
    async fn read(
        &self,
        partition: &Arc<Partition>,
        from: Offset,
        limit: usize,
        upto: Offset,
        min_one: bool,
    ) -> Result<Bytes, ResponseError> {
        let reader = partition.reader().ok_or(ResponseError::NotLeaderOrFollower)?;
        reader.read(from, limit, upto, min_one).await.map_err(|error| self.read_failed(partition, error))
    }
    /// What a failed read means: a log or a segment that was deleted meanwhile, rotten bytes, or a disk that is lost.
    pub(super) fn read_failed(&self, partition: &Partition, error: io::Error) -> ResponseError {
        if partition.look(ReplicaCore::is_leader) != Some(true) {
            return ResponseError::NotLeaderOrFollower;
        }
        tracing::warn!(partition = %partition.tp, %error, "a read failed");
        match error.kind() {
            io::ErrorKind::InvalidInput => ResponseError::OffsetOutOfRange,
            io::ErrorKind::InvalidData => ResponseError::CorruptMessage,
            _ => {
                self.shared.fail(Arc::new(error));
                ResponseError::KafkaStorageError
            }
        }
    }
    /// Returns when some partition has moved beyond what was `seen`, or at the deadline.
    async fn wait_for_news(
        &self,
        spec: &FetchSpec,
        found: &[Result<Arc<Partition>, ResponseError>],
        seen: &[Option<Offset>],
        deadline: u64,
    ) {
        let (token, news) = self.shared.requests.add_fetch(deadline);
        let watch = Watch { partitions: self, found, token };
        let bound = match spec.fetcher {
            Fetcher::Consumer => FetchBound::HighWatermark,
            Fetcher::Replica { .. } => FetchBound::LogEnd,
        };
        for (partition, seen) in found.iter().zip(seen) {
            if let (Ok(partition), Some(seen)) = (partition, seen)
                && partition.with(|core, _, _| core.watch_fetch(token, bound, *seen)) != Some(true)
            {
                return;
            }
        }
        // A closed channel is news as well.
        let _ = news.await;
        drop(watch);
    }
    fn with_leader_hint(&self, p: &FetchPartition, mut result: FetchResult) -> FetchResult {
        if matches!(result.error, Some(ResponseError::NotLeaderOrFollower | ResponseError::FencedLeaderEpoch)) {
            result.current_leader = self.known_leader(&p.topic, p.partition);
        }
        result
    }
}

/// Takes a waiting fetch out of every partition and of the table again, also when its connection goes away.
struct Watch<'a> {
    partitions: &'a Partitions,
    found: &'a [Result<Arc<Partition>, ResponseError>],
    token: FetchToken,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.partitions.shared.requests.remove_fetch(self.token);
        for partition in self.found.iter().flatten() {
            partition.unwatch(self.token);
        }
    }
}

fn follower_fetch(spec: &FetchSpec, p: &FetchPartition) -> FollowerFetch {
    let Fetcher::Replica { id, epoch } = spec.fetcher else { unreachable!("only asked for replicas") };
    FollowerFetch {
        id,
        broker_epoch: epoch,
        leader_epoch: p.current_leader_epoch,
        last_epoch: p.last_fetched_epoch,
        offset: p.offset,
        log_start: p.log_start,
    }
}

impl FetchResult {
    pub(super) fn refused(error: ResponseError) -> Self {
        Self {
            error: Some(error),
            high_watermark: Offset::NONE,
            last_stable_offset: Offset::NONE,
            log_start: Offset::NONE,
            diverging: None,
            current_leader: None,
            records: Bytes::new(),
        }
    }
    /// No records yet. Without transactions every committed record is stable.
    fn found(core: &ReplicaCore) -> Self {
        Self {
            error: None,
            high_watermark: core.high_watermark(),
            last_stable_offset: core.high_watermark(),
            log_start: core.log().log_start(),
            diverging: None,
            current_leader: None,
            records: Bytes::new(),
        }
    }
}
