//! Clocks and sleeps.

use super::*;
use crate::io::clock::now;
use crate::io::time::{Elapsed, interval, sleep_until, timeout};

#[test]
fn sleeps_end_in_order_and_on_time() {
    let ends = trial(1, |world| async move {
        let ends = board();
        for ms in [30u64, 10, 20] {
            let (ends, world) = (ends.clone(), world.clone());
            drop(crate::io::task::spawn("sleeper", async move {
                sleep_ms(ms).await;
                ends.lock().push((ms, world.now_ns() / 1_000_000));
            }));
        }
        sleep_ms(50).await;
        ends.lock().clone()
    });
    assert_eq!(ends, [(10, 10), (20, 20), (30, 30)]);
}

#[test]
fn a_sleep_that_is_moved_ends_at_its_last_deadline() {
    trial(2, |_| async {
        let start = now().mono_ns;
        let ms = 1_000_000;
        let mut sleep = sleep_until(start + 10 * ms);
        assert_eq!(timeout(Duration::from_millis(5), &mut sleep).await, Err(Elapsed));
        sleep.reset(start + 100 * ms);
        sleep.reset(start + 50 * ms);
        (&mut sleep).await;
        assert_eq!((now().mono_ns - start) / ms, 50);
        sleep.reset(start + 60 * ms);
        assert_eq!(timeout(Duration::from_millis(5), &mut sleep).await, Err(Elapsed));
        sleep.reset(start + 57 * ms);
        (&mut sleep).await;
        assert_eq!((now().mono_ns - start) / ms, 57);
    });
}

#[test]
fn thousands_of_cancelled_timeouts_leave_no_trace() {
    trial(3, |world| async move {
        for _ in 0..20_000 {
            assert!(timeout(LONG, sleep_ms(1)).await.is_ok());
        }
        assert!(world.now_ns() < 21_000_000_000);
        assert!(world.state().lock().heap.len() < 3_000, "cancelled entries are swept");
    });
}

#[test]
fn hosts_have_clocks_of_their_own() {
    let seen = trial(4, |world| async move {
        let seen = board();
        let notes = seen.clone();
        let host = world.create_host("fast", "10.0.0.1", 0);
        world.set_drift_ppm(host, 100_000);
        world.set_wall_offset_ms(host, -5_000);
        world.set_program(host, move || {
            let notes = notes.clone();
            async move {
                let begin = now();
                sleep_ms(1_100).await;
                notes.lock().push((begin, now()));
            }
        });
        let (begin, wall) = (world.now_ns(), now().wall_ms);
        world.start(host).await;
        world.exited(host).await;
        let true_ms = (world.now_ns() - begin) / 1_000_000;
        assert_eq!(true_ms, 1_001, "1.1 s pass on a clock that is 10 % fast, and a start takes 1 ms");
        let (first, last) = seen.lock()[0];
        assert!((first.wall_ms - (wall - 5_000)).abs() <= 2);
        (last.mono_ns - first.mono_ns) / 1_000_000
    });
    assert_eq!(seen, 1_100);
}

#[test]
fn an_interval_ticks_once_after_a_pause() {
    let ticks = trial(5, |world| async move {
        let ticks = board();
        let notes = ticks.clone();
        let host = start(&world, "1", move || {
            let notes = notes.clone();
            async move {
                let mut every = interval(Duration::from_millis(100));
                loop {
                    every.tick().await;
                    notes.lock().push(now().mono_ms());
                }
            }
        })
        .await;
        sleep_ms(250).await;
        world.pause(host);
        sleep_ms(1_000).await;
        assert_eq!(ticks.lock().len(), 3);
        world.resume(host);
        sleep_ms(150).await;
        ticks.lock().len()
    });
    assert_eq!(ticks, 5, "one tick that was due and one a period later");
}
