//! Links that are slow, lossy or clogged, and machines that stand still.

use super::network::{timed, trial_host};
use super::*;
use crate::io::sim::net::SlowLink;
use crate::io::time::timeout;
use std::io::ErrorKind;

const NOTHING: SlowLink = SlowLink { latency: None, jitter: None, bytes_per_s: None };

/// A program that notes how many bytes arrive, and when.
async fn sink(world: World, notes: Board<(u64, Bytes)>) {
    let listener = Listener::bind("0.0.0.0", 9092).expect("the port is free");
    loop {
        let mut connection = listener.accept().await.expect("a listener accepts");
        let (world, notes) = (world.clone(), notes.clone());
        drop(crate::io::task::spawn("sink", async move {
            while let Ok(Some(bytes)) = connection.recv().await {
                notes.lock().push((world.now_ns() / 1_000_000, bytes));
            }
        }));
    }
}

/// A Kafka request frame of so many bytes in all.
fn request(api_key: i16, len: usize) -> Bytes {
    let mut frame = vec![0; len];
    frame[..4].copy_from_slice(&(len as u32 - 4).to_be_bytes());
    frame[4..6].copy_from_slice(&api_key.to_be_bytes());
    Bytes::from(frame)
}

#[test]
fn a_slow_link_has_a_latency_and_a_bandwidth_of_its_own_until_it_is_cured() {
    trial(1, |world| async move {
        let host = start(&world, "1", echo).await;
        let mut connection = dial("1").await;
        let slow = SlowLink { latency: Some(Duration::from_millis(300)), jitter: Some(Duration::ZERO), ..NOTHING };
        world.slow_link(trial_host(&world), host, Some(slow));
        let (ms, _) = timed(&world, ask(&mut connection, "hello")).await;
        assert!((301..=302).contains(&ms), "{ms} ms: one way is slow");
        let narrow = SlowLink { bytes_per_s: Some(100_000), ..NOTHING };
        world.slow_link(trial_host(&world), host, Some(narrow));
        let (ms, _) = timed(&world, async {
            for _ in 0..2 {
                connection.send(Bytes::from(vec![0; 50_000])).await.expect("sent");
            }
            for _ in 0..2 {
                connection.recv().await.expect("an answer");
            }
        })
        .await;
        assert!((1_000..1_010).contains(&ms), "{ms} ms for 100 kB");
        world.heal_all();
        let (ms, _) = timed(&world, ask(&mut connection, "hello")).await;
        assert!((2..=4).contains(&ms), "{ms} ms");
    });
}

#[test]
fn loss_is_a_delay_of_200_ms_and_its_doublings_and_keeps_the_order() {
    trial(2, |world| async move {
        let host = start(&world, "1", echo).await;
        let (mut reader, mut writer) = dial("1").await.split();
        world.lossy_link(trial_host(&world), host, 300_000);
        let mut late = [0; 3];
        for i in 0..200u32 {
            let (ms, answer) = timed(&world, async {
                writer.send(Bytes::copy_from_slice(&i.to_be_bytes())).await.expect("sent");
                reader.recv().await.expect("received")
            })
            .await;
            assert_eq!(answer.as_deref(), Some(&i.to_be_bytes()[..]));
            match ms {
                2..=4 => late[0] += 1,
                202..=204 => late[1] += 1,
                602..=604 | 1_402..=1_404 | 3_002..=3_004 | 6_202..=6_204 => late[2] += 1,
                other => panic!("{other} ms is no retransmission"),
            }
        }
        assert!((110..170).contains(&late[0]) && late[1] > 20 && late[2] > 5, "{late:?}");
        for i in 0..100u32 {
            writer.send(Bytes::copy_from_slice(&i.to_be_bytes())).await.expect("sent");
        }
        for i in 0..100u32 {
            assert_eq!(reader.recv().await.expect("received").as_deref(), Some(&i.to_be_bytes()[..]));
        }
    });
}

#[test]
fn a_clog_holds_everything_back_and_lets_it_go_in_order() {
    trial(3, |world| async move {
        let host = start(&world, "1", echo).await;
        let (mut reader, mut writer) = dial("1").await.split();
        writer.send(Bytes::from_static(b"0")).await.expect("sent");
        world.clog(trial_host(&world), host, true);
        for text in ["1", "2", "3"] {
            writer.send(Bytes::from_static(text.as_bytes())).await.expect("sent");
        }
        let attempt = crate::io::task::spawn("attempt", connect("1", 9092, LONG));
        assert!(timeout(Duration::from_secs(20), reader.recv()).await.is_err(), "nothing passes");
        world.clog(trial_host(&world), host, false);
        writer.send(Bytes::from_static(b"4")).await.expect("sent");
        let (ms, ()) = timed(&world, async {
            for text in ["0", "1", "2", "3", "4"] {
                assert_eq!(reader.recv().await.expect("received").expect("more"), text.as_bytes());
            }
        })
        .await;
        assert!(ms <= 8, "{ms} ms: no retransmission, they were only held");
        attempt.await.expect("not aborted").expect("the connect goes on too");
    });
}

#[test]
fn a_way_that_was_cut_twice_opens_when_both_cuts_are_taken_back() {
    trial(4, |world| async move {
        let host = start(&world, "1", echo).await;
        let mut connection = dial("1").await;
        let me = trial_host(&world);
        world.cut(me, host);
        world.isolate(host);
        world.uncut(me, host);
        assert!(timeout(Duration::from_secs(5), ask(&mut connection, "?")).await.is_err());
        world.uncut(me, host);
        world.uncut(host, me);
        assert_eq!(connection.recv().await.expect("received").expect("more"), &b"?"[..]);
        world.uncut(host, me);
        world.cut(me, host);
        world.heal(me, host);
        ask(&mut connection, "!").await.expect("one heal takes all back");
    });
}

