//! The APIs of administrators: configuration, partitions, elections, the cluster.

use super::kinds::*;

const DESCRIBE_CONFIGS_RESOURCE: &[Field] =
    &[field("resource_type", I8), field("resource_name", Str), field("configuration_keys", Values(&Str))];
/// `DescribeConfigsRequest`.
pub const DESCRIBE_CONFIGS_REQUEST: Schema = Schema {
    flexible: 4,
    fields: &[
        field("resources", Structs(DESCRIBE_CONFIGS_RESOURCE)),
        field("include_synonyms", I8),
        field("include_documentation", I8).since(3),
    ],
};

const DESCRIBE_CONFIGS_SYNONYM: &[Field] = &[field("name", Str), field("value", Str), field("source", I8)];
const DESCRIBE_CONFIGS_RESOURCE_RESULT: &[Field] = &[
    field("name", Str),
    field("value", Str),
    field("read_only", I8),
    field("config_source", I8),
    field("is_sensitive", I8),
    field("synonyms", Structs(DESCRIBE_CONFIGS_SYNONYM)),
    field("config_type", I8).since(3),
    field("documentation", Str).since(3),
];
const DESCRIBE_CONFIGS_RESULT: &[Field] = &[
    field("error_code", I16),
    field("error_message", Str),
    field("resource_type", I8),
    field("resource_name", Str),
    field("configs", Structs(DESCRIBE_CONFIGS_RESOURCE_RESULT)),
];
/// `DescribeConfigsResponse`.
pub const DESCRIBE_CONFIGS_RESPONSE: Schema = Schema {
    flexible: 4,
    fields: &[field("throttle_time_ms", I32), field("results", Structs(DESCRIBE_CONFIGS_RESULT))],
};

const ALTERABLE_CONFIG: &[Field] = &[field("name", Str), field("value", Str)];
const ALTER_CONFIGS_RESOURCE: &[Field] =
    &[field("resource_type", I8), field("resource_name", Str), field("configs", Structs(ALTERABLE_CONFIG))];
/// `AlterConfigsRequest`.
pub const ALTER_CONFIGS_REQUEST: Schema =
    Schema { flexible: 2, fields: &[field("resources", Structs(ALTER_CONFIGS_RESOURCE)), field("validate_only", I8)] };

const ALTER_CONFIGS_RESOURCE_RESPONSE: &[Field] =
    &[field("error_code", I16), field("error_message", Str), field("resource_type", I8), field("resource_name", Str)];
/// `AlterConfigsResponse`.
pub const ALTER_CONFIGS_RESPONSE: Schema = Schema {
    flexible: 2,
    fields: &[field("throttle_time_ms", I32), field("responses", Structs(ALTER_CONFIGS_RESOURCE_RESPONSE))],
};

const INCREMENTALLY_ALTERABLE_CONFIG: &[Field] =
    &[field("name", Str), field("config_operation", I8), field("value", Str)];
const INCREMENTAL_RESOURCE: &[Field] = &[
    field("resource_type", I8),
    field("resource_name", Str),
    field("configs", Structs(INCREMENTALLY_ALTERABLE_CONFIG)),
];
/// `IncrementalAlterConfigsRequest`.
pub const INCREMENTAL_ALTER_CONFIGS_REQUEST: Schema =
    Schema { flexible: 1, fields: &[field("resources", Structs(INCREMENTAL_RESOURCE)), field("validate_only", I8)] };

/// `IncrementalAlterConfigsResponse`.
pub const INCREMENTAL_ALTER_CONFIGS_RESPONSE: Schema = Schema {
    flexible: 1,
    fields: &[field("throttle_time_ms", I32), field("responses", Structs(ALTER_CONFIGS_RESOURCE_RESPONSE))],
};

const CREATE_PARTITIONS_ASSIGNMENT: &[Field] = &[field("broker_ids", Values(&I32))];
const CREATE_PARTITIONS_TOPIC: &[Field] =
    &[field("name", Str), field("count", I32), field("assignments", Structs(CREATE_PARTITIONS_ASSIGNMENT))];
/// `CreatePartitionsRequest`.
pub const CREATE_PARTITIONS_REQUEST: Schema = Schema {
    flexible: 2,
    fields: &[field("topics", Structs(CREATE_PARTITIONS_TOPIC)), field("timeout_ms", I32), field("validate_only", I8)],
};

