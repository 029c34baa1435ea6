//! Disks that stall, fail, fill up and rot.

use super::disk::{SEEDS, after, content, durable, find};
use super::*;
use crate::io::clock::now;
use crate::io::disk::{Disk, File};
use crate::io::sim::disk::{DiskOp, SlowDisk};
use crate::io::time::timeout;
use std::collections::BTreeSet;
use std::io::ErrorKind;

/// Longer than the cache keeps anything that only looks clean.
const EVICTED: u64 = 61_000;

fn me(world: &World) -> HostId {
    world.host("trial").expect("the trial is a host")
}

/// A fresh disk of the trial's own, with a durable file of `old` bytes.
async fn disk_with(old: &[u8]) -> (Disk, File) {
    let disk = Disk::mount("data").expect("a disk");
    let file = durable(&disk, "t.log", old).await;
    (disk, file)
}

async fn millis<T>(future: impl Future<Output = T>) -> (u64, T) {
    let begin = now().mono_ns;
    let value = future.await;
    ((now().mono_ns - begin) / 1_000_000, value)
}

fn is_device_error(error: &std::io::Error) -> bool {
    error.raw_os_error() == Some(5)
}

#[test]
fn the_world_knows_of_a_process_that_has_met_an_error_until_the_next_one_begins() {
    let orders: [fn(&World, HostId); 2] =
        [|world, host| world.fail_disk(host, DiskOp::Append, 1), |world, host| world.fill_disk(host, Some(0))];
    for order in orders {
        trial(1, move |world| async move {
            let host = world.create_host("other", "10.0.0.9", 0);
            world.set_program(host, || async {
                let file = durable(&Disk::mount("data").expect("a disk"), "t.log", b"old").await;
                // It dies of its first error.
                while file.append(b"!").await.is_ok() {
                    sleep_ms(10).await;
                }
            });
            world.start(host).await;
            sleep_ms(100).await;
            assert!(world.is_running(host) && !world.disk_has_failed(host));
            order(&world, host);
            sleep_ms(100).await;
            assert!(!world.is_running(host) && world.disk_has_failed(host));
            world.fill_disk(host, None);
            world.start(host).await;
            assert!(world.is_running(host) && !world.disk_has_failed(host));
        });
    }
}

#[test]
fn everything_waits_for_a_stalled_disk_and_goes_on_when_it_does() {
    trial(1, |world| async move {
        let (disk, file) = disk_with(b"old").await;
        file.append(b"!").await.expect("space");
        let syncing = file.clone();
        let sync = crate::io::task::spawn("sync", async move { syncing.sync().await });
        sleep(Duration::from_micros(100)).await;
        world.stall_disk(me(&world), true);
        let second = Duration::from_secs(1);
        assert!(timeout(second, file.append(b"x")).await.is_err());
        assert!(timeout(second, file.read_at(0, 3)).await.is_err());
        assert!(timeout(second, file.sync()).await.is_err());
        assert!(timeout(second, disk.list("")).await.is_err());
        assert!(timeout(second, disk.open("new", true)).await.is_err());
        let (healer, host) = (world.clone(), me(&world));
        drop(crate::io::task::spawn("healer", async move {
            sleep_ms(5_000).await;
            healer.stall_disk(host, false);
        }));
        let (ms, appended) = millis(file.append(b"?")).await;
        assert_eq!((ms, appended.expect("space")), (5_000, 4), "what was given up has not happened");
        sync.await.expect("not aborted").expect("the sync that was under way ends too");
        assert_eq!(content(&file).await, b"old!?");
    });
}

#[test]
fn a_stalled_disk_stalls_the_next_life_too_and_a_power_cut_ends_what_waited() {
    trial(2, |world| async move {
        let lives = board();
        let notes = lives.clone();
        let host = start(&world, "1", move || {
            let notes = notes.clone();
            async move {
                notes.lock().push("born");
                let disk = Disk::mount("data").expect("a disk");
                disk.open("log", true).await.expect("a file").append(b"x").await.expect("space");
                notes.lock().push("wrote");
                std::future::pending::<()>().await;
            }
        })
        .await;
        sleep_ms(10).await;
        world.stall_disk(host, true);
        for death in [World::crash, World::power_cut] {
            death(&world, host);
            world.start(host).await;
            sleep_ms(100).await;
        }
        assert_eq!(*lives.lock(), ["born", "wrote", "born", "born"]);
        world.stall_disk(host, false);
        sleep_ms(10).await;
        assert_eq!(*lives.lock(), ["born", "wrote", "born", "born", "wrote"], "the dead do not write");
    });
}

