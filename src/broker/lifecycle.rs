//! A broker's life as the controller sees it: registration, heartbeats, fencing, controlled shutdown (KIP-631, Kafka's
//! BrokerLifecycleManager).

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::broker_registration_request::Listener;
use kafka_protocol::messages::{
    BrokerHeartbeatRequest, BrokerHeartbeatResponse, BrokerRegistrationRequest, BrokerRegistrationResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::channel::ControllerChannel;
use super::metadata::MetadataCache;
use super::options::{Address, NodeOptions};
use super::probe::{Event, Probe};
use crate::base::{BrokerEpoch, Offset};
use crate::controller::core::broker_features;
use crate::io::{clock, time};

/// How soon the controller is asked again after its first word on a controlled shutdown (BrokerLifecycleManager): it
/// usually takes but one more heartbeat of the others.
const FIRST_GOODBYE_PAUSE: Duration = Duration::from_millis(50);
/// After so long a broker goes without the controller's word (`KafkaBroker.DEFAULT_SHUTDOWN_TIMEOUT`).
const CONTROLLED_SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(300);

/// A start, a heartbeat or a stop that cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum LifecycleError {
    /// `initial.broker.registration.timeout.ms` ran out.
    #[error("the broker could not register within {0} ms")]
    RegistrationTimeout(i64),
    /// The controller will never accept this broker as it is.
    #[error("the controller refused the registration: {0:?}")]
    Refused(ResponseError),
}

/// The lifecycle of one incarnation.
pub struct Lifecycle {
    options: Arc<NodeOptions>,
    channel: ControllerChannel,
    metadata: Arc<MetadataCache>,
    incarnation: uuid::Uuid,
    previous_epoch: BrokerEpoch,
    epoch: AtomicI64,
    probe: Probe,
}

/// What a heartbeat brought back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Beat {
    /// The controller has fenced this broker, or not yet unfenced it.
    pub fenced: bool,
    /// The controller lets this broker go.
    pub may_stop: bool,
}

impl Lifecycle {
    /// A life that has not begun. `previous_epoch` comes from the clean-shutdown marker; NONE if there was none.
    #[must_use]
    pub fn new(
        options: &Arc<NodeOptions>,
        channel: ControllerChannel,
        metadata: &Arc<MetadataCache>,
        (incarnation, previous_epoch): (uuid::Uuid, BrokerEpoch),
        probe: Probe,
    ) -> Self {
        Self {
            options: options.clone(),
            channel,
            metadata: metadata.clone(),
            incarnation,
            previous_epoch,
            epoch: AtomicI64::new(BrokerEpoch::NONE.0),
            probe,
        }
    }

    /// The epoch of the current registration, or NONE.
    #[must_use]
    pub fn epoch(&self) -> BrokerEpoch {
        BrokerEpoch(self.epoch.load(Ordering::Relaxed))
    }

    /// Registers, trying until `initial.broker.registration.timeout.ms` is over, and returns the broker epoch.
    ///
    /// # Errors
    /// If time runs out, or the controller refuses for good.
    pub async fn register(&self) -> Result<BrokerEpoch, LifecycleError> {
        let limit_ms = self.options.config.initial_registration_timeout_ms;
        let deadline = clock::now().after_ms(limit_ms as u64);
        let request = self.registration();
        loop {
            let left = deadline.saturating_sub(clock::now().mono_ns);
            if left == 0 {
                return Err(LifecycleError::RegistrationTimeout(limit_ms));
            }
            let refused = |r: &BrokerRegistrationResponse| r.error_code == ResponseError::NotController.code();
            if let Ok(response) = self.channel.call(&request, Duration::from_nanos(left), refused).await {
                match ResponseError::try_from_code(response.error_code) {
                    None => {
                        self.epoch.store(response.broker_epoch, Ordering::Relaxed);
                        return Ok(BrokerEpoch(response.broker_epoch));
                    }
                    // The session of an earlier incarnation still lives: it runs out.
                    Some(ResponseError::DuplicateBrokerRegistration) => {}
                    Some(error) if error.is_retriable() => {}
                    Some(error) => return Err(LifecycleError::Refused(error)),
                }
            }
            time::sleep(self.interval()).await;
        }
    }

