//! The other APIs that clients call: versions, metadata, topics, producer ids.

use super::kinds::*;

/// `ApiVersionsRequest`.
pub const API_VERSIONS_REQUEST: Schema = Schema {
    flexible: 3,
    fields: &[field("client_software_name", Str).since(3), field("client_software_version", Str).since(3)],
};

const API_VERSION: &[Field] = &[field("api_key", I16), field("min_version", I16), field("max_version", I16)];
const SUPPORTED_FEATURE_KEY: &[Field] = &[field("name", Str), field("min_version", I16), field("max_version", I16)];
const FINALIZED_FEATURE_KEY: &[Field] =
    &[field("name", Str), field("max_version_level", I16), field("min_version_level", I16)];
/// `ApiVersionsResponse`.
pub const API_VERSIONS_RESPONSE: Schema = Schema {
    flexible: 3,
    fields: &[
        field("error_code", I16),
        field("api_keys", Structs(API_VERSION)),
        field("throttle_time_ms", I32).since(1),
        field("supported_features", Structs(SUPPORTED_FEATURE_KEY)).since(3).tagged(0),
        field("finalized_features_epoch", I64).since(3).tagged(1),
        field("finalized_features", Structs(FINALIZED_FEATURE_KEY)).since(3).tagged(2),
        field("zk_migration_ready", I8).since(3).tagged(3),
    ],
};

const METADATA_REQUEST_TOPIC: &[Field] = &[field("topic_id", UUID).since(10), field("name", Str)];
/// `MetadataRequest`.
pub const METADATA_REQUEST: Schema = Schema {
    flexible: 9,
    fields: &[
        field("topics", Structs(METADATA_REQUEST_TOPIC)),
        field("allow_auto_topic_creation", I8).since(4),
        field("include_cluster_authorized_operations", I8).since(8).until(10),
        field("include_topic_authorized_operations", I8).since(8),
    ],
};

const METADATA_RESPONSE_BROKER: &[Field] =
    &[field("node_id", I32), field("host", Str), field("port", I32), field("rack", Str).since(1)];
const METADATA_RESPONSE_PARTITION: &[Field] = &[
    field("error_code", I16),
    field("partition_index", I32),
    field("leader_id", I32),
    field("leader_epoch", I32).since(7),
    field("replica_nodes", Values(&I32)),
    field("isr_nodes", Values(&I32)),
    field("offline_replicas", Values(&I32)).since(5),
];
const METADATA_RESPONSE_TOPIC: &[Field] = &[
    field("error_code", I16),
    field("name", Str),
    field("topic_id", UUID).since(10),
    field("is_internal", I8).since(1),
    field("partitions", Structs(METADATA_RESPONSE_PARTITION)),
    field("topic_authorized_operations", I32).since(8),
];
/// `MetadataResponse`.
pub const METADATA_RESPONSE: Schema = Schema {
    flexible: 9,
    fields: &[
        field("throttle_time_ms", I32).since(3),
        field("brokers", Structs(METADATA_RESPONSE_BROKER)),
        field("cluster_id", Str).since(2),
        field("controller_id", I32).since(1),
        field("topics", Structs(METADATA_RESPONSE_TOPIC)),
        field("cluster_authorized_operations", I32).since(8).until(10),
        field("error_code", I16).since(13),
    ],
};

const CREATABLE_REPLICA_ASSIGNMENT: &[Field] = &[field("partition_index", I32), field("broker_ids", Values(&I32))];
const CREATABLE_TOPIC_CONFIG: &[Field] = &[field("name", Str), field("value", Str)];
const CREATABLE_TOPIC: &[Field] = &[
    field("name", Str),
    field("num_partitions", I32),
    field("replication_factor", I16),
    field("assignments", Structs(CREATABLE_REPLICA_ASSIGNMENT)),
    field("configs", Structs(CREATABLE_TOPIC_CONFIG)),
];
/// `CreateTopicsRequest`.
pub const CREATE_TOPICS_REQUEST: Schema = Schema {
    flexible: 5,
    fields: &[field("topics", Structs(CREATABLE_TOPIC)), field("timeout_ms", I32), field("validate_only", I8)],
};

const CREATABLE_TOPIC_CONFIGS: &[Field] = &[
    field("name", Str),
    field("value", Str),
    field("read_only", I8),
    field("config_source", I8),
    field("is_sensitive", I8),
];
const CREATABLE_TOPIC_RESULT: &[Field] = &[
    field("name", Str),
    field("topic_id", UUID).since(7),
    field("error_code", I16),
    field("error_message", Str),
    field("topic_config_error_code", I16).since(5).tagged(0),
    field("num_partitions", I32).since(5),
    field("replication_factor", I16).since(5),
    field("configs", Structs(CREATABLE_TOPIC_CONFIGS)).since(5),
];
/// `CreateTopicsResponse`.
pub const CREATE_TOPICS_RESPONSE: Schema =
    Schema { flexible: 5, fields: &[field("throttle_time_ms", I32), field("topics", Structs(CREATABLE_TOPIC_RESULT))] };

const DELETE_TOPIC_STATE: &[Field] = &[field("name", Str), field("topic_id", UUID)];
/// `DeleteTopicsRequest`.
pub const DELETE_TOPICS_REQUEST: Schema = Schema {
    flexible: 4,
    fields: &[
        field("topics", Structs(DELETE_TOPIC_STATE)).since(6),
        field("topic_names", Values(&Str)).until(5),
        field("timeout_ms", I32),
    ],
};

const DELETABLE_TOPIC_RESULT: &[Field] = &[
    field("name", Str),
    field("topic_id", UUID).since(6),
    field("error_code", I16),
    field("error_message", Str).since(5),
];
/// `DeleteTopicsResponse`.
pub const DELETE_TOPICS_RESPONSE: Schema = Schema {
    flexible: 4,
    fields: &[field("throttle_time_ms", I32), field("responses", Structs(DELETABLE_TOPIC_RESULT))],
};

/// `InitProducerIdRequest`.
pub const INIT_PRODUCER_ID_REQUEST: Schema = Schema {
    flexible: 2,
    fields: &[
        field("transactional_id", Str),
        field("transaction_timeout_ms", I32),
        field("producer_id", I64).since(3),
        field("producer_epoch", I16).since(3),
    ],
};

/// `InitProducerIdResponse`.
pub const INIT_PRODUCER_ID_RESPONSE: Schema = Schema {
    flexible: 2,
    fields: &[
        field("throttle_time_ms", I32),
        field("error_code", I16),
        field("producer_id", I64),
        field("producer_epoch", I16),
    ],
};
