//! Whole-system tests: situations in the simulated world, each told as a short story.
#![cfg(madsim)]

mod administration;
mod bugs_are_found;
mod campaign;
mod controllers;
mod coordinators;
mod coverage;
mod determinism;
mod faults;
mod golden;
mod groups;
mod isolation;
mod leaks;
mod positions;
mod stories;
mod support;
