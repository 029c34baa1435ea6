//! Which replicas a user may ask for (Kafka's `validateManualPartitionAssignment`).

use std::collections::BTreeSet;

use crate::base::BrokerId;
use crate::controller::image::Image;

/// Why a partition cannot have these replicas: an INVALID_REPLICA_ASSIGNMENT.
///
/// # Errors
/// If there are none, one is unknown, or one stands there twice.
pub(super) fn validate(image: &Image, replicas: &[BrokerId]) -> Result<(), String> {
    if replicas.is_empty() {
        return Err("The manual partition assignment includes an empty replica list.".to_owned());
    }
    if let Some(id) = replicas.iter().find(|id| image.broker(**id).is_none()) {
        return Err(format!("The manual partition assignment includes broker {id}, but no such broker is registered."));
    }
    let mut seen = BTreeSet::new();
    match replicas.iter().find(|id| !seen.insert(**id)) {
        Some(id) => Err(format!("The manual partition assignment includes the broker {id} more than once.")),
        None => Ok(()),
    }
}
