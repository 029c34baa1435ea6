//! A page cache in front of a device.

use super::*;
use crate::io::disk::{Disk, File};
use std::collections::BTreeSet;
use std::io::ErrorKind;

pub(super) const SEEDS: u64 = 60;

/// Runs `first` on a fresh disk, lets the host die by `death`, and gives what `second` finds in the next life.
pub(super) fn after<T, A, B, FA, FB>(seed: u64, death: fn(&World, HostId), first: A, second: B) -> T
where
    T: Send + 'static,
    A: Fn(Disk) -> FA + Send + Sync + 'static,
    B: Fn(Disk) -> FB + Send + Sync + 'static,
    FA: Future<Output = ()> + Send + 'static,
    FB: Future<Output = T> + Send + 'static,
{
    let (first, second) = (Arc::new(first), Arc::new(second));
    trial(seed, move |world| async move {
        let (lives, found) = (board(), board());
        let notes = found.clone();
        let host = start(&world, "1", move || {
            let (first, second, lives, notes) = (first.clone(), second.clone(), lives.clone(), notes.clone());
            async move {
                let disk = Disk::mount("data").expect("a disk");
                lives.lock().push(());
                let life = lives.lock().len();
                if life == 1 {
                    first(disk).await;
                    std::future::pending::<()>().await;
                } else {
                    let value = second(disk).await;
                    notes.lock().push(value);
                }
            }
        })
        .await;
        sleep_ms(50).await;
        death(&world, host);
        sleep_ms(10).await;
        world.start(host).await;
        world.exited(host).await;
        found.lock().pop().expect("the second life came to its end")
    })
}

pub(super) async fn content(file: &File) -> Vec<u8> {
    file.read_at(0, usize::MAX).await.expect("readable").to_vec()
}

/// The content of a file, if it is there.
pub(super) async fn find(disk: Disk, path: &'static str) -> Option<Vec<u8>> {
    match disk.open(path, false).await {
        Ok(file) => Some(content(&file).await),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::NotFound);
            None
        }
    }
}

/// Makes a durable file with `old` in it.
pub(super) async fn durable(disk: &Disk, path: &str, old: &[u8]) -> File {
    let file = disk.open(path, true).await.expect("a file");
    file.append(old).await.expect("space");
    file.sync().await.expect("synced");
    disk.sync_dir("").await.expect("synced");
    file
}

#[test]
fn what_is_written_is_visible_at_once() {
    trial(1, |_| async {
        let disk = Disk::mount("data").expect("a disk");
        let file = disk.open("log", true).await.expect("a file");
        assert_eq!(file.append(b"hello").await.expect("space"), 0);
        assert_eq!(file.append(b" world").await.expect("space"), 5);
        file.write_at(0, b"J").await.expect("space");
        file.write_at(13, b"!").await.expect("space");
        assert_eq!(content(&file).await, b"Jello world\0\0!");
        assert_eq!(file.read_at(6, 5).await.expect("readable"), &b"world"[..]);
        assert_eq!(file.read_at(99, 5).await.expect("readable"), &b""[..]);
        file.truncate(5).await.expect("cut");
        file.truncate(7).await.expect("grown");
        let again = disk.open("log", false).await.expect("it is there");
        assert_eq!(content(&again).await, b"Jello\0\0");
        assert_eq!(again.len().await.expect("a length"), 7);
    });
}

#[test]
fn directories_list_rename_and_remove() {
    trial(2, |_| async {
        let disk = Disk::mount("data").expect("a disk");
        disk.create_dir_all("a/b").await.expect("made");
        for name in ["a/2", "a/1", "a/b/x"] {
            disk.open(name, true).await.expect("made");
        }
        assert_eq!(disk.list("a").await.expect("names"), ["1", "2", "b"]);
        disk.rename("a", "c").await.expect("moved");
        assert_eq!(disk.list("").await.expect("names"), ["c"]);
        assert!(disk.exists("c/b/x").await.expect("known"));
        disk.rename("c/1", "c/2").await.expect("replaced");
        assert_eq!(disk.rename("c/1", "c/9").await.expect_err("gone").kind(), ErrorKind::NotFound);
        assert_eq!(disk.rename("c/2", "c/b").await.expect_err("a directory").kind(), ErrorKind::IsADirectory);
        let open = disk.open("c/2", false).await.expect("there");
        open.append(b"kept").await.expect("space");
        disk.remove_dir_all("c").await.expect("removed");
        assert_eq!(content(&open).await, b"kept", "an open file outlives its name");
        assert_eq!(disk.open("c/2", true).await.expect_err("no directory").kind(), ErrorKind::NotFound);
        assert_eq!(disk.list("c").await.expect_err("gone").kind(), ErrorKind::NotFound);
        assert_eq!(disk.remove("x").await.expect_err("gone").kind(), ErrorKind::NotFound);
    });
}

