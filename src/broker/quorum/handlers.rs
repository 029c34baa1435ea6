//! Requests of the peers: from Kafka's words into the core's, and the answer back. What is malformed is refused here.

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{
    BeginQuorumEpochRequest, BeginQuorumEpochResponse, EndQuorumEpochRequest, EndQuorumEpochResponse, FetchRequest,
    FetchResponse, FetchSnapshotRequest, FetchSnapshotResponse, TopicName, VoteRequest, VoteResponse,
    begin_quorum_epoch_response as begin, end_quorum_epoch_response as end, fetch_response as fetch,
    fetch_snapshot_response as snapshot, vote_response as vote,
};
use kafka_protocol::protocol::StrBytes;

use super::messages::{self, id, topic_name};
use super::shell::{Answered, Records};
use super::{METADATA_TOPIC, METADATA_TOPIC_ID, Quorum};
use crate::base::{BrokerId, LeaderEpoch, Offset};
use crate::io::clock;
use crate::raft::{Body, ReadChunk, ReadRange, Request, SnapshotId};

impl Quorum {
    /// Answers a vote request, once this node's vote is durable.
    pub async fn handle_vote(&self, request: VoteRequest) -> VoteResponse {
        let refused = |error: ResponseError| VoteResponse::default().with_error_code(error.code());
        let topics = request.topics.into_iter().map(|t| (t.topic_name, t.partitions));
        let p = match self.only(request.cluster_id.as_ref(), topics, |p| p.partition_index) {
            Ok(partition) => partition,
            Err(error) => return refused(error),
        };
        let asked = self.ask(Request::Vote {
            epoch: LeaderEpoch(p.replica_epoch),
            candidate: BrokerId(p.replica_id.0),
            last_epoch: LeaderEpoch(p.last_offset_epoch),
            end: Offset(p.last_offset),
            pre_vote: p.pre_vote,
        });
        let Some((code, leader, epoch, answered)) = asked.await else { return refused(GONE) };
        let granted = matches!(answered.reply.body, Body::Vote { granted: true });
        let partition = vote::PartitionData::default()
            .with_error_code(code)
            .with_leader_id(id(leader))
            .with_leader_epoch(epoch)
            .with_vote_granted(granted);
        let topic = vote::TopicData::default().with_topic_name(topic_name()).with_partitions(vec![partition]);
        VoteResponse::default().with_topics(vec![topic])
    }

    /// Answers a leader that announces itself.
    pub async fn handle_begin(&self, request: BeginQuorumEpochRequest) -> BeginQuorumEpochResponse {
        let refused = |error: ResponseError| BeginQuorumEpochResponse::default().with_error_code(error.code());
        let topics = request.topics.into_iter().map(|t| (t.topic_name, t.partitions));
        let p = match self.only(request.cluster_id.as_ref(), topics, |p| p.partition_index) {
            Ok(partition) => partition,
            Err(error) => return refused(error),
        };
        let (epoch, leader) = (LeaderEpoch(p.leader_epoch), BrokerId(p.leader_id.0));
        let asked = self.ask(Request::BeginQuorumEpoch { epoch, leader });
        let Some((code, leader, epoch, _)) = asked.await else { return refused(GONE) };
        let partition =
            begin::PartitionData::default().with_error_code(code).with_leader_id(id(leader)).with_leader_epoch(epoch);
        let topic = begin::TopicData::default().with_topic_name(topic_name()).with_partitions(vec![partition]);
        BeginQuorumEpochResponse::default().with_topics(vec![topic])
    }

    /// Answers a leader that gives up.
    pub async fn handle_end(&self, request: EndQuorumEpochRequest) -> EndQuorumEpochResponse {
        let refused = |error: ResponseError| EndQuorumEpochResponse::default().with_error_code(error.code());
        let topics = request.topics.into_iter().map(|t| (t.topic_name, t.partitions));
        let p = match self.only(request.cluster_id.as_ref(), topics, |p| p.partition_index) {
            Ok(partition) => partition,
            Err(error) => return refused(error),
        };
        let candidates = p.preferred_candidates.iter().map(|c| BrokerId(c.candidate_id.0));
        // Version 0 has ids where version 1 has replicas; the other list is empty.
        let successors = candidates.chain(p.preferred_successors.iter().map(|&id| BrokerId(id))).collect();
        let (epoch, leader) = (LeaderEpoch(p.leader_epoch), BrokerId(p.leader_id.0));
        let asked = self.ask(Request::EndQuorumEpoch { epoch, leader, successors });
        let Some((code, leader, epoch, _)) = asked.await else { return refused(GONE) };
        let partition =
            end::PartitionData::default().with_error_code(code).with_leader_id(id(leader)).with_leader_epoch(epoch);
        let topic = end::TopicData::default().with_topic_name(topic_name()).with_partitions(vec![partition]);
        EndQuorumEpochResponse::default().with_topics(vec![topic])
    }

