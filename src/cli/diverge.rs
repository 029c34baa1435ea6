//! `ktrial diverge`: runs one seed twice and names the first event that differs.

use std::io;

use serde_json::json;

use super::args::DivergeArgs;
use super::pool::{self, Job};
use super::{Streams, inputs, output};
use crate::report::text::seconds;
use crate::report::verdict::{Event, SCHEMA_VERSION};
use crate::report::{Outcome, Verdict};
use crate::trial::{RunOptions, Runner};

pub(super) fn diverge(args: &DivergeArgs, runner: Runner, streams: &mut Streams<'_>) -> io::Result<u8> {
    let scenario = match inputs::read(&args.scenario) {
        Ok(scenario) => scenario,
        Err(refusal) => return output::refuse(streams, &refusal.to_string()),
    };
    let options = RunOptions { verbose: true, ..RunOptions::default() };
    let jobs = [(); 2].map(|()| Job { scenario: &scenario, seed: args.seed, options: options.clone() });
    let mut runs = Vec::new();
    // One after the other: two runs at a time would hide what depends on what ran before.
    pool::run(&jobs, 1, runner, |_, verdict| {
        runs.push(verdict);
        Ok::<(), io::Error>(())
    })?;
    let [first, second] = &runs[..] else { unreachable!("two jobs give two verdicts") };
    let same = first.digest == second.digest && first.events == second.events;
    let place = first_difference(first, second);
    if args.json {
        let events = place.map(|i| [first.events.get(i), second.events.get(i)]);
        let document = json!({
            "schema_version": SCHEMA_VERSION, "scenario": scenario.name, "seed": args.seed, "same": same,
            "digests": [first.digest, second.digest], "first_difference": events,
        });
        output::document(streams, &document)?;
    } else {
        tell(streams, first, second, same, place)?;
    }
    Ok(if same { 0 } else { Outcome::Nondeterministic.exit_code() })
}

/// The index of the first event that is not the same in both.
fn first_difference(first: &Verdict, second: &Verdict) -> Option<usize> {
    let longest = first.events.len().max(second.events.len());
    (0..longest).find(|i| first.events.get(*i) != second.events.get(*i))
}

fn tell(streams: &mut Streams<'_>, a: &Verdict, b: &Verdict, same: bool, place: Option<usize>) -> io::Result<()> {
    let out = &mut streams.out;
    let events = a.events.len();
    if same {
        return writeln!(out, "{}  seed {}  SAME   {events} events, digest {}", a.scenario, a.seed, a.digest);
    }
    writeln!(out, "{}  seed {}  DIFFERENT   digests {} and {}", a.scenario, a.seed, a.digest, b.digest)?;
    let Some(i) = place else {
        return writeln!(out, "  all {events} events are the same; what differs lies between them");
    };
    let words = |event: Option<&Event>| {
        event.map_or("nothing more".into(), |e| format!("{}  {}  {}", seconds(e.at_ms), e.kind, e.text))
    };
    writeln!(out, "  first difference at event {i}")?;
    writeln!(out, "    once   {}", words(a.events.get(i)))?;
    writeln!(out, "    again  {}", words(b.events.get(i)))
}
