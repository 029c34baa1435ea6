//! `ktrial swarm`: a campaign of drawn scenarios, with a live progress line and a summary.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io;
use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::args::SwarmArgs;
use super::{Streams, WRONG, output};
use crate::campaign::job::{Job, Record};
use crate::campaign::ledger::{self, Campaign, Found, Ledger};
use crate::campaign::pool::{Launch, Limits, Pool};
use crate::campaign::shard::Shard;
use crate::campaign::summary::{self, Summary};
use crate::report::files;
use crate::report::text::count;
use crate::scenario::{config, random};
use crate::trial::capsule::SOURCE;

/// How many seeds are run if nobody says.
const SEEDS: u64 = 100;
/// Of the seeds that failed alike, how many are named.
const NAMED: usize = 10;
/// Columns of the first line of evidence.
const EVIDENCE: usize = 88;

pub(super) fn swarm(args: &SwarmArgs, streams: &mut Streams<'_>) -> io::Result<u8> {
    if !args.merge.is_empty() {
        return match ledger::merge(&args.merge) {
            Ok((campaign, found)) => conclude(args, &campaign, &summary::sum(&found), streams),
            Err(complaint) => output::refuse(streams, &format!("ktrial: {complaint}")),
        };
    }
    match Plan::of(args) {
        Ok(plan) => plan.run(args, streams),
        Err(complaint) => output::refuse(streams, &format!("ktrial: {complaint}")),
    }
}

/// How workers are started: this very program, by its hidden subcommand.
pub(super) fn launch() -> Result<Launch, String> {
    let program =
        std::env::current_exe().map_err(|error| format!("the own program is nowhere to be found: {error}"))?;
    Ok(Launch(vec![program.display().to_string(), "worker".to_owned()]))
}

/// The limits of a pool as the command line asks for them.
pub(super) fn limits(jobs: Option<u16>, patience_s: u64) -> Limits {
    let width = jobs.map_or_else(super::run::processors, usize::from);
    Limits { patience: Duration::from_secs(patience_s), ..Limits::new(width) }
}

/// What is to be done.
struct Plan {
    campaign: Campaign,
    seeds: Range<u64>,
    shard: Shard,
    from: Option<&'static str>,
    out: PathBuf,
    deadline: Option<Instant>,
}

impl Plan {
    fn of(args: &SwarmArgs) -> Result<Self, String> {
        let profile = random::profile(&args.profile)?;
        for (key, value) in &args.config {
            config::BROKER.verify(key, value).map_err(|error| format!("--config {key}={value}: {error}"))?;
        }
        let environment = |name: &str| std::env::var(name).ok();
        let (shard, from) = match &args.shard {
            Some(text) => (Shard::parse(text, environment)?, None),
            None => Shard::from_environment(environment)?,
        };
        let seeds = match (&args.seeds, args.minutes) {
            (Some(seeds), _) => seeds.clone(),
            (None, Some(_)) => 0..u64::MAX,
            (None, None) => 0..SEEDS,
        };
        let name = match seeds.end {
            u64::MAX => format!("swarm-{}", profile.name),
            end => format!("swarm-{}-{}..{end}", profile.name, seeds.start),
        };
        let campaign = Campaign {
            profile: profile.name.to_owned(),
            config: args.config.clone(),
            plant: args.plant.iter().map(|bug| bug.name().to_owned()).collect(),
            source: SOURCE.to_owned(),
        };
        let out = args.out.clone().unwrap_or_else(|| Path::new("reports").join(name));
        let deadline = args.minutes.map(|m| Instant::now() + Duration::from_secs_f64(m * 60.0));
        Ok(Self { campaign, seeds, shard, from, out, deadline })
    }

    fn run(&self, args: &SwarmArgs, streams: &mut Streams<'_>) -> io::Result<u8> {
        let opened = launch().and_then(|launch| Ok((launch, Ledger::open(&self.out, &self.campaign, self.shard)?)));
        let (launch, (mut ledger, earlier)) = match opened {
            Ok(opened) => opened,
            Err(complaint) => return output::refuse(streams, &format!("ktrial: {complaint}")),
        };
        if let Some(variable) = self.from {
            writeln!(streams.err, "shard {} of {}, as {variable} says", self.shard.index, self.shard.of)?;
        }
        let ours = |seed: &u64| self.shard.holds(*seed) && self.seeds.contains(seed);
        let done: BTreeSet<u64> = earlier.iter().map(|r| r.seed).filter(ours).collect();
        let mut tally = Tally::new(self, &done);
        for record in earlier.into_iter().filter(|r| ours(&r.seed)) {
            tally.found.push(Found::new(record, &self.out, self.shard));
        }
        if args.keep_going || tally.failures() == 0 {
            let left = self.seeds.clone().filter(|seed| self.shard.holds(*seed) && !done.contains(seed));
            let jobs = left.map(|seed| self.campaign.job(seed)).take_while(|_| self.in_time());
            let mut pool = Pool::new(&launch, &limits(args.jobs, args.seed_timeout));
            pool.run(jobs, |job, record| tally.take(job, record, &mut ledger, args.keep_going))?;
        }
        let summary = tally.finish();
        let text = serde_json::to_string_pretty(&summary)?;
        files::write_text(&self.out.join(self.summary_name()), &(text + "\n"))?;
        conclude(args, &self.campaign, &summary, streams)
    }

    fn in_time(&self) -> bool {
        self.deadline.is_none_or(|deadline| Instant::now() < deadline)
    }

