//! Tests of the controller core: situations, and random lives of a cluster against its invariants.

mod admin;
mod brokers;
mod cluster;
mod controllers;
mod elections;
mod isr;
mod lives;
mod purgatory;
mod topics;
