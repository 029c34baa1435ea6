//! Replays committed metadata into the node's image and tells the partitions what changed (Kafka's
//! BrokerMetadataPublisher). It never waits for a disk: a stalled disk must not stop the heartbeats.

use std::sync::Arc;

use uuid::Uuid;

use super::groups::Groups;
use super::metadata::MetadataCache;
use super::partitions::Partitions;
use super::probe::{Event, PartitionFacts, Probe, SnapshotId};
use super::quorum::{CommittedBatch, CommittedReader, LoadedSnapshot, QuorumEvent};
use super::snapshot_generator::SnapshotGenerator;
use crate::base::{BrokerId, Offset, TopicId};
use crate::controller::image::{BrokerEvent, Changes, Image, Partition, RecoveryState};
use crate::io::clock;

/// Feeds one node's image, partitions and probe, and has snapshots written of it.
pub struct Publisher {
    metadata: Arc<MetadataCache>,
    /// None if the node is a controller alone.
    broker: Option<BrokerSide>,
    probe: Probe,
    generator: SnapshotGenerator,
    load: Load,
}

/// What of a broker follows the metadata.
pub struct BrokerSide {
    partitions: Partitions,
    groups: Arc<Groups>,
    me: BrokerId,
    incarnation: Uuid,
    /// The image holds the registration of this life.
    registered: bool,
}

impl BrokerSide {
    /// Partitions and groups of a broker, by its id and the incarnation of this life.
    #[must_use]
    pub fn new(partitions: Partitions, groups: &Arc<Groups>, (me, incarnation): (BrokerId, Uuid)) -> Self {
        Self { partitions, groups: groups.clone(), me, incarnation, registered: false }
    }
}

/// What it took to come to the metadata of this life.
struct Load {
    began_ns: u64,
    snapshot: Option<(SnapshotId, usize)>,
    replayed: usize,
}

impl Publisher {
    /// A publisher that has applied nothing yet.
    #[must_use]
    pub fn new(
        metadata: &Arc<MetadataCache>,
        broker: Option<BrokerSide>,
        probe: Probe,
        generator: SnapshotGenerator,
    ) -> Self {
        let load = Load { began_ns: clock::now().mono_ns, snapshot: None, replayed: 0 };
        Self { metadata: metadata.clone(), broker, probe, generator, load }
    }

    /// Applies every committed batch, for as long as the node lives.
    pub async fn run(mut self, mut committed: CommittedReader) {
        let mut image = Image::default();
        loop {
            match committed.next().await {
                QuorumEvent::Snapshot(snapshot) => self.take_snapshot(&mut image, &snapshot),
                QuorumEvent::Batch(batch) => self.take_batch(&mut image, &batch),
                QuorumEvent::Leading { .. } | QuorumEvent::NotLeading { .. } => {}
            }
        }
    }

    fn take_batch(&mut self, image: &mut Image, batch: &CommittedBatch) {
        let mut changes = Changes::default();
        for (offset, record) in &batch.records {
            if let Err(error) = image.apply(*offset, record, &mut changes) {
                // Every node replays the same record: the log says something that this version does not understand.
                tracing::error!(%offset, %error, "metadata record skipped");
            }
        }
        image.advance(batch.next);
        self.load.replayed += batch.records.len();
        self.publish(image, &changes, batch.base, batch.next);
        self.generator.applied(image, batch, &self.probe);
    }

    fn take_snapshot(&mut self, image: &mut Image, snapshot: &LoadedSnapshot) {
        let (id, records) = (snapshot.id, snapshot.records.len());
        let loaded = match Image::from_records(&snapshot.records, id.offset) {
            Ok(loaded) => loaded,
            Err(error) => return tracing::error!(snapshot = %id, %error, "a snapshot of the metadata is skipped"),
        };
        let changes = loaded.changes_since(image);
        *image = loaded;
        self.probe.tell(Event::SnapshotLoaded { snapshot: id, records });
        self.probe.tell(Event::MetadataDigest { next: id.offset, digest: image.digest() });
        self.load.snapshot = Some((id, records));
        self.publish(image, &changes, id.offset - 1, id.offset);
        self.generator.loaded();
    }

    fn publish(&mut self, image: &Image, changes: &Changes, base: Offset, next: Offset) {
        self.tell(image, changes, base);
        self.look_for_registration(image);
        if let Some(broker) = self.broker.as_ref().filter(|b| b.registered && !changes.is_empty()) {
            broker.partitions.apply(image, changes);
            broker.groups.apply(image);
        }
        self.metadata.publish(Arc::new(image.clone()));
        self.probe.tell(Event::MetadataApplied { next });
    }

    /// Earlier metadata is history: by it, logs would be strays whose topics are yet to be replayed, and this broker
    /// would lead what it led in an earlier life.
    fn look_for_registration(&mut self, image: &Image) {
        let Some(broker) = self.broker.as_mut().filter(|b| !b.registered) else { return };
        if let Some(registration) = image.broker(broker.me).filter(|b| b.incarnation == broker.incarnation) {
            broker.partitions.set_broker_epoch(registration.epoch);
            broker.registered = true;
            let Load { began_ns, snapshot, replayed } = self.load;
            let ns = clock::now().mono_ns - began_ns;
            self.probe.tell(Event::MetadataCaughtUp { snapshot, replayed, ns });
        }
    }

    fn tell(&self, image: &Image, changes: &Changes, offset: Offset) {
        for event in &changes.broker_events {
            match *event {
                BrokerEvent::Registered(broker, epoch) => self.probe.tell(Event::BrokerRegistered { broker, epoch }),
                BrokerEvent::Fenced(broker) => self.probe.tell(Event::BrokerFenced { broker }),
                BrokerEvent::Unfenced(broker) => self.probe.tell(Event::BrokerUnfenced { broker }),
                BrokerEvent::ShuttingDown(_) | BrokerEvent::Unregistered(_) => {}
            }
        }
        for topic in changes.removed_topics.values() {
            for (index, _) in topic.indexed() {
                self.probe.tell(Event::PartitionRemoved { tp: topic.name_of(index), offset });
            }
        }
        for (id, index) in &changes.partitions {
            self.tell_partition(image, *id, *index, offset);
        }
    }

    fn tell_partition(&self, image: &Image, id: TopicId, index: i32, offset: Offset) {
        let Some(topic) = image.topic_by_id(id) else { return };
        let Some(partition) = topic.partition(index) else { return };
        self.probe.tell(Event::PartitionChanged { tp: topic.name_of(index), facts: facts(partition), offset });
    }
}

fn facts(p: &Partition) -> PartitionFacts {
    PartitionFacts {
        leader: p.leader,
        leader_epoch: p.leader_epoch,
        partition_epoch: p.partition_epoch,
        replicas: p.replicas.clone(),
        isr: p.isr.clone(),
        elr: p.elr.clone(),
        adding: p.adding_replicas.clone(),
        removing: p.removing_replicas.clone(),
        recovering: p.recovery == RecoveryState::Recovering,
    }
}
