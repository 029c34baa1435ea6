//! The real build's smoke test: the binary serves a cluster on loopback, our own clients write and read, and what was
//! written is still there after a stop and another start.
#![cfg(not(madsim))]

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use ktrial::base::TopicPartition;
use ktrial::client::{Admin, AdminConfig, Consumer, ConsumerConfig, NewTopic, Producer, ProducerConfig, Record};
use ktrial::io::task::TaskSet;

const RECORDS: usize = 1_000;
/// How long a start, a stop, or a round of writing or reading may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(25);

/// A folder of the test's own, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ktrial-real-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder of our own");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The first of `brokers` ports in a row that are free, and those of their controllers above them.
fn free_ports(brokers: u16) -> u16 {
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let row = |first: u16| (first..first + brokers).all(|port| free(port) && free(port + 1_000));
    // Below the ports that the kernel hands out, and each process of the test somewhere else.
    let start = 20_000 + (std::process::id() % 80) as u16 * 100;
    (start..start + 1_000).step_by(10).find(|first| row(*first)).expect("free ports on loopback")
}

fn ktrial_serve(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ktrial"));
    command.arg("serve").args(words);
    command
}

/// A cluster in a process of its own; killed if the test fails before it stops.
struct Cluster {
    process: Child,
    bootstrap: String,
}

impl Cluster {
    /// Starts a cluster and waits until it says that it serves.
    fn start((brokers, controllers): (u16, u16), port: u16, data: &Path) -> Self {
        let [brokers, controllers, port] = [brokers, controllers, port].map(|number| number.to_string());
        let mut command = ktrial_serve(&["--brokers", &brokers, "--controllers", &controllers, "--port", &port]);
        let mut process = command.arg("--data").arg(data).stdout(Stdio::piped()).spawn().expect("the binary starts");
        let lines = lines_of(&mut process);
        let mut cluster = Self { process, bootstrap: String::new() };
        let deadline = Instant::now() + PATIENCE;
        while cluster.bootstrap.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = lines.recv_timeout(left).expect("the cluster says that it is ready");
            if let Some(ready) = line.strip_prefix("ready: bootstrap.servers=") {
                cluster.bootstrap = ready.split(';').next().expect("addresses").to_owned();
            }
        }
        cluster
    }

    /// Asks the process to stop, as an operator would, and waits for its end.
    fn stop(mut self) -> ExitStatus {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs").success());
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.process.try_wait().expect("a child to wait for") {
                return status;
            }
            assert!(Instant::now() < deadline, "the cluster does not stop");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What the process prints, line by line, so that waiting for a line can have an end.
fn lines_of(process: &mut Child) -> Receiver<String> {
    let out = BufReader::new(process.stdout.take().expect("a piped output"));
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    lines
}

fn topic() -> TopicPartition {
    TopicPartition { topic: "smoke".into(), partition: 0 }
}

fn value(number: usize) -> String {
    format!("record {number}")
}

async fn create_topic(bootstrap: &str, replication_factor: i16) {
    let mut config = AdminConfig::default();
    config.set("bootstrap.servers", bootstrap).expect("addresses");
    let topic = NewTopic { name: topic().topic, partitions: 1, replication_factor, ..NewTopic::default() };
    let created = Admin::new(config).expect("an admin client").create_topics(&[topic]).await;
    assert_eq!(created, Ok(vec![Ok(())]));
}

async fn write(bootstrap: &str) {
    let mut config = ProducerConfig::default();
    config.set("bootstrap.servers", bootstrap).expect("addresses");
    config.set("acks", "all").expect("acks");
    let mut tasks = TaskSet::new();
    let producer = Producer::start(config, &mut tasks).expect("a producer");
    let (sender, delivered) = mpsc::channel();
    for number in 0..RECORDS {
        let record =
            Record { topic: topic().topic, partition: Some(0), value: Some(value(number).into()), ..Record::default() };
        let sender = sender.clone();
        producer.send(record, move |d| sender.send((number, d.result)).expect("the test listens")).await;
    }
    producer.flush().await;
    producer.close(PATIENCE).await;
    drop(sender);
    let delivered: Vec<_> = delivered.into_iter().collect();
    assert_eq!(delivered.len(), RECORDS);
    for (number, result) in delivered {
        assert_eq!(result.expect("acknowledged").offset.0, number as i64);
    }
}

/// Reads everything from the beginning and compares it with what was written.
async fn read(bootstrap: &str) {
    let mut config = ConsumerConfig::default();
    config.set("bootstrap.servers", bootstrap).expect("addresses");
    let mut consumer = Consumer::new(config).expect("a consumer");
    consumer.assign([topic()]);
    consumer.seek_to_beginning(&topic()).expect("an assigned partition");
    let mut read = Vec::new();
    while read.len() < RECORDS {
        for record in consumer.poll(Duration::from_secs(1)).await.expect("records") {
            assert_eq!(record.offset.0, read.len() as i64);
            read.push(String::from_utf8(record.value.expect("a value").to_vec()).expect("text"));
        }
    }
    assert_eq!(read, (0..RECORDS).map(value).collect::<Vec<_>>());
}

/// Runs a client's work, but not for ever.
fn within_patience(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { ktrial::io::time::timeout(PATIENCE, work).await.expect("done in time") });
}

