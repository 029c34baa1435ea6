//! The APIs that carry records: Produce, Fetch, ListOffsets.

use super::kinds::*;

const PARTITION_PRODUCE_DATA: &[Field] = &[field("index", I32), field("records", Blob)];
const TOPIC_PRODUCE_DATA: &[Field] = &[
    field("name", Str).until(12),
    field("topic_id", UUID).since(13),
    field("partition_data", Structs(PARTITION_PRODUCE_DATA)),
];
/// `ProduceRequest`.
pub const PRODUCE_REQUEST: Schema = Schema {
    flexible: 9,
    fields: &[
        field("transactional_id", Str),
        field("acks", I16),
        field("timeout_ms", I32),
        field("topic_data", Structs(TOPIC_PRODUCE_DATA)),
    ],
};

const BATCH_INDEX_AND_ERROR_MESSAGE: &[Field] = &[field("batch_index", I32), field("batch_index_error_message", Str)];
const LEADER_ID_AND_EPOCH: &[Field] = &[field("leader_id", I32), field("leader_epoch", I32)];
const PARTITION_PRODUCE_RESPONSE: &[Field] = &[
    field("index", I32),
    field("error_code", I16),
    field("base_offset", I64),
    field("log_append_time_ms", I64),
    field("log_start_offset", I64).since(5),
    field("record_errors", Structs(BATCH_INDEX_AND_ERROR_MESSAGE)).since(8),
    field("error_message", Str).since(8),
    field("current_leader", Struct(LEADER_ID_AND_EPOCH)).since(10).tagged(0),
];
const TOPIC_PRODUCE_RESPONSE: &[Field] = &[
    field("name", Str).until(12),
    field("topic_id", UUID).since(13),
    field("partition_responses", Structs(PARTITION_PRODUCE_RESPONSE)),
];
const NODE_ENDPOINT: &[Field] = &[field("node_id", I32), field("host", Str), field("port", I32), field("rack", Str)];
/// `ProduceResponse`.
pub const PRODUCE_RESPONSE: Schema = Schema {
    flexible: 9,
    fields: &[
        field("responses", Structs(TOPIC_PRODUCE_RESPONSE)),
        field("throttle_time_ms", I32),
        field("node_endpoints", Structs(NODE_ENDPOINT)).since(10).tagged(0),
    ],
};

const REPLICA_STATE: &[Field] = &[field("replica_id", I32), field("replica_epoch", I64)];
const FETCH_PARTITION: &[Field] = &[
    field("partition", I32),
    field("current_leader_epoch", I32).since(9),
    field("fetch_offset", I64),
    field("last_fetched_epoch", I32).since(12),
    field("log_start_offset", I64).since(5),
    field("partition_max_bytes", I32),
    field("replica_directory_id", UUID).since(17).tagged(0),
    field("high_watermark", I64).since(18).tagged(1),
];
const FETCH_TOPIC: &[Field] =
    &[field("topic", Str).until(12), field("topic_id", UUID).since(13), field("partitions", Structs(FETCH_PARTITION))];
const FORGOTTEN_TOPIC: &[Field] =
    &[field("topic", Str).until(12), field("topic_id", UUID).since(13), field("partitions", Values(&I32))];
/// `FetchRequest`.
pub const FETCH_REQUEST: Schema = Schema {
    flexible: 12,
    fields: &[
        field("cluster_id", Str).since(12).tagged(0),
        field("replica_id", I32).until(14),
        field("replica_state", Struct(REPLICA_STATE)).since(15).tagged(1),
        field("max_wait_ms", I32),
        field("min_bytes", I32),
        field("max_bytes", I32),
        field("isolation_level", I8),
        field("session_id", I32).since(7),
        field("session_epoch", I32).since(7),
        field("topics", Structs(FETCH_TOPIC)),
        field("forgotten_topics_data", Structs(FORGOTTEN_TOPIC)).since(7),
        field("rack_id", Str).since(11),
    ],
};

const EPOCH_END_OFFSET: &[Field] = &[field("epoch", I32), field("end_offset", I64)];
const SNAPSHOT_ID: &[Field] = &[field("end_offset", I64), field("epoch", I32)];
const ABORTED_TRANSACTION: &[Field] = &[field("producer_id", I64), field("first_offset", I64)];
const PARTITION_DATA: &[Field] = &[
    field("partition_index", I32),
    field("error_code", I16),
    field("high_watermark", I64),
    field("last_stable_offset", I64),
    field("log_start_offset", I64).since(5),
    field("diverging_epoch", Struct(EPOCH_END_OFFSET)).since(12).tagged(0),
    field("current_leader", Struct(LEADER_ID_AND_EPOCH)).since(12).tagged(1),
    field("snapshot_id", Struct(SNAPSHOT_ID)).since(12).tagged(2),
    field("aborted_transactions", Structs(ABORTED_TRANSACTION)),
    field("preferred_read_replica", I32).since(11),
    field("records", Blob),
];
const FETCHABLE_TOPIC_RESPONSE: &[Field] =
    &[field("topic", Str).until(12), field("topic_id", UUID).since(13), field("partitions", Structs(PARTITION_DATA))];
