//! `ktrial bugs`: what can be planted, and how long it takes to find it.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::args::{BugsArgs, BugsCommand, HuntArgs};
use super::{Streams, output, shrink, swarm};
use crate::base::bugs::Bug;
use crate::campaign::hunt::{self, Quarry};
use crate::campaign::pool::Pool;
use crate::campaign::shrink::Shrinker;
use crate::report::files;
use crate::report::text::seconds;
use crate::report::verdict::SCHEMA_VERSION;
use crate::scenario::random;

pub(super) fn bugs(args: &BugsArgs, streams: &mut Streams<'_>) -> io::Result<u8> {
    match &args.command {
        BugsCommand::List(list) => self::list(list.json, streams),
        BugsCommand::Hunt(args) => hunt(args, streams),
    }
}

fn list(as_json: bool, streams: &mut Streams<'_>) -> io::Result<u8> {
    if as_json {
        let bugs: Vec<_> = Bug::ALL
            .iter()
            .map(|bug| json!({"name": bug.name(), "source": bug.source(), "story": bug.story()}))
            .collect();
        return output::document(streams, &json!({"schema_version": SCHEMA_VERSION, "bugs": bugs})).map(|()| 0);
    }
    for bug in Bug::ALL {
        writeln!(streams.out, "{}  ({})", bug.name(), bug.source())?;
        for line in wrap(bug.story(), 96) {
            writeln!(streams.out, "    {line}")?;
        }
    }
    Ok(0)
}

/// Breaks a text into lines of at most `width` characters.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut().filter(|line| line.chars().count() + 1 + word.chars().count() <= width) {
            Some(line) => {
                line.push(' ');
                line.push_str(word);
            }
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Plants each bug, looks for it and shrinks what was found. A bug that is not found ends with 1.
fn hunt(args: &HuntArgs, streams: &mut Streams<'_>) -> io::Result<u8> {
    let launch = match swarm::launch() {
        Ok(launch) => launch,
        Err(complaint) => return output::refuse(streams, &format!("ktrial: {complaint}")),
    };
    let mut pool = Pool::new(&launch, &swarm::limits(args.jobs, 120));
    let patience = Duration::from_secs_f64(args.minutes * 60.0);
    let bugs = if args.names.is_empty() { Bug::ALL } else { &args.names };
    std::fs::create_dir_all(&args.out)?;
    let (mut rows, mut missed) = (Vec::new(), false);
    for bug in bugs {
        let quarry = hunt::hunt(&mut pool, *bug, patience).map_err(io::Error::other)?;
        missed |= !quarry.found();
        let row = pursue(&mut pool, &quarry, patience, &args.out)?;
        if !args.json {
            streams.out.write_all(line(&row).as_bytes())?;
            streams.out.flush()?;
        }
        rows.push(row);
    }
    if args.json {
        output::document(streams, &json!({"schema_version": SCHEMA_VERSION, "bugs": rows}))?;
    }
    Ok(u8::from(missed))
}

/// Keeps the quickest catch, shrinks it, and makes the row of the report.
fn pursue(pool: &mut Pool, quarry: &Quarry, patience: Duration, out: &Path) -> io::Result<Value> {
    let bug = quarry.bug;
    let mut row = json!({
        "name": bug.name(), "source": bug.source(), "found": quarry.found(), "property": null,
        "seeds_median": quarry.median(|c| c.seeds), "shrunk_faults": null, "capsule": null,
        "cpu_seconds_median": quarry.median(|c| c.cpu_ms).map(|ms| ms as f64 / 1_000.0),
    });
    let Some(catch) = quarry.quickest() else { return Ok(row) };
    let path = out.join(format!("{}.json", bug.name()));
    files::write_text(&path, &catch.capsule.to_json())?;
    row["property"] = json!(catch.property);
    row["capsule"] = json!(path.display().to_string());
    let mut shrinker = Shrinker::new(pool, &catch.capsule, Some(Instant::now() + patience));
    match shrinker.smallest(&catch.capsule, |_, _| {}) {
        Ok(scenario) => {
            let file = shrink::beside(&path);
            shrink::write(&file, &scenario)?;
            row["shrunk_faults"] = json!(random::harmful(&scenario));
            row["shrunk"] = json!(file.display().to_string());
        }
        Err(error) => row["not_shrunk"] = json!(error),
    }
    Ok(row)
}

/// A row as a line of text.
fn line(row: &Value) -> String {
    let name = row["name"].as_str().unwrap_or_default();
    let Some(seeds) = row["seeds_median"].as_u64() else { return format!("{name:<32} not found\n") };
    let property = row["property"].as_str().unwrap_or("?");
    let cpu = seconds((row["cpu_seconds_median"].as_f64().unwrap_or(0.0) * 1_000.0) as u64);
    let faults = row["shrunk_faults"].as_u64().map_or("not shrunk".into(), |n| format!("shrinks to {n} faults"));
    format!("{name:<32} {property:<12} {seeds:>6} seeds {cpu:>9} of processor time, {faults}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_wrapped_between_words() {
        assert_eq!(wrap("a bb  ccc\n dddd", 6), ["a bb", "ccc", "dddd"]);
        assert_eq!(wrap("", 6), Vec::<String>::new());
    }

    #[test]
    fn a_bug_that_was_not_found_is_told_so() {
        assert_eq!(line(&json!({"name": "x", "seeds_median": null})), format!("{:<32} not found\n", "x"));
        let found = json!({"name": "x", "seeds_median": 3, "property": "ACK", "cpu_seconds_median": 1.5,
                           "shrunk_faults": 2});
        assert!(line(&found).ends_with("ACK               3 seeds     1.5 s of processor time, shrinks to 2 faults\n"));
    }
}