#[test]
fn a_slow_disk_takes_its_latency_and_its_bandwidth_one_thing_after_the_other() {
    trial(3, |world| async move {
        let (_disk, file) = disk_with(b"old").await;
        let slow = SlowDisk { latency: Duration::from_millis(20), bytes_per_s: Some(1_000_000) };
        world.slow_disk(me(&world), Some(slow));
        assert_eq!(millis(file.append(&[1; 100_000])).await.0, 120);
        assert_eq!(millis(file.read_at(0, 1_000_000)).await.0, 120, "it reads what is there");
        let (first, second) = (file.clone(), file.clone());
        let other = crate::io::task::spawn("other", async move { millis(first.read_at(0, 50_000)).await.0 });
        let ms = millis(second.read_at(0, 50_000)).await.0 + other.await.expect("not aborted");
        assert!((208..=210).contains(&ms), "{ms} ms for 70 and 140");
        let ms = millis(file.sync()).await.0;
        assert!((140..150).contains(&ms), "{ms} ms: asked, then written");
        world.slow_disk(me(&world), None);
        assert_eq!(millis(file.append(&[1; 100_000])).await.0, 0);
    });
}

#[test]
fn reads_and_appends_fail_as_often_as_was_ordered() {
    trial(4, |world| async move {
        let (_disk, file) = disk_with(b"old").await;
        world.fail_disk(me(&world), DiskOp::Append, 2);
        world.fail_disk(me(&world), DiskOp::Read, 1);
        assert!(is_device_error(&file.append(b"1").await.expect_err("fails")));
        assert!(is_device_error(&file.truncate(0).await.expect_err("fails")));
        assert_eq!(file.append(b"3").await.expect("the third is well"), 3, "nothing was changed");
        assert!(is_device_error(&file.read_at(0, 9).await.expect_err("fails")));
        assert_eq!(content(&file).await, b"old3");
        file.sync().await.expect("no sync was to fail");
        assert!(!world.take_harm(me(&world)), "whoever was refused has lost nothing");
    });
}

#[test]
fn after_a_failed_sync_the_cache_serves_the_new_bytes_until_it_lets_go_of_them() {
    let mut times = BTreeSet::new();
    for seed in 0..10 {
        let gone_ms = trial(seed, |world| async move {
            let (_disk, file) = disk_with(&[1; 10_000]).await;
            file.write_at(0, &[2; 4096]).await.expect("space");
            file.append(&[2; 6_000]).await.expect("space");
            world.fail_disk(me(&world), DiskOp::Sync, 1);
            assert!(is_device_error(&file.sync().await.expect_err("the device gave up")));
            assert!(world.take_harm(me(&world)));
            let bytes = content(&file).await;
            assert!(bytes[..4096].iter().chain(&bytes[10_000..]).all(|b| *b == 2), "the cache has the new bytes");
            let (ms, again) = millis(file.sync()).await;
            again.expect("the trap: the kernel takes the pages for clean");
            assert_eq!(ms, 0, "and writes nothing");
            let begin = now().mono_ns;
            while content(&file).await[0] == 2 {
                sleep_ms(100).await;
            }
            let bytes = content(&file).await;
            assert!(bytes[..10_000].iter().all(|b| *b == 1), "the old bytes");
            assert!(bytes.len() == 16_000 && bytes[12_288..].iter().all(|b| *b == 0), "zeros where nothing was");
            assert!(world.take_harm(me(&world)));
            (now().mono_ns - begin) / 1_000_000
        });
        assert!(gone_ms <= EVICTED);
        times.insert(gone_ms);
    }
    assert!(times.len() > 5, "the seed says when: {times:?}");
}

#[test]
fn what_is_written_again_after_a_failed_sync_is_saved_by_the_next_one() {
    trial(5, |world| async move {
        let (_disk, file) = disk_with(&[1; 8192]).await;
        file.write_at(0, &[2; 8192]).await.expect("space");
        world.fail_disk(me(&world), DiskOp::Sync, 1);
        file.sync().await.expect_err("fails");
        file.write_at(4096, &[3; 1]).await.expect("space");
        file.sync().await.expect("synced");
        sleep_ms(EVICTED).await;
        let bytes = content(&file).await;
        assert!(bytes[..4096].iter().all(|b| *b == 1), "nobody wrote this page again");
        assert!(bytes[4096] == 3 && bytes[4097..].iter().all(|b| *b == 2), "a page is written whole");
    });
}