const CREATE_PARTITIONS_TOPIC_RESULT: &[Field] =
    &[field("name", Str), field("error_code", I16), field("error_message", Str)];
/// `CreatePartitionsResponse`.
pub const CREATE_PARTITIONS_RESPONSE: Schema = Schema {
    flexible: 2,
    fields: &[field("throttle_time_ms", I32), field("results", Structs(CREATE_PARTITIONS_TOPIC_RESULT))],
};

const TOPIC_PARTITIONS: &[Field] = &[field("topic", Str), field("partitions", Values(&I32))];
/// `ElectLeadersRequest`.
pub const ELECT_LEADERS_REQUEST: Schema = Schema {
    flexible: 2,
    fields: &[
        field("election_type", I8).since(1),
        field("topic_partitions", Structs(TOPIC_PARTITIONS)),
        field("timeout_ms", I32),
    ],
};

const PARTITION_RESULT: &[Field] = &[field("partition_id", I32), field("error_code", I16), field("error_message", Str)];
const REPLICA_ELECTION_RESULT: &[Field] = &[field("topic", Str), field("partition_result", Structs(PARTITION_RESULT))];
/// `ElectLeadersResponse`.
pub const ELECT_LEADERS_RESPONSE: Schema = Schema {
    flexible: 2,
    fields: &[
        field("throttle_time_ms", I32),
        field("error_code", I16).since(1),
        field("replica_election_results", Structs(REPLICA_ELECTION_RESULT)),
    ],
};

const REASSIGNABLE_PARTITION: &[Field] = &[field("partition_index", I32), field("replicas", Values(&I32))];
const REASSIGNABLE_TOPIC: &[Field] = &[field("name", Str), field("partitions", Structs(REASSIGNABLE_PARTITION))];
/// `AlterPartitionReassignmentsRequest`.
pub const ALTER_PARTITION_REASSIGNMENTS_REQUEST: Schema = Schema {
    flexible: 0,
    fields: &[
        field("timeout_ms", I32),
        field("allow_replication_factor_change", I8).since(1),
        field("topics", Structs(REASSIGNABLE_TOPIC)),
    ],
};

const REASSIGNABLE_PARTITION_RESPONSE: &[Field] =
    &[field("partition_index", I32), field("error_code", I16), field("error_message", Str)];
const REASSIGNABLE_TOPIC_RESPONSE: &[Field] =
    &[field("name", Str), field("partitions", Structs(REASSIGNABLE_PARTITION_RESPONSE))];
/// `AlterPartitionReassignmentsResponse`.
pub const ALTER_PARTITION_REASSIGNMENTS_RESPONSE: Schema = Schema {
    flexible: 0,
    fields: &[
        field("throttle_time_ms", I32),
        field("allow_replication_factor_change", I8).since(1),
        field("error_code", I16),
        field("error_message", Str),
        field("responses", Structs(REASSIGNABLE_TOPIC_RESPONSE)),
    ],
};

const LIST_REASSIGNMENTS_TOPICS: &[Field] = &[field("name", Str), field("partition_indexes", Values(&I32))];
/// `ListPartitionReassignmentsRequest`.
pub const LIST_PARTITION_REASSIGNMENTS_REQUEST: Schema =
    Schema { flexible: 0, fields: &[field("timeout_ms", I32), field("topics", Structs(LIST_REASSIGNMENTS_TOPICS))] };

const ONGOING_PARTITION: &[Field] = &[
    field("partition_index", I32),
    field("replicas", Values(&I32)),
    field("adding_replicas", Values(&I32)),
    field("removing_replicas", Values(&I32)),
];
const ONGOING_TOPIC: &[Field] = &[field("name", Str), field("partitions", Structs(ONGOING_PARTITION))];
/// `ListPartitionReassignmentsResponse`.
pub const LIST_PARTITION_REASSIGNMENTS_RESPONSE: Schema = Schema {
    flexible: 0,
    fields: &[
        field("throttle_time_ms", I32),
        field("error_code", I16),
        field("error_message", Str),
        field("topics", Structs(ONGOING_TOPIC)),
    ],
};

