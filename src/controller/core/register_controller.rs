//! Registration of controllers (KIP-919; Kafka's `ClusterControlManager.registerController`).

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{ControllerRegistrationRequest, ControllerRegistrationResponse};

use super::features::{METADATA_VERSION, METADATA_VERSION_3_7};
use super::turn::Turn;
use crate::base::BrokerId;
use crate::wire::records::{EndPoint, Feature, RegisterControllerRecord};

/// Writes down where a controller listens and what it can run. It has no session, and a later incarnation takes the
/// place of an earlier one.
///
/// # Errors
/// UNSUPPORTED_VERSION while the cluster's metadata.version does not know such records.
pub(super) fn register(
    turn: &mut Turn<'_>,
    request: &ControllerRegistrationRequest,
) -> Result<ControllerRegistrationResponse, ResponseError> {
    if turn.image().feature(METADATA_VERSION).is_none_or(|level| level < METADATA_VERSION_3_7) {
        return Err(ResponseError::UnsupportedVersion);
    }
    let end_points = request.listeners.iter().map(|l| EndPoint {
        name: Arc::from(&*l.name),
        host: Arc::from(&*l.host),
        port: l.port,
        security_protocol: l.security_protocol,
    });
    let features = request.features.iter().map(|f| Feature {
        name: Arc::from(&*f.name),
        min_supported_version: f.min_supported_version,
        max_supported_version: f.max_supported_version,
    });
    turn.write(RegisterControllerRecord {
        controller_id: BrokerId(request.controller_id),
        incarnation_id: request.incarnation_id,
        zk_migration_ready: request.zk_migration_ready,
        end_points: end_points.collect(),
        features: features.collect(),
    });
    Ok(ControllerRegistrationResponse::default())
}
