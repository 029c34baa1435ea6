//! What the log directory holds and how much room is left (`ReplicaManager.describeLogDirs`).

use kafka_protocol::ResponseError;

use super::Partitions;
use crate::base::TopicPartition;
use crate::io::disk::Volume;

/// The log directory at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryContent {
    /// Every log that is open, by partition.
    pub logs: Vec<LogSize>,
    /// Of the volume that it lies on.
    pub volume: Volume,
}

/// One log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSize {
    /// Whose.
    pub tp: TopicPartition,
    /// What its segments hold, in bytes.
    pub bytes: u64,
    /// How many offsets its end is behind the high watermark; 0 if it is not (`LogManager.getLogEndOffsetLag`).
    pub lag: i64,
}

impl Partitions {
    /// Looks at the log directory.
    ///
    /// # Errors
    /// KAFKA_STORAGE_ERROR if it is offline, or cannot say how much room it has.
    pub async fn content(&self) -> Result<DirectoryContent, ResponseError> {
        let volume = self.logs.volume().await.map_err(|_| ResponseError::KafkaStorageError)?;
        if self.shared.is_failed() {
            return Err(ResponseError::KafkaStorageError);
        }
        let mut logs: Vec<_> = self.all().iter().filter_map(|p| p.size()).collect();
        logs.sort_unstable_by(|a, b| a.tp.cmp(&b.tp));
        Ok(DirectoryContent { logs, volume })
    }
}
