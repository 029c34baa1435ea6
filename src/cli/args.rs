//! The grammar of the command line.

use std::ops::Range;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};

use crate::base::bugs::Bug;

/// Puts a complete Kafka-like broker cluster on trial in a simulated world.
#[derive(Debug, Parser)]
#[command(
    name = "ktrial",
    version,
    max_term_width = 100,
    after_help = "Example: ktrial run scenarios/cluster/worker-dies.json --seed 42"
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run scenarios (files or folders) and print a verdict for each
    #[command(
        after_help = "Examples:\n  ktrial run scenarios/cluster/worker-dies.json --seed 42\n  ktrial run scenarios --seeds 0..100 --jobs 2\n\nExit codes: 0 all as expected; 1 a property was violated or an expectation failed; 2 wrong command\nline or scenario; 3 not live; 4 the broker panicked; 5 not deterministic. The gravest wins."
    )]
    Run(RunArgs),
    /// Validate scenario files (or folders) without running them
    #[command(after_help = "Example: ktrial check scenarios/cluster/worker-dies.json")]
    Check(CheckArgs),
    /// Run random clusters, workloads and faults from seeds, and group what fails
    #[command(
        after_help = "Examples:\n  ktrial swarm --seeds 1000 --keep-going\n  ktrial swarm --profile replication --minutes 5 --jobs 2\n  ktrial swarm --seeds 20000 --shard 2/4 --out reports/night\n  ktrial swarm --merge reports/night-1 reports/night-2\n\nA campaign that was interrupted goes on where it was, if it is given the same --out. Array jobs of\nSlurm tell their shard themselves; elsewhere set JOB_COMPLETIONS beside Kubernetes' index, or\nSTRATEGY_JOB_INDEX and STRATEGY_JOB_TOTAL in a workflow's matrix.\n\nExit codes: as of run; the gravest failure wins, in the order 5, 4, 1, 3."
    )]
    Swarm(SwarmArgs),
    /// Play jobs from the standard input: what campaigns start
    #[command(hide = true)]
    Worker,
    /// Run a failure again from its capsule, bit for bit
    #[command(
        after_help = "Examples:\n  ktrial replay reports/worker-dies-42/capsule.json\n  ktrial replay capsule.json --trace --node 2 --from 10s --to 12s\n\nExit codes: as of run; 5 if the digest is not the recorded one on the same source."
    )]
    Replay(ReplayArgs),
    /// Find the smallest scenario that breaks the same property as a capsule
    #[command(
        after_help = "Example: ktrial shrink reports/swarm-everything-0..100/capsules/ack-0a1b2c3d.json --minutes 2"
    )]
    Shrink(ShrinkArgs),
    /// The bug zoo: list what can be planted, or hunt it
    #[command(after_help = "Examples:\n  ktrial bugs list\n  ktrial bugs hunt ack-before-isr --minutes 2")]
    Bugs(BugsArgs),
    /// Run a scenario twice under one seed and name the first event that differs, if any
    #[command(after_help = "Example: ktrial diverge scenarios/cluster/worker-dies.json --seed 42")]
    Diverge(DivergeArgs),
    /// Print the JSON Schema of scenario files, for editors
    #[command(after_help = "Example: ktrial schema > scenario.schema.json")]
    Schema(SchemaArgs),
    /// Run a real cluster for real Kafka clients (real build only)
    #[command(after_help = "Example: ktrial serve --brokers 3 --port 9092 --data /tmp/ktrial")]
    Serve(ServeArgs),
}

/// Options of `run`.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// Scenario files, or folders with scenario files in them
    #[arg(required = true, value_name = "SCENARIO")]
    pub scenarios: Vec<PathBuf>,
    /// The seed [default: a random one, which is printed]
    #[arg(long, value_name = "N", conflicts_with = "seeds")]
    pub seed: Option<u64>,
    /// Every seed from A up to but not including B
    #[arg(long, value_name = "A..B", value_parser = seed_range)]
    pub seeds: Option<Range<u64>>,
    /// How many runs at a time [default: as many as processors]
    #[arg(long, value_name = "J", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub jobs: Option<u16>,
    /// Where runs leave their files [default: reports/<scenario>-<seed>]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Broker configuration that wins over the scenario's; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = config_entry)]
    pub config: Vec<(String, String)>,
    /// A bug to plant in the broker (`?` lists them); may be repeated
    #[arg(long, value_name = "BUG", value_parser = bug_parser(), hide_possible_values = true)]
    pub plant: Vec<Bug>,
    /// Run everything twice and compare
    #[arg(long)]
    pub check_determinism: bool,
    /// Show all events, all expectations and all verdicts
    #[arg(long)]
    pub verbose: bool,
    /// Print one JSON document and nothing else
    #[arg(long)]
    pub json: bool,
}

