//! What a broker's coming and going does to the partitions (Kafka's `ReplicationControlManager.handleBroker…`).

use std::sync::Arc;

use super::change::{Change, Election};
use super::turn::Turn;
use crate::base::{BrokerEpoch, BrokerId, TopicId};
use crate::controller::image::{Partition, Topic};
use crate::wire::records::{BrokerRegistrationChangeRecord, PartitionChangeRecord, UnregisterBrokerRecord};

/// Who is to be seen otherwise than the image shows it yet.
#[derive(Clone, Copy, Default)]
struct View {
    /// Leaves every ISR and leads nothing.
    leaving: Option<BrokerId>,
    /// May lead although it still stands as fenced.
    joining: Option<BrokerId>,
    /// May have lost what it held: leaves every ISR and ELR and leads nothing.
    lost: Option<BrokerId>,
}

impl Turn<'_> {
    /// Fences a broker: it leaves every ISR and every leadership.
    pub fn fence(&mut self, id: BrokerId) {
        self.update_partitions(View { leaving: Some(id), ..View::default() }, |p| p.isr.contains(&id));
        let broker_epoch = self.image().broker(id).expect("only registered brokers are fenced").epoch;
        self.write(BrokerRegistrationChangeRecord { broker_id: id, broker_epoch, fenced: 1, ..Default::default() });
    }

    /// Unfences a broker: partitions without a leader may elect it.
    pub fn unfence(&mut self, id: BrokerId, broker_epoch: BrokerEpoch) {
        self.write(BrokerRegistrationChangeRecord { broker_id: id, broker_epoch, fenced: -1, ..Default::default() });
        self.update_partitions(View { joining: Some(id), ..View::default() }, |p| !p.has_leader());
    }

    /// Starts a broker's controlled shutdown: it leaves every ISR and every leadership (KIP-841).
    pub fn start_controlled_shutdown(&mut self, id: BrokerId, broker_epoch: BrokerEpoch) {
        self.write(BrokerRegistrationChangeRecord {
            broker_id: id,
            broker_epoch,
            in_controlled_shutdown: 1,
            ..Default::default()
        });
        self.update_partitions(View { leaving: Some(id), ..View::default() }, |p| p.isr.contains(&id));
    }

    /// A new incarnation takes a broker's place. After an unclean shutdown it may have lost what was not yet on its
    /// disk, so it leaves ISR and ELR; after a clean one it is as if it had been fenced.
    pub fn end_incarnation(&mut self, id: BrokerId, clean: bool) {
        if clean || !self.elr_enabled() {
            self.update_partitions(View { leaving: Some(id), ..View::default() }, |p| p.isr.contains(&id));
        } else {
            let holds = |p: &Partition| p.isr.contains(&id) || p.elr.contains(&id);
            self.update_partitions(View { lost: Some(id), ..View::default() }, holds);
        }
    }

    /// Forgets a broker: it leaves every ISR and every leadership (`handleBrokerUnregistered`).
    pub fn unregister(&mut self, id: BrokerId, broker_epoch: BrokerEpoch) {
        self.update_partitions(View { leaving: Some(id), ..View::default() }, |p| p.isr.contains(&id));
        self.write(UnregisterBrokerRecord { broker_id: id, broker_epoch });
        self.sessions.end(id);
    }

    /// The topic's `min.insync.replicas`, or everybody's, may have fallen: an ISR that is large enough now needs no
    /// eligible replicas beside it (KIP-966, `handleMinIsrConfigUpdate`).
    pub fn min_insync_replicas_changed(&mut self, topic: Option<&str>) {
        let concerned = |t: &Topic| topic.is_none_or(|name| *t.name == *name);
        let changes = self.changes(View::default(), |t, p| concerned(t) && !p.elr.is_empty());
        changes.into_iter().for_each(|record| self.write(record));
    }

    /// True if `id` leads any partition.
    pub fn has_leaderships(&self, id: BrokerId) -> bool {
        self.image().topics().any(|t| t.partitions.iter().any(|p| p.leader == id))
    }

    /// Kafka's `generateLeaderAndIsrUpdates`, over all partitions that `concerned` picks.
    fn update_partitions(&mut self, view: View, concerned: impl Fn(&Partition) -> bool) {
        let changes = self.changes(view, |_, p| concerned(p));
        changes.into_iter().for_each(|record| self.write(record));
    }

    fn changes(&self, view: View, concerned: impl Fn(&Topic, &Partition) -> bool) -> Vec<PartitionChangeRecord> {
        let mut changes = Vec::new();
        for topic in self.image().topics() {
            for (index, partition) in topic.indexed().filter(|(_, p)| concerned(topic, p)) {
                let isr = partition.isr.iter().copied();
                let isr = isr.filter(|id| Some(*id) != view.leaving && Some(*id) != view.lost).collect();
                let mut change = self.change(topic, partition);
                change.isr = isr;
                change.lost = view.lost;
                let may_lead = |id: BrokerId| {
                    Some(id) != view.leaving
                        && Some(id) != view.lost
                        && (Some(id) == view.joining || self.image().is_active(id))
                };
                changes.extend(change.build(topic.id, index, may_lead));
            }
        }
        changes
    }

    /// A change of `partition` that wishes for nothing yet, under its topic's configuration.
    pub fn change<'p>(&self, topic: &Topic, partition: &'p Partition) -> Change<'p> {
        let (image, config) = (self.image(), self.config);
        let unclean = image.unclean_leader_election(&topic.name, config.me, config.unclean_leader_election);
        Change {
            partition,
            isr: partition.isr.clone(),
            replicas: partition.replicas.clone(),
            removing: partition.removing_replicas.clone(),
            adding: partition.adding_replicas.clone(),
            recovery: partition.recovery,
            min_isr: image.min_insync_replicas(&topic.name, config.me, usize::MAX, config.min_insync_replicas),
            elr_enabled: self.elr_enabled(),
            election: if unclean { Election::Unclean } else { Election::Online },
            lost: None,
        }
    }

    /// A topic and one of its partitions, shared with the image.
    pub fn find(&self, topic: TopicId, index: i32) -> Option<(Arc<Topic>, Arc<Partition>)> {
        let topic = self.image().topic_by_id(topic)?;
        Some((Arc::clone(topic), Arc::clone(topic.partition(index)?)))
    }
}
