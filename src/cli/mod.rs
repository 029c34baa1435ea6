//! The command line: what a person types. One file for each subcommand; printing to standard output happens here.
//!
//! Both builds know every command, so that `--help` reads the same; a command that the build cannot do says which build
//! can, and exits with 2. Nothing here judges a run.

pub mod args;
#[cfg(madsim)]
mod bugs;
#[cfg(madsim)]
mod check;
#[cfg(madsim)]
mod diverge;
#[cfg(madsim)]
mod inputs;
#[cfg(madsim)]
mod output;
#[cfg(madsim)]
mod pool;
#[cfg(madsim)]
mod replay;
#[cfg(madsim)]
mod run;
#[cfg(not(madsim))]
pub mod serve;
#[cfg(madsim)]
mod shrink;
#[cfg(madsim)]
mod summary;
#[cfg(madsim)]
mod swarm;

#[cfg(all(test, madsim))]
mod tests;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

pub use args::{Cli, Command, ServeArgs};

/// The exit code for a wrong command line or a wrong file: nothing ran.
pub const WRONG: u8 = 2;

/// What the commands need from the rooms below.
#[derive(Clone, Copy)]
pub struct Parts {
    /// Runs one scenario under one seed.
    #[cfg(madsim)]
    pub runner: crate::trial::Runner,
    /// Runs a real cluster until it is told to stop; returns the exit code.
    #[cfg(not(madsim))]
    pub serve: fn(&ServeArgs, &mut Streams<'_>) -> io::Result<u8>,
}

/// Where the words go: standard output and standard error, or a test's buffers.
pub struct Streams<'a> {
    /// Results.
    pub out: &'a mut dyn Write,
    /// Complaints.
    pub err: &'a mut dyn Write,
    /// Colours may be used in results.
    pub colour: bool,
}

/// Runs the process's own command line.
#[must_use]
pub fn main(parts: &Parts) -> ExitCode {
    let colour =
        io::IsTerminal::is_terminal(&io::stdout()) && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    let (mut out, mut err) = (io::stdout(), io::stderr());
    ExitCode::from(execute(std::env::args_os(), parts, &mut Streams { out: &mut out, err: &mut err, colour }))
}

/// Runs a command line, the program's name first, and returns its exit code.
pub fn execute(line: impl IntoIterator<Item = OsString>, parts: &Parts, streams: &mut Streams<'_>) -> u8 {
    let command = match Cli::try_parse_from(line) {
        Ok(cli) => cli.command,
        Err(error) => {
            let styled = error.render();
            let text = if streams.colour { styled.ansi().to_string() } else { styled.to_string() };
            let stream: &mut dyn Write = if error.use_stderr() { streams.err } else { streams.out };
            // A reader that went away needs no answer.
            let _ = write!(stream, "{text}");
            return if error.use_stderr() { WRONG } else { 0 };
        }
    };
    match dispatch(&command, parts, streams) {
        Ok(code) => code,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
        Err(error) => {
            let _ = writeln!(streams.err, "ktrial: cannot write the result: {error}");
            WRONG
        }
    }
}

#[cfg(madsim)]
fn dispatch(command: &Command, parts: &Parts, streams: &mut Streams<'_>) -> io::Result<u8> {
    match command {
        Command::Run(args) => run::run(args, parts.runner, streams),
        Command::Check(args) => check::check(args, streams),
        Command::Swarm(args) => swarm::swarm(args, streams),
        Command::Worker => crate::campaign::worker::serve(parts.runner).map(|()| 0),
        Command::Shrink(args) => shrink::shrink(args, streams),
        Command::Bugs(args) => bugs::bugs(args, streams),
        Command::Replay(args) => replay::replay(args, parts, streams),
        Command::Diverge(args) => diverge::diverge(args, streams),
        Command::Schema(_) => output::document(streams, &crate::scenario::schema::schema()).map(|()| 0),
        Command::Serve(_) => other_build(streams, "serve", "real", "make serve"),
    }
}

#[cfg(not(madsim))]
fn dispatch(command: &Command, parts: &Parts, streams: &mut Streams<'_>) -> io::Result<u8> {
    let name = match command {
        Command::Serve(args) => return (parts.serve)(args, streams),
        Command::Run(_) => "run",
        Command::Check(_) => "check",
        Command::Swarm(_) => "swarm",
        Command::Worker => "worker",
        Command::Shrink(_) => "shrink",
        Command::Bugs(_) => "bugs",
        Command::Replay(_) => "replay",
        Command::Diverge(_) => "diverge",
        Command::Schema(_) => "schema",
    };
    other_build(streams, name, "simulated", "make build")
}

fn other_build(streams: &mut Streams<'_>, command: &str, build: &str, how: &str) -> io::Result<u8> {
    writeln!(streams.err, "ktrial: `{command}` needs the {build} build; `{how}` makes it")?;
    Ok(WRONG)
}
