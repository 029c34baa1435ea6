//! Our own requests in Kafka's words, and the peers' answers in the core's.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{
    self, BeginQuorumEpochRequest, EndQuorumEpochRequest, FetchRequest, FetchResponse, FetchSnapshotRequest,
    FetchSnapshotResponse, VoteRequest, begin_quorum_epoch_request as begin, end_quorum_epoch_request as end,
    fetch_request as fetch, fetch_snapshot_request as snapshot, vote_request as vote,
};
use kafka_protocol::protocol::StrBytes;

use super::{METADATA_TOPIC, METADATA_TOPIC_ID, QuorumConfig, encode};
use crate::base::{BrokerId, LeaderEpoch, Offset};
use crate::raft::{Answer, Batch, Body, Leadership, Request, Response, SnapshotId};
use crate::wire::api::own_version_of;
use crate::wire::conn::{RpcConn, RpcError};

/// The quorum fetches in the newest version, which carries the replica's high watermark (KIP-1166).
const FETCH_VERSION: i16 = 18;

/// Why a request has no answer that the core could use.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    #[error(transparent)]
    Rpc(#[from] RpcError),
    #[error("the peer refused: {0:?}")]
    Refused(Option<ResponseError>),
    #[error("the answer makes no sense: {0}")]
    Senseless(String),
}

/// Sends `request` to `peer` and waits for its answer, for `timeout` at most.
pub(super) async fn call(
    conn: &mut RpcConn,
    config: &QuorumConfig,
    peer: BrokerId,
    request: &Request,
    timeout: Duration,
) -> Result<Answer, CallError> {
    let cluster_id = Some(text(&config.cluster_id));
    match request {
        Request::Vote { epoch, candidate, last_epoch, end, pre_vote } => {
            let partition = vote::PartitionData::default()
                .with_replica_epoch(epoch.0)
                .with_replica_id(id(*candidate))
                .with_last_offset_epoch(last_epoch.0)
                .with_last_offset(end.0)
                .with_pre_vote(*pre_vote);
            let topic = vote::TopicData::default().with_topic_name(topic_name()).with_partitions(vec![partition]);
            let message =
                VoteRequest::default().with_cluster_id(cluster_id).with_voter_id(id(peer)).with_topics(vec![topic]);
            let response = conn.call(own_version_of::<VoteRequest>(), &message, timeout).await?;
            let p = only(response.error_code, response.topics, |t| t.partitions)?;
            Ok(answer(p.error_code, p.leader_id, p.leader_epoch, Body::Vote { granted: p.vote_granted }))
        }
        Request::BeginQuorumEpoch { epoch, leader } => {
            let partition = begin::PartitionData::default().with_leader_id(id(*leader)).with_leader_epoch(epoch.0);
            let topic = begin::TopicData::default().with_topic_name(topic_name()).with_partitions(vec![partition]);
            let message = BeginQuorumEpochRequest::default()
                .with_cluster_id(cluster_id)
                .with_voter_id(id(peer))
                .with_topics(vec![topic]);
            let response = conn.call(own_version_of::<BeginQuorumEpochRequest>(), &message, timeout).await?;
            let p = only(response.error_code, response.topics, |t| t.partitions)?;
            Ok(answer(p.error_code, p.leader_id, p.leader_epoch, Body::BeginQuorumEpoch))
        }
        Request::EndQuorumEpoch { epoch, leader, successors } => {
            let candidate = |&id: &BrokerId| end::ReplicaInfo::default().with_candidate_id(self::id(id));
            let partition = end::PartitionData::default()
                .with_leader_id(id(*leader))
                .with_leader_epoch(epoch.0)
                .with_preferred_candidates(successors.iter().map(candidate).collect());
            let topic = end::TopicData::default().with_topic_name(topic_name()).with_partitions(vec![partition]);
            let message = EndQuorumEpochRequest::default().with_cluster_id(cluster_id).with_topics(vec![topic]);
            let response = conn.call(own_version_of::<EndQuorumEpochRequest>(), &message, timeout).await?;
            let p = only(response.error_code, response.topics, |t| t.partitions)?;
            Ok(answer(p.error_code, p.leader_id, p.leader_epoch, Body::EndQuorumEpoch))
        }
        Request::Fetch { replica, epoch, offset, last_epoch, high_watermark, max_wait_ms } => {
            let max_bytes = i32::try_from(config.raft.fetch_max_bytes).unwrap_or(i32::MAX);
            let partition = fetch::FetchPartition::default()
                .with_current_leader_epoch(epoch.0)
                .with_fetch_offset(offset.0)
                .with_last_fetched_epoch(last_epoch.0)
                .with_high_watermark(high_watermark.0)
                .with_partition_max_bytes(max_bytes);
            let topic = fetch::FetchTopic::default().with_topic_id(METADATA_TOPIC_ID).with_partitions(vec![partition]);
            let message = FetchRequest::default()
                .with_cluster_id(cluster_id)
                .with_replica_state(fetch::ReplicaState::default().with_replica_id(id(*replica)))
                .with_max_wait_ms(i32::try_from(*max_wait_ms).unwrap_or(i32::MAX))
                .with_max_bytes(max_bytes)
                .with_topics(vec![topic]);
            fetched(conn.call(FETCH_VERSION, &message, timeout).await?)
        }
        Request::FetchSnapshot { replica, epoch, snapshot: wanted, position, max_bytes } => {
            let name = snapshot::SnapshotId::default().with_end_offset(wanted.offset.0).with_epoch(wanted.epoch.0);
            let partition = snapshot::PartitionSnapshot::default()
                .with_current_leader_epoch(epoch.0)
                .with_snapshot_id(name)
                .with_position(i64::try_from(*position).unwrap_or(i64::MAX));
            let topic = snapshot::TopicSnapshot::default().with_name(topic_name()).with_partitions(vec![partition]);
            let message = FetchSnapshotRequest::default()
                .with_cluster_id(cluster_id)
                .with_replica_id(id(*replica))
                .with_max_bytes(i32::try_from(*max_bytes).unwrap_or(i32::MAX))
                .with_topics(vec![topic]);
            snapshot_fetched(conn.call(own_version_of::<FetchSnapshotRequest>(), &message, timeout).await?)
        }
    }
}

