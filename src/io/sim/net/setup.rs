//! Opening and closing: handshake, refusal, end of stream, resets, and what the death of a process or of a host
//! does to its connections.

use super::super::heap::{Entry, Event};
use super::super::record::EventKind;
use super::super::state::State;
use super::conn::{Chunk, Conn, ConnId, End, Flow, Phase, Waiter};
use super::{NetEvent, Step};
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::task::{Context, Poll};

/// Linux sends the first segment of a connection again after a second, then after two, and so on.
const SYN_TIMEOUT_NS: u64 = 1_000_000_000;
/// Linux's `net.ipv4.tcp_syn_retries`: a connect gives up after 127 seconds.
const SYN_RETRIES: u32 = 6;

/// A port that a process listens at.
#[derive(Debug)]
pub(super) struct Listening {
    pub incarnation: u32,
    pub backlog: VecDeque<ConnId>,
    pub acceptor: Waiter,
}

/// Listening.
impl State {
    pub(super) fn bind(&mut self, on: u32, host: &str, port: u16) -> io::Result<u16> {
        let owner = self.host(on);
        if !(host == "0.0.0.0" || *host == *owner.name || *host == *owner.address) {
            return Err(io::Error::new(ErrorKind::AddrNotAvailable, format!("{host} is not an address of this host")));
        }
        let (incarnation, port) = (owner.incarnation, if port == 0 { self.free_port(on) } else { port });
        if self.net.listeners.contains_key(&(on, port)) {
            return Err(ErrorKind::AddrInUse.into());
        }
        let listening = Listening { incarnation, backlog: VecDeque::new(), acceptor: Waiter::default() };
        self.net.listeners.insert((on, port), listening);
        Ok(port)
    }
    fn free_port(&mut self, on: u32) -> u16 {
        let host = self.host_mut(on);
        host.last_port = if host.last_port >= 60_000 { 40_001 } else { host.last_port + 1 };
        host.last_port
    }
    /// The listener of this incarnation, if it still listens.
    fn listening(&mut self, on: u32, port: u16, incarnation: u32) -> Option<&mut Listening> {
        self.net.listeners.get_mut(&(on, port)).filter(|l| l.incarnation == incarnation)
    }
    pub(super) fn poll_accept(
        &mut self,
        on: u32,
        port: u16,
        incarnation: u32,
        cx: &Context<'_>,
    ) -> Poll<io::Result<ConnId>> {
        let Some(listening) = self.listening(on, port, incarnation) else {
            return Poll::Ready(Err(ErrorKind::ConnectionAborted.into()));
        };
        let Some(id) = listening.backlog.pop_front() else {
            listening.acceptor.wait(cx.waker());
            return Poll::Pending;
        };
        Poll::Ready(Ok(id))
    }
    /// Stops listening; whoever waits in the backlog is reset.
    pub(super) fn unbind(&mut self, on: u32, port: u16, incarnation: u32) {
        if self.listening(on, port, incarnation).is_none() {
            return;
        }
        let listening = self.net.listeners.remove(&(on, port)).expect("just seen");
        for id in listening.backlog {
            self.abandon(id, 1);
        }
    }
}

