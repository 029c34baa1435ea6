//! Bytes under way: delivery, loss, retransmission and windows.
//!
//! TCP loses no bytes, it delays them. What does not get through waits at the sender, and everything behind it
//! too, until a retransmission timer finds the way open again, or gives up. Without a way back for the
//! acknowledgements the open direction delivers one window and stalls.

use super::super::digest::content_hash;
use super::super::heap::{Entry, Event};
use super::super::record::EventKind;
use super::super::state::State;
use super::conn::{Chunk, ConnId, Phase};
use super::{Net, NetEvent};
use bytes::Bytes;
use std::io::{self, ErrorKind};
use std::task::{Context, Poll};

/// Linux's least retransmission timeout, `TCP_RTO_MIN`.
pub(super) const FIRST_TIMEOUT_NS: u64 = 200_000_000;
/// Linux's greatest, `TCP_RTO_MAX`.
const LAST_TIMEOUT_NS: u64 = 120_000_000_000;
/// Linux's `net.ipv4.tcp_retries2`: with the timeouts above, patience ends after about 15 minutes.
const RETRIES: u32 = 15;

impl State {
    /// Sends a chunk in direction `side`, or waits while the window is full.
    pub(super) fn poll_send(
        &mut self,
        id: ConnId,
        side: u8,
        bytes: &mut Option<Bytes>,
        cx: &Context<'_>,
    ) -> Poll<io::Result<()>> {
        let (us, peer) = (usize::from(side), usize::from(1 - side));
        let Net { conns, links, random, .. } = &mut self.net;
        let Some(conn) = conns.get(id) else { return Poll::Ready(Err(ErrorKind::ConnectionAborted.into())) };
        let (from, to) = (conn.ends[us].host as usize, conn.ends[peer].host as usize);
        let (end, flow) = (&mut conn.ends[us], &mut conn.flows[us]);
        if end.phase != Phase::Open || flow.ended {
            return Poll::Ready(Err(end.error.unwrap_or(ErrorKind::BrokenPipe).into()));
        }
        let acknowledged = !links[to][from].cut && self.hosts[to].powered;
        if acknowledged {
            flow.known_consumed = flow.consumed;
        }
        if flow.sent - flow.known_consumed >= self.config.net.window_bytes {
            end.writer.wait(cx.waker());
            return Poll::Pending;
        }
        let chunk = Chunk::Data(bytes.take().expect("a send is polled until it is ready"));
        flow.sent += chunk.len();
        let link = &links[from][to];
        if acknowledged && !link.cut && !link.troubled && flow.scheduled == flow.under_way.len() {
            // The way is open and nothing waits for a retransmission: nearly always.
            flow.under_way.push_back(chunk);
            let earliest = self.now + link.latency(random);
            let (time, epoch) = (flow.schedule(earliest), flow.epoch);
            self.push(time, Event::Net(NetEvent::Deliver { conn: id, side, epoch }));
        } else {
            self.put_under_way(id, side, chunk);
        }
        Poll::Ready(Ok(()))
    }

    /// Puts a chunk on its way; whether it gets through is seen when it would arrive.
    pub(super) fn put_under_way(&mut self, id: ConnId, side: u8, chunk: Chunk) {
        let us = usize::from(side);
        let Some(conn) = self.net.conn(id) else { return };
        let (from, to) = (conn.ends[us].host, conn.ends[1 - us].host);
        let flow = &mut conn.flows[us];
        let behind_a_loss = flow.scheduled < flow.under_way.len();
        flow.under_way.push_back(chunk);
        let (leaves, acknowledged) = (!self.is_cut(from, to), self.reaches(to, from));
        if leaves && !behind_a_loss {
            self.schedule_chunk(id, side, from, to);
        }
        if !leaves || !acknowledged || behind_a_loss {
            self.expect_retransmission(id, side);
        }
    }
    /// Gives the first unscheduled chunk its delivery.
    fn schedule_chunk(&mut self, conn: ConnId, side: u8, from: u32, to: u32) {
        let takes_ns = if self.net.links[from as usize][to as usize].troubled {
            self.troubled_chunk(conn, side, FIRST_TIMEOUT_NS)
        } else {
            self.latency(from, to)
        };
        let earliest = self.now + takes_ns;
        let flow = &mut self.net.conn(conn).expect("the caller holds it").flows[usize::from(side)];
        let (time, epoch) = (flow.schedule(earliest), flow.epoch);
        self.push(time, Event::Net(NetEvent::Deliver { conn, side, epoch }));
    }