fn fetched(response: FetchResponse) -> Result<Answer, CallError> {
    let p = only(response.error_code, response.responses, |t| t.partitions)?;
    let records = p.records.unwrap_or_default();
    let batches = encode::split(&records).map_err(|e| CallError::Senseless(e.to_string()))?;
    let known = |offset: i64| (offset >= 0).then_some(Offset(offset));
    let diverging = known(p.diverging_epoch.end_offset).map(|end| (LeaderEpoch(p.diverging_epoch.epoch), end));
    let id = |offset| SnapshotId { offset, epoch: LeaderEpoch(p.snapshot_id.epoch) };
    let snapshot = known(p.snapshot_id.end_offset).map(id);
    let body = Body::Fetch { high_watermark: known(p.high_watermark), diverging, snapshot, records: batches };
    Ok(answer(p.error_code, p.current_leader.leader_id, p.current_leader.leader_epoch, body))
}

fn snapshot_fetched(response: FetchSnapshotResponse) -> Result<Answer, CallError> {
    let p = only(response.error_code, response.topics, |t| t.partitions)?;
    let (Ok(size), Ok(position)) = (u64::try_from(p.size), u64::try_from(p.position)) else {
        return Err(CallError::Senseless("a snapshot of less than nothing".to_owned()));
    };
    let (offset, epoch) = (Offset(p.snapshot_id.end_offset), LeaderEpoch(p.snapshot_id.epoch));
    let snapshot = SnapshotId { offset, epoch };
    let body = Body::FetchSnapshot { snapshot, size, position, chunk: p.unaligned_records };
    Ok(answer(p.error_code, p.current_leader.leader_id, p.current_leader.leader_epoch, body))
}

/// The one partition of a response that is about one.
fn only<T, P>(error_code: i16, topics: Vec<T>, partitions: impl Fn(T) -> Vec<P>) -> Result<P, CallError> {
    if error_code != 0 {
        return Err(CallError::Refused(ResponseError::try_from_code(error_code)));
    }
    let first = topics.into_iter().next().and_then(|topic| partitions(topic).into_iter().next());
    first.ok_or_else(|| CallError::Senseless("no partition in a response".to_owned()))
}

fn answer(error_code: i16, leader: messages::BrokerId, epoch: i32, body: Body<Vec<Batch>, Bytes>) -> Answer {
    let current = Leadership { leader: (leader.0 >= 0).then_some(BrokerId(leader.0)), epoch: LeaderEpoch(epoch) };
    // An error that we have no name for is an error still.
    let unnamed = || ResponseError::UnknownServerError;
    let error = (error_code != 0).then(|| ResponseError::try_from_code(error_code).unwrap_or_else(unnamed));
    Response { current, error, body }
}

pub(super) fn id(broker: BrokerId) -> messages::BrokerId {
    messages::BrokerId(broker.0)
}
pub(super) fn text(text: &str) -> StrBytes {
    StrBytes::from_utf8(Bytes::copy_from_slice(text.as_bytes())).expect("a string is UTF-8")
}
pub(super) fn topic_name() -> messages::TopicName {
    messages::TopicName(StrBytes::from_static_str(METADATA_TOPIC))
}
