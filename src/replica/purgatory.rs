//! Who waits for a partition: produces for an offset to be appended or committed, fetches for an end to move.
//!
//! Deadlines belong to whole requests and live in the shell's table; it cancels here what has expired.

use std::collections::VecDeque;

use super::types::{Acks, FetchBound, FetchToken, Output, ProduceResult, ProduceToken};
use crate::base::Offset;

/// The waiting requests of one partition.
#[derive(Clone, Debug, Default)]
pub struct Purgatory {
    /// Ordered by offset, because appends are.
    appends: VecDeque<(Offset, ProduceToken)>,
    /// Ordered by offset, except that retries of appended batches may lie lower.
    commits: VecDeque<(Offset, ProduceToken)>,
    /// DeleteRecords: ordered by the log start that all live replicas are to reach.
    deletes: VecDeque<(Offset, ProduceToken)>,
    fetches: Vec<(FetchToken, FetchBound)>,
}

impl Purgatory {
    /// A produce waits until the end that `acks` names reaches `need`.
    pub fn await_offset(&mut self, token: ProduceToken, need: Offset, acks: Acks) {
        let queue = match acks {
            Acks::Leader => &mut self.appends,
            Acks::All => &mut self.commits,
        };
        let at = queue.partition_point(|(n, _)| *n <= need);
        queue.insert(at, (need, token));
    }
    /// A DeleteRecords waits until every live replica's log starts at `need` or above.
    pub fn await_log_starts(&mut self, token: ProduceToken, need: Offset) {
        let at = self.deletes.partition_point(|(n, _)| *n <= need);
        self.deletes.insert(at, (need, token));
    }
    /// True if a DeleteRecords waits.
    pub fn awaits_log_starts(&self) -> bool {
        !self.deletes.is_empty()
    }
    /// The log of every live replica starts at `low_watermark` or above.
    pub fn log_starts(&mut self, low_watermark: Offset, out: &mut Vec<Output>) {
        complete(&mut self.deletes, low_watermark, Ok(()), out);
    }
    /// A fetch waits until the end that `bound` names moves.
    pub fn watch(&mut self, token: FetchToken, bound: FetchBound) {
        self.fetches.push((token, bound));
    }
    /// The page cache holds everything below `end`.
    pub fn appended(&mut self, end: Offset, out: &mut Vec<Output>) {
        complete(&mut self.appends, end, Ok(()), out);
        self.fire(FetchBound::LogEnd, out);
    }
    /// Everything below `end` is committed; acks=all is answered with `result`.
    pub fn committed(&mut self, end: Offset, result: ProduceResult, out: &mut Vec<Output>) {
        complete(&mut self.commits, end, result, out);
        self.fire(FetchBound::HighWatermark, out);
    }
    /// Answers every produce with `result` and wakes every fetch: the partition's role has changed.
    pub fn flush(&mut self, result: ProduceResult, out: &mut Vec<Output>) {
        let produces = self.appends.drain(..).chain(self.commits.drain(..)).chain(self.deletes.drain(..));
        out.extend(produces.map(|(_, token)| Output::ProduceDone { token, result }));
        self.wake_fetches(out);
    }
    /// Wakes every fetch.
    pub fn wake_fetches(&mut self, out: &mut Vec<Output>) {
        out.extend(self.fetches.drain(..).map(|(token, _)| Output::FetchReady(token)));
    }
    /// A produce waits no longer. Returns false if it has been answered already.
    pub fn cancel(&mut self, token: ProduceToken) -> bool {
        let mut found = false;
        for queue in [&mut self.appends, &mut self.commits, &mut self.deletes] {
            let before = queue.len();
            queue.retain(|(_, t)| *t != token);
            found |= queue.len() != before;
        }
        found
    }
    /// A fetch watches no longer.
    pub fn unwatch(&mut self, token: FetchToken) {
        self.fetches.retain(|(t, _)| *t != token);
    }
    fn fire(&mut self, bound: FetchBound, out: &mut Vec<Output>) {
        if self.fetches.is_empty() {
            return;
        }
        self.fetches.retain(|(token, b)| {
            let fires = *b == bound;
            if fires {
                out.push(Output::FetchReady(*token));
            }
            !fires
        });
    }
}

fn complete(queue: &mut VecDeque<(Offset, ProduceToken)>, end: Offset, result: ProduceResult, out: &mut Vec<Output>) {
    while let Some((need, token)) = queue.front().copied() {
        if need > end {
            return;
        }
        queue.pop_front();
        out.push(Output::ProduceDone { token, result });
    }
}
