//! What replaying records has touched: the brokers' publishers look at these instead of the whole image.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{ConfigResource, Topic};
use crate::base::{BrokerEpoch, BrokerId, TopicId};

/// A change in the life of a registration, in the order of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokerEvent {
    /// A new incarnation registered.
    Registered(BrokerId, BrokerEpoch),
    /// The broker is fenced from now on; whoever registers anew is.
    Fenced(BrokerId),
    /// The broker was unfenced.
    Unfenced(BrokerId),
    /// The broker began a controlled shutdown.
    ShuttingDown(BrokerId),
    /// The registration was removed.
    Unregistered(BrokerId),
}

/// Everything that a run of records touched; the new state is in the image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Partitions that were created or changed and still exist.
    pub partitions: BTreeSet<(TopicId, i32)>,
    /// Topics that were removed, as they last were.
    pub removed_topics: BTreeMap<TopicId, Arc<Topic>>,
    /// Brokers whose registration was written, changed or removed.
    pub brokers: BTreeSet<BrokerId>,
    /// Controllers that registered.
    pub controllers: BTreeSet<BrokerId>,
    /// What happened to brokers, in order.
    pub broker_events: Vec<BrokerEvent>,
    /// Resources whose dynamic configuration changed.
    pub configs: BTreeSet<ConfigResource>,
    /// True if a feature level changed.
    pub features: bool,
}

impl Changes {
    /// True if nothing was touched.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
