//! The core's vocabulary as Kafka's messages, and back. The metadata log has one topic with one partition, so every
//! message holds exactly one of each.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ReplicaState};
use kafka_protocol::messages::fetch_response::{
    EpochEndOffset, FetchableTopicResponse, LeaderIdAndEpoch, PartitionData as FetchData,
};
use kafka_protocol::messages::{
    BeginQuorumEpochRequest, BeginQuorumEpochResponse, EndQuorumEpochRequest, EndQuorumEpochResponse, FetchRequest,
    FetchResponse, TopicName, VoteRequest, VoteResponse, begin_quorum_epoch_request as begin,
    begin_quorum_epoch_response as begun, end_quorum_epoch_request as end, end_quorum_epoch_response as ended,
    vote_request as vote, vote_response as voted,
};
use kafka_protocol::protocol::StrBytes;

use super::{METADATA_TOPIC, METADATA_TOPIC_ID};
use crate::base::{BrokerId, LeaderEpoch, Offset};
use crate::log::batch::batches_strict;
use crate::raft::{Answer, Batch, Body, Content, Leadership, Reply, Request};

fn topic_name() -> TopicName {
    StrBytes::from_static_str(METADATA_TOPIC).into()
}

fn leadership(leader: i32, epoch: i32) -> Leadership {
    Leadership { leader: (leader >= 0).then_some(BrokerId(leader)), epoch: LeaderEpoch(epoch) }
}

fn id_of(leader: Option<BrokerId>) -> kafka_protocol::messages::BrokerId {
    leader.unwrap_or(BrokerId::NONE).0.into()
}

/// A request as it goes over the wire.
pub(super) enum Message {
    Vote(VoteRequest),
    Begin(BeginQuorumEpochRequest),
    End(EndQuorumEpochRequest),
    Fetch(FetchRequest),
}

/// Encodes a request of the core to the voter `to`.
pub(super) fn request(request: &Request, to: BrokerId, cluster_id: &str, max_bytes: usize) -> Message {
    let cluster = Some(StrBytes::from_string(cluster_id.to_owned()));
    match request {
        Request::Vote { epoch, candidate, last_epoch, end, pre_vote } => {
            let partition = vote::PartitionData::default()
                .with_replica_epoch(epoch.0)
                .with_replica_id(candidate.0.into())
                .with_last_offset_epoch(last_epoch.0)
                .with_last_offset(end.0)
                .with_pre_vote(*pre_vote);
            let topic = vote::TopicData::default().with_topic_name(topic_name()).with_partitions(vec![partition]);
            Message::Vote(
                VoteRequest::default().with_cluster_id(cluster).with_voter_id(to.0.into()).with_topics(vec![topic]),
            )
        }
        Request::BeginQuorumEpoch { epoch, leader } => {
            let partition =
                begin::PartitionData::default().with_leader_id(leader.0.into()).with_leader_epoch(epoch.0);
            let topic = begin::TopicData::default().with_topic_name(topic_name()).with_partitions(vec![partition]);
            Message::Begin(
                BeginQuorumEpochRequest::default()
                    .with_cluster_id(cluster)
                    .with_voter_id(to.0.into())
                    .with_topics(vec![topic]),
            )
        }
        Request::EndQuorumEpoch { epoch, leader, successors } => {
            let candidate = |id: &BrokerId| end::ReplicaInfo::default().with_candidate_id(id.0.into());
            let partition = end::PartitionData::default()
                .with_leader_id(leader.0.into())
                .with_leader_epoch(epoch.0)
                .with_preferred_candidates(successors.iter().map(candidate).collect());
            let topic = end::TopicData::default().with_topic_name(topic_name()).with_partitions(vec![partition]);
            Message::End(EndQuorumEpochRequest::default().with_cluster_id(cluster).with_topics(vec![topic]))
        }
        Request::Fetch { replica, epoch, offset, last_epoch, high_watermark, max_wait_ms } => {
            let partition = FetchPartition::default()
                .with_current_leader_epoch(epoch.0)
                .with_fetch_offset(offset.0)
                .with_last_fetched_epoch(last_epoch.0)
                .with_partition_max_bytes(0)
                .with_high_watermark(high_watermark.0);
            let topic =
                FetchTopic::default().with_topic_id(METADATA_TOPIC_ID).with_partitions(vec![partition]);
            Message::Fetch(
                FetchRequest::default()
                    .with_cluster_id(cluster)
                    .with_replica_state(ReplicaState::default().with_replica_id(replica.0.into()))
                    .with_max_wait_ms(i32::try_from(*max_wait_ms).unwrap_or(i32::MAX))
                    .with_max_bytes(i32::try_from(max_bytes).unwrap_or(i32::MAX))
                    .with_topics(vec![topic]),
            )
        }
    }
}

