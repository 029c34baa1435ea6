//! Committed offsets: OffsetCommit, OffsetFetch, OffsetDelete.

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_commit_request::OffsetCommitRequestPartition;
use kafka_protocol::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use kafka_protocol::messages::offset_delete_response::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic};
use kafka_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse};

use super::classic::{CommittedOffset, Group, State};
use super::consumer::ConsumerGroup;
use super::turn::{Then, Turn};
use super::types::{LogRecord, Reply, Ticket};
use crate::base::bugs::{Bug, planted};
use crate::base::marks::{Mark, mark};
use crate::base::{Now, TopicPartition};
use crate::wire::records::groups::OffsetCommitValue;

/// The same error for everything that the request asks for.
pub(super) fn commit_refused(request: &OffsetCommitRequest, error: ResponseError) -> OffsetCommitResponse {
    commit_response(request, |_| error.code())
}
fn commit_response(
    request: &OffsetCommitRequest,
    code: impl Fn(&OffsetCommitRequestPartition) -> i16,
) -> OffsetCommitResponse {
    let partition = |p: &OffsetCommitRequestPartition| {
        OffsetCommitResponsePartition::default().with_partition_index(p.partition_index).with_error_code(code(p))
    };
    let topics = request.topics.iter().map(|t| {
        OffsetCommitResponseTopic::default()
            .with_name(t.name.clone())
            .with_partitions(t.partitions.iter().map(partition).collect())
    });
    OffsetCommitResponse::default().with_topics(topics.collect())
}
/// Every partition that was not refused before gets this error.
pub(super) fn refuse_commit(reply: &mut OffsetCommitResponse, error: ResponseError) {
    let partitions = reply.topics.iter_mut().flat_map(|t| &mut t.partitions);
    partitions.filter(|p| p.error_code == 0).for_each(|p| p.error_code = error.code());
}

impl Group {
    /// A member, or somebody who assigns partitions to itself, says how far it has come.
    pub fn commit(&mut self, turn: &mut Turn, ticket: Ticket, request: &OffsetCommitRequest) {
        if let Err(error) = self.check_commit(turn.now, request) {
            mark(Mark::CommitRefused);
            turn.reply(ticket, Reply::Commit(commit_refused(request, error)));
            return;
        }
        let max = turn.cfg.offset_metadata_max_bytes;
        let too_large = |p: &OffsetCommitRequestPartition| p.committed_metadata.as_ref().is_some_and(|m| m.len() > max);
        let reply =
            commit_response(request, |p| if too_large(p) { ResponseError::OffsetMetadataTooLarge.code() } else { 0 });
        let mut offsets = Vec::new();
        for topic in &request.topics {
            let name: Arc<str> = topic.name.as_str().into();
            for p in topic.partitions.iter().filter(|p| !too_large(p)) {
                let tp = TopicPartition::new(name.clone(), p.partition_index);
                offsets.push((tp, CommittedOffset { value: commit_value(turn.now, request, p) }));
            }
        }
        if offsets.is_empty() {
            turn.reply(ticket, Reply::Commit(reply));
            return;
        }
        let record = |(tp, o): &(TopicPartition, CommittedOffset)| LogRecord {
            key: self.offset_key(tp),
            value: Some(o.value.encode()),
        };
        let records = offsets.iter().map(record).collect();
        turn.append(&self.id, records, Then::Commit { ticket, reply, offsets });
    }
    fn check_commit(&mut self, now: Now, request: &OffsetCommitRequest) -> Result<(), ResponseError> {
        if self.is(State::Dead) {
            return Err(ResponseError::CoordinatorNotAvailable);
        }
        let generation = request.generation_id_or_member_epoch;
        if let Some(consumer) = &self.consumer {
            return consumer.check_commit(&request.member_id, generation);
        }
        if generation < 0 && self.is(State::Empty) {
            // Nobody owns anything through this group: it only stores offsets.
            return Ok(());
        }
        if planted(Bug::ZombieCommit) {
            return Ok(());
        }
        let id = request.member_id.as_str();
        // A member's word counts only in its own generation.
        self.check_member(id, request.group_instance_id.as_deref())?;
        self.check_generation(generation)?;
        match self.state {
            State::Stable | State::PreparingRebalance => {
                self.heard_of(now, id);
                Ok(())
            }
            // The member does not know yet what it owns in this generation.
            State::CompletingRebalance => Err(ResponseError::RebalanceInProgress),
            State::Empty | State::Dead => Err(ResponseError::UnknownMemberId),
        }
    }
    /// Offsets are forgotten on an administrator's word, unless members still read the topic.
    pub fn delete_offsets(&mut self, turn: &mut Turn, ticket: Ticket, request: &OffsetDeleteRequest) {
        let mut reply = OffsetDeleteResponse::default();
        let subscribed = match self.state {
            State::Dead => {
                let reply = reply.with_error_code(ResponseError::GroupIdNotFound.code());
                return turn.reply(ticket, Reply::OffsetDelete(reply));
            }
            State::Empty => self.consumer.as_ref().map(ConsumerGroup::subscribed).unwrap_or_default(),
            _ => match self.subscribed() {
                Some(topics) => topics,
                None => {
                    let reply = reply.with_error_code(ResponseError::NonEmptyGroup.code());
                    return turn.reply(ticket, Reply::OffsetDelete(reply));
                }
            },
        };
        let mut gone = Vec::new();
        for topic in &request.topics {
            let used = subscribed.contains(topic.name.as_str());
            let mut partitions = Vec::new();
            for p in &topic.partitions {
                let tp = TopicPartition::new(topic.name.as_str(), p.partition_index);
                let known = self.offsets.contains_key(&tp) || turn.appends.pending_offsets(&self.id).any(|q| *q == tp);
                if !used && known {
                    gone.push(tp);
                }
                let code = if used { ResponseError::GroupSubscribedToTopic.code() } else { 0 };
                let answer = OffsetDeleteResponsePartition::default().with_partition_index(p.partition_index);
                partitions.push(answer.with_error_code(code));
            }
            let answer = OffsetDeleteResponseTopic::default().with_name(topic.name.clone());
            reply.topics.push(answer.with_partitions(partitions));
        }
        if gone.is_empty() {
            return turn.reply(ticket, Reply::OffsetDelete(reply));
        }
        let tombstones = gone.iter().map(|tp| self.offset_tombstone(tp)).collect();
        turn.append(&self.id, tombstones, Then::Forget { reply: Some((ticket, reply)), offsets: gone });
    }
}

fn commit_value(now: Now, request: &OffsetCommitRequest, p: &OffsetCommitRequestPartition) -> OffsetCommitValue {
    let expires = request.retention_time_ms >= 0;
    OffsetCommitValue {
        offset: p.committed_offset,
        leader_epoch: p.committed_leader_epoch,
        metadata: p.committed_metadata.as_deref().unwrap_or_default().into(),
        commit_timestamp: now.wall_ms,
        expire_timestamp: if expires { now.wall_ms.saturating_add(request.retention_time_ms) } else { -1 },
    }
}
