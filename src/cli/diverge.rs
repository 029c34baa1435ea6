//! `ktrial diverge`: runs one seed twice and names the first event that differs.

use std::io;

use serde_json::json;

use super::args::DivergeArgs;
use super::{Streams, inputs, output};
use crate::report::Outcome;
use crate::report::verdict::SCHEMA_VERSION;
use crate::trial::{self, Divergence};

pub(super) fn diverge(args: &DivergeArgs, streams: &mut Streams<'_>) -> io::Result<u8> {
    let scenario = match inputs::read(&args.scenario) {
        Ok(scenario) => scenario,
        Err(refusal) => return output::refuse(streams, &refusal.to_string()),
    };
    let compared = match trial::diverge(&scenario, args.seed, &[]) {
        Ok(compared) => compared,
        Err(error) => return output::refuse(streams, &error),
    };
    if args.json {
        let difference = compared.divergence.as_ref().map(|d| {
            json!({"event": d.common, "once": d.first, "again": d.second, "before": d.before})
        });
        let document = json!({
            "schema_version": SCHEMA_VERSION, "scenario": scenario.name, "seed": args.seed,
            "same": compared.divergence.is_none(), "events": compared.events, "first_difference": difference,
        });
        output::document(streams, &document)?;
    } else {
        match &compared.divergence {
            None => writeln!(streams.out, "{}  seed {}  SAME   {} events", scenario.name, args.seed, compared.events)?,
            Some(d) => tell(streams, &scenario.name, args.seed, d)?,
        }
    }
    Ok(if compared.divergence.is_none() { 0 } else { Outcome::Nondeterministic.exit_code() })
}

fn tell(streams: &mut Streams<'_>, scenario: &str, seed: u64, d: &Divergence) -> io::Result<()> {
    let out = &mut streams.out;
    writeln!(out, "{scenario}  seed {seed}  DIFFERENT   after {} events in common", d.common)?;
    for line in &d.before {
        writeln!(out, "    both   {line}")?;
    }
    writeln!(out, "    once   {}", d.first)?;
    writeln!(out, "    again  {}", d.second)
}
