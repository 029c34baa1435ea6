//! TCP.

use crate::io::time::timeout;
use bytes::{Bytes, BytesMut};
use std::io::{self, ErrorKind};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// What is read at once, at most, unless more memory happens to be at hand.
const READ_BYTES: usize = 64 * 1024;

/// A port that accepts connections; dropping it stops listening.
#[derive(Debug)]
pub struct Listener {
    listener: TcpListener,
    port: u16,
}

impl Listener {
    /// Listens at `port` of this node, or at any free one if it is 0. `host` is `0.0.0.0` or one of the node's names or
    /// addresses.
    ///
    /// # Errors
    /// `AddrInUse`, `AddrNotAvailable` and whatever else the operating system reports.
    pub fn bind(host: &str, port: u16) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((host, port))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        Ok(Self { listener: TcpListener::from_std(listener)?, port })
    }
    /// Waits for the next connection.
    ///
    /// # Errors
    /// Only what the operating system reports; none of it ends the listener.
    pub async fn accept(&self) -> io::Result<Connection> {
        let (stream, _) = self.listener.accept().await?;
        Connection::new(stream)
    }
    /// The port listened at.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// Connects to `host`, a name or an address, within `limit`.
///
/// # Errors
/// `ConnectionRefused` if nobody listens there, `TimedOut` if nothing answers, and what the resolver reports.
pub async fn connect(host: &str, port: u16, limit: Duration) -> io::Result<Connection> {
    Connection::new(timeout(limit, TcpStream::connect((host, port))).await??)
}

/// A connection to another node, in both directions.
#[derive(Debug)]
pub struct Connection {
    peer: String,
    reader: Reader,
    writer: Writer,
}

impl Connection {
    fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let peer = stream.peer_addr()?.to_string();
        let (read, write) = stream.into_split();
        Ok(Self { peer, reader: Reader { half: read, buffer: BytesMut::new() }, writer: Writer { half: Some(write) } })
    }
    /// The other side's `address:port`.
    #[must_use]
    pub fn peer(&self) -> String {
        self.peer.clone()
    }
    /// Divides it into its two directions; it is closed when both are dropped.
    #[must_use]
    pub fn split(self) -> (Reader, Writer) {
        (self.reader, self.writer)
    }
    /// See [`Reader::recv`].
    ///
    /// # Errors
    /// As there.
    pub async fn recv(&mut self) -> io::Result<Option<Bytes>> {
        self.reader.recv().await
    }
    /// See [`Writer::send`].
    ///
    /// # Errors
    /// As there.
    pub async fn send(&mut self, bytes: Bytes) -> io::Result<()> {
        self.writer.send(bytes).await
    }
}

/// The receiving direction of a connection.
#[derive(Debug)]
pub struct Reader {
    half: OwnedReadHalf,
    buffer: BytesMut,
}

impl Reader {
    /// The next bytes of the stream, `None` at its orderly end. Cancelling the wait loses nothing. Chunks have no
    /// meaning.
    ///
    /// # Errors
    /// `ConnectionReset` if the peer died, `TimedOut` if the kernel gave up on it.
    pub async fn recv(&mut self) -> io::Result<Option<Bytes>> {
        self.buffer.reserve(READ_BYTES);
        let read = self.half.read_buf(&mut self.buffer).await?;
        Ok((read > 0).then(|| self.buffer.split().freeze()))
    }
}

/// The sending direction of a connection; dropping it ends the stream.
#[derive(Debug)]
pub struct Writer {
    half: Option<OwnedWriteHalf>,
}

impl Writer {
    /// Sends all of `bytes`, waiting while the send window is full. Done means on its way, not arrived. After a
    /// cancelled wait a part may have been sent: the connection must then be dropped.
    ///
    /// # Errors
    /// `ConnectionReset` or `BrokenPipe` if the peer is gone, `TimedOut` if the kernel gave up on it.
    pub async fn send(&mut self, bytes: Bytes) -> io::Result<()> {
        self.half.as_mut().ok_or(ErrorKind::BrokenPipe)?.write_all(&bytes).await
    }
    /// Ends the stream in an orderly way, after what was sent.
    ///
    /// # Errors
    /// What the operating system reports.
    pub async fn close(&mut self) -> io::Result<()> {
        match self.half.take() {
            Some(mut half) => half.shutdown().await,
            None => Ok(()),
        }
    }
}