    /// A chunk would arrive: nearly always it does.
    #[inline]
    pub(super) fn deliver(&mut self, entry: Entry, id: ConnId, side: u8, epoch: u32) {
        let (us, peer) = (usize::from(side), usize::from(1 - side));
        let Net { conns, links, .. } = &mut self.net;
        let Some(conn) = conns.get(id) else { return };
        let (from, to) = (conn.ends[us].host as usize, conn.ends[peer].host as usize);
        let flow = &mut conn.flows[us];
        if flow.epoch != epoch || flow.scheduled == 0 {
            return;
        }
        if links[from][to].cut
            || links[from][to].clogged
            || !self.hosts[to].powered
            || conn.ends[peer].phase != Phase::Open
        {
            return self.deliver_or_lose(entry, id, side, epoch);
        }
        self.take_in(entry, id, side);
    }
    /// A chunk would arrive at a host that cannot be reached, is off, or is not (or no longer) in the middle of the
    /// connection.
    #[cold]
    fn deliver_or_lose(&mut self, entry: Entry, id: ConnId, side: u8, epoch: u32) {
        if self.hold_delivery(&entry, id, side, epoch) {
            return;
        }
        let (us, peer) = (usize::from(side), usize::from(1 - side));
        let conn = self.net.conn(id).expect("the caller holds it");
        let (from, to, phase) = (conn.ends[us].host, conn.ends[peer].host, conn.ends[peer].phase);
        let is_end = matches!(conn.flows[us].under_way.front(), Some(Chunk::End));
        // What was under way when the link was cut gets through or not: a coin for each chunk.
        if !self.hears(to) || (self.is_cut(from, to) && self.net.random.chance(1, 2)) {
            self.happened(entry.time, entry.seq, EventKind::Lost, to, u64::from(id.slot));
            return self.lose(id, side);
        }
        match phase {
            Phase::Lingering if is_end => self.take_in(entry, id, side),
            Phase::Lingering | Phase::Gone => {
                self.happened(entry.time, entry.seq, EventKind::Lost, to, u64::from(id.slot) << 1 | 1);
                self.lose(id, side);
                self.send_reset(id, side);
            }
            Phase::Opening | Phase::Open => {
                self.take_in(entry, id, side);
                self.establish(id, side);
            }
        }
    }
    /// The receiving kernel takes the first chunk in.
    #[inline]
    fn take_in(&mut self, entry: Entry, id: ConnId, side: u8) {
        let (us, peer) = (usize::from(side), usize::from(1 - side));
        let conn = self.net.conn(id).expect("the caller holds it");
        let (to, flow) = (conn.ends[peer].host, &mut conn.flows[us]);
        let chunk = flow.take();
        conn.ends[peer].reader.wake();
        let from = conn.ends[us].host;
        match chunk {
            Chunk::Data(mut bytes) => {
                if self.net.links[from as usize][to as usize].troubled {
                    bytes = self.damaged((from, to), side == 0, bytes);
                }
                let flow = &mut self.net.conn(id).expect("just seen").flows[us];
                let hash = content_hash(&bytes);
                flow.arrived.push_back(bytes);
                self.messages += 1;
                self.happened(entry.time, entry.seq, EventKind::Deliver, to, hash);
            }
            Chunk::End => {
                self.net.conn(id).expect("just seen").flows[us].end_arrived = true;
                self.happened(entry.time, entry.seq, EventKind::End, to, u64::from(id.slot));
                self.end_delivered(id, side);
            }
        }
    }
    /// A closed end whose stream was delivered to its end is over.
    fn end_delivered(&mut self, id: ConnId, side: u8) {
        let us = usize::from(side);
        let Some(conn) = self.net.conn(id) else { return };
        if conn.ends[us].phase == Phase::Lingering {
            conn.ends[us].phase = Phase::Gone;
        }
        self.reap(id);
    }
    /// What is under way stays with the sender until it retransmits.
    fn lose(&mut self, id: ConnId, side: u8) {
        self.net.conn(id).expect("the caller holds it").flows[usize::from(side)].stall();
        self.expect_retransmission(id, side);
    }