#[test]
fn a_power_cut_after_a_failed_sync_loses_what_the_kernel_took_for_clean() {
    for seed in 0..SEEDS {
        let found = after(
            seed,
            World::power_cut,
            |disk| async move {
                let world = World::current();
                let file = durable(&disk, "t.log", &[1; 8192]).await;
                file.write_at(0, &[2; 4096]).await.expect("space");
                world.fail_disk(world.host("1").expect("this one"), DiskOp::Sync, 1);
                file.sync().await.expect_err("fails");
                file.append(&[3; 4096]).await.expect("space");
                file.sync().await.expect("synced");
            },
            |disk| find(disk, "t.log"),
        );
        let found = found.expect("its name was synced");
        assert!(found[..8192].iter().all(|b| *b == 1) && found[8192..].iter().all(|b| *b == 3), "seed {seed}");
        assert_eq!(found.len(), 12_288);
    }
}

#[test]
fn a_disk_that_was_filled_up_refuses_until_it_has_room_again() {
    trial(6, |world| async move {
        let (disk, file) = disk_with(b"old").await;
        world.fill_disk(me(&world), Some(10));
        assert_eq!(disk.volume().await.expect("known").usable, 10);
        file.append(&[0; 10]).await.expect("the last room");
        assert_eq!(file.append(&[0; 1]).await.expect_err("full").kind(), ErrorKind::StorageFull);
        file.write_at(0, b"new").await.expect("no new room is needed");
        world.fill_disk(me(&world), None);
        file.append(&[0; 1_000]).await.expect("room");
    });
}

#[test]
fn rot_flips_durable_bits_of_log_files_and_nothing_else() {
    for seed in 0..20 {
        trial(seed, |world| async move {
            let (disk, file) = disk_with(&[0; 10_000]).await;
            let other = durable(&disk, "t.index", &[0; 10_000]).await;
            file.append(&[0; 10_000]).await.expect("space");
            assert_eq!(world.rot(me(&world), "data", 3), 3);
            assert_eq!(world.rot(me(&world), "nowhere", 3), 0);
            let bytes = content(&file).await;
            let flipped: u32 = bytes.iter().map(|b| b.count_ones()).sum();
            assert!((1..=3).contains(&flipped), "{flipped} bits");
            assert!(bytes[10_000..].iter().all(|b| *b == 0), "what is only in memory cannot rot on a device");
            assert!(content(&other).await.iter().all(|b| *b == 0));
            assert!(world.take_harm(me(&world)) && !world.take_harm(me(&world)));
        });
    }
}

#[test]
fn a_misdirected_write_spoils_two_pages_once_the_cache_lets_go() {
    for seed in 0..20 {
        trial(seed, |world| async move {
            let (_disk, file) = disk_with(&[1; 5 * 4096]).await;
            world.misdirect(me(&world), "data");
            file.append(&[2; 4096]).await.expect("space");
            file.sync().await.expect("the device says that all is well");
            assert!(world.take_harm(me(&world)));
            let whole = content(&file).await;
            assert!(whole[..5 * 4096].iter().all(|b| *b == 1) && whole[5 * 4096..].iter().all(|b| *b == 2));
            sleep_ms(EVICTED).await;
            let pages: Vec<_> = content(&file).await.chunks(4096).map(|page| (page[0], page[4095])).collect();
            assert_eq!(pages[5], (0, 0), "where it was meant to go there is nothing");
            assert_eq!(pages[..5].iter().filter(|page| **page == (2, 2)).count(), 1, "it went elsewhere: {pages:?}");
            assert_eq!(pages[..5].iter().filter(|page| **page == (1, 1)).count(), 4);
        });
    }
}

#[test]
fn a_wiped_disk_keeps_what_was_to_be_kept_and_no_more_even_after_a_power_cut() {
    trial(7, |world| async move {
        let lists = board();
        let notes = lists.clone();
        let host = start(&world, "1", move || {
            let notes = notes.clone();
            async move {
                let disk = Disk::mount("/data").expect("a disk");
                let names = disk.list("").await.expect("names");
                notes.lock().push(names.join(" "));
                for dir in ["a", "b", "meta"] {
                    disk.create_dir_all(dir).await.expect("made");
                    disk.open(&format!("{dir}/f"), true).await.expect("made").append(&[1; 99]).await.expect("space");
                    disk.sync_dir(dir).await.expect("synced");
                }
                disk.sync_dir("").await.expect("synced");
                std::future::pending::<()>().await;
            }
        })
        .await;
        sleep_ms(100).await;
        world.crash(host);
        world.wipe(host, "/data", Some("meta"));
        world.power_cut(host);
        world.start(host).await;
        sleep_ms(100).await;
        assert_eq!(*lists.lock(), ["", "meta"]);
        world.crash(host);
        world.wipe(host, "/data", None);
        world.start(host).await;
        sleep_ms(100).await;
        assert_eq!(lists.lock().last().map(String::as_str), Some(""));
    });
}
