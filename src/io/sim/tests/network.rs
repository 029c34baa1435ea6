//! TCP as programs meet it.

use super::*;
use crate::io::time::timeout;
use std::io::ErrorKind;

/// Milliseconds that `future` takes, and what it gives.
pub(super) async fn timed<F: Future>(world: &World, future: F) -> (u64, F::Output) {
    let begin = world.now_ns();
    let output = future.await;
    ((world.now_ns() - begin) / 1_000_000, output)
}

pub(super) fn trial_host(world: &World) -> HostId {
    world.host("trial").expect("the trial is a host")
}

/// A program that accepts one connection and then never reads from it.
async fn accept_and_ignore() {
    let listener = Listener::bind("0.0.0.0", 9092).expect("the port is free");
    let _held = listener.accept().await.expect("somebody comes");
    std::future::pending::<()>().await;
}

/// Sends until the window is full; how many bytes went.
async fn fill(connection: &mut Connection) -> usize {
    let chunk = Bytes::from(vec![0; 16 * 1024]);
    let mut sent = 0;
    while timeout(Duration::from_millis(500), connection.send(chunk.clone())).await.is_ok() {
        sent += chunk.len();
    }
    sent
}

#[test]
fn latency_lies_within_the_bounds_of_the_regions() {
    for seed in 0..20 {
        trial(seed, |world| async move {
            let far = world.create_host("far", "10.1.0.1", 1);
            world.set_program(far, echo);
            world.start(far).await;
            start(&world, "1", echo).await;
            sleep_ms(1).await;
            for (host, round_trip) in [("1", 2..=4), ("far", 160..=200)] {
                let (ms, connection) = timed(&world, dial(host)).await;
                assert!(round_trip.contains(&ms), "connecting to {host} took {ms} ms");
                let mut connection = connection;
                for _ in 0..20 {
                    let (ms, answer) = timed(&world, ask(&mut connection, "hello")).await;
                    assert!(round_trip.contains(&ms), "asking {host} took {ms} ms");
                    assert_eq!(answer.expect("it answers").as_deref(), Some(&b"hello"[..]));
                }
            }
        });
    }
}

#[test]
fn chunks_stay_whole_and_in_order_whatever_their_latency() {
    trial(1, |world| async move {
        start(&world, "1", echo).await;
        let (mut reader, mut writer) = dial("1").await.split();
        for i in 0..500u32 {
            writer.send(Bytes::copy_from_slice(&i.to_be_bytes())).await.expect("sent");
        }
        for i in 0..500u32 {
            assert_eq!(reader.recv().await.expect("received").as_deref(), Some(&i.to_be_bytes()[..]));
        }
    });
}

#[test]
fn nobody_listens_so_the_connection_is_refused_after_a_round_trip() {
    trial(2, |world| async move {
        start(&world, "1", std::future::pending).await;
        let (ms, result) = timed(&world, connect("1", 9092, LONG)).await;
        assert_eq!(result.expect_err("refused").kind(), ErrorKind::ConnectionRefused);
        assert!((2..=4).contains(&ms), "{ms} ms");
        let unknown = connect("nobody", 1, LONG).await.expect_err("no such host");
        assert_eq!(unknown.kind(), ErrorKind::NotFound);
    });
}

#[test]
fn a_host_that_is_off_is_silent_until_the_connect_times_out() {
    trial(3, |world| async move {
        let host = world.create_host("1", "10.0.0.1", 0);
        let (ms, result) = timed(&world, connect("1", 9092, Duration::from_secs(10))).await;
        assert_eq!((ms, result.expect_err("silence").kind()), (10_000, ErrorKind::TimedOut));
        // Without a limit of its own the kernel gives up after two minutes.
        let (ms, result) = timed(&world, connect("10.0.0.1", 9092, Duration::from_secs(1_000))).await;
        assert_eq!((ms / 1_000, result.expect_err("silence").kind()), (127, ErrorKind::TimedOut));
        // And a host that comes up in time is reached by a retry.
        world.set_program(host, echo);
        let attempt = crate::io::task::spawn("attempt", connect("1", 9092, LONG));
        sleep_ms(2_000).await;
        world.start(host).await;
        let (ms, result) = timed(&world, attempt).await;
        assert!(result.expect("not aborted").is_ok() && (900..1_100).contains(&ms), "{ms} ms");
    });
}

#[test]
fn a_connect_that_nobody_waits_for_any_more_leaves_nothing_behind() {
    trial(4, |world| async move {
        start(&world, "1", echo).await;
        sleep_ms(1).await;
        for us in (0..6_000).step_by(100) {
            assert!(connect("1", 9092, Duration::from_micros(us)).await.is_err() || us > 2_000);
        }
        sleep_ms(1_000).await;
        assert_eq!(world.state().lock().net.connections(), 0);
    });
}