#[test]
fn a_forced_reset_reaches_both_ends_and_the_hosts_can_connect_again() {
    trial(5, |world| async move {
        let host = start(&world, "1", echo).await;
        start(&world, "2", echo).await;
        let (mut connection, mut other) = (dial("1").await, dial("2").await);
        ask(&mut connection, "hello").await.expect("it answers");
        ask(&mut other, "hello").await.expect("it answers");
        assert_eq!(world.reset_connections(host, trial_host(&world)), 1);
        let (ms, result) = timed(&world, connection.recv()).await;
        assert_eq!(result.expect_err("reset").kind(), ErrorKind::ConnectionReset);
        assert!((1..=2).contains(&ms), "{ms} ms");
        ask(&mut dial("1").await, "again").await.expect("it answers");
        ask(&mut other, "still there?").await.expect("others are left alone");
    });
}

#[test]
fn a_request_that_is_held_back_arrives_after_its_retry() {
    trial(6, |world| async move {
        let arrived = board();
        let (notes, inside) = (arrived.clone(), world.clone());
        let host = start(&world, "1", move || sink(inside.clone(), notes.clone())).await;
        sleep_ms(1).await;
        world.delay_requests(trial_host(&world), host, 0, Duration::from_secs(30), 1);
        let begin = world.now_ns() / 1_000_000;
        let mut first = dial("1").await;
        first.send(request(3, 20)).await.expect("sent");
        first.send(request(0, 100)).await.expect("sent");
        first.send(request(3, 21)).await.expect("sent");
        sleep_ms(1_000).await;
        // The client gives up and tries again on another connection.
        drop(first);
        dial("1").await.send(request(0, 101)).await.expect("sent");
        sleep_ms(40_000).await;
        let seen: Vec<_> = arrived.lock().iter().map(|(ms, bytes)| ((ms - begin) / 1_000, bytes.len())).collect();
        assert_eq!(seen, [(0, 20), (1, 101), (30, 100), (30, 21)], "what follows on a connection waits as well");
    });
}

#[test]
fn a_frozen_machine_acknowledges_nothing_and_goes_on_where_it_stood() {
    for seed in 0..10 {
        trial(seed, |world| async move {
            let ticks = board();
            let notes = ticks.clone();
            let host = start(&world, "1", move || {
                let notes = notes.clone();
                async move {
                    drop(crate::io::task::spawn("echo", echo()));
                    loop {
                        sleep_ms(100).await;
                        notes.lock().push(());
                    }
                }
            })
            .await;
            let mut connection = dial("1").await;
            ask(&mut connection, "hello").await.expect("it answers");
            let before = ticks.lock().len();
            world.freeze(host);
            assert!(timeout(Duration::from_secs(5), ask(&mut connection, "one")).await.is_err());
            assert!(connect("1", 9092, Duration::from_secs(5)).await.is_err(), "its kernel is silent too");
            assert_eq!(ticks.lock().len(), before);
            world.heal_all();
            assert!(timeout(Duration::from_secs(5), connection.recv()).await.is_err(), "links are not what ails it");
            world.resume(host);
            assert_eq!(connection.recv().await.expect("it comes").expect("more"), &b"one"[..]);
            sleep_ms(1_000).await;
            assert!(ticks.lock().len() > before);
        });
    }
}

#[test]
fn a_frozen_machine_that_loses_its_power_is_heard_again_after_its_start() {
    trial(8, |world| async move {
        let host = start(&world, "1", echo).await;
        dial("1").await;
        world.freeze(host);
        world.power_cut(host);
        world.start(host).await;
        sleep_ms(5).await;
        ask(&mut dial("1").await, "hello").await.expect("it answers");
    });
}

/// A frame of a request with a record batch in it, as a producer sends it.
fn produce_request() -> Vec<u8> {
    let mut batch = vec![0; 61];
    batch[16] = 2;
    batch.extend_from_slice(b"records");
    let length = batch.len() as u32 - 12;
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    let crc = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    let mut frame = vec![0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1, b'h', b'i'];
    frame.extend_from_slice(&batch);
    let length = frame.len() as u32 - 4;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    frame
}

#[test]
fn a_damaged_frame_differs_in_one_bit_that_its_receiver_can_check() {
    trial(4, |world| async move {
        let host = start(&world, "1", echo).await;
        let (mut reader, mut writer) = dial("1").await.split();
        world.corrupt_frames(trial_host(&world), host, 500_000);
        let sent = produce_request();
        let (mut whole, mut header, mut records) = (0, 0, 0);
        for _ in 0..400 {
            writer.send(Bytes::from(sent.clone())).await.expect("sent");
            let got = reader.recv().await.expect("received").expect("an echo");
            let flipped: Vec<_> = (0..sent.len()).filter(|i| sent[*i] != got[*i]).collect();
            match flipped[..] {
                [] => whole += 1,
                [0 | 1 | 4 | 6] => header += 1,
                // Behind 14 bytes of header the batch begins, and its checksum covers it from 21 on.
                [at] if at >= 14 + 21 => records += 1,
                _ => panic!("flipped at {flipped:?}"),
            }
        }
        assert!(whole > 150 && header > 20 && records > 100, "{whole} {header} {records}");
        world.corrupt_frames(trial_host(&world), host, 0);
        for _ in 0..100 {
            writer.send(Bytes::from(sent.clone())).await.expect("sent");
            assert_eq!(reader.recv().await.expect("received").expect("an echo"), sent);
        }
    });
}
