//! ListOffsets and OffsetForLeaderEpoch.

use kafka_protocol::ResponseError;

use super::Partitions;
use super::api::{Fetcher, OffsetAnswer, OffsetQuery, TopicRef};
use crate::base::{LeaderEpoch, Offset};
use crate::log::TimestampAndOffset;
use crate::replica::EpochEnd;

impl Partitions {
    /// Answers one ListOffsets query. `current` is the leader epoch that the asker believes in, or NONE.
    ///
    /// # Errors
    /// UNKNOWN_TOPIC_OR_PARTITION, NOT_LEADER_OR_FOLLOWER, FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH,
    /// OFFSET_NOT_AVAILABLE, KAFKA_STORAGE_ERROR.
    pub async fn list_offset(
        &self,
        topic: &TopicRef,
        partition: i32,
        asker: Fetcher,
        current: LeaderEpoch,
        query: OffsetQuery,
    ) -> Result<OffsetAnswer, ResponseError> {
        let partition = self.find(topic, partition)?;
        let by_replica = matches!(asker, Fetcher::Replica { .. });
        let looked = partition.look(|core| {
            core.check_leading(current)?;
            let start = core.log().log_start();
            let start_epoch = core.log().epochs().epoch_at(start).unwrap_or(LeaderEpoch::NONE);
            let earliest = OffsetAnswer { offset: start, timestamp: -1, leader_epoch: start_epoch };
            Ok((earliest, core.latest_offset(current, by_replica), core.leader_epoch(), core.high_watermark()))
        });
        let (earliest, latest, leader_epoch, high_watermark) =
            looked.unwrap_or(Err(ResponseError::NotLeaderOrFollower))?;
        let reader = partition.reader().ok_or(ResponseError::NotLeaderOrFollower)?;
        let found = match query {
            OffsetQuery::Earliest => return Ok(earliest),
            OffsetQuery::Latest => return Ok(OffsetAnswer { offset: latest?, timestamp: -1, leader_epoch }),
            OffsetQuery::MaxTimestamp => reader.offset_of_max_timestamp().await,
            OffsetQuery::Timestamp(timestamp) => reader.offset_for_timestamp(timestamp).await,
        };
        let visible = found.map_err(|error| self.read_failed(&partition, error))?;
        let readable = latest.unwrap_or(high_watermark);
        match visible {
            Some(TimestampAndOffset { offset, timestamp, epoch }) if offset < readable => {
                Ok(OffsetAnswer { offset, timestamp, leader_epoch: epoch })
            }
            // The record may become readable once a new leader knows how far its log is committed.
            _ => latest.map(|_| OffsetAnswer { offset: Offset::NONE, timestamp: -1, leader_epoch: LeaderEpoch::NONE }),
        }
    }
    /// The largest epoch up to `epoch` and where it ends; None if none is known.
    ///
    /// # Errors
    /// UNKNOWN_TOPIC_OR_PARTITION, NOT_LEADER_OR_FOLLOWER, FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH.
    pub fn offset_for_leader_epoch(
        &self,
        topic: &TopicRef,
        partition: i32,
        current: LeaderEpoch,
        epoch: LeaderEpoch,
    ) -> Result<Option<EpochEnd>, ResponseError> {
        let partition = self.find(topic, partition)?;
        let end = partition.look(|core| core.epoch_end(current, epoch));
        end.unwrap_or(Err(ResponseError::NotLeaderOrFollower))
    }
}
