//! Consumer groups: coordinator, membership, committed offsets.

use super::kinds::*;

/// `FindCoordinatorRequest`.
pub const FIND_COORDINATOR_REQUEST: Schema = Schema {
    flexible: 3,
    fields: &[
        field("key", Str).until(3),
        field("key_type", I8).since(1),
        field("coordinator_keys", Values(&Str)).since(4),
    ],
};

const COORDINATOR: &[Field] = &[
    field("key", Str),
    field("node_id", I32),
    field("host", Str),
    field("port", I32),
    field("error_code", I16),
    field("error_message", Str),
];
/// `FindCoordinatorResponse`.
pub const FIND_COORDINATOR_RESPONSE: Schema = Schema {
    flexible: 3,
    fields: &[
        field("throttle_time_ms", I32).since(1),
        field("error_code", I16).until(3),
        field("error_message", Str).since(1).until(3),
        field("node_id", I32).until(3),
        field("host", Str).until(3),
        field("port", I32).until(3),
        field("coordinators", Structs(COORDINATOR)).since(4),
    ],
};

const JOIN_PROTOCOL: &[Field] = &[field("name", Str), field("metadata", Blob)];
/// `JoinGroupRequest`.
pub const JOIN_GROUP_REQUEST: Schema = Schema {
    flexible: 6,
    fields: &[
        field("group_id", Str),
        field("session_timeout_ms", I32),
        field("rebalance_timeout_ms", I32).since(1),
        field("member_id", Str),
        field("group_instance_id", Str).since(5),
        field("protocol_type", Str),
        field("protocols", Structs(JOIN_PROTOCOL)),
        field("reason", Str).since(8),
    ],
};

const JOIN_MEMBER: &[Field] =
    &[field("member_id", Str), field("group_instance_id", Str).since(5), field("metadata", Blob)];
/// `JoinGroupResponse`.
pub const JOIN_GROUP_RESPONSE: Schema = Schema {
    flexible: 6,
    fields: &[
        field("throttle_time_ms", I32).since(2),
        field("error_code", I16),
        field("generation_id", I32),
        field("protocol_type", Str).since(7),
        field("protocol_name", Str),
        field("leader", Str),
        field("skip_assignment", I8).since(9),
        field("member_id", Str),
        field("members", Structs(JOIN_MEMBER)),
    ],
};

const SYNC_ASSIGNMENT: &[Field] = &[field("member_id", Str), field("assignment", Blob)];
/// `SyncGroupRequest`.
pub const SYNC_GROUP_REQUEST: Schema = Schema {
    flexible: 4,
    fields: &[
        field("group_id", Str),
        field("generation_id", I32),
        field("member_id", Str),
        field("group_instance_id", Str).since(3),
        field("protocol_type", Str).since(5),
        field("protocol_name", Str).since(5),
        field("assignments", Structs(SYNC_ASSIGNMENT)),
    ],
};
/// `SyncGroupResponse`.
pub const SYNC_GROUP_RESPONSE: Schema = Schema {
    flexible: 4,
    fields: &[
        field("throttle_time_ms", I32).since(1),
        field("error_code", I16),
        field("protocol_type", Str).since(5),
        field("protocol_name", Str).since(5),
        field("assignment", Blob),
    ],
};

/// `HeartbeatRequest`.
pub const HEARTBEAT_REQUEST: Schema = Schema {
    flexible: 4,
    fields: &[
        field("group_id", Str),
        field("generation_id", I32),
        field("member_id", Str),
        field("group_instance_id", Str).since(3),
    ],
};
/// `HeartbeatResponse`.
pub const HEARTBEAT_RESPONSE: Schema =
    Schema { flexible: 4, fields: &[field("throttle_time_ms", I32).since(1), field("error_code", I16)] };

const LEAVING: &[Field] = &[field("member_id", Str), field("group_instance_id", Str), field("reason", Str).since(5)];
/// `LeaveGroupRequest`.
pub const LEAVE_GROUP_REQUEST: Schema = Schema {
    flexible: 4,
    fields: &[field("group_id", Str), field("member_id", Str).until(2), field("members", Structs(LEAVING)).since(3)],
};
const LEFT: &[Field] = &[field("member_id", Str), field("group_instance_id", Str), field("error_code", I16)];
/// `LeaveGroupResponse`.
pub const LEAVE_GROUP_RESPONSE: Schema = Schema {
    flexible: 4,
    fields: &[
        field("throttle_time_ms", I32).since(1),
        field("error_code", I16),
        field("members", Structs(LEFT)).since(3),
    ],
};

const COMMIT_PARTITION: &[Field] = &[
    field("partition_index", I32),
    field("committed_offset", I64),
    field("committed_leader_epoch", I32).since(6),
    field("committed_metadata", Str),
];
const COMMIT_TOPIC: &[Field] = &[field("name", Str), field("partitions", Structs(COMMIT_PARTITION))];
/// `OffsetCommitRequest`.
pub const OFFSET_COMMIT_REQUEST: Schema = Schema {
    flexible: 8,
    fields: &[
        field("group_id", Str),
        field("generation_id_or_member_epoch", I32),
        field("member_id", Str),
        field("group_instance_id", Str).since(7),
        field("retention_time_ms", I64).until(4),
        field("topics", Structs(COMMIT_TOPIC)),
    ],
};
const PARTITION_ERROR: &[Field] = &[field("partition_index", I32), field("error_code", I16)];
/// Version 10 of these responses is served to nobody, but the codec reads it.
const TOPIC_ERRORS: &[Field] =
    &[field("name", Str).until(9), field("topic_id", UUID).since(10), field("partitions", Structs(PARTITION_ERROR))];
