//! A controller's registration at the active controller, whoever that is, itself included (KIP-919, Kafka's
//! ControllerRegistrationManager): done whenever the replayed metadata lacks this incarnation.
//!
//! Unlike a broker a controller has no session: nobody fences it, and it serves before it is registered.

use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::controller_registration_request::{Feature, Listener};
use kafka_protocol::messages::{ControllerRegistrationRequest, ControllerRegistrationResponse};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use crate::base::BrokerId;
use crate::broker::channel::ControllerChannel;
use crate::broker::metadata::MetadataCache;
use crate::broker::node::Common;
use crate::broker::options::Address;
use crate::controller::core::{METADATA_VERSION, METADATA_VERSION_3_7, broker_features};
use crate::controller::image::Image;
use crate::io::time;

/// The pause after the first refusal; each further one doubles it (`ControllerRegistrationManager.resendExponentialBackoff`).
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What one life of a controller says of itself.
pub(super) struct Registration {
    me: BrokerId,
    incarnation: Uuid,
    address: Address,
    timeout: Duration,
    channel: ControllerChannel,
    metadata: Arc<MetadataCache>,
}

impl Registration {
    pub(super) fn new(common: &Common, address: &Address) -> Self {
        Self {
            me: common.options.id,
            incarnation: common.incarnation,
            address: address.clone(),
            timeout: Duration::from_millis(common.options.config.controller_socket_timeout_ms as u64),
            channel: common.channel("controller-registration"),
            metadata: common.metadata.clone(),
        }
    }

    /// Registers, and again whenever another incarnation stands in its place, for as long as the node lives.
    pub(super) async fn run(self) {
        let request = self.request();
        let refused = |r: &ControllerRegistrationResponse| r.error_code == ResponseError::NotController.code();
        let mut pause = FIRST_PAUSE;
        loop {
            self.metadata.wait_until(|image| self.is_wanted(image)).await;
            match self.channel.call(&request, self.timeout, refused).await {
                Ok(response) if response.error_code == 0 => {
                    pause = FIRST_PAUSE;
                    // The record is committed; this node replays it soon, or asks again.
                    let replayed = self.metadata.wait_until(|image| !self.is_wanted(image));
                    time::timeout(LONGEST_PAUSE, replayed).await.ok();
                    continue;
                }
                Ok(response) => {
                    tracing::warn!(node = %self.me, code = response.error_code, "the registration of a controller is refused");
                }
                Err(error) => tracing::debug!(node = %self.me, %error, "a controller is not registered yet"),
            }
            time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// True once the metadata has a version that knows such records, and does not show this incarnation.
    fn is_wanted(&self, image: &Image) -> bool {
        image.feature(METADATA_VERSION).is_some_and(|level| level >= METADATA_VERSION_3_7)
            && image.controller(self.me).is_none_or(|c| c.incarnation_id != self.incarnation)
    }

    fn request(&self) -> ControllerRegistrationRequest {
        let listener = Listener::default()
            .with_name(StrBytes::from_static_str("CONTROLLER"))
            .with_host(StrBytes::from_string(self.address.host.clone()))
            .with_port(self.address.port)
            .with_security_protocol(0);
        let features = broker_features().into_iter().map(|f| {
            Feature::default()
                .with_name(f.name)
                .with_min_supported_version(f.min_supported_version)
                .with_max_supported_version(f.max_supported_version)
        });
        ControllerRegistrationRequest::default()
            .with_controller_id(self.me.0)
            .with_incarnation_id(self.incarnation)
            .with_zk_migration_ready(false)
            .with_listeners(vec![listener])
            .with_features(features.collect())
    }
}
