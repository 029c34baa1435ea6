//! Applying the records of the metadata log to an [`Image`](super::Image), one at a time.

use crate::base::Offset;

/// A record does not fit the image: the metadata log is corrupt, or a writer broke its own rules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("metadata record at offset {offset} does not fit: {reason}")]
pub struct ReplayError {
    /// The record's offset.
    pub offset: Offset,
    /// What is wrong with it.
    pub reason: String,
}
