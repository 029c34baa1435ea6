//! The metadata quorum: elections, snapshots, and the control records of its log.

use super::kinds::*;

const PARTITION_DATA: &[Field] = &[
    field("partition_index", I32),
    field("candidate_epoch", I32),
    field("candidate_id", I32),
    field("candidate_directory_id", UUID).since(1),
    field("voter_directory_id", UUID).since(1),
    field("last_offset_epoch", I32),
    field("last_offset", I64),
    field("pre_vote", I8).since(2),
];
const TOPIC_DATA: &[Field] = &[field("topic_name", Str), field("partitions", Structs(PARTITION_DATA))];
/// `VoteRequest`.
pub const VOTE_REQUEST: Schema = Schema {
    flexible: 0,
    fields: &[field("cluster_id", Str), field("voter_id", I32).since(1), field("topics", Structs(TOPIC_DATA))],
};

const VOTE_RESPONSE_PARTITION_DATA: &[Field] = &[
    field("partition_index", I32),
    field("error_code", I16),
    field("leader_id", I32),
    field("leader_epoch", I32),
    field("vote_granted", I8),
];
const VOTE_RESPONSE_TOPIC_DATA: &[Field] =
    &[field("topic_name", Str), field("partitions", Structs(VOTE_RESPONSE_PARTITION_DATA))];
const NODE_ENDPOINT: &[Field] = &[field("node_id", I32), field("host", Str), field("port", I16)];
/// `VoteResponse`.
pub const VOTE_RESPONSE: Schema = Schema {
    flexible: 0,
    fields: &[
        field("error_code", I16),
        field("topics", Structs(VOTE_RESPONSE_TOPIC_DATA)),
        field("node_endpoints", Structs(NODE_ENDPOINT)).since(1).tagged(0),
    ],
};

const BEGIN_QUORUM_EPOCH_REQUEST_PARTITION_DATA: &[Field] = &[
    field("partition_index", I32),
    field("voter_directory_id", UUID).since(1),
    field("leader_id", I32),
    field("leader_epoch", I32),
];
const BEGIN_QUORUM_EPOCH_REQUEST_TOPIC_DATA: &[Field] =
    &[field("topic_name", Str), field("partitions", Structs(BEGIN_QUORUM_EPOCH_REQUEST_PARTITION_DATA))];
const LEADER_ENDPOINT: &[Field] = &[field("name", Str), field("host", Str), field("port", I16)];
/// `BeginQuorumEpochRequest`.
pub const BEGIN_QUORUM_EPOCH_REQUEST: Schema = Schema {
    flexible: 1,
    fields: &[
        field("cluster_id", Str),
        field("voter_id", I32).since(1),
        field("topics", Structs(BEGIN_QUORUM_EPOCH_REQUEST_TOPIC_DATA)),
        field("leader_endpoints", Structs(LEADER_ENDPOINT)).since(1),
    ],
};

const BEGIN_QUORUM_EPOCH_RESPONSE_PARTITION_DATA: &[Field] =
    &[field("partition_index", I32), field("error_code", I16), field("leader_id", I32), field("leader_epoch", I32)];
const BEGIN_QUORUM_EPOCH_RESPONSE_TOPIC_DATA: &[Field] =
    &[field("topic_name", Str), field("partitions", Structs(BEGIN_QUORUM_EPOCH_RESPONSE_PARTITION_DATA))];
/// `BeginQuorumEpochResponse`.
pub const BEGIN_QUORUM_EPOCH_RESPONSE: Schema = Schema {
    flexible: 1,
    fields: &[
        field("error_code", I16),
        field("topics", Structs(BEGIN_QUORUM_EPOCH_RESPONSE_TOPIC_DATA)),
        field("node_endpoints", Structs(NODE_ENDPOINT)).since(1).tagged(0),
    ],
};

const REPLICA_INFO: &[Field] = &[field("candidate_id", I32), field("candidate_directory_id", UUID)];
const END_QUORUM_EPOCH_REQUEST_PARTITION_DATA: &[Field] = &[
    field("partition_index", I32),
    field("leader_id", I32),
    field("leader_epoch", I32),
    field("preferred_successors", Values(&I32)).until(0),
    field("preferred_candidates", Structs(REPLICA_INFO)).since(1),
];
const END_QUORUM_EPOCH_REQUEST_TOPIC_DATA: &[Field] =
    &[field("topic_name", Str), field("partitions", Structs(END_QUORUM_EPOCH_REQUEST_PARTITION_DATA))];
/// `EndQuorumEpochRequest`.
pub const END_QUORUM_EPOCH_REQUEST: Schema = Schema {
    flexible: 1,
    fields: &[
        field("cluster_id", Str),
        field("topics", Structs(END_QUORUM_EPOCH_REQUEST_TOPIC_DATA)),
        field("leader_endpoints", Structs(LEADER_ENDPOINT)).since(1),
    ],
};

const END_QUORUM_EPOCH_RESPONSE_PARTITION_DATA: &[Field] =
    &[field("partition_index", I32), field("error_code", I16), field("leader_id", I32), field("leader_epoch", I32)];
const END_QUORUM_EPOCH_RESPONSE_TOPIC_DATA: &[Field] =
    &[field("topic_name", Str), field("partitions", Structs(END_QUORUM_EPOCH_RESPONSE_PARTITION_DATA))];
