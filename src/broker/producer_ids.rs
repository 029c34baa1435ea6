//! Producer ids for idempotent producers, out of blocks that the controller hands to each broker (Kafka's
//! RPCProducerIdManager, AllocateProducerIds).

use std::ops::Range;
use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{AllocateProducerIdsRequest, AllocateProducerIdsResponse};
use tokio::sync::Mutex;

use super::channel::ControllerChannel;
use crate::base::{BrokerEpoch, BrokerId, ProducerId};

/// One broker's block of producer ids.
pub struct ProducerIds {
    me: BrokerId,
    channel: ControllerChannel,
    block: Mutex<Range<i64>>,
}

impl ProducerIds {
    /// An empty block: the first id asks the controller.
    #[must_use]
    pub fn new(me: BrokerId, channel: ControllerChannel) -> Self {
        Self { me, channel, block: Mutex::new(0..0) }
    }

    /// A producer id that nobody else was ever given. Ids of a block that a restart forgets are never used.
    ///
    /// # Errors
    /// COORDINATOR_LOAD_IN_PROGRESS if the controller gave no block in time, so that the client tries again.
    pub async fn next(&self, epoch: BrokerEpoch, timeout: Duration) -> Result<ProducerId, ResponseError> {
        let mut block = self.block.lock().await;
        if block.is_empty() {
            *block = self.allocate(epoch, timeout).await?;
        }
        block.next().map(ProducerId).ok_or(ResponseError::CoordinatorLoadInProgress)
    }

    async fn allocate(&self, epoch: BrokerEpoch, timeout: Duration) -> Result<Range<i64>, ResponseError> {
        let request = AllocateProducerIdsRequest::default().with_broker_id(self.me.0.into()).with_broker_epoch(epoch.0);
        let refused = |r: &AllocateProducerIdsResponse| r.error_code == ResponseError::NotController.code();
        let response = self.channel.call(&request, timeout, refused).await;
        let response = response.map_err(|_| ResponseError::CoordinatorLoadInProgress)?;
        match ResponseError::try_from_code(response.error_code) {
            Some(error) => {
                tracing::warn!(node = %self.me, ?error, "no block of producer ids");
                Err(ResponseError::CoordinatorLoadInProgress)
            }
            None => {
                let start = response.producer_id_start.0;
                Ok(start..start.saturating_add(i64::from(response.producer_id_len)))
            }
        }
    }
}
