//! Links with faults: slow, lossy, clogged, cut more than once; requests that are held back; resets out of nowhere.
//!
//! A link that is well costs nothing here: `Link::troubled` and `Link::clogged` are false. Everything below runs only
//! for links that the trial has given a fault.

use super::super::heap::{Entry, Event};
use super::super::record::EventKind;
use super::super::state::State;
use super::conn::{Chunk, ConnId, Phase};
use super::damage::damage;
use super::{Link, NetEvent};
use bytes::Bytes;
use std::time::Duration;

/// What Ethernet leaves for TCP's payload, in bytes.
const SEGMENT_BYTES: u64 = 1_448;
/// A segment that is lost this often is let through: the next doubling of its timeout would outlast any run.
const MAX_LOSSES: u32 = 12;
const MILLION: u64 = 1_000_000;

/// How a slow link carries bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlowLink {
    /// What every chunk takes at least, in place of the link's own latency.
    pub latency: Option<Duration>,
    /// Up to so much more, drawn for each chunk, in place of the link's own jitter.
    pub jitter: Option<Duration>,
    /// Bytes per second that the link carries, one chunk after the other; `None` for no limit.
    pub bytes_per_s: Option<u64>,
}

/// Requests that are to be held back.
#[derive(Clone, Copy, Debug)]
struct Delay {
    api_key: i16,
    by_ns: u64,
    left: u32,
}

/// What is wrong with a link.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    slow: Option<SlowLink>,
    /// Of a million segments, how many are lost.
    loss_ppm: u32,
    /// Of a million chunks, how many are damaged.
    corrupt_ppm: u32,
    delays: Vec<Delay>,
    /// A link of limited bandwidth carries one chunk after the other.
    busy_until: u64,
    /// What arrived while the link was clogged.
    held: Vec<NetEvent>,
}

impl Trouble {
    fn is_over(&self) -> bool {
        self.slow.is_none() && self.loss_ppm == 0 && self.corrupt_ppm == 0 && self.delays.is_empty()
    }
}

/// What bytes meet under way.
impl State {
    /// How long something of `len` bytes takes on a link with faults, in nanoseconds. What is lost on the way is sent
    /// again after `first_timeout_ns`, then after twice that, and so on.
    #[cold]
    pub(super) fn troubled_transit(&mut self, from: u32, to: u32, len: u64, first_timeout_ns: u64) -> u64 {
        let link = self.net.links[from as usize][to as usize];
        let now = self.now;
        let Some(trouble) = self.net.troubles.get_mut(&(from, to)) else { return link.latency(&mut self.net.random) };
        let ns = |d: Option<Duration>, own: u64| d.map_or(own, |d| d.as_nanos() as u64);
        let (mut base_ns, mut jitter_ns) = (link.base_ns, link.jitter_ns);
        if let Some(slow) = trouble.slow {
            (base_ns, jitter_ns) = (ns(slow.latency, base_ns), ns(slow.jitter, jitter_ns));
            if let Some(rate) = slow.bytes_per_s {
                let transfer = (len + 40).saturating_mul(1_000_000_000) / rate.max(1);
                trouble.busy_until = trouble.busy_until.max(now) + transfer;
                base_ns += trouble.busy_until - now;
            }
        }
        let loss_ppm = u64::from(trouble.loss_ppm);
        let mut wait_ns = Link { base_ns, jitter_ns, ..link }.latency(&mut self.net.random);
        let mut losses = 0;
        for _ in 0..len.div_ceil(SEGMENT_BYTES).max(1) {
            let mut lost = 0;
            while loss_ppm > 0 && lost < MAX_LOSSES && self.net.random.chance(loss_ppm, MILLION) {
                lost += 1;
            }
            losses = losses.max(lost);
        }
        // Segments that were lost are resent side by side: the unluckiest one decides.
        wait_ns += first_timeout_ns * ((1 << losses) - 1);
        wait_ns
    }
    /// How long the next chunk of a connection takes on a link with faults, in nanoseconds.
    #[cold]
    pub(super) fn troubled_chunk(&mut self, id: ConnId, side: u8, first_timeout_ns: u64) -> u64 {
        let conn = self.net.conn(id).expect("the caller holds it");
        let (us, peer) = (usize::from(side), usize::from(1 - side));
        let (from, to, flow) = (conn.ends[us].host, conn.ends[peer].host, &conn.flows[us]);
        let chunk = flow.under_way.get(flow.scheduled);
        let len = chunk.map_or(0, Chunk::len);
        let api_key = chunk.filter(|_| side == 0).and_then(Chunk::api_key);
        let held_back = api_key.map_or(0, |key| self.hold_back(from, to, key));
        self.troubled_transit(from, to, len, first_timeout_ns) + held_back
    }
    /// How long a request has to wait by order.
    fn hold_back(&mut self, from: u32, to: u32, api_key: i16) -> u64 {
        let Some(trouble) = self.net.troubles.get_mut(&(from, to)) else { return 0 };
        let Some(delay) = trouble.delays.iter_mut().find(|d| d.api_key == api_key) else { return 0 };
        delay.left -= 1;
        let by_ns = delay.by_ns;
        trouble.delays.retain(|d| d.left > 0);
        self.happens(EventKind::Trouble, to, 1 << 40 | u64::from(api_key.unsigned_abs()));
        self.settle_link(from, to);
        by_ns
    }
    /// True if what would happen at the end of a link has to wait because the link is clogged.
    pub(super) fn holds(&mut self, from: u32, to: u32, event: NetEvent) -> bool {
        if !self.net.links[from as usize][to as usize].clogged {
            return false;
        }
        self.net.troubles.entry((from, to)).or_default().held.push(event);
        true
    }
    /// Marks a link as troubled for as long as it is.
    fn settle_link(&mut self, from: u32, to: u32) {
        let over = self.net.troubles.get(&(from, to)).is_none_or(Trouble::is_over);
        self.net.links[from as usize][to as usize].troubled = !over;
    }
}