    /// Sends one heartbeat; None if no controller answered. A controller that no longer knows this registration leaves
    /// the broker fenced: it must register again, with a new incarnation, hence restart (Kafka does the same).
    pub async fn beat(&self, want_stop: bool) -> Option<Beat> {
        let request = BrokerHeartbeatRequest::default()
            .with_broker_id(self.options.id.0.into())
            .with_broker_epoch(self.epoch().0)
            .with_current_metadata_offset(self.metadata.applied().0 - 1)
            .with_want_fence(false)
            .with_want_shut_down(want_stop);
        let timeout = Duration::from_millis(self.options.config.session_timeout_ms as u64 / 2);
        let refused = |r: &BrokerHeartbeatResponse| r.error_code == ResponseError::NotController.code();
        let response = self.channel.call(&request, timeout, refused).await.ok()?;
        if let Some(error) = ResponseError::try_from_code(response.error_code) {
            tracing::warn!(node = %self.options.id, ?error, "heartbeat refused");
            if error == ResponseError::StaleBrokerEpoch {
                self.probe.tell(Event::RegistrationLost);
            }
            return None;
        }
        Some(Beat { fenced: response.is_fenced, may_stop: response.should_shut_down })
    }

    /// Heartbeats until `stop` ends; then, with `controlled.shutdown.enable`, until the controller lets the broker go
    /// or five minutes have passed without its leave.
    pub async fn run(&self, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        let mut fenced = true;
        loop {
            let beat = tokio::select! {
                biased;
                () = &mut stop => break,
                beat = self.beat(false) => beat,
            };
            let answered = beat.is_some();
            fenced = beat.map_or(fenced, |b| b.fenced);
            // An unfenced broker has time; a fenced one asks again at once so that it serves soon.
            let pause = if fenced || !answered { self.interval() / 10 } else { self.interval() };
            tokio::select! {
                biased;
                () = &mut stop => break,
                () = time::sleep(pause) => {}
            }
        }
        if self.options.config.controlled_shutdown {
            self.say_goodbye().await;
        }
    }

    async fn say_goodbye(&self) {
        let mut first = true;
        let allowed = async {
            loop {
                let pause = match self.beat(true).await {
                    Some(Beat { may_stop: true, .. }) => return,
                    Some(_) if std::mem::take(&mut first) => FIRST_GOODBYE_PAUSE,
                    Some(_) => self.interval(),
                    None => self.interval() / 10,
                };
                time::sleep(pause).await;
            }
        };
        if time::timeout(CONTROLLED_SHUTDOWN_TIMEOUT, allowed).await.is_err() {
            tracing::error!(node = %self.options.id, "the controller did not approve the controlled shutdown in time");
        }
    }

    /// True once the applied metadata holds this registration.
    #[must_use]
    pub fn is_caught_up(&self) -> bool {
        self.metadata.applied() > Offset(self.epoch().0)
    }

    fn interval(&self) -> Duration {
        Duration::from_millis(self.options.config.heartbeat_interval_ms as u64)
    }

    fn registration(&self) -> BrokerRegistrationRequest {
        let listener = |address: &Address| {
            Listener::default()
                .with_name(StrBytes::from_static_str("PLAINTEXT"))
                .with_host(StrBytes::from_string(address.host.clone()))
                .with_port(address.port)
                .with_security_protocol(0)
        };
        BrokerRegistrationRequest::default()
            .with_broker_id(self.options.id.0.into())
            .with_cluster_id(StrBytes::from_string(self.options.cluster_id.clone()))
            .with_incarnation_id(self.incarnation)
            .with_listeners(self.options.broker_listener.iter().map(listener).collect())
            .with_features(broker_features())
            .with_rack(self.options.rack.clone().map(StrBytes::from_string))
            .with_previous_broker_epoch(self.previous_epoch.0)
    }
}
