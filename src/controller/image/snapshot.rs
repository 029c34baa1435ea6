//! An image as the records of a snapshot, and back (Kafka's `MetadataImage.write`), and what one image changed against
//! another when a snapshot took the place of the records between them.

use std::sync::Arc;

use super::{Broker, BrokerEvent, Changes, ConfigResource, Image, Partition, ReplayError, Topic};
use crate::base::{BrokerEpoch, BrokerId, Offset, ProducerId};
use crate::wire::records::{
    ConfigRecord, EndPoint, FeatureLevelRecord, MetadataRecord, PartitionRecord, ProducerIdsRecord,
    RegisterBrokerRecord, RegisterControllerRecord, TopicRecord,
};

/// The feature that stands first, so that a reader knows how to read the rest.
const METADATA_VERSION: &str = "metadata.version";

impl Image {
    /// The records that make this image out of an empty one, in Kafka's order: features, brokers, controllers, topics with
    /// their partitions, configs, producer ids. Equal images give equal records.
    #[must_use]
    pub fn records(&self) -> Vec<MetadataRecord> {
        let mut out = Vec::new();
        let feature =
            |(name, level): (&str, i16)| FeatureLevelRecord { name: name.into(), feature_level: level }.into();
        out.extend(self.features().filter(|(name, _)| *name == METADATA_VERSION).map(feature));
        out.extend(self.features().filter(|(name, _)| *name != METADATA_VERSION).map(feature));
        out.extend(self.brokers().map(|b| registration(b).into()));
        out.extend(self.controllers().map(|c| RegisterControllerRecord::clone(c).into()));
        for topic in self.topics.values() {
            out.push(TopicRecord { name: Arc::clone(&topic.name), topic_id: topic.id }.into());
            out.extend(topic.indexed().map(|(index, p)| partition_record(topic, index, p).into()));
        }
        for (resource, entries) in &*self.configs {
            out.extend(entries.iter().map(|(name, value)| config_record(resource, name, value).into()));
        }
        if self.next_producer_id > ProducerId(0) {
            let none = ProducerIdsRecord { broker_id: BrokerId::NONE, ..ProducerIdsRecord::default() };
            out.push(
                ProducerIdsRecord { broker_epoch: BrokerEpoch::NONE, next_producer_id: self.next_producer_id, ..none }
                    .into(),
            );
        }
        out
    }

    /// The image that a snapshot which ends before `next` describes. Its records count as the last one that it covers
    /// (`SnapshotReader.lastContainedLogOffset`).
    ///
    /// # Errors
    /// If a record cannot follow what came before it.
    pub fn from_records(records: &[MetadataRecord], next: Offset) -> Result<Self, ReplayError> {
        let mut image = Self::default();
        let mut changes = Changes::default();
        let offset = (next - 1).max(Offset::ZERO);
        for record in records {
            image.apply_kind(offset, record, &mut changes).map_err(|reason| ReplayError {
                offset,
                record: record.name(),
                reason,
            })?;
        }
        image.advance(next);
        Ok(image)
    }

    /// A checksum of the content: nodes that have applied the same metadata have the same.
    #[must_use]
    pub fn digest(&self) -> u32 {
        self.records().iter().fold(0, |crc, record| crc32c::crc32c_append(crc, &record.encode()))
    }

    /// What is different in this image from an `older` one.
    #[must_use]
    pub fn changes_since(&self, older: &Self) -> Changes {
        let mut changes = Changes::default();
        for id in older.brokers.keys().chain(self.brokers.keys()) {
            broker_changes(*id, older.broker(*id), self.broker(*id), &mut changes);
        }
        let registered = self.controllers.iter().filter(|(id, c)| older.controllers.get(*id) != Some(*c));
        changes.controllers.extend(registered.map(|(id, _)| *id));
        for (id, topic) in &*older.topics {
            if !self.topics.contains_key(id) {
                changes.removed_topics.insert(*id, Arc::clone(topic));
            }
        }
        for (id, topic) in &*self.topics {
            let before = older.topics.get(id);
            let differs = |index: i32, p: &Arc<Partition>| before.and_then(|t| t.partition(index)) != Some(p);
            changes.partitions.extend(topic.indexed().filter(|(i, p)| differs(*i, p)).map(|(i, _)| (*id, i)));
        }
        for resource in older.configs.keys().chain(self.configs.keys()) {
            if older.config(resource) != self.config(resource) {
                changes.configs.insert(resource.clone());
            }
        }
        changes.features = older.features != self.features;
        changes
    }
}

fn broker_changes(id: BrokerId, before: Option<&Arc<Broker>>, now: Option<&Arc<Broker>>, changes: &mut Changes) {
    if before == now || changes.brokers.contains(&id) {
        return;
    }
    changes.brokers.insert(id);
    let Some(now) = now else {
        return changes.broker_events.push(BrokerEvent::Unregistered(id));
    };
    let reborn = before.is_none_or(|b| b.incarnation != now.incarnation);
    if reborn {
        changes.broker_events.push(BrokerEvent::Registered(id, now.epoch));
    }
    // Whoever registers is fenced at first.
    let was_fenced = reborn || before.is_some_and(|b| b.fenced);
    if now.fenced && (reborn || !was_fenced) {
        changes.broker_events.push(BrokerEvent::Fenced(id));
    } else if !now.fenced && was_fenced {
        changes.broker_events.push(BrokerEvent::Unfenced(id));
    }
    if now.in_controlled_shutdown && before.is_none_or(|b| reborn || !b.in_controlled_shutdown) {
        changes.broker_events.push(BrokerEvent::ShuttingDown(id));
    }
}

fn registration(b: &Broker) -> RegisterBrokerRecord {
    let end_point = |e: &super::Endpoint| EndPoint {
        name: Arc::clone(&e.name),
        host: Arc::clone(&e.host),
        port: e.port,
        security_protocol: e.security_protocol,
    };
    RegisterBrokerRecord {
        broker_id: b.id,
        incarnation_id: b.incarnation,
        broker_epoch: b.epoch,
        end_points: b.endpoints.iter().map(end_point).collect(),
        rack: b.rack.clone(),
        fenced: b.fenced,
        in_controlled_shutdown: b.in_controlled_shutdown,
        ..RegisterBrokerRecord::default()
    }
}

fn partition_record(topic: &Topic, index: i32, p: &Partition) -> PartitionRecord {
    let some = |ids: &Vec<BrokerId>| Some(ids.clone()).filter(|ids| !ids.is_empty());
    PartitionRecord {
        partition_id: index,
        topic_id: topic.id,
        replicas: p.replicas.clone(),
        isr: p.isr.clone(),
        removing_replicas: p.removing_replicas.clone(),
        adding_replicas: p.adding_replicas.clone(),
        leader: p.leader,
        leader_recovery_state: p.recovery.code(),
        leader_epoch: p.leader_epoch,
        partition_epoch: p.partition_epoch,
        eligible_leader_replicas: some(&p.elr),
        last_known_elr: some(&p.last_known_elr),
        ..PartitionRecord::default()
    }
}

fn config_record(resource: &ConfigResource, name: &str, value: &str) -> ConfigRecord {
    let (resource_type, resource_name) = resource.code_and_name();
    ConfigRecord { resource_type, resource_name, name: name.into(), value: Some(value.into()) }
}
