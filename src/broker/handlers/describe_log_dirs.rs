//! DescribeLogDirs: what lies in the broker's log directory, and how much room there is (KIP-113, KIP-827).

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use kafka_protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::super::node::Node;
use super::super::partitions::{DirectoryContent, LogSize};

impl Node {
    /// DescribeLogDirs. Errors of directories: KAFKA_STORAGE_ERROR if one is offline; then nothing is said of its content.
    pub(super) async fn describe_log_dirs(
        self: &Arc<Self>,
        request: DescribeLogDirsRequest,
        version: i16,
    ) -> DescribeLogDirsResponse {
        let wanted = |log: &LogSize| {
            request.topics.as_ref().is_none_or(|topics| {
                let mut named = topics.iter().filter(|t| *t.topic.as_str() == *log.tp.topic);
                named.any(|t| t.partitions.contains(&log.tp.partition))
            })
        };
        let result = DescribeLogDirsResult::default().with_log_dir(StrBytes::from_string(self.options.log_dir.clone()));
        let result = match self.partitions.content().await {
            Err(error) => result.with_error_code(error.code()),
            Ok(DirectoryContent { logs, volume }) => {
                let result = result.with_topics(by_topic(logs.iter().filter(|log| wanted(log))));
                match version {
                    4.. => result.with_total_bytes(bytes(volume.total)).with_usable_bytes(bytes(volume.usable)),
                    _ => result,
                }
            }
        };
        DescribeLogDirsResponse::default().with_results(vec![result])
    }
}

fn by_topic<'a>(logs: impl Iterator<Item = &'a LogSize>) -> Vec<DescribeLogDirsTopic> {
    let mut topics: BTreeMap<Arc<str>, Vec<DescribeLogDirsPartition>> = BTreeMap::new();
    for log in logs {
        let partition = DescribeLogDirsPartition::default()
            .with_partition_index(log.tp.partition)
            .with_partition_size(bytes(log.bytes))
            .with_offset_lag(log.lag)
            // Replicas do not move between directories here: there is but one.
            .with_is_future_key(false);
        topics.entry(log.tp.topic.clone()).or_default().push(partition);
    }
    let topic = |(name, partitions): (Arc<str>, Vec<DescribeLogDirsPartition>)| {
        let name = TopicName(StrBytes::from_string(name.to_string()));
        DescribeLogDirsTopic::default().with_name(name).with_partitions(partitions)
    };
    topics.into_iter().map(topic).collect()
}

fn bytes(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
