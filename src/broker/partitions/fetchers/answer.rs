//! What a leader's answer means for one partition: batches to append, a log to cut, a moment to wait.

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{self, ListOffsetsRequest, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::task::{Asked, Fetcher};
use crate::base::bugs::{Bug, planted};
use crate::base::{LeaderEpoch, Offset};
use crate::broker::partitions::partition::Incoming;
use crate::broker::partitions::throttle::Side;
use crate::broker::probe::BatchMark;
use crate::log::batch::{BatchError, batches};
use crate::log::producers::ProducerBatch;
use crate::replica::{BatchSpan, EpochEnd, FetchAnswer, Verdict};
use crate::wire::codec::lean::PartitionData;
use crate::wire::conn::RpcError;

/// ListOffsets' timestamps for the two ends of a log.
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;

/// The batches of one partition's answer, checked.
#[derive(Default)]
struct Received {
    spans: Vec<BatchSpan>,
    marks: Vec<Incoming>,
    /// Where each batch ends in the bytes.
    ends: Vec<usize>,
}

impl Fetcher {
    /// Acts upon the answer for one partition. Fails only if the connection does.
    pub(super) async fn take_partition(&mut self, asked: &Asked, data: PartitionData) -> Result<(), RpcError> {
        let partition = &asked.followed.partition;
        let records =
            if planted(Bug::OffsetFromRetainedCount) { counted(&data.records, asked.at.offset) } else { data.records };
        let received = match receive(&records) {
            Ok(received) => received,
            Err(error) => {
                tracing::warn!(partition = %partition.tp, %error, "the leader sent a bad batch");
                self.back_off(&asked.followed);
                return Ok(());
            }
        };
        let diverging =
            data.diverging_epoch.map(|(epoch, end)| EpochEnd { epoch: LeaderEpoch(epoch), end: Offset(end) });
        let answer = FetchAnswer {
            error: ResponseError::try_from_code(data.error_code),
            high_watermark: Offset(data.high_watermark),
            log_start: Offset(data.log_start_offset),
            diverging: diverging.filter(|end| end.epoch != LeaderEpoch::NONE),
            batches: &received.spans,
        };
        let bytes = |taken: usize| records.slice(..received.ends[taken - 1]);
        match partition.take_answer(&asked.at, &answer, &received.marks, bytes) {
            Verdict::Stale => {}
            Verdict::Proceed { batches } => {
                let taken = batches.checked_sub(1).map_or(0, |last| received.ends[last]);
                self.shared.throttles.record(Side::Follower, partition, taken);
            }
            Verdict::BackOff => self.back_off(&asked.followed),
            Verdict::AwaitMetadata => self.park(&asked.followed, asked.at.leader_epoch),
            Verdict::OutOfRange => self.reset(asked).await?,
        }
        Ok(())
    }
    /// Asks for both ends of the leader's log and goes on from where they allow.
    async fn reset(&mut self, asked: &Asked) -> Result<(), RpcError> {
        let (start, end) = (self.leader_offset(asked, EARLIEST).await?, self.leader_offset(asked, LATEST).await?);
        match (start, end) {
            (Some(start), Some(end)) => {
                tracing::info!(partition = %asked.followed.partition.tp, at = %asked.at.offset, %start, %end, "out of range");
                asked.followed.partition.with(|core, _, out| core.reset_to_leader(&asked.at, start, end, out));
            }
            _ => self.back_off(&asked.followed),
        }
        Ok(())
    }
    /// One end of the leader's log; None if the leader refuses to say.
    async fn leader_offset(&mut self, asked: &Asked, timestamp: i64) -> Result<Option<Offset>, RpcError> {
        let tp = &asked.followed.partition.tp;
        let partition = ListOffsetsPartition::default()
            .with_partition_index(tp.partition)
            .with_current_leader_epoch(asked.at.leader_epoch.0)
            .with_timestamp(timestamp);
        let topic = ListOffsetsTopic::default()
            .with_name(TopicName(StrBytes::from_string(tp.topic.to_string())))
            .with_partitions(vec![partition]);
        let request = ListOffsetsRequest::default()
            .with_replica_id(messages::BrokerId(self.shared.config.id.0))
            .with_topics(vec![topic]);
        let response = self.call(&request).await?;
        let answer = response.topics.first().and_then(|t| t.partitions.first());
        Ok(answer.filter(|p| p.error_code == 0 && p.offset >= 0).map(|p| Offset(p.offset)))
    }
}

/// The batches with offsets that count on from `next`, as [`Bug::OffsetFromRetainedCount`] has it. A batch begins with its base
/// offset, which no checksum covers.
fn counted(records: &Bytes, mut next: Offset) -> Bytes {
    let mut bytes = records.to_vec();
    let mut at = 0;
    for batch in batches(records).map_while(Result::ok) {
        bytes[at..at + size_of::<i64>()].copy_from_slice(&next.0.to_be_bytes());
        next = next + (batch.next_offset() - batch.base_offset());
        at += batch.size();
    }
    bytes.into()
}

/// Checks what came: whole batches with right checksums.
fn receive(records: &Bytes) -> Result<Received, BatchError> {
    let (mut received, mut end) = (Received::default(), 0);
    for batch in batches(records) {
        let batch = batch?;
        batch.verify_crc()?;
        let (base, next, epoch) = (batch.base_offset(), batch.next_offset(), batch.leader_epoch());
        end += batch.size();
        received.spans.push(BatchSpan { base, next, epoch, producer: ProducerBatch::of(&batch) });
        let mark = BatchMark { base, next, epoch, crc: batch.crc() };
        received.marks.push(Incoming { mark, copied: batch.size() as u64 });
        received.ends.push(end);
    }
    Ok(received)
}
