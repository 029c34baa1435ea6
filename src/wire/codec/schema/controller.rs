//! What brokers ask of the active controller.

use super::kinds::*;

const LISTENER: &[Field] =
    &[field("name", Str), field("host", Str), field("port", I16), field("security_protocol", I16)];
const FEATURE: &[Field] =
    &[field("name", Str), field("min_supported_version", I16), field("max_supported_version", I16)];
/// `BrokerRegistrationRequest`.
pub const BROKER_REGISTRATION_REQUEST: Schema = Schema {
    flexible: 0,
    fields: &[
        field("broker_id", I32),
        field("cluster_id", Str),
        field("incarnation_id", UUID),
        field("listeners", Structs(LISTENER)),
        field("features", Structs(FEATURE)),
        field("rack", Str),
        field("is_migrating_zk_broker", I8).since(1),
        field("log_dirs", Values(&UUID)).since(2),
        field("previous_broker_epoch", I64).since(3),
    ],
};

/// `BrokerRegistrationResponse`.
pub const BROKER_REGISTRATION_RESPONSE: Schema = Schema {
    flexible: 0,
    fields: &[field("throttle_time_ms", I32), field("error_code", I16), field("broker_epoch", I64)],
};

/// `ControllerRegistrationRequest`.
pub const CONTROLLER_REGISTRATION_REQUEST: Schema = Schema {
    flexible: 0,
    fields: &[
        field("controller_id", I32),
        field("incarnation_id", UUID),
        field("zk_migration_ready", I8),
        field("listeners", Structs(LISTENER)),
        field("features", Structs(FEATURE)),
    ],
};

/// `ControllerRegistrationResponse`.
pub const CONTROLLER_REGISTRATION_RESPONSE: Schema = Schema {
    flexible: 0,
    fields: &[field("throttle_time_ms", I32), field("error_code", I16), field("error_message", Str)],
};

/// `BrokerHeartbeatRequest`.
pub const BROKER_HEARTBEAT_REQUEST: Schema = Schema {
    flexible: 0,
    fields: &[
        field("broker_id", I32),
        field("broker_epoch", I64),
        field("current_metadata_offset", I64),
        field("want_fence", I8),
        field("want_shut_down", I8),
        field("offline_log_dirs", Values(&UUID)).since(1).tagged(0),
    ],
};

/// `BrokerHeartbeatResponse`.
pub const BROKER_HEARTBEAT_RESPONSE: Schema = Schema {
    flexible: 0,
    fields: &[
        field("throttle_time_ms", I32),
        field("error_code", I16),
        field("is_caught_up", I8),
        field("is_fenced", I8),
        field("should_shut_down", I8),
    ],
};

const BROKER_STATE: &[Field] = &[field("broker_id", I32), field("broker_epoch", I64)];
const PARTITION_DATA: &[Field] = &[
    field("partition_index", I32),
    field("leader_epoch", I32),
    field("new_isr", Values(&I32)).until(2),
    field("new_isr_with_epochs", Structs(BROKER_STATE)).since(3),
    field("leader_recovery_state", I8),
    field("partition_epoch", I32),
];
const TOPIC_DATA: &[Field] = &[field("topic_id", UUID), field("partitions", Structs(PARTITION_DATA))];
/// `AlterPartitionRequest`.
pub const ALTER_PARTITION_REQUEST: Schema = Schema {
    flexible: 0,
    fields: &[field("broker_id", I32), field("broker_epoch", I64), field("topics", Structs(TOPIC_DATA))],
};

const ALTER_PARTITION_RESPONSE_PARTITION_DATA: &[Field] = &[
    field("partition_index", I32),
    field("error_code", I16),
    field("leader_id", I32),
    field("leader_epoch", I32),
    field("isr", Values(&I32)),
    field("leader_recovery_state", I8),
    field("partition_epoch", I32),
];
const ALTER_PARTITION_RESPONSE_TOPIC_DATA: &[Field] =
    &[field("topic_id", UUID), field("partitions", Structs(ALTER_PARTITION_RESPONSE_PARTITION_DATA))];
/// `AlterPartitionResponse`.
pub const ALTER_PARTITION_RESPONSE: Schema = Schema {
    flexible: 0,
    fields: &[
        field("throttle_time_ms", I32),
        field("error_code", I16),
        field("topics", Structs(ALTER_PARTITION_RESPONSE_TOPIC_DATA)),
    ],
};

/// `AllocateProducerIdsRequest`.
pub const ALLOCATE_PRODUCER_IDS_REQUEST: Schema =
    Schema { flexible: 0, fields: &[field("broker_id", I32), field("broker_epoch", I64)] };

/// `AllocateProducerIdsResponse`.
pub const ALLOCATE_PRODUCER_IDS_RESPONSE: Schema = Schema {
    flexible: 0,
    fields: &[
        field("throttle_time_ms", I32),
        field("error_code", I16),
        field("producer_id_start", I64),
        field("producer_id_len", I32),
    ],
};

/// `EnvelopeRequest`.
pub const ENVELOPE_REQUEST: Schema = Schema {
    flexible: 0,
    fields: &[field("request_data", Blob), field("request_principal", Blob), field("client_host_address", Blob)],
};

/// `EnvelopeResponse`.
pub const ENVELOPE_RESPONSE: Schema =
    Schema { flexible: 0, fields: &[field("response_data", Blob), field("error_code", I16)] };
