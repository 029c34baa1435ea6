//! Small files beside the segments, in Kafka's formats: `leader-epoch-checkpoint` (`LeaderEpochCheckpointFile`)
//! and `partition.metadata` (`PartitionMetadataFile`). Each is replaced as a whole, atomically and durably.

use std::fmt::Write as _;
use std::io;

use super::epochs::EpochEntry;
use crate::base::{LeaderEpoch, Offset, TopicId};
use crate::io::disk::Disk;

/// Largest small file that is read back.
const MAX_LEN: u64 = 64 * 1024 * 1024;
const EPOCHS: &str = "leader-epoch-checkpoint";
const METADATA: &str = "partition.metadata";

/// Replaces `dir/name` so that a crash leaves the old or the new content, never a mixture.
///
/// # Errors
/// Those of the disk.
pub async fn write_atomically(disk: &Disk, dir: &str, name: &str, content: &[u8]) -> io::Result<()> {
    let (path, tmp) = (format!("{dir}/{name}"), format!("{dir}/{name}.tmp"));
    let file = disk.open(&tmp, true).await?;
    file.truncate(0).await?;
    file.append(content).await?;
    file.sync().await?;
    disk.rename(&tmp, &path).await?;
    disk.sync_dir(dir).await
}

/// Creates `dir` and what it stands in, as far as that is not there, durably (Kafka's `Utils.flushParentDir`): without that
/// a power cut could take a directory away with all that was synced inside.
///
/// # Errors
/// Those of the disk.
pub async fn create_dir(disk: &Disk, dir: &str) -> io::Result<()> {
    let (mut missing, mut path) = (Vec::new(), dir);
    while !path.is_empty() && !disk.exists(path).await? {
        path = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        missing.push(path);
    }
    disk.create_dir_all(dir).await?;
    for parent in missing {
        disk.sync_dir(parent).await?;
    }
    Ok(())
}

/// The whole text of `dir/name`, or none if there is no such file.
///
/// # Errors
/// Those of the disk; `InvalidData` if it is huge or no UTF-8.
pub async fn read_text(disk: &Disk, dir: &str, name: &str) -> io::Result<Option<String>> {
    let path = format!("{dir}/{name}");
    if !disk.exists(&path).await? {
        return Ok(None);
    }
    let file = disk.open(&path, false).await?;
    let len = file.len().await?;
    if len > MAX_LEN {
        return Err(malformed(&path));
    }
    let bytes = file.read_at(0, len as usize).await?;
    String::from_utf8(bytes.to_vec()).map(Some).map_err(|_| malformed(&path))
}

/// What is said of a file that cannot be understood.
pub(super) fn malformed(path: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{path} is malformed"))
}

/// Kafka's checkpoint format (`CheckpointFile`): version, number of lines, lines.
pub(super) fn checkpoint_text(lines: &[String]) -> String {
    let mut text = format!("0\n{}\n", lines.len());
    for line in lines {
        let _ = writeln!(text, "{line}");
    }
    text
}

/// The lines of a checkpoint; none if version or count are wrong.
pub(super) fn checkpoint_lines(text: &str) -> Option<Vec<&str>> {
    let mut lines = text.lines();
    if lines.next()?.trim() != "0" {
        return None;
    }
    let count: usize = lines.next()?.trim().parse().ok()?;
    let found: Vec<_> = lines.collect();
    (found.len() == count).then_some(found)
}

/// Replaces the leader-epoch checkpoint in a log's directory.
///
/// # Errors
/// Those of the disk.
pub async fn write_epochs(disk: &Disk, dir: &str, entries: &[EpochEntry]) -> io::Result<()> {
    let lines: Vec<_> = entries.iter().map(|e| format!("{} {}", e.epoch, e.start)).collect();
    write_atomically(disk, dir, EPOCHS, checkpoint_text(&lines).as_bytes()).await
}

