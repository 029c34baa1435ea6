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

fn main() -> ExitCode {
    cli::main(&parts())
}
