//! Runs many trials on a few threads: one fresh thread for each trial, so that no run sees what another left behind.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use crate::campaign::worker;
use crate::report::Verdict;
use crate::scenario::Scenario;
use crate::trial::{RunOptions, Runner};

/// One trial to run.
pub(super) struct Job<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) seed: u64,
    pub(super) options: RunOptions,
}

/// Runs `jobs`, `width` at a time, and hands each verdict to `done` in the order of the jobs.
///
/// # Errors
/// The first error of `done`; trials that have not begun are then left out.
pub(super) fn run<E>(
    jobs: &[Job<'_>],
    width: usize,
    runner: Runner,
    mut done: impl FnMut(usize, Verdict) -> Result<(), E>,
) -> Result<(), E> {
    let next = AtomicUsize::new(0);
    let (send, receive) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..width.clamp(1, jobs.len().max(1)) {
            let (next, send) = (&next, send.clone());
            scope.spawn(move || {
                while let Some((i, job)) = take(next, jobs) {
                    if send.send((i, worker::alone(job.scenario, job.seed, &job.options, runner))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(send);
        let mut waiting = BTreeMap::new();
        let mut expected = 0;
        while let Ok((i, verdict)) = receive.recv() {
            waiting.insert(i, verdict);
            while let Some(verdict) = waiting.remove(&expected) {
                if let Err(error) = done(expected, verdict) {
                    next.store(jobs.len(), Ordering::Relaxed);
                    return Err(error);
                }
                expected += 1;
            }
        }
        Ok(())
    })
}

fn take<'j, 'a>(next: &AtomicUsize, jobs: &'j [Job<'a>]) -> Option<(usize, &'j Job<'a>)> {
    let i = next.fetch_add(1, Ordering::Relaxed);
    jobs.get(i).map(|job| (i, job))
}
