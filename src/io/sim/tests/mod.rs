//! Stories of the simulated world: one for each promise that it makes.

mod clocks;
mod determinism;
mod disk;
mod disk_faults;
mod lives;
mod network;
mod network_faults;

use super::{HostId, World, WorldConfig, run};
use crate::io::net::{Connection, Listener, connect};
use crate::io::time::sleep;
use bytes::Bytes;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(30);

/// Runs a trial that must not panic.
fn trial<T, F, Fut>(seed: u64, f: F) -> T
where
    T: Send + 'static,
    F: FnOnce(World) -> Fut + Send + 'static,
    Fut: Future<Output = T> + Send + 'static,
{
    let outcome = run(seed, WorldConfig::default(), f).outcome;
    outcome.unwrap_or_else(|panic| panic!("seed {seed}: {panic}"))
}

async fn sleep_ms(ms: u64) {
    sleep(Duration::from_millis(ms)).await;
}

/// Creates and starts a host.
async fn start<F, Fut>(world: &World, name: &str, program: F) -> HostId
where
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let host = world.create_host(name, &format!("10.0.0.{name}"), 0);
    world.set_program(host, program);
    world.start(host).await;
    host
}

/// A program that answers whatever it receives at port 9092.
async fn echo() {
    let listener = Listener::bind("0.0.0.0", 9092).expect("the port is free");
    loop {
        let mut connection = listener.accept().await.expect("a listener accepts");
        drop(crate::io::task::spawn("echo", async move {
            while let Ok(Some(bytes)) = connection.recv().await {
                if connection.send(bytes).await.is_err() {
                    break;
                }
            }
        }));
    }
}

async fn dial(host: &str) -> Connection {
    connect(host, 9092, LONG).await.expect("the echo server is up")
}

async fn ask(connection: &mut Connection, text: &'static str) -> std::io::Result<Option<Bytes>> {
    connection.send(Bytes::from_static(text.as_bytes())).await?;
    connection.recv().await
}

/// What programs on hosts leave for the trial to see.
type Board<T> = Arc<Mutex<Vec<T>>>;

fn board<T>() -> Board<T> {
    Arc::default()
}
