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

impl EventKind {
    /// What happened, in words that go before the name of the host.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Timer => "a sleep is over on",
            Self::Deliver => "bytes arrive at",
            Self::End => "a stream ends at",
            Self::Lost => "bytes are lost on their way to",
            Self::Retransmit => "the kernel retransmits or gives up at",
            Self::Reset => "a reset arrives at",
            Self::Window => "there is room to write again at",
            Self::Connect => "a connection is being opened at",
            Self::Durable => "something becomes durable on",
            Self::Start => "the process starts on",
            Self::Exit => "the process ends on",
            Self::Crash => "the process dies on",
            Self::PowerCut => "the power is cut at",
            Self::Pause => "the process is paused or resumed on",
            Self::Link => "a link is cut or healed at",
            Self::Clock => "the clock is changed on",
            Self::Stream => "a random stream is opened on",
            Self::Draw => "madsim's own generator is drawn from for",
            Self::Trouble => "a disk or a link is in trouble at",
        }
    }
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
    /// The moment from which the trial counts its times, in true nanoseconds; 0 if it named none.
    pub origin_ns: u64,
}

impl Recording {
    /// The index of the first event in which two recordings differ, if any.
    #[must_use]
    pub fn diverges_at(&self, other: &Self) -> Option<usize> {
        let common = self.events.len().min(other.events.len());
        let differing = (0..common).find(|i| self.events[*i] != other.events[*i]);
        differing.or((self.events.len() != other.events.len()).then_some(common))
    }
    /// The name of an event's host.
    #[must_use]
    pub fn host(&self, event: &EventRecord) -> &str {
        self.hosts.get(event.host as usize).map_or("?", String::as_str)
    }
    /// Event `index` in words.
    #[must_use]
    pub fn describe(&self, index: usize) -> String {
        let mut text = String::new();
        match self.events.get(index) {
            None => text.push_str("the end of the run"),
            Some(e) => {
                let name = self.host(e);
                let (s, ns) = (e.time_ns / 1_000_000_000, e.time_ns % 1_000_000_000);
                write!(text, "{s}.{ns:09} s #{} {:?} at {name} ({:016x})", e.seq, e.kind, e.hash)
                    .expect("a string takes what is written");
            }
        }
        text
    }
}
