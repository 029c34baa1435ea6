//! Groups of the consumer protocol (KIP-848; Kafka's `ConsumerGroup` and the modern half of `GroupMetadataManager`): the
//! coordinator itself assigns partitions, and brings each member towards its target by the answers to its heartbeats.
//!
//! Three epochs only ever rise. The *group epoch* is raised by whatever calls for another assignment: a member comes, goes or
//! subscribes to something else, a topic grows. The *assignment epoch* is the group epoch for which the target was computed. A
//! *member epoch* is the assignment epoch that the member has been brought to; it fences its heartbeats and its commits.
//!
//! | group state | means |
//! |---|---|
//! | Empty | no members |
//! | Assigning | the target is older than the group epoch |
//! | Reconciling | some member is not at its target |
//! | Stable | all are |
//! | Dead | there is no such group |
//!
//! | member state | means | left when |
//! |---|---|---|
//! | Stable | it has what the target of its epoch gives it | there is a newer target |
//! | UnrevokedPartitions | it was asked to give partitions back, and stays in its epoch | it no longer names them among what it owns; or its rebalance timeout is over and it is fenced |
//! | UnreleasedPartitions | it waits for what others have not given back | all of it is free |
//!
//! No partition is given to a member while another may hold it: it is free only once its holder has named what it owns without
//! it, has left, or was fenced. Every change is a record first ([`records`]), and the state is what applying the records makes of
//! it, so that a coordinator which takes over is in the same state.
//!
//! What must not enter: committed offsets (they are kept in the enclosing [`super::classic::Group`], whichever protocol its members
//! speak), the classic protocol, clients that speak it to such a group (KIP-848's online migration).

mod admin;
mod api;
mod assignors;
mod fencing;
mod heartbeat;
mod offsets;
mod reconcile;
mod records;
mod target;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(super) use api::refused;
pub use assignors::{Assignor, Assignors};

use crate::base::TopicId;
use crate::base::bugs::{Bug, planted};

/// The member epoch of a member that joins.
pub(super) const JOIN: i32 = 0;
/// The member epoch with which a member leaves.
pub(super) const LEAVE: i32 = -1;
/// The member epoch with which a static member leaves for a while.
pub(super) const LEAVE_FOR_A_WHILE: i32 = -2;

/// Partitions by topic id.
pub(super) type Partitions = BTreeSet<(TopicId, i32)>;

/// A topic as the metadata shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicInfo {
    /// Its id.
    pub id: TopicId,
    /// How many partitions it has.
    pub partitions: i32,
}

/// The topics of the cluster, or of a group, by name.
pub type Topics = BTreeMap<Arc<str>, TopicInfo>;

/// The state of a group; the module has what each means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsumerState {
    /// No members.
    Empty,
    /// The target is older than the group epoch.
    Assigning,
    /// Some member is not at its target.
    Reconciling,
    /// All members are at their targets.
    Stable,
}

impl ConsumerState {
    /// Kafka's name for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Assigning => "Assigning",
            Self::Reconciling => "Reconciling",
            Self::Stable => "Stable",
        }
    }
}

/// The state of a member; the module has what each means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum MemberState {
    #[default]
    Stable,
    UnrevokedPartitions,
    UnreleasedPartitions,
    /// A later version has written it: the member must begin anew.
    Unknown,
}

impl MemberState {
    pub fn code(self) -> i8 {
        match self {
            Self::Stable => 0,
            Self::UnrevokedPartitions => 1,
            Self::UnreleasedPartitions => 2,
            Self::Unknown => 127,
        }
    }
    pub fn from_code(code: i8) -> Self {
        match code {
            0 => Self::Stable,
            1 => Self::UnrevokedPartitions,
            2 => Self::UnreleasedPartitions,
            _ => Self::Unknown,
        }
    }
}

