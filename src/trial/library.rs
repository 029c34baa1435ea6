//! The trial as a library: a cluster on simulated nodes, a person's own code beside it, and the oracles' verdict.
//!
//! What a scenario file says in JSON a story says in Rust. It runs once the cluster has formed and takes the place of the
//! fault list; everything else is as in any other run: what is broken heals, the cluster has to converge, every partition is
//! read back, and the court judges. `examples/own_client.rs` is a whole one.
//!
//! What clients do is known to the court as far as they note it ([`Notes`]); what brokers do it sees for itself.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Map, Value as Json, json};
use tokio::sync::{mpsc, oneshot};

use super::faults::Engine;
use super::notes::Notes;
use super::witness::Witness;
use super::{judge, run};
use crate::base::{BrokerId, TopicPartition};
use crate::io::sim::{self, HostId, WorldConfig};
use crate::io::{clock, time};
use crate::report::Verdict;
use crate::scenario::model::{Action, Heal, Target};
use crate::scenario::units::Millis;
use crate::scenario::{self, Scenario};
use crate::world::cluster::Cluster;

/// How often the expensive checks run while a story lasts.
const QUIET_POINT_EVERY: Duration = Duration::from_secs(1);

/// A story that waits to be told.
type Story = Box<dyn FnOnce(TrialCluster) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// Begins a trial under `seed`: equal seeds mean equal runs, to the last message.
///
/// ```no_run
/// # #[cfg(madsim)] {
/// let verdict = ktrial::trial(7).brokers(3).topic("orders", 1).run(|cluster| async move {
///     let client = cluster.spawn("mine", || async { /* code of your own, on a host of its own */ }).await;
///     cluster.crash(1).await;
///     client.join().await;
/// });
/// verdict.assert_passed();
/// # }
/// ```
pub fn trial(seed: u64) -> Trial {
    Trial { seed, brokers: 3, config: Map::new(), topics: Vec::new(), all_noted: false }
}

/// What a trial is made of; see [`trial`].
#[derive(Clone, Debug)]
#[must_use = "a trial does nothing until it is run"]
pub struct Trial {
    seed: u64,
    brokers: u32,
    config: Map<String, Json>,
    topics: Vec<(String, u32)>,
    all_noted: bool,
}

impl Trial {
    /// How many brokers there are (3), numbered from 1. All of them vote in the metadata quorum.
    pub fn brokers(mut self, count: u32) -> Self {
        self.brokers = count;
        self
    }
    /// Every broker's `key`, in Kafka's words: `.config("min.insync.replicas", 2)`.
    pub fn config(mut self, key: &str, value: impl ToString) -> Self {
        self.config.insert(key.to_owned(), value.to_string().into());
        self
    }
    /// A topic that exists before the story begins, with three replicas of each partition, or one on every broker if there
    /// are fewer.
    pub fn topic(mut self, name: &str, partitions: u32) -> Self {
        self.topics.push((name.to_owned(), partitions));
        self
    }
    /// Every record that the story's clients write is noted ([`Notes::sent`]): then one that is read and was never sent
    /// breaks NO-PHANTOM. Without this the court does not ask where records come from.
    pub fn all_writes_noted(mut self) -> Self {
        self.all_noted = true;
        self
    }

    /// Forms the cluster, tells it the story, heals it, reads everything back, and judges. Blocks this thread; the run has
    /// one of its own. The story's own code runs on the trial's host, outside of the cluster.
    ///
    /// # Panics
    /// If the trial is impossible (an unknown configuration key, no broker), and with the story's own panic, so that an
    /// assertion in it, or in a client of its, fails the test that it stands in. A broker's panic is in the verdict.
    #[must_use = "the verdict says whether a property was broken"]
    pub fn run<F, Fut>(self, story: F) -> Verdict
    where
        F: FnOnce(TrialCluster) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let (seed, all_noted) = (self.seed, self.all_noted);
        let scenario = self.scenario();
        let shared = Arc::new(scenario.clone());
        let story: Story = Box::new(|cluster| Box::pin(story(cluster)));
        let play = Play { story, all_noted };
        let run = sim::run(seed, WorldConfig::default(), move |world| run::run(world, shared, Vec::new(), Some(play)));
        if let Err(panic) = &run.outcome
            && !panic.host.starts_with("broker-")
        {
            panic!("seed {seed}: {panic}");
        }
        let lasted = run.outcome.as_ref().map_or(scenario.duration, |testimony| testimony.lasted);
        judge::judge(&Scenario { duration: lasted, ..scenario }, seed, run).0
    }

    /// The same as a scenario, validated like any other.
    fn scenario(&self) -> Scenario {
        let topic = |(name, partitions): &(String, u32)| json!({"name": name, "partitions": partitions, "replication-factor": self.brokers.min(3)});
        let text = json!({
            "name": "trial",
            "cluster": {"brokers": self.brokers, "config": self.config},
            "topics": self.topics.iter().map(topic).collect::<Vec<_>>(),
        });
        scenario::parse("the trial", &text.to_string()).unwrap_or_else(|refusal| panic!("{refusal}"))
    }
}

/// A story on its way into a run.
pub(super) struct Play {
    story: Story,
    pub(super) all_noted: bool,
}

/// A fault that the story asks for, and whom to tell that it has happened.
type Order = (Action, oneshot::Sender<()>);

