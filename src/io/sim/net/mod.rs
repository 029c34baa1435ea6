//! TCP as programs meet it, between the hosts of the world.
//!
//! | file | holds |
//! |---|---|
//! | `handles` | the facade: listeners, connections, their halves |
//! | `conn` | what both kernels know of one connection |
//! | `flow` | bytes under way: delivery, loss, retransmission, windows |
//! | `setup` | opening and closing: handshake, refusal, end of stream, resets, deaths |
//! | `links` | latency and cuts by ordered pair of hosts |
//! | `damage` | what a flipped bit does to a frame |
//! | `trouble` | slow, lossy and clogged links, requests held back, forced resets |
//!
//! Absent on purpose: packets. A send travels as one chunk, so a frame that was sent whole arrives whole.

mod conn;
mod damage;
mod flow;
mod handles;
mod links;
mod setup;
mod trouble;

use super::heap::Entry;
use super::state::{Draws, State};
use conn::{Conn, ConnId, Conns};
pub use handles::{Connection, Listener, Reader, Writer, connect};
use links::Link;
use setup::Listening;
use std::collections::BTreeMap;
pub use trouble::SlowLink;
use trouble::Trouble;

/// The knobs of the network.
#[derive(Clone, Debug)]
pub struct NetConfig {
    /// Least and greatest latency between two hosts of one region, in microseconds.
    pub same_region_us: (u64, u64),
    /// Least and greatest latency between two hosts of different regions, in microseconds.
    pub cross_region_us: (u64, u64),
    /// Latency from a host to itself, in microseconds.
    pub loopback_us: u64,
    /// How many bytes of one direction may be under way or unread before the sender waits.
    pub window_bytes: u64,
}

impl Default for NetConfig {
    fn default() -> Self {
        Self {
            same_region_us: (1_000, 2_000),
            cross_region_us: (80_000, 100_000),
            loopback_us: 30,
            window_bytes: 1 << 20,
        }
    }
}

/// What reaches a kernel, or ends its patience. `side` is 0 for the end that connected and 1 for the other; a
/// direction is named by its sending side.
#[derive(Clone, Copy, Debug)]
pub(super) enum NetEvent {
    /// The first scheduled chunk of direction `side` arrives, unless the direction stalled since (`epoch`).
    Deliver { conn: ConnId, side: u8, epoch: u32 },
    /// The retransmission timer of direction `side` runs out.
    Retransmit { conn: ConnId, side: u8 },
    /// The sender of direction `side` learns that the reader made room.
    Window { conn: ConnId, side: u8 },
    /// A reset reaches `side`.
    Reset { conn: ConnId, side: u8 },
    /// A step of the handshake.
    Handshake { conn: ConnId, step: Step },
}

/// The steps of opening a connection.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// The client's first segment leaves, again.
    Retry,
    /// The client's first segment arrives.
    Syn,
    /// The server's consent arrives.
    SynAck,
    /// The server's refusal arrives.
    Refused,
    /// The client's confirmation arrives: the connection can be accepted.
    Ack,
}

/// All connections, listeners and links.
pub(super) struct Net {
    conns: Conns,
    listeners: BTreeMap<(u32, u16), Listening>,
    /// By sending host, then by receiving host.
    links: Vec<Vec<Link>>,
    /// What is wrong with links, by their ends.
    troubles: BTreeMap<(u32, u32), Trouble>,
    random: Draws,
}

impl Net {
    pub fn new(seed: u64) -> Self {
        Self {
            conns: Conns::default(),
            listeners: BTreeMap::new(),
            links: Vec::new(),
            troubles: BTreeMap::new(),
            random: Draws::new(seed, "network"),
        }
    }
    pub fn draws(&self) -> u64 {
        self.random.count
    }
    pub fn clear(&mut self) {
        self.listeners.clear();
        self.conns.clear();
        self.troubles.clear();
    }
    /// How many connections some kernel knows of.
    #[cfg(test)]
    pub fn connections(&self) -> usize {
        self.conns.ids().len()
    }
    #[inline]
    fn conn(&mut self, id: ConnId) -> Option<&mut Conn> {
        self.conns.get(id)
    }
}

impl State {
    /// Lets a network event happen.
    pub fn net_event(&mut self, entry: Entry, event: NetEvent) {
        match event {
            NetEvent::Deliver { conn, side, epoch } => self.deliver(entry, conn, side, epoch),
            NetEvent::Retransmit { conn, side } => self.retransmit(entry, conn, side),
            NetEvent::Window { conn, side } => self.window_opened(entry, conn, side),
            NetEvent::Reset { conn, side } => self.reset_arrived(entry, conn, side),
            NetEvent::Handshake { conn, step } => self.handshake(entry, conn, step),
        }
    }
}
