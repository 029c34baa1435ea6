//! Who is hit: a target, resolved to nodes at the moment of the fault.

use super::{Engine, plan};
use crate::base::{BrokerId, TopicPartition};
use crate::io::sim::HostId;
use crate::scenario::model::{ClientName, Member, Target};

/// A node of the simulated world that can be hit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub host: HostId,
    pub what: Process,
}

/// What a node runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Process {
    Broker(BrokerId),
    /// A controller that is a node of its own.
    Controller(BrokerId),
    /// A client, by the name of its process.
    Client(String),
}

impl std::fmt::Display for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.what {
            Process::Broker(id) => write!(f, "broker {id}"),
            Process::Controller(id) => write!(f, "controller {id}"),
            Process::Client(name) => write!(f, "client {name}"),
        }
    }
}

impl Engine<'_> {
    /// The nodes that a target means now; none if, say, the partition has no leader at this moment.
    pub(super) fn resolve(&mut self, target: &Target) -> Vec<Node> {
        match target {
            Target::Broker(id) | Target::Node(id) if self.cluster.is_absent(*id) => {
                self.witness.note(format!("broker {id} is no part of the cluster at this moment"));
                Vec::new()
            }
            Target::Broker(id) | Target::Node(id) => vec![self.node(*id)],
            Target::Client(name) => self.clients(name),
            Target::Controller => self.witness.controller().map(|id| self.node(id)).into_iter().collect(),
            Target::LeaderOf(tp) => self.leader(tp).map(|id| self.node(id)).into_iter().collect(),
            Target::FollowerOf(tp) => {
                let leader = self.leader(tp);
                let replicas = self.witness.partition(tp).map(|facts| facts.replicas).unwrap_or_default();
                self.one_of(replicas.into_iter().filter(|id| Some(*id) != leader).collect())
            }
            Target::IsrMemberOf(tp) => self.one_of(self.witness.partition(tp).map(|f| f.isr).unwrap_or_default()),
            Target::CoordinatorOf(group) => {
                let tp = plan::coordinating(self.scenario, group);
                self.leader(&tp).map(|id| self.node(id)).into_iter().collect()
            }
            Target::Voter => self.one_of(self.scenario.voters()),
            Target::AnyBroker => self.one_of(self.cluster.brokers().collect()),
            Target::AllBrokers => self.cluster.brokers().map(|id| self.node(id)).collect(),
            Target::Region(name) => {
                let members = self.scenario.cluster.regions.get(name);
                members.into_iter().flatten().map(|id| self.node(*id)).collect()
            }
        }
    }
    pub(super) fn members(&self, group: &[Member]) -> Vec<Node> {
        let nodes = |member: &Member| match member {
            Member::Broker(id) => vec![self.node(*id)],
            Member::Client(name) => self.clients(name),
        };
        group.iter().flat_map(nodes).collect()
    }
    pub(super) fn node(&self, id: BrokerId) -> Node {
        let what = if self.cluster.is_controller(id) { Process::Controller(id) } else { Process::Broker(id) };
        Node { host: self.cluster.host(id), what }
    }
    /// Everybody: the nodes of the cluster and clients.
    pub(super) fn everybody(&self) -> Vec<Node> {
        let nodes = self.cluster.nodes().map(|id| self.node(id));
        let clients = self.cluster.clients().into_iter();
        nodes.chain(clients.map(|(name, host)| Node { host, what: Process::Client(name) })).collect()
    }
    pub(super) fn clients(&self, wanted: &ClientName) -> Vec<Node> {
        let all = self.cluster.clients().into_iter();
        let meant = all.filter(|(name, _)| {
            let name = ClientName::parse(name);
            name.group == wanted.group && (wanted.index.is_none() || wanted.index == name.index)
        });
        meant.map(|(name, host)| Node { host, what: Process::Client(name) }).collect()
    }
    fn leader(&self, tp: &TopicPartition) -> Option<BrokerId> {
        self.witness.partition(tp).map(|facts| facts.leader).filter(|leader| *leader != BrokerId::NONE)
    }
    /// One of them, drawn from the fault stream.
    fn one_of(&mut self, mut ids: Vec<BrokerId>) -> Vec<Node> {
        ids.sort_unstable();
        if ids.is_empty() {
            return Vec::new();
        }
        let chosen = *self.random.pick(&ids);
        vec![self.node(chosen)]
    }
}
