//! A cluster of brokers on hosts of the simulated world, and the handles by which a trial rules over their lives.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::Watcher;
use super::writer::Tamper;
use crate::base::BrokerId;
use crate::broker::config::BrokerConfig;
use crate::broker::node::Node;
use crate::broker::options::{Address, NodeOptions};
use crate::broker::probe::{Event, Observer, Probe};
use crate::broker::quorum::METADATA_DIR;
use crate::io::sim::{HostId, World};
use crate::io::task::{self, shutdown_requested};
use crate::io::time;

/// The port of the listener for clients and brokers.
pub const BROKER_PORT: u16 = 9092;
/// The port of the controller listener.
pub const CONTROLLER_PORT: u16 = 9093;

/// How often a start that waits for the end of a stopping process looks for it.
const STOP_LOOK: Duration = Duration::from_millis(10);

/// What a cluster consists of.
#[derive(Clone, Debug, Default)]
pub struct ClusterPlan {
    /// Every broker and its configuration.
    pub brokers: BTreeMap<BrokerId, BrokerConfig>,
    /// The nodes that are controllers alone, with their configuration; all others are brokers.
    pub controllers: BTreeMap<BrokerId, BrokerConfig>,
    /// Those that vote in the metadata quorum.
    pub voters: Vec<BrokerId>,
    /// Those that are no part of the cluster until they join.
    pub absent: BTreeSet<BrokerId>,
    /// In which region each node is; all others are in that of no number, 0.
    pub regions: BTreeMap<BrokerId, Region>,
    /// Latency between two regions, by their numbers, the smaller first: least and most, in microseconds.
    pub latencies: BTreeMap<(u32, u32), (u64, u64)>,
}

/// A region: hosts that are near one another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// Its number.
    pub number: u32,
    /// Its name; brokers bear it as `broker.rack`.
    pub name: String,
}

/// A running cluster.
pub struct Cluster {
    world: World,
    watcher: Watcher,
    hosts: BTreeMap<BrokerId, HostId>,
    /// The nodes that are controllers alone.
    controllers: BTreeSet<BrokerId>,
    absent: Mutex<BTreeSet<BrokerId>>,
    paused: Mutex<BTreeMap<BrokerId, bool>>,
    /// Nodes whose disk stalls.
    stalled: Mutex<BTreeSet<BrokerId>>,
    /// Brokers that were asked to stop, and whether they are to start again once they have ended.
    stopping: Arc<Mutex<BTreeMap<BrokerId, bool>>>,
    /// Hosts of client processes by name.
    clients: Mutex<BTreeMap<String, HostId>>,
    /// What client processes are told to spoil.
    tampers: Mutex<BTreeMap<String, Tamper>>,
    /// The region of every host.
    homes: Mutex<BTreeMap<HostId, u32>>,
    latencies: BTreeMap<(u32, u32), (u64, u64)>,
}

/// Where brokers keep their logs.
pub const LOG_DIR: &str = "/data";

/// The address under which a broker is reached.
#[must_use]
pub fn broker_address(id: BrokerId) -> Address {
    Address::new(format!("broker-{id}"), BROKER_PORT)
}

/// Hands a watcher to the probes of the nodes.
struct Observe(Watcher);

impl Observer for Observe {
    fn observe(&self, node: BrokerId, event: Event) {
        self.0.observe(node, event);
    }
}

