//! Elections after which the loss-related properties of a partition begin anew: Kafka itself gives up what was
//! committed, and says by which rule.
//!
//! | reason | Kafka's rule |
//! |---|---|
//! | unclean election | `unclean.leader.election.enable` lets any live replica lead once nobody in ISR and ELR can (KIP-106, `PartitionChangeBuilder.electAnyLeader`) |
//! | last known leader | ISR and ELR are empty, since an unclean shutdown takes a replica out of both (KIP-966); whoever led last leads again |
//! | last in-sync replica | without ELR the only member stays in the ISR whatever became of its log (`PartitionChangeBuilder`, `ReplicationControlManager.handleBrokerShutdown`) |
//! | storage faults | acknowledgement waits for min.insync.replicas page caches, not for devices: with so many holders gone the record may be |
//!
//! No more is given up than what the elected replica lacks, and for the last three only what its own disk lost. An
//! election by none of these rules gives up nothing: leader completeness will name it.

use super::partition::{Partition, Rules};
use super::replica::Replica;
use crate::base::{BrokerId, LeaderEpoch, Offset};
use crate::broker::probe::{BatchMark, PartitionFacts};
use crate::check::verdict::Reason;

/// An election that gave up what was committed before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restart {
    /// The leadership that began with it.
    pub epoch: LeaderEpoch,
    /// Who was elected.
    pub leader: BrokerId,
    /// Everything below is still committed.
    pub kept: Offset,
    /// The rule that allows it.
    pub reason: Reason,
    /// The rule with its circumstances, in words.
    pub detail: String,
    /// What was committed from `kept` on.
    pub(super) gone: Vec<BatchMark>,
}

impl Restart {
    /// True if this election allows that a record is gone which stood at `offset` by the word of a leader of `epoch`.
    #[must_use]
    pub fn covers(&self, offset: Offset, epoch: LeaderEpoch) -> bool {
        epoch < self.epoch && offset >= self.kept
    }
}

/// By which rule `elected`, whom the controller has just made the leader, may lack what it lacks; None if by none.
pub(super) fn permission(
    p: &Partition,
    old: Option<&PartitionFacts>,
    facts: &PartitionFacts,
    elected: &Replica,
    rules: &Rules,
) -> Option<(Reason, String)> {
    let (id, epoch) = (facts.leader, facts.leader_epoch);
    if !facts.recovering {
        return lack(p, id, elected, &facts.isr, rules);
    }
    let nobody_left = old.is_some_and(|old| old.isr.is_empty() && old.elr.is_empty());
    let gone = lacking(p, elected);
    if rules.elr
        && nobody_left
        && p.last_leader == id
        && !gone.is_empty()
        && gone.iter().all(|mark| elected.has_lost(mark))
    {
        let ended = |mark: &BatchMark| p.replicas.values().filter(|r| r.ended >= mark.next).count();
        if gone.iter().all(|mark| ended(mark) >= rules.copies(facts)) {
            let why = format!(
                "ISR and ELR were empty after unclean shutdowns, and the last known leader, broker {id}, was elected in \
                 leader epoch {epoch} without what its disk had lost"
            );
            return Some((Reason::LastKnownLeader, why));
        }
    }
    rules.unclean.then(|| {
        let why = format!(
            "unclean.leader.election.enable allowed the election of broker {id}, which was not in sync, in leader epoch {epoch}"
        );
        (Reason::UncleanElection, why)
    })
}

/// By which rule a replica in the ISR may lack what it lacks; None if by none.
pub(super) fn lack(
    p: &Partition,
    id: BrokerId,
    replica: &Replica,
    isr: &[BrokerId],
    rules: &Rules,
) -> Option<(Reason, String)> {
    let gone = lacking(p, replica);
    if gone.is_empty() {
        return None;
    }
    if !rules.elr && isr == [id] && gone.iter().all(|mark| replica.has_lost(mark)) {
        let why = format!(
            "without eligible leader replicas the last in-sync replica, broker {id}, stays it after an unclean shutdown in which \
             its disk lost the record"
        );
        return Some((Reason::LastInSyncReplica, why));
    }
    let copies = p.latest().map_or(usize::MAX, |facts| rules.copies(facts));
    let losers = |mark: &BatchMark| p.replicas.values().filter(|r| r.has_lost(mark)).count();
    if gone.iter().all(|mark| losers(mark) >= copies) {
        return Some((Reason::StorageFaults, p.losers_in_words(&gone[0])));
    }
    None
}

/// What is committed and this replica does not hold.
fn lacking<'a>(p: &'a Partition, replica: &Replica) -> &'a [BatchMark] {
    &p.committed[p.committed.partition_point(|b| b.next <= replica.agreed)..]
}
