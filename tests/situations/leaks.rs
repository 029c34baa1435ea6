//! Leaks of nondeterminism are caught: a stray random draw, hash order, the wall clock, a dropped event. Each is let into
//! the second of two runs of one seed, and `diverge` must name the event at which the runs part.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use ktrial::io::sim::World;
use ktrial::io::{clock, net, time};
use ktrial::trial::determinism::twice;

type Trial = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Two hosts that exchange numbered messages for a while; `leak` runs before each message and may delay it, in
/// microseconds, or drop it.
fn chatter(leak: impl Fn(u64) -> Option<u64> + Send + Sync + 'static) -> impl FnOnce(World) -> Trial + Send + 'static {
    let leak = Arc::new(leak);
    move |world| {
        Box::pin(async move {
            let server = world.create_host("server", "10.0.0.1", 0);
            world.set_program(server, || async {
                let listener = net::Listener::bind("server", 9092).expect("a free port");
                let mut connection = listener.accept().await.expect("the client comes");
                while let Ok(Some(bytes)) = connection.recv().await {
                    if connection.send(bytes).await.is_err() {
                        return;
                    }
                }
            });
            let client = world.create_host("client", "10.0.0.2", 0);
            world.set_program(client, move || {
                let leak = leak.clone();
                async move {
                    time::sleep(Duration::from_millis(10)).await;
                    let connected = net::connect("server", 9092, Duration::from_secs(5)).await;
                    let mut connection = connected.expect("the server listens");
                    for n in 0..200u64 {
                        match leak(n) {
                            None => continue,
                            Some(0) => {}
                            Some(us) => time::sleep(Duration::from_micros(us)).await,
                        }
                        connection.send(n.to_be_bytes().to_vec().into()).await.expect("the server lives");
                        connection.recv().await.expect("the server answers");
                    }
                }
            });
            world.start(server).await;
            world.start(client).await;
            let until = clock::now().after_ms(2_000);
            time::sleep_until(until).await;
        })
    }
}

/// Runs `chatter` twice with a leak that knows which run it is in, and expects the divergence to be named.
fn expect_divergence(leak: impl Fn(u64, u64) -> Option<u64> + Send + Sync + Clone + 'static) {
    let runs = Arc::new(AtomicU64::new(0));
    let trial = move || {
        let run = runs.fetch_add(1, Ordering::SeqCst);
        let leak = leak.clone();
        chatter(move |n| leak(run, n))
    };
    let compared = twice(5, trial).expect("both runs record");
    let divergence = compared.divergence.expect("the leak makes the runs part");
    assert!(divergence.common > 50, "the runs have a common past: {divergence:?}");
    assert_ne!(divergence.first, divergence.second);
    assert!(divergence.first.contains(" s #"), "the event is named: {}", divergence.first);
}

#[test]
fn without_a_leak_there_is_nothing_to_name() {
    let compared = twice(5, || chatter(|_| Some(0))).expect("both runs record");
    assert_eq!(compared.divergence, None);
}

#[test]
fn an_extra_random_draw_is_named() {
    expect_divergence(|run, n| {
        if run == 1 && n == 100 {
            ktrial::io::rng("stray").next_u64();
        }
        Some(0)
    });
}

#[test]
fn hash_order_is_named() {
    // Each run's map has its own keys of hashing, as maps of two processes would.
    expect_divergence(|run, n| {
        let mut map: HashMap<u64, (), foreign::Hashing> = HashMap::with_hasher(foreign::Hashing(run));
        map.extend((0..64).map(|k| (k, ())));
        Some(if n >= 100 { map.keys().next().copied().unwrap_or(0) + 1 } else { 0 })
    });
}

/// A hasher with a seed from outside, like std's own in another process.
mod foreign {
    use std::hash::{BuildHasher, DefaultHasher, Hasher};

    #[derive(Clone)]
    pub struct Hashing(pub u64);

    impl BuildHasher for Hashing {
        type Hasher = DefaultHasher;
        fn build_hasher(&self) -> DefaultHasher {
            let mut hasher = DefaultHasher::new();
            hasher.write_u64(self.0);
            hasher
        }
    }
}

#[test]
fn the_wall_clock_is_named() {
    // A thread outside the world tells real time to whoever asks: a clock that no simulator intercepts. It is asked
    // for each message, so that the test does not hang on when the machine lets that thread run.
    let (ask, asked) = mpsc::channel::<mpsc::Sender<u64>>();
    let teller = std::thread::spawn(move || {
        let started = std::time::Instant::now();
        for asker in asked {
            asker.send(started.elapsed().as_nanos() as u64).expect("whoever asks waits");
        }
    });
    let real_ns = move || {
        let (answer, answered) = mpsc::channel();
        ask.send(answer).expect("the teller lives");
        answered.recv().expect("the teller answers")
    };
    expect_divergence(move |_, n| Some(if n >= 100 { real_ns() % 1_000 + 1 } else { 0 }));
    teller.join().expect("the teller ends with the last one who could ask");
}

#[test]
fn a_dropped_event_is_named() {
    expect_divergence(|run, n| if run == 1 && n == 100 { None } else { Some(0) });
}
