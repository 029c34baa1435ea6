//! InitProducerId for idempotent producers. Transactional producers are refused: no transaction coordinator is here yet.

use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse};

use super::super::node::Node;

/// How long a client waits for a block of ids before it is told to come back.
const BLOCK_TIMEOUT: Duration = Duration::from_secs(5);

impl Node {
    pub(super) async fn init_producer_id(self: &Arc<Self>, request: InitProducerIdRequest) -> InitProducerIdResponse {
        let refuse = |error: ResponseError| {
            InitProducerIdResponse::default()
                .with_error_code(error.code())
                .with_producer_id((-1).into())
                .with_producer_epoch(-1)
        };
        if request.transactional_id.is_some() {
            return refuse(ResponseError::TransactionalIdAuthorizationFailed);
        }
        match self.producer_ids.next(self.lifecycle.epoch(), BLOCK_TIMEOUT).await {
            Ok(id) => InitProducerIdResponse::default().with_producer_id(id.0.into()).with_producer_epoch(0),
            Err(error) => refuse(error),
        }
    }
}