/// Options of `check`.
#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    /// Scenario files, or folders with scenario files in them
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Print one JSON document and nothing else
    #[arg(long)]
    pub json: bool,
}

/// Options of `swarm`.
#[derive(Clone, Debug, Args)]
pub struct SwarmArgs {
    /// calm|network|disk|clock|control-plane|replication|groups|everything
    #[arg(long, value_name = "NAME", default_value = "everything", hide_default_value = true)]
    pub profile: String,
    /// The first N seeds, or those from A up to but without B [default: 100]
    #[arg(long, value_name = "N|A..B", value_parser = seed_count)]
    pub seeds: Option<Range<u64>>,
    /// Stop after so many minutes, and without --seeds only then
    #[arg(long, value_name = "M", value_parser = minutes)]
    pub minutes: Option<f64>,
    /// How many worker processes [default: as many as processors]
    #[arg(long, value_name = "J", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub jobs: Option<u16>,
    /// Part I of N of the seeds; /N takes I from the array job that this is
    #[arg(long, value_name = "I/N")]
    pub shard: Option<String>,
    /// The folder of the campaign [default: reports/swarm-<profile>-<seeds>]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Broker configuration that wins over the drawn one; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = config_entry)]
    pub config: Vec<(String, String)>,
    /// A bug to plant in the broker (`?` lists them); may be repeated
    #[arg(long, value_name = "BUG", value_parser = bug_parser(), hide_possible_values = true)]
    pub plant: Vec<Bug>,
    /// Go on after the first failure
    #[arg(long)]
    pub keep_going: bool,
    /// Seconds of real time after which a seed counts as hung
    #[arg(long, value_name = "S", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub seed_timeout: u64,
    /// Run nothing: sum up what shards left in these folders
    #[arg(long, value_name = "DIR", num_args = 1.., conflicts_with_all = ["seeds", "minutes", "shard", "out"])]
    pub merge: Vec<PathBuf>,
    /// Print one JSON document and nothing else
    #[arg(long)]
    pub json: bool,
}

/// Options of `replay`.
#[derive(Clone, Debug, Args)]
pub struct ReplayArgs {
    /// The capsule that a failing run left
    #[arg(value_name = "CAPSULE")]
    pub capsule: PathBuf,
    /// Print everything that happens in the world
    #[arg(long)]
    pub trace: bool,
    /// Of the trace, what happens on this node: a broker's number, or a host's name
    #[arg(long, value_name = "N", requires = "trace")]
    pub node: Option<String>,
    /// Of the trace, what happens from this time of the scenario on, like 10s
    #[arg(long, value_name = "T", requires = "trace")]
    pub from: Option<String>,
    /// Of the trace, what happens up to this time of the scenario, like 12s
    #[arg(long, value_name = "T", requires = "trace")]
    pub to: Option<String>,
    /// Print one JSON document and nothing else
    #[arg(long)]
    pub json: bool,
}

/// Options of `shrink`.
#[derive(Clone, Debug, Args)]
pub struct ShrinkArgs {
    /// The capsule that a failing run left
    #[arg(value_name = "CAPSULE")]
    pub capsule: PathBuf,
    /// How long to look for something smaller
    #[arg(long, value_name = "M", default_value = "5", value_parser = minutes)]
    pub minutes: f64,
    /// How many worker processes [default: as many as processors]
    #[arg(long, value_name = "J", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub jobs: Option<u16>,
    /// Seconds of real time after which a run counts as hung
    #[arg(long, value_name = "S", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub seed_timeout: u64,
    /// The scenario file to write [default: beside the capsule, as .shrunk.json]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Print one JSON document and nothing else
    #[arg(long)]
    pub json: bool,
}

/// Options of `bugs`.
#[derive(Clone, Debug, Args)]
pub struct BugsArgs {
    /// What to do with them.
    #[command(subcommand)]
    pub command: BugsCommand,
}