/// The error of an answer: the partition's, or else the whole message's.
fn error(message: i16, partition: i16) -> Option<ResponseError> {
    ResponseError::try_from_code(message).or_else(|| ResponseError::try_from_code(partition))
}

/// An answer without its one partition says at most why.
fn empty(code: i16, body: Body<Vec<Batch>>) -> Answer {
    let error = ResponseError::try_from_code(code).unwrap_or(ResponseError::UnknownServerError);
    Answer { current: Leadership { leader: None, epoch: LeaderEpoch::NONE }, error: Some(error), body }
}

pub(super) fn vote_answer(r: VoteResponse) -> Answer {
    let Some(p) = r.topics.first().and_then(|t| t.partitions.first()) else {
        return empty(r.error_code, Body::Vote { granted: false });
    };
    Answer {
        current: leadership(p.leader_id.0, p.leader_epoch),
        error: error(r.error_code, p.error_code),
        body: Body::Vote { granted: p.vote_granted },
    }
}

pub(super) fn begin_answer(r: BeginQuorumEpochResponse) -> Answer {
    let Some(p) = r.topics.first().and_then(|t| t.partitions.first()) else {
        return empty(r.error_code, Body::BeginQuorumEpoch);
    };
    Answer {
        current: leadership(p.leader_id.0, p.leader_epoch),
        error: error(r.error_code, p.error_code),
        body: Body::BeginQuorumEpoch,
    }
}

pub(super) fn end_answer(r: EndQuorumEpochResponse) -> Answer {
    let Some(p) = r.topics.first().and_then(|t| t.partitions.first()) else {
        return empty(r.error_code, Body::EndQuorumEpoch);
    };
    Answer {
        current: leadership(p.leader_id.0, p.leader_epoch),
        error: error(r.error_code, p.error_code),
        body: Body::EndQuorumEpoch,
    }
}

/// Reads a fetch answer; None if its records are corrupt, which counts as no answer at all.
pub(super) fn fetch_answer(mut r: FetchResponse) -> Option<Answer> {
    let none = || Body::Fetch { high_watermark: None, diverging: None, records: Vec::new() };
    let Some(p) = r.responses.first_mut().and_then(|t| t.partitions.first_mut()) else {
        return Some(empty(r.error_code, none()));
    };
    let mut records = Vec::new();
    for batch in batches_strict(&p.records.take().unwrap_or_default()) {
        let batch = batch.ok()?;
        batch.verify_crc().ok()?;
        records.push(Batch {
            base: batch.base_offset(),
            next: batch.next_offset(),
            epoch: batch.leader_epoch(),
            content: Content::Encoded(batch.into_bytes()),
        });
    }
    let diverging = (p.diverging_epoch.epoch >= 0)
        .then(|| (LeaderEpoch(p.diverging_epoch.epoch), Offset(p.diverging_epoch.end_offset)));
    Some(Answer {
        current: leadership(p.current_leader.leader_id.0, p.current_leader.leader_epoch),
        error: error(r.error_code, p.error_code),
        body: Body::Fetch {
            high_watermark: (p.high_watermark >= 0).then_some(Offset(p.high_watermark)),
            diverging,
            records,
        },
    })
}

/// Reads a vote request; None if it is not about the metadata log.
pub(super) fn read_vote(r: &VoteRequest) -> Option<Request> {
    let p = r.topics.first().filter(|t| t.topic_name.as_str() == METADATA_TOPIC)?.partitions.first()?;
    Some(Request::Vote {
        epoch: LeaderEpoch(p.replica_epoch),
        candidate: BrokerId(p.replica_id.0),
        last_epoch: LeaderEpoch(p.last_offset_epoch),
        end: Offset(p.last_offset),
        pre_vote: p.pre_vote,
    })
}