/// The handshake.
impl State {
    /// Starts connecting; the result shows at side 0 of the connection.
    pub(super) fn start_connect(&mut self, from: u32, host: &str, port: u16) -> io::Result<ConnId> {
        let Some(to) = self.names.get(host).copied() else {
            return Err(io::Error::new(ErrorKind::NotFound, format!("no host is called {host}")));
        };
        let local_port = self.free_port(from);
        let mut ours = End::new(from, self.host(from).address.clone(), local_port);
        ours.handles = 1;
        let mut theirs = End::new(to, self.host(to).address.clone(), port);
        theirs.phase = Phase::Gone;
        let conn =
            Conn { ends: [ours, theirs], flows: [Flow::default(), Flow::default()], syn_retries: 0, queued: false };
        let id = self.net.conns.insert(conn);
        self.send_syn(id);
        Ok(id)
    }
    fn send_syn(&mut self, id: ConnId) {
        let (from, to) = self.hosts_of(id);
        if self.is_cut(from, to) {
            self.retry_syn(id);
        } else {
            self.send_step(id, 0, Step::Syn);
        }
    }
    fn retry_syn(&mut self, id: ConnId) {
        let now = self.now;
        let conn = self.net.conn(id).expect("the caller holds it");
        let wait = SYN_TIMEOUT_NS << conn.syn_retries;
        conn.syn_retries += 1;
        self.push(now + wait, Event::Net(NetEvent::Handshake { conn: id, step: Step::Retry }));
    }
    fn send_step(&mut self, id: ConnId, side: usize, step: Step) {
        let conn = self.net.conn(id).expect("the caller holds it");
        let (from, to) = (conn.ends[side].host, conn.ends[1 - side].host);
        let takes_ns = if self.net.links[from as usize][to as usize].troubled {
            self.troubled_transit(from, to, 0, SYN_TIMEOUT_NS)
        } else {
            self.latency(from, to)
        };
        let earliest = self.now + takes_ns;
        let flow = &mut self.net.conn(id).expect("just seen").flows[side];
        let time = earliest.max(flow.not_before);
        flow.not_before = time;
        self.push(time, Event::Net(NetEvent::Handshake { conn: id, step }));
    }
    fn hosts_of(&mut self, id: ConnId) -> (u32, u32) {
        let conn = self.net.conn(id).expect("the caller holds it");
        (conn.ends[0].host, conn.ends[1].host)
    }

    pub(super) fn handshake(&mut self, entry: Entry, id: ConnId, step: Step) {
        let Some(conn) = self.net.conn(id) else { return };
        if matches!(step, Step::Syn | Step::SynAck | Step::Refused | Step::Retry)
            && conn.ends[0].phase != Phase::Opening
        {
            return;
        }
        let (client, server) = self.hosts_of(id);
        let (leaves, at_end) = if matches!(step, Step::Syn | Step::Ack) { (client, server) } else { (server, client) };
        if !matches!(step, Step::Retry) && self.holds(leaves, at_end, NetEvent::Handshake { conn: id, step }) {
            return;
        }
        let at = if matches!(step, Step::Syn | Step::Ack) { server } else { client };
        self.happened(entry.time, entry.seq, EventKind::Connect, at, u64::from(id.slot) << 8 | step as u64);
        match step {
            Step::Retry if self.net.conn(id).expect("just seen").syn_retries > SYN_RETRIES => {
                self.net.conn(id).expect("just seen").ends[0].fail(ErrorKind::TimedOut);
                self.reap(id);
            }
            Step::Retry => self.send_syn(id),
            Step::Syn if !self.reaches(client, server) => self.retry_syn(id),
            Step::Syn => self.syn_arrived(id),
            // Lost on its way back: the client asks again.
            Step::SynAck | Step::Refused if self.is_cut(server, client) => self.retry_syn(id),
            Step::SynAck => {
                let conn = self.net.conn(id).expect("just seen");
                conn.ends[0].phase = Phase::Open;
                conn.ends[0].reader.wake();
                self.send_step(id, 0, Step::Ack);
            }
            Step::Refused => {
                self.net.conn(id).expect("just seen").ends[0].fail(ErrorKind::ConnectionRefused);
                self.reap(id);
            }
            // A lost confirmation is made up for by the client's first bytes.
            Step::Ack if self.reaches(client, server) => self.establish(id, 0),
            Step::Ack => {}
        }
    }
    fn syn_arrived(&mut self, id: ConnId) {
        let conn = self.net.conn(id).expect("the caller holds it");
        let (server, port, phase) = (conn.ends[1].host, conn.ends[1].port, conn.ends[1].phase);
        let listens = self.net.listeners.contains_key(&(server, port));
        let again = phase == Phase::Opening;
        if listens || again {
            self.net.conn(id).expect("just seen").ends[1].phase = Phase::Opening;
            self.send_step(id, 1, Step::SynAck);
        } else {
            self.send_step(id, 1, Step::Refused);
        }
    }
    /// Something of the client, who sends in direction `side` 0, reached a server that waited for it: the
    /// connection can be accepted.
    pub(super) fn establish(&mut self, id: ConnId, side: u8) {
        let Some(conn) = self.net.conn(id) else { return };
        if side != 0 || conn.queued || conn.ends[1].phase != Phase::Opening {
            return;
        }
        conn.queued = true;
        conn.ends[1].phase = Phase::Open;
        conn.ends[1].handles = 1;
        let key = (conn.ends[1].host, conn.ends[1].port);
        match self.net.listeners.get_mut(&key) {
            Some(listening) => {
                listening.backlog.push_back(id);
                listening.acceptor.wake();
            }
            None => self.abandon(id, 1),
        }
    }
    /// How connecting went, as far as is known.
    pub(super) fn poll_connected(&mut self, id: ConnId, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let Some(conn) = self.net.conn(id) else { return Poll::Ready(Err(ErrorKind::ConnectionAborted.into())) };
        let end = &mut conn.ends[0];
        match (end.error, end.phase) {
            (Some(error), _) => Poll::Ready(Err(error.into())),
            (None, Phase::Opening) => {
                end.reader.wait(cx.waker());
                Poll::Pending
            }
            (None, _) => Poll::Ready(Ok(())),
        }
    }
    /// A connection's two halves take its end over: at side 0 from the attempt to connect, which still has to let
    /// go, at side 1 from the backlog.
    pub(super) fn take_over(&mut self, id: ConnId, side: u8) {
        if let Some(conn) = self.net.conn(id) {
            conn.ends[usize::from(side)].handles = 3 - side;
        }
    }
    /// The other side's `address:port`.
    pub(super) fn peer_name(&mut self, id: ConnId, side: u8) -> Arc<str> {
        let end = self.net.conn(id).map(|conn| &conn.ends[usize::from(1 - side)]);
        end.map_or_else(|| "".into(), |end| format!("{}:{}", end.address, end.port).into())
    }
}

