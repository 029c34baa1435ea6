//! What lies in a broker's log directories (DescribeLogDirs).

use super::call::whole;
use super::{Admin, AdminError};
use crate::base::{BrokerId, TopicPartition};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_log_dirs_response::DescribeLogDirsResult;
use kafka_protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse};
use std::collections::BTreeMap;

/// One log directory that is online (`LogDirDescription`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDir {
    /// The replicas that lie in it.
    pub replicas: BTreeMap<TopicPartition, ReplicaInfo>,
    /// The size of its volume in bytes, if the broker says so (KIP-827).
    pub total_bytes: Option<u64>,
    /// How much of it can still be written, in bytes, if the broker says so.
    pub usable_bytes: Option<u64>,
}

/// One replica in a log directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplicaInfo {
    /// What its segments hold, in bytes.
    pub size: u64,
    /// How many offsets its end is behind the high watermark, or behind the replica that it is to replace.
    pub offset_lag: i64,
    /// It is being moved here from another directory of the broker.
    pub is_future: bool,
}

impl Admin {
    /// Describes all log directories of a broker, by their paths; KAFKA_STORAGE_ERROR stands at one that is offline.
    ///
    /// # Errors
    /// [`AdminError`] if the call failed as a whole.
    pub async fn describe_log_dirs(
        &mut self,
        broker: BrokerId,
    ) -> Result<BTreeMap<String, Result<LogDir, ResponseError>>, AdminError> {
        let request = DescribeLogDirsRequest::default().with_topics(None);
        self.call_on(Some(broker), &request, |response: DescribeLogDirsResponse| {
            whole(response.error_code)?;
            let dir = |result: DescribeLogDirsResult| {
                let error = ResponseError::try_from_code(result.error_code);
                (result.log_dir.to_string(), error.map_or_else(|| Ok(described(&result)), Err))
            };
            Ok(response.results.into_iter().map(dir).collect())
        })
        .await
    }
}

fn described(result: &DescribeLogDirsResult) -> LogDir {
    let replicas = result.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|p| {
            let info = ReplicaInfo {
                size: u64::try_from(p.partition_size).unwrap_or(0),
                offset_lag: p.offset_lag,
                is_future: p.is_future_key,
            };
            (TopicPartition::new(topic.name.as_str(), p.partition_index), info)
        })
    });
    LogDir {
        replicas: replicas.collect(),
        total_bytes: u64::try_from(result.total_bytes).ok(),
        usable_bytes: u64::try_from(result.usable_bytes).ok(),
    }
}
