//! One seed, one run.

use super::super::{Recording, RunStats};
use super::*;
use crate::io::disk::Disk;
use crate::io::rng;
use std::process::Command;

const CHILD: &str = "KTRIAL_TEST_DIGEST_OF_SEED";

/// A short life with some of everything in it.
async fn story(world: World) {
    let mut hosts = Vec::new();
    for name in ["1", "2", "3"] {
        hosts.push(start(&world, name, busy).await);
    }
    let clients: Vec<_> = ["1", "2", "3"].map(|name| crate::io::task::spawn("client", client(name))).into();
    sleep_ms(200).await;
    world.crash(hosts[0]);
    world.isolate(hosts[1]);
    sleep_ms(300).await;
    world.power_cut(hosts[2]);
    world.heal_all();
    world.start(hosts[2]).await;
    world.start(hosts[0]).await;
    sleep_ms(1_000).await;
    clients.iter().for_each(crate::io::task::TaskHandle::abort);
}

async fn busy() {
    let disk = Disk::mount("data").expect("a disk");
    let file = disk.open("log", true).await.expect("a file");
    drop(crate::io::task::spawn("appender", async move {
        let mut random = rng("appender");
        loop {
            file.append(&vec![7; random.below(9_000) as usize]).await.expect("space");
            if random.chance(1, 3) {
                file.sync().await.expect("a sync");
            }
            sleep(Duration::from_micros(random.between(1, 9_000))).await;
        }
    }));
    echo().await;
}

async fn client(name: &'static str) {
    loop {
        if let Ok(mut connection) = connect(name, 9092, Duration::from_millis(100)).await {
            while let Ok(Ok(Some(_))) =
                crate::io::time::timeout(Duration::from_millis(50), ask(&mut connection, "hello")).await
            {}
        }
        sleep_ms(10).await;
    }
}

fn tell(seed: u64) -> (RunStats, Recording) {
    let run = run(seed, WorldConfig { record: true, ..WorldConfig::default() }, story);
    run.outcome.expect("the story ends well");
    (run.stats, run.recording.expect("it was asked for"))
}

#[test]
fn equal_seeds_give_equal_runs_on_any_thread_and_in_any_order() {
    let (first, recording) = tell(1);
    let other = tell(2);
    let workers: Vec<_> = (0..2).map(|_| std::thread::spawn(|| (tell(3), tell(1)))).collect();
    for worker in workers {
        let (_, (again, replay)) = worker.join().expect("a worker");
        assert_eq!(recording.diverges_at(&replay).map(|at| (recording.describe(at), replay.describe(at))), None);
        assert_eq!(again, first);
    }
    assert_ne!(other.0.digest, first.digest);
    assert!(recording.diverges_at(&other.1).is_some());
    assert!(first.messages > 100 && first.draws["network"] > 0 && first.draws["disk"] > 0);
}

#[test]
fn equal_seeds_give_equal_runs_in_two_processes() {
    let digest = tell(42).0.digest.to_string();
    if std::env::var_os(CHILD).is_some() {
        // As the child: the parent looks for this in the captured output of a test that fails.
        panic!("digest {digest}");
    }
    let test = "io::sim::tests::determinism::equal_seeds_give_equal_runs_in_two_processes";
    let this = std::env::current_exe().expect("a test knows its binary");
    let output = Command::new(this).args([test, "--exact"]).env(CHILD, "1").output().expect("a second process");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(&format!("digest {digest}")), "the second process saw another run:\n{said}");
}

#[test]
fn one_stray_draw_shows_in_the_digest() {
    let digest = |stray: bool| {
        let story = move |_| async move {
            if stray {
                let _ = madsim::rand::random::<u64>();
            }
            // Not even the interleaving may depend on it: one task, sleeping in fixed steps.
            for _ in 0..20 {
                sleep_ms(1).await;
            }
        };
        run(9, WorldConfig::default(), story).stats.digest
    };
    assert_eq!(digest(false), digest(false));
    assert_ne!(digest(false), digest(true));
}

#[test]
fn named_streams_depend_on_node_life_and_name() {
    let drawn = trial(7, |world| async move {
        let drawn = board();
        let notes = drawn.clone();
        let program = move || {
            let notes = notes.clone();
            async move {
                for name in ["a", "b", "a"] {
                    notes.lock().push(rng(name).next_u64());
                }
            }
        };
        let one = start(&world, "1", program.clone()).await;
        world.exited(one).await;
        world.start(one).await;
        world.exited(one).await;
        let two = start(&world, "2", program).await;
        world.exited(two).await;
        drawn.lock().clone()
    });
    let lives: Vec<_> = drawn.chunks(3).collect();
    assert!(lives.iter().all(|life| life[0] == life[2]), "one name, one stream");
    let mut distinct: Vec<_> = lives.iter().flat_map(|life| &life[..2]).collect();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), 6);
}

#[test]
fn a_panic_on_a_host_is_the_outcome_of_the_run() {
    let run = run(1, WorldConfig::default(), |world| async move {
        start(&world, "1", || async {
            sleep_ms(5).await;
            panic!("the log has a hole");
        })
        .await;
        sleep_ms(1_000).await;
    });
    let panic = run.outcome.expect_err("it panicked");
    assert_eq!((panic.host.as_str(), panic.message.as_str()), ("1", "the log has a hole"));
    assert!(run.stats.sim_time < Duration::from_millis(100));
}

#[test]
fn a_deadlock_is_the_outcome_of_the_run() {
    let run = run(1, WorldConfig::default(), |_| std::future::pending::<()>());
    let panic = run.outcome.expect_err("nothing will ever happen");
    assert!(panic.message.contains("all tasks will block forever"), "{panic}");
}

#[cfg(target_os = "linux")]
#[test]
fn hundreds_of_runs_leave_nothing_behind() {
    let resident_kib = || {
        let status = std::fs::read_to_string("/proc/self/status").expect("procfs");
        let line = status.lines().find(|l| l.starts_with("RssAnon")).expect("a resident size");
        line.split_whitespace().nth(1).expect("a number").parse::<u64>().expect("a number")
    };
    let ballast = |seed: u64| {
        let outcome = run(seed, WorldConfig::default(), move |world| async move {
            // Each run holds a megabyte in tasks that never end, in files and on sockets; some runs panic.
            let host = start(&world, "1", || async {
                let disk = Disk::mount("data").expect("a disk");
                let file = disk.open("log", true).await.expect("a file");
                file.append(&vec![1; 1 << 20]).await.expect("space");
                let memory = vec![1u8; 1 << 20];
                drop(crate::io::task::spawn("waits", async move {
                    std::future::pending::<()>().await;
                    drop(memory);
                }));
                echo().await;
            })
            .await;
            let mut connection = dial("1").await;
            connection.send(Bytes::from(vec![1; 1 << 20])).await.expect("it is up");
            if seed.is_multiple_of(3) {
                world.pause(host);
            }
            assert!(!seed.is_multiple_of(10), "on purpose");
        })
        .outcome;
        assert_eq!(outcome.is_err(), seed.is_multiple_of(10));
    };
    (0..50).for_each(ballast);
    let before = resident_kib();
    (0..300).for_each(ballast);
    let grown = resident_kib().saturating_sub(before);
    assert!(grown < 60 * 1024, "300 runs with megabytes in them left {grown} KiB behind");
}