/// `EndQuorumEpochResponse`.
pub const END_QUORUM_EPOCH_RESPONSE: Schema = Schema {
    flexible: 1,
    fields: &[
        field("error_code", I16),
        field("topics", Structs(END_QUORUM_EPOCH_RESPONSE_TOPIC_DATA)),
        field("node_endpoints", Structs(NODE_ENDPOINT)).since(1).tagged(0),
    ],
};

const SNAPSHOT_ID: &[Field] = &[field("end_offset", I64), field("epoch", I32)];
const FETCH_SNAPSHOT_REQUEST_PARTITION: &[Field] = &[
    field("partition", I32),
    field("current_leader_epoch", I32),
    field("snapshot_id", Struct(SNAPSHOT_ID)),
    field("position", I64),
    field("replica_directory_id", UUID).since(1).tagged(0),
];
const FETCH_SNAPSHOT_REQUEST_TOPIC: &[Field] =
    &[field("name", Str), field("partitions", Structs(FETCH_SNAPSHOT_REQUEST_PARTITION))];
/// `FetchSnapshotRequest`.
pub const FETCH_SNAPSHOT_REQUEST: Schema = Schema {
    flexible: 0,
    fields: &[
        field("cluster_id", Str).tagged(0),
        field("replica_id", I32),
        field("max_bytes", I32),
        field("topics", Structs(FETCH_SNAPSHOT_REQUEST_TOPIC)),
    ],
};

const LEADER_ID_AND_EPOCH: &[Field] = &[field("leader_id", I32), field("leader_epoch", I32)];
const FETCH_SNAPSHOT_RESPONSE_PARTITION: &[Field] = &[
    field("index", I32),
    field("error_code", I16),
    field("snapshot_id", Struct(SNAPSHOT_ID)),
    field("current_leader", Struct(LEADER_ID_AND_EPOCH)).tagged(0),
    field("size", I64),
    field("position", I64),
    field("unaligned_records", Blob),
];
const FETCH_SNAPSHOT_RESPONSE_TOPIC: &[Field] =
    &[field("name", Str), field("partitions", Structs(FETCH_SNAPSHOT_RESPONSE_PARTITION))];
/// `FetchSnapshotResponse`.
pub const FETCH_SNAPSHOT_RESPONSE: Schema = Schema {
    flexible: 0,
    fields: &[
        field("throttle_time_ms", I32),
        field("error_code", I16),
        field("topics", Structs(FETCH_SNAPSHOT_RESPONSE_TOPIC)),
        field("node_endpoints", Structs(NODE_ENDPOINT)).since(1).tagged(0),
    ],
};

const VOTER: &[Field] = &[field("voter_id", I32), field("voter_directory_id", UUID).since(1)];
/// `LeaderChangeMessage`.
pub const LEADER_CHANGE_MESSAGE: Schema = Schema {
    flexible: 0,
    fields: &[
        field("version", I16),
        field("leader_id", I32),
        field("voters", Structs(VOTER)),
        field("granting_voters", Structs(VOTER)),
    ],
};

/// `SnapshotHeaderRecord`.
pub const SNAPSHOT_HEADER_RECORD: Schema =
    Schema { flexible: 0, fields: &[field("version", I16), field("last_contained_log_timestamp", I64)] };

/// `SnapshotFooterRecord`.
pub const SNAPSHOT_FOOTER_RECORD: Schema = Schema { flexible: 0, fields: &[field("version", I16)] };

const DESCRIBE_QUORUM_PARTITION: &[Field] = &[field("partition_index", I32)];
const DESCRIBE_QUORUM_TOPIC: &[Field] =
    &[field("topic_name", Str), field("partitions", Structs(DESCRIBE_QUORUM_PARTITION))];
/// `DescribeQuorumRequest`.
pub const DESCRIBE_QUORUM_REQUEST: Schema =
    Schema { flexible: 0, fields: &[field("topics", Structs(DESCRIBE_QUORUM_TOPIC))] };

const REPLICA_STATE: &[Field] = &[
    field("replica_id", I32),
    field("replica_directory_id", UUID).since(2),
    field("log_end_offset", I64),
    field("last_fetch_timestamp", I64).since(1),
    field("last_caught_up_timestamp", I64).since(1),
];
const DESCRIBE_QUORUM_PARTITION_RESULT: &[Field] = &[
    field("partition_index", I32),
    field("error_code", I16),
    field("error_message", Str).since(2),
    field("leader_id", I32),
    field("leader_epoch", I32),
    field("high_watermark", I64),
    field("current_voters", Structs(REPLICA_STATE)),
    field("observers", Structs(REPLICA_STATE)),
];
const DESCRIBE_QUORUM_TOPIC_RESULT: &[Field] =
    &[field("topic_name", Str), field("partitions", Structs(DESCRIBE_QUORUM_PARTITION_RESULT))];
const QUORUM_NODE: &[Field] = &[field("node_id", I32), field("listeners", Structs(LEADER_ENDPOINT))];
/// `DescribeQuorumResponse`.
pub const DESCRIBE_QUORUM_RESPONSE: Schema = Schema {
    flexible: 0,
    fields: &[
        field("error_code", I16),
        field("error_message", Str).since(2),
        field("topics", Structs(DESCRIBE_QUORUM_TOPIC_RESULT)),
        field("nodes", Structs(QUORUM_NODE)).since(2),
    ],
};
