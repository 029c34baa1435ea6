//! `ktrial serve`: a real cluster for real Kafka clients, all nodes in this process, until ctrl-c or SIGTERM.
//!
//! What can be wrong with the command line is found before anything runs. No protocol lives here.

use std::collections::BTreeMap;
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

use super::args::ServeArgs;
use super::{Streams, WRONG};
use crate::base::BrokerId;
use crate::base::nearest::hint;
use crate::broker::config::{BrokerConfig, ConfigError, KEYS};
use crate::broker::node::{Node, NodeError};
use crate::broker::options::{Address, NodeOptions};
use crate::broker::probe::{Probe, Unwatched};
use crate::client::{Admin, AdminConfig};
use crate::io::{task, time};

/// Brokers listen, and are advertised, here only: nothing authenticates a client.
const HOST: &str = "127.0.0.1";
/// The first controller listener stands so far above the first broker's listener for clients; the others follow.
const CONTROLLER_PORTS: u16 = 1_000;
/// The id of the first controller that is a node of its own; no broker has one as high.
const FIRST_CONTROLLER: u16 = 1_001;
/// No more voters than this: each one more makes every metadata commit wait for more disks.
const MAX_VOTERS: u16 = 3;
/// What the names of the directories of brokers begin with.
const BROKER_DIR: &str = "broker-";
/// What the names of the directories of separate controllers begin with.
const CONTROLLER_DIR: &str = "controller-";
/// The same at every start, so that a data directory can be served again.
const CLUSTER_ID: &str = "ktrial-real-cluster";
/// How often a starting cluster is asked whether all its brokers serve.
const ASK_AGAIN: Duration = Duration::from_millis(50);
/// The exit code if a node ended without being asked to.
const BROKER_FAILED: u8 = 1;

/// Serves until the process is asked to stop.
///
/// # Errors
/// Only those of the streams; everything else is told there, and in the exit code.
pub fn serve(args: &ServeArgs, streams: &mut Streams<'_>) -> io::Result<u8> {
    let ready = plan(args).and_then(|nodes| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.enable_all().build().map_err(|e| format!("no threads to run on: {e}"))?;
        Ok((nodes, runtime))
    });
    match ready {
        Ok((nodes, runtime)) => runtime.block_on(run(nodes, streams)),
        Err(complaint) => {
            writeln!(streams.err, "ktrial: {complaint}")?;
            Ok(WRONG)
        }
    }
}

/// Every node's options, its ports free and its directory made; or what is wrong.
fn plan(args: &ServeArgs) -> Result<Vec<NodeOptions>, String> {
    let config = config(&args.config)?;
    if let Some(root) = &args.data {
        check_data(root, args.brokers, args.controllers)?;
    }
    let address = |port: u16| Address::new(HOST, port);
    let voter_ids: Vec<u16> = match args.controllers {
        0 => (1..=voters(args.brokers)).collect(),
        separate => (FIRST_CONTROLLER..FIRST_CONTROLLER + separate).collect(),
    };
    let voters: BTreeMap<_, _> = (args.port + CONTROLLER_PORTS..)
        .zip(&voter_ids)
        .map(|(port, id)| (BrokerId(i32::from(*id)), address(port)))
        .collect();
    let listeners: BTreeMap<u16, Address> = (1..=args.brokers).map(|id| (id, address(args.port + id - 1))).collect();
    listeners.values().chain(voters.values()).try_for_each(check_free)?;
    let root = args.data.clone().map_or_else(fresh_directory, Ok)?;
    let node = |id: u16| {
        let listener = listeners.get(&id);
        let role = if listener.is_some() { BROKER_DIR } else { CONTROLLER_DIR };
        let directory = root.join(format!("{role}{id}"));
        std::fs::create_dir_all(&directory).map_err(|e| format!("cannot make {}: {e}", directory.display()))?;
        let log_dir = directory.to_str().ok_or_else(|| format!("{} is not UTF-8", directory.display()))?.to_owned();
        Ok(NodeOptions {
            id: BrokerId(i32::from(id)),
            cluster_id: CLUSTER_ID.to_owned(),
            broker_listener: listener.cloned(),
            voters: voters.clone(),
            log_dir,
            rack: None,
            config: config.clone(),
        })
    };
    let separate = voter_ids.iter().copied().filter(|id| *id >= FIRST_CONTROLLER);
    separate.chain(1..=args.brokers).map(node).collect()
}

/// An even number of voters survives no more failures than one voter less.
fn voters(brokers: u16) -> u16 {
    let most = brokers.min(MAX_VOTERS);
    if most.is_multiple_of(2) { most - 1 } else { most }
}

fn config(entries: &[(String, String)]) -> Result<BrokerConfig, String> {
    let mut config = BrokerConfig::default();
    for (key, value) in entries {
        config.set(key, value).map_err(|error| match error {
            ConfigError::UnknownKey { .. } => format!("{error}; {}", hint(key, KEYS.iter().copied())),
            ConfigError::BadValue { .. } => error.to_string(),
        })?;
    }
    Ok(config)
}

fn check_free(address: &Address) -> Result<(), String> {
    TcpListener::bind((address.host.as_str(), address.port))
        .map(drop)
        .map_err(|error| format!("cannot listen on {}:{}: {error}", address.host, address.port))
}

/// What an earlier cluster left can be served with as many brokers and controllers as it had only.
fn check_data(root: &Path, brokers: u16, controllers: u16) -> Result<(), String> {
    let count = |role| directories(root, role).map_err(|error| format!("cannot read {}: {error}", root.display()));
    let (there, voters) = (count(BROKER_DIR)?, count(CONTROLLER_DIR)?);
    // A quorum that takes in voters with empty logs could elect them and lose what the others hold.
    if there != 0 && there != usize::from(brokers) {
        return Err(format!("{} holds a cluster with --brokers {there}, not {brokers}", root.display()));
    }
    if there + voters != 0 && voters != usize::from(controllers) {
        return Err(format!("{} holds a cluster with --controllers {voters}, not {controllers}", root.display()));
    }
    Ok(())
}

