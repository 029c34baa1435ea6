//! The group as records, and what each record makes of it (Kafka's `GroupCoordinatorRecordHelpers` and the `replay` methods of
//! `GroupMetadataManager`).

use std::sync::Arc;

use super::{ConsumerGroup, ConsumerMember, LEAVE, MemberState, Partitions, TopicInfo, Topics};
use crate::base::Now;
use crate::base::bugs::{Bug, planted};
use crate::group::classic::State;
use crate::group::coordinator::Coordinator;
use crate::group::types::LogRecord;
use crate::wire::records::RecordError;
use crate::wire::records::consumer_groups::{
    ConsumerGroupRecord as Record, CurrentAssignmentValue, GroupEpochValue, MemberMetadataValue,
    PartitionMetadataValue, TargetEpochValue, TargetMemberValue, TopicMetadata, TopicPartitions,
};

fn by_topic(partitions: &Partitions) -> Vec<TopicPartitions> {
    let mut topics: Vec<TopicPartitions> = Vec::new();
    for (topic_id, partition) in partitions {
        match topics.last_mut() {
            Some(topic) if topic.topic_id == *topic_id => topic.partitions.push(*partition),
            _ => topics.push(TopicPartitions { topic_id: *topic_id, partitions: vec![*partition] }),
        }
    }
    topics
}
fn flat(topics: &[TopicPartitions]) -> Partitions {
    topics.iter().flat_map(|t| t.partitions.iter().map(|p| (t.topic_id, *p))).collect()
}

/// The bytes for the log.
pub(super) fn logged(records: &[Record]) -> Vec<LogRecord> {
    records.iter().map(Record::encode).map(|(key, value)| LogRecord { key, value }).collect()
}
pub(super) fn epoch(group: &Arc<str>, epoch: i32) -> Record {
    Record::Group(group.clone(), Some(GroupEpochValue { epoch }))
}
pub(super) fn topics(group: &Arc<str>, topics: &Topics) -> Record {
    let topic = |(name, info): (&Arc<str>, &TopicInfo)| TopicMetadata {
        topic_id: info.id,
        topic_name: name.clone(),
        num_partitions: info.partitions,
        partition_metadata: Vec::new(),
    };
    Record::Topics(group.clone(), Some(PartitionMetadataValue { topics: topics.iter().map(topic).collect() }))
}
pub(super) fn member(group: &Arc<str>, member: &ConsumerMember) -> Record {
    let value = MemberMetadataValue {
        instance_id: member.instance.clone(),
        rack_id: member.rack.clone(),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        subscribed_topic_names: member.topics.iter().cloned().collect(),
        subscribed_topic_regex: None,
        rebalance_timeout_ms: member.rebalance_timeout_ms,
        server_assignor: member.assignor.clone(),
    };
    Record::Member(group.clone(), member.id.clone(), Some(value))
}
pub(super) fn target_epoch(group: &Arc<str>, assignment_epoch: i32) -> Record {
    Record::TargetEpoch(group.clone(), Some(TargetEpochValue { assignment_epoch }))
}
pub(super) fn target(group: &Arc<str>, member: &Arc<str>, partitions: &Partitions) -> Record {
    let value = TargetMemberValue { topic_partitions: by_topic(partitions) };
    Record::Target(group.clone(), member.clone(), Some(value))
}
pub(super) fn current(group: &Arc<str>, member: &ConsumerMember) -> Record {
    let value = CurrentAssignmentValue {
        member_epoch: member.epoch,
        previous_member_epoch: member.previous_epoch,
        state: member.state.code(),
        assigned_partitions: by_topic(&member.assigned),
        partitions_pending_revocation: by_topic(&member.revoking),
    };
    Record::Current(group.clone(), member.id.clone(), Some(value))
}
/// The tombstones of a member, in the order in which they can be replayed.
pub(super) fn gone(group: &Arc<str>, member: &Arc<str>) -> [Record; 3] {
    [
        Record::Current(group.clone(), member.clone(), None),
        Record::Target(group.clone(), member.clone(), None),
        Record::Member(group.clone(), member.clone(), None),
    ]
}

