//! One turn of the controller: what a rule may look at, and the records that it writes.

use super::sessions::Sessions;
use super::types::ControllerConfig;
use crate::base::random::Stream;
use crate::base::{BrokerEpoch, BrokerId, Now, Offset};
use crate::controller::image::{Changes, Image};
use crate::wire::records::MetadataRecord;
use kafka_protocol::ResponseError;

/// An error and what to tell the user.
pub(super) type Refusal = (ResponseError, String);

/// What a rule may use. A record takes effect on the image as soon as it is written, so each rule sees what those
/// before it in the same turn decided.
pub(super) struct Turn<'a> {
    /// The time of the input.
    pub now: Now,
    /// The controller's settings.
    pub config: &'a ControllerConfig,
    /// For ids and placement.
    pub random: &'a mut Stream,
    /// When each broker was last heard.
    pub sessions: &'a mut Sessions,
    image: &'a mut Image,
    records: Vec<MetadataRecord>,
}

impl<'a> Turn<'a> {
    /// A turn that starts from `image`.
    pub fn new(
        now: Now,
        config: &'a ControllerConfig,
        random: &'a mut Stream,
        sessions: &'a mut Sessions,
        image: &'a mut Image,
    ) -> Self {
        Self { now, config, random, sessions, image, records: Vec::new() }
    }
    /// The metadata as it will be once everything proposed so far is committed.
    pub fn image(&self) -> &Image {
        self.image
    }
    /// The offset that the next record gets.
    pub fn next_offset(&self) -> Offset {
        self.image.next()
    }
    /// Writes a record.
    pub fn write(&mut self, record: impl Into<MetadataRecord>) {
        let record = record.into();
        let offset = self.image.next();
        let applied = self.image.apply(offset, &record, &mut Changes::default());
        applied.expect("the controller writes only records that fit its image");
        self.records.push(record);
    }
    /// Runs `rule` and takes back whatever it wrote.
    pub fn rehearse<R>(&mut self, rule: impl FnOnce(&mut Self) -> R) -> R {
        let (image, written) = (self.image.clone(), self.records.len());
        let result = rule(self);
        *self.image = image;
        self.records.truncate(written);
        result
    }
    /// The records of this turn.
    pub fn into_records(self) -> Vec<MetadataRecord> {
        self.records
    }
    /// Refuses a broker that is not registered with that epoch (Kafka's `checkBrokerEpoch`).
    pub fn check_broker_epoch(&self, id: BrokerId, epoch: BrokerEpoch) -> Result<(), ResponseError> {
        match self.image.broker(id) {
            Some(broker) if broker.epoch == epoch => Ok(()),
            _ => Err(ResponseError::StaleBrokerEpoch),
        }
    }
    /// True if eligible leader replicas are on in this cluster (KIP-966).
    pub fn elr_enabled(&self) -> bool {
        self.image.feature(super::features::ELIGIBLE_LEADER_REPLICAS).is_some_and(|level| level >= 1)
    }
}