#[test]
fn a_cut_is_silence_and_healing_brings_everything_late_but_whole() {
    for seed in 0..20 {
        trial(seed, |world| async move {
            let host = start(&world, "1", echo).await;
            let mut connection = dial("1").await;
            connection.send(Bytes::from_static(b"one")).await.expect("sent");
            world.isolate(host);
            connection.send(Bytes::from_static(b"two")).await.expect("the kernel takes it");
            assert!(timeout(Duration::from_secs(5), connection.recv()).await.is_err(), "silence, not an error");
            world.heal_all();
            for expected in ["one", "two"] {
                let bytes = connection.recv().await.expect("it comes").expect("more");
                assert_eq!(bytes, expected.as_bytes());
            }
        });
    }
}

#[test]
fn a_kernel_gives_a_cut_connection_up_after_a_quarter_of_an_hour() {
    trial(5, |world| async move {
        let host = start(&world, "1", echo).await;
        let mut connection = dial("1").await;
        world.isolate(host);
        connection.send(Bytes::from_static(b"lost")).await.expect("the kernel takes it");
        let (ms, result) = timed(&world, connection.recv()).await;
        assert_eq!((ms / 1_000, result.expect_err("given up").kind()), (924, ErrorKind::TimedOut));
    });
}

#[test]
fn a_one_way_cut_delivers_one_window_and_then_stalls() {
    trial(6, |world| async move {
        let arrived = board();
        let notes = arrived.clone();
        let host = start(&world, "1", move || {
            let notes = notes.clone();
            async move {
                let listener = Listener::bind("0.0.0.0", 9092).expect("the port is free");
                let mut connection = listener.accept().await.expect("somebody comes");
                while let Ok(Some(bytes)) = connection.recv().await {
                    notes.lock().push(bytes.len());
                }
            }
        })
        .await;
        let mut connection = dial("1").await;
        world.cut(host, trial_host(&world));
        let sent = fill(&mut connection).await;
        assert_eq!(sent, 1 << 20, "a window");
        assert_eq!(arrived.lock().iter().sum::<usize>(), sent, "the open direction delivers it");
        assert!(connect("1", 9092, Duration::from_secs(10)).await.is_err(), "new connects fail");
        world.heal(host, trial_host(&world));
        timeout(Duration::from_secs(120), connection.send(Bytes::from_static(b"more")))
            .await
            .expect("room")
            .expect("sent");
    });
}

#[test]
fn a_peer_that_does_not_read_stops_the_writer_until_it_reads() {
    trial(7, |world| async move {
        let host = start(&world, "1", echo).await;
        start(&world, "2", accept_and_ignore).await;
        sleep_ms(1).await;
        let mut ignored = dial("2").await;
        assert_eq!(fill(&mut ignored).await, 1 << 20);
        let mut connection = dial("1").await;
        ask(&mut connection, "hello").await.expect("it is accepted");
        world.pause(host);
        assert_eq!(fill(&mut connection).await, 1 << 20);
        world.resume(host);
        connection.send(Bytes::from_static(b"more")).await.expect("room again");
    });
}

#[test]
fn a_process_that_dies_resets_its_connections_after_one_latency() {
    trial(8, |world| async move {
        let host = start(&world, "1", echo).await;
        let mut connection = dial("1").await;
        ask(&mut connection, "hello").await.expect("it answers");
        world.crash(host);
        let (ms, result) = timed(&world, connection.recv()).await;
        assert_eq!(result.expect_err("reset").kind(), ErrorKind::ConnectionReset);
        assert!((1..=2).contains(&ms), "{ms} ms");
        assert!(connection.send(Bytes::from_static(b"late")).await.is_err());
        let refused = connect("1", 9092, LONG).await.expect_err("its kernel lives").kind();
        assert_eq!(refused, ErrorKind::ConnectionRefused);
    });
}

#[test]
fn a_power_cut_is_silent_and_the_revived_host_resets_what_it_does_not_know() {
    trial(9, |world| async move {
        let host = start(&world, "1", echo).await;
        let mut connection = dial("1").await;
        ask(&mut connection, "hello").await.expect("it answers");
        world.power_cut(host);
        let silence = timeout(Duration::from_secs(60), connection.recv()).await;
        assert!(silence.is_err(), "nobody tells");
        world.start(host).await;
        assert!(timeout(Duration::from_secs(60), connection.recv()).await.is_err(), "nor does coming back");
        let (ms, result) = timed(&world, ask(&mut connection, "who are you?")).await;
        assert_eq!(result.expect_err("unknown").kind(), ErrorKind::ConnectionReset);
        assert!((2..=4).contains(&ms), "{ms} ms");
    });
}

