//! Applying the records of the metadata log to an [`Image`], one at a time.
//!
//! The image repeats what records say and refuses what cannot follow from what came before: such a log is corrupt, or
//! was written by a controller that broke its own rules. Log directories are carried by records but play no part here.

use std::sync::Arc;

use super::{Broker, BrokerEvent, Changes, ConfigResource, Endpoint, Image, Partition, RecoveryState, Topic};
use crate::base::{BrokerEpoch, BrokerId, Offset, TopicId};
use crate::wire::records::{
    BrokerRegistrationChangeRecord, ConfigRecord, FeatureLevelRecord, MetadataRecord, PartitionChangeRecord,
    PartitionRecord, ProducerIdsRecord, RegisterBrokerRecord, TopicRecord, UnregisterBrokerRecord,
};

/// A record does not fit the image: the metadata log is corrupt, or a writer broke its own rules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("metadata record {record} at offset {offset} does not fit: {reason}")]
pub struct ReplayError {
    /// The record's offset.
    pub offset: Offset,
    /// The record's name.
    pub record: &'static str,
    /// What is wrong with it.
    pub reason: String,
}

pub(super) type Fit = Result<(), String>;

/// `ConfigResource.Type` of a topic.
const TOPIC_RESOURCE: i8 = 2;
/// `ConfigResource.Type` of a broker.
const BROKER_RESOURCE: i8 = 4;

impl ConfigResource {
    /// Type and name as a record has them.
    pub(super) fn code_and_name(&self) -> (i8, Arc<str>) {
        match self {
            Self::Topic(name) => (TOPIC_RESOURCE, Arc::clone(name)),
            Self::Broker(id) => (BROKER_RESOURCE, id.to_string().into()),
            Self::ClusterDefault => (BROKER_RESOURCE, "".into()),
        }
    }
}

impl Image {
    /// Applies the record at `offset` and notes in `changes` what it touched.
    ///
    /// # Errors
    /// If the record cannot follow what came before. The image is then as it was, and must not be used any further.
    pub fn apply(&mut self, offset: Offset, record: &MetadataRecord, changes: &mut Changes) -> Result<(), ReplayError> {
        let fits = if offset < self.next {
            Err(format!("everything below {} was applied before", self.next))
        } else {
            self.apply_kind(offset, record, changes)
        };
        fits.map_err(|reason| ReplayError { offset, record: record.name(), reason })?;
        self.next = offset.next();
        Ok(())
    }

    pub(super) fn apply_kind(&mut self, offset: Offset, record: &MetadataRecord, changes: &mut Changes) -> Fit {
        match record {
            MetadataRecord::RegisterBroker(r) => self.register_broker(offset, r, changes),
            MetadataRecord::UnregisterBroker(r) => self.unregister_broker(r, changes),
            MetadataRecord::BrokerRegistrationChange(r) => self.change_registration(r, changes),
            MetadataRecord::FenceBroker(r) => self.change_broker(r.id, r.epoch, Some(true), false, changes),
            MetadataRecord::UnfenceBroker(r) => self.change_broker(r.id, r.epoch, Some(false), false, changes),
            MetadataRecord::Topic(r) => self.create_topic(r),
            MetadataRecord::Partition(r) => self.create_partition(r, changes),
            MetadataRecord::PartitionChange(r) => self.change_partition(r, changes),
            MetadataRecord::RemoveTopic(r) => self.remove_topic(r.topic_id, changes),
            MetadataRecord::Config(r) => self.set_config(r, changes),
            MetadataRecord::FeatureLevel(r) => {
                self.set_feature(r, changes);
                Ok(())
            }
            MetadataRecord::ProducerIds(r) => self.take_producer_ids(r),
            MetadataRecord::RegisterController(r) => {
                Arc::make_mut(&mut self.controllers).insert(r.controller_id, Arc::new(r.clone()));
                changes.controllers.insert(r.controller_id);
                Ok(())
            }
            MetadataRecord::NoOp(_) => Ok(()),
            MetadataRecord::BeginTransaction(_)
            | MetadataRecord::EndTransaction(_)
            | MetadataRecord::AbortTransaction(_) => Err("metadata transactions are not supported".to_owned()),
        }
    }

    fn register_broker(&mut self, offset: Offset, r: &RegisterBrokerRecord, changes: &mut Changes) -> Fit {
        let before = self.broker(r.broker_id);
        if let Some(b) = before.filter(|b| b.epoch > r.broker_epoch) {
            return Err(format!("broker {} registers epoch {} after {}", r.broker_id, r.broker_epoch, b.epoch));
        }
        let was_fenced = before.is_none_or(|b| b.fenced);
        let is_new_life = before.is_none_or(|b| b.incarnation != r.incarnation_id);
        let broker = Broker {
            id: r.broker_id,
            incarnation: r.incarnation_id,
            epoch: r.broker_epoch,
            registered_at: offset,
            endpoints: r.end_points.iter().map(endpoint).collect(),
            rack: r.rack.clone(),
            fenced: r.fenced,
            in_controlled_shutdown: r.in_controlled_shutdown,
        };
        Arc::make_mut(&mut self.brokers).insert(r.broker_id, Arc::new(broker));
        changes.brokers.insert(r.broker_id);
        if is_new_life {
            changes.broker_events.push(BrokerEvent::Registered(r.broker_id, r.broker_epoch));
        }
        if r.fenced && (is_new_life || !was_fenced) {
            changes.broker_events.push(BrokerEvent::Fenced(r.broker_id));
        }
        Ok(())
    }

