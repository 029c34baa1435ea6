//! The records of the metadata log, field by field after Kafka's schemas (`metadata/src/main/resources/common/metadata`).

use super::wire::record;
use crate::base::{BrokerEpoch, BrokerId, LeaderEpoch, PartitionEpoch, ProducerId, TopicId};
use std::sync::Arc;
use uuid::Uuid;

record! {
    /// A broker or a new incarnation of it registers. It starts fenced.
    RegisterBrokerRecord {
        /// The broker.
        broker_id: BrokerId,
        /// Left over from the move away from ZooKeeper; false.
        is_migrating_zk_broker: bool [since 2],
        /// Drawn anew at each start of the broker's process.
        incarnation_id: Uuid,
        /// The offset of this very record.
        broker_epoch: BrokerEpoch,
        /// Where it listens.
        end_points: Vec<EndPoint>,
        /// The feature levels that it can run.
        features: Vec<Feature>,
        /// Its rack.
        rack: Option<Arc<str>>,
        /// True if it may lead nothing yet.
        fenced: bool = true,
        /// True if it is on its way out.
        in_controlled_shutdown: bool [since 1],
        /// Its log directories that work.
        log_dirs: Vec<Uuid> [since 3 tag 0],
    }
}

record! {
    /// A listener of a broker or a controller.
    EndPoint {
        /// The listener's name.
        name: Arc<str> = "".into(),
        /// The host.
        host: Arc<str> = "".into(),
        /// The port.
        port: u16,
        /// `SecurityProtocol`'s id; 0 is PLAINTEXT.
        security_protocol: i16,
    }
}

record! {
    /// A range of levels of a feature.
    Feature {
        /// The feature's name, such as `metadata.version`.
        name: Arc<str> = "".into(),
        /// The lowest level.
        min_supported_version: i16,
        /// The highest level.
        max_supported_version: i16,
    }
}

record! {
    /// A broker is forgotten.
    UnregisterBrokerRecord {
        /// The broker.
        broker_id: BrokerId,
        /// The epoch of the registration that ends.
        broker_epoch: BrokerEpoch,
    }
}

record! {
    /// A topic is created; its partitions follow.
    TopicRecord {
        /// Its name.
        name: Arc<str> = "".into(),
        /// Its id, never used again.
        topic_id: TopicId,
    }
}

record! {
    /// A partition in full: at its creation, and in snapshots.
    PartitionRecord {
        /// The index of the partition.
        partition_id: i32 = -1,
        /// The topic.
        topic_id: TopicId,
        /// The replicas, the preferred leader first.
        replicas: Vec<BrokerId>,
        /// The in-sync replicas.
        isr: Vec<BrokerId>,
        /// Replicas that a reassignment removes.
        removing_replicas: Vec<BrokerId>,
        /// Replicas that a reassignment adds.
        adding_replicas: Vec<BrokerId>,
        /// The leader, or -1.
        leader: BrokerId = BrokerId::NONE,
        /// 1 while the leader of an unclean election still recovers, else 0 (KIP-704).
        leader_recovery_state: i8 [tag 0],
        /// Raised at each change of leader or ISR that must fence the past.
        leader_epoch: LeaderEpoch = LeaderEpoch::NONE,
        /// Raised at each change of anything.
        partition_epoch: PartitionEpoch = PartitionEpoch(-1),
        /// The log directory of each replica, in the replicas' order (KIP-858).
        directories: Vec<Uuid> [since 1],
        /// Replicas out of the ISR that still hold everything below the high watermark (KIP-966).
        eligible_leader_replicas: Option<Vec<BrokerId>> [since 2 tag 1],
        /// The last of these when none is left (KIP-966).
        last_known_elr: Option<Vec<BrokerId>> [since 2 tag 2],
    }
}

record! {
    /// What may be set for a topic or a broker is set, or deleted.
    ConfigRecord {
        /// `ConfigResource.Type`'s id; 2 is a topic, 4 a broker.
        resource_type: i8,
        /// The topic's name or the broker's id.
        resource_name: Arc<str> = "".into(),
        /// The key.
        name: Arc<str> = "".into(),
        /// The value; `None` deletes it.
        value: Option<Arc<str>>,
    }
}

