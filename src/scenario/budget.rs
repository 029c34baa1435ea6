//! The fault budget: how much the configuration promises to survive.
//!
//! With replication factor R and M = min(min.insync.replicas, R), an acknowledged record is held by M in-sync replicas at
//! least. So at most M - 1 replicas of a partition may lose what they have not synced in one window, which lasts from
//! the power cut until that replica is in the ISR again. A single-copy promise (M = 1) survives no power cut at all.
//!
//! A crash alone loses nothing, but the cluster cannot tell it from a power cut: an unclean shutdown takes a replica out
//! of ISR and ELR (KIP-966), and if that befalls all who hold a record, the last known leader is elected, who may be the
//! one that did lose it. So beside a power cut every crash counts as a loss; among crashes alone none does.
//!
//! The generator asks before it draws a power cut, with windows of an assumed length; the trial asks again before it
//! carries one out, with the ISR as it is.

use std::collections::BTreeMap;

use super::model::{Action, Role, Scenario, SetConfig};
use crate::base::{BrokerId, TopicPartition};
use crate::broker::config::BrokerConfig;
use crate::broker::groups::OFFSETS_TOPIC;

/// How a broker ended that was not stopped in an orderly way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loss {
    /// The process died; what it wrote is still there.
    Process,
    /// What was not synced may be gone.
    Unsynced,
}

/// What the budget needs to know of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stake {
    /// Which one.
    pub tp: TopicPartition,
    /// The brokers that hold it, or may.
    pub replicas: Vec<BrokerId>,
    /// How many must hold a record before it counts as written: M.
    pub copies: usize,
}

/// Whether every partition survives that `broker` ends with `loss`, while the brokers of `open` ended so before and are
/// not back in every ISR.
///
/// # Errors
/// The first partition that would not.
pub fn survives(
    stakes: &[Stake],
    open: &BTreeMap<BrokerId, Loss>,
    broker: BrokerId,
    loss: Loss,
) -> Result<(), TopicPartition> {
    for stake in stakes.iter().filter(|s| s.replicas.contains(&broker)) {
        let others = stake.replicas.iter().filter(|id| **id != broker).filter_map(|id| open.get(id));
        let (count, gravest) = others.fold((1, loss), |(n, gravest), other| (n + 1, gravest.max(*other)));
        if gravest.max(open.get(&broker).copied().unwrap_or(loss)) == Loss::Unsynced && count >= stake.copies {
            return Err(stake.tp.clone());
        }
    }
    Ok(())
}

/// The stakes of a scenario, and of whatever administrators make of it. What the controller places may be anywhere; what
/// moves may be where it was and where it goes; and of a minimum that changes the smallest holds.
#[must_use]
pub fn stakes(scenario: &Scenario) -> Vec<Stake> {
    let everywhere: Vec<_> = scenario.cluster.ids().collect();
    let mut stakes = Vec::new();
    for topic in &scenario.topics {
        let own = topic.config.get(MIN_ISR).and_then(|text| text.parse().ok());
        let copies = own.unwrap_or_else(|| config(scenario, MIN_ISR)).min(topic.replication_factor as usize);
        for index in 0..topic.partitions as i32 {
            let tp = TopicPartition::new(topic.name.as_str(), index);
            let replicas = topic.assignment.get(index as usize).unwrap_or(&everywhere).clone();
            stakes.push(Stake { tp, replicas, copies });
        }
    }
    stakes.extend(offsets(scenario, &everywhere));
    for fault in &scenario.faults {
        widen(&mut stakes, &fault.action, &everywhere);
    }
    stakes
}

/// What groups have committed is at stake too, if there are any.
fn offsets(scenario: &Scenario, everywhere: &[BrokerId]) -> Vec<Stake> {
    if !scenario.clients.iter().any(|client| matches!(client.role, Role::Group(_))) {
        return Vec::new();
    }
    let partitions = config(scenario, "offsets.topic.num.partitions");
    let copies = config(scenario, MIN_ISR).min(config(scenario, "offsets.topic.replication.factor"));
    let stake = |index| Stake { tp: TopicPartition::new(OFFSETS_TOPIC, index), replicas: everywhere.to_vec(), copies };
    (0..i32::try_from(partitions).unwrap_or(i32::MAX)).map(stake).collect()
}