#[test]
fn what_was_synced_survives_every_power_cut() {
    for seed in 0..SEEDS {
        let found = after(
            seed,
            World::power_cut,
            |disk| async move {
                let file = durable(&disk, "log", &[1; 10_000]).await;
                file.append(&[2; 10_000]).await.expect("space");
            },
            |disk| find(disk, "log"),
        );
        let found = found.expect("its name was synced");
        assert!(found.len() >= 10_000 && found[..10_000].iter().all(|b| *b == 1), "seed {seed}");
    }
}

#[test]
fn what_was_not_synced_is_lost_kept_or_torn_by_a_power_cut() {
    let mut fates = BTreeSet::new();
    for seed in 0..SEEDS {
        let found = after(
            seed,
            World::power_cut,
            |disk| async move {
                let file = durable(&disk, "log", &[]).await;
                file.append(&[2; 8192]).await.expect("space");
            },
            |disk| find(disk, "log"),
        );
        let found = found.expect("its name was synced");
        assert!(found.len() <= 8192);
        for sector in found.chunks(512) {
            assert!(sector.iter().all(|b| *b == sector[0]) && matches!(sector[0], 0 | 2), "sectors are atomic");
        }
        let whole = found.len() == 8192 && found.iter().all(|b| *b == 2);
        fates.insert(match found.len() {
            0 => "lost",
            _ if whole => "kept",
            8192 => "torn inside",
            _ => "short",
        });
    }
    assert_eq!(fates.into_iter().collect::<Vec<_>>(), ["kept", "lost", "short", "torn inside"]);
}

#[test]
fn an_overwritten_page_is_found_old_new_or_torn() {
    let mut fates = BTreeSet::new();
    for seed in 0..SEEDS {
        let found = after(
            seed,
            World::power_cut,
            |disk| async move {
                let file = durable(&disk, "log", &[1; 8192]).await;
                file.write_at(4096, &[2; 4096]).await.expect("space");
            },
            |disk| find(disk, "log"),
        );
        let found = found.expect("its name was synced");
        assert!(found.len() == 8192 && found[..4096].iter().all(|b| *b == 1));
        let new = found[4096..].chunks(512).filter(|s| s[0] == 2).count();
        assert!(found[4096..].chunks(512).all(|s| s.iter().all(|b| *b == s[0]) && matches!(s[0], 1 | 2)));
        fates.insert(match new {
            0 => "old",
            8 => "new",
            _ => "torn",
        });
    }
    assert_eq!(fates.into_iter().collect::<Vec<_>>(), ["new", "old", "torn"]);
}

#[test]
fn a_truncation_that_was_not_synced_may_come_undone() {
    let mut lengths = BTreeSet::new();
    for seed in 0..SEEDS {
        let found = after(
            seed,
            World::power_cut,
            |disk| async move {
                let file = durable(&disk, "log", &[1; 3000]).await;
                file.truncate(100).await.expect("cut");
            },
            |disk| find(disk, "log"),
        );
        let found = found.expect("its name was synced");
        assert!(found.iter().all(|b| *b == 1), "no bytes from nowhere");
        lengths.insert(found.len());
    }
    assert!(lengths.contains(&100) && lengths.contains(&3000), "{lengths:?}");
}

#[test]
fn a_process_that_dies_loses_nothing() {
    for seed in 0..10 {
        let found = after(
            seed,
            World::crash,
            |disk| async move {
                let file = disk.open("log", true).await.expect("a file");
                file.append(&[3; 9000]).await.expect("space");
            },
            |disk| find(disk, "log"),
        );
        assert_eq!(found, Some(vec![3; 9000]), "seed {seed}");
    }
}

#[test]
fn a_name_is_durable_only_after_its_directory_was_synced() {
    let mut fates = BTreeSet::new();
    for seed in 0..SEEDS {
        let found = after(
            seed,
            World::power_cut,
            |disk| async move {
                let file = disk.open("log", true).await.expect("a file");
                file.append(b"x").await.expect("space");
                file.sync().await.expect("synced");
            },
            |disk| find(disk, "log"),
        );
        assert!(found.is_none() || found == Some(b"x".to_vec()), "a synced file has its contents, if it has its name");
        fates.insert(found.is_some());
    }
    assert_eq!(fates.len(), 2, "both happen");
}

#[test]
fn a_directory_whose_name_is_lost_takes_its_files_with_it() {
    let mut fates = BTreeSet::new();
    for seed in 0..SEEDS {
        let exists = after(
            seed,
            World::power_cut,
            |disk| async move {
                disk.create_dir_all("t-0").await.expect("made");
                disk.open("t-0/log", true).await.expect("made");
                disk.sync_dir("t-0").await.expect("synced");
            },
            |disk| async move { (disk.exists("t-0").await.expect("known"), disk.exists("t-0/log").await.expect("known")) },
        );
        assert_eq!(exists.0, exists.1, "seed {seed}");
        fates.insert(exists.0);
    }
    assert_eq!(fates.len(), 2, "both happen");
}

