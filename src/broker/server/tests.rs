//! Situations between a server and its clients, in the simulated world.

use super::*;
use crate::io::net::{self, Reader, Writer};
use crate::io::sim::{HostId, World, WorldConfig, run};
use crate::io::{clock, task};
use crate::wire::api::own_version_of;
use crate::wire::codec::{self, decode_request, encode_request, encode_response};
use crate::wire::conn::{RpcConn, RpcError};
use crate::wire::frame::FrameReader;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::Request as _;
use parking_lot::Mutex;
use std::io;

const PORT: u16 = 9092;
/// More nanoseconds than a task needs to run once it is woken.
const A_WAKE_UP: u64 = 10_000;
const SECOND: Duration = Duration::from_secs(1);

/// Answers CreateTopics after its `timeout_ms`, Metadata at once, Produce with `acks=0` never; and remembers who came.
#[derive(Default)]
struct Slow {
    running: Mutex<u32>,
    seen: Mutex<Vec<(i32, String)>>,
}

impl Handler for Slow {
    async fn handle(self: &Arc<Self>, request: Request) -> Reply {
        *self.running.lock() += 1;
        let reply = self.reply(&request).await;
        self.seen.lock().push((request.correlation_id, request.client_id.to_string()));
        let mut running = self.running.lock();
        assert_eq!(*running, 1, "a connection has one request at a time");
        *running -= 1;
        reply
    }
}

impl Slow {
    async fn reply(&self, request: &Request) -> Reply {
        let (id, version) = (request.correlation_id, request.version);
        let frame = match request.api {
            ApiKey::CreateTopics => {
                let Ok(create) = decode_request::<CreateTopicsRequest>(version, &request.body) else {
                    return Reply::Close;
                };
                sleep(Duration::from_millis(create.timeout_ms as u64)).await;
                encode_response(id, version, &CreateTopicsResponse::default())
            }
            ApiKey::Metadata => encode_response(id, version, &MetadataResponse::default().with_controller_id(7.into())),
            _ => return Reply::NoResponse,
        };
        frame.map_or(Reply::Close, Reply::Frame)
    }
}

fn create(timeout_ms: i32) -> CreateTopicsRequest {
    CreateTopicsRequest::default().with_timeout_ms(timeout_ms)
}

/// A broker that serves [`Slow`], and a client that does as it is told, each on its own host.
fn broker_and_client<F, Fut>(client: F) -> Arc<Slow>
where
    F: Fn(World, HostId) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let ran = run(1, WorldConfig::default(), move |world| async move {
        let handler = Arc::new(Slow::default());
        let broker = world.create_host("broker", "10.0.0.1", 0);
        let served = handler.clone();
        world.set_program(broker, move || {
            let handler = served.clone();
            async move {
                let mut tasks = TaskSet::new();
                let listener = Listener::bind("broker", PORT).expect("the port is free");
                serve(listener, ListenerKind::Broker, handler, &mut tasks);
                task::shutdown_requested().await;
            }
        });
        world.start(broker).await;
        let user = world.create_host("client", "10.0.0.2", 0);
        let (client, control) = (Arc::new(client), world.clone());
        world.set_program(user, move || {
            let (client, control) = (client.clone(), control.clone());
            async move { client(control, broker).await }
        });
        sleep(SECOND).await;
        world.start(user).await;
        world.exited(user).await;
        handler
    });
    ran.outcome.expect("nobody panics")
}

async fn connect() -> RpcConn {
    RpcConn::connect("broker", PORT, "tester", SECOND).await.expect("the broker listens")
}

async fn raw() -> (FrameReader, Writer) {
    let (reader, writer): (Reader, Writer) = net::connect("broker", PORT, SECOND).await.unwrap().split();
    (FrameReader::new(reader, 1 << 20), writer)
}

/// The broker still serves others.
async fn broker_is_well() {
    let version = own_version_of::<MetadataRequest>();
    let answer = connect().await.call(version, &MetadataRequest::default(), SECOND).await.unwrap();
    assert_eq!(answer.controller_id, 7);
}