#[test]
fn bytes_that_wait_for_a_dead_host_are_reset_when_it_comes_back() {
    trial(10, |world| async move {
        let host = start(&world, "1", echo).await;
        let mut connection = dial("1").await;
        world.power_cut(host);
        connection.send(Bytes::from_static(b"anyone?")).await.expect("the kernel takes it");
        sleep_ms(5_000).await;
        world.start(host).await;
        let (ms, result) = timed(&world, connection.recv()).await;
        assert_eq!(result.expect_err("a retransmission found it").kind(), ErrorKind::ConnectionReset);
        assert!(ms < 7_000, "{ms} ms");
    });
}

#[test]
fn an_orderly_close_delivers_everything_first() {
    trial(11, |world| async move {
        let read = board();
        let notes = read.clone();
        start(&world, "1", move || {
            let notes = notes.clone();
            async move {
                let listener = Listener::bind("0.0.0.0", 9092).expect("the port is free");
                let mut connection = listener.accept().await.expect("somebody comes");
                while let Some(bytes) = connection.recv().await.expect("no error") {
                    notes.lock().push(bytes);
                }
                notes.lock().push(Bytes::from_static(b"end"));
            }
        })
        .await;
        sleep_ms(1).await;
        let mut connection = dial("1").await;
        for _ in 0..3 {
            connection.send(Bytes::from_static(b"x")).await.expect("sent");
        }
        drop(connection);
        sleep_ms(100).await;
        assert_eq!(*read.lock(), ["x", "x", "x", "end"]);
        assert_eq!(world.state().lock().net.connections(), 0, "both kernels are done with it");
    });
}

#[test]
fn half_a_connection_can_be_closed() {
    trial(12, |world| async move {
        start(&world, "1", || async {
            let listener = Listener::bind("0.0.0.0", 9092).expect("the port is free");
            let mut connection = listener.accept().await.expect("somebody comes");
            while connection.recv().await.expect("no error").is_some() {}
            connection.send(Bytes::from_static(b"all read")).await.expect("the other half is open");
        })
        .await;
        sleep_ms(1).await;
        let (mut reader, mut writer) = dial("1").await.split();
        writer.send(Bytes::from_static(b"x")).await.expect("sent");
        writer.close().await.expect("closed");
        assert!(writer.send(Bytes::from_static(b"y")).await.is_err());
        assert_eq!(reader.recv().await.expect("an answer").as_deref(), Some(&b"all read"[..]));
        assert_eq!(reader.recv().await.expect("and the end"), None);
    });
}

#[test]
fn what_was_sent_before_a_crash_still_arrives() {
    trial(13, |world| async move {
        let host = start(&world, "1", || async {
            let listener = Listener::bind("0.0.0.0", 9092).expect("the port is free");
            let mut connection = listener.accept().await.expect("somebody comes");
            connection.send(Bytes::from_static(b"last words")).await.expect("sent");
            std::future::pending::<()>().await;
        })
        .await;
        sleep_ms(1).await;
        let mut connection = dial("1").await;
        // The client's confirmation takes at most 2 ms, the answer is then on its way for at least 1 ms.
        sleep(Duration::from_micros(2_050)).await;
        world.crash(host);
        assert_eq!(connection.recv().await.expect("it was under way").as_deref(), Some(&b"last words"[..]));
        assert_eq!(connection.recv().await.expect_err("then the reset").kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_port_is_free_again_after_a_crash_and_taken_before() {
    trial(14, |world| async move {
        let host = start(&world, "1", || async {
            let listener = Listener::bind("0.0.0.0", 9092).expect("the port is free");
            let second = Listener::bind("1", 9092).expect_err("it is taken");
            assert_eq!(second.kind(), ErrorKind::AddrInUse);
            assert_eq!(Listener::bind("trial", 9093).expect_err("not ours").kind(), ErrorKind::AddrNotAvailable);
            assert_ne!(Listener::bind("0.0.0.0", 0).expect("any port").port(), 0);
            drop(listener);
            let again = Listener::bind("0.0.0.0", 9092).expect("free again");
            again.accept().await.expect("never");
        })
        .await;
        sleep_ms(5).await;
        for _ in 0..3 {
            world.crash(host);
            world.start(host).await;
            sleep_ms(5).await;
        }
    });
}

#[test]
fn a_host_talks_to_itself_across_any_cut() {
    trial(15, |world| async move {
        let answers = board();
        let notes = answers.clone();
        let host = start(&world, "1", move || {
            let notes = notes.clone();
            async move {
                drop(crate::io::task::spawn("server", echo()));
                sleep_ms(10).await;
                let mut connection = dial("1").await;
                let answer = ask(&mut connection, "me").await.expect("an answer");
                notes.lock().push(answer);
            }
        })
        .await;
        world.isolate(host);
        world.exited(host).await;
        assert_eq!(answers.lock().len(), 1);
    });
}
