//! One writer per log: an ordered queue of steps against the disk, drained by one task, and run at once on the
//! caller's stack while the disk is quick and nothing is queued.
//!
//! What is true in memory (`LogState`) and what is asked of the disk must be in the same order, so a caller submits
//! under the lock that guards its `LogState`. That is why a step that is done at once is answered by a return value
//! and not through the callback, which takes that lock.

mod core;
mod op;
#[cfg(all(test, madsim))]
mod tests;

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use self::core::Core;
pub use self::op::{Completion, Op};
use super::producers::ProducerStates;
use super::reader::LogReader;
use super::store::LogStore;
use crate::base::Offset;
use crate::io::task;

/// A log that is open for reading and writing; cheap to clone. The writer task ends when the last handle is gone
/// and everything submitted is done.
#[derive(Clone)]
pub struct LogHandle {
    shared: Arc<Owner>,
    reader: LogReader,
}

/// Tells the task when the last handle goes.
struct Owner(Arc<Core>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl std::fmt::Debug for LogHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogHandle").field("reader", &self.reader).finish_non_exhaustive()
    }
}

impl LogHandle {
    /// Starts the writer task over a recovered store. `on_completion` is called on that task, without any lock of
    /// the log held, in the order in which the steps were submitted.
    pub fn start(store: LogStore, on_completion: impl Fn(Completion) + Send + Sync + 'static) -> Self {
        let reader = store.reader();
        let core = Arc::new(Core::new(store, Box::new(on_completion)));
        drop(task::spawn("log-writer", core.clone().work()));
        Self { shared: Arc::new(Owner(core)), reader }
    }

    /// Asks for a step. If nothing is queued and the disk does not wait, the step is done on return: its completion,
    /// if it has one, is returned and will not be given to the callback. Otherwise the answer comes later through
    /// the callback. A log that has failed takes nothing and answers nothing.
    ///
    /// `None` thus means "later" for `Append`, `Sync`, `Swap` and `Close`; the other steps have no completion.
    #[must_use = "a completion that is returned is given to nobody else"]
    pub fn submit(&self, op: Op) -> Option<Completion> {
        self.shared.0.submit(op)
    }

    /// The log's reader, for those who only read.
    #[must_use]
    pub fn reader(&self) -> &LogReader {
        &self.reader
    }

    /// See [`LogReader::read`].
    ///
    /// # Errors
    /// See [`LogReader::read`].
    pub async fn read(&self, from: Offset, max_bytes: usize, max_offset: Offset, min_one: bool) -> io::Result<Bytes> {
        self.reader.read(from, max_bytes, max_offset, min_one).await
    }

    /// See [`LogReader::rebuild_producers`].
    ///
    /// # Errors
    /// Those of the disk.
    pub async fn rebuild_producers(&self, end: Offset) -> io::Result<ProducerStates> {
        self.reader.rebuild_producers(end).await
    }
}