record! {
    /// A partition changes. What is `None` (or the stated number) stays as it was.
    PartitionChangeRecord {
        /// The index of the partition.
        partition_id: i32 = -1,
        /// The topic.
        topic_id: TopicId,
        /// The new in-sync replicas.
        isr: Option<Vec<BrokerId>> [tag 0],
        /// The new leader, -1 for none; -2 if it stays.
        leader: BrokerId [tag 1] = PartitionChangeRecord::SAME_LEADER,
        /// The new replicas.
        replicas: Option<Vec<BrokerId>> [tag 2],
        /// The replicas that a reassignment now removes.
        removing_replicas: Option<Vec<BrokerId>> [tag 3],
        /// The replicas that a reassignment now adds.
        adding_replicas: Option<Vec<BrokerId>> [tag 4],
        /// As in [`PartitionRecord`]; -1 if it stays.
        leader_recovery_state: i8 [tag 5] = -1,
        /// The new eligible leader replicas (KIP-966).
        eligible_leader_replicas: Option<Vec<BrokerId>> [since 2 tag 6],
        /// The new last known eligible leader replicas (KIP-966).
        last_known_elr: Option<Vec<BrokerId>> [since 2 tag 7],
        /// The new log directory of each replica (KIP-858).
        directories: Option<Vec<Uuid>> [since 1 tag 8],
    }
}

impl PartitionChangeRecord {
    /// The leader stays (`LeaderConstants.NO_LEADER_CHANGE`).
    pub const SAME_LEADER: BrokerId = BrokerId(-2);
}

record! {
    /// A broker is fenced (before metadata version 3.3; later ones write [`BrokerRegistrationChangeRecord`]).
    FenceBrokerRecord {
        /// The broker.
        id: BrokerId,
        /// Its epoch.
        epoch: BrokerEpoch,
    }
}

record! {
    /// A broker is unfenced (before metadata version 3.3; later ones write [`BrokerRegistrationChangeRecord`]).
    UnfenceBrokerRecord {
        /// The broker.
        id: BrokerId,
        /// Its epoch.
        epoch: BrokerEpoch,
    }
}

record! {
    /// A topic and all its partitions are gone.
    RemoveTopicRecord {
        /// The topic.
        topic_id: TopicId,
    }
}

record! {
    /// A feature is finalized at a level.
    FeatureLevelRecord {
        /// Its name.
        name: Arc<str> = "".into(),
        /// Its level; 0 removes it.
        feature_level: i16,
    }
}

record! {
    /// Producer ids are handed out up to here.
    ProducerIdsRecord {
        /// The broker that took the block.
        broker_id: BrokerId,
        /// Its epoch.
        broker_epoch: BrokerEpoch = BrokerEpoch::NONE,
        /// The first id of the next block.
        next_producer_id: ProducerId,
    }
}

record! {
    /// A broker's registration changes.
    BrokerRegistrationChangeRecord {
        /// The broker.
        broker_id: BrokerId,
        /// Its epoch.
        broker_epoch: BrokerEpoch,
        /// -1 unfences, 1 fences, 0 leaves it (`BrokerRegistrationFencingChange`).
        fenced: i8 [tag 0],
        /// 1 if it is now in controlled shutdown, 0 leaves it (KIP-841).
        in_controlled_shutdown: i8 [since 1 tag 1],
        /// Its log directories that work, if they changed (KIP-858).
        log_dirs: Vec<Uuid> [since 2 tag 2],
    }
}

record! {
    /// Nothing: keeps the log's end moving (KIP-835).
    NoOpRecord {}
}

record! {
    /// What follows holds only once its transaction ends (KIP-868).
    BeginTransactionRecord {
        /// What it is for.
        name: Option<Arc<str>> [tag 0],
    }
}

record! {
    /// The transaction holds.
    EndTransactionRecord {}
}

record! {
    /// The transaction never was.
    AbortTransactionRecord {
        /// Why.
        reason: Option<Arc<str>> [tag 0],
    }
}

record! {
    /// A controller registers (KIP-919).
    RegisterControllerRecord {
        /// The controller.
        controller_id: BrokerId,
        /// Drawn anew at each start of its process.
        incarnation_id: Uuid,
        /// Left over from the move away from ZooKeeper; false.
        zk_migration_ready: bool,
        /// Where it listens.
        end_points: Vec<EndPoint>,
        /// The feature levels that it can run.
        features: Vec<Feature>,
    }
}
