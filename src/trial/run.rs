//! One run from boot to audit: form the cluster, let clients and faults loose, heal, wait for convergence, read
//! everything back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::faults::Engine;
use super::library::Play;
use super::witness::Witness;
use super::{applications, audit, library, liveness, members, notes, plan, schedule};
use crate::base::bugs::{self, Bug};
use crate::base::marks::{self, Mark};
use crate::base::{BrokerId, TopicPartition};
use crate::check::Findings;
use crate::client::admin::Admin;
use crate::client::config::AdminConfig;
use crate::io::sim::{HostId, World};
use crate::io::task::TaskSet;
use crate::io::{clock, time};
use crate::scenario::Scenario;
use crate::scenario::units::Millis;
use crate::world::cluster::Cluster;
use crate::world::history::History;
use crate::world::{Watcher, reader, writer};

/// The cluster must form, and later converge, within this simulated time.
const CONVERGENCE_LIMIT: Duration = Duration::from_secs(300);
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// What a run has left to judge.
pub(super) struct Testimony {
    pub(super) findings: Findings,
    pub(super) timeline: super::timeline::Timeline,
    pub(super) history: History,
    /// The name of every writing process, by its number among the writers.
    pub(super) writers: BTreeMap<u32, String>,
    /// Why the cluster did not form or converge, if it did not.
    pub(super) not_live: Option<String>,
    /// How often each coverage mark was reached.
    pub(super) marks: Vec<(Mark, u64)>,
    /// How long the chaos phase lasted.
    pub(super) lasted: Millis,
}

/// Runs a scenario inside a world; with a story, that takes the place of the fault list.
pub(super) async fn run(world: World, scenario: Arc<Scenario>, planted: Vec<Bug>, play: Option<Play>) -> Testimony {
    bugs::plant(&planted);
    drop(marks::take());
    let mut promises = plan::promises(&scenario);
    promises.untold_writers = play.as_ref().is_some_and(|play| !play.all_noted);
    let witness = Arc::new(Witness::new(&world, promises, &scenario));
    let watcher: Watcher = witness.clone();
    let cluster = Arc::new(Cluster::new(&world, &plan::cluster(&scenario), watcher.clone()));
    let read = if play.is_some() { notes::fingerprint } else { audit::value };
    let trial = Trial { scenario, cluster, witness: witness.clone(), watcher, read };
    let mut lasted = trial.scenario.duration;
    let not_live = trial.run(play, &mut lasted).await.err();
    let (findings, timeline, history) = witness.take();
    let writers = witness.writer_names();
    Testimony { findings, timeline, history, writers, not_live, marks: marks::take(), lasted }
}

struct Trial {
    scenario: Arc<Scenario>,
    cluster: Arc<Cluster>,
    witness: Arc<Witness>,
    watcher: Watcher,
    /// How the audit knows what a record carries.
    read: audit::Read,
}

struct Clients {
    hosts: Vec<HostId>,
    /// What each reading process reads, by its name.
    readers: Vec<(String, Vec<TopicPartition>)>,
    reader_hosts: Vec<HostId>,
}

impl Trial {
    /// `lasted` is told how long the chaos phase was, if a story decides that.
    async fn run(&self, play: Option<Play>, lasted: &mut Millis) -> Result<(), String> {
        self.boot().await?;
        self.create_topics().await?;
        self.until_whole("the cluster did not form").await?;
        self.witness.begin();
        let began = clock::now();
        // Supervisors end with the run.
        let mut supervisors = TaskSet::new();
        let clients = self.start_clients(&mut supervisors).await;
        let mut engine = Engine::new(&self.cluster, &self.witness, &self.scenario);
        let strangers = match play {
            None => {
                schedule::run(&mut engine, began).await;
                Vec::new()
            }
            Some(play) => {
                let strangers = library::tell(&mut engine, &self.cluster, play).await;
                *lasted = library::since(began.mono_ns);
                strangers
            }
        };
        self.witness.note("faults end; what is down is started".to_owned());
        engine.heal().await;
        for host in clients.hosts.iter().chain(&strangers) {
            self.cluster.world().request_shutdown(*host);
        }
        let lively = |group: &str| !applications::is_stuck(&self.scenario, group);
        self.until("no convergence after healing", || {
            self.whole()
                .or_else(|| liveness::clients_pending(&self.witness, &clients.readers))
                .or_else(|| liveness::groups_pending(&self.witness, lively))
        })
        .await?;
        members::audit(&self.witness, &self.cluster.bootstrap(), lively).await?;
        for host in &clients.reader_hosts {
            self.cluster.world().request_shutdown(*host);
        }
        self.witness.quiet_point();
        audit::run(&self.witness, &self.cluster.bootstrap(), &self.partitions(), self.read).await
    }

