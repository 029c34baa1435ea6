//! Requests of peers and observers, from message to message.

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{
    BeginQuorumEpochRequest, BeginQuorumEpochResponse, EndQuorumEpochRequest, EndQuorumEpochResponse, FetchRequest,
    FetchResponse, VoteRequest, VoteResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::driver::Quorum;
use super::rpc;
use crate::raft::{Body, Reply, Request};

/// Why a request gets no answer of the core.
const NOT_OURS: ResponseError = ResponseError::UnknownTopicOrPartition;

impl Quorum {
    /// Answers Vote.
    pub async fn handle_vote(&self, request: VoteRequest) -> VoteResponse {
        match self.ask(request.cluster_id.as_ref(), rpc::read_vote(&request)).await {
            Ok((reply, _)) => rpc::vote_response(&reply),
            Err(error) => VoteResponse::default().with_error_code(error.code()),
        }
    }
    /// Answers BeginQuorumEpoch.
    pub async fn handle_begin(&self, request: BeginQuorumEpochRequest) -> BeginQuorumEpochResponse {
        match self.ask(request.cluster_id.as_ref(), rpc::read_begin(&request)).await {
            Ok((reply, _)) => rpc::begin_response(&reply),
            Err(error) => BeginQuorumEpochResponse::default().with_error_code(error.code()),
        }
    }
    /// Answers EndQuorumEpoch.
    pub async fn handle_end(&self, request: EndQuorumEpochRequest) -> EndQuorumEpochResponse {
        match self.ask(request.cluster_id.as_ref(), rpc::read_end(&request)).await {
            Ok((reply, _)) => rpc::end_response(&reply),
            Err(error) => EndQuorumEpochResponse::default().with_error_code(error.code()),
        }
    }
    /// Answers Fetch on the metadata log; waits as long as the core lets it.
    pub async fn handle_fetch(&self, request: FetchRequest) -> FetchResponse {
        match self.ask(request.cluster_id.as_ref(), rpc::read_fetch(&request)).await {
            Ok((reply, records)) => rpc::fetch_response(&reply, records),
            Err(error) => FetchResponse::default().with_error_code(error.code()),
        }
    }

    async fn ask(
        &self,
        cluster: Option<&StrBytes>,
        request: Option<Request>,
    ) -> Result<(Reply, Bytes), ResponseError> {
        if cluster.is_some_and(|c| c.as_str() != self.config.cluster_id) {
            return Err(ResponseError::InconsistentClusterId);
        }
        let (reply, asked_in) = self.request(request.ok_or(NOT_OURS)?).await.ok_or(ResponseError::BrokerNotAvailable)?;
        let Body::Fetch { records: range, .. } = &reply.body else { return Ok((reply, Bytes::new())) };
        if range.from >= range.to {
            return Ok((reply, Bytes::new()));
        }
        let read = self.log.read(range.from, self.config.raft.fetch_max_bytes, range.to, true).await;
        let records = read.map_err(|error| {
            tracing::error!(node = %self.config.me, %error, "the metadata log could not be read");
            ResponseError::KafkaStorageError
        })?;
        // While the read waited, leadership may have gone and the log may have been cut: these would be somebody else's
        // records under our name.
        if self.generation() != asked_in { Err(ResponseError::NotLeaderOrFollower) } else { Ok((reply, records)) }
    }
}
