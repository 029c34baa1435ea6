//! The bug zoo's switches: each names a real bug that can be planted at the place where the real one sat.
//!
//! A trial plants bugs for the thread that it runs on. With nothing planted, the test at a site is one
//! thread-local load. Real builds never plant anything.

use std::cell::Cell;
use std::str::FromStr;

macro_rules! zoo {
    ($($(#[doc = $doc:literal])* $variant:ident = $name:literal, $source:literal;)*) => {
        /// A bug that can be planted (`--plant NAME`).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Bug { $($(#[doc = $doc])* $variant,)* }
        impl Bug {
            /// Every bug, in the order of the catalogue.
            pub const ALL: &'static [Bug] = &[$(Bug::$variant,)*];
            /// The name that a person types.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Bug::$variant => $name,)* }
            }
            /// What goes wrong, in a sentence or two.
            #[must_use]
            pub fn story(self) -> &'static str {
                match self { $(Bug::$variant => concat!($($doc),*).trim_ascii(),)* }
            }
            /// Where the real bug is documented.
            #[must_use]
            pub fn source(self) -> &'static str {
                match self { $(Bug::$variant => $source,)* }
            }
        }
    };
}

zoo! {
    /// `acks=all` answers as soon as the leader has appended, before the in-sync replicas hold the batch:
    /// the leader dies and an acknowledged record dies with it.
    AckBeforeIsr = "ack-before-isr", "the classic mistake";
    /// A follower truncates to its own high watermark when it restarts, and so forgets acknowledged records
    /// that it held above it.
    TruncateToHighWatermark = "truncate-to-high-watermark", "KIP-101";
    /// The answer to an epoch lookup carries an offset and no epoch: a follower whose last epoch the leader never had
    /// cuts at an offset that means nothing to its own log, and keeps records that the leader does not have.
    EpochLookupWithoutEpoch = "epoch-lookup-without-epoch", "KIP-279, KAFKA-6361";
    /// A leader takes a replica into the ISR that has reached the high watermark, though not the start of the
    /// leadership: a new leader's high watermark may lag behind what its predecessor has acknowledged.
    IsrJoinBelowEpochStart = "isr-join-below-epoch-start", "KAFKA-7128";
    /// Neither leader nor controller asks whether a replica is fenced or on its way out before it joins the ISR: it may
    /// be cut off from the controller while it still fetches.
    FencedReplicaJoinsIsr = "fenced-replica-joins-isr", "KIP-841";
    /// A fetch from before a reboot counts for the broker that came back without what it had not synced.
    StaleBrokerEpochJoinsIsr = "stale-broker-epoch-joins-isr", "KIP-903";
    /// The last member never leaves the ISR, however it went down, and eligible replicas are not asked: it comes back
    /// without what it had not synced and leads.
    LastReplicaStanding = "last-replica-standing", "KIP-966";
    /// The high watermark goes on rising while the ISR is below its minimum: eligible replicas lack what is committed.
    ElrWithoutMinIsr = "elr-without-min-isr", "KIP-966";
    /// When ISR and eligible replicas are gone, any live replica is elected, although nobody allowed it.
    UncleanByMistake = "unclean-by-mistake", "Kafka 0.8, KIP-106";
    /// A follower below its leader's log start begins anew there and forgets to move its high watermark along.
    TruncationKeepsHighWatermark = "truncation-keeps-high-watermark", "KAFKA-9491";
    /// Retention deletes segments that are not committed yet.
    RetentionPastHighWatermark = "retention-past-high-watermark", "KAFKA-5634";
    /// A log goes on appending after a write that failed: what came before is missing from the middle.
    AppendAfterIoError = "append-after-io-error", "KAFKA-10778";
    /// A follower numbers what it fetches by counting on from its own end instead of taking the leader's offsets over:
    /// whatever has been evicted in between shifts all that follows.
    OffsetFromRetainedCount = "offset-from-retained-count", "Redpanda 2326";
    /// A retry of one of a producer's last five batches, whose answer was lost, is not recognised: it is appended again.
    NoDedupWindow = "no-dedup-window", "KIP-360, Redpanda 3039";
    /// After its epoch was bumped, a producer numbers the batches that were under way anew in arbitrary order, and sends
    /// them in that order.
    SequenceReassignedOutOfOrder = "sequence-reassigned-out-of-order", "KAFKA-8483";
    /// Whoever commits an offset need not be a member of the present generation: a consumer that stood still past its
    /// session overwrites what the new owner of its partitions has committed.
    ZombieCommit = "zombie-commit", "KIP-447";
    /// Old offsets are cleared away while a coordinator still reads them from the log: the last commit of a partition goes
    /// with an older one that had expired.
    ExpiryDuringLoad = "expiry-during-load", "KAFKA-2163";
    /// The sticky assignor believes every claim: a member that has missed a rebalance and comes back keeps what was given
    /// to another meanwhile, and both own it.
    StaleOwnedPartitions = "stale-owned-partitions", "KAFKA-12984";
    /// A member takes a partition back that it was just asked to give up, and the coordinator strikes it from its books with
    /// what was given up: at the next change the partition is given to another while the member still owns it.
    PartitionGivenTwice = "partition-given-twice", "KAFKA-16147";
    /// A vote is answered before the quorum-state file is durable: after a power cut the voter votes again.
    VolatileVote = "volatile-vote", "KAFKA-14077";
    /// A voter fetches onward before its entries are durable: a fetch is an acknowledgement.
    FetchBeforeFlush = "fetch-before-flush", "KAFKA-10533";
    /// A quorum leader that a majority no longer fetches from leads on: the cluster has two controllers.
    NoCheckQuorum = "no-check-quorum", "KAFKA-15489";
    /// Whoever hears nothing from the leader raises the epoch and campaigns at once: a node behind a bad link deposes a
    /// leader that everybody else follows.
    NoPreVote = "no-pre-vote", "KIP-996";
    /// Retention deletes metadata like any other log, past the latest snapshot: whoever lags can never catch up.
    MetadataRetentionPastSnapshot = "metadata-retention-past-snapshot", "KAFKA-14238";
    /// A snapshot is named after its last record and not after the one behind it: who loads it applies that record
    /// twice.
    SnapshotIdInclusive = "snapshot-id-inclusive", "KAFKA-14618";
}

impl FromStr for Bug {
    type Err = String;
    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.iter().copied().find(|b| b.name() == name).ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(|b| b.name()).collect();
            format!("no bug is called {name:?}; the zoo holds {}", known.join(", "))
        })
    }
}

thread_local! {
    static PLANTED: Cell<u64> = const { Cell::new(0) };
}

/// Plants exactly these bugs on this thread; an empty list makes the broker right again.
pub fn plant(bugs: &[Bug]) {
    PLANTED.set(bugs.iter().fold(0, |mask, b| mask | 1 << *b as u64));
}

/// True if `bug` is planted on this thread.
#[inline]
#[must_use]
pub fn planted(bug: Bug) -> bool {
    PLANTED.get() & (1 << bug as u64) != 0
}