#[test]
fn calls_are_answered_one_after_another() {
    let handler = broker_and_client(|_, _| async {
        let mut conn = connect().await;
        for timeout_ms in [30, 0, 10] {
            let before = clock::now().mono_ns;
            conn.call(7, &create(timeout_ms), SECOND).await.unwrap();
            assert!(clock::now().mono_ns - before >= timeout_ms as u64 * 1_000_000);
        }
        assert!(conn.is_usable());
    });
    assert_eq!(*handler.seen.lock(), [(0, "tester".into()), (1, "tester".into()), (2, "tester".into())]);
}

#[test]
fn a_pipeline_is_answered_in_order_one_request_at_a_time() {
    broker_and_client(|_, _| async {
        let (mut requests, mut responses) = connect().await.split();
        for timeout_ms in [50, 0, 20] {
            requests.send(7, &create(timeout_ms)).await.unwrap();
        }
        for expected in 0..3 {
            let response = responses.recv(None).await.unwrap();
            assert_eq!(response.correlation_id, expected);
            response.decode::<CreateTopicsRequest>(7).unwrap();
        }
        let deadline = clock::now().after_ms(5);
        assert!(matches!(responses.recv(Some(deadline)).await, Err(RpcError::Timeout)), "nobody else is to come");
        assert!((deadline..deadline + A_WAKE_UP).contains(&clock::now().mono_ns));
        requests.send(7, &create(0)).await.unwrap();
        let late = responses.recv(Some(clock::now().after_ms(500))).await.unwrap();
        assert_eq!(late.correlation_id, 3, "a deadline that passes costs nothing");
    });
}

#[test]
fn a_request_without_an_answer_does_not_hold_up_the_next() {
    broker_and_client(|_, _| async {
        let (mut requests, mut responses) = connect().await.split();
        requests.send(9, &ProduceRequest::default()).await.unwrap();
        requests.send(13, &MetadataRequest::default()).await.unwrap();
        assert_eq!(responses.recv(None).await.unwrap().correlation_id, 1);
    });
}

#[test]
fn an_answer_that_comes_too_late_ends_the_connection() {
    broker_and_client(|_, _| async {
        let mut conn = connect().await;
        let deadline = clock::now().after_ms(200);
        let late = conn.call(7, &create(5_000), Duration::from_millis(200)).await;
        assert!(matches!(late, Err(RpcError::Timeout)), "{late:?}");
        assert!((deadline..deadline + A_WAKE_UP).contains(&clock::now().mono_ns));
        let after = conn.call(7, &create(0), SECOND).await;
        assert!(matches!(&after, Err(RpcError::Closed(e)) if e.kind() == io::ErrorKind::NotConnected), "{after:?}");
        assert!(!conn.is_usable());
    });
}

#[test]
fn a_call_that_was_given_up_leaves_no_answer_for_the_next() {
    broker_and_client(|_, _| async {
        let mut conn = connect().await;
        let slow = create(100);
        let given_up = crate::io::time::timeout(Duration::from_millis(10), conn.call(7, &slow, SECOND)).await;
        assert!(given_up.is_err());
        assert!(matches!(conn.call(7, &create(0), SECOND).await, Err(RpcError::Closed(_))));
    });
}

#[test]
fn a_broker_that_crashes_takes_its_connections_along() {
    broker_and_client(|world, broker| async move {
        let mut conn = connect().await;
        let crash = task::spawn("crash", async move {
            sleep(Duration::from_millis(50)).await;
            world.crash(broker);
        });
        let lost = conn.call(7, &create(500), SECOND).await;
        assert!(matches!(lost, Err(RpcError::Closed(_))), "{lost:?}");
        crash.await.unwrap();
        assert!(matches!(RpcConn::connect("broker", PORT, "tester", SECOND).await, Err(RpcError::Closed(_))));
    });
}

