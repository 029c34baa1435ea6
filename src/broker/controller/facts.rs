//! What committed metadata says, told to the probe.

use crate::base::Offset;
use crate::broker::probe::{Event, PartitionFacts, Probe};
use crate::controller::image::{BrokerEvent, Changes, Image, Partition, RecoveryState};

/// Tells the probe of one applied batch: `changes` is what the batch touched, `image` what it made, up to
/// [`Image::next`]. To be called once per committed batch, by the one place of a node that publishes metadata.
pub fn tell(probe: &Probe, image: &Image, changes: &Changes) {
    let next = image.next();
    let offset: Offset = next - 1;
    for topic in changes.removed_topics.values() {
        for (index, _) in topic.indexed() {
            probe.tell(Event::PartitionRemoved { tp: topic.name_of(index), offset });
        }
    }
    for (id, index) in &changes.partitions {
        let topic = image.topic_by_id(*id).expect("a changed partition still exists");
        let partition = topic.partition(*index).expect("a changed partition still exists");
        probe.tell(Event::PartitionChanged { tp: topic.name_of(*index), facts: facts(partition), offset });
    }
    for event in &changes.broker_events {
        match *event {
            BrokerEvent::Registered(broker, epoch) => probe.tell(Event::BrokerRegistered { broker, epoch }),
            BrokerEvent::Fenced(broker) | BrokerEvent::Unregistered(broker) => {
                probe.tell(Event::BrokerFenced { broker });
            }
            BrokerEvent::Unfenced(broker) => probe.tell(Event::BrokerUnfenced { broker }),
            BrokerEvent::ShuttingDown(_) => {}
        }
    }
    probe.tell(Event::MetadataApplied { next });
}

/// A partition as oracles see it.
#[must_use]
pub fn facts(partition: &Partition) -> PartitionFacts {
    PartitionFacts {
        leader: partition.leader,
        leader_epoch: partition.leader_epoch,
        partition_epoch: partition.partition_epoch,
        replicas: partition.replicas.clone(),
        isr: partition.isr.clone(),
        elr: partition.elr.clone(),
        recovering: partition.recovery == RecoveryState::Recovering,
    }
}
