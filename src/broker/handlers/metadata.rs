//! Metadata: brokers, topics, leaders, out of the image that this broker has replayed.

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{MetadataRequest, MetadataResponse, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::super::node::Node;
use crate::base::BrokerId;
use crate::controller::image::{Image, Partition, Topic};

impl Node {
    pub(super) async fn metadata(self: &Arc<Self>, request: MetadataRequest, version: i16) -> MetadataResponse {
        let image = self.metadata.image();
        let topics = match &request.topics {
            None => image.topics().map(|t| topic_response(&image, t, version)).collect(),
            // Version 0 knows no null: an empty list asks for everything.
            Some(list) if version == 0 && list.is_empty() => {
                image.topics().map(|t| topic_response(&image, t, version)).collect()
            }
            Some(list) => {
                self.create_missing(&request, list, &image).await;
                let image = self.metadata.image();
                list.iter().map(|asked| asked_topic(&image, asked, version)).collect()
            }
        };
        let brokers = image.brokers().filter(|b| !b.fenced).filter_map(|b| {
            let (host, port) = self.address_of(&image, b.id)?;
            Some(
                MetadataResponseBroker::default()
                    .with_node_id(b.id.0.into())
                    .with_host(host)
                    .with_port(i32::from(port))
                    .with_rack(b.rack.clone().filter(|_| version >= 1).map(|r| StrBytes::from_string(r.to_string()))),
            )
        });
        MetadataResponse::default()
            .with_brokers(brokers.collect())
            .with_cluster_id(Some(StrBytes::from_string(self.options.cluster_id.clone())))
            .with_controller_id(self.any_broker(&image).0.into())
            .with_topics(topics)
    }

    /// KRaft hides the active controller: admin requests go to any broker, which forwards them (KIP-590).
    pub(super) fn any_broker(&self, image: &Image) -> BrokerId {
        if image.broker(self.options.id).is_some_and(|b| !b.fenced) {
            return self.options.id;
        }
        image.brokers().find(|b| !b.fenced).map_or(BrokerId::NONE, |b| b.id)
    }

    async fn create_missing(
        self: &Arc<Self>,
        request: &MetadataRequest,
        asked: &[MetadataRequestTopic],
        image: &Image,
    ) {
        if !request.allow_auto_topic_creation || !self.options.config.auto_create_topics {
            return;
        }
        let name = |t: &MetadataRequestTopic| t.name.clone().filter(|n| image.topic(n.as_str()).is_none());
        let missing: Vec<TopicName> = asked.iter().filter_map(name).collect();
        if !missing.is_empty() {
            self.auto_create(missing).await;
        }
    }
}

fn asked_topic(image: &Image, asked: &MetadataRequestTopic, version: i16) -> MetadataResponseTopic {
    let found = match &asked.name {
        Some(name) => image.topic(name.as_str()),
        None => image.topic_by_id(asked.topic_id),
    };
    if let Some(topic) = found {
        return topic_response(image, topic, version);
    }
    let error = match asked.name {
        Some(_) => ResponseError::UnknownTopicOrPartition,
        None => ResponseError::UnknownTopicId,
    };
    MetadataResponseTopic::default()
        .with_error_code(error.code())
        .with_name(asked.name.clone())
        .with_topic_id(asked.topic_id)
}

fn topic_response(image: &Image, topic: &Topic, version: i16) -> MetadataResponseTopic {
    MetadataResponseTopic::default()
        .with_name(Some(StrBytes::from_string(topic.name.to_string()).into()))
        .with_topic_id(if version >= 10 { topic.id } else { uuid::Uuid::nil() })
        .with_is_internal(topic.name.starts_with("__"))
        .with_partitions(topic.indexed().map(|(i, p)| partition_response(image, i, p, version)).collect())
}

fn partition_response(image: &Image, index: i32, p: &Partition, version: i16) -> MetadataResponsePartition {
    let alive = |b: &BrokerId| image.broker(*b).is_some_and(|b| !b.fenced);
    let has_leader = p.has_leader() && alive(&p.leader);
    let offline: Vec<_> = p.replicas.iter().filter(|b| !alive(b)).map(|b| b.0.into()).collect();
    MetadataResponsePartition::default()
        .with_error_code(if has_leader { 0 } else { ResponseError::LeaderNotAvailable.code() })
        .with_partition_index(index)
        .with_leader_id(if has_leader { p.leader.0 } else { -1 }.into())
        .with_leader_epoch(p.leader_epoch.0)
        .with_replica_nodes(p.replicas.iter().map(|b| b.0.into()).collect())
        .with_isr_nodes(p.isr.iter().map(|b| b.0.into()).collect())
        .with_offline_replicas(if version >= 5 { offline } else { Vec::new() })
}