fn fresh_directory() -> Result<PathBuf, String> {
    for number in 0.. {
        let path = std::env::temp_dir().join(format!("ktrial-serve-{}-{number}", std::process::id()));
        match std::fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(format!("cannot make {}: {error}", path.display())),
        }
    }
    unreachable!("numbers do not run out")
}

/// How many nodes of a role have left something here.
fn directories(root: &Path, role: &str) -> io::Result<usize> {
    if !root.exists() {
        return Ok(0);
    }
    let mut found = 0;
    for entry in std::fs::read_dir(root)? {
        found += usize::from(entry?.file_name().to_string_lossy().starts_with(role));
    }
    Ok(found)
}

/// The nodes of this process.
struct Nodes {
    running: JoinSet<(BrokerId, Result<(), NodeError>)>,
    stop: watch::Sender<bool>,
    failed: bool,
}

impl Nodes {
    fn start(nodes: &[NodeOptions]) -> Self {
        let (stop, _) = watch::channel(false);
        let (serving, _) = watch::channel(nodes.len());
        let serving = Arc::new(serving);
        let mut running = JoinSet::new();
        for options in nodes {
            let options = options.clone();
            let probe = Probe::new(options.id, Arc::new(Unwatched));
            let mut stopped = stop.subscribe();
            // An error here means that nobody is left to ask for the stop.
            let stopped = async move { stopped.wait_for(|stop| *stop).await.map_or((), |_| ()) };
            let leave = leave(Serving(serving.clone()));
            running.spawn(async move { (options.id, Node::run(options, probe, stopped, leave).await) });
        }
        Self { running, stop, failed: false }
    }

    /// One node has ended. One that was not asked to takes the others with it.
    fn ended(
        &mut self,
        node: Result<(BrokerId, Result<(), NodeError>), JoinError>,
        streams: &mut Streams<'_>,
    ) -> io::Result<()> {
        self.failed |= !matches!(node, Ok((_, Ok(()))));
        self.stop.send_replace(true);
        match node {
            Ok((_, Ok(()))) => Ok(()),
            Ok((id, Err(error))) => writeln!(streams.err, "ktrial: node {id}: {error}"),
            Err(error) => writeln!(streams.err, "ktrial: a node panicked: {error}"),
        }
    }
}

/// One node that still needs the controller; dropped when it does no more.
struct Serving(Arc<watch::Sender<usize>>);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.send_modify(|serving| *serving -= 1);
    }
}

/// Waits until every broker of the process has said goodbye to the controller: it is one of the nodes.
async fn leave(me: Serving) {
    let mut serving = me.0.subscribe();
    drop(me);
    // An error here means that nobody serves any more.
    serving.wait_for(|serving| *serving == 0).await.map_or((), |_| ())
}

async fn run(nodes: Vec<NodeOptions>, streams: &mut Streams<'_>) -> io::Result<u8> {
    let mut running = Nodes::start(&nodes);
    let (mut announced, mut stopping) = (false, false);
    let all_serve = all_serve(&nodes);
    let asked_to_stop = task::shutdown_requested();
    tokio::pin!(all_serve, asked_to_stop);
    loop {
        tokio::select! {
            biased;
            () = &mut asked_to_stop, if !stopping => {
                stopping = true;
                running.stop.send_replace(true);
                writeln!(streams.out, "stopping")?;
            }
            ended = running.running.join_next() => match ended {
                Some(node) => {
                    running.ended(node, streams)?;
                    stopping = true;
                }
                None => break,
            },
            () = &mut all_serve, if !announced && !stopping => {
                announced = true;
                announce(&nodes, streams)?;
            }
        }
    }
    writeln!(streams.out, "stopped")?;
    Ok(if running.failed { BROKER_FAILED } else { 0 })
}

/// Ends when every broker answers and knows that all the others are in the cluster.
async fn all_serve(nodes: &[NodeOptions]) {
    let count = listeners(nodes).count();
    for listener in listeners(nodes) {
        let mut config = AdminConfig::default();
        config.common.bootstrap_servers = vec![(HOST.to_owned(), listener.port)];
        let mut admin = Admin::new(config).expect("an admin client with an address to go to");
        while admin.describe_cluster().await.map_or(0, |cluster| cluster.brokers.len()) < count {
            time::sleep(ASK_AGAIN).await;
        }
    }
}

/// Where clients reach the brokers.
fn listeners(nodes: &[NodeOptions]) -> impl Iterator<Item = &Address> {
    nodes.iter().filter_map(|node| node.broker_listener.as_ref())
}

/// Says where clients find the cluster and where its data are.
fn announce(nodes: &[NodeOptions], streams: &mut Streams<'_>) -> io::Result<()> {
    for node in nodes {
        let (role, address) = match (&node.broker_listener, node.controller_listener()) {
            (Some(address), _) => ("broker", address),
            (None, Some(address)) => ("controller", address),
            (None, None) => unreachable!("a node has a role"),
        };
        writeln!(streams.out, "{role} {}: {}:{}, data in {}", node.id, address.host, address.port, node.log_dir)?;
    }
    let servers: Vec<_> = listeners(nodes).map(|address| format!("{HOST}:{}", address.port)).collect();
    writeln!(streams.out, "ready: bootstrap.servers={}; ctrl-c stops", servers.join(","))?;
    streams.out.flush()
}