    async fn boot(&self) -> Result<(), String> {
        let nodes: Vec<_> = self.cluster.nodes().collect();
        for id in nodes {
            self.cluster.start(id).await;
        }
        self.until("the cluster did not form", || liveness::cluster_pending(&self.cluster, &self.witness)).await
    }

    async fn create_topics(&self) -> Result<(), String> {
        let topics: Vec<_> = self.scenario.topics.iter().map(plan::topic).collect();
        if topics.is_empty() {
            return Ok(());
        }
        let mut config = AdminConfig::default();
        config.set("bootstrap.servers", &self.cluster.bootstrap()).map_err(|e| e.to_string())?;
        let mut admin = Admin::new(config).map_err(|e| e.to_string())?;
        let created = admin.create_topics(&topics).await.map_err(|e| format!("topics could not be created: {e}"))?;
        for (topic, result) in self.scenario.topics.iter().zip(created) {
            result.map_err(|e| format!("topic {} could not be created: {e:?}", topic.name))?;
        }
        Ok(())
    }

    fn partitions(&self) -> Vec<TopicPartition> {
        let names: Vec<_> = self.scenario.topics.iter().map(|topic| topic.name.as_str()).collect();
        let mut all: Vec<_> = self.scenario.topics.iter().flat_map(plan::partitions).collect();
        // An administrator may have added some.
        all.extend(self.witness.partitions_of(&names));
        all.sort_unstable();
        all.dedup();
        all
    }

    fn whole(&self) -> Option<String> {
        liveness::cluster_pending(&self.cluster, &self.witness)
            .or_else(|| self.partitions().iter().find_map(|tp| liveness::partition_pending(&self.witness, tp)))
            .or_else(|| liveness::metadata_pending(&self.witness))
    }

    async fn until_whole(&self, otherwise: &str) -> Result<(), String> {
        self.until(otherwise, || self.whole()).await
    }

    async fn until(&self, otherwise: &str, pending: impl Fn() -> Option<String>) -> Result<(), String> {
        let deadline = clock::now().mono_ns + CONVERGENCE_LIMIT.as_nanos() as u64;
        while let Some(reason) = pending() {
            if clock::now().mono_ns >= deadline {
                return Err(format!("{otherwise} within {} s: {reason}", CONVERGENCE_LIMIT.as_secs()));
            }
            for id in self.witness.take_unregistered() {
                self.witness.note(format!("broker {id} starts"));
                self.cluster.start(id).await;
            }
            // Faults end, but not what they have begun: a process takes its time to die of an error.
            let dead: Vec<_> = self.cluster.nodes().filter(|id| self.died_of_its_disk(*id)).collect();
            for id in dead {
                self.witness.note(format!("node {id} starts: its disk had failed before the faults ended"));
                self.cluster.start(id).await;
            }
            for id in self.witness.usurped() {
                self.witness
                    .note(format!("broker {id} is started again: an earlier process is registered in its place"));
                self.cluster.crash(id);
                self.cluster.start(id).await;
            }
            time::sleep(LOOK).await;
        }
        Ok(())
    }

    fn died_of_its_disk(&self, id: BrokerId) -> bool {
        !self.cluster.is_running(id) && self.cluster.world().disk_has_failed(self.cluster.host(id))
    }

    async fn start_clients(&self, supervisors: &mut TaskSet) -> Clients {
        let mut clients = Clients { hosts: Vec::new(), readers: Vec::new(), reader_hosts: Vec::new() };
        let bootstrap = self.cluster.bootstrap();
        for (name, plan) in plan::writers(&self.scenario, &self.cluster) {
            let region = plan::region_of_client(&self.scenario, &name);
            let (witness, watcher, of) = (self.witness.clone(), self.watcher.clone(), name.clone());
            let program = move || {
                let writer = witness.writer_begins(&of, plan::traits(&plan.config));
                let plan = writer::WriterPlan { writer, ..plan.clone() };
                writer::run(plan, watcher.clone())
            };
            clients.hosts.push(self.cluster.run_client(&name, region, program).await);
        }
        for (name, plan) in plan::readers(&self.scenario, &bootstrap) {
            let region = plan::region_of_client(&self.scenario, &name);
            clients.readers.push((name.clone(), plan.partitions.clone()));
            let (witness, watcher, of) = (self.witness.clone(), self.watcher.clone(), name.clone());
            let program = move || {
                let plan = reader::ReaderPlan { reader: witness.reader_begins(&of), ..plan.clone() };
                reader::run(plan, watcher.clone())
            };
            clients.reader_hosts.push(self.cluster.run_client(&name, region, program).await);
        }
        let members = applications::start(&self.scenario, &self.cluster, &self.witness, supervisors).await;
        clients.reader_hosts.extend(members);
        clients
    }
}