pub(super) fn read_begin(r: &BeginQuorumEpochRequest) -> Option<Request> {
    let p = r.topics.first().filter(|t| t.topic_name.as_str() == METADATA_TOPIC)?.partitions.first()?;
    Some(Request::BeginQuorumEpoch { epoch: LeaderEpoch(p.leader_epoch), leader: BrokerId(p.leader_id.0) })
}

pub(super) fn read_end(r: &EndQuorumEpochRequest) -> Option<Request> {
    let p = r.topics.first().filter(|t| t.topic_name.as_str() == METADATA_TOPIC)?.partitions.first()?;
    let candidates = p.preferred_candidates.iter().map(|c| BrokerId(c.candidate_id.0));
    let successors = p.preferred_successors.iter().map(|id| BrokerId(*id));
    Some(Request::EndQuorumEpoch {
        epoch: LeaderEpoch(p.leader_epoch),
        leader: BrokerId(p.leader_id.0),
        successors: candidates.chain(successors).collect(),
    })
}

pub(super) fn read_fetch(r: &FetchRequest) -> Option<Request> {
    let topic = r.topics.first()?;
    let ours = topic.topic_id == METADATA_TOPIC_ID || topic.topic.as_str() == METADATA_TOPIC;
    let p = topic.partitions.first().filter(|_| ours)?;
    let replica = if r.replica_state.replica_id.0 >= 0 { r.replica_state.replica_id } else { r.replica_id };
    Some(Request::Fetch {
        replica: BrokerId(replica.0),
        epoch: LeaderEpoch(p.current_leader_epoch),
        offset: Offset(p.fetch_offset),
        last_epoch: LeaderEpoch(p.last_fetched_epoch),
        high_watermark: Offset(p.high_watermark),
        max_wait_ms: u64::try_from(r.max_wait_ms).unwrap_or(0),
    })
}

fn code(error: Option<ResponseError>) -> i16 {
    error.map_or(0, |e| e.code())
}

pub(super) fn vote_response(reply: &Reply) -> VoteResponse {
    let granted = matches!(reply.body, Body::Vote { granted: true });
    let partition = voted::PartitionData::default()
        .with_error_code(code(reply.error))
        .with_leader_id(id_of(reply.current.leader))
        .with_leader_epoch(reply.current.epoch.0)
        .with_vote_granted(granted);
    let topic = voted::TopicData::default().with_topic_name(topic_name()).with_partitions(vec![partition]);
    VoteResponse::default().with_topics(vec![topic])
}

pub(super) fn begin_response(reply: &Reply) -> BeginQuorumEpochResponse {
    let partition = begun::PartitionData::default()
        .with_error_code(code(reply.error))
        .with_leader_id(id_of(reply.current.leader))
        .with_leader_epoch(reply.current.epoch.0);
    let topic = begun::TopicData::default().with_topic_name(topic_name()).with_partitions(vec![partition]);
    BeginQuorumEpochResponse::default().with_topics(vec![topic])
}

pub(super) fn end_response(reply: &Reply) -> EndQuorumEpochResponse {
    let partition = ended::PartitionData::default()
        .with_error_code(code(reply.error))
        .with_leader_id(id_of(reply.current.leader))
        .with_leader_epoch(reply.current.epoch.0);
    let topic = ended::TopicData::default().with_topic_name(topic_name()).with_partitions(vec![partition]);
    EndQuorumEpochResponse::default().with_topics(vec![topic])
}

pub(super) fn fetch_response(reply: &Reply, records: bytes::Bytes) -> FetchResponse {
    let mut data = FetchData::default()
        .with_error_code(code(reply.error))
        .with_high_watermark(-1)
        .with_current_leader(
            LeaderIdAndEpoch::default()
                .with_leader_id(id_of(reply.current.leader))
                .with_leader_epoch(reply.current.epoch.0),
        )
        .with_records(Some(records));
    if let Body::Fetch { high_watermark, diverging, .. } = &reply.body {
        data.high_watermark = high_watermark.unwrap_or(Offset::NONE).0;
        if let Some((epoch, end)) = diverging {
            data.diverging_epoch = EpochEndOffset::default().with_epoch(epoch.0).with_end_offset(end.0);
        }
    }
    let topic = FetchableTopicResponse::default().with_topic_id(METADATA_TOPIC_ID).with_partitions(vec![data]);
    FetchResponse::default().with_responses(vec![topic])
}
