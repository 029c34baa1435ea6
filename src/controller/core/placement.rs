//! Where the replicas of new partitions go (Kafka's `StripedReplicaPlacer`).
//!
//! Racks take turns, and within a rack its brokers do, unfenced ones first; each partition starts one step further. The
//! first replica, which will lead, is always on an unfenced broker. After as many partitions as there are unfenced
//! brokers the orders are shuffled, so that the same sets of replicas do not repeat.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::BrokerId;
use crate::base::random::Stream;
use crate::controller::image::Image;

/// Brokers that take turns.
#[derive(Default)]
struct Ring {
    brokers: Vec<BrokerId>,
    start: usize,
    taken: usize,
}

impl Ring {
    fn next(&mut self) -> Option<BrokerId> {
        if self.taken == self.brokers.len() {
            return None;
        }
        let broker = self.brokers[(self.start + self.taken) % self.brokers.len()];
        self.taken += 1;
        Some(broker)
    }
    fn advance(&mut self) {
        self.start = (self.start + 1) % self.brokers.len().max(1);
        self.taken = 0;
    }
}

#[derive(Default)]
struct Rack {
    unfenced: Ring,
    fenced: Ring,
}

impl Rack {
    fn next(&mut self) -> Option<BrokerId> {
        self.unfenced.next().or_else(|| self.fenced.next())
    }
}

/// Places partitions one after the other.
pub(super) struct Placer {
    racks: Vec<Rack>,
    offset: usize,
    until_shuffle: usize,
    unfenced: usize,
    usable: usize,
}

impl Placer {
    /// Over all brokers that are registered and not shutting down.
    pub fn new(image: &Image, random: &mut Stream) -> Self {
        let mut racks: BTreeMap<Option<Arc<str>>, Rack> = BTreeMap::new();
        let (mut unfenced, mut usable) = (0, 0);
        for broker in image.brokers().filter(|b| !b.in_controlled_shutdown) {
            let rack = racks.entry(broker.rack.clone()).or_default();
            let ring = if broker.fenced { &mut rack.fenced } else { &mut rack.unfenced };
            ring.brokers.push(broker.id);
            unfenced += usize::from(!broker.fenced);
            usable += 1;
        }
        let mut racks: Vec<Rack> = racks.into_values().collect();
        for ring in racks.iter_mut().flat_map(|r| [&mut r.unfenced, &mut r.fenced]) {
            ring.start = start(ring.brokers.len(), random);
        }
        Self { offset: start(racks.len(), random), racks, until_shuffle: unfenced, unfenced, usable }
    }

    /// The replicas of the next partition, the preferred leader first.
    ///
    /// # Errors
    /// Why there can be no such partition: an INVALID_REPLICATION_FACTOR.
    pub fn place(&mut self, replication_factor: usize, random: &mut Stream) -> Result<Vec<BrokerId>, String> {
        if self.unfenced == 0 {
            return Err("All brokers are currently fenced.".to_owned());
        }
        if replication_factor > self.usable {
            return Err(format!(
                "The target replication factor of {replication_factor} cannot be reached because only {} broker(s) \
                 are registered.",
                self.usable
            ));
        }
        if self.until_shuffle == 0 {
            self.shuffle(random);
        }
        let replicas = self.stripe(replication_factor);
        self.offset = (self.offset + 1) % self.racks.len();
        self.until_shuffle -= 1;
        for rack in &mut self.racks {
            rack.unfenced.advance();
            rack.fenced.advance();
        }
        Ok(replicas)
    }

    fn stripe(&mut self, replication_factor: usize) -> Vec<BrokerId> {
        let order: Vec<usize> = (0..self.racks.len()).map(|i| (self.offset + i) % self.racks.len()).collect();
        let leads = order.iter().find_map(|rack| Some((*rack, self.racks[*rack].unfenced.next()?)));
        let (first_rack, leader) = leads.expect("some broker is unfenced");
        let mut replicas = vec![leader];
        // The rack that gave the leader sits out the first round.
        let mut sits_out = Some(first_rack);
        while replicas.len() < replication_factor {
            for rack in &order {
                if sits_out == Some(*rack) {
                    sits_out = None;
                    continue;
                }
                if replicas.len() < replication_factor {
                    replicas.extend(self.racks[*rack].next());
                }
            }
        }
        replicas
    }

    fn shuffle(&mut self, random: &mut Stream) {
        random.shuffle(&mut self.racks);
        for ring in self.racks.iter_mut().flat_map(|r| [&mut r.unfenced, &mut r.fenced]) {
            random.shuffle(&mut ring.brokers);
        }
        self.until_shuffle = self.unfenced;
    }
}

fn start(len: usize, random: &mut Stream) -> usize {
    if len == 0 { 0 } else { random.below(len as u64) as usize }
}
