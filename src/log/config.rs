//! The settings of one log, with Kafka's names and defaults (`LogConfig`).

/// A share between 0 and 1, kept in millionths so that it compares and prints exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ratio(u32);

impl Ratio {
    const ONE: u32 = 1_000_000;
    /// One half.
    pub const HALF: Self = Self(Self::ONE / 2);
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Reads `0`, `0.5`, `1.0`; none if it is no number between 0 and 1.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, part) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
        let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if (whole.is_empty() && part.is_empty()) || !digits(whole) || !digits(part) {
            return None;
        }
        let whole: u32 = if whole.is_empty() { 0 } else { whole.parse().ok().filter(|n| *n <= 1)? };
        let millionths: u32 = format!("{part:0<6}")[..6].parse().ok()?;
        let sum = whole * Self::ONE + millionths;
        (sum <= Self::ONE).then_some(Self(sum))
    }
    /// True if `part` of `whole` is at least this share.
    #[must_use]
    pub fn is_reached_by(self, part: u64, whole: u64) -> bool {
        u128::from(part) * u128::from(Self::ONE) >= u128::from(whole) * u128::from(self.0)
    }
}

impl std::fmt::Display for Ratio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let part = format!("{:06}", self.0 % Self::ONE);
        let part = part.trim_end_matches('0');
        write!(f, "{}.{}", self.0 / Self::ONE, if part.is_empty() { "0" } else { part })
    }
}

/// How a log grows, and what it forgets.
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
    /// `flush.messages`: an append that leaves this many records or more off the device makes them durable first.
    pub flush_messages: u64,
    /// `max.message.bytes`: the largest batch that a producer may send.
    pub max_message_bytes: u32,
    /// `retention.ms`: records older than this go; -1 never.
    pub retention_ms: i64,
    /// `retention.bytes`: the oldest segments go while this much remains; -1 never.
    pub retention_bytes: i64,
    /// `file.delete.delay.ms`: how long a segment's files stay under another name.
    pub file_delete_delay_ms: u64,
    /// `cleanup.policy` names `delete`.
    pub delete: bool,
    /// `cleanup.policy` names `compact`.
    pub compact: bool,
    /// `min.cleanable.dirty.ratio`: the log is compacted once this share of it is dirty.
    pub min_cleanable_dirty_ratio: Ratio,
    /// `delete.retention.ms`: how long a tombstone stays after the cleaning that first met it.
    pub delete_retention_ms: i64,
    /// `min.compaction.lag.ms`: records younger than this are not compacted.
    pub min_compaction_lag_ms: i64,
    /// `max.compaction.lag.ms`: a dirty record older than this makes the log ready for compaction.
    pub max_compaction_lag_ms: i64,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 1024 * 1024 * 1024,
            segment_ms: 7 * 24 * 60 * 60 * 1000,
            index_interval_bytes: 4096,
            segment_index_bytes: 10 * 1024 * 1024,
            flush_messages: i64::MAX as u64,
            max_message_bytes: 1_048_588,
            retention_ms: 7 * 24 * 60 * 60 * 1000,
            retention_bytes: -1,
            file_delete_delay_ms: 60_000,
            delete: true,
            compact: false,
            min_cleanable_dirty_ratio: Ratio::HALF,
            delete_retention_ms: 24 * 60 * 60 * 1000,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: i64::MAX,
        }
    }
}

impl LogConfig {
    /// Takes in one entry of a topic's configuration. Keys of others, and values that do not parse (the controller
    /// has refused them), change nothing.
    pub fn set(&mut self, key: &str, value: &str) {
        fn put<T: std::str::FromStr>(slot: &mut T, value: &str) {
            if let Ok(parsed) = value.trim().parse() {
                *slot = parsed;
            }
        }
        match key {
            "segment.bytes" => put(&mut self.segment_bytes, value),
            "segment.ms" => put(&mut self.segment_ms, value),
            "index.interval.bytes" => put(&mut self.index_interval_bytes, value),
            "segment.index.bytes" => put(&mut self.segment_index_bytes, value),
            "flush.messages" => put(&mut self.flush_messages, value),
            "max.message.bytes" => put(&mut self.max_message_bytes, value),
            "retention.ms" => put(&mut self.retention_ms, value),
            "retention.bytes" => put(&mut self.retention_bytes, value),
            "file.delete.delay.ms" => put(&mut self.file_delete_delay_ms, value),
            "delete.retention.ms" => put(&mut self.delete_retention_ms, value),
            "min.compaction.lag.ms" => put(&mut self.min_compaction_lag_ms, value),
            "max.compaction.lag.ms" => put(&mut self.max_compaction_lag_ms, value),
            "min.cleanable.dirty.ratio" => {
                self.min_cleanable_dirty_ratio = Ratio::parse(value).unwrap_or(self.min_cleanable_dirty_ratio);
            }
            "cleanup.policy" => {
                let names = |policy| value.split(',').any(|word| word.trim() == policy);
                (self.delete, self.compact) = (names("delete"), names("compact"));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_sets_what_it_names_and_nothing_else() {
        let mut config = LogConfig::default();
        for (key, value) in [
            ("cleanup.policy", "compact, delete"),
            ("retention.ms", "5000"),
            ("min.cleanable.dirty.ratio", "0.25"),
            ("segment.bytes", "many"),
            ("compression.type", "lz4"),
        ] {
            config.set(key, value);
        }
        let ratio = Ratio::parse(".25").unwrap();
        let expected =
            LogConfig { compact: true, retention_ms: 5_000, min_cleanable_dirty_ratio: ratio, ..LogConfig::default() };
        assert_eq!(config, expected);
        config.set("cleanup.policy", "compact");
        assert_eq!((config.delete, config.compact), (false, true));
    }

    #[test]
    fn ratios_are_read_and_shown() {
        for (text, shown) in [("0", "0.0"), ("0.5", "0.5"), ("1", "1.0"), ("0.000001", "0.000001"), (".1", "0.1")] {
            assert_eq!(Ratio::parse(text).unwrap().to_string(), shown);
        }
        for text in ["", ".", "1.5", "-0.1", "2", "x"] {
            assert_eq!(Ratio::parse(text), None, "{text}");
        }
        let half = Ratio::HALF;
        assert!(half.is_reached_by(1, 2) && !half.is_reached_by(1, 3) && Ratio::ZERO.is_reached_by(0, 0));
    }
}