/// With so many brokers, and controllers that are nodes of their own.
fn written_once_read_twice(brokers: u16, controllers: u16) {
    let folder = Folder::new(&format!("{brokers}-brokers-{controllers}-controllers"));
    let port = free_ports(brokers);
    let nodes = (brokers, controllers);
    let cluster = Cluster::start(nodes, port, &folder.0);
    within_patience(async {
        create_topic(&cluster.bootstrap, brokers as i16).await;
        write(&cluster.bootstrap).await;
        read(&cluster.bootstrap).await;
    });
    assert_eq!(cluster.stop().code(), Some(0));
    let again = Cluster::start(nodes, port, &folder.0);
    within_patience(read(&again.bootstrap));
    assert_eq!(again.stop().code(), Some(0));
}

// One after the other: both look for free ports, and both are timed.
#[test]
fn what_a_cluster_acknowledged_is_there_after_a_restart() {
    written_once_read_twice(1, 0);
    written_once_read_twice(3, 0);
    written_once_read_twice(3, 1);
}

/// Runs a command line that must be refused before anything starts.
fn refused(words: &[&str]) -> String {
    let Output { status, stdout, stderr } = ktrial_serve(words).output().expect("the binary starts");
    assert_eq!((status.code(), stdout.as_slice()), (Some(2), &b""[..]), "{words:?}");
    String::from_utf8(stderr).expect("text")
}

#[test]
fn a_misspelt_setting_is_refused_and_the_nearest_one_named() {
    let said = refused(&["--config", "min.insync.replica=1"]);
    assert!(said.contains(r#"did you mean "min.insync.replicas"?"#), "{said}");
    assert!(refused(&["--config", "min.insync.replicas=none"]).contains("is not a whole number"));
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let said = refused(&["--brokers", "1", "--port", &port]);
    assert!(said.contains(&format!("cannot listen on 127.0.0.1:{port}: ")), "{said}");
}

#[test]
fn a_cluster_is_not_served_with_another_number_of_brokers() {
    let folder = Folder::new("others");
    std::fs::create_dir(folder.0.join("broker-1")).expect("a folder");
    let said = refused(&["--brokers", "3", "--data", folder.0.to_str().expect("UTF-8")]);
    assert!(said.contains("holds a cluster with --brokers 1, not 3"), "{said}");
    let said = refused(&["--brokers", "1", "--controllers", "1", "--data", folder.0.to_str().expect("UTF-8")]);
    assert!(said.contains("holds a cluster with --controllers 0, not 1"), "{said}");
}
