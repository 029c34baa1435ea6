//! The benchmark's entry: there is something to measure only where a world is simulated.

#[cfg(madsim)]
mod measure;

#[cfg(madsim)]
fn main() {
    measure::main();
}

#[cfg(not(madsim))]
fn main() {
    eprintln!("the reference load needs the simulated build; `make bench` makes it");
}