const DESCRIBE_LOG_DIRS_TOPIC: &[Field] = &[field("topic", Str), field("partitions", Values(&I32))];
/// `DescribeLogDirsRequest`.
pub const DESCRIBE_LOG_DIRS_REQUEST: Schema =
    Schema { flexible: 2, fields: &[field("topics", Structs(DESCRIBE_LOG_DIRS_TOPIC))] };

const LOG_DIR_PARTITION: &[Field] = &[
    field("partition_index", I32),
    field("partition_size", I64),
    field("offset_lag", I64),
    field("is_future_key", I8),
];
const LOG_DIR_TOPIC: &[Field] = &[field("name", Str), field("partitions", Structs(LOG_DIR_PARTITION))];
const LOG_DIR_RESULT: &[Field] = &[
    field("error_code", I16),
    field("log_dir", Str),
    field("topics", Structs(LOG_DIR_TOPIC)),
    field("total_bytes", I64).since(4),
    field("usable_bytes", I64).since(4),
];
/// `DescribeLogDirsResponse`.
pub const DESCRIBE_LOG_DIRS_RESPONSE: Schema = Schema {
    flexible: 2,
    fields: &[
        field("throttle_time_ms", I32),
        field("error_code", I16).since(3),
        field("results", Structs(LOG_DIR_RESULT)),
    ],
};

/// `DescribeClusterRequest`.
pub const DESCRIBE_CLUSTER_REQUEST: Schema = Schema {
    flexible: 0,
    fields: &[
        field("include_cluster_authorized_operations", I8),
        field("endpoint_type", I8).since(1),
        field("include_fenced_brokers", I8).since(2),
    ],
};

const DESCRIBE_CLUSTER_BROKER: &[Field] = &[
    field("broker_id", I32),
    field("host", Str),
    field("port", I32),
    field("rack", Str),
    field("is_fenced", I8).since(2),
];
/// `DescribeClusterResponse`.
pub const DESCRIBE_CLUSTER_RESPONSE: Schema = Schema {
    flexible: 0,
    fields: &[
        field("throttle_time_ms", I32),
        field("error_code", I16),
        field("error_message", Str),
        field("endpoint_type", I8).since(1),
        field("cluster_id", Str),
        field("controller_id", I32),
        field("brokers", Structs(DESCRIBE_CLUSTER_BROKER)),
        field("cluster_authorized_operations", I32),
    ],
};

/// `UnregisterBrokerRequest`.
pub const UNREGISTER_BROKER_REQUEST: Schema = Schema { flexible: 0, fields: &[field("broker_id", I32)] };

/// `UnregisterBrokerResponse`.
pub const UNREGISTER_BROKER_RESPONSE: Schema = Schema {
    flexible: 0,
    fields: &[field("throttle_time_ms", I32), field("error_code", I16), field("error_message", Str)],
};

const TOPIC_REQUEST: &[Field] = &[field("name", Str)];
const CURSOR: &[Field] = &[field("topic_name", Str), field("partition_index", I32)];
/// `DescribeTopicPartitionsRequest`.
pub const DESCRIBE_TOPIC_PARTITIONS_REQUEST: Schema = Schema {
    flexible: 0,
    fields: &[
        field("topics", Structs(TOPIC_REQUEST)),
        field("response_partition_limit", I32),
        field("cursor", Kind::Nullable(CURSOR)),
    ],
};

const DESCRIBED_PARTITION: &[Field] = &[
    field("error_code", I16),
    field("partition_index", I32),
    field("leader_id", I32),
    field("leader_epoch", I32),
    field("replica_nodes", Values(&I32)),
    field("isr_nodes", Values(&I32)),
    field("eligible_leader_replicas", Values(&I32)),
    field("last_known_elr", Values(&I32)),
    field("offline_replicas", Values(&I32)),
];
const DESCRIBED_TOPIC: &[Field] = &[
    field("error_code", I16),
    field("name", Str),
    field("topic_id", UUID),
    field("is_internal", I8),
    field("partitions", Structs(DESCRIBED_PARTITION)),
    field("topic_authorized_operations", I32),
];
/// `DescribeTopicPartitionsResponse`.
pub const DESCRIBE_TOPIC_PARTITIONS_RESPONSE: Schema = Schema {
    flexible: 0,
    fields: &[
        field("throttle_time_ms", I32),
        field("topics", Structs(DESCRIBED_TOPIC)),
        field("next_cursor", Kind::Nullable(CURSOR)),
    ],
};