/// Closing and dying.
impl State {
    /// Side `side` ends its stream, in order.
    pub(super) fn end_stream(&mut self, id: ConnId, side: u8) {
        let us = usize::from(side);
        let Some(conn) = self.net.conn(id) else { return };
        if conn.ends[us].phase == Phase::Open && !std::mem::replace(&mut conn.flows[us].ended, true) {
            self.put_under_way(id, side, Chunk::End);
        }
    }
    /// A process lets go of one handle of its end; the last one closes it.
    pub(super) fn release(&mut self, id: ConnId, side: u8) {
        let us = usize::from(side);
        let Some(conn) = self.net.conn(id) else { return };
        conn.ends[us].handles = conn.ends[us].handles.saturating_sub(1);
        if conn.ends[us].handles == 0 {
            self.close_end(id, side);
        }
    }
    /// Closes an end: the peer sees the end of the stream, or a reset if bytes were left unread (RFC 2525, 2.17).
    fn close_end(&mut self, id: ConnId, side: u8) {
        let (us, peer) = (usize::from(side), usize::from(1 - side));
        let Some(conn) = self.net.conn(id) else { return };
        match conn.ends[us].phase {
            Phase::Open if conn.flows[peer].arrived.is_empty() => {
                self.end_stream(id, side);
                let conn = self.net.conn(id).expect("just seen");
                let delivered = conn.flows[us].under_way.is_empty();
                conn.ends[us].phase = if delivered { Phase::Gone } else { Phase::Lingering };
            }
            Phase::Open | Phase::Opening => return self.abandon(id, side),
            Phase::Lingering | Phase::Gone => {}
        }
        self.reap(id);
    }
    /// The kernel of `side` forgets the connection at once and says so to the peer.
    fn abandon(&mut self, id: ConnId, side: u8) {
        let us = usize::from(side);
        let conn = self.net.conn(id).expect("the caller holds it");
        conn.ends[us].phase = Phase::Gone;
        conn.ends[us].handles = 0;
        conn.flows[1 - us].arrived.clear();
        if conn.ends[1 - us].phase != Phase::Gone {
            self.send_reset(id, 1 - side);
        }
        self.reap(id);
    }
    /// Sends a reset to `side`, behind what is under way to it.
    pub(super) fn send_reset(&mut self, conn: ConnId, side: u8) {
        let us = usize::from(side);
        let of = self.net.conn(conn).expect("the caller holds it");
        let (from, to, not_before) = (of.ends[1 - us].host, of.ends[us].host, of.flows[1 - us].not_before);
        if !self.is_cut(from, to) {
            let time = (self.now + self.latency(from, to)).max(not_before);
            self.push(time, Event::Net(NetEvent::Reset { conn, side }));
        }
    }
    pub(super) fn reset_arrived(&mut self, entry: Entry, id: ConnId, side: u8) {
        let us = usize::from(side);
        let Some(conn) = self.net.conn(id) else { return };
        let (from, to) = (conn.ends[1 - us].host, conn.ends[us].host);
        if conn.ends[us].phase == Phase::Gone || !self.reaches(from, to) {
            return;
        }
        if self.holds(from, to, NetEvent::Reset { conn: id, side }) {
            return;
        }
        self.happened(entry.time, entry.seq, EventKind::Reset, to, u64::from(id.slot));
        let conn = self.net.conn(id).expect("just seen");
        conn.ends[us].fail(ErrorKind::ConnectionReset);
        conn.flows[us].under_way.clear();
        conn.flows[us].stall();
        self.reap(id);
    }
    /// Forgets a connection that nobody holds and no kernel works for.
    pub(super) fn reap(&mut self, id: ConnId) {
        if self.net.conn(id).is_some_and(|conn| conn.is_over()) {
            self.net.conns.remove(id.slot);
        }
    }