    fn unregister_broker(&mut self, r: &UnregisterBrokerRecord, changes: &mut Changes) -> Fit {
        self.registered(r.broker_id, r.broker_epoch)?;
        Arc::make_mut(&mut self.brokers).remove(&r.broker_id);
        changes.brokers.insert(r.broker_id);
        changes.broker_events.push(BrokerEvent::Unregistered(r.broker_id));
        Ok(())
    }

    fn registered(&self, id: BrokerId, epoch: BrokerEpoch) -> Result<&Broker, String> {
        match self.broker(id) {
            Some(broker) if broker.epoch == epoch => Ok(broker),
            Some(broker) => Err(format!("broker {id} has epoch {}, not {epoch}", broker.epoch)),
            None => Err(format!("broker {id} is not registered")),
        }
    }

    fn change_registration(&mut self, r: &BrokerRegistrationChangeRecord, changes: &mut Changes) -> Fit {
        let fenced = match r.fenced {
            -1 => Some(false),
            0 => None,
            1 => Some(true),
            other => return Err(format!("{other} is no fencing change")),
        };
        if !(0..=1).contains(&r.in_controlled_shutdown) {
            return Err(format!("{} is no change of controlled shutdown", r.in_controlled_shutdown));
        }
        self.change_broker(r.broker_id, r.broker_epoch, fenced, r.in_controlled_shutdown == 1, changes)
    }

    fn change_broker(
        &mut self,
        id: BrokerId,
        epoch: BrokerEpoch,
        fenced: Option<bool>,
        shuts_down: bool,
        changes: &mut Changes,
    ) -> Fit {
        let before = self.registered(id, epoch)?;
        let (was_fenced, was_shutting_down) = (before.fenced, before.in_controlled_shutdown);
        let slot = Arc::make_mut(&mut self.brokers).get_mut(&id).expect("it is registered");
        let broker = Arc::make_mut(slot);
        broker.fenced = fenced.unwrap_or(was_fenced);
        broker.in_controlled_shutdown |= shuts_down;
        changes.brokers.insert(id);
        if broker.fenced != was_fenced {
            let event = if was_fenced { BrokerEvent::Unfenced(id) } else { BrokerEvent::Fenced(id) };
            changes.broker_events.push(event);
        }
        if shuts_down && !was_shutting_down {
            changes.broker_events.push(BrokerEvent::ShuttingDown(id));
        }
        Ok(())
    }

    fn create_topic(&mut self, r: &TopicRecord) -> Fit {
        if let Some(other) = self.topic_id(&r.name) {
            return Err(format!("topic {:?} exists with id {other}", r.name));
        }
        if self.topic_by_id(r.topic_id).is_some() {
            return Err(format!("a topic with id {} exists", r.topic_id));
        }
        let topic = Topic { name: Arc::clone(&r.name), id: r.topic_id, partitions: Vec::new() };
        Arc::make_mut(&mut self.names).insert(Arc::clone(&r.name), r.topic_id);
        Arc::make_mut(&mut self.topics).insert(r.topic_id, Arc::new(topic));
        Ok(())
    }

    fn create_partition(&mut self, r: &PartitionRecord, changes: &mut Changes) -> Fit {
        let recovery = recovery_state(r.leader_recovery_state)?;
        let count = self.topic_by_id(r.topic_id).ok_or_else(|| no_topic(r.topic_id))?.partitions.len();
        if usize::try_from(r.partition_id) != Ok(count) {
            return Err(format!("partition {} follows {count} partitions", r.partition_id));
        }
        let partition = Partition {
            replicas: r.replicas.clone(),
            isr: r.isr.clone(),
            elr: r.eligible_leader_replicas.clone().unwrap_or_default(),
            last_known_elr: r.last_known_elr.clone().unwrap_or_default(),
            removing_replicas: r.removing_replicas.clone(),
            adding_replicas: r.adding_replicas.clone(),
            leader: r.leader,
            leader_epoch: r.leader_epoch,
            partition_epoch: r.partition_epoch,
            recovery,
        };
        self.topic_mut(r.topic_id)?.partitions.push(Arc::new(partition));
        changes.partitions.insert((r.topic_id, r.partition_id));
        Ok(())
    }

