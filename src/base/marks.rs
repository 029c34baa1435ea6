//! Coverage marks: states that a campaign should sometimes reach, or it tests less than it seems to.
//!
//! A mark is set where the code is in that state; a run counts how often, on its own thread, for the price of a
//! thread-local addition. Marks change nothing: no code may ask for them.

use std::cell::RefCell;

macro_rules! marks {
    ($($(#[$doc:meta])* $variant:ident = $name:literal;)*) => {
        /// A state that is worth reaching.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Mark { $($(#[$doc])* $variant,)* }
        impl Mark {
            /// Every mark, in the order of the rooms that they stand in.
            pub const ALL: &'static [Mark] = &[$(Mark::$variant,)*];
            /// States that fewer than one default seed in a hundred may reach; all others must be reached.
            pub const RARE: &'static [Mark] = &[
                Mark::IneligibleReplica,
                Mark::TruncationNoticed,
                Mark::GenerationFenced,
                Mark::OffsetsExpired,
            ];
            /// The name in a campaign's report.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Mark::$variant => $name,)* }
            }
        }
    };
}

marks! {
    /// A log rolled to a new segment.
    SegmentRolled = "segment-rolled";
    /// Retention let go of segments.
    RetentionMovedStart = "retention-moved-log-start";
    /// The cleaner compacted a log.
    LogCompacted = "log-compacted";
    /// Recovery cut off what was not whole at the end of a log.
    TornTailCut = "torn-tail-cut";
    /// A producer's retry was answered from the last five batches.
    DuplicateAnswered = "duplicate-batch-answered";
    /// A follower cut its log because the leader's epochs diverge from its own.
    TruncatedOnDivergence = "log-truncated-on-divergence";
    /// A consumer learned that what it had read was given up by an unclean election.
    TruncationNoticed = "consumer-saw-truncation";
    /// A follower fell below its leader's log start and began anew there.
    BegunAnew = "log-begun-anew-at-leader-start";
    /// Somebody asked a leader under an older leadership.
    FencedEpoch = "stale-leader-epoch-fenced";
    /// A log failed, and with it the broker.
    LogFailed = "log-failed";
    /// A leader lost every follower: the ISR is the leader alone.
    IsrShrunkToOne = "isr-shrunk-to-one";
    /// The controller refused to take a replica into the ISR.
    IneligibleReplica = "ineligible-replica-refused";
    /// A leader's request to change the ISR met a partition that had moved on.
    StaleIsrChange = "stale-isr-change-refused";
    /// A replica that left the ISR stays eligible (KIP-966).
    ElrKept = "elr-kept";
    /// The ISR was empty and an eligible replica became the leader.
    ElrElected = "elr-elected";
    /// Neither ISR nor eligible replicas were left and the last known leader came back.
    LastKnownElected = "last-known-leader-elected";
    /// A registration told of an unclean shutdown.
    UncleanShutdown = "unclean-shutdown-registered";
    /// A registration told of a clean shutdown.
    CleanShutdown = "clean-shutdown-registered";
    /// A broker was fenced because its session ran out.
    SessionExpired = "session-expired";
    /// A voter refused a pre-vote, because it hears from a leader or knows more.
    PreVoteRefused = "pre-vote-refused";
    /// A quorum leader that no longer hears from a majority resigned.
    CheckQuorumResigned = "check-quorum-resigned";
    /// A quorum follower cut its log because the leader's diverges from it.
    QuorumTruncated = "quorum-log-truncated";
    /// A node wrote a snapshot of the metadata.
    SnapshotWritten = "snapshot-written";
    /// A quorum member that lagged behind its leader's log start began anew from a snapshot.
    SnapshotLoaded = "snapshot-loaded";
    /// A rebalance began in a group without members.
    RebalanceOfEmpty = "rebalance-in-empty";
    /// A member joined while its group was preparing a rebalance already.
    JoinWhilePreparing = "join-in-preparing-rebalance";
    /// A rebalance began while the assignment of the one before it was still awaited.
    RebalanceOfCompleting = "rebalance-in-completing-rebalance";
    /// A rebalance began in a stable group.
    RebalanceOfStable = "rebalance-in-stable";
    /// A member was expelled because its session ran out.
    MemberExpelled = "member-expelled";
    /// A static member came back and took its own old place.
    StaticReplaced = "static-member-replaced";
    /// Somebody spoke for a static member that another process has replaced.
    InstanceFenced = "static-member-fenced";
    /// A member spoke in another generation than its group's.
    GenerationFenced = "member-fenced-by-generation";
    /// A commit was refused.
    CommitRefused = "commit-refused";
    /// A coordinator took over a group that it read from the log.
    GroupLoaded = "coordinator-loaded-a-group";
    /// A leader left partitions without owner until those who own them have given them up (KIP-429).
    CooperativeRevocation = "cooperative-revocation";
    /// A coordinator asked a member of the consumer protocol to give partitions back (KIP-848).
    AskedToRevoke = "member-asked-to-revoke";
    /// A member of the consumer protocol waits for partitions that another has not given back.
    WaitsForRelease = "member-waits-for-release";
    /// A member of the consumer protocol spoke in an epoch that is not its own.
    EpochFenced = "member-fenced-by-epoch";
    /// A member of the consumer protocol was expelled: its session ran out, or it did not give back in time.
    NextMemberFenced = "next-generation-member-expelled";
    /// Offsets of a group without members were too old to be kept.
    OffsetsExpired = "offsets-expired";
    /// A producer sent a batch again: it was refused, or its answer was lost.
    BatchSentAgain = "batch-sent-again";
    /// A batch that its broker found too large was cut in two.
    BatchSplit = "batch-split";
}

thread_local! {
    static HITS: RefCell<[u64; Mark::ALL.len()]> = const { RefCell::new([0; Mark::ALL.len()]) };
}

/// The code is in the state that `mark` names.
#[inline]
pub fn mark(mark: Mark) {
    HITS.with_borrow_mut(|hits| hits[mark as usize] += 1);
}

/// How often each mark was reached on this thread since the last call; those that were not are left out.
#[must_use]
pub fn take() -> Vec<(Mark, u64)> {
    let hits = HITS.replace([0; Mark::ALL.len()]);
    Mark::ALL.iter().copied().zip(hits).filter(|(_, hits)| *hits > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_counted_and_taken_once() {
        mark(Mark::ElrElected);
        mark(Mark::ElrElected);
        mark(Mark::SegmentRolled);
        assert_eq!(take(), [(Mark::SegmentRolled, 1), (Mark::ElrElected, 2)]);
        assert_eq!(take(), []);
    }

    #[test]
    fn names_are_told_apart() {
        let mut names: Vec<_> = Mark::ALL.iter().map(|m| m.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Mark::ALL.len());
    }
}
