//! The JSON that a person writes: its keys, its meaning, and why a file is refused.
//!
//! [`keys`] holds one table for each object of a file; the reader, the nearest-key hints and the JSON Schema all come
//! from these tables. [`model`] is the explicit scenario that a run takes and a capsule keeps. Nothing here runs
//! anything or knows a simulated world.

pub mod apis;
pub mod budget;
pub mod config;
mod json;
pub mod keys;
pub mod model;
mod problem;
pub mod random;
mod read;
pub mod schema;
pub mod shape;
mod topic;
pub mod units;
mod validate;
mod validate_expect;
mod validate_faults;
mod validate_groups;
mod validate_lives;
mod validate_operations;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_controllers;
#[cfg(test)]
mod tests_moves;

pub use json::Position;
pub use model::Scenario;
pub use problem::{Problem, Refusal};
pub use units::{Between, Millis};
pub use validate::{Nonsense, validate};

/// Reads a scenario from its text; `file` is only the name that complaints bear.
///
/// # Errors
/// Everything that is wrong with it, each with line and column: first its syntax, then keys and types, then meaning.
pub fn parse(file: &str, text: &str) -> Result<Scenario, Refusal> {
    let refuse = |problems| Refusal::new(file, problems);
    let node = json::parse(text).map_err(|e| refuse(vec![Problem { at: e.at, text: e.text }]))?;
    let problems = read::problems(&node, &keys::SCENARIO);
    if !problems.is_empty() {
        return Err(refuse(problems));
    }
    // The tables let through only what the model takes; a difference is named rather than trusted away.
    let scenario: Scenario = serde_json::from_value(node.plain())
        .map_err(|error| refuse(vec![Problem { at: node.at, text: error.to_string() }]))?;
    let nonsense = validate(&scenario);
    if nonsense.is_empty() {
        return Ok(scenario);
    }
    Err(refuse(nonsense.into_iter().map(|n| Problem { at: node.locate(&n.path), text: n.text }).collect()))
}
