//! What a produce error says about the batch that met it: whether it may be in the log, and whether trying again helps.

use crate::base::Offset;
use crate::client::config::Acks;
use crate::wire::codec::lean::PartitionProduceResponse;
use kafka_protocol::ResponseError;

/// A broker's answer about one batch, or the loss of the connection in a broker's words.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub error: Option<ResponseError>,
    pub base_offset: Offset,
    /// Milliseconds since 1970, if the broker set the timestamps.
    pub log_append_time: Option<i64>,
    pub log_start_offset: Offset,
    /// No answer came: the request may still wait somewhere for its turn.
    pub lost: bool,
}

impl Answer {
    pub fn read(answer: &PartitionProduceResponse) -> Self {
        Self {
            error: ResponseError::try_from_code(answer.error_code),
            base_offset: Offset(answer.base_offset),
            log_append_time: (answer.log_append_time_ms >= 0).then_some(answer.log_append_time_ms),
            log_start_offset: Offset(answer.log_start_offset),
            lost: false,
        }
    }
    /// No answer came.
    pub fn lost(timed_out: bool) -> Self {
        let error = if timed_out { ResponseError::RequestTimedOut } else { ResponseError::NetworkException };
        let none = Offset::NONE;
        Self { error: Some(error), base_offset: none, log_append_time: None, log_start_offset: none, lost: true }
    }
}

/// True if a batch that met `error` may have been appended by that very attempt.
///
/// With `acks=all` even losing the leadership is no proof: a request that waits for its followers is answered so after the append
/// (Kafka's `DelayedProduce`).
pub(super) fn may_have_appended(error: ResponseError, acks: Acks) -> bool {
    use ResponseError as E;
    match error {
        E::NotLeaderOrFollower | E::UnknownTopicOrPartition | E::UnknownTopicId | E::FencedLeaderEpoch => {
            acks == Acks::All
        }
        E::NotEnoughReplicas
        | E::MessageTooLarge
        | E::RecordListTooLarge
        | E::InvalidRecord
        | E::InvalidTimestamp
        | E::CorruptMessage
        | E::InvalidRequiredAcks
        | E::InvalidRequest
        | E::InvalidTopicException
        | E::InconsistentTopicId
        | E::PolicyViolation
        | E::TopicAuthorizationFailed
        | E::ClusterAuthorizationFailed
        | E::UnsupportedVersion
        | E::UnsupportedForMessageFormat
        | E::UnsupportedCompressionType
        | E::OutOfOrderSequenceNumber
        | E::UnknownProducerId
        | E::InvalidProducerEpoch
        | E::ProducerFenced => false,
        _ => true,
    }
}

/// True if `error` proves that the leader's log does not hold the batch, whatever earlier attempts have done until then: it compared
/// sequences. An attempt that was never answered may still wait in a connection that is over, and be appended later.
pub(super) fn log_lacks_batch(error: ResponseError) -> bool {
    matches!(error, ResponseError::OutOfOrderSequenceNumber | ResponseError::UnknownProducerId)
}

/// True if the metadata that led to `error` is out of date (Kafka's `InvalidMetadataException`).
pub(super) fn metadata_is_stale(error: ResponseError) -> bool {
    use ResponseError as E;
    matches!(
        error,
        E::NotLeaderOrFollower
            | E::UnknownTopicOrPartition
            | E::UnknownTopicId
            | E::InconsistentTopicId
            | E::LeaderNotAvailable
            | E::ReplicaNotAvailable
            | E::FencedLeaderEpoch
            | E::KafkaStorageError
            | E::NetworkException
            | E::ListenerNotFound
            | E::PreferredLeaderNotAvailable
    )
}
