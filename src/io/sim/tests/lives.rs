//! Processes: starts, ends, deaths, pauses.

use super::*;
use crate::io::task::{TaskSet, shutdown_requested, spawn};

#[test]
fn a_program_that_returns_takes_its_tasks_with_it() {
    trial(1, |world| async move {
        let ticks = board();
        let notes = ticks.clone();
        let host = start(&world, "1", move || {
            let notes = notes.clone();
            async move {
                drop(spawn("ticker", async move {
                    loop {
                        sleep_ms(10).await;
                        notes.lock().push(());
                    }
                }));
                sleep_ms(55).await;
            }
        })
        .await;
        world.exited(host).await;
        assert!(!world.is_running(host));
        sleep_ms(100).await;
        assert_eq!(ticks.lock().len(), 5);
    });
}

#[test]
fn a_program_hears_that_it_should_end() {
    trial(2, |world| async move {
        let said = board();
        let notes = said.clone();
        let host = start(&world, "1", move || {
            let notes = notes.clone();
            async move {
                shutdown_requested().await;
                sleep_ms(20).await;
                notes.lock().push("bye");
            }
        })
        .await;
        sleep_ms(10).await;
        world.request_shutdown(host);
        world.exited(host).await;
        assert_eq!(*said.lock(), ["bye"]);
        // The next life has not been asked yet.
        world.start(host).await;
        sleep_ms(100).await;
        assert!(world.is_running(host));
    });
}

#[test]
fn a_crash_ends_everything_at_once_and_a_start_begins_anew() {
    trial(3, |world| async move {
        let lives = board();
        let notes = lives.clone();
        let host = start(&world, "1", move || {
            let notes = notes.clone();
            async move {
                notes.lock().push("born");
                sleep_ms(50).await;
                notes.lock().push("old");
                std::future::pending::<()>().await;
            }
        })
        .await;
        sleep_ms(10).await;
        world.crash(host);
        sleep_ms(100).await;
        assert_eq!(*lives.lock(), ["born"]);
        world.start(host).await;
        sleep_ms(100).await;
        assert_eq!(*lives.lock(), ["born", "born", "old"]);
    });
}

#[test]
fn everything_that_fell_due_in_a_pause_fires_at_its_end() {
    trial(4, |world| async move {
        let done = board();
        let notes = done.clone();
        let host = start(&world, "1", move || {
            let notes = notes.clone();
            async move {
                for ms in [10u64, 20, 500] {
                    let notes = notes.clone();
                    drop(spawn("sleeper", async move {
                        sleep_ms(ms).await;
                        notes.lock().push(ms);
                    }));
                }
                echo().await;
            }
        })
        .await;
        sleep_ms(5).await;
        world.pause(host);
        // The kernel goes on: it lets clients in and takes their bytes.
        let mut connection = dial("1").await;
        connection.send(Bytes::from_static(b"hello")).await.expect("the kernel takes it");
        sleep_ms(100).await;
        assert!(done.lock().is_empty());
        world.resume(host);
        sleep_ms(1).await;
        let mut due = done.lock().clone();
        due.sort_unstable();
        assert_eq!(due, [10, 20]);
        assert_eq!(connection.recv().await.expect("it goes on").as_deref(), Some(&b"hello"[..]));
    });
}

#[test]
fn a_paused_process_can_die() {
    trial(5, |world| async move {
        let host = start(&world, "1", echo).await;
        let mut connection = dial("1").await;
        world.pause(host);
        sleep_ms(5).await;
        world.crash(host);
        assert!(connection.recv().await.is_err());
        world.start(host).await;
        assert!(ask(&mut dial("1").await, "again").await.expect("a new life").is_some());
    });
}

#[test]
fn a_task_set_ends_its_tasks_and_a_handle_gives_the_result() {
    trial(6, |_| async {
        let ticks = board();
        let mut set = TaskSet::new();
        for _ in 0..100 {
            let notes = ticks.clone();
            set.spawn("ticker", async move {
                sleep_ms(10).await;
                notes.lock().push(());
                std::future::pending::<()>().await;
            });
        }
        sleep_ms(15).await;
        assert_eq!(ticks.lock().len(), 100);
        drop(set);
        sleep_ms(1).await;
        assert_eq!(Arc::strong_count(&ticks), 1, "the tasks are gone");
        assert_eq!(spawn("sum", async { 1 + 1 }).await, Ok(2));
        let waiting = spawn("waits", std::future::pending::<()>());
        waiting.abort();
        assert!(waiting.await.is_err());
    });
}

#[test]
fn what_outlives_every_process_is_counted() {
    let left_behind = |forget: bool| {
        let trial = move |world: World| async move {
            start(&world, "1", move || async move {
                let disk = crate::io::disk::Disk::mount("/data").expect("a disk");
                if forget {
                    // Like two values that hold each other.
                    std::mem::forget(disk.clone());
                }
                sleep_ms(1_000).await;
            })
            .await;
            sleep_ms(10).await;
        };
        run(4, WorldConfig::default(), trial).stats.left_behind
    };
    assert_eq!(left_behind(false), 0);
    assert_eq!(left_behind(true), 1);
}
