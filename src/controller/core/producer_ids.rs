//! Blocks of producer ids (Kafka's `ProducerIdControlManager`).

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{AllocateProducerIdsRequest, AllocateProducerIdsResponse, ProducerId as WireProducerId};

use super::turn::Turn;
use crate::base::{BrokerEpoch, BrokerId, ProducerId};
use crate::wire::records::ProducerIdsRecord;

/// Ids in one block (`ProducerIdsBlock.PRODUCER_ID_BLOCK_SIZE`).
pub const PRODUCER_ID_BLOCK_SIZE: i32 = 1000;

/// Hands the next block to a broker.
pub(super) fn allocate(
    turn: &mut Turn<'_>,
    request: &AllocateProducerIdsRequest,
) -> Result<AllocateProducerIdsResponse, ResponseError> {
    let (broker_id, broker_epoch) = (BrokerId(request.broker_id.0), BrokerEpoch(request.broker_epoch));
    turn.check_broker_epoch(broker_id, broker_epoch)?;
    let first = turn.image().next_producer_id();
    let next = first.0.checked_add(i64::from(PRODUCER_ID_BLOCK_SIZE)).ok_or(ResponseError::UnknownServerError)?;
    turn.write(ProducerIdsRecord { broker_id, broker_epoch, next_producer_id: ProducerId(next) });
    Ok(AllocateProducerIdsResponse::default()
        .with_producer_id_start(WireProducerId(first.0))
        .with_producer_id_len(PRODUCER_ID_BLOCK_SIZE))
}
