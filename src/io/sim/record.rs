//! The list of everything that happened, kept only when asked for, so that two runs can be compared.

use std::fmt::Write;

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[repr(u8)]
pub enum EventKind {
    /// A sleep was over.
    Timer,
    /// Bytes reached a socket.
    Deliver,
    /// An orderly end of a stream reached a socket.
    End,
    /// Bytes were lost on the way and wait for their retransmission.
    Lost,
    /// A kernel retransmitted, or gave up.
    Retransmit,
    /// A reset reached a socket.
    Reset,
    /// A reader made room, and the writer learns of it.
    Window,
    /// A step of opening a connection.
    Connect,
    /// The device made something durable.
    Durable,
    /// A process started.
    Start,
    /// A process ended by itself.
    Exit,
    /// A process died.
    Crash,
    /// A host lost its power.
    PowerCut,
    /// A process was paused or resumed.
    Pause,
    /// A link was cut or healed.
    Link,
    /// A clock was changed.
    Clock,
    /// A node opened a named random stream.
    Stream,
    /// One draw of madsim's own generator, so that a stray draw anywhere shows.
    Draw,
    /// A fault of a disk or a link began, ended, or did its work.
    Trouble,
}

/// One event, as it went into the digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventRecord {
    /// True nanoseconds since the run began.
    pub time_ns: u64,
    /// Its sequence number.
    pub seq: u64,
    /// What happened.
    pub kind: EventKind,
    /// The host that it happened to: an index into [`Recording::hosts`].
    pub host: u32,
    /// Its content, hashed.
    pub hash: u64,
}

/// A recorded run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    /// The hosts' names.
    pub hosts: Vec<String>,
    /// Everything that happened, in order.
    pub events: Vec<EventRecord>,
}

impl Recording {
    /// The index of the first event in which two recordings differ, if any.
    #[must_use]
    pub fn diverges_at(&self, other: &Self) -> Option<usize> {
        let common = self.events.len().min(other.events.len());
        let differing = (0..common).find(|i| self.events[*i] != other.events[*i]);
        differing.or((self.events.len() != other.events.len()).then_some(common))
    }
    /// Event `index` in words.
    #[must_use]
    pub fn describe(&self, index: usize) -> String {
        let mut text = String::new();
        match self.events.get(index) {
            None => text.push_str("the end of the run"),
            Some(e) => {
                let name = self.hosts.get(e.host as usize).map_or("?", String::as_str);
                let (s, ns) = (e.time_ns / 1_000_000_000, e.time_ns % 1_000_000_000);
                write!(text, "{s}.{ns:09} s #{} {:?} at {name} ({:016x})", e.seq, e.kind, e.hash)
                    .expect("a string takes what is written");
            }
        }
        text
    }
}