    /// Answers a replica of the metadata log, when there is something for it or its time is over.
    pub async fn handle_fetch(&self, request: FetchRequest) -> FetchResponse {
        let refused = |error: ResponseError| FetchResponse::default().with_error_code(error.code());
        let topics = request.topics.into_iter().map(|t| {
            let name = if t.topic_id == METADATA_TOPIC_ID { topic_name() } else { t.topic };
            (name, t.partitions)
        });
        let p = match self.only(request.cluster_id.as_ref(), topics, |p| p.partition) {
            Ok(partition) => partition,
            Err(error) => return refused(error),
        };
        let replica = BrokerId(request.replica_state.replica_id.0.max(request.replica_id.0));
        let asked = self.ask(Request::Fetch {
            replica,
            epoch: LeaderEpoch(p.current_leader_epoch),
            offset: Offset(p.fetch_offset),
            last_epoch: LeaderEpoch(p.last_fetched_epoch),
            high_watermark: Offset(p.high_watermark),
            max_wait_ms: u64::try_from(request.max_wait_ms).unwrap_or(0),
        });
        let Some((code, leader, epoch, answered)) = asked.await else { return refused(GONE) };
        let current = fetch::LeaderIdAndEpoch::default().with_leader_id(id(leader)).with_leader_epoch(epoch);
        let records = match answered.records {
            Records::Here(bytes) => Ok(bytes),
            Records::OnDisk(ReadRange { from, to }) => {
                self.log.read(from, self.config.raft.fetch_max_bytes, to, true).await
            }
        };
        let unreadable = records.is_err();
        let code = if code == 0 && unreadable { ResponseError::UnknownServerError.code() } else { code };
        let mut partition = fetch::PartitionData::default()
            .with_error_code(code)
            .with_current_leader(current)
            .with_high_watermark(-1)
            .with_records(Some(records.unwrap_or_default()));
        if let Body::Fetch { high_watermark, diverging, snapshot, .. } = answered.reply.body {
            partition.high_watermark = high_watermark.unwrap_or(Offset::NONE).0;
            if let Some((epoch, end)) = diverging {
                partition.diverging_epoch = fetch::EpochEndOffset::default().with_epoch(epoch.0).with_end_offset(end.0);
            }
            if let Some(id) = snapshot {
                partition.snapshot_id =
                    fetch::SnapshotId::default().with_end_offset(id.offset.0).with_epoch(id.epoch.0);
            }
        }
        let topic = fetch::FetchableTopicResponse::default()
            .with_topic(topic_name())
            .with_topic_id(METADATA_TOPIC_ID)
            .with_partitions(vec![partition]);
        FetchResponse::default().with_responses(vec![topic])
    }

    /// Answers a replica that loads a snapshot (KIP-630).
    pub async fn handle_fetch_snapshot(&self, request: FetchSnapshotRequest) -> FetchSnapshotResponse {
        let refused = |error: ResponseError| FetchSnapshotResponse::default().with_error_code(error.code());
        let topics = request.topics.into_iter().map(|t| (t.name, t.partitions));
        let p = match self.only(request.cluster_id.as_ref(), topics, |p| p.partition) {
            Ok(partition) => partition,
            Err(error) => return refused(error),
        };
        let id = SnapshotId { offset: Offset(p.snapshot_id.end_offset), epoch: LeaderEpoch(p.snapshot_id.epoch) };
        let asked = self.ask(Request::FetchSnapshot {
            replica: BrokerId(request.replica_id.0),
            epoch: LeaderEpoch(p.current_leader_epoch),
            snapshot: id,
            // No snapshot reaches as far as a negative position does then.
            position: u64::try_from(p.position).unwrap_or(u64::MAX),
            max_bytes: usize::try_from(request.max_bytes).unwrap_or(0),
        });
        let Some((mut code, leader, epoch, answered)) = asked.await else { return refused(GONE) };
        let mut piece = Bytes::new();
        let mut total = 0;
        if let Body::FetchSnapshot { size, chunk: ReadChunk { position, max_bytes }, .. } = answered.reply.body
            && code == 0
        {
            total = i64::try_from(size).unwrap_or(i64::MAX);
            match self.snapshots.piece(id, position, max_bytes).await {
                Ok(Some(bytes)) => piece = bytes,
                Ok(None) => code = ResponseError::SnapshotNotFound.code(),
                Err(_) => code = ResponseError::UnknownServerError.code(),
            }
        }
        let current =
            snapshot::LeaderIdAndEpoch::default().with_leader_id(messages::id(leader)).with_leader_epoch(epoch);
        let partition = snapshot::PartitionSnapshot::default()
            .with_index(0)
            .with_error_code(code)
            .with_snapshot_id(snapshot::SnapshotId::default().with_end_offset(id.offset.0).with_epoch(id.epoch.0))
            .with_current_leader(current)
            .with_size(total)
            .with_position(p.position)
            .with_unaligned_records(piece);
        let topic = snapshot::TopicSnapshot::default().with_name(topic_name()).with_partitions(vec![partition]);
        FetchSnapshotResponse::default().with_topics(vec![topic])
    }

    /// The answer: its error code, the leader (or -1) and epoch, and the rest. None if this node has failed.
    async fn ask(&self, request: Request) -> Option<(i16, BrokerId, i32, Answered)> {
        let receiver = {
            let mut shell = self.shell.lock();
            let receiver = shell.ask(clock::now(), request);
            self.rearm_if_earlier(&shell);
            receiver
        };
        let answered = receiver.await.ok()?;
        let code = answered.reply.error.map_or(0, |error| error.code());
        let current = answered.reply.current;
        Some((code, current.leader.unwrap_or(BrokerId::NONE), current.epoch.0, answered))
    }
    /// The one partition that a request may be about.
    fn only<P>(
        &self,
        cluster_id: Option<&StrBytes>,
        topics: impl Iterator<Item = (TopicName, Vec<P>)>,
        index: impl Fn(&P) -> i32,
    ) -> Result<P, ResponseError> {
        if cluster_id.is_some_and(|id| **id != *self.config.cluster_id) {
            return Err(ResponseError::InconsistentClusterId);
        }
        let mut partitions =
            topics.flat_map(|(name, partitions)| partitions.into_iter().map(move |p| (name.clone(), p)));
        match (partitions.next(), partitions.next()) {
            (Some((name, partition)), None) if &**name == METADATA_TOPIC && index(&partition) == 0 => Ok(partition),
            _ => Err(ResponseError::InvalidRequest),
        }
    }
}

/// What a node that has failed says until its process ends.
const GONE: ResponseError = ResponseError::BrokerNotAvailable;
