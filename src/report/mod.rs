//! What a run is told as: the verdict, its text, its files, and the availability that clients saw.
//!
//! Nothing here runs or judges a cluster; everything is computed from plain values that a trial hands in.

pub mod availability;
pub mod expectations;
pub mod files;
pub mod group_expectations;
mod group_text;
pub mod groups;
mod move_expectations;
pub mod table;
pub mod text;
pub mod verdict;

pub use verdict::{Outcome, Verdict};
