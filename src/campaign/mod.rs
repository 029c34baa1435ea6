//! Many runs: campaigns over seeds, the search for the smallest failing scenario, the hunt for planted bugs.
//!
//! | module | what it is |
//! |---|---|
//! | [`job`] | what a worker is given and what it answers, one line of JSON each |
//! | [`worker`] | the process that plays jobs, each on a fresh thread |
//! | [`pool`] | the parent of the workers: hands out, watches the clock, replaces the dead |
//! | [`ledger`] | the folder of a campaign: results that survive its death |
//! | [`shard`] | which seeds are ours when many machines share a campaign |
//! | [`summary`] | what a campaign came to |
//! | [`shrink`] | from a failing run to the smallest scenario that fails alike |
//! | [`hunt`] | how long it takes to find a planted bug |
//!
//! A run is judged by `trial`; here nothing is judged again. Nothing here prints.

pub mod hunt;
pub mod job;
pub mod ledger;
pub mod pool;
pub mod shard;
pub mod shrink;
pub mod summary;
pub mod worker;