impl Cluster {
    /// Creates the hosts, all of them switched off.
    #[must_use]
    pub fn new(world: &World, plan: &ClusterPlan, watcher: Watcher) -> Self {
        let name = |id: &BrokerId| {
            let role = if plan.controllers.contains_key(id) { "controller" } else { "broker" };
            format!("{role}-{id}")
        };
        let voters: BTreeMap<_, _> =
            plan.voters.iter().map(|id| (*id, Address::new(name(id), CONTROLLER_PORT))).collect();
        let mut hosts = BTreeMap::new();
        let mut homes = BTreeMap::new();
        let brokers = plan.brokers.iter().map(|(id, config)| (id, config, format!("10.0.0.{id}")));
        let controllers = (1..).zip(&plan.controllers).map(|(n, (id, config))| (id, config, format!("10.2.0.{n}")));
        for (id, config, address) in brokers.chain(controllers) {
            let region = plan.regions.get(id);
            let number = region.map_or(0, |region| region.number);
            let host = world.create_host(&name(id), &address, number);
            set_latencies(world, &plan.latencies, &homes, host, number);
            homes.insert(host, number);
            let options = NodeOptions {
                id: *id,
                cluster_id: "ktrial-simulated-cluster".to_owned(),
                broker_listener: plan.brokers.contains_key(id).then(|| broker_address(*id)),
                voters: voters.clone(),
                log_dir: LOG_DIR.to_owned(),
                rack: region.map(|region| region.name.clone()),
                config: config.clone(),
            };
            let (watcher, disks) = (watcher.clone(), world.clone());
            world.set_program(host, move || run_node(options.clone(), watcher.clone(), disks.clone(), host));
            hosts.insert(*id, host);
        }
        Self {
            world: world.clone(),
            watcher,
            hosts,
            controllers: plan.controllers.keys().copied().collect(),
            absent: Mutex::new(plan.absent.clone()),
            paused: Mutex::default(),
            stalled: Mutex::default(),
            stopping: Arc::default(),
            clients: Mutex::default(),
            tampers: Mutex::default(),
            homes: Mutex::new(homes),
            latencies: plan.latencies.clone(),
        }
    }
    /// The world that the cluster lives in.
    #[must_use]
    pub fn world(&self) -> &World {
        &self.world
    }
    /// All brokers that are part of the cluster.
    pub fn brokers(&self) -> impl Iterator<Item = BrokerId> + '_ {
        let absent = self.absent.lock().clone();
        self.hosts.keys().copied().filter(move |id| !absent.contains(id) && !self.is_controller(*id))
    }
    /// All nodes that are part of the cluster: those that are controllers alone, then brokers.
    pub fn nodes(&self) -> impl Iterator<Item = BrokerId> + '_ {
        self.controllers.iter().copied().chain(self.brokers())
    }
    /// True if the node is a controller alone (`process.roles`).
    #[must_use]
    pub fn is_controller(&self, id: BrokerId) -> bool {
        self.controllers.contains(&id)
    }
    /// True until a broker joins, and once it has left.
    #[must_use]
    pub fn is_absent(&self, id: BrokerId) -> bool {
        self.absent.lock().contains(&id)
    }
    /// A broker becomes part of the cluster, and starts.
    pub async fn join(&self, id: BrokerId) {
        self.absent.lock().remove(&id);
        self.start(id).await;
    }
    /// A broker stops and is no longer part of the cluster.
    pub fn leave(&self, id: BrokerId) {
        self.stop(id);
        self.absent.lock().insert(id);
    }
    /// The host of a node.
    ///
    /// # Panics
    /// If there is no such node: scenarios are validated before they run.
    #[must_use]
    pub fn host(&self, id: BrokerId) -> HostId {
        *self.hosts.get(&id).unwrap_or_else(|| panic!("node {id} is not part of this cluster"))
    }
    /// The host of a client process.
    #[must_use]
    pub fn client(&self, name: &str) -> Option<HostId> {
        self.clients.lock().get(name).copied()
    }
    /// All client processes.
    #[must_use]
    pub fn clients(&self) -> Vec<(String, HostId)> {
        self.clients.lock().iter().map(|(name, host)| (name.clone(), *host)).collect()
    }
    /// The orders to spoil records that a writing process of this name obeys.
    pub fn tamper(&self, name: &str) -> Tamper {
        self.tampers.lock().entry(name.to_owned()).or_default().clone()
    }
    /// A client's process dies, by a crash or with its host's power; false if it was down already.
    pub fn kill_client(&self, name: &str, host: HostId, power_cut: bool) -> bool {
        let was_running = self.world.is_running(host);
        if power_cut {
            self.world.power_cut(host);
        } else {
            self.world.crash(host);
        }
        if was_running {
            self.watcher.client_down(name);
        }
        was_running
    }
    /// The bootstrap list for clients.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        let addresses: Vec<_> = self.brokers().map(|id| format!("broker-{id}:{BROKER_PORT}")).collect();
        addresses.join(",")
    }
    /// True while the broker's process runs or stands still.
    #[must_use]
    pub fn is_running(&self, id: BrokerId) -> bool {
        self.world.is_running(self.host(id))
    }
    /// True from [`stop`](Self::stop) until the process has ended.
    #[must_use]
    pub fn is_stopping(&self, id: BrokerId) -> bool {
        self.is_running(id) && self.stopping.lock().contains_key(&id)
    }
    /// Starts brokers that are down, and at its end one that is stopping; those that run are left alone.
    pub async fn start(&self, id: BrokerId) {
        if !self.is_running(id) {
            self.paused.lock().remove(&id);
            self.stopping.lock().remove(&id);
            self.world.start(self.host(id)).await;
        } else if let Some(again) = self.stopping.lock().get_mut(&id)
            && !std::mem::replace(again, true)
        {
            self.start_at_its_end(id);
        }
    }
    fn start_at_its_end(&self, id: BrokerId) {
        let (world, stopping, host) = (self.world.clone(), self.stopping.clone(), self.host(id));
        task::spawn("start-at-its-end", async move {
            while world.is_running(host) {
                time::sleep(STOP_LOOK).await;
            }
            if stopping.lock().remove(&id) == Some(true) {
                world.start(host).await;
            }
        });
    }
    /// Asks the process to end by itself (SIGTERM): see [`Node::run`].
    pub fn stop(&self, id: BrokerId) {
        if self.is_running(id) {
            self.stopping.lock().entry(id).or_insert(false);
            self.world.request_shutdown(self.host(id));
        }
    }
    /// The process dies, its kernel resets connections, the page cache survives. False if it was down already.
    pub fn crash(&self, id: BrokerId) -> bool {
        let was_running = self.is_running(id);
        self.world.crash(self.host(id));
        self.stopping.lock().remove(&id);
        if was_running {
            self.paused.lock().remove(&id);
            self.watcher.node_down(id, self.world.take_harm(self.host(id)));
        }
        was_running
    }
    /// The host loses power: silence, and what was not synced is resolved by the seed.
    pub fn power_cut(&self, id: BrokerId) {
        self.world.power_cut(self.host(id));
        self.stopping.lock().remove(&id);
        self.paused.lock().remove(&id);
        self.watcher.node_down(id, true);
    }
    /// The process dies, and all that it held but the metadata log and the quorum's state is gone.
    pub fn wipe(&self, id: BrokerId) {
        self.crash(id);
        let host = self.host(id);
        self.world.wipe(host, LOG_DIR, Some(METADATA_DIR));
        self.watcher.node_down(id, self.world.take_harm(host));
    }
    /// Tells the watcher if the broker's disk has lost or spoiled something since it was last asked.
    pub fn look_for_harm(&self, id: BrokerId) {
        if self.world.take_harm(self.host(id)) {
            self.watcher.disk_harmed(id);
        }
    }
    /// The virtual machine stands still, its kernel too.
    pub fn freeze(&self, id: BrokerId) {
        if self.is_running(id) {
            self.paused.lock().insert(id, true);
            self.world.freeze(self.host(id));
            self.watcher.node_stands(id, true);
        }
    }
    /// The process stands still.
    pub fn pause(&self, id: BrokerId) {
        if self.is_running(id) {
            self.paused.lock().insert(id, true);
            self.world.pause(self.host(id));
            self.watcher.node_stands(id, true);
        }
    }
    /// A paused process goes on.
    pub fn resume(&self, id: BrokerId) {
        if self.paused.lock().remove(&id).is_some() {
            self.world.resume(self.host(id));
            self.watcher.node_stands(id, self.stalled.lock().contains(&id));
        }
    }
    /// The disk of a host does nothing, or goes on. What waits for it stands still; of a voter that is everything, because one
    /// thread both writes the metadata log and hears of the others (`KafkaRaftClient`).
    pub fn stall_disk(&self, host: HostId, stalled: bool) {
        self.world.stall_disk(host, stalled);
        let Some(id) = self.nodes().find(|id| self.host(*id) == host) else { return };
        let changed = if stalled { self.stalled.lock().insert(id) } else { self.stalled.lock().remove(&id) };
        if changed && !self.is_paused(id) {
            self.watcher.node_stands(id, stalled);
        }
    }
    /// True while the process stands still.
    #[must_use]
    pub fn is_paused(&self, id: BrokerId) -> bool {
        self.paused.lock().contains_key(&id)
    }
    /// Packets between a broker and everybody else are dropped.
    pub fn isolate(&self, id: BrokerId) {
        self.world.isolate(self.host(id));
    }
    /// Every link works again.
    pub fn heal_all(&self) {
        self.world.heal_all();
    }
    /// A host for a client process, started at once; see [`Cluster::add_client`].
    pub async fn run_client<F, Fut>(&self, name: &str, region: u32, program: F) -> HostId
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let host = self.add_client(name, region, program);
        self.world.start(host).await;
        host
    }
    /// A host for a client process, switched off.
    /// `region` is a number that the plan gave to a region of brokers, or 0.
    pub fn add_client<F, Fut>(&self, name: &str, region: u32, program: F) -> HostId
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let number = self.clients.lock().len() + 1;
        let address = format!("10.1.{}.{}", number / 250, number % 250 + 1);
        let host = self.world.create_host(&format!("client-{name}"), &address, region);
        set_latencies(&self.world, &self.latencies, &self.homes.lock(), host, region);
        self.homes.lock().insert(host, region);
        self.clients.lock().insert(name.to_owned(), host);
        self.world.set_program(host, program);
        host
    }
}

/// Gives the links between a new host and those that exist the latency of their regions, if it is given.
fn set_latencies(
    world: &World,
    latencies: &BTreeMap<(u32, u32), (u64, u64)>,
    homes: &BTreeMap<HostId, u32>,
    host: HostId,
    region: u32,
) {
    for (other, home) in homes {
        if let Some((least, most)) = latencies.get(&(region.min(*home), region.max(*home))) {
            for (from, to) in [(host, *other), (*other, host)] {
                world.set_latency(from, to, *least, most.saturating_sub(*least));
            }
        }
    }
}

/// What a node's host runs at each start.
async fn run_node(options: NodeOptions, watcher: Watcher, world: World, host: HostId) {
    let id = options.id;
    let probe = Probe::new(id, Arc::new(Observe(watcher.clone())));
    if let Err(error) = Node::run(options, probe, shutdown_requested(), std::future::ready(())).await {
        tracing::warn!(node = %id, %error, "the node's process ends");
        watcher.node_failed(id, &error);
    }
    watcher.node_down(id, world.take_harm(host));
}
