//! `ktrial replay`: runs a failure again from its capsule and says whether it is the recorded one.

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::thread;

use serde_json::json;

use super::args::ReplayArgs;
use super::{Parts, Streams, output};
use crate::io::sim::{EventKind, Recording};
use crate::report::text::{Style, render};
use crate::report::verdict::SCHEMA_VERSION;
use crate::report::{Outcome, Verdict};
use crate::scenario::Millis;
use crate::trial::capsule::{Capsule, Match, SOURCE};
use crate::trial::{self, RunOptions};

/// Nanoseconds in a millisecond.
const MS: i128 = 1_000_000;

pub(super) fn replay(args: &ReplayArgs, parts: &Parts, streams: &mut Streams<'_>) -> io::Result<u8> {
    let (capsule, window) = match read(&args.capsule).and_then(|capsule| Ok((capsule, window(args)?))) {
        Ok(both) => both,
        Err(complaint) => return output::refuse(streams, &complaint),
    };
    let options = RunOptions {
        plant: capsule.bugs().unwrap_or_default(),
        step_limit: capsule.step_limit,
        reproduce: format!("ktrial replay {}", output::quoted(&args.capsule.display().to_string())),
        ..RunOptions::default()
    };
    let (verdict, recording) = if args.trace {
        let (verdict, recording) = trial::trace(&capsule.scenario, capsule.seeds.world, &options);
        (verdict, Some(recording))
    } else {
        (alone(&capsule, &options, parts), None)
    };
    let compared = capsule.compare(&verdict);
    if args.json {
        output::document(streams, &document(&capsule, &verdict, compared))?;
        return Ok(exit_code(&verdict, compared));
    }
    if let Some(recording) = recording {
        tell(args, window, &verdict, &recording, streams.out)?;
    }
    streams.out.write_all(render(&verdict, &Style { colour: streams.colour, ..Style::default() }).as_bytes())?;
    streams.out.write_all(conclusion(&capsule, &verdict, compared).as_bytes())?;
    Ok(exit_code(&verdict, compared))
}

/// Reads a capsule file.
///
/// # Errors
/// What is wrong with it, in words.
pub(super) fn read(path: &Path) -> Result<Capsule, String> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{file}: cannot be read: {error}"))?;
    Capsule::parse(&file, &text)
}

/// The times that the trace shows, both included, in milliseconds.
fn window(args: &ReplayArgs) -> Result<(i128, i128), String> {
    let parse = |name: &str, text: &Option<String>| match text {
        None => Ok(None),
        Some(text) => text.parse::<Millis>().map(|t| Some(i128::from(t.0))).map_err(|e| format!("ktrial: {name} {e}")),
    };
    Ok((parse("--from", &args.from)?.unwrap_or(i128::MIN), parse("--to", &args.to)?.unwrap_or(i128::MAX)))
}

/// A run wants a thread of its own.
fn alone(capsule: &Capsule, options: &RunOptions, parts: &Parts) -> Verdict {
    let run = || (parts.runner)(&capsule.scenario, capsule.seeds.world, options);
    match thread::scope(|scope| scope.spawn(run).join()) {
        Ok(verdict) => verdict,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// A run that is not the recorded one is not deterministic; else the verdict decides, as in `run`.
fn exit_code(verdict: &Verdict, compared: Match) -> u8 {
    match compared {
        Match::Different => Outcome::Nondeterministic.exit_code(),
        _ => verdict.outcome.exit_code(),
    }
}

fn conclusion(capsule: &Capsule, verdict: &Verdict, compared: Match) -> String {
    match compared {
        Match::Same => format!("  replay  SAME: the digest is the recorded one, {}\n", verdict.digest),
        Match::Different => format!(
            "  replay  DIFFERENT: the digest is {}, recorded was {}: the run is not deterministic\n",
            verdict.digest, capsule.digest
        ),
        Match::NotComparable(broke) => {
            let outcome = if broke { "breaks again" } else { "does not break" };
            let source = &capsule.source;
            let property = &capsule.property;
            format!("  replay  digest not comparable: recorded on {source}, this is {SOURCE}; {property} {outcome}\n")
        }
    }
}

fn document(capsule: &Capsule, verdict: &Verdict, compared: Match) -> serde_json::Value {
    let digest = match compared {
        Match::Same => "same",
        Match::Different => "different",
        Match::NotComparable(_) => "not comparable",
    };
    json!({
        "schema_version": SCHEMA_VERSION, "digest": digest, "recorded": capsule.digest, "property": capsule.property,
        "reproduced": !matches!(compared, Match::Different | Match::NotComparable(false)), "source": SOURCE,
        "recorded_source": capsule.source, "verdict": verdict,
    })
}

/// Prints what happened, event by event, with the trial's own timeline between.
fn tell(
    args: &ReplayArgs,
    window: (i128, i128),
    verdict: &Verdict,
    recording: &Recording,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut out = BufWriter::new(out);
    let node = args.node.as_deref().map(host_name);
    let shown = |ns: i128| window.0 <= ns.div_euclid(MS) && ns.div_euclid(MS) <= window.1;
    let mut timeline = verdict.events.iter().peekable();
    for event in &recording.events {
        let at = i128::from(event.time_ns) - i128::from(recording.origin_ns);
        while let Some(told) = timeline.next_if(|e| i128::from(e.at_ms) * MS <= at) {
            if shown(i128::from(told.at_ms) * MS) {
                writeln!(out, "{:>16}  == {}: {}", stamp(i128::from(told.at_ms) * MS), told.kind, told.text)?;
            }
        }
        let host = recording.host(event);
        if event.kind != EventKind::Draw && shown(at) && node.as_deref().is_none_or(|node| node == host) {
            let (words, seq, hash) = (event.kind.words(), event.seq, event.hash);
            writeln!(out, "{:>16}  #{seq} {words} {host} ({hash:016x})", stamp(at))?;
        }
    }
    out.flush()
}

/// Brokers may be named by their number alone.
fn host_name(node: &str) -> String {
    if node.bytes().all(|b| b.is_ascii_digit()) { format!("broker-{node}") } else { node.to_owned() }
}

/// Seconds with all digits; what came before time zero is negative.
fn stamp(ns: i128) -> String {
    let sign = if ns < 0 { "-" } else { "" };
    format!("{sign}{}.{:09} s", ns.unsigned_abs() / 1_000_000_000, ns.unsigned_abs() % 1_000_000_000)
}
