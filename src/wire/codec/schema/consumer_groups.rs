//! Groups of the consumer protocol (KIP-848).

use super::kinds::*;

const PARTITIONS: &[Field] = &[field("topic_id", UUID), field("partitions", Values(&I32))];
/// `ConsumerGroupHeartbeatRequest`.
pub const CONSUMER_GROUP_HEARTBEAT_REQUEST: Schema = Schema {
    flexible: 0,
    fields: &[
        field("group_id", Str),
        field("member_id", Str),
        field("member_epoch", I32),
        field("instance_id", Str),
        field("rack_id", Str),
        field("rebalance_timeout_ms", I32),
        field("subscribed_topic_names", Values(&Str)),
        field("subscribed_topic_regex", Str).since(1),
        field("server_assignor", Str),
        field("topic_partitions", Structs(PARTITIONS)),
    ],
};

const ASSIGNMENT: &[Field] = &[field("topic_partitions", Structs(PARTITIONS))];
/// `ConsumerGroupHeartbeatResponse`.
pub const CONSUMER_GROUP_HEARTBEAT_RESPONSE: Schema = Schema {
    flexible: 0,
    fields: &[
        field("throttle_time_ms", I32),
        field("error_code", I16),
        field("error_message", Str),
        field("member_id", Str),
        field("member_epoch", I32),
        field("heartbeat_interval_ms", I32),
        field("assignment", Kind::Nullable(ASSIGNMENT)),
    ],
};

/// `ConsumerGroupDescribeRequest`.
pub const CONSUMER_GROUP_DESCRIBE_REQUEST: Schema =
    Schema { flexible: 0, fields: &[field("group_ids", Values(&Str)), field("include_authorized_operations", I8)] };

const NAMED_PARTITIONS: &[Field] =
    &[field("topic_id", UUID), field("topic_name", Str), field("partitions", Values(&I32))];
const SHARE: &[Field] = &[field("topic_partitions", Structs(NAMED_PARTITIONS))];
const MEMBER: &[Field] = &[
    field("member_id", Str),
    field("instance_id", Str),
    field("rack_id", Str),
    field("member_epoch", I32),
    field("client_id", Str),
    field("client_host", Str),
    field("subscribed_topic_names", Values(&Str)),
    field("subscribed_topic_regex", Str),
    field("assignment", Struct(SHARE)),
    field("target_assignment", Struct(SHARE)),
    field("member_type", I8).since(1),
];
const GROUP: &[Field] = &[
    field("error_code", I16),
    field("error_message", Str),
    field("group_id", Str),
    field("group_state", Str),
    field("group_epoch", I32),
    field("assignment_epoch", I32),
    field("assignor_name", Str),
    field("members", Structs(MEMBER)),
    field("authorized_operations", I32),
];
/// `ConsumerGroupDescribeResponse`.
pub const CONSUMER_GROUP_DESCRIBE_RESPONSE: Schema =
    Schema { flexible: 0, fields: &[field("throttle_time_ms", I32), field("groups", Structs(GROUP))] };
