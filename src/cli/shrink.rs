//! `ktrial shrink`: from a capsule to the smallest scenario that still breaks the same property.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;

use super::args::ShrinkArgs;
use super::{Streams, WRONG, output, replay, swarm};
use crate::campaign::pool::Pool;
use crate::campaign::shrink::{SEEDS, Shrinker, Shrunk};
use crate::report::files;
use crate::report::verdict::SCHEMA_VERSION;
use crate::scenario::{Scenario, random};
use crate::trial::Capsule;

pub(super) fn shrink(args: &ShrinkArgs, streams: &mut Streams<'_>) -> io::Result<u8> {
    let read = replay::read(&args.capsule).and_then(|capsule| Ok((capsule, swarm::launch()?)));
    let (capsule, launch) = match read {
        Ok(read) => read,
        Err(complaint) => return output::refuse(streams, &complaint),
    };
    let mut pool = Pool::new(&launch, &swarm::limits(args.jobs, args.seed_timeout));
    let deadline = Instant::now() + Duration::from_secs_f64(args.minutes * 60.0);
    let shrinker = Shrinker::new(&mut pool, &capsule, Some(deadline));
    let shrunk = match shrinker.shrink(&capsule, |smaller, runs| tell(args, smaller, runs, streams)) {
        Ok(shrunk) => shrunk,
        Err(complaint) => {
            writeln!(streams.err, "ktrial: {}: {complaint}", args.capsule.display())?;
            return Ok(WRONG);
        }
    };
    let path = args.out.clone().unwrap_or_else(|| beside(&args.capsule));
    write(&path, &shrunk.scenario)?;
    if args.json {
        output::document(streams, &document(&capsule, &shrunk, &path))?;
    } else {
        conclude(&capsule, &shrunk, &path, streams)?;
    }
    Ok(0)
}

/// The scenario file beside a capsule.
pub(super) fn beside(capsule: &Path) -> PathBuf {
    capsule.with_extension("shrunk.json")
}

/// Writes the scenario file.
pub(super) fn write(path: &Path, scenario: &Scenario) -> io::Result<()> {
    files::write_text(path, &(serde_json::to_string_pretty(scenario)? + "\n"))
}

fn size(s: &Scenario) -> String {
    let partitions: u32 = s.topics.iter().map(|t| t.partitions).sum();
    format!(
        "{} faults, {} brokers, {partitions} partitions, {} clients, {} settings, {}",
        random::harmful(s),
        s.cluster.brokers,
        s.clients.len(),
        s.cluster.config.len(),
        s.duration
    )
}

/// What goes on, for whoever watches.
fn tell(args: &ShrinkArgs, smaller: &Scenario, runs: u64, streams: &mut Streams<'_>) {
    if !args.json {
        // A reader that went away needs no news.
        let _ = writeln!(streams.err, "  {runs:>5} runs  {}", size(smaller));
    }
}

fn conclude(capsule: &Capsule, shrunk: &Shrunk, path: &Path, streams: &mut Streams<'_>) -> io::Result<()> {
    let out = &mut streams.out;
    writeln!(out, "{}  from {}", capsule.property, size(&capsule.scenario))?;
    let unfinished = if shrunk.finished { "" } else { "; time was up before the end" };
    writeln!(out, "  to   {}  in {} runs{unfinished}", size(&shrunk.scenario), shrunk.runs)?;
    writeln!(out, "  it fails in {} of {SEEDS} worlds", shrunk.rate)?;
    for (index, count) in &shrunk.without {
        let fault = &shrunk.scenario.faults[*index];
        let what = serde_json::to_string(fault)?;
        writeln!(out, "  without {what} in {count} of {SEEDS}")?;
    }
    let plant: String = capsule.plant.iter().map(|bug| format!(" --plant {bug}")).collect();
    let path = output::quoted(&path.display().to_string());
    writeln!(out, "  ktrial run {path} --seed {}{plant}", shrunk.seed)
}

fn document(capsule: &Capsule, shrunk: &Shrunk, path: &Path) -> serde_json::Value {
    let faults = &shrunk.scenario.faults;
    let essential: Vec<_> =
        shrunk.without.iter().map(|(index, count)| json!({"fault": faults[*index], "fails_without": count})).collect();
    json!({
        "schema_version": SCHEMA_VERSION, "property": capsule.property, "scenario": path.display().to_string(),
        "seed": shrunk.seed, "worlds": SEEDS, "fails_in": shrunk.rate, "faults": essential, "runs": shrunk.runs,
        "finished": shrunk.finished,
    })
}
