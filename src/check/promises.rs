//! What the configuration under test promises; the oracles need to know it to tell a violation from what is allowed.
//!
//! Settings can change while the cluster runs. Between the request and its answer either value may hold, so whatever
//! permits more counts from the request on, and whatever permits less from the answer on.

use std::collections::{BTreeMap, BTreeSet};

use super::delivery::Application;
use super::ground::Rules;
use super::raft_stability::QuorumTimeouts;
use crate::base::BrokerId;

const MIN_ISR: &str = "min.insync.replicas";
const UNCLEAN: &str = "unclean.leader.election.enable";

/// What one level of the configuration says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TopicPromises {
    /// `min.insync.replicas`, the least that ever held.
    pub min_isr: Option<usize>,
    /// `unclean.leader.election.enable`.
    pub unclean: Option<bool>,
}

/// What the configuration promises.
#[derive(Clone, Debug, Default)]
pub struct Promises {
    /// What holds for topics without an entry of their own.
    pub cluster: TopicPromises,
    /// What the brokers' files say: it holds again when the dynamic entry of all brokers is deleted.
    pub files: TopicPromises,
    /// Topics with entries of their own.
    pub topics: BTreeMap<String, TopicPromises>,
    /// Topics whose own `min.insync.replicas` was deleted: since then the cluster's holds for them too.
    pub returned: BTreeSet<String>,
    /// Eligible leader replicas are on (KIP-966).
    pub elr: bool,
    /// Voters of the metadata quorum.
    pub voters: Vec<BrokerId>,
    /// Applications that are members of consumer groups.
    pub applications: Vec<Application>,
    /// The timeouts of the metadata quorum.
    pub quorum: QuorumTimeouts,
    /// Clients write of which the court is not told.
    pub untold_writers: bool,
}

impl Promises {
    /// What holds for a topic.
    #[must_use]
    pub fn rules(&self, topic: &str) -> Rules {
        let own = self.topics.get(topic).copied().unwrap_or_default();
        let of_cluster = self.cluster.min_isr.unwrap_or(1);
        let min_isr = own.min_isr.unwrap_or(of_cluster);
        Rules {
            min_isr: if self.returned.contains(topic) { min_isr.min(of_cluster) } else { min_isr },
            elr: self.elr,
            unclean: own.unclean.or(self.cluster.unclean).unwrap_or(false),
        }
    }
    /// Somebody asks for another value of a topic's setting, or of all brokers' (`None`), or deletes the entry (no value); `done` once it
    /// is known to hold.
    pub(super) fn configured(&mut self, topic: Option<&str>, key: &str, value: Option<&str>, done: bool) {
        let Some(value) = value else { return self.deleted(topic, key, done) };
        let before = topic.map_or_else(|| self.rules(""), |name| self.rules(name));
        let own = match topic {
            Some(name) => self.topics.entry(name.to_owned()).or_default(),
            None => &mut self.cluster,
        };
        match (key, value.parse::<usize>(), value.parse::<bool>()) {
            (MIN_ISR, Ok(min_isr), _) => own.min_isr = Some(before.min_isr.min(min_isr)),
            (UNCLEAN, _, Ok(allowed)) if allowed || done => own.unclean = Some(allowed),
            _ => {}
        }
    }
    /// What stands a level higher takes the place of an entry.
    fn deleted(&mut self, topic: Option<&str>, key: &str, done: bool) {
        let Some(name) = topic else {
            // The least `min.insync.replicas` that ever held is none above that of the files.
            let allowed = self.files.unclean.unwrap_or(false);
            if key == UNCLEAN && (allowed || done) {
                self.cluster.unclean = Some(allowed);
            }
            return;
        };
        match key {
            MIN_ISR => drop(self.returned.insert(name.to_owned())),
            UNCLEAN if done => self.topics.entry(name.to_owned()).or_default().unclean = None,
            UNCLEAN if self.cluster.unclean == Some(true) => {
                self.topics.entry(name.to_owned()).or_default().unclean = Some(true);
            }
            _ => {}
        }
    }
}