const MIN_ISR: &str = "min.insync.replicas";

/// A number that all brokers are set to, or Kafka's default.
fn config(scenario: &Scenario, key: &str) -> usize {
    let set = scenario.cluster.config.get(key).cloned();
    let text = set.or_else(|| BrokerConfig::default().entries().into_iter().find(|(k, _)| *k == key).map(|(_, v)| v));
    text.and_then(|text| text.trim().parse().ok()).unwrap_or(1)
}

/// Adds what an operation puts at stake. `everywhere` is where the controller may place what it is to place.
pub fn widen(stakes: &mut Vec<Stake>, action: &Action, everywhere: &[BrokerId]) {
    match action {
        Action::Reassign(wish) => {
            for stake in stakes.iter_mut().filter(|s| s.tp == wish.partition) {
                stake.replicas.extend(&wish.replicas);
                stake.replicas.sort_unstable();
                stake.replicas.dedup();
            }
        }
        Action::AddPartitions(wish) => {
            let of_topic = |s: &&Stake| *s.tp.topic == *wish.topic;
            let copies = stakes.iter().filter(of_topic).map(|s| s.copies).min().unwrap_or(1);
            let known = stakes.iter().filter(of_topic).map(|s| s.tp.partition + 1).max().unwrap_or(0);
            for index in known..wish.total as i32 {
                let tp = TopicPartition::new(wish.topic.as_str(), index);
                stakes.push(Stake { tp, replicas: everywhere.to_vec(), copies });
            }
        }
        Action::SetConfig(SetConfig { topic, config, .. }) => {
            // What holds when an entry is deleted may be as little as one.
            let least = |text: &Option<String>| text.as_ref().map_or(Some(1), |text| text.trim().parse().ok());
            let Some(least) = config.get(MIN_ISR).and_then(least) else { return };
            // What a topic says itself wins over what brokers are told; to look after more does no harm.
            let is_meant = |s: &&mut Stake| topic.as_ref().is_none_or(|topic| **topic == *s.tp.topic);
            stakes.iter_mut().filter(is_meant).for_each(|s| s.copies = s.copies.min(least));
        }
        // Nobody writes to a topic that is created on the way.
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stake(replicas: &[i32], copies: usize) -> Stake {
        let tp = TopicPartition::new("t", 0);
        Stake { tp, replicas: replicas.iter().map(|id| BrokerId(*id)).collect(), copies }
    }

    fn ask(stakes: &[Stake], open: &[i32], broker: i32) -> bool {
        let open = open.iter().map(|id| (BrokerId(*id), Loss::Unsynced)).collect();
        survives(stakes, &open, BrokerId(broker), Loss::Unsynced).is_ok()
    }

    #[test]
    fn one_copy_of_two_may_go_and_not_the_other() {
        let stakes = [stake(&[1, 2, 3], 2)];
        assert!(ask(&stakes, &[], 1));
        assert!(!ask(&stakes, &[2], 1));
        assert!(ask(&stakes, &[4], 1), "a broker without a replica is no loss");
        assert!(ask(&stakes, &[1, 2], 4), "nor is one that goes");
        assert!(ask(&[stake(&[1, 2, 3], 3)], &[2], 1));
        assert!(!ask(&[stake(&[1, 2, 3], 1)], &[], 1), "a single copy survives nothing");
    }

    #[test]
    fn crashes_lose_nothing_but_beside_a_power_cut() {
        let stakes = [stake(&[1, 2, 3], 2)];
        let ask = |open: &[(i32, Loss)], loss| {
            let open = open.iter().map(|(id, loss)| (BrokerId(*id), *loss)).collect();
            survives(&stakes, &open, BrokerId(1), loss).is_ok()
        };
        assert!(ask(&[(2, Loss::Process), (3, Loss::Process)], Loss::Process));
        assert!(!ask(&[(2, Loss::Unsynced)], Loss::Process));
        assert!(!ask(&[(2, Loss::Process)], Loss::Unsynced));
        assert!(ask(&[(1, Loss::Unsynced)], Loss::Process));
    }

    #[test]
    fn a_topic_that_nobody_placed_may_be_anywhere() {
        let text = r#"{"name": "s", "cluster": {"brokers": 3, "config": {"min.insync.replicas": 2}},
            "topics": [{"name": "a", "partitions": 1, "replication-factor": 1},
                       {"name": "b", "assignment": [[1, 2]]}]}"#;
        let stakes = stakes(&crate::scenario::parse("s.json", text).expect("a scenario"));
        assert_eq!(stakes.len(), 2);
        assert_eq!((stakes[0].replicas.len(), stakes[0].copies), (3, 1));
        assert_eq!((stakes[1].replicas.as_slice(), stakes[1].copies), ([BrokerId(1), BrokerId(2)].as_slice(), 2));
    }

    #[test]
    fn what_groups_commit_and_what_administrators_move_is_looked_after() {
        let text = r#"{"name": "s", "cluster": {"brokers": 4, "config": {"min.insync.replicas": 2,
                "offsets.topic.num.partitions": 2, "offsets.topic.replication.factor": 1}},
            "topics": [{"name": "a", "assignment": [[1, 2]]}],
            "clients": [{"name": "g", "group": {"topics": ["a"]}}],
            "faults": [{"at": "1s", "reassign": {"partition": "a-0", "replicas": [3, 2]}},
                       {"at": "2s", "add-partitions": {"topic": "a", "total": 2}},
                       {"at": "3s", "set-config": {"topic": "a", "config": {"min.insync.replicas": 1}}}]}"#;
        let stakes = stakes(&crate::scenario::parse("s.json", text).expect("a scenario"));
        let told: Vec<_> = stakes.iter().map(|s| (s.tp.to_string(), s.replicas.len(), s.copies)).collect();
        let wanted = [("a-0", 3, 1), ("__consumer_offsets-0", 4, 1), ("__consumer_offsets-1", 4, 1), ("a-1", 4, 1)];
        assert_eq!(told, wanted.map(|(tp, replicas, copies)| (tp.to_owned(), replicas, copies)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        /// Whatever is allowed one after the other, every acknowledged record keeps a copy that was not hit.
        #[test]
        fn of_every_record_one_copy_is_left(
            copies in 1usize..=5,
            holders in proptest::sample::subsequence(vec![1, 2, 3, 4, 5], 1..=5),
            cuts in proptest::collection::vec((1i32..=6, proptest::bool::ANY), 0..8),
        ) {
            // Some M of the replicas hold a record; whichever they are, not all of them are hit.
            let stakes = [stake(&[1, 2, 3, 4, 5], copies)];
            let mut open = BTreeMap::new();
            for (cut, power) in cuts {
                let loss = if power { Loss::Unsynced } else { Loss::Process };
                if survives(&stakes, &open, BrokerId(cut), loss).is_ok() {
                    let graver = open.get(&BrokerId(cut)).map_or(loss, |before: &Loss| loss.max(*before));
                    open.insert(BrokerId(cut), graver);
                }
            }
            let ends: Vec<_> = holders.iter().map(|id| open.get(&BrokerId(*id)).copied()).collect();
            if holders.len() >= copies && ends.contains(&Some(Loss::Unsynced)) {
                prop_assert!(ends.contains(&None), "{:?} hold it, {:?} went", holders, open);
            }
        }
        /// More windows open never make a cut allowed that was not.
        #[test]
        fn the_budget_only_shrinks(copies in 1usize..=5, open in proptest::collection::btree_set(1i32..=5, 0..5), more in 1i32..=5, cut in 1i32..=5) {
            let stakes = [stake(&[1, 2, 3, 4, 5], copies)];
            let open: Vec<i32> = open.into_iter().collect();
            let wider: Vec<i32> = open.iter().copied().chain([more]).collect();
            prop_assert!(ask(&stakes, &open, cut) || !ask(&stakes, &wider, cut));
        }
    }
}
