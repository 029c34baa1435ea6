//! Whole-system tests: situations in the simulated world, each told as a short story.
#![cfg(madsim)]

mod bugs_are_found;
mod campaign;
mod determinism;
mod golden;
mod isolation;
mod leaks;
mod stories;
mod support;
