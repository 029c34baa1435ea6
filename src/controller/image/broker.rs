//! Broker registrations (Kafka's `BrokerRegistration`).

use std::sync::Arc;

use uuid::Uuid;

use crate::base::{BrokerEpoch, BrokerId, Offset};

/// Where one of a broker's listeners can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The listener's name, such as `PLAINTEXT`.
    pub name: Arc<str>,
    /// Its host.
    pub host: Arc<str>,
    /// Its port.
    pub port: u16,
    /// Kafka's code of the security protocol.
    pub security_protocol: i16,
}

/// A broker as registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Its id.
    pub id: BrokerId,
    /// Drawn anew by each life of the broker's process.
    pub incarnation: Uuid,
    /// The offset at which the batch of its registration starts.
    pub epoch: BrokerEpoch,
    /// The offset of its latest registration record: what it must have replayed before it is unfenced.
    pub registered_at: Offset,
    /// Its listeners, in the order of registration.
    pub endpoints: Vec<Endpoint>,
    /// Its rack.
    pub rack: Option<Arc<str>>,
    /// True while it may neither lead nor be in sync nor be shown to clients.
    pub fenced: bool,
    /// True once it has asked to shut down (KIP-841).
    pub in_controlled_shutdown: bool,
}

impl Broker {
    /// True if the broker may lead and be in sync.
    #[must_use]
    pub fn is_active(&self) -> bool {
        !self.fenced && !self.in_controlled_shutdown
    }
    /// The listener of that name.
    #[must_use]
    pub fn endpoint(&self, name: &str) -> Option<&Endpoint> {
        self.endpoints.iter().find(|e| *e.name == *name)
    }
}