/// The subcommands of `bugs`.
#[derive(Clone, Debug, Subcommand)]
pub enum BugsCommand {
    /// Name every bug with its story and its source
    #[command(after_help = "Example: ktrial bugs list")]
    List(ListArgs),
    /// Plant each bug, run the profile `everything` until a property breaks, and shrink what broke
    #[command(
        after_help = "Example: ktrial bugs hunt ack-before-isr volatile-vote --minutes 2\n\nExit codes: 0 all found; 1 one was not."
    )]
    Hunt(HuntArgs),
}

/// Options of `bugs list`.
#[derive(Clone, Debug, Args)]
pub struct ListArgs {
    /// Print one JSON document and nothing else
    #[arg(long)]
    pub json: bool,
}

/// Options of `bugs hunt`.
#[derive(Clone, Debug, Args)]
pub struct HuntArgs {
    /// The bugs to hunt [default: all]
    #[arg(value_name = "NAME", value_parser = bug_parser(), hide_possible_values = true)]
    pub names: Vec<Bug>,
    /// Minutes for each bug and starting seed, and again for shrinking
    #[arg(long, value_name = "M", default_value = "2", value_parser = minutes)]
    pub minutes: f64,
    /// How many worker processes [default: as many as processors]
    #[arg(long, value_name = "J", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub jobs: Option<u16>,
    /// Where capsules and shrunk scenarios go
    #[arg(long, value_name = "DIR", default_value = "reports/hunt")]
    pub out: PathBuf,
    /// Print one JSON document and nothing else
    #[arg(long)]
    pub json: bool,
}

/// Options of `diverge`.
#[derive(Clone, Debug, Args)]
pub struct DivergeArgs {
    /// The scenario file
    #[arg(value_name = "SCENARIO")]
    pub scenario: PathBuf,
    /// The seed
    #[arg(long, value_name = "N")]
    pub seed: u64,
    /// Print one JSON document and nothing else
    #[arg(long)]
    pub json: bool,
}

/// Options of `schema`.
#[derive(Clone, Debug, Args)]
pub struct SchemaArgs {
    /// Accepted for symmetry: the schema is JSON in any case
    #[arg(long)]
    pub json: bool,
}

/// Options of `serve`.
#[derive(Clone, Debug, Args)]
pub struct ServeArgs {
    /// How many brokers
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub brokers: u16,
    /// Nodes that are controllers alone; with 0, brokers vote
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=9))]
    pub controllers: u16,
    /// The first broker's port for clients; the others follow
    #[arg(long, value_name = "P", default_value_t = 9092, value_parser = clap::value_parser!(u16).range(1..=64_436))]
    pub port: u16,
    /// Where the nodes keep their logs [default: a fresh temporary directory]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Configuration of every node, under Kafka's keys; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = config_entry)]
    pub config: Vec<(String, String)>,
}

fn seed_range(text: &str) -> Result<Range<u64>, String> {
    let wrong = || format!("{text:?} is not a range; write A..B with whole numbers, like 0..20 for 0 to 19");
    let (from, to) = text.split_once("..").ok_or_else(wrong)?;
    let range = from.parse().map_err(|_| wrong())?..to.parse().map_err(|_| wrong())?;
    if range.is_empty() { Err(format!("the range {text} holds no seed")) } else { Ok(range) }
}

fn seed_count(text: &str) -> Result<Range<u64>, String> {
    match text.parse::<u64>() {
        Ok(0) => Err("no seeds at all".to_owned()),
        Ok(n) => Ok(0..n),
        Err(_) => seed_range(text),
    }
}

fn minutes(text: &str) -> Result<f64, String> {
    let minutes = text.parse::<f64>().ok().filter(|m| *m > 0.0 && *m <= 100_000.0);
    minutes.ok_or_else(|| format!("{text:?} is not a number of minutes, like 5 or 0.5"))
}

fn config_entry(text: &str) -> Result<(String, String), String> {
    let entry = text.split_once('=').filter(|(key, _)| !key.is_empty());
    entry
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .ok_or_else(|| format!("{text:?} is not KEY=VALUE, like min.insync.replicas=2"))
}

/// Takes the names of the zoo; clap then offers the nearest one to whoever misspells it.
fn bug_parser() -> impl TypedValueParser<Value = Bug> {
    PossibleValuesParser::new(Bug::ALL.iter().map(|bug| bug.name())).try_map(|name| name.parse::<Bug>())
}