/// What the trial orders.
impl State {
    fn trouble(&mut self, from: u32, to: u32, what: u64, change: impl FnOnce(&mut Trouble)) {
        if from == to {
            return;
        }
        change(self.net.troubles.entry((from, to)).or_default());
        self.settle_link(from, to);
        self.happens(EventKind::Trouble, from, 1 << 41 | u64::from(to) << 8 | what);
    }
    pub fn slow_link(&mut self, from: u32, to: u32, slow: Option<SlowLink>) {
        self.trouble(from, to, 1, |trouble| trouble.slow = slow);
    }
    pub fn lossy_link(&mut self, from: u32, to: u32, loss_ppm: u32) {
        self.trouble(from, to, 2, |trouble| trouble.loss_ppm = loss_ppm);
    }
    pub fn corrupt_frames(&mut self, from: u32, to: u32, corrupt_ppm: u32) {
        self.trouble(from, to, 6, |trouble| trouble.corrupt_ppm = corrupt_ppm);
    }
    /// What arrives of a chunk at the end of a link with faults; `request` if it came from whoever has connected.
    #[cold]
    pub(super) fn damaged(&mut self, (from, to): (u32, u32), request: bool, chunk: Bytes) -> Bytes {
        let ppm = self.net.troubles.get(&(from, to)).map_or(0, |trouble| trouble.corrupt_ppm);
        if ppm == 0 || !self.net.random.chance(u64::from(ppm), MILLION) {
            return chunk;
        }
        self.happens(EventKind::Trouble, to, 1 << 42 | chunk.len() as u64);
        damage(&chunk, request, &mut self.net.random)
    }
    pub fn delay_requests(&mut self, from: u32, to: u32, api_key: i16, by: Duration, count: u32) {
        let delay = Delay { api_key, by_ns: by.as_nanos() as u64, left: count.max(1) };
        self.trouble(from, to, 3, |trouble| trouble.delays.push(delay));
    }
    /// Clogs a link, or lets everything through that has been waiting.
    pub fn clog(&mut self, from: u32, to: u32, clogged: bool) {
        let link = &mut self.net.links[from as usize][to as usize];
        if from == to || std::mem::replace(&mut link.clogged, clogged) == clogged {
            return;
        }
        self.trouble(from, to, 4, |_| {});
        if clogged {
            return;
        }
        let held = self.net.troubles.get_mut(&(from, to)).map(|t| std::mem::take(&mut t.held)).unwrap_or_default();
        let mut time = self.now;
        for event in held {
            // In their order, whatever each of them takes.
            time = time.max(self.now + self.latency(from, to));
            self.push(time, Event::Net(event));
        }
    }
    /// Ends everything that is wrong with a link, except that it may be cut.
    pub fn cure_link(&mut self, from: u32, to: u32) {
        if self.net.troubles.contains_key(&(from, to)) {
            self.clog(from, to, false);
            self.trouble(from, to, 5, |trouble| *trouble = Trouble::default());
            self.net.troubles.remove(&(from, to));
        }
    }
    /// Resets every connection between two hosts, as a firewall does that forgets them: each end hears it from its
    /// kernel.
    pub fn reset_between(&mut self, a: u32, b: u32) -> u32 {
        let mut reset = 0;
        for id in self.net.conns.ids() {
            let conn = self.net.conn(id).expect("listed");
            let hosts = (conn.ends[0].host, conn.ends[1].host);
            if hosts != (a, b) && hosts != (b, a) {
                continue;
            }
            let open = [0u8, 1].map(|side| conn.ends[usize::from(side)].phase != Phase::Gone);
            reset += u32::from(open[0] || open[1]);
            for side in [0u8, 1].into_iter().filter(|side| open[usize::from(*side)]) {
                self.send_reset(id, side);
            }
        }
        reset
    }
    /// Mutes a host, or lets it be heard again: nothing reaches its kernel and nothing leaves it.
    pub fn set_frozen(&mut self, host: u32, frozen: bool) {
        if std::mem::replace(&mut self.host_mut(host).frozen, frozen) == frozen {
            return;
        }
        for other in (0..self.hosts.len() as u32).filter(|other| *other != host) {
            for (from, to) in [(host, other), (other, host)] {
                self.change_cuts(from, to, |link| {
                    link.frozen_ends = if frozen { link.frozen_ends + 1 } else { link.frozen_ends.saturating_sub(1) };
                });
            }
        }
    }
    /// A chunk that would arrive at the end of a clogged link waits there.
    pub(super) fn hold_delivery(&mut self, entry: &Entry, id: ConnId, side: u8, epoch: u32) -> bool {
        let conn = self.net.conn(id).expect("the caller holds it");
        let (from, to) = (conn.ends[usize::from(side)].host, conn.ends[usize::from(1 - side)].host);
        let holds = self.holds(from, to, NetEvent::Deliver { conn: id, side, epoch });
        if holds {
            self.happened(entry.time, entry.seq, EventKind::Trouble, to, u64::from(id.slot));
        }
        holds
    }
}
