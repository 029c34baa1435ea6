//! The room on a volume.

/// How much a volume holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Volume {
    /// All of it, in bytes.
    pub total: u64,
    /// What can still be written, in bytes.
    pub usable: u64,
}
