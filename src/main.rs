//! The `ktrial` binary: hands the rooms to the command line.

use std::process::ExitCode;

use ktrial::cli::{self, Parts};

#[cfg(madsim)]
fn parts() -> Parts {
    Parts { runner: not_yet::run_one }
}

#[cfg(not(madsim))]
fn parts() -> Parts {
    Parts { serve: not_yet::serve }
}

mod not_yet {
    //! Stands in for the rooms that this branch does not have.

    #[cfg(madsim)]
    pub fn run_one(
        scenario: &ktrial::scenario::Scenario,
        seed: u64,
        _: &ktrial::trial::RunOptions,
    ) -> ktrial::report::Verdict {
        let mut verdict = ktrial::report::Verdict::new(&scenario.name, seed);
        verdict.outcome = ktrial::report::Outcome::NotLive;
        verdict.reason = "this build has no world to run a scenario in".into();
        verdict
    }

    #[cfg(not(madsim))]
    pub fn serve(_: &ktrial::cli::ServeArgs) -> u8 {
        ktrial::cli::WRONG
    }
}

fn main() -> ExitCode {
    cli::main(&parts())
}