#[test]
fn what_is_not_served_closes_that_connection_only() {
    broker_and_client(|_, _| async {
        let vote = encode_request(0, "me", 2, &VoteRequest::default()).unwrap();
        let mut from_the_future = encode_request(0, "me", 13, &MetadataRequest::default()).unwrap().to_vec();
        from_the_future[7] = 99;
        let unknown_api: &[u8] = &[0, 0, 0, 10, 3, 231, 0, 0, 0, 0, 0, 0, 255, 255];
        let endless: &[u8] = &[0x7f, 0xff, 0xff, 0xff, 0];
        for frame in [vote, from_the_future.into(), Bytes::from_static(unknown_api), Bytes::from_static(endless)] {
            let (mut frames, mut writer) = raw().await;
            writer.send(frame.clone()).await.unwrap();
            let end = frames.recv().await;
            assert!(matches!(end, Ok(None) | Err(_)), "{frame:?} is answered by {end:?}");
        }
        broker_is_well().await;
    });
}

#[test]
fn noise_closes_that_connection_only() {
    let handler = broker_and_client(|_, _| async {
        // A request of a served API whose body claims two billion topics.
        let body: &[u8] = &[0, 19, 0, 2, 0, 0, 0, 5, 255, 255, 0x7f, 0xff, 0xff, 0xff];
        let frame = [&(body.len() as u32).to_be_bytes(), body].concat();
        let (mut frames, mut writer) = raw().await;
        writer.send(frame.into()).await.unwrap();
        assert!(matches!(frames.recv().await, Ok(None) | Err(_)));
        broker_is_well().await;
    });
    assert_eq!(handler.seen.lock().len(), 2);
}

#[test]
fn a_request_in_pieces_is_one_request() {
    broker_and_client(|_, _| async {
        let (mut frames, mut writer) = raw().await;
        let frame = encode_request(3, "me", 13, &MetadataRequest::default()).unwrap();
        let two = [&frame[..], &frame[..]].concat();
        for piece in two.chunks(5) {
            writer.send(Bytes::copy_from_slice(piece)).await.unwrap();
            sleep(Duration::from_millis(1)).await;
        }
        for _ in 0..2 {
            let response = codec::ResponseFrame::read(frames.recv().await.unwrap().unwrap()).unwrap();
            assert_eq!(response.correlation_id, 3);
        }
        writer.close().await.unwrap();
        assert!(frames.recv().await.unwrap().is_none(), "the broker ends when its peer does");
    });
}

#[test]
fn every_client_learns_what_the_listener_serves() {
    broker_and_client(|_, _| async {
        let mut conn = connect().await;
        for version in 0..=2 {
            let answer = conn.call(version, &ApiVersionsRequest::default(), SECOND).await.unwrap();
            assert!(answer.api_keys.iter().any(|a| a.api_key == ProduceRequest::KEY && a.min_version == 3));
            assert!(answer.api_keys.iter().all(|a| a.api_key != VoteRequest::KEY));
        }
    });
}

#[test]
fn an_answer_to_another_question_is_noticed() {
    let ran = run(1, WorldConfig::default(), |world| async move {
        let liar = world.create_host("liar", "10.0.0.1", 0);
        world.set_program(liar, || async {
            let listener = Listener::bind("liar", PORT).unwrap();
            let (reader, mut writer) = listener.accept().await.unwrap().split();
            FrameReader::new(reader, 1_000).recv().await.unwrap().unwrap();
            writer.send(encode_response(41, 13, &MetadataResponse::default()).unwrap()).await.unwrap();
            task::shutdown_requested().await;
        });
        world.start(liar).await;
        let user = world.create_host("user", "10.0.0.2", 0);
        world.set_program(user, || async {
            let mut conn = RpcConn::connect("liar", PORT, "me", SECOND).await.unwrap();
            let lie = conn.call(13, &MetadataRequest::default(), SECOND).await;
            assert!(matches!(lie, Err(RpcError::Correlation { expected: 0, got: 41 })), "{lie:?}");
        });
        sleep(SECOND).await;
        world.start(user).await;
        world.exited(user).await;
    });
    ran.outcome.expect("nobody panics");
}