    fn change_partition(&mut self, r: &PartitionChangeRecord, changes: &mut Changes) -> Fit {
        if self.partition_by_id(r.topic_id, r.partition_id).is_none() {
            return Err(format!("partition {} of topic {} does not exist", r.partition_id, r.topic_id));
        }
        let recovery = match r.leader_recovery_state {
            -1 => None,
            code => Some(recovery_state(code)?),
        };
        let slot = &mut self.topic_mut(r.topic_id)?.partitions[r.partition_id as usize];
        Arc::make_mut(slot).merge(r, recovery);
        changes.partitions.insert((r.topic_id, r.partition_id));
        Ok(())
    }

    fn topic_mut(&mut self, id: TopicId) -> Result<&mut Topic, String> {
        Arc::make_mut(&mut self.topics).get_mut(&id).map(Arc::make_mut).ok_or_else(|| no_topic(id))
    }

    fn remove_topic(&mut self, id: TopicId, changes: &mut Changes) -> Fit {
        if self.topic_by_id(id).is_none() {
            return Err(no_topic(id));
        }
        let topic = Arc::make_mut(&mut self.topics).remove(&id).expect("it exists");
        Arc::make_mut(&mut self.names).remove(&topic.name);
        let resource = ConfigResource::Topic(Arc::clone(&topic.name));
        if self.configs.contains_key(&resource) {
            Arc::make_mut(&mut self.configs).remove(&resource);
            changes.configs.insert(resource);
        }
        changes.partitions.retain(|(topic, _)| *topic != id);
        changes.removed_topics.insert(id, topic);
        Ok(())
    }

    fn set_config(&mut self, r: &ConfigRecord, changes: &mut Changes) -> Fit {
        let resource = match r.resource_type {
            TOPIC_RESOURCE => ConfigResource::Topic(Arc::clone(&r.resource_name)),
            BROKER_RESOURCE if r.resource_name.is_empty() => ConfigResource::ClusterDefault,
            BROKER_RESOURCE => {
                let id = r.resource_name.parse().map_err(|_| format!("{:?} is no broker", r.resource_name))?;
                ConfigResource::Broker(BrokerId(id))
            }
            other => return Err(format!("resource type {other} is not supported")),
        };
        let configs = Arc::make_mut(&mut self.configs);
        let entries = configs.entry(resource.clone()).or_default();
        match &r.value {
            Some(value) => entries.insert(r.name.to_string(), value.to_string()),
            None => entries.remove(&*r.name),
        };
        if entries.is_empty() {
            configs.remove(&resource);
        }
        changes.configs.insert(resource);
        Ok(())
    }

    fn set_feature(&mut self, r: &FeatureLevelRecord, changes: &mut Changes) {
        let features = Arc::make_mut(&mut self.features);
        match r.feature_level {
            0 => features.remove(&*r.name),
            level => features.insert(r.name.to_string(), level),
        };
        changes.features = true;
    }

    fn take_producer_ids(&mut self, r: &ProducerIdsRecord) -> Fit {
        if r.next_producer_id <= self.next_producer_id {
            return Err(format!("producer ids below {} were handed out before", self.next_producer_id));
        }
        self.next_producer_id = r.next_producer_id;
        Ok(())
    }
}

impl Partition {
    /// What the change makes of this partition (Kafka's `PartitionRegistration.merge`): naming a leader raises the
    /// leader epoch, even if it names the same one; every change raises the partition epoch.
    fn merge(&mut self, r: &PartitionChangeRecord, recovery: Option<RecoveryState>) {
        let set = |to: &mut Vec<BrokerId>, from: &Option<Vec<BrokerId>>| {
            if let Some(ids) = from {
                to.clone_from(ids);
            }
        };
        set(&mut self.replicas, &r.replicas);
        set(&mut self.isr, &r.isr);
        set(&mut self.elr, &r.eligible_leader_replicas);
        set(&mut self.last_known_elr, &r.last_known_elr);
        set(&mut self.removing_replicas, &r.removing_replicas);
        set(&mut self.adding_replicas, &r.adding_replicas);
        if r.leader != PartitionChangeRecord::SAME_LEADER {
            self.leader = r.leader;
            self.leader_epoch = self.leader_epoch.next();
        }
        self.recovery = recovery.unwrap_or(self.recovery);
        self.partition_epoch = self.partition_epoch.next();
    }
}

fn endpoint(e: &crate::wire::records::EndPoint) -> Endpoint {
    Endpoint {
        name: Arc::clone(&e.name),
        host: Arc::clone(&e.host),
        port: e.port,
        security_protocol: e.security_protocol,
    }
}

fn recovery_state(code: i8) -> Result<RecoveryState, String> {
    RecoveryState::from_code(code).ok_or_else(|| format!("{code} is no leader recovery state"))
}

fn no_topic(id: TopicId) -> String {
    format!("there is no topic with id {id}")
}
