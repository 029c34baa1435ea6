//! What a coordinator that takes over reads from the log.

use std::sync::Arc;

use bytes::Bytes;

use super::classic::{CommittedOffset, Group, State};
use super::coordinator::Coordinator;
use super::member::Member;
use crate::base::bugs::{Bug, planted};
use crate::base::marks::{Mark, mark};
use crate::base::{Now, TopicPartition};
use crate::wire::records::RecordError;
use crate::wire::records::consumer_groups::KEY_TYPES;
use crate::wire::records::groups::{GroupKey, GroupMetadataValue, MemberMetadata, OffsetCommitValue};

impl Coordinator {
    /// Takes one committed record in, in the order of the log. Records of kinds that we do not know are passed over.
    ///
    /// # Errors
    /// If the record cannot be read; nothing is changed then.
    pub fn replay(&mut self, now: Now, key: &[u8], value: Option<&[u8]>) -> Result<(), RecordError> {
        match (GroupKey::decode(key)?, value) {
            (GroupKey::OffsetCommit { group, topic, partition }, Some(value)) => {
                let value = OffsetCommitValue::decode(value)?;
                let tp = TopicPartition::new(topic, partition);
                if planted(Bug::ExpiryDuringLoad) {
                    self.expire_while_loading(now);
                }
                self.group_or_new(now, &group).offsets.insert(tp, CommittedOffset { value });
            }
            (GroupKey::OffsetCommit { group, topic, partition }, None) => {
                if let Some(known) = self.group_mut(&group) {
                    known.offsets.remove(&TopicPartition::new(topic, partition));
                }
            }
            (GroupKey::GroupMetadata { group }, Some(value)) => {
                let value = GroupMetadataValue::decode(value)?;
                self.group_or_new(now, &group).restore(value);
            }
            (GroupKey::GroupMetadata { group }, None) => {
                let offsets = self.group_mut(&group).map(|g| std::mem::take(&mut g.offsets)).unwrap_or_default();
                self.remove_group(&group);
                if !offsets.is_empty() {
                    self.group_or_new(now, &group).offsets = offsets;
                }
            }
            (GroupKey::Unknown(kind), value) if KEY_TYPES.contains(&kind) => self.replay_consumer(now, key, value)?,
            (GroupKey::Unknown(_), _) => {}
        }
        Ok(())
    }
    /// What a sweep makes of groups that are half read: an offset looks expired by the commit that was read so far, and
    /// its tombstone will stand behind the later one.
    fn expire_while_loading(&mut self, now: Now) {
        let retention = self.offsets_retention_ms();
        for group in self.groups_mut() {
            let over = |o: &CommittedOffset| now.wall_ms.saturating_sub(o.value.commit_timestamp) >= retention;
            let gone: Vec<_> = group.offsets.iter().filter(|(_, o)| over(o)).map(|(tp, _)| tp.clone()).collect();
            group.swept.extend(gone);
        }
    }
    /// The log has been read to its end: every member has a whole session to be heard of.
    pub fn loaded(&mut self, now: Now) {
        let gone: Vec<_> = self.groups().filter(|g| g.is_forgotten()).map(|g| g.id.clone()).collect();
        gone.iter().for_each(|id| self.remove_group(id));
        let cfg = self.config().clone();
        for group in self.groups_mut() {
            mark(Mark::GroupLoaded);
            for tp in std::mem::take(&mut group.swept) {
                group.offsets.remove(&tp);
            }
            if let Some(consumer) = &mut group.consumer {
                consumer.loaded(&cfg, now);
            }
            let ids: Vec<_> = group.members.keys().cloned().collect();
            ids.iter().for_each(|id| group.heard_of(now, id));
            group.check();
        }
    }
}

impl Group {
    fn restore(&mut self, value: GroupMetadataValue) {
        self.consumer = None;
        self.protocol_type = Some(value.protocol_type).filter(|t| !t.is_empty());
        self.generation = value.generation;
        self.protocol = value.protocol;
        self.leader = value.leader;
        self.since_ms = value.current_state_timestamp;
        self.state = if value.members.is_empty() { State::Empty } else { State::Stable };
        let protocol = self.protocol.clone().unwrap_or_default();
        let members = value.members.into_iter().map(|m| restored(m, &protocol));
        self.members = members.map(|m| (m.id.clone(), m)).collect();
        let of_static = |m: &Member| Some((m.instance.clone()?, m.id.clone()));
        self.statics = self.members.values().filter_map(of_static).collect();
    }
    /// All that the log said of it has been taken back.
    fn is_forgotten(&self) -> bool {
        self.consumer.is_none()
            && self.is(State::Empty)
            && self.offsets.is_empty()
            && self.protocol_type.is_none()
            && self.generation == 0
    }
}

/// Of its protocols the log holds the chosen one alone: a member that joins with the same words changes nothing.
fn restored(m: MemberMetadata, protocol: &Arc<str>) -> Member {
    let protocols: Vec<(Arc<str>, Bytes)> = vec![(protocol.clone(), m.subscription)];
    Member {
        id: m.member_id,
        instance: m.group_instance_id,
        client_id: m.client_id,
        client_host: m.client_host,
        rebalance_timeout_ms: u64::try_from(m.rebalance_timeout).unwrap_or(0),
        session_timeout_ms: u64::try_from(m.session_timeout).unwrap_or(0),
        protocols,
        assignment: m.assignment,
        is_new: false,
        deadline: u64::MAX,
        awaiting_join: None,
        awaiting_sync: None,
    }
}