impl ConsumerGroup {
    /// The tombstones of everything that the group has in the log (`createGroupTombstoneRecords`).
    pub fn tombstones(&self, group: &Arc<str>) -> Vec<LogRecord> {
        let of = |record: fn(Arc<str>, Arc<str>) -> Record| {
            self.members.keys().map(move |member| record(group.clone(), member.clone()))
        };
        let mut all: Vec<Record> = of(|g, m| Record::Current(g, m, None)).collect();
        all.extend(of(|g, m| Record::Target(g, m, None)));
        all.push(Record::TargetEpoch(group.clone(), None));
        all.extend(of(|g, m| Record::Member(g, m, None)));
        all.extend([Record::Topics(group.clone(), None), Record::Group(group.clone(), None)]);
        logged(&all)
    }
    /// Takes one record in. That of the group itself ends it if it is a tombstone; whoever holds the group sees to that.
    pub fn apply(&mut self, record: &Record) {
        match record {
            Record::Group(_, value) => self.epoch = value.as_ref().map_or(0, |v| v.epoch),
            Record::Topics(_, value) => {
                let topics = value.iter().flat_map(|v| &v.topics);
                let info = |t: &TopicMetadata| TopicInfo { id: t.topic_id, partitions: t.num_partitions };
                self.topics = topics.map(|t| (t.topic_name.clone(), info(t))).collect();
            }
            Record::Member(_, id, Some(value)) => self.apply_member(id, value),
            Record::Member(_, id, None) => {
                if let Some(instance) = self.members.remove(id).and_then(|m| m.instance)
                    && self.statics.get(&instance) == Some(id)
                {
                    self.statics.remove(&instance);
                }
            }
            Record::TargetEpoch(_, value) => self.assignment_epoch = value.as_ref().map_or(0, |v| v.assignment_epoch),
            Record::Target(_, id, Some(value)) => {
                self.targets.insert(id.clone(), flat(&value.topic_partitions));
            }
            Record::Target(_, id, None) => drop(self.targets.remove(id)),
            Record::Current(_, id, Some(value)) => {
                let now = flat(&value.assigned_partitions);
                self.strike(id, &now);
                let member = self.member_or_new(id);
                (member.epoch, member.previous_epoch) = (value.member_epoch, value.previous_member_epoch);
                member.state = MemberState::from_code(value.state);
                member.assigned = now;
                member.revoking = flat(&value.partitions_pending_revocation);
            }
            Record::Current(_, id, None) => {
                if let Some(member) = self.members.get_mut(id) {
                    (member.epoch, member.previous_epoch, member.state) = (LEAVE, LEAVE, MemberState::Stable);
                    (member.assigned, member.revoking) = Default::default();
                }
            }
        }
    }
    /// The planted bug: what a member takes back out of what it was giving up, it holds unknown to the coordinator.
    fn strike(&mut self, id: &Arc<str>, assigned: &Partitions) {
        if planted(Bug::PartitionGivenTwice)
            && let Some(member) = self.members.get(id)
        {
            let (again, new): (Partitions, Partitions) =
                assigned.difference(&member.assigned).partition(|tp| member.revoking.contains(tp));
            self.struck = self.struck.difference(&new).chain(&again).copied().collect();
        }
    }
    fn apply_member(&mut self, id: &Arc<str>, value: &MemberMetadataValue) {
        let member = self.member_or_new(id);
        member.instance = value.instance_id.clone();
        member.rack = value.rack_id.clone();
        member.client_id = value.client_id.clone();
        member.client_host = value.client_host.clone();
        member.topics = value.subscribed_topic_names.iter().cloned().collect();
        member.rebalance_timeout_ms = value.rebalance_timeout_ms;
        member.assignor = value.server_assignor.clone();
        if let Some(instance) = &value.instance_id {
            self.statics.insert(instance.clone(), id.clone());
        }
    }
    fn member_or_new(&mut self, id: &Arc<str>) -> &mut ConsumerMember {
        self.members.entry(id.clone()).or_insert_with(|| ConsumerMember::new(id.clone()))
    }
}

impl Coordinator {
    /// Takes in a committed record of the consumer protocol.
    ///
    /// # Errors
    /// If the record cannot be read; nothing is changed then.
    pub(in crate::group) fn replay_consumer(
        &mut self,
        now: Now,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(), RecordError> {
        let record = Record::decode(key, value)?;
        if value.is_some() {
            let group = self.group_or_new(now, record.group());
            // A classic group makes room by a tombstone first; should that be missing, its members stay.
            if group.is(State::Empty) {
                group.consumer.get_or_insert_default().apply(&record);
            }
        } else if let Some(group) = self.group_mut(record.group()) {
            match (&record, &mut group.consumer) {
                (Record::Group(..), consumer) => *consumer = None,
                (_, Some(consumer)) => consumer.apply(&record),
                (_, None) => {}
            }
        }
        Ok(())
    }
}
