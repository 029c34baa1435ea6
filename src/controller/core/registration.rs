//! Broker registration (Kafka's `ClusterControlManager.registerBroker`; KIP-631, KIP-966 for unclean shutdowns).

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{BrokerRegistrationRequest, BrokerRegistrationResponse};

use super::features;
use super::turn::Turn;
use crate::base::marks::{Mark, mark};
use crate::base::{BrokerEpoch, BrokerId};
use crate::wire::records::{EndPoint, Feature, RegisterBrokerRecord};

/// Registers a broker, or amends the registration of the same incarnation.
///
/// The broker epoch is the offset at which the records of the registration start. Whoever registers anew is fenced.
pub(super) fn register(
    turn: &mut Turn<'_>,
    request: &BrokerRegistrationRequest,
) -> Result<BrokerRegistrationResponse, ResponseError> {
    validate(turn, request)?;
    let id = BrokerId(request.broker_id.0);
    let before = turn.image().broker(id).cloned();
    let mut record = described(request);
    match before.filter(|b| b.incarnation == request.incarnation_id) {
        Some(same) => {
            record.broker_epoch = same.epoch;
            record.fenced = same.fenced;
            record.in_controlled_shutdown = same.in_controlled_shutdown;
        }
        None => {
            record.broker_epoch = BrokerEpoch(turn.next_offset().0);
            let last_epoch = turn.image().broker(id).map(|b| b.epoch);
            let clean = last_epoch == Some(BrokerEpoch(request.previous_broker_epoch));
            if last_epoch.is_some() {
                mark(if clean { Mark::CleanShutdown } else { Mark::UncleanShutdown });
            }
            turn.end_incarnation(id, clean);
        }
    }
    let epoch = record.broker_epoch;
    turn.write(record);
    turn.sessions.start(id, turn.now);
    Ok(BrokerRegistrationResponse::default().with_broker_epoch(epoch.0))
}

fn validate(turn: &Turn<'_>, request: &BrokerRegistrationRequest) -> Result<(), ResponseError> {
    if *request.cluster_id != *turn.config.cluster_id {
        return Err(ResponseError::InconsistentClusterId);
    }
    let id = BrokerId(request.broker_id.0);
    if id.0 < 0 {
        return Err(ResponseError::InvalidRequest);
    }
    if let Some(existing) = turn.image().broker(id) {
        // A live broker keeps its id, unless it is on its way out already.
        let other = existing.incarnation != request.incarnation_id;
        let live = turn.sessions.is_live(turn.image(), id, turn.now);
        if other && live && !existing.in_controlled_shutdown {
            return Err(ResponseError::DuplicateBrokerRegistration);
        }
    }
    if request.is_migrating_zk_broker {
        return Err(ResponseError::BrokerIdNotRegistered);
    }
    if !features::supported(turn, &request.features) {
        return Err(ResponseError::UnsupportedVersion);
    }
    Ok(())
}

/// What the broker says of itself.
fn described(request: &BrokerRegistrationRequest) -> RegisterBrokerRecord {
    RegisterBrokerRecord {
        broker_id: BrokerId(request.broker_id.0),
        incarnation_id: request.incarnation_id,
        end_points: request
            .listeners
            .iter()
            .map(|l| EndPoint {
                name: Arc::from(&*l.name),
                host: Arc::from(&*l.host),
                port: l.port,
                security_protocol: l.security_protocol,
            })
            .collect(),
        features: request
            .features
            .iter()
            .map(|f| Feature {
                name: Arc::from(&*f.name),
                min_supported_version: f.min_supported_version,
                max_supported_version: f.max_supported_version,
            })
            .collect(),
        rack: request.rack.as_ref().map(|rack| Arc::from(&**rack)),
        fenced: true,
        log_dirs: request.log_dirs.clone(),
        ..RegisterBrokerRecord::default()
    }
}
