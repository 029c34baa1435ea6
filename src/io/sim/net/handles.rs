//! The facade: what a process holds of the network.

use super::super::world::World;
use super::conn::ConnId;
use crate::io::time::timeout;
use bytes::Bytes;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// A port that accepts connections; dropping it stops listening.
#[derive(Debug)]
pub struct Listener {
    world: World,
    host: u32,
    incarnation: u32,
    port: u16,
}

impl Listener {
    /// Listens at `port` of this node, or at any free one if it is 0. `host` is `0.0.0.0` or the node's own name or
    /// address.
    ///
    /// # Errors
    /// `AddrInUse`, or `AddrNotAvailable` for somebody else's address.
    pub fn bind(host: &str, port: u16) -> io::Result<Self> {
        let world = World::current();
        let (on, incarnation, port) = {
            let mut state = world.lock();
            let on = state.current();
            (on, state.host(on).incarnation, state.bind(on, host, port)?)
        };
        Ok(Self { world, host: on, incarnation, port })
    }
    /// Waits for the next connection.
    ///
    /// # Errors
    /// Only what the operating system reports; none of it ends the listener.
    pub async fn accept(&self) -> io::Result<Connection> {
        let id = poll_fn(|cx| self.world.lock().poll_accept(self.host, self.port, self.incarnation, cx)).await?;
        Ok(Connection::new(&self.world, id, 1))
    }
    /// The port listened at.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.world.lock_in_drop().unbind(self.host, self.port, self.incarnation);
    }
}

/// Connects to `host`, a name or an address, within `limit`.
///
/// # Errors
/// `NotFound` for an unknown host, `ConnectionRefused` if nobody listens there, `TimedOut` if nothing answers.
pub async fn connect(host: &str, port: u16, limit: Duration) -> io::Result<Connection> {
    let world = World::current();
    let id = {
        let mut state = world.lock();
        let from = state.current();
        state.start_connect(from, host, port)?
    };
    let attempt = Hold { world, id, side: 0 };
    timeout(limit, poll_fn(|cx| attempt.world.lock().poll_connected(id, cx))).await??;
    // The connection's own handles take over before the attempt's is released.
    Ok(Connection::new(&attempt.world, id, 0))
}

/// One handle of one end; dropping the last one closes the end.
#[derive(Debug)]
struct Hold {
    world: World,
    id: ConnId,
    side: u8,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.world.lock_in_drop().release(self.id, self.side);
    }
}

/// A connection to another node, in both directions.
#[derive(Debug)]
pub struct Connection {
    peer: Arc<str>,
    reader: Reader,
    writer: Writer,
}

impl Connection {
    /// Takes over one end; whoever held it until now lets go after.
    fn new(world: &World, id: ConnId, side: u8) -> Self {
        let peer = {
            let mut state = world.lock();
            state.take_over(id, side);
            state.peer_name(id, side)
        };
        let hold = || Hold { world: world.clone(), id, side };
        Self { peer, reader: Reader(hold()), writer: Writer(hold()) }
    }
    /// The other side's `address:port`.
    #[must_use]
    pub fn peer(&self) -> String {
        self.peer.to_string()
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
pub struct Reader(Hold);

impl Reader {
    /// The next bytes of the stream, `None` at its orderly end. Cancelling the wait loses nothing. Here, one send
    /// arrives as one chunk; over real TCP chunks have no meaning.
    ///
    /// # Errors
    /// `ConnectionReset` if the peer died, `TimedOut` if the kernel gave up on it.
    pub async fn recv(&mut self) -> io::Result<Option<Bytes>> {
        let Hold { world, id, side } = &self.0;
        poll_fn(|cx| {
            let (poll, window_owed) = world.state().lock().poll_recv(*id, *side, cx);
            if window_owed {
                world.lock().send_window(*id, 1 - *side);
            }
            poll
        })
        .await
    }
}

/// The sending direction of a connection; dropping it ends the stream.
#[derive(Debug)]
pub struct Writer(Hold);

impl Writer {
    /// Sends all of `bytes`, waiting while the send window is full. Done means on its way, not arrived. Cancelling
    /// the wait sends nothing here; over real TCP it may have sent a part, so the connection must then be dropped.
    ///
    /// # Errors
    /// `ConnectionReset` or `BrokenPipe` if the peer is gone, `TimedOut` if the kernel gave up on it.
    pub async fn send(&mut self, bytes: Bytes) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let Hold { world, id, side } = &self.0;
        let mut bytes = Some(bytes);
        poll_fn(|cx| world.lock().poll_send(*id, *side, &mut bytes, cx)).await
    }
    /// Ends the stream in an orderly way, after what was sent.
    ///
    /// # Errors
    /// None here; the real build reports what the operating system does.
    pub async fn close(&mut self) -> io::Result<()> {
        self.0.world.lock().end_stream(self.0.id, self.0.side);
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.world.lock_in_drop().end_stream(self.0.id, self.0.side);
    }
}
