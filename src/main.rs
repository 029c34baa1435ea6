//! The `ktrial` binary: hands the rooms to the command line.

use std::process::ExitCode;

use ktrial::cli::{self, Parts};

#[cfg(madsim)]
fn parts() -> Parts {
    Parts { runner: ktrial::trial::run_one }
}

#[cfg(not(madsim))]
fn parts() -> Parts {
    Parts { serve: ktrial::cli::serve::serve }
}

/// A seventh of a run is allocation; this allocator halves it. What it does is invisible to a run.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `KTRIAL_LOG=info ktrial run ...` tells what the nodes do; unset, nothing is told and nothing is paid.
fn trace() {
    if let Ok(filter) = std::env::var("KTRIAL_LOG") {
        let filter = tracing_subscriber::EnvFilter::new(format!("{filter},madsim=off"));
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).without_time().init();
    }
}

fn main() -> ExitCode {
    trace();
    cli::main(&parts())
}
