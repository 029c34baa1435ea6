//! What can be wrong with a batch, and what Kafka calls it.

use kafka_protocol::ResponseError;

/// Why bytes are not a batch that may be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The buffer ends inside a batch.
    #[error("the buffer ends inside a batch")]
    Truncated,
    /// The length field cannot be one of a batch.
    #[error("a batch claims a length of {0} bytes")]
    BadLength(i32),
    /// A format before magic 2 (not produced since Kafka 0.11).
    #[error("magic {0} is no longer accepted")]
    OldMagic(i8),
    /// Not a format at all.
    #[error("magic {0} is unknown")]
    BadMagic(i8),
    /// The checksum does not match.
    #[error("CRC-32C is {computed:#010x}, the batch says {stored:#010x}")]
    BadCrc {
        /// What stands in the header.
        stored: u32,
        /// What the bytes give.
        computed: u32,
    },
    /// Larger than `message.max.bytes`.
    #[error("a batch of {size} bytes is larger than the allowed {max}")]
    TooLarge {
        /// Bytes of the batch with its header.
        size: usize,
        /// The limit.
        max: usize,
    },
    /// Larger than `segment.bytes`: no segment could hold it.
    #[error("a batch of {size} bytes does not fit into a segment of {max}")]
    TooLargeForSegment {
        /// Bytes of the batch with its header.
        size: usize,
        /// The limit.
        max: usize,
    },
    /// Well framed, but the content contradicts itself or the rules for producers.
    #[error("invalid record: {0}")]
    Invalid(&'static str),
    /// Records of compressed batches cannot be read.
    #[error("records of compressed batches cannot be read")]
    Unsupported,
}

impl BatchError {
    /// The error code that Kafka answers to a client.
    #[must_use]
    pub fn code(&self) -> ResponseError {
        match self {
            Self::Truncated | Self::BadLength(_) | Self::BadMagic(_) | Self::BadCrc { .. } => {
                ResponseError::CorruptMessage
            }
            Self::TooLarge { .. } => ResponseError::MessageTooLarge,
            Self::TooLargeForSegment { .. } => ResponseError::RecordListTooLarge,
            Self::OldMagic(_) | Self::Invalid(_) => ResponseError::InvalidRecord,
            Self::Unsupported => ResponseError::UnsupportedCompressionType,
        }
    }
}
