//! One connection to one broker, as a future that its owner polls: connect, agree on API versions, then write and read at once.

use super::config::CommonConfig;
use crate::base::limits::SOCKET_REQUEST_MAX_BYTES;
use crate::io::{net, time};
use crate::wire::api::{self, ListenerKind};
use crate::wire::codec::{self, ResponseFrame, Rpc};
use crate::wire::frame::FrameReader;
use bytes::Bytes;
use kafka_protocol::messages::{ApiKey, ApiVersionsRequest};
use kafka_protocol::protocol::StrBytes;
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// The API versions of a broker.
pub(super) struct Versions(BTreeMap<i16, (i16, i16)>);

impl Versions {
    /// The highest version of `R` that the broker and we both speak.
    pub fn common<R: Rpc>(&self) -> Option<i16> {
        let (their_min, their_max) = *self.0.get(&R::API)?;
        let ours = api::lookup(ListenerKind::Broker, ApiKey::try_from(R::API).ok()?)?;
        let highest = their_max.min(ours.own);
        (highest >= their_min.max(ours.min)).then_some(highest)
    }
}

/// What the owner and the future exchange.
#[derive(Default)]
struct Pipe {
    outbox: VecDeque<Bytes>,
    inbox: VecDeque<ResponseFrame>,
    versions: Option<Versions>,
}

/// Remembers that the connection has something to do, and wakes the owner: so that an owner of many connections polls only
/// those that can go on.
#[derive(Default)]
struct Doorbell {
    rung: AtomicBool,
    owner: Mutex<Option<Waker>>,
}

impl Wake for Doorbell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }
    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        if let Some(owner) = &*self.owner.lock() {
            owner.wake_by_ref();
        }
    }
}

/// A connection that is being made, or is up.
pub(super) struct Link {
    driver: Pin<Box<dyn Future<Output = io::Result<()>> + Send>>,
    pipe: Arc<Mutex<Pipe>>,
    bell: Arc<Doorbell>,
    /// Rings the bell.
    waker: Waker,
}

impl Link {
    /// Starts to connect; nothing happens before the first [`Self::poll`].
    pub fn open(address: &(String, u16), cfg: &CommonConfig, setup: Duration) -> Self {
        let pipe = Arc::new(Mutex::new(Pipe::default()));
        let answer_within = Duration::from_millis(cfg.request_timeout_ms);
        let driver = Box::pin(drive(address.clone(), cfg.client_id.clone(), setup, answer_within, pipe.clone()));
        let bell = Arc::new(Doorbell { rung: AtomicBool::new(true), owner: Mutex::default() });
        let waker = Waker::from(bell.clone());
        Self { driver, pipe, bell, waker }
    }
    /// Queues a frame; the next [`Self::poll`] writes it.
    pub fn send(&self, frame: Bytes) {
        self.pipe.lock().outbox.push_back(frame);
        self.bell.rung.store(true, Ordering::Release);
    }
    /// The next frame that arrived.
    pub fn receive(&self) -> Option<ResponseFrame> {
        self.pipe.lock().inbox.pop_front()
    }
    /// What the broker speaks, once, when the connection has just come up.
    pub fn take_versions(&self) -> Option<Versions> {
        self.pipe.lock().versions.take()
    }
    /// Makes progress; false once the connection is dead.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        {
            let mut owner = self.bell.owner.lock();
            if !owner.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
                *owner = Some(cx.waker().clone());
            }
        }
        if !self.bell.rung.swap(false, Ordering::AcqRel) {
            return true;
        }
        match self.driver.as_mut().poll(&mut Context::from_waker(&self.waker)) {
            Poll::Pending => true,
            Poll::Ready(end) => {
                tracing::debug!(?end, "connection ended");
                false
            }
        }
    }
}

async fn drive(
    (host, port): (String, u16),
    client_id: String,
    setup: Duration,
    answer_within: Duration,
    pipe: Arc<Mutex<Pipe>>,
) -> io::Result<()> {
    let (reader, mut writer) = net::connect(&host, port, setup).await?.split();
    let mut frames = FrameReader::new(reader, SOCKET_REQUEST_MAX_BYTES);
    writer.send(hello(&client_id)?).await?;
    let answer = time::timeout(answer_within, frames.recv()).await.map_err(|_| io::ErrorKind::TimedOut)??;
    pipe.lock().versions = Some(versions(answer.ok_or(io::ErrorKind::UnexpectedEof)?)?);
    let reading = async {
        while let Some(frame) = frames.recv().await? {
            pipe.lock().inbox.push_back(ResponseFrame::read(frame).map_err(io::Error::other)?);
        }
        Ok(())
    };
    let writing = async {
        loop {
            // No waker is needed: whoever fills the outbox polls this future afterwards.
            let next = poll_fn(|_| pipe.lock().outbox.pop_front().map_or(Poll::Pending, Poll::Ready)).await;
            writer.send(next).await?;
        }
    };
    tokio::select! {
        biased;
        end = writing => end,
        end = reading => end,
    }
}

const HELLO_VERSION: i16 = 3;

fn hello(client_id: &str) -> io::Result<Bytes> {
    let request = ApiVersionsRequest::default()
        .with_client_software_name(StrBytes::from_static_str("ktrial"))
        .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
    codec::encode_request(0, client_id, HELLO_VERSION, &request).map_err(io::Error::other)
}

fn versions(frame: Bytes) -> io::Result<Versions> {
    let answer = ResponseFrame::read(frame).and_then(|f| f.decode::<ApiVersionsRequest>(HELLO_VERSION));
    let answer = answer.map_err(io::Error::other)?;
    if answer.error_code != 0 {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "ApiVersions was refused"));
    }
    Ok(Versions(answer.api_keys.iter().map(|k| (k.api_key, (k.min_version, k.max_version))).collect()))
}