#[test]
fn a_rename_has_happened_or_has_not() {
    let mut fates = BTreeSet::new();
    for seed in 0..SEEDS {
        let found = after(
            seed,
            World::power_cut,
            |disk| async move {
                durable(&disk, "state", b"old").await;
                let file = disk.open("state.tmp", true).await.expect("a file");
                file.append(b"new").await.expect("space");
                file.sync().await.expect("synced");
                disk.rename("state.tmp", "state").await.expect("renamed");
            },
            |disk| async move { (find(disk.clone(), "state").await, find(disk, "state.tmp").await) },
        );
        let state = found.0.expect("one of the two is always there");
        assert!(state == b"old" || state == b"new");
        assert!(found.1.is_none() || state == b"old", "never under both names");
        fates.insert(state);
    }
    assert_eq!(fates.len(), 2, "both happen");
    let found = after(
        1,
        World::power_cut,
        |disk| async move {
            durable(&disk, "state", b"old").await;
            durable(&disk, "state.tmp", b"new").await;
            disk.rename("state.tmp", "state").await.expect("renamed");
            disk.sync_dir("").await.expect("synced");
        },
        |disk| async move { (find(disk.clone(), "state").await, find(disk, "state.tmp").await) },
    );
    assert_eq!(found, (Some(b"new".to_vec()), None));
}

#[test]
fn background_write_back_makes_everything_durable_in_the_end() {
    trial(5, |world| async move {
        let found = board();
        let notes = found.clone();
        let host = start(&world, "1", move || {
            let notes = notes.clone();
            async move {
                let disk = Disk::mount("data").expect("a disk");
                let file = disk.open("log", true).await.expect("a file");
                let len = file.len().await.expect("a length");
                notes.lock().push(len);
                file.append(&[1; 100_000]).await.expect("space");
                std::future::pending::<()>().await;
            }
        })
        .await;
        sleep_ms(60_000).await;
        world.power_cut(host);
        world.start(host).await;
        sleep_ms(10).await;
        assert_eq!(*found.lock(), [0, 100_000]);
    });
}

#[test]
fn a_sync_takes_its_time_and_covers_what_came_before_it() {
    for seed in 0..SEEDS {
        let found = after(
            seed,
            World::power_cut,
            |disk| async move {
                let file = durable(&disk, "log", &[1; 100]).await;
                file.append(&[2; 100]).await.expect("space");
                let late = file.clone();
                drop(crate::io::task::spawn("late", async move {
                    late.append(&[3; 100]).await.expect("space");
                }));
                let begin = crate::io::clock::now().mono_ns;
                file.sync().await.expect("synced");
                let us = (crate::io::clock::now().mono_ns - begin) / 1_000;
                assert!((500..=3_001).contains(&us), "{us} us");
                assert_eq!(file.len().await.expect("a length"), 300);
            },
            |disk| find(disk, "log"),
        );
        let found = found.expect("its name was synced");
        assert!(found.len() >= 200 && found[100..200].iter().all(|b| *b == 2), "seed {seed}");
    }
}

#[test]
fn a_removed_file_takes_no_space_once_its_directory_is_synced_and_its_last_handle_is_gone() {
    let config = WorldConfig {
        disk: super::super::disk::DiskConfig { capacity_bytes: 10_000, ..Default::default() },
        ..Default::default()
    };
    let story = |_| async {
        let disk = Disk::mount("data").expect("a disk");
        disk.create_dir_all("logs").await.expect("a directory");
        let file = disk.open("logs/a", true).await.expect("a file");
        file.append(&[0; 9_000]).await.expect("space");
        disk.remove("logs/a").await.expect("removed");
        disk.sync_dir("logs").await.expect("synced");
        assert_eq!(disk.volume().await.expect("known").usable, 1_000, "a handle is left");
        drop(file);
        assert_eq!(disk.volume().await.expect("known").usable, 10_000, "nothing waits to write it back");
    };
    run(1, config, story).outcome.expect("it ends well");
}

#[test]
fn a_full_disk_refuses_and_removed_files_make_room() {
    let config = WorldConfig {
        disk: super::super::disk::DiskConfig { capacity_bytes: 10_000, ..Default::default() },
        ..Default::default()
    };
    let story = |_| async {
        let disk = Disk::mount("data").expect("a disk");
        let file = disk.open("log", true).await.expect("a file");
        file.append(&[0; 9_000]).await.expect("space");
        assert_eq!(disk.volume().await.expect("known").usable, 1_000);
        assert_eq!(file.append(&[0; 1_001]).await.expect_err("full").kind(), ErrorKind::StorageFull);
        file.truncate(5_000).await.expect("cut");
        assert_eq!(disk.volume().await.expect("known").usable, 5_000);
        disk.remove("log").await.expect("removed");
        drop(file);
        sleep_ms(60_000).await;
        assert_eq!(disk.volume().await.expect("known").usable, 10_000);
    };
    run(1, config, story).outcome.expect("it ends well");
}
