//! FindCoordinator: who leads the partition that a group is kept in. The first who asks has the offsets topic created.

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{FindCoordinatorRequest, FindCoordinatorResponse};
use kafka_protocol::protocol::StrBytes;

use crate::base::BrokerId;
use crate::broker::groups::{Groups, OFFSETS_TOPIC};
use crate::broker::node::Node;

/// From this version on, several keys are asked for at once (KIP-699).
const SEVERAL_KEYS: i16 = 4;
/// The kind of key that is a group's id.
const GROUP: i8 = 0;

impl Node {
    pub(super) async fn find_coordinator(
        self: &Arc<Self>,
        request: FindCoordinatorRequest,
        version: i16,
    ) -> FindCoordinatorResponse {
        let one = [request.key.clone()];
        let keys = if version < SEVERAL_KEYS { &one[..] } else { &request.coordinator_keys };
        let mut found = Vec::with_capacity(keys.len());
        for key in keys {
            found.push(self.coordinator(key, request.key_type).await);
        }
        if version >= SEVERAL_KEYS {
            return FindCoordinatorResponse::default().with_coordinators(found);
        }
        let one = found.swap_remove(0);
        FindCoordinatorResponse::default()
            .with_error_code(one.error_code)
            .with_node_id(one.node_id)
            .with_host(one.host)
            .with_port(one.port)
    }
    async fn coordinator(self: &Arc<Self>, key: &StrBytes, kind: i8) -> Coordinator {
        let found = Coordinator::default().with_key(key.clone());
        match self.find_group(key, kind).await {
            Ok((id, host, port)) => found.with_node_id(id.0.into()).with_host(host).with_port(i32::from(port)),
            Err(error) => found.with_error_code(error.code()).with_node_id((-1).into()).with_port(-1),
        }
    }
    async fn find_group(self: &Arc<Self>, key: &str, kind: i8) -> Result<(BrokerId, StrBytes, u16), ResponseError> {
        if kind != GROUP {
            return Err(ResponseError::InvalidRequest);
        }
        super::named(key)?;
        if self.metadata.image().topic(OFFSETS_TOPIC).is_none() {
            self.create(vec![self.offsets_topic()]).await;
        }
        let image = self.metadata.image();
        let topic = image.topic(OFFSETS_TOPIC).ok_or(ResponseError::CoordinatorNotAvailable)?;
        let index = Groups::partition_of(key, topic.partitions.len() as i32);
        let leader = topic.partition(index).map_or(BrokerId::NONE, |p| p.leader);
        let (host, port) = self.address_of(&image, leader).ok_or(ResponseError::CoordinatorNotAvailable)?;
        Ok((leader, host, port))
    }
    fn offsets_topic(&self) -> CreatableTopic {
        let config = &self.options.config;
        let entry = |name: &'static str, value: StrBytes| {
            CreatableTopicConfig::default().with_name(StrBytes::from_static_str(name)).with_value(Some(value))
        };
        CreatableTopic::default()
            .with_name(StrBytes::from_static_str(OFFSETS_TOPIC).into())
            .with_num_partitions(config.offsets_topic_num_partitions as i32)
            .with_replication_factor(config.offsets_topic_replication_factor as i16)
            .with_configs(vec![
                entry("cleanup.policy", StrBytes::from_static_str("compact")),
                entry("compression.type", StrBytes::from_static_str("producer")),
                entry("segment.bytes", StrBytes::from_string(config.offsets_topic_segment_bytes.to_string())),
            ])
    }
}
