//! The writer in the simulated world.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::{Completion, LogHandle, Op};
use crate::base::{LeaderEpoch, Offset};
use crate::io::disk::Disk;
use crate::io::sim::WorldConfig;
use crate::io::sim::disk::DiskConfig;
use crate::io::time::sleep;
use crate::log::recovery::{OpenOptions, open};
use crate::log::state::LogState;
use crate::log::tests::{DIR, batch, simulated, small};

type Told = Arc<Mutex<Vec<String>>>;

fn text(completion: &Completion) -> String {
    match completion {
        Completion::Appended { generation, end, .. } => format!("appended {generation}:{end}"),
        Completion::Synced { generation, end } => format!("synced {generation}:{end}"),
        Completion::StartedAnew { generation } => format!("anew {generation}"),
        Completion::Closed { end } => format!("closed {end}"),
        Completion::Swapped { done } => format!("swapped {}", done.is_some()),
        Completion::Failed { error } => format!("failed {:?}", error.kind()),
    }
}

async fn opened() -> (LogHandle, Told) {
    let disk = Disk::mount("logs").unwrap();
    let (store, _) = open(&disk, DIR, small(), OpenOptions::default()).await.unwrap();
    let told = Told::default();
    let callback = told.clone();
    (LogHandle::start(store, move |c| callback.lock().push(text(&c))), told)
}

fn append(log: &LogHandle, base: i64, count: i32) -> Option<String> {
    let bytes = batch(base, count, 1, 7, 50);
    log.submit(Op::Append { bytes, generation: 0 }).as_ref().map(text)
}

async fn a_while() {
    sleep(Duration::from_millis(100)).await;
}

#[test]
fn an_append_to_an_idle_log_is_done_at_once() {
    simulated(1, WorldConfig::default(), |_| async {
        let (log, told) = opened().await;
        assert_eq!(append(&log, 0, 3), Some("appended 0:3".into()));
        let read = log.read(Offset(0), 1_000, Offset(3), true).await.unwrap();
        assert_eq!(read, batch(0, 3, 1, 7, 50));
        a_while().await;
        assert!(told.lock().is_empty(), "what was returned is not told again");
    });
}

#[test]
fn appends_behind_a_sync_wait_for_their_turn_and_are_joined() {
    simulated(2, WorldConfig::default(), |_| async {
        let (log, told) = opened().await;
        assert_eq!(append(&log, 0, 1), Some("appended 0:1".into()));
        assert!(log.submit(Op::Sync { generation: 0 }).is_none(), "a device needs time");
        assert_eq!((append(&log, 1, 1), append(&log, 2, 1)), (None, None));
        assert!(log.submit(Op::Sync { generation: 0 }).is_none());
        a_while().await;
        assert_eq!(*told.lock(), ["synced 0:1", "appended 0:3", "synced 0:3"]);
        assert_eq!(append(&log, 3, 1), Some("appended 0:4".into()), "an idle log is quick again");
    });
}

#[test]
fn completions_from_before_a_truncation_do_not_move_the_state() {
    simulated(3, WorldConfig::default(), |_| async {
        let (log, told) = opened().await;
        let mut state = LogState::default();
        state.append(LeaderEpoch(1), Offset(0), Offset(4));
        assert_eq!(append(&log, 0, 4), Some("appended 0:4".into()));
        assert!(log.submit(Op::Sync { generation: 0 }).is_none());
        assert_eq!(append(&log, 4, 2), None);
        state.append(LeaderEpoch(1), Offset(4), Offset(6));
        assert!(state.truncate_to(Offset(4)));
        assert!(log.submit(Op::Truncate { to: Offset(4), generation: state.generation() }).is_none());
        let bytes = batch(4, 1, 2, 9, 50);
        assert!(log.submit(Op::Append { bytes: bytes.clone(), generation: state.generation() }).is_none());
        a_while().await;
        assert_eq!(*told.lock(), ["synced 0:4", "appended 0:6", "appended 1:5"]);
        assert!(!state.appended(0, Offset(6)));
        assert_eq!(log.read(Offset(4), 1_000, Offset(5), true).await.unwrap(), bytes);
    });
}

#[test]
fn a_full_disk_fails_the_log_once_and_for_good() {
    let disk = DiskConfig { capacity_bytes: 1_000, ..DiskConfig::default() };
    simulated(4, WorldConfig { disk, ..WorldConfig::default() }, |_| async {
        let (log, told) = opened().await;
        let mut answers = Vec::new();
        for i in 0..20 {
            answers.extend(append(&log, i, 1));
        }
        let failures = answers.iter().filter(|a| a.starts_with("failed")).count();
        assert_eq!((failures, answers.last().unwrap().as_str()), (1, "failed StorageFull"));
        assert!(log.submit(Op::Sync { generation: 0 }).is_none());
        a_while().await;
        assert!(told.lock().is_empty());
        let read = log.read(Offset(0), 1_000, Offset(1), true).await.unwrap();
        assert_eq!(read, batch(0, 1, 1, 7, 50), "what is there can still be read");
    });
}

#[test]
fn everything_submitted_is_done_when_the_last_handle_goes() {
    simulated(5, WorldConfig::default(), |_| async {
        let (log, told) = opened().await;
        assert!(append(&log, 0, 1).is_some());
        assert!(log.submit(Op::Sync { generation: 0 }).is_none());
        assert!(append(&log, 1, 1).is_none());
        assert!(log.submit(Op::Close).is_none());
        drop(log);
        a_while().await;
        assert_eq!(*told.lock(), ["synced 0:1", "appended 0:2", "closed 2"]);
        let disk = Disk::mount("logs").unwrap();
        let options = OpenOptions { clean: true, ..OpenOptions::default() };
        let (_, recovered) = open(&disk, DIR, small(), options).await.unwrap();
        assert_eq!(recovered.state.log_end(), Offset(2));
    });
}