/// `FetchResponse`.
pub const FETCH_RESPONSE: Schema = Schema {
    flexible: 12,
    fields: &[
        field("throttle_time_ms", I32),
        field("error_code", I16).since(7),
        field("session_id", I32).since(7),
        field("responses", Structs(FETCHABLE_TOPIC_RESPONSE)),
        field("node_endpoints", Structs(NODE_ENDPOINT)).since(16).tagged(0),
    ],
};

const LIST_OFFSETS_PARTITION: &[Field] =
    &[field("partition_index", I32), field("current_leader_epoch", I32).since(4), field("timestamp", I64)];
const LIST_OFFSETS_TOPIC: &[Field] = &[field("name", Str), field("partitions", Structs(LIST_OFFSETS_PARTITION))];
/// `ListOffsetsRequest`.
pub const LIST_OFFSETS_REQUEST: Schema = Schema {
    flexible: 6,
    fields: &[
        field("replica_id", I32),
        field("isolation_level", I8).since(2),
        field("topics", Structs(LIST_OFFSETS_TOPIC)),
        field("timeout_ms", I32).since(10),
    ],
};

const LIST_OFFSETS_PARTITION_RESPONSE: &[Field] = &[
    field("partition_index", I32),
    field("error_code", I16),
    field("timestamp", I64),
    field("offset", I64),
    field("leader_epoch", I32).since(4),
];
const LIST_OFFSETS_TOPIC_RESPONSE: &[Field] =
    &[field("name", Str), field("partitions", Structs(LIST_OFFSETS_PARTITION_RESPONSE))];
/// `ListOffsetsResponse`.
pub const LIST_OFFSETS_RESPONSE: Schema = Schema {
    flexible: 6,
    fields: &[field("throttle_time_ms", I32).since(2), field("topics", Structs(LIST_OFFSETS_TOPIC_RESPONSE))],
};

const DELETE_RECORDS_PARTITION: &[Field] = &[field("partition_index", I32), field("offset", I64)];
const DELETE_RECORDS_TOPIC: &[Field] = &[field("name", Str), field("partitions", Structs(DELETE_RECORDS_PARTITION))];
/// `DeleteRecordsRequest`.
pub const DELETE_RECORDS_REQUEST: Schema =
    Schema { flexible: 2, fields: &[field("topics", Structs(DELETE_RECORDS_TOPIC)), field("timeout_ms", I32)] };

const DELETE_RECORDS_PARTITION_RESULT: &[Field] =
    &[field("partition_index", I32), field("low_watermark", I64), field("error_code", I16)];
const DELETE_RECORDS_TOPIC_RESULT: &[Field] =
    &[field("name", Str), field("partitions", Structs(DELETE_RECORDS_PARTITION_RESULT))];
/// `DeleteRecordsResponse`.
pub const DELETE_RECORDS_RESPONSE: Schema = Schema {
    flexible: 2,
    fields: &[field("throttle_time_ms", I32), field("topics", Structs(DELETE_RECORDS_TOPIC_RESULT))],
};

const OFFSET_FOR_LEADER_PARTITION: &[Field] =
    &[field("partition", I32), field("current_leader_epoch", I32).since(2), field("leader_epoch", I32)];
const OFFSET_FOR_LEADER_TOPIC: &[Field] =
    &[field("topic", Str), field("partitions", Structs(OFFSET_FOR_LEADER_PARTITION))];
/// `OffsetForLeaderEpochRequest`.
pub const OFFSET_FOR_LEADER_EPOCH_REQUEST: Schema = Schema {
    flexible: 4,
    fields: &[field("replica_id", I32).since(3), field("topics", Structs(OFFSET_FOR_LEADER_TOPIC))],
};

const EPOCH_END_OFFSET_RESULT: &[Field] =
    &[field("error_code", I16), field("partition", I32), field("leader_epoch", I32).since(1), field("end_offset", I64)];
const OFFSET_FOR_LEADER_TOPIC_RESULT: &[Field] =
    &[field("topic", Str), field("partitions", Structs(EPOCH_END_OFFSET_RESULT))];
/// `OffsetForLeaderEpochResponse`.
pub const OFFSET_FOR_LEADER_EPOCH_RESPONSE: Schema = Schema {
    flexible: 4,
    fields: &[field("throttle_time_ms", I32).since(2), field("topics", Structs(OFFSET_FOR_LEADER_TOPIC_RESULT))],
};