/// A member. All but the two deadlines and what it has acknowledged is in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ConsumerMember {
    pub id: Arc<str>,
    /// `group.instance.id` of a static member.
    pub instance: Option<Arc<str>>,
    pub rack: Option<Arc<str>>,
    pub client_id: Arc<str>,
    pub client_host: Arc<str>,
    pub topics: BTreeSet<Arc<str>>,
    pub rebalance_timeout_ms: i32,
    /// The assignor that it asks for.
    pub assignor: Option<Arc<str>>,
    pub epoch: i32,
    pub previous_epoch: i32,
    pub state: MemberState,
    /// What it owns or may take.
    pub assigned: Partitions,
    /// What it was asked to give back and may still own.
    pub revoking: Partitions,
    /// When its session is over, in monotonic ns.
    pub session_ns: u64,
    /// It has said that it owns exactly what it was assigned. What the log does not keep, and Kafka does not ask: see [`heartbeat`].
    pub acknowledged: bool,
    /// Until when it must have left this epoch by giving back what it was asked for, in monotonic ns.
    pub revoke_by: Option<(i32, u64)>,
}

impl ConsumerMember {
    pub fn new(id: Arc<str>) -> Self {
        Self {
            id,
            instance: None,
            rack: None,
            client_id: "".into(),
            client_host: "".into(),
            topics: BTreeSet::new(),
            rebalance_timeout_ms: -1,
            assignor: None,
            epoch: JOIN,
            previous_epoch: -1,
            state: MemberState::Stable,
            assigned: Partitions::new(),
            revoking: Partitions::new(),
            session_ns: u64::MAX,
            acknowledged: false,
            revoke_by: None,
        }
    }
    /// True if it has all that the target of this epoch gives it.
    pub fn is_reconciled_to(&self, assignment_epoch: i32) -> bool {
        self.state == MemberState::Stable && self.epoch == assignment_epoch
    }
    /// When something falls due, in monotonic ns.
    pub fn next_deadline(&self) -> u64 {
        self.revoke_by.map_or(u64::MAX, |(_, at)| at).min(self.session_ns)
    }
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ConsumerGroup {
    pub epoch: i32,
    pub assignment_epoch: i32,
    /// The subscribed topics that exist, as they were when the group epoch was last raised for them.
    pub topics: Topics,
    pub members: BTreeMap<Arc<str>, ConsumerMember>,
    /// Which member a `group.instance.id` belongs to.
    pub statics: BTreeMap<Arc<str>, Arc<str>>,
    /// What each member shall own.
    pub targets: BTreeMap<Arc<str>, Partitions>,
    /// What the planted bug has lost track of: partitions that a member holds and the coordinator takes for free.
    struck: Partitions,
}

impl ConsumerGroup {
    pub fn state(&self) -> ConsumerState {
        let reconciled = |m: &ConsumerMember| m.is_reconciled_to(self.assignment_epoch);
        match () {
            () if self.members.is_empty() => ConsumerState::Empty,
            () if self.epoch > self.assignment_epoch => ConsumerState::Assigning,
            () if !self.members.values().all(reconciled) => ConsumerState::Reconciling,
            () => ConsumerState::Stable,
        }
    }
    /// The topics that some member subscribes to.
    pub fn subscribed(&self) -> BTreeSet<Arc<str>> {
        self.members.values().flat_map(|m| m.topics.iter().cloned()).collect()
    }
    /// True if some member but this one may hold the partition. What the member itself has just given back is not held
    /// (KAFKA-19449).
    pub fn is_held_by_another(&self, member: &str, tp: &(TopicId, i32)) -> bool {
        let mut others = self.members.values().filter(|m| *m.id != *member);
        !self.struck.contains(tp) && others.any(|m| m.assigned.contains(tp) || m.revoking.contains(tp))
    }
    /// When something falls due, in monotonic ns.
    pub fn next_deadline(&self) -> u64 {
        self.members.values().map(ConsumerMember::next_deadline).min().unwrap_or(u64::MAX)
    }
    /// Looks whether all books agree; above all, whether each partition has one holder at most.
    pub fn check(&self) {
        let mut held = Partitions::new();
        for member in self.members.values() {
            for tp in member.assigned.iter().chain(&member.revoking) {
                let alone = held.insert(*tp) || planted(Bug::PartitionGivenTwice);
                assert!(alone, "{tp:?} has two holders: {self:?}");
            }
            assert!(member.epoch <= self.epoch, "{}: epoch {} of {}", member.id, member.epoch, self.epoch);
        }
        for (instance, member) in &self.statics {
            let of_member = self.members.get(member).and_then(|m| m.instance.as_ref());
            assert_eq!(of_member, Some(instance), "static members");
        }
        assert!(self.assignment_epoch <= self.epoch, "{} of {}", self.assignment_epoch, self.epoch);
    }
}
