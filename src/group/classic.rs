//! A group: its state, its members, its offsets (Kafka's `ClassicGroup`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use super::consumer::ConsumerGroup;
use super::member::Member;
use super::types::LogRecord;
use crate::base::{Now, TopicPartition};
use crate::wire::records::groups::{GroupKey, GroupMetadataValue, MemberMetadata, OffsetCommitValue};

/// The state of a group; the module's header has the transitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// No members; perhaps offsets.
    Empty,
    /// Members are asked to join anew.
    PreparingRebalance,
    /// All have joined, the leader computes the assignment.
    CompletingRebalance,
    /// Everybody knows what it owns.
    Stable,
    /// About to be removed.
    Dead,
}

impl State {
    /// Kafka's name for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
            Self::Dead => "Dead",
        }
    }
    fn may_become(self, next: Self) -> bool {
        use State::{CompletingRebalance, Dead, Empty, PreparingRebalance, Stable};
        matches!(
            (self, next),
            (Empty | CompletingRebalance | Stable, PreparingRebalance)
                | (PreparingRebalance, Empty | CompletingRebalance)
                | (CompletingRebalance, Stable)
                | (Empty, Dead)
                | (Dead, Empty)
        )
    }
}

/// A committed offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedOffset {
    /// What was committed.
    pub value: OffsetCommitValue,
}

/// The join phase of a rebalance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct JoinPhase {
    /// When it is over, in monotonic ns.
    pub deadline: u64,
    /// In the first rebalance of an empty group: how much longer late comers may prolong it, in ms.
    pub initial: Option<u64>,
    /// Somebody came while the initial delay ran.
    pub late_comer: bool,
}

#[derive(Debug)]
pub(super) struct Group {
    pub id: Arc<str>,
    pub state: State,
    /// Wall time of the last change of state, in ms; -1 if unknown.
    pub since_ms: i64,
    /// None of a group that only stores offsets.
    pub protocol_type: Option<Arc<str>>,
    pub generation: i32,
    pub protocol: Option<Arc<str>>,
    pub leader: Option<Arc<str>>,
    pub members: BTreeMap<Arc<str>, Member>,
    /// Which member a `group.instance.id` belongs to.
    pub statics: BTreeMap<Arc<str>, Arc<str>>,
    /// Ids that were given out and have not joined yet, with the end of their patience in monotonic ns (KIP-394).
    pub promised: BTreeMap<Arc<str>, u64>,
    /// In PreparingRebalance alone.
    pub joining: Option<JoinPhase>,
    /// Members that have joined this generation and not asked for their assignment yet.
    pub unsynced: BTreeSet<Arc<str>>,
    /// When these are thrown out, in monotonic ns.
    pub sync_deadline: u64,
    pub offsets: BTreeMap<TopicPartition, CommittedOffset>,
    /// Swept away while the log was still being read: empty unless that bug is planted.
    pub swept: BTreeSet<TopicPartition>,
    /// Its members, if they speak the consumer protocol: this then is Empty and keeps their offsets.
    pub consumer: Option<ConsumerGroup>,
}

impl Group {
    pub fn new(id: Arc<str>, now: Now) -> Self {
        Self {
            id,
            state: State::Empty,
            since_ms: now.wall_ms,
            protocol_type: None,
            generation: 0,
            protocol: None,
            leader: None,
            members: BTreeMap::new(),
            statics: BTreeMap::new(),
            promised: BTreeMap::new(),
            joining: None,
            unsynced: BTreeSet::new(),
            sync_deadline: u64::MAX,
            offsets: BTreeMap::new(),
            swept: BTreeSet::new(),
            consumer: None,
        }
    }
    pub fn is(&self, state: State) -> bool {
        self.state == state
    }
    pub fn enter(&mut self, next: State, now: Now) {
        assert!(self.state.may_become(next), "group {}: {:?} to {next:?}", self.id, self.state);
        self.state = next;
        self.since_ms = now.wall_ms;
    }
    /// When something falls due, in monotonic ns.
    pub fn next_deadline(&self) -> u64 {
        let members = self.members.values().map(Member::expires);
        let promised = self.promised.values().copied();
        let phase = self.joining.map_or(u64::MAX, |j| j.deadline);
        let consumer = self.consumer.as_ref().filter(|_| !self.is(State::Dead)).map(ConsumerGroup::next_deadline);
        members.chain(promised).chain(consumer).chain([phase, self.sync_deadline]).min().unwrap_or(u64::MAX)
    }
    pub fn is_leader(&self, member: &str) -> bool {
        self.leader.as_deref() == Some(member)
    }
    /// The longest that any member wants to be waited for.
    pub fn rebalance_timeout_ms(&self) -> u64 {
        self.members.values().map(|m| m.rebalance_timeout_ms).max().unwrap_or(0)
    }
    /// The group's record, with these assignments.
    pub fn record(&self, assignments: &BTreeMap<Arc<str>, Bytes>) -> LogRecord {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let member = |m: &Member| MemberMetadata {
            member_id: m.id.clone(),
            group_instance_id: m.instance.clone(),
            client_id: m.client_id.clone(),
            client_host: m.client_host.clone(),
            rebalance_timeout: i32::try_from(m.rebalance_timeout_ms).unwrap_or(i32::MAX),
            session_timeout: i32::try_from(m.session_timeout_ms).unwrap_or(i32::MAX),
            subscription: m.metadata(protocol).cloned().unwrap_or_default(),
            assignment: assignments.get(&m.id).cloned().unwrap_or_default(),
        };
        let value = GroupMetadataValue {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            current_state_timestamp: self.since_ms,
            members: self.members.values().map(member).collect(),
        };
        LogRecord { key: self.key(), value: Some(value.encode()) }
    }
    pub fn assignments(&self) -> BTreeMap<Arc<str>, Bytes> {
        self.members.values().map(|m| (m.id.clone(), m.assignment.clone())).collect()
    }
    pub fn key(&self) -> Bytes {
        GroupKey::GroupMetadata { group: self.id.clone() }.encode()
    }
    pub fn offset_key(&self, tp: &TopicPartition) -> Bytes {
        let key = GroupKey::OffsetCommit { group: self.id.clone(), topic: tp.topic.clone(), partition: tp.partition };
        key.encode()
    }
    pub fn offset_tombstone(&self, tp: &TopicPartition) -> LogRecord {
        LogRecord { key: self.offset_key(tp), value: None }
    }
    /// Looks whether all books agree.
    pub fn check(&self) {
        assert_eq!(self.joining.is_some(), self.is(State::PreparingRebalance), "group {}: {:?}", self.id, self.state);
        for (instance, member) in &self.statics {
            let of_member = self.members.get(member).and_then(|m| m.instance.as_ref());
            assert_eq!(of_member, Some(instance), "group {}", self.id);
        }
        if matches!(self.state, State::Empty | State::Dead) {
            assert!(self.members.is_empty(), "group {} has members though it is {:?}", self.id, self.state);
        }
        if let Some(consumer) = &self.consumer {
            assert!(matches!(self.state, State::Empty | State::Dead), "group {} speaks two protocols", self.id);
            consumer.check();
        }
        assert!(self.unsynced.iter().all(|id| self.members.contains_key(id)), "group {}", self.id);
    }
}
