//! What is asked of a log's writer, and what it answers.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use crate::base::Offset;
use crate::log::LogConfig;
use crate::log::compaction::{Swap, Swapped};
use crate::log::epochs::EpochEntry;

/// One step for the writer; steps take effect strictly in the order in which they were submitted.
#[derive(Clone, Debug)]
pub enum Op {
    /// Appends whole, stamped batches at the end of the log. `generation` is `LogState::generation` at that moment.
    Append { bytes: Bytes, generation: u64 },
    /// Cuts off everything at and above `to`; `generation` is the one after the truncation.
    Truncate { to: Offset, generation: u64 },
    /// Throws everything away and starts anew at `start`; `generation` is the one after the truncation.
    TruncateFully { start: Offset, generation: u64 },
    /// Starts a new segment, unless the active one is empty.
    Roll,
    /// Makes everything appended so far durable; answered by [`Completion::Synced`].
    Sync { generation: u64 },
    /// Replaces `leader-epoch-checkpoint`.
    WriteEpochs { entries: Vec<EpochEntry> },
    /// Writes a snapshot of the producers as they were when the log ended at `at`.
    WriteProducers { at: Offset, content: Vec<u8> },
    /// Lets go of the segments that hold nothing at or above `start`; the active one stays.
    DeleteBelow { start: Offset },
    /// Removes the files of segments that were let go of.
    RemoveDoomed,
    /// Puts rewritten segments in place; answered by [`Completion::Swapped`].
    Swap(Swap),
    /// Other settings from here on.
    Configure(LogConfig),
    /// Makes everything durable and completes the index files; answered by [`Completion::Closed`].
    Close,
}

/// What became true on the disk.
#[derive(Clone, Debug)]
pub enum Completion {
    /// Everything below `end` is in the page cache: feed `LogState::appended`. Everything below `flushed` is on the
    /// device as well: feed `LogState::synced`. A segment has begun at `rolled`: a snapshot of the producers is due.
    Appended { generation: u64, end: Offset, flushed: Offset, rolled: Option<Offset> },
    /// Everything below `end` is on the device: feed `LogState::synced`.
    Synced { generation: u64, end: Offset },
    /// The log has been thrown away and started anew.
    StartedAnew { generation: u64 },
    /// The log is complete and durable below `end`: it may be marked as cleanly shut down, or removed.
    Closed { end: Offset },
    /// Rewritten segments took the place of the old ones, or not, because the log has changed there.
    Swapped { done: Option<Swapped> },
    /// The log is lost to this process: every later op is refused. Told once.
    Failed { error: Arc<io::Error> },
}
