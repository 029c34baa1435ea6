//! A controller small enough to be obviously right: clean elections, AlterPartition with Kafka's checks.

use kafka_protocol::ResponseError;

use crate::base::{BrokerEpoch, BrokerId, LeaderEpoch, PartitionEpoch};
use crate::replica::{BrokerLiveness, BrokerTable, IsrAnswer, IsrProposal, PartitionState};

/// One committed metadata record.
#[derive(Clone, Debug)]
pub enum Record {
    Partition(PartitionState),
    Broker(BrokerId, BrokerLiveness),
}

#[derive(Debug)]
pub struct Controller {
    pub state: PartitionState,
    pub brokers: BrokerTable,
    pub log: Vec<Record>,
}

impl Controller {
    pub fn new(replicas: Vec<BrokerId>) -> Self {
        let mut controller = Self {
            state: PartitionState {
                leader: replicas[0],
                leader_epoch: LeaderEpoch(0),
                partition_epoch: PartitionEpoch(0),
                isr: replicas.clone(),
                replicas: replicas.clone(),
            },
            brokers: BrokerTable::default(),
            log: Vec::new(),
        };
        for id in replicas {
            controller.register(id);
            controller.fence(id, false);
        }
        controller.log.push(Record::Partition(controller.state.clone()));
        controller
    }
    /// A new incarnation: fenced, and out of the ISR unless it is the last one.
    pub fn register(&mut self, id: BrokerId) -> BrokerEpoch {
        let epoch = BrokerEpoch(self.log.len() as i64);
        self.set(id, BrokerLiveness { epoch, fenced: true, shutting_down: false });
        self.leave_isr(id);
        epoch
    }
    pub fn fence(&mut self, id: BrokerId, fenced: bool) {
        let before = self.brokers.get(id).expect("registered");
        if before.fenced == fenced {
            return;
        }
        self.set(id, BrokerLiveness { fenced, ..before });
        if fenced {
            self.leave_isr(id);
        } else if self.state.leader == BrokerId::NONE {
            self.elect();
        }
    }
    /// Hands leadership to the first live in-sync replica after the current one.
    pub fn move_leader(&mut self) {
        let old = self.state.leader;
        let other = self.state.isr.iter().copied().find(|id| *id != old && self.live(*id));
        if let Some(leader) = other {
            self.commit(|s| (s.leader, s.leader_epoch) = (leader, s.leader_epoch.next()));
        }
    }
    pub fn alter(&mut self, from: BrokerId, epoch: BrokerEpoch, p: &IsrProposal) -> Result<IsrAnswer, ResponseError> {
        let registered = self.brokers.get(from).expect("registered");
        if registered.epoch != epoch {
            return Err(ResponseError::StaleBrokerEpoch);
        }
        if p.leader_epoch > self.state.leader_epoch || p.partition_epoch > self.state.partition_epoch {
            return Err(ResponseError::NotController);
        }
        if p.leader_epoch < self.state.leader_epoch {
            return Err(ResponseError::FencedLeaderEpoch);
        }
        if self.state.leader != from {
            return Err(ResponseError::InvalidRequest);
        }
        if p.partition_epoch < self.state.partition_epoch {
            return Err(ResponseError::InvalidUpdateVersion);
        }
        let may_join = |(id, epoch): &(BrokerId, BrokerEpoch)| self.brokers.eligible(*id, Some(*epoch));
        if !p.isr.iter().all(may_join) {
            return Err(ResponseError::IneligibleReplica);
        }
        let isr: Vec<_> = p.isr.iter().map(|m| m.0).collect();
        self.commit(|s| s.isr.clone_from(&isr));
        let PartitionState { leader_epoch, partition_epoch, .. } = self.state;
        Ok(IsrAnswer { leader_epoch, partition_epoch, isr })
    }
    fn set(&mut self, id: BrokerId, liveness: BrokerLiveness) {
        self.brokers.insert(id, liveness);
        self.log.push(Record::Broker(id, liveness));
    }
    fn live(&self, id: BrokerId) -> bool {
        self.brokers.get(id).is_some_and(|b| !b.fenced)
    }
    fn leave_isr(&mut self, id: BrokerId) {
        let led = self.state.leader == id;
        if !led && !self.state.isr.contains(&id) {
            return;
        }
        if self.state.isr.len() > 1 {
            self.commit(|s| s.isr.retain(|m| *m != id));
        }
        if led {
            self.elect();
        }
    }
    fn elect(&mut self) {
        let leader = self.state.isr.iter().copied().find(|id| self.live(*id)).unwrap_or(BrokerId::NONE);
        if leader != self.state.leader {
            self.commit(|s| (s.leader, s.leader_epoch) = (leader, s.leader_epoch.next()));
        }
    }
    fn commit(&mut self, change: impl FnOnce(&mut PartitionState)) {
        change(&mut self.state);
        self.state.partition_epoch = self.state.partition_epoch.next();
        self.log.push(Record::Partition(self.state.clone()));
    }
}
