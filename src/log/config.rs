//! The settings of one log, with Kafka's names and defaults.

/// When segments roll and how densely they are indexed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// `segment.bytes`: a segment that would grow beyond rolls.
    pub segment_bytes: u32,
    /// `segment.ms`: a segment whose first record is older than the one to come by more than this rolls.
    pub segment_ms: u64,
    /// `index.interval.bytes`: one index entry per so many bytes of batches.
    pub index_interval_bytes: u32,
    /// `segment.index.bytes`: a segment whose index would grow beyond rolls.
    pub segment_index_bytes: u32,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 1024 * 1024 * 1024,
            segment_ms: 7 * 24 * 60 * 60 * 1000,
            index_interval_bytes: 4096,
            segment_index_bytes: 10 * 1024 * 1024,
        }
    }
}
