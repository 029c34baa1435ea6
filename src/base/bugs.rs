//! The bug zoo's switches: each names a real bug that can be planted at the place where the real one sat.
//!
//! A trial plants bugs for the thread that it runs on. With nothing planted, the test at a site is one
//! thread-local load. Real builds never plant anything.

use std::cell::Cell;
use std::str::FromStr;

macro_rules! zoo {
    ($($(#[doc = $doc:literal])* $variant:ident = $name:literal, $source:literal;)*) => {
        /// A bug that can be planted (`--plant NAME`).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Bug { $($(#[doc = $doc])* $variant,)* }
        impl Bug {
            /// Every bug, in the order of the catalogue.
            pub const ALL: &'static [Bug] = &[$(Bug::$variant,)*];
            /// The name that a person types.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Bug::$variant => $name,)* }
            }
            /// What goes wrong, in a sentence or two.
            #[must_use]
            pub fn story(self) -> &'static str {
                match self { $(Bug::$variant => concat!($($doc),*).trim_ascii(),)* }
            }
            /// Where the real bug is documented.
            #[must_use]
            pub fn source(self) -> &'static str {
                match self { $(Bug::$variant => $source,)* }
            }
        }
    };
}

zoo! {
    /// `acks=all` answers as soon as the leader has appended, before the in-sync replicas hold the batch:
    /// the leader dies and an acknowledged record dies with it.
    AckBeforeIsr = "ack-before-isr", "the classic mistake";
    /// A follower truncates to its own high watermark when it restarts, and so forgets acknowledged records
    /// that it held above it.
    TruncateToHighWatermark = "truncate-to-high-watermark", "KIP-101";
    /// A vote is answered before the quorum-state file is durable: after a power cut the voter votes again.
    VolatileVote = "volatile-vote", "KAFKA-14077";
    /// A voter fetches onward before its entries are durable: a fetch is an acknowledgement.
    FetchBeforeFlush = "fetch-before-flush", "KAFKA-10533";
}

impl FromStr for Bug {
    type Err = String;
    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.iter().copied().find(|b| b.name() == name).ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(|b| b.name()).collect();
            format!("no bug is called {name:?}; the zoo holds {}", known.join(", "))
        })
    }
}

thread_local! {
    static PLANTED: Cell<u64> = const { Cell::new(0) };
}

/// Plants exactly these bugs on this thread; an empty list makes the broker right again.
pub fn plant(bugs: &[Bug]) {
    PLANTED.set(bugs.iter().fold(0, |mask, b| mask | 1 << *b as u64));
}

/// True if `bug` is planted on this thread.
#[inline]
#[must_use]
pub fn planted(bug: Bug) -> bool {
    PLANTED.get() & (1 << bug as u64) != 0
}
