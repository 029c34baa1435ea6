//! The quorum's settings, named after Kafka's configuration keys.

use std::collections::BTreeSet;

use crate::base::BrokerId;

/// Settings of one quorum member; every node may have its own times, the voters must agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RaftConfig {
    /// The static voters (`controller.quorum.voters`). A node that is not among them is an observer.
    pub voters: BTreeSet<BrokerId>,
    /// `controller.quorum.election.timeout.ms`: how long a voter waits for a leader or for votes; up to as much
    /// again is added at random.
    pub election_timeout_ms: u64,
    /// `controller.quorum.fetch.timeout.ms`: how long a follower goes without a fetch answered before it asks for
    /// an election; a leader without a majority of fetches for 1.5 times as long resigns (KAFKA-15489).
    pub fetch_timeout_ms: u64,
    /// `controller.quorum.election.backoff.max.ms`: the longest pause after a lost election.
    pub election_backoff_max_ms: u64,
    /// `controller.quorum.append.linger.ms`: how long a leader gathers proposals before it writes them.
    pub append_linger_ms: u64,
    /// `controller.quorum.request.timeout.ms`: when a request counts as failed.
    pub request_timeout_ms: u64,
    /// `controller.quorum.retry.backoff.ms`: the pause before a peer is asked again after a failure.
    pub retry_backoff_ms: u64,
    /// How long a leader may hold a fetch that has nothing to fetch (`KafkaRaftClient.MAX_FETCH_WAIT_MS`).
    pub fetch_max_wait_ms: u64,
    /// The most payload that one fetch response carries, except that one batch always fits
    /// (`KafkaRaftClient.MAX_FETCH_SIZE_BYTES`).
    pub fetch_max_bytes: usize,
}

impl RaftConfig {
    /// Kafka's defaults for these voters.
    #[must_use]
    pub fn new(voters: impl IntoIterator<Item = BrokerId>) -> Self {
        Self {
            voters: voters.into_iter().collect(),
            election_timeout_ms: 1000,
            fetch_timeout_ms: 2000,
            election_backoff_max_ms: 1000,
            append_linger_ms: 25,
            request_timeout_ms: 2000,
            retry_backoff_ms: 20,
            fetch_max_wait_ms: 500,
            fetch_max_bytes: 8 * 1024 * 1024,
        }
    }
    /// How many voters make a majority.
    #[must_use]
    pub fn majority(&self) -> usize {
        self.voters.len() / 2 + 1
    }
    /// After how long without fetches from a majority a leader resigns (`LeaderState.CHECK_QUORUM_TIMEOUT_FACTOR`).
    #[must_use]
    pub fn check_quorum_timeout_ms(&self) -> u64 {
        self.fetch_timeout_ms * 3 / 2
    }
    /// How often a leader announces itself to voters that do not fetch (`LeaderState.beginQuorumEpochTimeoutMs`).
    #[must_use]
    pub fn begin_quorum_epoch_interval_ms(&self) -> u64 {
        self.fetch_timeout_ms / 2
    }
}