    /// Reads the next chunk that arrived at `side`, or waits for it. Touches nothing but the connection; true means that
    /// the sender waits for room and is owed a window update.
    #[inline]
    pub(super) fn poll_recv(
        &mut self,
        id: ConnId,
        side: u8,
        cx: &Context<'_>,
    ) -> (Poll<io::Result<Option<Bytes>>>, bool) {
        let (us, peer) = (usize::from(side), usize::from(1 - side));
        let Some(conn) = self.net.conn(id) else {
            return (Poll::Ready(Err(ErrorKind::ConnectionAborted.into())), false);
        };
        let flow = &mut conn.flows[peer];
        if let Some(bytes) = flow.arrived.pop_front() {
            flow.consumed += bytes.len() as u64;
            let owed = conn.ends[peer].writer.is_waiting() && !flow.window_due;
            return (Poll::Ready(Ok(Some(bytes))), owed);
        }
        let poll = match (conn.ends[us].error, conn.ends[us].phase) {
            _ if flow.end_arrived => Poll::Ready(Ok(None)),
            (Some(error), _) => Poll::Ready(Err(error.into())),
            (None, Phase::Open) => {
                conn.ends[us].reader.wait(cx.waker());
                Poll::Pending
            }
            (None, _) => Poll::Ready(Err(ErrorKind::ConnectionAborted.into())),
        };
        (poll, false)
    }
    /// Tells the waiting sender of direction `side` that there is room.
    pub(super) fn send_window(&mut self, conn: ConnId, side: u8) {
        let us = usize::from(side);
        let Some(of) = self.net.conn(conn) else { return };
        of.flows[us].window_due = true;
        let (sender, reader) = (of.ends[us].host, of.ends[1 - us].host);
        let time = self.now + self.latency(reader, sender);
        self.push(time, Event::Net(NetEvent::Window { conn, side }));
    }
    pub(super) fn window_opened(&mut self, entry: Entry, id: ConnId, side: u8) {
        let us = usize::from(side);
        let Some(conn) = self.net.conn(id) else { return };
        conn.flows[us].window_due = false;
        let (sender, reader) = (conn.ends[us].host, conn.ends[1 - us].host);
        let arrives = self.reaches(reader, sender);
        self.happened(entry.time, entry.seq, EventKind::Window, sender, u64::from(arrives));
        if arrives {
            self.wake_sender(id, side);
        } else {
            self.expect_retransmission(id, side);
        }
    }
    fn wake_sender(&mut self, id: ConnId, side: u8) {
        let conn = self.net.conn(id).expect("the caller holds it");
        let flow = &mut conn.flows[usize::from(side)];
        flow.known_consumed = flow.consumed;
        conn.ends[usize::from(side)].writer.wake();
    }

    /// The way `from` to `to` was cut or `from` fell silent: senders at `to` hear of no room made from here on, and
    /// of no delivery.
    pub fn acks_stop(&mut self, from: u32, to: u32) {
        for id in self.net.conns.ids() {
            for side in [0u8, 1] {
                let conn = self.net.conn(id).expect("listed");
                let (us, peer) = (usize::from(side), usize::from(1 - side));
                if conn.ends[us].host == to && conn.ends[peer].host == from && conn.ends[us].sends() {
                    let flow = &mut conn.flows[us];
                    flow.known_consumed = flow.consumed;
                    if !flow.under_way.is_empty() || conn.ends[us].writer.is_waiting() {
                        self.expect_retransmission(id, side);
                    }
                }
            }
        }
    }
    /// Starts the retransmission timer of direction `side` unless it runs.
    pub(super) fn expect_retransmission(&mut self, id: ConnId, side: u8) {
        let now = self.now;
        let conn = self.net.conn(id).expect("the caller holds it");
        let (sends, flow) = (conn.ends[usize::from(side)].sends(), &mut conn.flows[usize::from(side)]);
        if !sends || std::mem::replace(&mut flow.retransmit_due, true) {
            return;
        }
        let timeout = (FIRST_TIMEOUT_NS << flow.retries).min(LAST_TIMEOUT_NS);
        self.push(now + timeout, Event::Net(NetEvent::Retransmit { conn: id, side }));
    }
    pub(super) fn retransmit(&mut self, entry: Entry, id: ConnId, side: u8) {
        let us = usize::from(side);
        let Some(conn) = self.net.conn(id) else { return };
        conn.flows[us].retransmit_due = false;
        if !conn.ends[us].sends() {
            return;
        }
        let (from, to, retries) = (conn.ends[us].host, conn.ends[1 - us].host, conn.flows[us].retries);
        let (leaves, acknowledged) = (self.reaches(from, to), self.reaches(to, from));
        self.happened(entry.time, entry.seq, EventKind::Retransmit, from, u64::from(retries));
        if leaves {
            self.resend(id, side, from, to);
        }
        if leaves && acknowledged {
            self.net.conn(id).expect("just seen").flows[us].retries = 0;
            self.wake_sender(id, side);
        } else if retries >= RETRIES {
            let conn = self.net.conn(id).expect("just seen");
            conn.ends[us].fail(ErrorKind::TimedOut);
            self.reap(id);
        } else {
            self.net.conn(id).expect("just seen").flows[us].retries += 1;
            self.expect_retransmission(id, side);
        }
    }
    /// Everything that was lost leaves once more.
    fn resend(&mut self, id: ConnId, side: u8, from: u32, to: u32) {
        let flow = &self.net.conn(id).expect("the caller holds it").flows[usize::from(side)];
        for _ in flow.scheduled..flow.under_way.len() {
            self.schedule_chunk(id, side, from, to);
        }
    }
}