/// The leader-epoch checkpoint; none if it is missing or malformed, because recovery can do without.
///
/// # Errors
/// Those of the disk.
pub async fn read_epochs(disk: &Disk, dir: &str) -> io::Result<Option<Vec<EpochEntry>>> {
    let entry = |line: &str| {
        let (epoch, start) = line.split_once(' ')?;
        Some(EpochEntry { epoch: LeaderEpoch(epoch.parse().ok()?), start: Offset(start.parse().ok()?) })
    };
    match read_text(disk, dir, EPOCHS).await {
        Ok(Some(text)) => Ok(checkpoint_lines(&text).and_then(|lines| lines.into_iter().map(entry).collect())),
        Ok(None) => Ok(None),
        Err(e) if e.kind() == io::ErrorKind::InvalidData => Ok(None),
        Err(e) => Err(e),
    }
}

/// Writes which topic a log belongs to.
///
/// # Errors
/// Those of the disk.
pub async fn write_partition_metadata(disk: &Disk, dir: &str, topic: TopicId) -> io::Result<()> {
    let text = format!("version: 0\ntopic_id: {}", topic_id_text(topic));
    write_atomically(disk, dir, METADATA, text.as_bytes()).await
}

/// Which topic a log belongs to; none if the file is missing.
///
/// # Errors
/// Those of the disk; `InvalidData` if the file is malformed (Kafka takes the log dir offline).
pub async fn read_partition_metadata(disk: &Disk, dir: &str) -> io::Result<Option<TopicId>> {
    let Some(text) = read_text(disk, dir, METADATA).await? else { return Ok(None) };
    let id = text.lines().find_map(|line| line.strip_prefix("topic_id:")).and_then(|id| parse_topic_id(id.trim()));
    id.map(Some).ok_or_else(|| malformed(&format!("{dir}/{METADATA}")))
}

const BASE64_URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Kafka's spelling of a topic id: URL-safe base64 without padding, 22 characters.
#[must_use]
pub fn topic_id_text(id: TopicId) -> String {
    let n = id.as_u128();
    // 128 bits are 21 digits of six bits and one of two, which stand at the top of the last digit.
    let digit = |i: u32| if i < 21 { (n >> (122 - 6 * i)) & 63 } else { (n & 3) << 4 };
    (0..22).map(|i| char::from(BASE64_URL[digit(i) as usize])).collect()
}

/// Reads what [`topic_id_text`] writes.
#[must_use]
pub fn parse_topic_id(text: &str) -> Option<TopicId> {
    if text.len() != 22 {
        return None;
    }
    let mut n = 0_u128;
    for (i, c) in text.bytes().enumerate() {
        let digit = BASE64_URL.iter().position(|&b| b == c)? as u128;
        n = if i < 21 { n << 6 | digit } else { n << 2 | digit >> 4 };
    }
    Some(TopicId::from_u128(n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topic_ids_are_spelled_as_kafka_does() {
        let id = TopicId::from_u128(0x0123_4567_89ab_cdef_0011_2233_4455_6677);
        assert_eq!(topic_id_text(id), "ASNFZ4mrze8AESIzRFVmdw");
        assert_eq!(parse_topic_id("ASNFZ4mrze8AESIzRFVmdw"), Some(id));
        assert_eq!(topic_id_text(TopicId::from_u128(1)), "AAAAAAAAAAAAAAAAAAAAAQ");
        assert_eq!(parse_topic_id("AAAAAAAAAAAAAAAAAAAA=="), None);
    }

    #[test]
    fn a_checkpoint_with_a_wrong_count_is_not_believed() {
        assert_eq!(checkpoint_lines("0\n1\n3 17\n"), Some(vec!["3 17"]));
        assert_eq!(checkpoint_lines("0\n2\n3 17\n"), None);
        assert_eq!(checkpoint_lines("1\n0\n"), None);
        assert_eq!(checkpoint_lines(""), None);
    }
}
