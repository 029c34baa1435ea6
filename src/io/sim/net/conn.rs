//! What both kernels know of one connection.

use bytes::Bytes;
use std::collections::VecDeque;
use std::io::ErrorKind;
use std::sync::Arc;
use std::task::Waker;

/// Names a connection for as long as the run lasts: slots are used again, generations are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct ConnId {
    pub slot: u32,
    pub generation: u32,
}

/// What the kernel of one end does for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Waits for the other side's part of the handshake.
    Opening,
    /// Carries bytes both ways.
    Open,
    /// The process has closed it; the kernel still delivers what was sent.
    Lingering,
    /// The kernel knows nothing of it: bytes that arrive are answered with a reset.
    Gone,
}

/// One end of a connection.
#[derive(Debug)]
pub(super) struct End {
    pub host: u32,
    pub address: Arc<str>,
    pub port: u16,
    pub phase: Phase,
    /// How many handles of the process hold this end: nothing is forgotten before they are dropped.
    pub handles: u8,
    /// What the process is told when it next sends or has read all that arrived.
    pub error: Option<ErrorKind>,
    pub reader: Waiter,
    pub writer: Waiter,
}

impl End {
    pub fn new(host: u32, address: Arc<str>, port: u16) -> Self {
        let (reader, writer) = (Waiter::default(), Waiter::default());
        Self { host, address, port, phase: Phase::Opening, handles: 0, error: None, reader, writer }
    }
    /// The kernel still sends and retransmits.
    pub fn sends(&self) -> bool {
        matches!(self.phase, Phase::Open | Phase::Lingering)
    }
    /// The kernel forgets the connection, and the process will hear why.
    pub fn fail(&mut self, error: ErrorKind) {
        self.phase = Phase::Gone;
        self.error.get_or_insert(error);
        self.reader.wake();
        self.writer.wake();
    }
}

/// A task that may be waiting. Its waker is kept for the next time, since it is nearly always the same task.
#[derive(Debug, Default)]
pub(super) struct Waiter {
    waker: Option<Waker>,
    waiting: bool,
}

impl Waiter {
    #[inline]
    pub fn wait(&mut self, waker: &Waker) {
        self.waiting = true;
        match &mut self.waker {
            Some(kept) => kept.clone_from(waker),
            None => self.waker = Some(waker.clone()),
        }
    }
    #[inline]
    pub fn wake(&mut self) {
        if std::mem::take(&mut self.waiting) {
            self.waker.as_ref().expect("who waits has left a waker").wake_by_ref();
        }
    }
    #[inline]
    pub fn is_waiting(&self) -> bool {
        self.waiting
    }
}

/// What a sender put on its way.
#[derive(Debug)]
pub(super) enum Chunk {
    Data(Bytes),
    /// The orderly end of the stream.
    End,
}

impl Chunk {
    /// How much of the window it takes, in bytes.
    #[inline]
    pub fn len(&self) -> u64 {
        match self {
            Self::Data(bytes) => bytes.len() as u64,
            Self::End => 0,
        }
    }
    /// The key of the API if it is a Kafka request that was sent whole: a 32-bit length, then the 16-bit key.
    pub fn api_key(&self) -> Option<i16> {
        let Self::Data(bytes) = self else { return None };
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let key = rest.first_chunk::<2>()?;
        (u32::from_be_bytes(*length) as usize == rest.len()).then(|| i16::from_be_bytes(*key))
    }
}

/// One direction of a connection.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// Sent and not yet delivered, in order.
    pub under_way: VecDeque<Chunk>,
    /// How many chunks at the front have a delivery in the heap; the others wait for a retransmission.
    pub scheduled: usize,
    /// Raised when a chunk is lost: deliveries scheduled before are void.
    pub epoch: u32,
    /// Chunks are never delivered before this, so that they stay in order.
    pub not_before: u64,
    pub sent: u64,
    /// Read by the receiving process.
    pub consumed: u64,
    /// What the sender knows of `consumed`; stands still while no acknowledgement gets through.
    pub known_consumed: u64,
    /// A window update is in the heap.
    pub window_due: bool,
    /// A retransmission is in the heap.
    pub retransmit_due: bool,
    pub retries: u32,
    /// The sender has ended the stream.
    pub ended: bool,
    /// Delivered and not yet read.
    pub arrived: VecDeque<Bytes>,
    /// The end of the stream has been delivered.
    pub end_arrived: bool,
}

impl Flow {
    /// Schedules the first chunk that is not, and says for when.
    #[inline]
    pub fn schedule(&mut self, earliest: u64) -> u64 {
        self.scheduled += 1;
        self.not_before = self.not_before.max(earliest);
        self.not_before
    }
    /// Takes the first chunk, whose delivery was scheduled.
    #[inline]
    pub fn take(&mut self) -> Chunk {
        self.scheduled -= 1;
        self.under_way.pop_front().expect("a scheduled chunk is under way")
    }
    /// Loses everything that is under way: it waits for a retransmission.
    pub fn stall(&mut self) {
        self.scheduled = 0;
        self.epoch += 1;
    }
}

/// A connection: side 0 connected, side 1 accepted. `flows[s]` carries what side `s` sends.
#[derive(Debug)]
pub(super) struct Conn {
    pub ends: [End; 2],
    pub flows: [Flow; 2],
    /// How often the first segment was sent again.
    pub syn_retries: u32,
    /// The server has put it into its backlog.
    pub queued: bool,
}

impl Conn {
    /// Nobody holds it and no kernel works for it.
    pub fn is_over(&self) -> bool {
        let [a, b] = &self.ends;
        let idle = |end: &End, peer: &End| {
            end.handles == 0 && (end.phase == Phase::Gone || (end.phase != Phase::Open && peer.phase == Phase::Gone))
        };
        idle(a, b) && idle(b, a)
    }
}

/// All connections, by slot.
#[derive(Debug, Default)]
pub(super) struct Conns {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    conn: Option<Box<Conn>>,
}

impl Conns {
    #[inline]
    pub fn get(&mut self, id: ConnId) -> Option<&mut Conn> {
        let slot = self.slots.get_mut(id.slot as usize).filter(|slot| slot.generation == id.generation)?;
        slot.conn.as_deref_mut()
    }
    pub fn insert(&mut self, conn: Conn) -> ConnId {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            self.slots.len() as u32 - 1
        });
        let of = &mut self.slots[slot as usize];
        of.conn = Some(Box::new(conn));
        ConnId { slot, generation: of.generation }
    }
    pub fn remove(&mut self, slot: u32) {
        let of = &mut self.slots[slot as usize];
        if of.conn.take().is_some() {
            of.generation += 1;
            self.free.push(slot);
        }
    }
    /// Those that exist, in the order of their slots.
    pub fn ids(&self) -> Vec<ConnId> {
        let existing = self.slots.iter().enumerate().filter(|(_, of)| of.conn.is_some());
        existing.map(|(slot, of)| ConnId { slot: slot as u32, generation: of.generation }).collect()
    }
    pub fn clear(&mut self) {
        (0..self.slots.len() as u32).for_each(|slot| self.remove(slot));
    }
}
