//! Files that all logs of a log dir share: the offset checkpoints (`OffsetCheckpointFile`) and the mark of a clean
//! shutdown (`CleanShutdownFileHandler`).

use std::collections::BTreeMap;
use std::io;

use serde::{Deserialize, Serialize};

use super::files::{checkpoint_lines, checkpoint_text, malformed, read_text, write_atomically};
use crate::base::{BrokerEpoch, Offset, TopicPartition};
use crate::io::disk::Disk;

/// Below these offsets every log is durable.
pub const RECOVERY_POINT: &str = "recovery-point-offset-checkpoint";
/// The high watermarks.
pub const HIGH_WATERMARK: &str = "replication-offset-checkpoint";
/// The log starts, where DeleteRecords or retention moved them into a segment.
pub const LOG_START: &str = "log-start-offset-checkpoint";
/// Below these offsets the cleaner has cleaned.
pub const CLEANER: &str = "cleaner-offset-checkpoint";

const CLEAN_SHUTDOWN: &str = ".kafka_cleanshutdown";

/// Offsets of many partitions.
pub type Offsets = BTreeMap<TopicPartition, Offset>;

/// Replaces the checkpoint `name` of the log dir, atomically and durably.
///
/// # Errors
/// Those of the disk.
pub async fn write_offsets(disk: &Disk, log_dir: &str, name: &str, offsets: &Offsets) -> io::Result<()> {
    let lines: Vec<_> = offsets.iter().map(|(tp, offset)| format!("{} {} {offset}", tp.topic, tp.partition)).collect();
    write_atomically(disk, log_dir, name, checkpoint_text(&lines).as_bytes()).await
}

/// The checkpoint `name` of the log dir; empty if there is none.
///
/// # Errors
/// Those of the disk; `InvalidData` if the file is malformed.
pub async fn read_offsets(disk: &Disk, log_dir: &str, name: &str) -> io::Result<Offsets> {
    let Some(text) = read_text(disk, log_dir, name).await? else { return Ok(Offsets::new()) };
    let entry = |line: &str| {
        let mut words = line.split_whitespace();
        let tp = TopicPartition::new(words.next()?, words.next()?.parse().ok()?);
        let offset = Offset(words.next()?.parse().ok()?);
        words.next().is_none().then_some((tp, offset))
    };
    let lines = checkpoint_lines(&text).and_then(|lines| lines.into_iter().map(entry).collect());
    lines.ok_or_else(|| malformed(&format!("{log_dir}/{name}")))
}

#[derive(Serialize, Deserialize)]
struct CleanShutdown {
    version: i32,
    #[serde(rename = "brokerEpoch")]
    broker_epoch: i64,
}

/// Marks the log dir as cleanly shut down: every log in it is durable and closed (KIP-966 carries the epoch).
///
/// # Errors
/// Those of the disk.
pub async fn write_clean_shutdown(disk: &Disk, log_dir: &str, epoch: BrokerEpoch) -> io::Result<()> {
    let text = serde_json::to_string(&CleanShutdown { version: 0, broker_epoch: epoch.0 })?;
    write_atomically(disk, log_dir, CLEAN_SHUTDOWN, text.as_bytes()).await
}

/// Takes the mark away, durably, and returns the broker epoch in it: none if the shutdown was not clean. A mark
/// that cannot be read counts as clean with no epoch, as in Kafka. Logs may change only after this.
///
/// # Errors
/// Those of the disk.
pub async fn take_clean_shutdown(disk: &Disk, log_dir: &str) -> io::Result<Option<BrokerEpoch>> {
    let text = match read_text(disk, log_dir, CLEAN_SHUTDOWN).await {
        Ok(None) => return Ok(None),
        Ok(Some(text)) => text,
        Err(e) if e.kind() == io::ErrorKind::InvalidData => String::new(),
        Err(e) => return Err(e),
    };
    let parsed: Option<CleanShutdown> = serde_json::from_str(&text).ok();
    disk.remove(&format!("{log_dir}/{CLEAN_SHUTDOWN}")).await?;
    disk.sync_dir(log_dir).await?;
    Ok(Some(parsed.map_or(BrokerEpoch::NONE, |m| BrokerEpoch(m.broker_epoch))))
}
