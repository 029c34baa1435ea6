//! Kafka's error codes as values, and the classes that clients and fetchers act upon.
//!
//! The classes follow the exceptions in `org.apache.kafka.common.errors`: `RetriableException` and, below it,
//! `InvalidMetadataException`.

use kafka_protocol::ResponseError;
use std::fmt;

/// An error code that a response carried; never code 0.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KafkaError(ResponseError);

impl KafkaError {
    /// The error behind a code; `None` for 0, "no error".
    #[must_use]
    pub fn from_code(code: i16) -> Option<Self> {
        ResponseError::try_from_code(code).map(Self)
    }
    /// Turns a response's code into a result.
    ///
    /// # Errors
    /// The error that the code names, if it is not 0.
    pub fn check(code: i16) -> Result<(), Self> {
        Self::from_code(code).map_or(Ok(()), Err)
    }
    /// The code on the wire.
    #[must_use]
    pub fn code(self) -> i16 {
        self.0.code()
    }
    /// The error as the codec names it, to match on.
    #[must_use]
    pub fn kind(self) -> ResponseError {
        self.0
    }
    /// True if the same request may succeed later (`RetriableException`).
    #[must_use]
    pub fn retriable(self) -> bool {
        self.0.is_retriable()
    }
    /// True if the metadata of whoever asked is out of date: fetch it anew before the next try
    /// (`InvalidMetadataException`).
    #[must_use]
    pub fn refresh_metadata(self) -> bool {
        refresh_metadata(self.0)
    }
}

/// True if `error` says that the metadata of whoever asked is out of date (`InvalidMetadataException`).
#[must_use]
pub fn refresh_metadata(error: ResponseError) -> bool {
    use ResponseError as E;
    matches!(
        error,
        E::UnknownTopicOrPartition
            | E::LeaderNotAvailable
            | E::NotLeaderOrFollower
            | E::ReplicaNotAvailable
            | E::NetworkException
            | E::KafkaStorageError
            | E::ListenerNotFound
            | E::FencedLeaderEpoch
            | E::PreferredLeaderNotAvailable
            | E::EligibleLeadersNotAvailable
            | E::ElectionNotNeeded
            | E::UnknownTopicId
            | E::InconsistentTopicId
    )
}

/// The code of a result: 0 if it is well.
#[must_use]
pub fn code_of<T>(result: &Result<T, ResponseError>) -> i16 {
    result.as_ref().err().map_or(0, ResponseError::code)
}

/// An error as Kafka's documents spell it, like `MESSAGE_TOO_LARGE`, from the codec's name of it, `MessageTooLarge`.
#[must_use]
pub fn error_name(codec_name: &str) -> String {
    let mut name = String::new();
    for c in codec_name.chars() {
        if c.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(c.to_ascii_uppercase());
    }
    name
}

impl From<ResponseError> for KafkaError {
    fn from(error: ResponseError) -> Self {
        Self(error)
    }
}

impl From<KafkaError> for ResponseError {
    fn from(error: KafkaError) -> Self {
        error.0
    }
}

impl fmt::Debug for KafkaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for KafkaError {
    /// Kafka's own spelling, `NOT_LEADER_OR_FOLLOWER`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let ResponseError::Unknown(code) = self.0 {
            return write!(f, "error code {code}");
        }
        for (i, c) in self.0.to_string().chars().enumerate() {
            if c.is_ascii_uppercase() && i > 0 {
                f.write_str("_")?;
            }
            write!(f, "{}", c.to_ascii_uppercase())?;
        }
        Ok(())
    }
}

impl std::error::Error for KafkaError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_comes_back_as_it_went() {
        for code in -1..=140 {
            assert_eq!(KafkaError::from_code(code).map_or(0, KafkaError::code), code);
        }
        assert_eq!(KafkaError::check(0), Ok(()));
        assert_eq!(KafkaError::check(6), Err(ResponseError::NotLeaderOrFollower.into()));
    }

    #[test]
    fn stale_metadata_is_always_worth_another_try() {
        for error in (-1..=140).filter_map(KafkaError::from_code).filter(|e| e.refresh_metadata()) {
            assert!(error.retriable(), "{error}");
        }
    }

    #[test]
    fn a_fenced_producer_gives_up_and_a_moved_leader_is_looked_up() {
        let error = |e: ResponseError| KafkaError::from(e);
        assert!(!error(ResponseError::InvalidProducerEpoch).retriable());
        assert!(!error(ResponseError::OutOfOrderSequenceNumber).retriable());
        assert!(error(ResponseError::NotEnoughReplicas).retriable());
        assert!(!error(ResponseError::NotEnoughReplicas).refresh_metadata());
        assert!(error(ResponseError::NotLeaderOrFollower).refresh_metadata());
        assert!(!error(ResponseError::UnknownLeaderEpoch).refresh_metadata());
    }

    #[test]
    fn an_error_is_spelled_as_kafka_spells_it() {
        assert_eq!(KafkaError::from_code(6).unwrap().to_string(), "NOT_LEADER_OR_FOLLOWER");
        assert_eq!(KafkaError::from_code(1999).unwrap().to_string(), "error code 1999");
    }
}