    fn summary_name(&self) -> String {
        match self.shard {
            Shard::ALL => "summary.json".into(),
            Shard { index, of } => format!("summary-{index}-of-{of}.json"),
        }
    }
}

/// The results as they come in.
struct Tally<'a> {
    plan: &'a Plan,
    found: Vec<Found>,
    fresh: u64,
    started: Instant,
    bar: ProgressBar,
}

impl<'a> Tally<'a> {
    fn new(plan: &'a Plan, done: &BTreeSet<u64>) -> Self {
        let shared = (plan.seeds.end - plan.seeds.start) / plan.shard.of;
        let length = (plan.seeds.end < u64::MAX).then_some(shared);
        let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr());
        let left = if length.is_some() { " left {eta}" } else { "" };
        let style = ProgressStyle::with_template(&format!("{{bar:20}} {{pos}}/{{len}} seeds, {{msg}}{left}"));
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_position(done.len() as u64);
        bar.reset_eta();
        Self { plan, found: Vec::new(), fresh: 0, started: Instant::now(), bar }
    }

    fn failures(&self) -> usize {
        self.found.iter().filter(|f| f.record.failure.is_some()).count()
    }

    /// Keeps a result. The capsule is written before the result is: whoever dies between the two runs the seed again.
    fn take(
        &mut self,
        job: &Job,
        record: Record,
        ledger: &mut Ledger,
        keep_going: bool,
    ) -> io::Result<ControlFlow<()>> {
        let failed = record.failure.is_some();
        if failed && self.is_fastest(&record) {
            let capsule = record.capsule(job).map_err(io::Error::other)?;
            capsule.map_or(Ok(()), |capsule| ledger.keep(&capsule))?;
        }
        ledger.append(&record)?;
        self.found.push(Found::new(record, &self.plan.out, self.plan.shard));
        self.fresh += 1;
        let hours = self.found.iter().map(|f| f.record.simulated_ms).sum::<u64>() as f64 / 3_600_000.0;
        let (rate, failures) = (self.rate(), self.failures());
        self.bar.set_message(format!("{rate:.0}/min, {hours:.1} h simulated, {failures} failed,"));
        self.bar.inc(1);
        Ok(if failed && !keep_going { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    /// True if no earlier seed failed alike in less simulated time.
    fn is_fastest(&self, record: &Record) -> bool {
        let Some(failure) = &record.failure else { return false };
        let signature = failure.signature();
        let alike = self.found.iter().filter_map(|f| f.record.failure.as_ref().map(|e| (f.record.seed, e)));
        !alike
            .filter(|(_, other)| other.signature() == signature)
            .any(|(seed, other)| summary::faster((other.at_ms, seed), (failure.at_ms, record.seed)))
    }

    fn rate(&self) -> f64 {
        self.fresh as f64 * 60.0 / self.started.elapsed().as_secs_f64().max(0.001)
    }

    fn finish(mut self) -> Summary {
        self.bar.finish_and_clear();
        self.found.sort_by_key(|f| f.record.seed);
        Summary { seeds_per_minute: self.rate(), ..summary::sum(&self.found) }
    }
}

fn conclude(args: &SwarmArgs, campaign: &Campaign, summary: &Summary, streams: &mut Streams<'_>) -> io::Result<u8> {
    if args.json {
        output::document(streams, &serde_json::to_value(summary)?)?;
    } else {
        streams.out.write_all(render(&campaign.profile, summary).as_bytes())?;
    }
    Ok(if summary.seeds == 0 { WRONG } else { summary.gravest().exit_code() })
}

/// The summary as text that ends with a newline.
fn render(profile: &str, s: &Summary) -> String {
    let mut out = String::new();
    let rate = if s.seeds_per_minute > 0.0 { format!("{:.0} seeds/min, ", s.seeds_per_minute) } else { String::new() };
    let (seeds, passed, hours) = (count(s.seeds), count(s.passed), s.simulated_hours);
    let _ = writeln!(out, "{profile}  {passed} of {seeds} seeds passed   {rate}{hours:.2} h simulated");
    let m = s.median;
    let _ = writeln!(
        out,
        "  median seed  {} brokers, {} partitions, {} faults, {} acked/s, {} messages",
        m.brokers,
        m.partitions,
        m.faults,
        m.acked_per_second,
        count(s.messages_per_seed_median)
    );
    let mib = s.peak_rss_bytes as f64 / f64::from(1 << 20);
    let _ = writeln!(out, "  {} permitted losses; at most {mib:.1} MiB for a worker", s.permitted_losses);
    for group in &s.failures {
        let _ = writeln!(out, "  {} x {}", group.seeds.len(), clip(&group.signature));
        let named: Vec<_> = group.seeds.iter().take(NAMED).map(u64::to_string).collect();
        let more = if group.seeds.len() > NAMED { ", ..." } else { "" };
        let _ = writeln!(out, "      seeds {}{more}", named.join(", "));
        let _ = writeln!(out, "      {}", clip(group.evidence.lines().next().unwrap_or_default()));
        let _ = writeln!(out, "      {}", group.reproduce);
    }
    for mark in &s.marks {
        let _ = writeln!(out, "  reached  {:<34} {} times in {} seeds", mark.name, count(mark.hits), mark.seeds);
    }
    for name in &s.never_reached {
        let _ = writeln!(out, "  never    {name}");
    }
    out
}

fn clip(text: &str) -> String {
    if text.chars().count() <= EVIDENCE {
        return text.to_owned();
    }
    text.chars().take(EVIDENCE - 3).collect::<String>() + "..."
}
