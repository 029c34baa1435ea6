//! OffsetCommit, OffsetFetch, OffsetDelete.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_commit_request::OffsetCommitRequestTopic;
use kafka_protocol::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse, OffsetFetchRequest,
    OffsetFetchResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::members::unexpected;
use crate::base::TopicPartition;
use crate::broker::node::Node;
use crate::controller::image::Image;
use crate::group::{CommittedOffset, Reply};

/// From this version on, several groups are asked for at once (KIP-709).
const SEVERAL_GROUPS: i16 = 8;
/// From this version on, an error concerns the whole answer and not each partition.
const GROUP_ERROR: i16 = 2;

fn committed(topics: &[OffsetCommitRequestTopic], error: ResponseError) -> Vec<OffsetCommitResponseTopic> {
    let partition =
        |index| OffsetCommitResponsePartition::default().with_partition_index(index).with_error_code(error.code());
    let topic = |t: &OffsetCommitRequestTopic| {
        OffsetCommitResponseTopic::default()
            .with_name(t.name.clone())
            .with_partitions(t.partitions.iter().map(|p| partition(p.partition_index)).collect())
    };
    topics.iter().map(topic).collect()
}

/// Takes out what no topic has.
fn split_unknown(image: &Image, r: &mut OffsetCommitRequest) -> Vec<OffsetCommitRequestTopic> {
    let mut unknown = Vec::new();
    for topic in &mut r.topics {
        let exists = |index| image.topic(&topic.name).is_some_and(|t| t.partition(index).is_some());
        let (known, gone) = topic.partitions.drain(..).partition(|p| exists(p.partition_index));
        topic.partitions = known;
        unknown.push(OffsetCommitRequestTopic::default().with_name(topic.name.clone()).with_partitions(gone));
    }
    unknown.retain(|t| !t.partitions.is_empty());
    r.topics.retain(|t| !t.partitions.is_empty());
    unknown
}

impl Node {
    pub(super) async fn offset_commit(
        self: &Arc<Self>,
        mut r: OffsetCommitRequest,
        version: i16,
    ) -> OffsetCommitResponse {
        let unknown = split_unknown(&self.metadata.image(), &mut r);
        let refused = |error| OffsetCommitResponse::default().with_topics(committed(&r.topics, error));
        let mut response = match super::named(&r.group_id) {
            Err(error) => refused(error),
            Ok(()) if r.topics.is_empty() => OffsetCommitResponse::default(),
            Ok(()) => {
                let commit = self.groups.call(&r.group_id, |core, now, ticket, out| {
                    core.commit_in_version(now, ticket, &r, version, out);
                });
                match commit.await {
                    Ok(Reply::Commit(response)) => response,
                    Ok(other) => unexpected(&other, refused),
                    Err(error) => refused(error),
                }
            }
        };
        response.topics.extend(committed(&unknown, ResponseError::UnknownTopicOrPartition));
        response
    }

    pub(super) async fn offset_delete(self: &Arc<Self>, r: OffsetDeleteRequest) -> OffsetDeleteResponse {
        let refused = |error: ResponseError| OffsetDeleteResponse::default().with_error_code(error.code());
        if let Err(error) = super::named(&r.group_id) {
            return refused(error);
        }
        let act = self.groups.call(&r.group_id, |core, now, ticket, out| core.delete_offsets(now, ticket, &r, out));
        match act.await {
            Ok(Reply::OffsetDelete(response)) => response,
            Ok(other) => unexpected(&other, refused),
            Err(error) => refused(error),
        }
    }

    pub(super) async fn offset_fetch(self: &Arc<Self>, r: OffsetFetchRequest, version: i16) -> OffsetFetchResponse {
        if version >= SEVERAL_GROUPS {
            let groups = r.groups.iter().map(|g| self.fetch_group(g)).collect();
            return OffsetFetchResponse::default().with_groups(groups);
        }
        let topics = r.topics.as_ref().map(|topics| {
            let topic = |t: &kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic| {
                OffsetFetchRequestTopics::default()
                    .with_name(t.name.clone())
                    .with_partition_indexes(t.partition_indexes.clone())
            };
            topics.iter().map(topic).collect()
        });
        let asked = OffsetFetchRequestGroup::default().with_group_id(r.group_id.clone()).with_topics(topics);
        let found = self.fetch_group(&asked);
        let in_partitions = if version < GROUP_ERROR { found.error_code } else { 0 };
        let partition = |p: OffsetFetchResponsePartitions| {
            OffsetFetchResponsePartition::default()
                .with_partition_index(p.partition_index)
                .with_committed_offset(p.committed_offset)
                .with_committed_leader_epoch(p.committed_leader_epoch)
                .with_metadata(p.metadata)
                .with_error_code(in_partitions)
        };
        let topic = |t: OffsetFetchResponseTopics| {
            OffsetFetchResponseTopic::default()
                .with_name(t.name)
                .with_partitions(t.partitions.into_iter().map(partition).collect())
        };
        let code = if version < GROUP_ERROR { 0 } else { found.error_code };
        OffsetFetchResponse::default().with_error_code(code).with_topics(found.topics.into_iter().map(topic).collect())
    }
    fn fetch_group(&self, asked: &OffsetFetchRequestGroup) -> OffsetFetchResponseGroup {
        let response = OffsetFetchResponseGroup::default().with_group_id(asked.group_id.clone());
        let offsets = super::named(&asked.group_id).and_then(|()| {
            self.groups.ask(&asked.group_id, |core, _, _| {
                core.check_offset_fetch(&asked.group_id, asked.member_id.as_deref(), asked.member_epoch)?;
                Ok(core.committed_offsets(&asked.group_id).cloned())
            })?
        });
        match offsets {
            Ok(offsets) => response.with_topics(found(asked, &offsets.unwrap_or_default())),
            Err(error) => response.with_error_code(error.code()).with_topics(found(asked, &BTreeMap::new())),
        }
    }
}

/// What was asked for, or everything; what was never committed is -1.
fn found(
    asked: &OffsetFetchRequestGroup,
    offsets: &BTreeMap<TopicPartition, CommittedOffset>,
) -> Vec<OffsetFetchResponseTopics> {
    let partition = |tp: &TopicPartition| {
        let value = offsets.get(tp).map(|o| &o.value);
        OffsetFetchResponsePartitions::default()
            .with_partition_index(tp.partition)
            .with_committed_offset(value.map_or(-1, |v| v.offset))
            .with_committed_leader_epoch(value.map_or(-1, |v| v.leader_epoch))
            .with_metadata(Some(StrBytes::from_string(value.map_or_else(String::new, |v| v.metadata.to_string()))))
    };
    if let Some(topics) = &asked.topics {
        let topic = |t: &OffsetFetchRequestTopics| {
            let tp = |index: &i32| TopicPartition::new(t.name.as_str(), *index);
            let partitions = t.partition_indexes.iter().map(|i| partition(&tp(i))).collect();
            OffsetFetchResponseTopics::default().with_name(t.name.clone()).with_partitions(partitions)
        };
        return topics.iter().map(topic).collect();
    }
    let mut all: Vec<OffsetFetchResponseTopics> = Vec::new();
    for tp in offsets.keys() {
        if all.last().is_none_or(|t| t.name.as_str() != &*tp.topic) {
            let name = StrBytes::from_string(tp.topic.to_string()).into();
            all.push(OffsetFetchResponseTopics::default().with_name(name));
        }
        all.last_mut().expect("a topic was opened").partitions.push(partition(tp));
    }
    all
}
