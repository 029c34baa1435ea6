//! Applications of a scenario: what their processes run, who starts them again, and what their owners believe of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::plan::{must, partitions, region_of_client};
use super::witness::Witness;
use crate::base::TopicPartition;
use crate::check;
use crate::client::config::{ConsumerConfig, ProducerConfig};
use crate::io::sim::HostId;
use crate::io::task::TaskSet;
use crate::io::time;
use crate::scenario::Scenario;
use crate::scenario::model::{self, Client, Delivery, Group, Role};
use crate::scenario::units::Millis;
use crate::world::Watcher;
use crate::world::application::{self, ApplicationPlan, Effect, OnPoison, Style};
use crate::world::cluster::Cluster;
use crate::world::store::Store;

/// How often a supervisor looks whether its process has been started.
const LOOK: Duration = Duration::from_millis(100);

/// The applications of a scenario, each with the client that it is.
pub(super) fn all(scenario: &Scenario) -> impl Iterator<Item = (&Client, &Group)> {
    scenario.clients.iter().filter_map(|client| match &client.role {
        Role::Group(group) => Some((client, group)),
        _ => None,
    })
}

/// What their owners believe of them.
pub(super) fn promised(scenario: &Scenario) -> Vec<check::Application> {
    let promise = |(client, group): (&Client, &Group)| check::Application {
        group: group.id(&client.name).to_owned(),
        topics: group.topics.clone(),
        delivery: match group.delivery() {
            Delivery::AtLeastOnce => check::Delivery::AtLeastOnce,
            Delivery::AtMostOnce => check::Delivery::AtMostOnce,
            Delivery::ExactlyOnce => check::Delivery::ExactlyOnce,
        },
        has_store: group.effect != model::Effect::None,
    };
    all(scenario).map(promise).collect()
}

/// The partitions that each group reads.
pub(super) fn reads(scenario: &Scenario) -> BTreeMap<String, Vec<TopicPartition>> {
    let of = |(client, group): (&Client, &Group)| {
        let topics = scenario.topics.iter().filter(|topic| group.topics.contains(&topic.name));
        (group.id(&client.name).to_owned(), topics.flat_map(partitions).collect())
    };
    all(scenario).map(of).collect()
}

/// True if the scenario says that this group never reaches the end.
pub(super) fn is_stuck(scenario: &Scenario, group: &str) -> bool {
    scenario.expect.groups.iter().any(|wanted| wanted.id == group && wanted.stuck)
}

/// A process to run: its name, its plan, whether it runs from the beginning, and after how long it is started again.
struct Process {
    name: String,
    plan: ApplicationPlan,
    starts: bool,
    restart_after: Option<Millis>,
}

fn processes(scenario: &Scenario, bootstrap: &str) -> Vec<Process> {
    let mut out = Vec::new();
    for (client, group) in all(scenario) {
        let store = Store::default();
        for i in 0..group.count {
            let name = format!("{}#{i}", client.name);
            let plan = plan(client, group, &name, bootstrap, store.clone());
            out.push(Process { name, plan, starts: i < group.start(), restart_after: group.restart_after });
        }
    }
    out
}

fn plan(client: &Client, group: &Group, name: &str, bootstrap: &str, store: Store) -> ApplicationPlan {
    let id = group.id(&client.name);
    let nanos = |span: Millis| u64::try_from(span.duration().as_nanos()).unwrap_or(u64::MAX);
    let style = match group.style {
        model::Style::CommitThenProcess => Style::CommitThenProcess,
        model::Style::ProcessThenCommit => Style::ProcessThenCommit,
        model::Style::AutoCommit => Style::AutoCommit,
    };
    let mut config = ConsumerConfig::default();
    let auto = (style == Style::AutoCommit).to_string();
    // An application is there before its records are: earliest, so that it sees every one of them.
    let mut own = vec![
        ("bootstrap.servers", bootstrap),
        ("client.id", name),
        ("group.id", id),
        ("enable.auto.commit", &auto),
        ("auto.offset.reset", "earliest"),
    ];
    if group.static_members {
        own.push(("group.instance.id", name));
    }
    for (key, value) in own.into_iter().chain(group.config.iter().map(|(k, v)| (k.as_str(), v.as_str()))) {
        must(config.set(key, value));
    }
    ApplicationPlan {
        member: 0,
        process: name.into(),
        group: id.into(),
        topics: group.topics.clone(),
        style,
        hand_off: group.hand_off,
        processing_ns: (nanos(group.processing.0), nanos(group.processing.1)),
        on_poison: on_poison(group, name, bootstrap),
        effect: match group.effect {
            model::Effect::None => Effect::None,
            model::Effect::Insert => Effect::Insert,
            model::Effect::InsertTransactionId => Effect::InsertTransactionId,
            model::Effect::Upsert => Effect::Upsert,
            model::Effect::CheckThenAct => Effect::CheckThenAct,
        },
        store,
        config,
    }
}

fn on_poison(group: &Group, name: &str, bootstrap: &str) -> OnPoison {
    match (group.on_poison, &group.dead_letter_topic) {
        (model::OnPoison::DeadLetter, Some(topic)) => {
            let mut config = ProducerConfig::default();
            must(config.set("bootstrap.servers", bootstrap));
            must(config.set("client.id", &format!("{name}-dead-letters")));
            OnPoison::DeadLetter(topic.as_str().into(), Box::new(config))
        }
        (model::OnPoison::Skip, _) => OnPoison::Skip,
        _ => OnPoison::Crash,
    }
}

/// Makes the processes of all applications, and starts those that run from the beginning. Supervisors live in `tasks`.
pub(super) async fn start(
    scenario: &Scenario,
    cluster: &Cluster,
    witness: &Arc<Witness>,
    tasks: &mut TaskSet,
) -> Vec<HostId> {
    let mut hosts = Vec::new();
    for Process { name, plan, starts, restart_after } in processes(scenario, &cluster.bootstrap()) {
        let region = region_of_client(scenario, &name);
        let (told, watcher): (_, Watcher) = (witness.clone(), witness.clone());
        let at_rest = Arc::new(AtomicBool::new(true));
        let (rests, of) = (at_rest.clone(), name.clone());
        let program = move || {
            let plan = ApplicationPlan { member: told.reader_begins(&of), ..plan.clone() };
            let (watcher, rests) = (watcher.clone(), rests.clone());
            async move {
                rests.store(false, Ordering::Relaxed);
                rests.store(application::run(plan, watcher).await, Ordering::Relaxed);
            }
        };
        let host = cluster.add_client(&name, region, program);
        if starts {
            cluster.world().start(host).await;
        }
        if let Some(after) = restart_after {
            let supervisor = Supervisor { world: cluster.world().clone(), host, name, after, at_rest };
            tasks.spawn("supervisor", supervisor.run(witness.clone()));
        }
        hosts.push(host);
    }
    hosts
}

/// Whoever starts a process again that has died.
struct Supervisor {
    world: crate::io::sim::World,
    host: HostId,
    name: String,
    after: Millis,
    /// The process has ended because it was asked to.
    at_rest: Arc<AtomicBool>,
}

impl Supervisor {
    async fn run(self, witness: Arc<Witness>) {
        loop {
            while !self.world.is_running(self.host) {
                time::sleep(LOOK).await;
            }
            self.world.exited(self.host).await;
            if self.at_rest.load(Ordering::Relaxed) {
                continue;
            }
            time::sleep(self.after.duration()).await;
            if !self.world.is_running(self.host) {
                witness.note(format!("client {} is started again by its supervisor", self.name));
                self.world.start(self.host).await;
            }
        }
    }
}
