//! Plots of administrators: topics that come and grow, leaders and replicas that move, configuration that changes.
//!
//! Whatever they do, the budget must stay right: after each draw it looks after what the operation puts at stake.

use super::{FIRST_MS, Nemesis};
use crate::base::BrokerId;
use crate::scenario::budget;
use crate::scenario::model::{
    Action, AddPartitions, Config, ElectPreferred, MoveLeader, PartitionOnly, Reassign, SetConfig, Topic,
};

/// Partitions that a topic may come to have.
const MOST_PARTITIONS: u32 = 50;
const MIN_ISR: &str = "min.insync.replicas";
/// What `max.message.bytes` may fall to: one record of a hundred bytes has 180 with its batch.
const SMALL_BATCH: (u64, u64) = (150, 1_500);

impl Nemesis<'_> {
    /// An administrator does something.
    pub(super) fn operation(&mut self, at: u64) {
        let drawn = match self.stream.below(10) {
            0 => Some(self.create_topic()),
            1 => self.add_partitions(),
            2 | 3 => self.move_leader(),
            4 => self.elect_preferred(),
            5 | 6 => self.set_config(),
            _ => self.reassign(),
        };
        let Some(action) = drawn else { return };
        budget::widen(&mut self.stakes, &action, &self.brokers);
        self.add(at, 0, action);
    }

    fn create_topic(&mut self) -> Action {
        let number = self.faults.iter().filter(|f| matches!(f.action, Action::CreateTopic(_))).count();
        let most = (self.brokers.len() as u64).min(3);
        Action::CreateTopic(Topic {
            name: format!("late-{number}"),
            partitions: self.stream.between(1, 4) as u32,
            replication_factor: self.stream.between(1, most) as u32,
            assignment: Vec::new(),
            config: Config::new(),
        })
    }
    fn any_topic(&mut self) -> Option<usize> {
        (!self.topics.is_empty()).then(|| self.stream.below(self.topics.len() as u64) as usize)
    }
    /// The controller places the new partitions.
    fn add_partitions(&mut self) -> Option<Action> {
        let n = self.any_topic()?;
        let more = self.stream.between(1, 3) as u32;
        let topic = &mut self.topics[n];
        topic.partitions = (topic.partitions + more).min(MOST_PARTITIONS);
        let (topic, total, given) = (topic.name.clone(), topic.partitions, topic.assignment.len());
        (total as usize > given).then_some(Action::AddPartitions(AddPartitions { topic, total }))
    }
    fn any_placed(&mut self) -> Option<usize> {
        (!self.placed.is_empty()).then(|| self.stream.below(self.placed.len() as u64) as usize)
    }
    fn move_leader(&mut self) -> Option<Action> {
        let n = self.any_placed()?;
        let stake = &self.placed[n];
        let (partition, to) = (stake.tp.clone(), *self.stream.pick(&stake.replicas));
        Some(Action::MoveLeader(MoveLeader { partition, to }))
    }
    fn elect_preferred(&mut self) -> Option<Action> {
        if self.stream.chance(1, 2) {
            return Some(Action::ElectPreferred(ElectPreferred::All));
        }
        let partition = self.any_partition()?;
        Some(Action::ElectPreferred(ElectPreferred::One(PartitionOnly { partition })))
    }
    /// As many replicas as before, some of them elsewhere.
    fn reassign(&mut self) -> Option<Action> {
        let n = self.any_placed()?;
        let mut replicas = self.placed[n].replicas.clone();
        let mut others: Vec<BrokerId> = self.brokers.iter().copied().filter(|id| !replicas.contains(id)).collect();
        self.stream.shuffle(&mut others);
        self.stream.shuffle(&mut replicas);
        let moved = self.stream.between(1, replicas.len() as u64) as usize;
        for (place, other) in replicas.iter_mut().take(moved).zip(others) {
            *place = other;
        }
        self.stream.shuffle(&mut replicas);
        self.placed[n].replicas.clone_from(&replicas);
        Some(Action::Reassign(Reassign { partition: self.placed[n].tp.clone(), replicas }))
    }
    /// A topic takes small batches only for a while: larger ones are refused on their way and split, and a record that is too large
    /// by itself fails in the middle of its partition's queue.
    pub(super) fn small_batches(&mut self, end: u64) {
        let (Some(n), true) = (self.any_topic(), self.stream.chance(1, 2)) else { return };
        let topic = self.topics[n].name.clone();
        let (at, lasts) = (self.stream.between(FIRST_MS, end), self.stream.between(500, 20_000));
        let most = self.stream.between(SMALL_BATCH.0, SMALL_BATCH.1).to_string();
        for (at, value) in [(at, Some(most)), (at + lasts, None)] {
            let config = [("max.message.bytes".to_owned(), value)].into();
            self.add(at, 0, Action::SetConfig(SetConfig { topic: Some(topic.clone()), broker: None, config }));
        }
    }
    /// How many replicas must be in sync as things stand.
    fn min_isr_of(&self, topic: &Topic) -> u64 {
        let drawn = topic.config.get(MIN_ISR).and_then(|text| text.parse().ok());
        drawn.unwrap_or(self.min_isr).min(topic.replication_factor.into())
    }
    fn set_config(&mut self) -> Option<Action> {
        let n = self.any_topic()?;
        let topic = &self.topics[n];
        let compacted = super::super::cluster::is_compacted(topic);
        let (name, min_isr) = (topic.name.clone(), self.min_isr_of(topic));
        let mut number = |low, high| self.stream.between(low, high).to_string();
        let mut entries = vec![
            ("retention.bytes", number(20_000, 120_000)),
            ("retention.ms", number(3_000, 30_000)),
            // As those that are drawn with the topic: larger than any batch.
            ("segment.bytes", number(12 << 10, 40 << 10)),
            ("segment.ms", number(500, 10_000)),
            ("flush.messages", number(1, 100)),
            ("index.interval.bytes", number(256, 8_192)),
            // One less in sync may be one less that a power cut may hit, from the beginning on.
            // And never one more: a leader that has not heard of it yet commits what an eligible replica lacks (KIP-966).
            (MIN_ISR, number(min_isr.min(2), min_isr)),
        ];
        if compacted {
            let policy = if self.stream.chance(1, 2) { "compact,delete" } else { "compact" };
            entries.push(("cleanup.policy", policy.to_owned()));
            entries.push(("min.cleanable.dirty.ratio", (*self.stream.pick(&["0.0", "0.2", "0.6"])).to_owned()));
        }
        let (key, value) = self.stream.pick(&entries).clone();
        if key == MIN_ISR {
            self.topics[n].config.insert(key.to_owned(), value.clone());
        }
        let config = [(key.to_owned(), Some(value))].into();
        Some(Action::SetConfig(SetConfig { topic: Some(name), broker: None, config }))
    }
}
