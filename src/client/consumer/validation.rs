//! Whether the leader's log still holds what a position follows (KIP-320; Kafka's `OffsetsForLeaderEpochUtils`).
//!
//! A position knows the epoch of the last record before it. When the partition's leadership changes, the new leader is asked
//! where that epoch ended in its log, before anything is fetched from it. If it ended before the position, what was
//! consumed beyond is not in the log any more: an unclean election has given it up.

use super::ConsumerError;
use super::fetcher::{Fetcher, Purpose, wire_name};
use super::positions::{Assigned, EpochEnd};
use crate::base::{BrokerId, LeaderEpoch, Now, Offset, TopicPartition};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::OffsetForLeaderEpochRequest;
use kafka_protocol::messages::offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use kafka_protocol::messages::offset_for_leader_epoch_response::EpochEndOffset;

/// What a consumer had read, or was about to go on from, is not in the log any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truncation {
    /// The partition.
    pub tp: TopicPartition,
    /// Where the consumer stood.
    pub from: Offset,
    /// The first offset that may hold other records now; none if the leader knows nothing of the epoch.
    pub divergent: Option<Offset>,
}

/// A position that a leader is asked about: the offset, the epoch of the record before it, and the leader's own epoch.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub tp: TopicPartition,
    pub offset: Offset,
    pub epoch: LeaderEpoch,
    pub leader: LeaderEpoch,
}

impl Fetcher {
    /// Asks a leader about positions that are not known to be in its log.
    pub(super) fn send_validation(&mut self, leader: BrokerId, asked: Vec<Asked>, now: Now) {
        let mut topics: Vec<OffsetForLeaderTopic> = Vec::new();
        for Asked { tp, epoch, leader, .. } in &asked {
            let name = wire_name(&tp.topic);
            if topics.last().is_none_or(|t| t.topic != name) {
                topics.push(OffsetForLeaderTopic::default().with_topic(name));
            }
            if let Some(assigned) = self.assigned.get_mut(tp) {
                assigned.asks_validation();
            }
            let partition = OffsetForLeaderPartition::default()
                .with_partition(tp.partition)
                .with_current_leader_epoch(leader.0)
                .with_leader_epoch(epoch.0);
            topics.last_mut().expect("a topic was opened").partitions.push(partition);
        }
        let request = OffsetForLeaderEpochRequest::default().with_replica_id((-1).into()).with_topics(topics);
        if let Err(Purpose::Validation(asked)) = self.network.send(leader, now, &request, Purpose::Validation(asked)) {
            self.validated(asked, now, |_| None);
        }
    }

    /// Takes in what a leader said, or that nothing came.
    pub(super) fn validated<'a>(
        &mut self,
        asked: Vec<Asked>,
        now: Now,
        answer: impl Fn(&TopicPartition) -> Option<&'a EpochEndOffset>,
    ) {
        for asked in asked {
            let answer = answer(&asked.tp);
            let error =
                answer.map_or(Some(ResponseError::NetworkException), |a| ResponseError::try_from_code(a.error_code));
            let Some(assigned) = self.assigned.get_mut(&asked.tp) else { continue };
            let Some(failures) = assigned.awaits_answer(&asked) else { continue };
            match (error, answer) {
                (None, Some(answer)) => {
                    let end = EpochEnd { epoch: LeaderEpoch(answer.leader_epoch), end: Offset(answer.end_offset) };
                    let again_ns = now.after_ms(self.cfg.common.request_timeout_ms);
                    if let Some(divergent) = assigned.validated(end, self.cfg.auto_offset_reset, again_ns) {
                        self.truncated(asked, divergent);
                    }
                }
                (error, _) => {
                    assigned.validate_again(now.after_ms(self.network.retry_backoff_ms(failures)));
                    self.metadata.request_update();
                    let error = error.unwrap_or(ResponseError::UnknownServerError);
                    if !error.is_retriable() && error != ResponseError::UnknownServerError {
                        self.errors.push_back(ConsumerError::Broker { tp: asked.tp, error });
                    }
                }
            }
        }
    }

    fn truncated(&mut self, Asked { tp, offset, epoch, .. }: Asked, divergent: Option<Offset>) {
        tracing::warn!(%tp, %offset, epoch = epoch.0, ?divergent, "the log was truncated below the position");
        if !self.cfg.auto_offset_reset.resets() {
            self.errors.push_back(ConsumerError::LogTruncation { tp: tp.clone(), offset, divergent });
        }
        self.truncations.push(Truncation { tp, from: offset, divergent });
    }
}

impl Assigned {
    /// Whether an answer to `asked` is still of interest, and how often asking has failed before.
    fn awaits_answer(&self, asked: &Asked) -> Option<u32> {
        let same = (self.offset(), self.epoch, self.leader()) == (Some(asked.offset), asked.epoch, asked.leader);
        self.validation.filter(|v| v.asked && same).map(|v| v.failures)
    }
}
