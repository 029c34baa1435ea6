//! ConsumerGroupDescribe (`ConsumerGroup.asDescribedGroup`).

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::consumer_group_describe_response::{Assignment, DescribedGroup, Member, TopicPartitions};

use super::{ConsumerGroup, ConsumerMember, Partitions, Topics};
use crate::base::TopicId;
use crate::group::coordinator::Coordinator;
use crate::group::types::wire;

/// `MEMBER_TYPE` of a member that speaks the consumer protocol (KIP-1099).
const CONSUMER_MEMBER: i8 = 1;

impl Coordinator {
    /// One group's part of a ConsumerGroupDescribe response.
    #[must_use]
    pub fn describe_consumer(&self, id: &str) -> DescribedGroup {
        let described = DescribedGroup::default().with_group_id(wire(id).into());
        match self.consumer_group(id) {
            Some(group) => group.describe(described, group.assignor(self.config()).name(), &self.topics),
            None => described
                .with_error_code(ResponseError::GroupIdNotFound.code())
                .with_error_message(Some(wire(&format!("Group {id} is not a consumer group.")))),
        }
    }
}

impl ConsumerGroup {
    fn describe(&self, described: DescribedGroup, assignor: &str, topics: &Topics) -> DescribedGroup {
        let names: BTreeMap<TopicId, &Arc<str>> = topics.iter().map(|(name, info)| (info.id, name)).collect();
        let none = Partitions::new();
        let member = |m: &ConsumerMember| {
            Member::default()
                .with_member_id(wire(&m.id))
                .with_instance_id(m.instance.as_deref().map(wire))
                .with_rack_id(m.rack.as_deref().map(wire))
                .with_member_epoch(m.epoch)
                .with_client_id(wire(&m.client_id))
                .with_client_host(wire(&m.client_host))
                .with_subscribed_topic_names(m.topics.iter().map(|name| wire(name).into()).collect())
                .with_assignment(share(&m.assigned, &names))
                .with_target_assignment(share(self.targets.get(&m.id).unwrap_or(&none), &names))
                .with_member_type(CONSUMER_MEMBER)
        };
        described
            .with_group_state(wire(self.state().name()))
            .with_group_epoch(self.epoch)
            .with_assignment_epoch(self.assignment_epoch)
            .with_assignor_name(wire(assignor))
            .with_members(self.members.values().map(member).collect())
    }
}

/// Topics that exist no more are left out.
fn share(partitions: &Partitions, names: &BTreeMap<TopicId, &Arc<str>>) -> Assignment {
    let mut topics: Vec<TopicPartitions> = Vec::new();
    for (id, partition) in partitions {
        let Some(name) = names.get(id) else { continue };
        if topics.last().is_none_or(|t| t.topic_id != *id) {
            topics.push(TopicPartitions::default().with_topic_id(*id).with_topic_name(wire(name).into()));
        }
        topics.last_mut().expect("a topic was opened").partitions.push(*partition);
    }
    Assignment::default().with_topic_partitions(topics)
}
