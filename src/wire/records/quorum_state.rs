//! The `quorum-state` file: what a voter must not forget of an election (Kafka's `FileQuorumStateStore`).
//!
//! One line of JSON. We write data version 1 (a vote names the voter's directory) and read version 0 as well. Who writes the
//! file must sync it and its rename before the vote leaves the node; that is not decided here.

use super::RecordError;
use crate::base::{BrokerId, LeaderEpoch};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The file's name in the metadata log's directory.
pub const FILE_NAME: &str = "quorum-state";

const DATA_VERSION: i16 = 1;
const BASE64_URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// What one voter knows of the current election.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuorumState {
    /// The leader of the epoch, or -1 if none is known.
    pub leader_id: BrokerId,
    /// The highest epoch that this voter has seen.
    pub leader_epoch: LeaderEpoch,
    /// Whom it voted for in that epoch, or -1.
    pub voted_id: BrokerId,
    /// The directory of whom it voted for; nil if it does not matter.
    pub voted_directory_id: Uuid,
}

impl Default for QuorumState {
    fn default() -> Self {
        Self {
            leader_id: BrokerId::NONE,
            leader_epoch: LeaderEpoch::NONE,
            voted_id: BrokerId::NONE,
            voted_directory_id: Uuid::nil(),
        }
    }
}

/// The file's line. Fields that only version 0 has are ignored, as `kraft.version` 0 keeps its voters in the configuration.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    leader_id: BrokerId,
    leader_epoch: LeaderEpoch,
    voted_id: BrokerId,
    #[serde(default)]
    voted_directory_id: Option<String>,
    #[serde(rename = "data_version")]
    data_version: i16,
}

impl QuorumState {
    /// The file's text.
    #[must_use]
    pub fn to_json(&self) -> String {
        let line = Line {
            leader_id: self.leader_id,
            leader_epoch: self.leader_epoch,
            voted_id: self.voted_id,
            voted_directory_id: Some(uuid_to_base64(self.voted_directory_id)),
            data_version: DATA_VERSION,
        };
        serde_json::to_string(&line).expect("numbers and a string are always JSON")
    }

    /// Reads the file's text.
    ///
    /// # Errors
    /// If it is no such file, or of a version that we do not know.
    pub fn from_json(text: &[u8]) -> Result<Self, RecordError> {
        let malformed = |why: String| RecordError::Malformed(format!("{FILE_NAME}: {why}"));
        let line: Line = serde_json::from_slice(text).map_err(|e| malformed(e.to_string()))?;
        let voted_directory_id = match (line.data_version, line.voted_directory_id) {
            (0, _) => Uuid::nil(),
            (DATA_VERSION, Some(id)) => {
                uuid_from_base64(&id).ok_or_else(|| malformed(format!("{id:?} is no directory id")))?
            }
            (DATA_VERSION, None) => return Err(malformed("votedDirectoryId is missing".into())),
            (other, _) => return Err(malformed(format!("data_version {other} is not known"))),
        };
        Ok(Self {
            leader_id: line.leader_id,
            leader_epoch: line.leader_epoch,
            voted_id: line.voted_id,
            voted_directory_id,
        })
    }
}

/// A UUID as Kafka writes it: 22 characters of unpadded URL-safe base64.
#[must_use]
pub fn uuid_to_base64(id: Uuid) -> String {
    let bits = id.as_u128();
    // 22 digits of 6 bits hold 132 bits: the last digit carries the lowest 2 bits, then 4 zeros.
    let digit = |i: u32| if i < 21 { (bits >> (122 - 6 * i)) & 63 } else { (bits & 3) << 4 };
    (0..22).map(|i| char::from(BASE64_URL[digit(i) as usize])).collect()
}

/// Reads what [`uuid_to_base64`] wrote.
#[must_use]
pub fn uuid_from_base64(text: &str) -> Option<Uuid> {
    if text.len() != 22 {
        return None;
    }
    let mut bits = 0u128;
    for (i, c) in text.bytes().enumerate() {
        let digit = BASE64_URL.iter().position(|d| *d == c)? as u128;
        bits = if i < 21 { bits << 6 | digit } else { bits << 2 | digit >> 4 };
        if i == 21 && digit & 15 != 0 {
            return None;
        }
    }
    Some(Uuid::from_u128(bits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_file_reads_as_kafka_writes_it() {
        let text = r#"{"leaderId":-1,"leaderEpoch":2,"votedId":1,"votedDirectoryId":"J8aAPcfLQt2bqs1JT_rMgQ","data_version":1}"#;
        let state = QuorumState::from_json(text.as_bytes()).unwrap();
        assert_eq!((state.leader_id, state.leader_epoch, state.voted_id), (BrokerId(-1), LeaderEpoch(2), BrokerId(1)));
        assert_eq!(state.voted_directory_id.to_string(), "27c6803d-c7cb-42dd-9baa-cd494ffacc81");
        assert_eq!(state.to_json(), text);
    }

    #[test]
    fn a_file_of_version_0_is_still_understood() {
        let text = r#"{"clusterId":"","leaderId":1,"leaderEpoch":2,"votedId":-1,"appliedOffset":0,"currentVoters":[],"data_version":0}"#;
        let state = QuorumState::from_json(text.as_bytes()).unwrap();
        assert_eq!(
            state,
            QuorumState { leader_id: BrokerId(1), leader_epoch: LeaderEpoch(2), ..QuorumState::default() }
        );
    }

    #[test]
    fn a_torn_or_foreign_file_is_refused() {
        let whole = QuorumState::default().to_json();
        for end in 0..whole.len() {
            assert!(QuorumState::from_json(&whole.as_bytes()[..end]).is_err(), "{}", &whole[..end]);
        }
        assert!(QuorumState::from_json(whole.replace(":1}", ":2}").as_bytes()).is_err());
        assert!(QuorumState::from_json(whole.replace("AAAA", "AA=A").as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn every_uuid_survives_base64(bits: u128) {
            let id = Uuid::from_u128(bits);
            prop_assert_eq!(uuid_from_base64(&uuid_to_base64(id)), Some(id));
        }
    }
}