/// Tells the story to the end, and meanwhile does what it asks for.
pub(super) async fn tell(engine: &mut Engine<'_>, cluster: &Arc<Cluster>, play: Play) -> Vec<HostId> {
    let (orders, mut ordered) = mpsc::unbounded_channel();
    let notes = Notes::new(engine.witness);
    let hosts = Arc::<Mutex<Vec<HostId>>>::default();
    let handle = TrialCluster {
        cluster: cluster.clone(),
        witness: engine.witness.clone(),
        notes: notes.clone(),
        hosts: hosts.clone(),
        orders,
    };
    let mut story = (play.story)(handle);
    let mut quiet_ns = clock::now().mono_ns;
    loop {
        quiet_ns += QUIET_POINT_EVERY.as_nanos() as u64;
        let quiet = time::sleep_until(quiet_ns);
        tokio::pin!(quiet);
        loop {
            tokio::select! {
                biased;
                Some((action, done)) = ordered.recv() => {
                    engine.apply(&action).await;
                    // The story may have stopped waiting.
                    let _ = done.send(());
                }
                () = &mut story => {
                    notes.close();
                    let hosts = std::mem::take(&mut *hosts.lock());
                    return hosts;
                }
                () = &mut quiet => break,
            }
        }
        engine.look_for_harm();
        engine.witness.quiet_point();
    }
}

/// The story's hand on the cluster; clones are the same hand.
#[derive(Clone)]
pub struct TrialCluster {
    cluster: Arc<Cluster>,
    witness: Arc<Witness>,
    notes: Notes,
    hosts: Arc<Mutex<Vec<HostId>>>,
    orders: mpsc::UnboundedSender<Order>,
}

impl TrialCluster {
    /// What clients take for `bootstrap.servers`.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        self.cluster.bootstrap()
    }
    /// Starts a process on a host of its own, with a disk, clocks and a network address of its own. In it everything of
    /// [`crate::io`] and [`crate::client`] works as it does on any node. It can be a fault's target, by its name; once
    /// dead it stays dead. It is asked to shut down when the story ends, and ends with the run at the latest.
    ///
    /// # Panics
    /// If there is a process of that name already.
    pub async fn spawn<F, Fut, T>(&self, name: &str, program: F) -> Client<T>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        assert!(!self.cluster.clients().iter().any(|(known, _)| known == name), "there is a client {name} already");
        let (tell, told) = oneshot::channel();
        let once = Mutex::new(Some((program, tell)));
        let life = move || {
            let first = once.lock().take();
            async move {
                if let Some((program, tell)) = first {
                    // Nobody may wait for it.
                    let _ = tell.send(program().await);
                }
            }
        };
        let host = self.cluster.run_client(name, 0, life).await;
        self.hosts.lock().push(host);
        Client { name: name.to_owned(), told }
    }
    /// Has a fault, or an operation, happen now; the same as in a scenario's list. Returns once it has. Whatever is broken
    /// stays so until the story says otherwise, or ends.
    pub async fn inject(&self, action: Action) {
        let (done, happened) = oneshot::channel();
        // The run is over if nobody takes it: then nothing can happen any more.
        if self.orders.send((action, done)).is_ok() {
            let _ = happened.await;
        }
    }
    /// A broker's host loses power: its peers hear nothing more, and what was not synced may be gone.
    pub async fn power_cut(&self, broker: i32) {
        self.inject(Action::PowerCut(Target::Broker(BrokerId(broker)))).await;
    }
    /// A broker's process dies; its kernel lives.
    pub async fn crash(&self, broker: i32) {
        self.inject(Action::Crash(Target::Broker(BrokerId(broker)))).await;
    }
    /// A broker is asked to shut down (SIGTERM).
    pub async fn stop(&self, broker: i32) {
        self.inject(Action::Stop(Target::Broker(BrokerId(broker)))).await;
    }
    /// A broker that is down, or stopping, starts.
    pub async fn start(&self, broker: i32) {
        self.inject(Action::Start(Target::Broker(BrokerId(broker)))).await;
    }
    /// A broker is cut off from everybody else, until [`TrialCluster::heal`].
    pub async fn isolate(&self, broker: i32) {
        self.inject(Action::Isolate(Target::Broker(BrokerId(broker)))).await;
    }
    /// Every link works again.
    pub async fn heal(&self) {
        self.inject(Action::Heal(Heal::All)).await;
    }
    /// Who leads a partition, by committed metadata; none if nobody does.
    #[must_use]
    pub fn leader(&self, topic: &str, partition: i32) -> Option<i32> {
        let leader = self.witness.partition(&TopicPartition::new(topic, partition))?.leader;
        (leader != BrokerId::NONE).then_some(leader.0)
    }
    /// Lets simulated time pass.
    pub async fn sleep(&self, duration: Duration) {
        time::sleep(duration).await;
    }
    /// What tells the court of the writes and reads of the story's clients.
    #[must_use]
    pub fn notes(&self) -> Notes {
        self.notes.clone()
    }
}

impl std::fmt::Debug for TrialCluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrialCluster").field("bootstrap", &self.bootstrap()).finish_non_exhaustive()
    }
}

/// A process that [`TrialCluster::spawn`] has started.
#[derive(Debug)]
pub struct Client<T> {
    name: String,
    told: oneshot::Receiver<T>,
}

impl<T> Client<T> {
    /// Waits for the end of the program, and returns what it returned.
    ///
    /// # Panics
    /// If the process was killed before it came to its end.
    pub async fn join(self) -> T {
        self.told.await.unwrap_or_else(|_| panic!("client {} was killed before its end", self.name))
    }
}

/// How long a story has lasted.
pub(super) fn since(began_ns: u64) -> Millis {
    Millis(clock::now().mono_ns.saturating_sub(began_ns) / crate::base::time::NANOS_PER_MS)
}
