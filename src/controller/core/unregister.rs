//! UnregisterBroker: a broker that will not come back is forgotten (KIP-631).

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{UnregisterBrokerRequest, UnregisterBrokerResponse};

use super::turn::Turn;
use crate::base::BrokerId;

/// Forgets a broker. One that still runs learns it from STALE_BROKER_EPOCH at its next heartbeat.
///
/// # Errors
/// BROKER_ID_NOT_REGISTERED.
pub(super) fn unregister(
    turn: &mut Turn<'_>,
    request: &UnregisterBrokerRequest,
) -> Result<UnregisterBrokerResponse, ResponseError> {
    let id = BrokerId(request.broker_id.0);
    let epoch = turn.image().broker(id).ok_or(ResponseError::BrokerIdNotRegistered)?.epoch;
    turn.unregister(id, epoch);
    Ok(UnregisterBrokerResponse::default())
}