/// `OffsetCommitResponse`.
pub const OFFSET_COMMIT_RESPONSE: Schema =
    Schema { flexible: 8, fields: &[field("throttle_time_ms", I32).since(3), field("topics", Structs(TOPIC_ERRORS))] };

const WANTED_TOPIC: &[Field] = &[field("name", Str), field("partition_indexes", Values(&I32))];
const WANTED_GROUP: &[Field] = &[
    field("group_id", Str),
    field("member_id", Str).since(9),
    field("member_epoch", I32).since(9),
    field("topics", Structs(WANTED_TOPIC)),
];
/// `OffsetFetchRequest`.
pub const OFFSET_FETCH_REQUEST: Schema = Schema {
    flexible: 6,
    fields: &[
        field("group_id", Str).until(7),
        field("topics", Structs(WANTED_TOPIC)).until(7),
        field("groups", Structs(WANTED_GROUP)).since(8),
        field("require_stable", I8).since(7),
    ],
};
const FETCHED_PARTITION: &[Field] = &[
    field("partition_index", I32),
    field("committed_offset", I64),
    field("committed_leader_epoch", I32).since(5),
    field("metadata", Str),
    field("error_code", I16),
];
const FETCHED_TOPIC: &[Field] =
    &[field("name", Str).until(9), field("topic_id", UUID).since(10), field("partitions", Structs(FETCHED_PARTITION))];
const FETCHED_GROUP: &[Field] =
    &[field("group_id", Str), field("topics", Structs(FETCHED_TOPIC)), field("error_code", I16)];
/// `OffsetFetchResponse`.
pub const OFFSET_FETCH_RESPONSE: Schema = Schema {
    flexible: 6,
    fields: &[
        field("throttle_time_ms", I32).since(3),
        field("topics", Structs(FETCHED_TOPIC)).until(7),
        field("error_code", I16).since(2).until(7),
        field("groups", Structs(FETCHED_GROUP)).since(8),
    ],
};

/// `DescribeGroupsRequest`.
pub const DESCRIBE_GROUPS_REQUEST: Schema = Schema {
    flexible: 5,
    fields: &[field("groups", Values(&Str)), field("include_authorized_operations", I8).since(3)],
};
const DESCRIBED_MEMBER: &[Field] = &[
    field("member_id", Str),
    field("group_instance_id", Str).since(4),
    field("client_id", Str),
    field("client_host", Str),
    field("member_metadata", Blob),
    field("member_assignment", Blob),
];
const DESCRIBED_GROUP: &[Field] = &[
    field("error_code", I16),
    field("error_message", Str).since(6),
    field("group_id", Str),
    field("group_state", Str),
    field("protocol_type", Str),
    field("protocol_data", Str),
    field("members", Structs(DESCRIBED_MEMBER)),
    field("authorized_operations", I32).since(3),
];
/// `DescribeGroupsResponse`.
pub const DESCRIBE_GROUPS_RESPONSE: Schema = Schema {
    flexible: 5,
    fields: &[field("throttle_time_ms", I32).since(1), field("groups", Structs(DESCRIBED_GROUP))],
};

/// `ListGroupsRequest`.
pub const LIST_GROUPS_REQUEST: Schema = Schema {
    flexible: 3,
    fields: &[field("states_filter", Values(&Str)).since(4), field("types_filter", Values(&Str)).since(5)],
};
const LISTED_GROUP: &[Field] = &[
    field("group_id", Str),
    field("protocol_type", Str),
    field("group_state", Str).since(4),
    field("group_type", Str).since(5),
];
/// `ListGroupsResponse`.
pub const LIST_GROUPS_RESPONSE: Schema = Schema {
    flexible: 3,
    fields: &[
        field("throttle_time_ms", I32).since(1),
        field("error_code", I16),
        field("groups", Structs(LISTED_GROUP)),
    ],
};

/// `DeleteGroupsRequest`.
pub const DELETE_GROUPS_REQUEST: Schema = Schema { flexible: 2, fields: &[field("groups_names", Values(&Str))] };
const DELETED_GROUP: &[Field] = &[field("group_id", Str), field("error_code", I16)];
/// `DeleteGroupsResponse`.
pub const DELETE_GROUPS_RESPONSE: Schema =
    Schema { flexible: 2, fields: &[field("throttle_time_ms", I32), field("results", Structs(DELETED_GROUP))] };

const DELETED_PARTITION: &[Field] = &[field("partition_index", I32)];
const DELETED_TOPIC: &[Field] = &[field("name", Str), field("partitions", Structs(DELETED_PARTITION))];
/// `OffsetDeleteRequest`.
pub const OFFSET_DELETE_REQUEST: Schema =
    Schema { flexible: i16::MAX, fields: &[field("group_id", Str), field("topics", Structs(DELETED_TOPIC))] };
/// `OffsetDeleteResponse`.
pub const OFFSET_DELETE_RESPONSE: Schema = Schema {
    flexible: i16::MAX,
    fields: &[field("error_code", I16), field("throttle_time_ms", I32), field("topics", Structs(TOPIC_ERRORS))],
};