    /// The ends of a host's connections.
    fn ends_of(&mut self, host: u32) -> Vec<(ConnId, u8)> {
        let mut ends = Vec::new();
        for id in self.net.conns.ids() {
            let conn = self.net.conn(id).expect("listed");
            ends.extend([0u8, 1].into_iter().filter(|s| conn.ends[usize::from(*s)].host == host).map(|s| (id, s)));
        }
        ends
    }
    fn stop_listening(&mut self, host: u32) {
        self.net.listeners.retain(|(on, _), _| *on != host);
    }
    /// The process ended by itself: its kernel closes what it held.
    pub fn close_sockets(&mut self, host: u32) {
        self.stop_listening(host);
        for (id, side) in self.ends_of(host) {
            if let Some(conn) = self.net.conn(id) {
                conn.ends[usize::from(side)].handles = 0;
                self.close_end(id, side);
            }
        }
    }
    /// The process died: peers that can be reached see a reset. What it had closed before goes on lingering.
    pub fn reset_sockets(&mut self, host: u32) {
        self.stop_listening(host);
        for (id, side) in self.ends_of(host) {
            let Some(conn) = self.net.conn(id) else { continue };
            let end = &mut conn.ends[usize::from(side)];
            end.handles = 0;
            match end.phase {
                Phase::Open | Phase::Opening => self.abandon(id, side),
                Phase::Lingering | Phase::Gone => self.reap(id),
            }
        }
    }
    /// The host lost its power: its peers hear nothing, and what had not left is lost.
    pub fn silence_sockets(&mut self, host: u32) {
        self.stop_listening(host);
        for other in 0..self.hosts.len() as u32 {
            self.acks_stop(host, other);
        }
        for (id, side) in self.ends_of(host) {
            let Some(conn) = self.net.conn(id) else { continue };
            let us = usize::from(side);
            conn.ends[us].handles = 0;
            conn.ends[us].phase = Phase::Gone;
            let leaving = conn.flows[us].scheduled;
            conn.flows[us].under_way.truncate(leaving);
            self.reap(id);
        }
    }
}
