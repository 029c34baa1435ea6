//! `ktrial check`: validates scenario files without running them.

use std::io;

use serde_json::{Value, json};

use super::args::CheckArgs;
use super::{Streams, WRONG, inputs, output};
use crate::report::verdict::SCHEMA_VERSION;
use crate::scenario::{Refusal, Scenario};

pub(super) fn check(args: &CheckArgs, streams: &mut Streams<'_>) -> io::Result<u8> {
    let files = match inputs::expand(&args.files) {
        Ok(files) => files,
        Err(complaint) => return output::refuse(streams, &complaint),
    };
    let mut code = 0;
    let mut documents = Vec::new();
    for path in files {
        let file = path.display().to_string();
        let result = inputs::read(&path);
        if result.is_err() {
            code = WRONG;
        }
        match &result {
            _ if args.json => documents.push(document(&file, &result)),
            Ok(scenario) => writeln!(streams.out, "{file}: {}", describe(scenario))?,
            Err(refusal) => writeln!(streams.err, "{refusal}")?,
        }
    }
    if args.json {
        output::document(streams, &json!({ "schema_version": SCHEMA_VERSION, "files": documents }))?;
    }
    Ok(code)
}

fn describe(scenario: &Scenario) -> String {
    let partitions: u32 = scenario.topics.iter().map(|topic| topic.partitions).sum();
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let parts = [
        count(scenario.cluster.brokers as usize, "broker"),
        count(partitions as usize, "partition"),
        count(scenario.faults.len(), "fault"),
        scenario.duration.to_string(),
    ];
    format!("ok ({})", parts.join(", "))
}

fn document(file: &str, result: &Result<Scenario, Refusal>) -> Value {
    let problems: Vec<Value> = match result {
        Ok(_) => Vec::new(),
        Err(refusal) => {
            let problems = refusal.problems().iter();
            problems.map(|p| json!({ "line": p.at.line, "column": p.at.column, "text": p.text })).collect()
        }
    };
    json!({ "file": file, "ok": result.is_ok(), "problems": problems })
}
